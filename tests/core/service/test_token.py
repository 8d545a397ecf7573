"""Tokens: who they are for, and every way in which they are refused."""

import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from core.errors import Reason, Refusal
from core.law.command import CLOCK, RAZORPAY, SETTLEMENT
from core.service.guard import authenticate
from holdfast.subject import RESERVED_USER_IDS
from holdfast.tokens import MAX_TOKEN_CHARACTERS, Verifier
from tests.core.counter import SECRET, token


@pytest.fixture
def verifier() -> Verifier:
    return Verifier(secret=SECRET)


async def reason(verifier: Verifier, text: str) -> Reason | None:
    refused: Refusal | None = None
    try:
        await authenticate(verifier, text)
    except Refusal as refusal:
        refused = refusal
    if refused is None:
        return None
    assert text == "" or text not in refused.message, "a token never leaves"
    return refused.reason


def claims(**changes: Any) -> str:
    # Some are made when the tests are collected, and checked minutes later.
    body = {"sub": "alice", "exp": int(time.time()) + 3_600, **changes}
    return jwt.encode({k: v for k, v in body.items() if v is not None}, SECRET, "HS256")


async def test_a_token_says_who_calls_and_with_which_roles(verifier: Verifier) -> None:
    verified = await authenticate(verifier, token("alice", "service", "king"))
    assert verified.caller.user_id == "alice"
    assert verified.caller.roles == {"service"}
    plain = await authenticate(verifier, claims())
    assert plain.caller.roles == {"user"}


@pytest.mark.parametrize("role", ["razorpay", "settlement", "clock", "buyer", "arbiter", "raiser"])
async def test_no_token_makes_a_hand_of_ours(verifier: Verifier, role: str) -> None:
    verified = await authenticate(verifier, token("alice", role))
    assert verified.caller.roles == set()
    assert not verified.caller.sees_all


def test_the_names_that_nobody_may_have_are_those_of_the_record() -> None:
    assert {RAZORPAY.user_id, SETTLEMENT.user_id, CLOCK.user_id} == RESERVED_USER_IDS


@pytest.mark.parametrize("name", ["razorpay", "settlement", "clock"])
async def test_nobody_is_called_like_a_hand_of_ours(verifier: Verifier, name: str) -> None:
    with pytest.raises(Refusal) as refused:
        await authenticate(verifier, claims(sub=name))
    assert refused.value.reason is Reason.TOKEN_INVALID


BAD: dict[str, Any] = {
    "empty": "",
    "no jwt": "abc.def",
    "three dots": "...",
    "not ASCII": "ä.ö.ü",
    "too long": "x" * (MAX_TOKEN_CHARACTERS + 1),
    "another secret": token("alice", secret="another secret, also of 32 bytes and more"),
    "alg none": jwt.encode({"sub": "alice", "exp": 2**40}, "", "none"),
    "another algorithm": jwt.encode({"sub": "alice", "exp": 2**40}, SECRET * 2, "HS512"),
    "no sub": claims(sub=None),
    "empty sub": claims(sub=""),
    "sub a number": claims(sub=5),
    "sub too long": claims(sub="x" * 129),
    "sub with NUL": claims(sub="a\0b"),
    "sub half a character": claims(sub="\ud800"),
    "no exp": claims(exp=None),
    "exp a text": claims(exp="tomorrow"),
    "exp beyond all numbers": claims(exp=10**400),
    "exp infinite": claims(exp=float("inf")),
    "not yet valid": claims(nbf=2**40),
    "roles a text": claims(roles="admin"),
    "roles of numbers": claims(roles=[1]),
    "roles an object": claims(roles={"admin": True}),
}


@pytest.mark.parametrize("kind", BAD)
async def test_a_bad_token_is_refused(verifier: Verifier, kind: str) -> None:
    assert await reason(verifier, BAD[kind]) is Reason.TOKEN_INVALID


async def test_an_expired_token_is_told_apart(verifier: Verifier) -> None:
    assert await reason(verifier, claims(exp=int(time.time()) - 1)) is Reason.TOKEN_EXPIRED


async def test_a_known_token_still_expires() -> None:
    now_s = time.time()
    verifier = Verifier(secret=SECRET, now_s=lambda: now_s)
    text = claims(exp=int(now_s) + 60)
    assert await reason(verifier, text) is None
    now_s += 61
    assert await reason(verifier, text) is Reason.TOKEN_EXPIRED


async def test_issuer_and_audience_are_checked_when_set() -> None:
    strict = Verifier(secret=SECRET, issuer="https://us", audience="holdfast")
    assert await reason(strict, claims(iss="https://us", aud="holdfast")) is None
    assert await reason(strict, claims(iss="https://us", aud=["x", "holdfast"])) is None
    for wrong in ({}, {"iss": "https://us"}, {"iss": "https://you", "aud": "holdfast"}):
        assert await reason(strict, claims(**wrong)) is Reason.TOKEN_INVALID
    relaxed = Verifier(secret=SECRET)
    assert await reason(relaxed, claims(aud="anything")) is None


async def test_a_public_key_is_no_secret() -> None:
    key = rsa.generate_private_key(65_537, 2_048)
    signed = jwt.encode({"sub": "alice", "exp": 2**40}, key, "RS256")
    assert await reason(Verifier(secret=SECRET), signed) is Reason.TOKEN_INVALID


async def test_published_keys_that_cannot_be_had_refuse_and_do_not_break() -> None:
    verifier = Verifier(secret=None, jwks_url="http://127.0.0.1:1/keys")
    assert await reason(verifier, claims()) is not None
    await verifier.close()


async def test_keys_that_cannot_be_had_are_not_the_tokens_fault() -> None:
    verifier = Verifier(secret=None, jwks_url="http://127.0.0.1:1/keys")
    key = ed25519.Ed25519PrivateKey.generate()
    signed = jwt.encode({"sub": "alice", "exp": 2**33}, key, "EdDSA", headers={"kid": "k"})
    assert await reason(verifier, signed) is Reason.KEYS_UNAVAILABLE
    assert Reason.KEYS_UNAVAILABLE.retry
    await verifier.close()


@pytest.mark.parametrize("claim", ["iat", "nbf"])
async def test_a_login_server_may_be_a_few_seconds_ahead(verifier: Verifier, claim: str) -> None:
    assert await reason(verifier, claims(**{claim: int(time.time()) + 3})) is None
    assert await reason(verifier, claims(**{claim: int(time.time()) + 60})) is Reason.TOKEN_INVALID


@pytest.mark.parametrize("value", [2**40, 253_402_300_800, -1, True, "9999999999", None, [1]])
async def test_a_time_that_is_none_is_named(verifier: Verifier, value: Any) -> None:
    # As JSON: PyJWT itself leaves out nothing and converts nothing.
    body = json.dumps({"sub": "alice", "exp": value}).encode()
    with pytest.raises(Refusal) as refused:
        await authenticate(verifier, jwt.api_jws.encode(body, SECRET, "HS256"))
    assert refused.value.reason is Reason.TOKEN_INVALID
