"""Token to identity.

Must never log or raise a token, and never fetch keys on the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import jwt

from bridge.protocol.errors import KeysUnavailable, TokenRefused

USER_ID_CHARACTERS = 128
TOKEN_CHARACTERS = 8 * 1024
JWKS_TIMEOUT_S = 3.0
JWKS_LIFESPAN_S = 300.0
JWKS_COOLDOWN_S = 10.0
JWKS_THREADS = 2
_JWKS_ALGORITHMS = ("RS256", "ES256", "EdDSA")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is calling, until when (`expires_at`, seconds since the epoch), and the proof."""

    user_id: str
    roles: tuple[str, ...]
    expires_at: float
    token: str = field(repr=False)


class Verifier:
    """Checks tokens against one secret (HS256) or against published keys."""

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
        self._keys: jwt.PyJWKClient | None = None
        if jwks_url is not None:
            self._keys = jwt.PyJWKClient(
                jwks_url,
                timeout=JWKS_TIMEOUT_S,
                lifespan=JWKS_LIFESPAN_S,
                cooldown_duration=JWKS_COOLDOWN_S,
            )
            self._threads = ThreadPoolExecutor(JWKS_THREADS, thread_name_prefix="jwks")

    async def verify(self, token: str) -> Identity:
        """Answer whose token it is.

        Raises TokenRefused for any token that section 2 of the contract refuses, and
        KeysUnavailable when the published keys cannot be fetched.
        """
        if not token or len(token) > TOKEN_CHARACTERS:
            raise TokenRefused("the token is missing or too long")
        try:
            if self._keys is None:
                claims = self._decode(token, self._secret or "", ("HS256",))
            else:
                claims = await self._in_thread(self._decode_with_keys, token)
        except jwt.PyJWKClientConnectionError as error:
            raise KeysUnavailable("the JWKS endpoint does not answer") from error
        except jwt.ExpiredSignatureError:
            raise TokenRefused("the token has expired", expired=True) from None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as error:
            raise TokenRefused(type(error).__name__) from None
        return _identity(claims, token)

    def close(self) -> None:
        if self._keys is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, call: Callable[[str], dict[str, Any]], token: str) -> dict[str, Any]:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, token)

    def _decode_with_keys(self, token: str) -> dict[str, Any]:
        assert self._keys is not None
        kid = jwt.get_unverified_header(token).get("kid")
        if kid is None:
            # Without a name there must be only one key that it can mean.
            keys = self._keys.get_signing_keys()
            if len(keys) != 1:
                raise jwt.InvalidTokenError("no kid")
            key = keys[0]
        else:
            key = self._keys.get_signing_key(kid)
        return self._decode(token, key, _JWKS_ALGORITHMS)

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


def _identity(claims: dict[str, Any], token: str) -> Identity:
    user_id, roles = claims["sub"], claims.get("roles", ["user"])
    if not 0 < len(user_id) <= USER_ID_CHARACTERS or not user_id.isprintable():
        raise TokenRefused("sub must be 1 to 128 printable characters")
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        raise TokenRefused("roles must be a list of strings")
    return Identity(user_id, tuple(roles), float(claims["exp"]), token)
