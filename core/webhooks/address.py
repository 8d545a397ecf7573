"""Where webhooks may go: whoever adds an endpoint must not reach our own network by it.

A URL is judged when it is given, and the address of a connection again when it is made
(`Guard.socket`): a name may lead somewhere else by then.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

# Characters of an endpoint's address.
MAX_URL = 2_000
# The lowest port beside the scheme's own: below it, servers of other protocols listen.
LEAST_PORT = 1_024
# Names that are looked up at once, each in a thread of its own.
LOOKUPS = 16
# How long an idle connection is kept: less than any common server keeps it, which would else close
# it under a delivery.
KEEP_ALIVE_S = 4.0
# How long CreateEndpoint waits for a name to be looked up.
LOOKUP_S = 2.0

_PLAIN = re.compile(r"[!-~]+")
_PORTS = {"https": 443, "http": 80}
# An IPv6 network that carries IPv4 addresses, and where in it they stand, counted in bits from the
# right: NAT64 (RFC 6052), IPv4-compatible (RFC 4291), 6to4 (RFC 3056).
_CARRIERS = (
    (ipaddress.ip_network("64:ff9b::/96"), 0),
    (ipaddress.ip_network("::/96"), 0),
    (ipaddress.ip_network("2002::/16"), 80),
)
# The part of IPv6 that the internet uses: no NAT64 of one's own network, nothing site-local.
_GLOBAL = ipaddress.ip_network("2000::/3")
# What the standard library of an older Python takes for public.
_CLOSED = (
    ipaddress.ip_network("2001::/23"),
    ipaddress.ip_network("3fff::/20"),
    ipaddress.ip_network("192.0.0.0/24"),
    # Azure's host answers its virtual machines here, although the address is a public one.
    ipaddress.ip_network("168.63.129.16/32"),
)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class AddressRefused(OSError):
    """A connection was about to be made to an address that is not open to everybody."""


def is_public(text: str) -> bool:
    """Whether an IP address is one that anybody on the internet may reach, as far as can be told.

    The registries of special addresses (RFC 6890) are the standard library's.
    """
    return _is_public(ipaddress.ip_address(text.partition("%")[0]))


def _is_public(address: Address) -> bool:
    if any(address in network for network in _CLOSED if network.version == address.version):
        return False
    if isinstance(address, ipaddress.IPv6Address):
        inner = _carried(address)
        if inner is not None:
            return _is_public(inner)
        if address not in _GLOBAL:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _carried(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Answer the IPv4 address that packets to an IPv6 address end at, if there is one."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    for network, shift in _CARRIERS:
        if address in network:
            return ipaddress.IPv4Address(int(address) >> shift & 0xFFFF_FFFF)
    return None


class Guard:
    """Judges URLs and connections; with `allow_private` every address is good, and plain HTTP."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._resolver = Resolver()

    def close(self) -> None:
        self._resolver.stop()

    def connector(self, limit: int) -> aiohttp.TCPConnector:
        """Make the connections of a client, each to an address that was judged."""
        return aiohttp.TCPConnector(
            limit=limit,
            keepalive_timeout=KEEP_ALIVE_S,
            resolver=self._resolver,
            socket_factory=self.socket,
        )

    def socket(self, place: tuple[Any, Any, int, str, tuple[Any, ...]]) -> socket.socket:
        """Open the socket of one connection. Raises AddressRefused.

        Called with the very address that is connected to next, whether a name was looked up for it
        or the URL has it.
        """
        family, kind, protocol, _, (host, *_) = place
        if not self._allow_private and not is_public(host):
            raise AddressRefused(f"{host} is not a public address")
        return socket.socket(family, kind, protocol)

    def url_problem(self, text: str) -> str:
        """Answer what is wrong with an endpoint's URL as it is written; empty when nothing is."""
        schemes = ("https", "http") if self._allow_private else ("https",)
        if not 0 < len(text) <= MAX_URL or not _PLAIN.fullmatch(text):
            return f"must have 1 to {MAX_URL} printable ASCII characters without blanks"
        try:
            url = URL(text)
            host, port = url.host, url.port
        except ValueError:
            return "must be a URL"
        if url.scheme not in schemes or not host:
            return f"must be a URL that begins with {schemes[0]}://"
        if url.user is not None or url.password is not None:
            return "must not have a user or a password: each delivery is signed instead"
        if "#" in text:
            return "must not have a fragment"
        if "%" in host:
            return "must not have a zone in its address"
        if port != _PORTS[url.scheme] and not (port or 0) >= LEAST_PORT:
            return f"must be at port {_PORTS[url.scheme]}, or at {LEAST_PORT} and above"
        return ""

    async def place_problem(self, text: str) -> str:
        """Answer why a well-formed URL leads where webhooks may not go; empty when it may.

        A name that cannot be looked up now may be later, and is judged then.
        """
        if self._allow_private or all(map(is_public, await self._places(URL(text).raw_host or ""))):
            return ""
        return "must not lead to a private, local or reserved address (see WEBHOOKS_ALLOW_PRIVATE)"

    async def _places(self, host: str) -> list[str]:
        """List the addresses of a host, as far as they can be had now."""
        try:
            return [str(ipaddress.ip_address(host))]
        except ValueError:
            pass
        try:
            async with asyncio.timeout(LOOKUP_S):
                return [one["host"] for one in await self._resolver.resolve(host)]
        except (OSError, TimeoutError, UnicodeError):
            return []


class Resolver(AbstractResolver):
    """Looks names up in threads of its own: a name server that hangs must hold up nothing else."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOKUPS, thread_name_prefix="webhook-lookup")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        found: Sequence[Any] = await loop.run_in_executor(
            self._threads, _look_up, host, port, family
        )
        return [
            ResolveResult(
                hostname=host,
                host=address[0],
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Of a client that used it; others may use it still."""

    def stop(self) -> None:
        """Look up no more; whoever hangs is left behind."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int, family: socket.AddressFamily) -> Sequence[Any]:
    flags = socket.AI_ADDRCONFIG
    return socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM, flags=flags)
