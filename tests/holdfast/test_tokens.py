"""Tokens: who is believed, and who is not."""

import json
import time
from typing import Any

import jwt
import pytest

from holdfast.tokens import TokenRefused, Verifier
from tests.fakes.bridge import SECRET, token


def claims(**changed: Any) -> dict[str, Any]:
    return {"sub": "buyer", "exp": time.time() + 60, **changed}


async def test_a_good_token_says_who_and_until_when() -> None:
    identity = await Verifier(secret=SECRET).verify(token("buyer", roles=["admin"], exp=9e9))
    assert (identity.user_id, identity.roles) == ("buyer", ("admin",))
    assert identity.expires_at == 9e9


async def test_the_role_is_user_where_none_is_named() -> None:
    assert (await Verifier(secret=SECRET).verify(token())).roles == ("user",)


async def test_an_identity_does_not_print_its_token() -> None:
    text = token()
    assert text not in repr(await Verifier(secret=SECRET).verify(text))


@pytest.mark.parametrize(
    "payload",
    [
        {"exp": 9e9},
        {"sub": "buyer"},
        {"sub": "", "exp": 9e9},
        {"sub": None, "exp": 9e9},
        {"sub": 7, "exp": 9e9},
        {"sub": ["buyer"], "exp": 9e9},
        {"sub": "x" * 129, "exp": 9e9},
        {"sub": "buyer\n", "exp": 9e9},
        {"sub": "buyer", "exp": 1},
        {"sub": "buyer", "exp": "soon"},
        {"sub": "buyer", "exp": None},
        {"sub": "buyer", "exp": float("inf")},
        {"sub": "buyer", "exp": 9e9, "nbf": 8e9},
        {"sub": "buyer", "exp": 9e9, "iat": 8e9},
        {"sub": "buyer", "exp": 9e9, "roles": "admin"},
        {"sub": "buyer", "exp": 9e9, "roles": [1]},
        {"sub": "buyer", "exp": 9e9, "roles": None},
        {"sub": "buyer", "exp": 9e9, "roles": {"admin": True}},
    ],
)
async def test_claims_that_prove_nothing_are_refused(payload: dict[str, Any]) -> None:
    signed = jwt.api_jws.encode(json.dumps(payload).encode(), SECRET, "HS256")
    with pytest.raises(TokenRefused):
        await Verifier(secret=SECRET).verify(signed)


@pytest.mark.parametrize(
    "text",
    ["", "a", "a.b.c", "...", "\ud800", "é.é.é", "x" * 9000, token() + "x", token().rsplit(".")[0]],
)
async def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(TokenRefused):
        await Verifier(secret=SECRET).verify(text)


@pytest.mark.parametrize(("algorithm", "key"), [("none", ""), ("HS384", SECRET * 2)])
async def test_other_algorithms_are_refused(algorithm: str, key: str) -> None:
    with pytest.raises(TokenRefused):
        await Verifier(secret=SECRET).verify(jwt.encode(claims(), key, algorithm))


async def test_another_secret_is_refused() -> None:
    with pytest.raises(TokenRefused):
        await Verifier(secret=SECRET[::-1]).verify(token())


@pytest.mark.parametrize(
    ("given", "good"),
    [
        ({}, False),
        ({"iss": "us"}, False),
        ({"aud": "escrow"}, False),
        ({"iss": "them", "aud": "escrow"}, False),
        ({"iss": "us", "aud": "other"}, False),
        ({"iss": "us", "aud": "escrow"}, True),
        ({"iss": "us", "aud": ["escrow", "other"]}, True),
    ],
)
async def test_issuer_and_audience_count_when_they_are_set(
    given: dict[str, Any], good: bool
) -> None:
    verifier = Verifier(secret=SECRET, issuer="us", audience="escrow")
    if good:
        assert (await verifier.verify(token(**given))).user_id == "buyer"
    else:
        with pytest.raises(TokenRefused):
            await verifier.verify(token(**given))


async def test_an_audience_is_no_matter_where_none_is_set() -> None:
    assert (await Verifier(secret=SECRET).verify(token(aud="any"))).user_id == "buyer"
