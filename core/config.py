"""Every setting of core, read once, checked and frozen. The only room that reads the environment.

Secrets never print, not even in an error.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

JWT_SECRET_BYTES = 32
MAX_PORT = 65_535

# A name with one of these prefixes that nobody knows is a slip of the pen.
_OUR_PREFIXES = ("JWT_", "RAZORPAY_", "PLATFORM_", "GRPC_TLS_", "CORE_", "NATS_URL")
# Both processes share an environment; this belongs to the bridge.
_OF_BRIDGE = frozenset({"CORE_ADDRESS"})
# Kubernetes writes such names by itself for a Service that is called `core`.
_KUBERNETES = re.compile(r"CORE_(SERVICE_(HOST|PORT)|PORT)(_\w+)?")


class ConfigError(Exception):
    """Names every setting that is missing, unknown or contradictory."""


class Settings(BaseSettings):
    """The settings of core, by the names of their environment variables in lower case."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="ignore")

    database_url: str = "sqlite+aiosqlite:///holdfast.db"
    core_listen: str = "127.0.0.1:50051"
    jwt_secret: SecretStr | None = None
    jwt_jwks_url: str | None = None
    jwt_issuer: str | None = None
    jwt_audience: str | None = None
    razorpay_key_id: str
    razorpay_key_secret: SecretStr
    razorpay_webhook_secret: SecretStr | None = None
    razorpay_webhook_secret_previous: SecretStr | None = None
    razorpay_base_url: str | None = None
    # Basis points of what is released.
    platform_fee_bps: int = Field(default=250, ge=0, le=10_000)
    grpc_tls_cert: Path | None = None
    grpc_tls_key: Path | None = None
    grpc_tls_client_ca: Path | None = None
    log_format: Literal["console", "json"] = "console"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("database_url")
    @classmethod
    def _check_database(cls, value: str) -> str:
        if not value.startswith(("sqlite+aiosqlite://", "postgresql+asyncpg://")):
            raise ValueError("must begin with sqlite+aiosqlite:// or postgresql+asyncpg://")
        return value

    @field_validator("core_listen")
    @classmethod
    def _check_listen(cls, value: str) -> str:
        address = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})", value)
        if address is None or int(address[2]) > MAX_PORT:
            raise ValueError(f"must be host:port, the port from 0 to {MAX_PORT}")
        return value

    @field_validator("jwt_secret")
    @classmethod
    def _check_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value().encode()) < JWT_SECRET_BYTES:
            raise ValueError(f"must be at least {JWT_SECRET_BYTES} bytes")
        return value

    @field_validator("jwt_jwks_url", "razorpay_base_url")
    @classmethod
    def _check_url(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://\S+", value):
            raise ValueError("must be an http or https URL")
        return value

    @field_validator("grpc_tls_cert", "grpc_tls_key", "grpc_tls_client_ca")
    @classmethod
    def _check_file(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError(f"there is no file {value}")
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    @property
    def webhook_secrets(self) -> tuple[str, ...]:
        """The current secret and the previous one, as far as they are set."""
        secrets = (self.razorpay_webhook_secret, self.razorpay_webhook_secret_previous)
        return tuple(s.get_secret_value() for s in secrets if s is not None)


def _contradictions(environ: Mapping[str, str]) -> list[str]:
    """What does not go together, told from presence alone: a bad value elsewhere hides none."""

    def has(name: str) -> bool:
        return bool(environ.get(name))

    wrong = []
    if has("JWT_SECRET") and has("JWT_JWKS_URL"):
        wrong.append("JWT_SECRET and JWT_JWKS_URL contradict each other: set one")
    if not has("JWT_SECRET") and not has("JWT_JWKS_URL"):
        wrong.append("JWT_SECRET or JWT_JWKS_URL must be set")
    if has("RAZORPAY_WEBHOOK_SECRET_PREVIOUS") and not has("RAZORPAY_WEBHOOK_SECRET"):
        wrong.append("RAZORPAY_WEBHOOK_SECRET_PREVIOUS needs RAZORPAY_WEBHOOK_SECRET")
    if has("GRPC_TLS_CERT") != has("GRPC_TLS_KEY"):
        wrong.append("GRPC_TLS_CERT and GRPC_TLS_KEY belong together")
    if has("GRPC_TLS_CLIENT_CA") and not has("GRPC_TLS_CERT"):
        wrong.append("GRPC_TLS_CLIENT_CA needs GRPC_TLS_CERT and GRPC_TLS_KEY")
    return wrong


def read() -> Settings:
    """Read the environment. Raises ConfigError, whose text names all that is wrong at once."""
    wrong = [f"{name} is not a setting of Holdfast" for name in _unknown(os.environ)]
    wrong += _contradictions(os.environ)
    settings = None
    try:
        settings = Settings()  # type: ignore[call-arg]
    except ValidationError as error:
        wrong += _sentences(error)
    if wrong or settings is None:
        raise ConfigError("Core cannot start:\n" + "\n".join(f"  - {w}" for w in wrong))
    return settings


def _unknown(environ: Mapping[str, str]) -> list[str]:
    known = {name.upper() for name in Settings.model_fields} | _OF_BRIDGE
    return sorted(
        name
        for name in environ
        if name.startswith(_OUR_PREFIXES) and name not in known and not _KUBERNETES.fullmatch(name)
    )


def _sentences(error: ValidationError) -> list[str]:
    sentences = []
    for one in error.errors(include_input=False, include_url=False):
        name = str(one["loc"][0]).upper()
        is_missing = one["type"] == "missing"
        message = "must be set" if is_missing else one["msg"].removeprefix("Value error, ")
        sentences.append(f"{name}: {message}")
    return sentences
