"""Several processes that serve one port (BRIDGE_WORKERS).

The parent opens the port, starts the workers, replaces one that has died, and serves nothing
itself. Must never know tokens, core or browsers.
"""
