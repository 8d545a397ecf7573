"""The public address that is checked. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from holdfast.loopback import is_loopback

# Browsers leave these out of Host and Origin.
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


@dataclass(frozen=True, slots=True)
class Address:
    """A public address: its origin, as a browser writes it."""

    scheme: str
    host: str  # With the port, if one is given.
    is_local: bool

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.host}"

    @property
    def socket(self) -> str:
        """The address at which a page of this origin opens its WebSocket."""
        return f"{'wss' if self.scheme == 'https' else 'ws'}://{self.host}/api/v1/ws"

    @property
    def is_unencrypted(self) -> bool:
        """Whether a token would cross a network without encryption."""
        return self.scheme == "http" and not self.is_local


def read(text: str) -> Address:
    """Parse an address. Raises ValueError, whose message says why."""
    try:
        parts = urlsplit(text)
        name, _port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError(f"{text!r} is not an address") from None
    if parts.scheme not in ("http", "https") or not name:
        raise ValueError(f"give an address like https://pay.example, not {text!r}")
    if parts.username or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("give the scheme and the host alone: the bridge is at the root of it")
    host = parts.netloc.lower().removesuffix(_DEFAULT_PORTS[parts.scheme])
    return Address(parts.scheme, host, is_loopback(name))
