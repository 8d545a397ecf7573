"""Free ports, for processes that need a port number before they start."""

import random
import socket

# Below the kernel's ephemeral range, so that no process that binds port 0 or opens a connection
# gets one of these between our check and the process's own bind.
_FIRST, _LAST = 20_000, 32_000
_chance = random.SystemRandom()


def free_port() -> int:
    """Pick a port of 127.0.0.1 that is free now."""
    while True:
        port = _chance.randint(_FIRST, _LAST)
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
