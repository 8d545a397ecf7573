"""The port: connections as they come, the heads and bodies that peers owe us, how they are refused.

Must never know a route, nor wait for a peer without a limit. `server` opens it; others read bodies
and refuse by it.
"""
