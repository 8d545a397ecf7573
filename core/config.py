"""Every setting of core, read once, checked and frozen. No other room of core reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import Field, SecretStr, field_validator

from holdfast import settings
from holdfast.settings import ConfigError, SharedSettings

__all__ = ["ConfigError", "Settings", "read"]

# A variable with one of these prefixes that is no setting is taken for a misspelled one.
_PREFIXES = (
    "JWT_",
    "RAZORPAY_",
    "PLATFORM_",
    "GRPC_TLS_",
    "CORE_",
    "NATS_URL",
    "LIMIT_",
    "DEADLINE_",
    "PAYEE_",
    "INBOX_",
    "CHECKS_",
    "WEBHOOKS_",
    "ATTACHMENTS_",
)
# A server of NATS, with who we are there.
_NATS_SERVER = r"(nats|tls)://([^\s@/,]+@)?([^\s@/:,\[\]]+|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?/?"
# Where files are kept (core.attachments.choice).
_PLACE = r"database|file:///[^?#\s]+|s3://[a-z0-9][a-z0-9.-]{1,62}(/[^?#\s]*)?"
# Both processes may share one environment; this belongs to the bridge.
_OF_BRIDGE = frozenset({"CORE_ADDRESS"})


class Settings(SharedSettings):
    """The settings of core, by the names of their environment variables in lower case."""

    database_url: str = Field(
        default="sqlite+aiosqlite:///holdfast.db",
        description="or `postgresql+asyncpg://user:password@host/name`",
    )
    core_listen: str = Field(default="127.0.0.1:50051", description="where core serves gRPC")
    razorpay_key_id: str = Field(
        description="without it `make run` starts the sandbox; core alone refuses to start"
    )
    razorpay_key_secret: SecretStr = Field(description="belongs to the key id; only core needs it")
    razorpay_webhook_secret: SecretStr | None = Field(
        default=None, description="verifies webhooks; yours, set at Razorpay too"
    )
    razorpay_webhook_secret_previous: SecretStr | None = Field(
        default=None, description="accepted as well, while the secret is rotated"
    )
    platform_fee_bps: int = Field(
        default=250,
        ge=0,
        le=10_000,
        description="the platform's fee in basis points of what is released; fixed for an escrow"
        " when it is created",
    )
    payee_cooling_s: int = Field(
        default=86_400,
        ge=0,
        le=31_536_000,
        description="how long a seller's changed payout account waits before it counts, in seconds",
    )
    deadline_near_s: int = Field(
        default=86_400,
        ge=0,
        description="how long before a deadline an escrow's watchers are reminded; fixed for an"
        " escrow when it is created, 0 for not at all",
    )
    # Razorpay delivers again for a day, and a delivery may wait a day for its order.
    inbox_keep_s: int = Field(
        default=7_776_000,
        ge=259_200,
        description="how long a webhook is kept after it came and was worked off, in seconds",
    )
    # Razorpay may authorize and return a payment up to five days late.
    checks_keep_s: int = Field(
        default=864_000,
        ge=518_400,
        description="how long Razorpay is still asked about an escrow that has ended, in seconds",
    )
    webhooks_allow_private: bool = Field(
        default=False,
        description="`1` lets webhooks out go to private addresses and over plain HTTP, for"
        " development",
    )
    # A delivery is tried for three days.
    webhooks_keep_s: int = Field(
        default=2_592_000,
        ge=604_800,
        description="how long a delivery of a webhook that has ended is kept, in seconds"
        " after it was made",
    )
    attachments_url: str = Field(
        default="database",
        description="where the files of disputes are kept: `database`, `file:///path` of a"
        " directory that all cores share, or `s3://bucket/prefix` with the usual AWS settings and"
        " the extra `s3`; files that are there already are read where they were put",
    )
    limit_user_calls_per_s: int = Field(
        default=500, ge=1, description="calls a second of one user; twice as many at once"
    )
    limit_user_unpaid: int = Field(
        default=1_000, ge=1, description="escrows that one user created and nobody has paid yet"
    )
    limit_user_unpaid_towards: int = Field(
        default=200, ge=1, description="the same, with one counterparty"
    )

    nats_url: SecretStr | None = Field(
        default=None,
        description="`nats://user:password@host:4222`, several servers of one cluster"
        " comma-separated, `tls://` with TLS; cores then ring one another through NATS, and every"
        " event goes to JetStream; the same for all cores",
    )

    @field_validator("database_url")
    @classmethod
    def _check_database(cls, value: str) -> str:
        if not value.startswith(("sqlite+aiosqlite://", "postgresql+asyncpg://")):
            raise ValueError("must begin with sqlite+aiosqlite:// or postgresql+asyncpg://")
        return value

    @field_validator("nats_url")
    @classmethod
    def _check_nats(cls, value: SecretStr | None) -> SecretStr | None:
        servers = value.get_secret_value().split(",") if value is not None else []
        if not all(re.fullmatch(_NATS_SERVER, server.strip()) for server in servers):
            raise ValueError("must be nats://host:port or tls://host:port, or several of them")
        return value

    @field_validator("attachments_url")
    @classmethod
    def _check_attachments(cls, value: str) -> str:
        if not re.fullmatch(_PLACE, value):
            raise ValueError("must be database, file:///an/absolute/path or s3://bucket/prefix")
        return value

    @field_validator("core_listen")
    @classmethod
    def _check_listen(cls, value: str) -> str:
        return settings.address(value)

    @property
    def webhook_secrets(self) -> tuple[str, ...]:
        """The current secret and the previous one, as far as they are set."""
        secrets = (self.razorpay_webhook_secret, self.razorpay_webhook_secret_previous)
        return tuple(s.get_secret_value() for s in secrets if s is not None)


def _contradictions(environ: Mapping[str, str]) -> list[str]:
    wrong = []
    if environ.get("RAZORPAY_WEBHOOK_SECRET_PREVIOUS") and not environ.get(
        "RAZORPAY_WEBHOOK_SECRET"
    ):
        wrong.append("RAZORPAY_WEBHOOK_SECRET_PREVIOUS needs RAZORPAY_WEBHOOK_SECRET")
    return wrong


def read() -> Settings:
    """Read the environment. Raises ConfigError, whose text names all that is wrong at once."""
    return settings.read(
        Settings,
        process="Core",
        prefixes=_PREFIXES,
        foreign=_OF_BRIDGE,
        contradictions=_contradictions,
    )
