"""Published keys: believed while good, asked for gently, kept while their server is away."""

import time
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from holdfast.tokens import KeysUnavailable, TokenRefused, Verifier
from tests.fakes.bridge import SECRET

RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
KEYS: dict[str, tuple[str, Any]] = {"r": ("RS256", RSA), "e": ("ES256", EC), "d": ("EdDSA", ED)}


def claims(**changed: Any) -> dict[str, Any]:
    return {"sub": "buyer", "exp": time.time() + 60, **changed}


class Publisher:
    """A JWKS endpoint."""

    def __init__(self) -> None:
        self.asked = 0
        self.keys = [
            {**RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True), "kid": "r"},
            {**ECAlgorithm.to_jwk(EC.public_key(), as_dict=True), "kid": "e"},
            {**OKPAlgorithm.to_jwk(ED.public_key(), as_dict=True), "kid": "d"},
        ]
        self.url = ""

    async def serve(self, _request: web.Request) -> web.Response:
        self.asked += 1
        return web.json_response({"keys": self.keys})


@pytest.fixture
async def publisher() -> AsyncIterator[Publisher]:
    published = Publisher()
    app = web.Application()
    app.router.add_get("/jwks", published.serve)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    published.url = f"http://127.0.0.1:{runner.addresses[0][1]}/jwks"
    yield published
    await runner.cleanup()


@pytest.fixture
async def published(publisher: Publisher) -> AsyncIterator[Verifier]:
    verifier = Verifier(secret=None, jwks_url=publisher.url)
    yield verifier
    await verifier.close()


@pytest.mark.parametrize("kid", ["r", "e", "d"])
async def test_published_keys_are_believed_and_fetched_once(
    publisher: Publisher, published: Verifier, kid: str
) -> None:
    algorithm, key = KEYS[kid]
    for _ in range(3):
        signed = jwt.encode(claims(), key, algorithm, headers={"kid": kid})
        assert (await published.verify(signed)).user_id == "buyer"
    assert publisher.asked == 1


async def test_an_algorithm_that_does_not_belong_to_the_key_is_refused(
    published: Verifier,
) -> None:
    forged = [
        jwt.encode(claims(), EC, "ES256", headers={"kid": "r"}),
        jwt.encode(claims(), RSA, "RS512", headers={"kid": "r"}),
        jwt.encode(claims(), RSA, "PS256", headers={"kid": "r"}),
        jwt.encode(claims(), SECRET, "HS256", headers={"kid": "r"}),
        jwt.encode(claims(), "", "none", headers={"kid": "r"}),
        jwt.encode(claims(), RSA, "RS256", headers={"kid": "unknown"}),
        jwt.encode(claims(), RSA, "RS256"),
    ]
    for one in forged:
        with pytest.raises(TokenRefused):
            await published.verify(one)


async def test_unknown_names_do_not_make_us_hammer_the_endpoint(
    publisher: Publisher, published: Verifier
) -> None:
    for number in range(5):
        signed = jwt.encode(claims(), RSA, "RS256", headers={"kid": f"k{number}"})
        with pytest.raises(TokenRefused):
            await published.verify(signed)
    assert publisher.asked <= 2


async def test_a_published_secret_is_no_key(publisher: Publisher, published: Verifier) -> None:
    oct_key = {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA", "kid": "o"}
    publisher.keys = [oct_key]
    secret = b"secret-secret-secret-secret-secret"
    with pytest.raises(TokenRefused):
        await published.verify(jwt.encode(claims(), secret, "HS256", headers={"kid": "o"}))


async def test_a_nameless_token_is_believed_where_one_key_is_published(
    publisher: Publisher, published: Verifier
) -> None:
    publisher.keys = publisher.keys[:1]
    assert (await published.verify(jwt.encode(claims(), RSA, "RS256"))).user_id == "buyer"


async def test_an_endpoint_that_is_away_is_not_the_tokens_fault() -> None:
    verifier = Verifier(secret=None, jwks_url="http://127.0.0.1:1/jwks")
    signed = jwt.encode(claims(), RSA, "RS256", headers={"kid": "r"})
    with pytest.raises(KeysUnavailable):
        await verifier.verify(signed)
    await verifier.close()
