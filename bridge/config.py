"""Every setting of the bridge: read once, checked and frozen.

No other module of the bridge reads the environment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from holdfast import settings
from holdfast.loopback import is_loopback
from holdfast.settings import MAX_PORT, ConfigError, SharedSettings

__all__ = ["ConfigError", "Settings", "read"]

# Processes of one bridge; more than a machine has processors only cost memory.
MAX_WORKERS = 64
# The texts that pydantic reads as true.
_YES = frozenset({"1", "true", "t", "yes", "y", "on"})

# An unknown variable with one of these prefixes is refused as a misspelled setting.
_PREFIXES = ("JWT_", "BRIDGE_", "CORE_", "GRPC_TLS_", "DEMO_", "ALLOWED_", "ALLOW_")
# Both processes may share one environment; these belong to core or to `make run`.
_OF_OTHERS = frozenset({"CORE_LISTEN", "DEMO_DATA"})


class Settings(SharedSettings):
    """The bridge's settings, by the names of their environment variables in lower case."""

    core_address: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("127.0.0.1:50051",),
        description="where the bridge finds core; several, comma-separated, are balanced",
    )
    port: int = Field(
        default=8000, ge=0, le=MAX_PORT, description="where the bridge serves HTTP and WebSocket"
    )
    bridge_host: str = Field(default="127.0.0.1", description="the address it listens at")
    bridge_workers: int = Field(
        default=1,
        ge=1,
        le=MAX_WORKERS,
        description="processes that serve one port, as many as there are processors to spare",
    )
    bridge_token: SecretStr = Field(
        description="a token with the role `service`, as which the bridge calls core;"
        " `make run` makes one"
    )
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="comma-separated origins of pages elsewhere, for WebSocket and CORS; without"
        " it the same origin only",
    )
    allow_query_token: bool = Field(
        default=True,
        description="`0` refuses tokens in the WebSocket's URL; the dashboard needs none there",
    )
    demo_login: bool = Field(
        default=False,
        description="`1` hands anybody a token at `POST /api/v1/demo/token`; `make run` sets it"
        " with the sandbox, nothing else should",
    )

    @field_validator("core_address", "allowed_origins", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(word.strip() for word in value.split(",") if word.strip())
        return value

    @field_validator("core_address")
    @classmethod
    def _check_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        bad = [one for one in value if not settings.ADDRESS.fullmatch(one)]
        if bad or not value:
            raise ValueError(f"must be host:port, several comma-separated, not {bad or value}")
        return value

    @field_validator("allowed_origins")
    @classmethod
    def _check_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_origin(one) for one in value)

    @field_validator("bridge_token")
    @classmethod
    def _check_token(cls, value: SecretStr) -> SecretStr:
        if not re.fullmatch(r"[\x21-\x7e]+", value.get_secret_value()):
            raise ValueError("must be a token: printable ASCII without blanks")
        return value


def _origin(value: str) -> str:
    parts = urlsplit(value.rstrip("/"))
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path or parts.query:
        raise ValueError(f"must be scheme://host[:port], not {value!r}")
    return f"{parts.scheme}://{parts.netloc}".lower()


def _contradictions(environ: Mapping[str, str]) -> list[str]:
    wrong = []
    if environ.get("DEMO_LOGIN", "").lower() in _YES and not environ.get("JWT_SECRET"):
        wrong.append("DEMO_LOGIN=1 needs JWT_SECRET, with which it signs")
    return wrong


def _demo_beside_money(environ: Mapping[str, str]) -> list[str]:
    """The demo login gives anybody a token, so it must not be on with real money."""
    if environ.get("DEMO_LOGIN", "").lower() not in _YES:
        return []
    wrong = []
    if environ.get("RAZORPAY_KEY_ID", "").startswith("rzp_live_"):
        wrong.append(
            "DEMO_LOGIN=1 hands anybody a token, and RAZORPAY_KEY_ID is a live key: unset one"
        )
    url = environ.get("RAZORPAY_BASE_URL", "")
    if not url:
        wrong.append(
            "DEMO_LOGIN=1 hands anybody a token, and without RAZORPAY_BASE_URL payments go to the"
            " real Razorpay: unset DEMO_LOGIN, or name the sandbox of this machine"
        )
    elif not is_loopback(_host_of(url)):
        wrong.append(
            "DEMO_LOGIN=1 hands anybody a token, and RAZORPAY_BASE_URL is no sandbox of this"
            " machine: unset DEMO_LOGIN, or name one at 127.0.0.1"
        )
    return wrong


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def read() -> Settings:
    """Read the environment. Raises ConfigError, whose text names all that is wrong at once."""
    return settings.read(
        Settings,
        process="The bridge",
        prefixes=_PREFIXES,
        foreign=_OF_OTHERS,
        contradictions=lambda environ: _contradictions(environ) + _demo_beside_money(environ),
    )
