"""The WebSockets: one session for each browser, what it subscribes to, and what waits for it.

Must never block the loop for one socket's sake, nor hold more for one than its limits. Its door is
`hub`.
"""
