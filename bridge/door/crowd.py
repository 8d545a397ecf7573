"""All connections of the port, and for which of them we wait.

When there are too many, the one that has kept us waiting longest gives way: first those that have
not yet asked for anything, then those that are slow with a body, or idle. Must never cut one whose
request is being served, or that is a WebSocket.
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
        """Where it comes from; connections of one address share a limit."""

    def drop(self) -> None:
        """Cut it."""


class Crowd:
    """Counts connections, and cuts those that take too long or too much room."""

    def __init__(
        self, limits: Limits, clock_s: Callable[[], float], dropped: Callable[[str], None]
    ) -> None:
        """`clock_s` is monotonic. `dropped` is told why a connection was cut or not let in."""
        self.count = 0
        self._most = limits.connections
        self._most_heads = min(limits.heads_per_address, max(1, limits.connections // 2))
        self._head_s = limits.head_s
        self._clock_s = clock_s
        self._dropped = dropped
        # Since when we wait for their heads, and for whatever else they owe us; oldest first.
        self._heads: dict[Peer, float] = {}
        self._others: dict[Peer, None] = {}
        self._heads_of: defaultdict[str, dict[Peer, None]] = defaultdict(dict)

    def enter(self) -> bool:
        """Count one more connection and make room for it; False where there is no room."""
        if self.count >= self._most and not self.make_room():
            self._dropped("full")
            return False
        self.count += 1
        return True

    def make_room(self) -> bool:
        """Cut the connection that has kept us waiting longest; False where none does."""
        for peer in (*self._first(self._heads), *self._first(self._others)):
            self._cut(peer, "crowd")
            return True
        return False

    def leave(self, peer: Peer | None) -> None:
        """Count one connection less; None stands for one that never came to be."""
        self.count -= 1
        if peer is not None:
            self.busy(peer)

    def owes_head(self, peer: Peer) -> None:
        """We wait for the head of a request from now on."""
        self.busy(peer)
        mine = self._heads_of[peer.address]
        if len(mine) >= self._most_heads:
            self._cut(next(iter(mine)), "address")
        self._heads_of[peer.address][peer] = None
        self._heads[peer] = self._clock_s()

    def owes(self, peer: Peer) -> None:
        """We wait for a body, for an answer to be read, or for nothing at all from now on."""
        self.busy(peer)
        self._others[peer] = None

    def busy(self, peer: Peer) -> None:
        """We do not wait for the peer any more: it is being served, or gone."""
        self._others.pop(peer, None)
        if self._heads.pop(peer, None) is None:
            return
        mine = self._heads_of[peer.address]
        del mine[peer]
        if not mine:
            del self._heads_of[peer.address]

    def sweep(self) -> None:
        """Cut those whose heads have taken too long."""
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
    """What counts as one address: of IPv6 the network of 64 bits, which one household has."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return address.packed[:_IPV6_NETWORK_BYTES].hex()
