"""Makes tokens that core and bridge accept: HS256, with `sub`, `roles`, `iat` and `exp`.

They are signed with JWT_SECRET from the environment, or with the secret that `make run` keeps in
.run/. `main` prints only the token, so that a shell can use it: `-H "authorization: Bearer $(…)"`.
"""

from __future__ import annotations

import argparse
import os
import re
import time
from collections.abc import Mapping, Sequence

import jwt

from scripts.run.secret import Refusal, keep

ROLES = ("user", "admin", "service")
UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def mint(
    secret: str,
    user_id: str,
    roles: Sequence[str] = ("user",),
    *,
    ttl_s: int,
    environment: Mapping[str, str] = os.environ,
) -> str:
    """Sign a token that is valid from now on. JWT_ISSUER and JWT_AUDIENCE set `iss` and `aud`."""
    now = int(time.time())
    claims = {"sub": user_id, "roles": list(roles), "iat": now, "exp": now + ttl_s}
    for claim, variable in (("iss", "JWT_ISSUER"), ("aud", "JWT_AUDIENCE")):
        if environment.get(variable):
            claims[claim] = environment[variable]
    return jwt.encode(claims, secret, algorithm="HS256")


def signing_secret(environment: Mapping[str, str] = os.environ) -> str:
    """Answer JWT_SECRET, or else the secret in .run/, which is made if there is none."""
    return environment.get("JWT_SECRET") or keep().jwt_secret


def seconds(text: str) -> int:
    """Read `90s`, `30m`, `12h` or `7d`. Raises argparse's ArgumentTypeError."""
    found = re.fullmatch(r"([1-9]\d{0,8})([smhd])", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration: say 90s, 30m, 12h or 7d")
    return int(found[1]) * UNITS_S[found[2]]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="token.py", description="Print a token for Holdfast.")
    parser.add_argument("--user", required=True, help="the user id, `sub`")
    parser.add_argument(
        "--role", action="append", choices=ROLES, help="may be repeated (default: user)"
    )
    parser.add_argument(
        "--ttl",
        type=seconds,
        default="12h",
        help="how long the token is valid: 90s, 30m, 12h or 7d (default: %(default)s)",
    )
    given = parser.parse_args(arguments)
    try:
        secret = signing_secret()
    except Refusal as refusal:
        raise SystemExit(f"token.py: {refusal}") from None
    print(mint(secret, given.user, given.role or ["user"], ttl_s=given.ttl))
