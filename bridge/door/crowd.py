"""All connections of the port (the *crowd*), and which of them we are waiting for.

When there are too many, it closes the one that has kept us waiting longest: first among those that
have not sent a whole head yet, then among those that are slow with a body, or idle. Must never
close a connection whose request is being served, or that is a WebSocket.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Callable
from typing import Protocol

from bridge.limits import Limits

_IPV6_NETWORK_BYTES = 8


class Peer(Protocol):
    """What the crowd knows of a connection."""

    @property
    def address(self) -> str:
        """The client's address; the connections of one address share a limit."""
        ...

    def drop(self) -> None:
        """Close it at once."""


class Crowd:
    """Counts connections, and closes those that take too long or are too many."""

    def __init__(
        self, limits: Limits, clock_s: Callable[[], float], dropped: Callable[[str], None]
    ) -> None:
        """`clock_s` is monotonic. Calls `dropped` with the reason when it closes or refuses one."""
        self.count = 0
        self._most = limits.connections
        self._most_heads = min(limits.heads_per_address, max(1, limits.connections // 2))
        self._head_s = limits.head_s
        self._clock_s = clock_s
        self._dropped = dropped
        # Connections whose head we wait for, with the time since when, and those that we wait for
        # otherwise; the oldest first.
        self._heads: dict[Peer, float] = {}
        self._others: dict[Peer, None] = {}
        self._heads_of: defaultdict[str, dict[Peer, None]] = defaultdict(dict)

    def enter(self) -> bool:
        """Count one more connection and make room for it; False if there is no room."""
        if self.count >= self._most and not self.make_room():
            self._dropped("full")
            return False
        self.count += 1
        return True

    def make_room(self) -> bool:
        """Close the connection that has kept us waiting longest; False if we wait for none."""
        for peer in (*self._first(self._heads), *self._first(self._others)):
            self._cut(peer, "crowd")
            return True
        return False

    def left(self) -> None:
        """Count one connection less that was handed over to another protocol."""
        self.count -= 1

    def leave(self, peer: Peer | None) -> None:
        """Count one connection less. `peer` is None if the connection could not be set up."""
        self.count -= 1
        if peer is not None:
            self.busy(peer)

    def waits_for_head(self, peer: Peer) -> None:
        """Note that we wait for the head of a request from now on."""
        self.busy(peer)
        mine = self._heads_of[peer.address]
        if len(mine) >= self._most_heads:
            self._cut(next(iter(mine)), "address")
        self._heads_of[peer.address][peer] = None
        self._heads[peer] = self._clock_s()

    def waits_for(self, peer: Peer) -> None:
        """Note that we wait for a body, for the peer to read an answer, or that it is idle."""
        self.busy(peer)
        self._others[peer] = None

    def busy(self, peer: Peer) -> None:
        """Note that we do not wait for the peer: it is being served, or gone."""
        self._others.pop(peer, None)
        if self._heads.pop(peer, None) is None:
            return
        mine = self._heads_of[peer.address]
        del mine[peer]
        if not mine:
            del self._heads_of[peer.address]

    def sweep(self) -> None:
        """Close the connections whose head has taken too long."""
        oldest_s = self._clock_s() - self._head_s
        while self._heads:
            peer, since_s = next(iter(self._heads.items()))
            if since_s > oldest_s:
                return
            self._cut(peer, "head")

    def _cut(self, peer: Peer, why: str) -> None:
        self.busy(peer)
        self._dropped(why)
        peer.drop()

    @staticmethod
    def _first(waiting: dict[Peer, float] | dict[Peer, None]) -> list[Peer]:
        return [next(iter(waiting))] if waiting else []


def network(host: str) -> str:
    """Answer what counts as one address: for IPv6 its /64 network, which one household has."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return address.packed[:_IPV6_NETWORK_BYTES].hex()
