"""One address of core: its channel, what it says of itself, and what is under way there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from itertools import islice
from pathlib import Path
from typing import Any

import grpc

_OPTIONS = (
    ("grpc.lb_policy_name", "round_robin"),
    # A silent connection is noticed after the sum of the two: 13 s. Without the third, the ping
    # time-out of gRPC's HTTP/2 layer (60 s by default) would override the second.
    ("grpc.keepalive_time_ms", 8_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    # Otherwise channels to one address share a connection, and a restarted app gets a dead one.
    ("grpc.use_local_subchannel_pool", 1),
)


@dataclass(frozen=True)
class Tls:
    """PEM files. Core's certificate is the trusted root; with `client` it is our own as well."""

    cert: Path
    key: Path
    client: bool

    def credentials(self) -> grpc.ChannelCredentials:
        cert = self.cert.read_bytes()
        if not self.client:
            return grpc.ssl_channel_credentials(root_certificates=cert)
        return grpc.ssl_channel_credentials(cert, self.key.read_bytes(), cert)


class Health(Enum):
    """What a core has answered when it was asked whether it serves."""

    SERVING = "serving"
    # It drains, or lacks its database. What it has begun it still answers.
    REFUSING = "refusing"
    SILENT = "silent"


class Endpoint:
    """One address, and the calls and streams that are open there."""

    def __init__(self, address: str, tls: Tls | None) -> None:
        if tls is None:
            self.channel = grpc.aio.insecure_channel(address, options=_OPTIONS)
        else:
            self.channel = grpc.aio.secure_channel(address, tls.credentials(), options=_OPTIONS)
        # Whether it is connected now.
        self.ready = False
        # False from a failure, or an answer that it does not serve, until it says that it does.
        self.serves = True
        self.calls: set[Any] = set()
        self.streams: set[Any] = set()
        # Streams in both directions. Each goes to its own core, and is not moved to another.
        self.talks: set[Any] = set()

    @property
    def usable(self) -> bool:
        return self.ready and self.serves

    def cut_calls(self) -> None:
        for call in tuple(self.calls):
            call.cancel()

    def cut_streams(self, most: int | None = None) -> None:
        """End so many streams, by default all; whoever reads one gets UNAVAILABLE."""
        for call in tuple(islice(self.streams, most)):
            self.streams.discard(call)
            call.cancel()
        for call in tuple(self.talks) if most is None else ():
            call.cancel()
