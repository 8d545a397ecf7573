"""Token to caller. Never logs or raises a token, never fetches keys on the event loop."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import jwt

from core.errors import Reason, Refusal
from core.law.command import RESERVED_IDS, Caller

MAX_TOKEN_CHARACTERS = 8_192
MAX_USER_ID_CHARACTERS = 128
# The roles that a token can carry; whatever else it says gives no right.
ROLES = frozenset({"user", "admin", "service"})
_JWKS_ALGORITHMS = ("RS256", "ES256", "EdDSA")
_JWKS_TIMEOUT_S = 3.0
_JWKS_LIFESPAN_S = 300.0
# Checked tokens kept, so that a busy caller's signature is not computed for every call.
CACHE_TOKENS = 10_000


@dataclass(frozen=True, slots=True)
class Verified:
    """Who a token is for, until when (seconds since the epoch)."""

    caller: Caller
    expires_at_s: float


class Verifier:
    """Checks tokens against one secret (HS256) or against published keys (JWKS)."""

    def __init__(
        self,
        *,
        secret: str | None,
        jwks_url: str | None = None,
        issuer: str | None = None,
        audience: str | None = None,
    ) -> None:
        self._secret = secret
        self._issuer = issuer
        self._audience = audience
        self._seen: dict[str, Verified] = {}
        self._keys: jwt.PyJWKClient | None = None
        self._threads: ThreadPoolExecutor | None = None
        if jwks_url is not None:
            self._keys = jwt.PyJWKClient(
                jwks_url, timeout=_JWKS_TIMEOUT_S, lifespan=_JWKS_LIFESPAN_S
            )
            self._threads = ThreadPoolExecutor(2, thread_name_prefix="jwks")

    async def verify(self, token: str, now_s: float) -> Verified:
        """Answer whose token it is. Raises Refusal TOKEN_INVALID or TOKEN_EXPIRED."""
        seen = self._seen.get(token)
        if seen is None:
            seen = _verified(await self._claims(token))
            if self._keys is None:  # A published key may be withdrawn; a secret is not.
                if len(self._seen) >= CACHE_TOKENS:
                    self._seen.clear()
                self._seen[token] = seen
        if now_s >= seen.expires_at_s:
            raise Refusal(Reason.TOKEN_EXPIRED, "The token has expired; sign in again.")
        return seen

    def close(self) -> None:
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def _claims(self, token: str) -> dict[str, Any]:
        if not token or len(token) > MAX_TOKEN_CHARACTERS:
            raise _invalid("it is empty or too long")
        try:
            if self._keys is None:
                return self._decode(token, self._secret or "", ("HS256",))
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, self._decode_with_keys, token)
        except jwt.ExpiredSignatureError:
            raise Refusal(Reason.TOKEN_EXPIRED, "The token has expired; sign in again.") from None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as error:
            raise _invalid(type(error).__name__) from None

    def _decode_with_keys(self, token: str) -> dict[str, Any]:
        assert self._keys is not None
        return self._decode(token, self._keys.get_signing_key_from_jwt(token), _JWKS_ALGORITHMS)

    def _decode(
        self, token: str, key: str | jwt.PyJWK, algorithms: tuple[str, ...]
    ) -> dict[str, Any]:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=algorithms,
            issuer=self._issuer,
            audience=self._audience,
            options={"require": ["sub", "exp"], "verify_aud": self._audience is not None},
        )
        return claims


def _verified(claims: dict[str, Any]) -> Verified:
    user_id, roles = claims["sub"], claims.get("roles", ["user"])
    if not 0 < len(user_id) <= MAX_USER_ID_CHARACTERS or not user_id.isprintable():
        raise _invalid(f"sub must be 1 to {MAX_USER_ID_CHARACTERS} printable characters")
    if user_id in RESERVED_IDS:
        raise _invalid(f"sub must not be {user_id}, which is one of Holdfast's own hands")
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        raise _invalid("roles must be a list of strings")
    try:
        expires_at_s = float(claims["exp"])
    except (ValueError, TypeError, OverflowError):
        raise _invalid("exp is no time") from None
    return Verified(Caller(user_id, ROLES.intersection(roles)), expires_at_s)


def _invalid(why: str) -> Refusal:
    return Refusal(Reason.TOKEN_INVALID, f"The token is not valid: {why}.")
