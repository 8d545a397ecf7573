"""The HTTP and WebSocket edge. Knows no law and no storage; `python -m bridge` serves it."""
