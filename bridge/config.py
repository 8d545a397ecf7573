"""Every setting of the bridge, read once, checked and frozen.

The only room that looks at the environment. Secrets never print, not even in an error.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, FilePath, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

JWT_SECRET_BYTES = 32

# What pydantic takes for true.
_YES = frozenset({"1", "true", "t", "yes", "y", "on"})

# A name with one of these prefixes that nobody knows is a slip of the pen.
_OUR_PREFIXES = ("JWT_", "BRIDGE_", "CORE_", "GRPC_TLS_", "DEMO_", "ALLOWED_", "ALLOW_")
# Both processes share an environment; these belong to the other.
_OF_CORE = frozenset({"CORE_LISTEN"})
# Kubernetes writes such names by itself for a Service that is called `core` or `bridge`.
_KUBERNETES = re.compile(
    r"(CORE|BRIDGE)_"
    r"(SERVICE_(HOST|PORT(_\w+)?)=.*|PORT=(tcp|udp)://.*|PORT_\d+_(TCP|UDP)(_(PROTO|PORT|ADDR))?=.*)"
)
_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})")


class ConfigError(Exception):
    """Names every setting that is missing, unknown or contradictory."""


def _words(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(",") if word.strip())
    return value


class Settings(BaseSettings):
    """The bridge's settings, by the names of CONTRACT.md section 1 in lower case."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="ignore")

    core_address: Annotated[tuple[str, ...], NoDecode] = ("127.0.0.1:50051",)
    port: int = Field(default=8000, ge=0, le=65535)
    bridge_host: str = "127.0.0.1"
    jwt_secret: SecretStr | None = None
    jwt_jwks_url: str | None = None
    jwt_issuer: str | None = None
    jwt_audience: str | None = None
    bridge_token: SecretStr
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = ()
    demo_login: bool = False
    allow_query_token: bool = True
    # Core's certificate is the root that the bridge trusts; with a client CA set the bridge shows
    # the same certificate, which must then be good for client authentication too.
    grpc_tls_cert: FilePath | None = None
    grpc_tls_key: FilePath | None = None
    grpc_tls_client_ca: FilePath | None = None
    # Only for the dashboard's Content-Security-Policy: its payment page is the sandbox's.
    razorpay_base_url: str | None = None
    log_format: Literal["console", "json"] = "console"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("core_address", mode="before")
    @classmethod
    def _split_addresses(cls, value: Any) -> Any:
        return _words(value)

    @field_validator("core_address")
    @classmethod
    def _check_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        bad = [one for one in value if not _ADDRESS.fullmatch(one)]
        if bad or not value:
            raise ValueError(f"expected host:port, several comma-separated, not {bad or value}")
        return value

    @field_validator("allowed_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: Any) -> Any:
        return _words(value)

    @field_validator("allowed_origins")
    @classmethod
    def _check_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_origin(one) for one in value)

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    @field_validator("jwt_secret")
    @classmethod
    def _check_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value().encode()) < JWT_SECRET_BYTES:
            raise ValueError(f"must be at least {JWT_SECRET_BYTES} bytes")
        return value

    @field_validator("bridge_token")
    @classmethod
    def _check_token(cls, value: SecretStr) -> SecretStr:
        if not re.fullmatch(r"[\x21-\x7e]+", value.get_secret_value()):
            raise ValueError("must be a token: printable ASCII without blanks")
        return value

    @field_validator("jwt_jwks_url", "razorpay_base_url")
    @classmethod
    def _check_url(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://[^\s;,'\"]+", value):
            raise ValueError("must be an http or https URL")
        return value


def _origin(value: str) -> str:
    parts = urlsplit(value.rstrip("/"))
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path or parts.query:
        raise ValueError(f"expected scheme://host[:port], not {value!r}")
    return f"{parts.scheme}://{parts.netloc}".lower()


def _unknown(environ: Mapping[str, str]) -> list[str]:
    known = {name.upper() for name in Settings.model_fields} | _OF_CORE
    return sorted(
        name
        for name, value in environ.items()
        if name.startswith(_OUR_PREFIXES)
        and name not in known
        and not _KUBERNETES.fullmatch(f"{name}={value}")
    )


def _contradictions(environ: Mapping[str, str]) -> list[str]:
    """What does not go together, told from presence alone: a bad value elsewhere hides none."""

    def has(name: str) -> bool:
        return bool(environ.get(name))

    wrong = []
    if has("JWT_SECRET") and has("JWT_JWKS_URL"):
        wrong.append("JWT_SECRET and JWT_JWKS_URL contradict each other: set one")
    if not has("JWT_SECRET") and not has("JWT_JWKS_URL"):
        wrong.append("JWT_SECRET or JWT_JWKS_URL must be set")
    if environ.get("DEMO_LOGIN", "").lower() in _YES and not has("JWT_SECRET"):
        wrong.append("DEMO_LOGIN=1 needs JWT_SECRET, with which it signs")
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
        raise ConfigError("The bridge cannot start:\n" + "\n".join(f"  - {w}" for w in wrong))
    return settings


def _sentences(error: ValidationError) -> list[str]:
    sentences = []
    for one in error.errors(include_input=False, include_url=False):
        name = str(one["loc"][0]).upper()
        is_missing = one["type"] == "missing"
        message = "must be set" if is_missing else one["msg"].removeprefix("Value error, ")
        sentences.append(f"{name}: {message}")
    return sentences
