"""Token to identity, for core and bridge alike.

Must never log or raise a token.
"""

from __future__ import annotations

import base64
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jwt

from holdfast.keys import ALGORITHMS, KeyServer, KeysUnavailable, UnknownKey
from holdfast.revocation import Revocations
from holdfast.subject import ROLES, user_id_problem

__all__ = ["Identity", "KeysUnavailable", "TokenRefused", "Verifier"]

# Characters of a token.
MAX_TOKEN_CHARACTERS = 8_192
# How far ahead of ours the clock of a login server may be (`iat`, `nbf`). Never for `exp`.
LEEWAY_S = 5.0
# The first second of the year 10000, which no time of ours can express.
END_OF_TIME_S = 253_402_300_800.0
# Checked tokens kept, so that a busy caller's signature is not computed for every call.
CACHE_TOKENS = 10_000


class TokenRefused(Exception):
    """A token proves nothing; `expired` and `revoked` tell the reasons that a new one mends."""

    def __init__(self, why: str, *, expired: bool = False, revoked: bool = False) -> None:
        super().__init__(why)
        self.expired = expired
        self.revoked = revoked


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a token is for, with which roles, and the proof.

    Times are seconds since the epoch; `issued_at` is 0 where the token does not say.
    """

    user_id: str
    roles: tuple[str, ...]
    expires_at: float
    token: str = field(repr=False)
    issued_at: float = 0.0


class Verifier:
    """Checks tokens against one secret (HS256) or against published keys (JWKS)."""

    def __init__(
        self,
        *,
        secret: str | None,
        jwks_url: str | None = None,
        issuer: str | None = None,
        audience: str | None = None,
        now_s: Callable[[], float] = time.time,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`now_s` is the wall clock and `clock_s` a monotonic one, both in seconds."""
        self._key = _hmac_key(secret or "")
        self._issuer = issuer
        self._audience = audience
        self._now_s = now_s
        self._seen: dict[str, Identity] = {}
        self.revocations = Revocations()
        self.keys: KeyServer | None = None
        if jwks_url is not None:
            self.keys = KeyServer(jwks_url, clock_s=clock_s)
            self.keys.changed = self._seen.clear

    async def verify(self, token: str) -> Identity:
        """Answer whose token it is. Raises TokenRefused, and KeysUnavailable where nobody knows."""
        if self.keys is not None and self._seen:
            await self.keys.refresh()
        identity = self._seen.get(token)
        if identity is None:
            identity = await self._read(token)
            if len(self._seen) >= CACHE_TOKENS:
                self._seen.clear()
            self._seen[token] = identity
        if self._now_s() >= identity.expires_at:
            raise TokenRefused("it has expired", expired=True)
        if self.revocations.covers(identity.user_id, identity.issued_at):
            raise TokenRefused("it was revoked", revoked=True)
        return identity

    async def close(self) -> None:
        if self.keys is not None:
            await self.keys.close()

    async def _read(self, token: str) -> Identity:
        if not token or len(token) > MAX_TOKEN_CHARACTERS:
            raise TokenRefused("it is missing or too long")
        try:
            claims = await self._claims(token)
        except UnknownKey as error:
            raise TokenRefused(str(error)) from None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise TokenRefused(_reason(error)) from None
        return _identity(claims, token)

    async def _claims(self, token: str) -> dict[str, Any]:
        if self.keys is None:
            return self._decode(token, self._key, "HS256")
        header = jwt.get_unverified_header(token)
        if header.get("alg") not in ALGORITHMS:
            raise TokenRefused(f"its algorithm is not one of {', '.join(ALGORITHMS)}")
        key = await self.keys.key(header.get("kid"), may_be_new=self._may_be_new(token))
        return self._decode(token, key, key.algorithm_name)

    def _may_be_new(self, token: str) -> bool:
        """Whether a token was made after the keys were fetched, as far as it may be believed."""
        assert self.keys is not None
        age_s = self.keys.age_s
        issued_at = jwt.decode(token, options={"verify_signature": False}).get("iat")
        if age_s is None or not isinstance(issued_at, int | float):
            return False
        return bool(issued_at > self._now_s() - age_s - LEEWAY_S)

    def _decode(self, token: str, key: str | jwt.PyJWK, algorithm: str) -> dict[str, Any]:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            issuer=self._issuer,
            audience=self._audience,
            leeway=LEEWAY_S,
            # The leeway must not lengthen a token's life: `exp` is compared in `verify`.
            options={
                "require": ["sub", "exp"],
                "verify_exp": False,
                "verify_aud": self._audience is not None,
            },
        )
        return claims


def _hmac_key(secret: str) -> str | jwt.PyJWK:
    """Prepare the secret once. One that PyJWT refuses, it refuses again with each token."""
    try:
        jwt.get_algorithm_by_name("HS256").prepare_key(secret)
    except jwt.InvalidKeyError:
        return secret
    k = base64.urlsafe_b64encode(secret.encode()).decode()
    return jwt.PyJWK({"kty": "oct", "k": k}, algorithm="HS256")


def _identity(claims: dict[str, Any], token: str) -> Identity:
    user_id, roles = claims["sub"], claims.get("roles", ["user"])
    problem = user_id_problem(user_id)
    if problem:
        raise TokenRefused(f"sub {problem}")
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        raise TokenRefused("roles must be a list of strings")
    known = tuple(role for role in dict.fromkeys(roles) if role in ROLES)
    issued_at = _time(claims, "iat") if "iat" in claims else 0.0
    return Identity(user_id, known, _time(claims, "exp"), token, issued_at)


def _time(claims: dict[str, Any], name: str) -> float:
    value = claims[name]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # Compared as it is: a whole number may be too large for a float.
    if not is_number or not 0 <= value < END_OF_TIME_S or math.isnan(value):
        raise TokenRefused(f"{name} must be a number of seconds since 1970, before the year 10000")
    return float(value)


def _reason(error: Exception) -> str:
    # PyJWT's own sentences may quote a claim; the kind of the error says enough.
    return type(error).__name__
