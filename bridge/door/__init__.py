"""The HTTP port (the bridge's *door*): accepts connections, reads heads and bodies, refuses them.

Must never know a route, nor wait for a peer without a limit. `server` opens it by `listener`; other
wings read bodies by `body` and refuse by `reply`.
"""
