"""File descriptors: how many this process may have. Each connection takes one."""

from __future__ import annotations

import resource

# A hard limit of "as many as you like" is not one that the kernel takes.
_ENOUGH = 1 << 20


def raised() -> int:
    """Raise the soft limit to the hard one; answer what may be open at once."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else hard
    if soft == resource.RLIM_INFINITY:
        return _ENOUGH
    if soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (ValueError, OSError):
            return soft
    return max(soft, wanted)
