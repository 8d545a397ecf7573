"""The browser's language: frames, close codes, and an escrow as a browser sees it.

Pure: must never do I/O or know a socket. Its doors are `frames` and `errors`.
"""
