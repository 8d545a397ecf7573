"""The demo login: issues a token to anybody who asks. Only with DEMO_LOGIN=1."""

from __future__ import annotations

import json
from collections.abc import Callable
from time import time
from typing import Any

import jwt
from aiohttp import web

from bridge.door.body import Bodies, BodyRefused
from bridge.door.reply import refuse
from bridge.limits import Limits
from bridge.web.origin import Hosts, Origins
from holdfast.subject import MAX_USER_ID_CHARACTERS

# The most bytes in the body of a demo login.
BODY_BYTES = 16 * 1024
ROLES = ("user", "admin", "service")
# Characters of the name that a token carries.
NAME_CHARACTERS = 80


class DemoLogin:
    """POST /api/v1/demo/token: `{"user_id","roles","name"}` to `{"token"}`, for `demo_token_s`.

    The name, which may be left out, is the token's claim `name`.
    """

    def __init__(
        self,
        secret: str,
        *,
        issuer: str | None,
        audience: str | None,
        origins: Origins,
        hosts: Hosts,
        bodies: Bodies,
        limits: Limits,
        clock: Callable[[], float] = time,
    ) -> None:
        self._secret = secret
        self._fixed = {"iss": issuer, "aud": audience}
        self._seconds = limits.demo_token_s
        self._body_s = limits.body_s
        self._origins = origins
        self._hosts = hosts
        self._bodies = bodies
        self._clock = clock

    async def give(self, request: web.Request) -> web.Response:
        if not self._origins.admits(request):
            return refuse(403, "PERMISSION_DENIED", "ORIGIN_REFUSED", "This origin may not log in.")
        if not self._hosts.names_us(request):
            # DNS rebinding: another site's name that points here would make its pages our own.
            text = "The demo login answers only at this machine's own names, such as localhost."
            return refuse(403, "PERMISSION_DENIED", "HOST_REFUSED", text)
        try:
            body = await self._bodies.read(request, most=BODY_BYTES, within_s=self._body_s)
            claims = _read(body)
        except BodyRefused as refused:
            return refused.answer
        except ValueError as error:
            return refuse(400, "INVALID_ARGUMENT", "FIELD_INVALID", str(error))
        now = int(self._clock())
        claims |= {"iat": now, "exp": now + self._seconds}
        claims |= {name: value for name, value in self._fixed.items() if value is not None}
        return web.json_response({"token": jwt.encode(claims, self._secret, "HS256")})


def _read(body: bytes) -> dict[str, Any]:
    """Read what the token is to say of the user. Raises ValueError, which names the field."""
    try:
        form: Any = json.loads(body.decode())
    except (ValueError, RecursionError):
        raise ValueError("the body must be a JSON object") from None
    if not isinstance(form, dict):
        raise ValueError("the body must be a JSON object")
    user_id, roles = form.get("user_id"), form.get("roles", ["user"])
    if not isinstance(user_id, str) or not 0 < len(user_id) <= MAX_USER_ID_CHARACTERS:
        raise ValueError(f"user_id: must be a string of 1 to {MAX_USER_ID_CHARACTERS} characters")
    if not user_id.isprintable():
        raise ValueError("user_id: must be printable")
    if not isinstance(roles, list) or not roles or any(role not in ROLES for role in roles):
        raise ValueError(f"roles: must be a list of {', '.join(ROLES)}")
    name = form.get("name", "")
    if not isinstance(name, str) or len(name) > NAME_CHARACTERS or not name.isprintable():
        raise ValueError(f"name: must be a string of at most {NAME_CHARACTERS} characters")
    return {"sub": user_id, "roles": roles} | ({"name": name} if name else {})
