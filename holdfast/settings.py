"""Reads settings from the environment, checks them, and says all that is wrong in one message.

Secrets never print, not even in an error.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar

from pydantic import Field, FilePath, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

# The shortest JWT_SECRET.
JWT_SECRET_BYTES = 32
MAX_PORT = 65_535

# host:port, an IPv6 host in brackets.
ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})")

# Kubernetes writes such variables by itself for a Service that is called `core` or `bridge`.
_KUBERNETES = re.compile(
    r"(CORE|BRIDGE)_"
    r"(SERVICE_(HOST|PORT(_\w+)?)=.*|PORT=(tcp|udp)://.*|PORT_\d+_(TCP|UDP)(_(PROTO|PORT|ADDR))?=.*)"
)


class ConfigError(Exception):
    """Names every setting that is missing, unknown or contradictory."""


class SharedSettings(BaseSettings):
    """What core and bridge both read, by the names of the variables in lower case."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="ignore")

    jwt_secret: SecretStr | None = Field(
        default=None, description="HS256 key of at least 32 bytes; `make run` makes one in `.run/`"
    )
    jwt_jwks_url: str | None = Field(
        default=None, description="instead of the secret: published RS256, ES256 or EdDSA keys"
    )
    jwt_issuer: str | None = Field(default=None, description="checked when set")
    jwt_audience: str | None = Field(default=None, description="checked when set")
    razorpay_base_url: str | None = Field(
        default=None, description="a stand-in for Razorpay's API; `make run` names the sandbox"
    )
    grpc_tls_cert: FilePath | None = Field(
        default=None, description="core's certificate, which the bridge trusts as its root"
    )
    grpc_tls_key: FilePath | None = Field(default=None, description="the key of that certificate")
    grpc_tls_client_ca: FilePath | None = Field(
        default=None,
        description="mutual TLS: the bridge shows the same certificate, which must then be good"
        " for client authentication too",
    )
    metrics_listen: str | None = Field(
        default=None,
        description="host:port for metrics alone; without it the bridge serves `/metrics` on its"
        " own port, and core none",
    )
    log_format: Literal["console", "json"] = Field(
        default="console", description="`json` writes one object a line"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="the least level that is logged"
    )

    @field_validator("jwt_secret")
    @classmethod
    def _check_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value().encode()) < JWT_SECRET_BYTES:
            raise ValueError(f"must be at least {JWT_SECRET_BYTES} bytes")
        return value

    @field_validator("jwt_jwks_url", "razorpay_base_url")
    @classmethod
    def _check_url(cls, value: str | None) -> str | None:
        # The bridge writes the second into a Content-Security-Policy.
        if value is not None and not re.fullmatch(r"https?://[^\s;,'\"]+", value):
            raise ValueError("must be an http or https URL")
        return value

    @field_validator("metrics_listen")
    @classmethod
    def _check_metrics_listen(cls, value: str | None) -> str | None:
        return None if value is None else address(value)

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value


Kind = TypeVar("Kind", bound=SharedSettings)


def address(value: str) -> str:
    """Check `host:port`. Raises ValueError."""
    parts = ADDRESS.fullmatch(value)
    if parts is None or int(parts[2]) > MAX_PORT:
        raise ValueError(f"must be host:port, the port from 0 to {MAX_PORT}")
    return value


def read(
    kind: type[Kind],
    *,
    process: str,
    prefixes: tuple[str, ...],
    foreign: frozenset[str],
    contradictions: Callable[[Mapping[str, str]], list[str]],
) -> Kind:
    """Read the environment. Raises ConfigError, whose text names all that is wrong at once.

    A variable with one of our `prefixes` that is neither a setting of `kind` nor `foreign` (one of
    the other process, which may share the environment) is taken for a misspelled setting.
    """
    names = {name.upper() for name in kind.model_fields} | foreign
    wrong = [f"{name} is not a setting of Holdfast" for name in _unknown(names, prefixes)]
    wrong += _shared_contradictions(os.environ) + contradictions(os.environ)
    settings = None
    try:
        settings = kind()
    except ValidationError as error:
        wrong += _sentences(error)
    if wrong or settings is None:
        raise ConfigError(f"{process} cannot start:\n" + "\n".join(f"  - {w}" for w in wrong))
    return settings


def _unknown(known: set[str], prefixes: tuple[str, ...]) -> list[str]:
    return sorted(
        name
        for name, value in os.environ.items()
        if name.startswith(prefixes)
        and name not in known
        and not _KUBERNETES.fullmatch(f"{name}={value}")
    )


def _shared_contradictions(environ: Mapping[str, str]) -> list[str]:
    """Tell them from presence alone, so that a bad value elsewhere hides none."""

    def has(name: str) -> bool:
        return bool(environ.get(name))

    wrong = []
    if has("JWT_SECRET") and has("JWT_JWKS_URL"):
        wrong.append("JWT_SECRET and JWT_JWKS_URL contradict each other: set one")
    if not has("JWT_SECRET") and not has("JWT_JWKS_URL"):
        wrong.append("JWT_SECRET or JWT_JWKS_URL must be set")
    if has("GRPC_TLS_CERT") != has("GRPC_TLS_KEY"):
        wrong.append("GRPC_TLS_CERT and GRPC_TLS_KEY belong together")
    if has("GRPC_TLS_CLIENT_CA") and not has("GRPC_TLS_CERT"):
        wrong.append("GRPC_TLS_CLIENT_CA needs GRPC_TLS_CERT and GRPC_TLS_KEY")
    return wrong


def _sentences(error: ValidationError) -> list[str]:
    sentences = []
    for one in error.errors(include_input=False, include_url=False):
        name = str(one["loc"][0]).upper()
        is_missing = one["type"] == "missing"
        message = "must be set" if is_missing else one["msg"].removeprefix("Value error, ")
        sentences.append(f"{name}: {message}")
    return sentences
