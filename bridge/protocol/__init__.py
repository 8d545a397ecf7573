"""The WebSocket protocol that browsers speak, and the frames and close codes of ours on top of it.

Pure: must never do I/O or know a socket. Other wings import `frames`, `errors`, `decoder` and
`handshake`.
"""
