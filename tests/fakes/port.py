"""Ports for processes that must be told one before they start."""

import random
import socket

# Below the range from which the kernel takes ports by itself, so that nobody who binds port 0 or
# connects to somewhere gets one of these between our look and the process's own bind.
_FIRST, _LAST = 20_000, 32_000
_chance = random.SystemRandom()


def free_port() -> int:
    """Pick a port of 127.0.0.1 that nobody has just now."""
    while True:
        port = _chance.randint(_FIRST, _LAST)
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
