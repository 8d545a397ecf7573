"""The key server: fetches the published keys (JWKS) with which tokens are signed.

Keys that were good stay good for a day while their server is away, so that its outage logs nobody
out. Must never block the event loop, fetch twice at a time, or fetch without a limit of time and
size.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
import jwt

log = logging.getLogger(__name__)

ALGORITHMS = ("RS256", "ES256", "EdDSA")
# How old keys may be before they are fetched anew when a token is checked.
REFRESH_S = 300.0
# How long keys stay good after the last fetch that succeeded.
KEEP_S = 24 * 3_600.0
# The least time between two fetches, whatever the tokens ask for.
COOLDOWN_S = 3.0
# How long one fetch may take, from the connection to the last byte.
FETCH_S = 4.0
# The longest answer of a key server.
MAX_BYTES = 512 * 1024


class KeysUnavailable(Exception):
    """The published keys cannot be had, so that nobody can tell whether a token is good."""


class UnknownKey(Exception):
    """The key server does not publish the key that a token names."""


class KeyServer:
    """The keys that one JWKS address publishes."""

    def __init__(self, url: str, *, clock_s: Callable[[], float]) -> None:
        """`clock_s` is a monotonic clock, in seconds."""
        self._url = url
        self._clock_s = clock_s
        self._keys: list[jwt.PyJWK] = []
        self._body = b""
        self._fetched_s = -KEEP_S
        self._asked_s = -COOLDOWN_S
        self._fetching: asyncio.Task[None] | None = None
        self._problem = ""
        # Called after a fetch that changed the keys: what was verified with the old ones is void.
        self.changed: Callable[[], None] = lambda: None

    @property
    def problem(self) -> str:
        """Why the last fetch failed; empty when it succeeded or none was made."""
        return self._problem

    @property
    def age_s(self) -> float | None:
        """Seconds since the last fetch that succeeded; None when there was none."""
        return self._clock_s() - self._fetched_s if self._keys else None

    async def key(self, kid: str | None, *, may_be_new: bool) -> jwt.PyJWK:
        """Answer the key of this name; without a name, the only key there is.

        `may_be_new` says that the token was made after the keys were last fetched, so that its key
        may be newer than they are: it is then worth waiting for the next fetch. Raises UnknownKey
        and KeysUnavailable.
        """
        await self.refresh()
        try:
            return self._find(kid)
        except UnknownKey:
            if self._fetching is None and not self._may_fetch():
                if self._problem:
                    raise KeysUnavailable(self._problem) from None
                if not may_be_new:
                    raise
        await self._fetch_again()
        if self._problem:
            raise KeysUnavailable(self._problem)
        return self._find(kid)

    async def refresh(self) -> None:
        """Begin a fetch where the keys are old; wait for it only where there are none.

        Raises KeysUnavailable.
        """
        age_s = self._clock_s() - self._fetched_s
        if age_s > REFRESH_S and self._may_fetch():
            self._begin()
        if age_s <= KEEP_S and self._keys:
            return
        if self._fetching is not None:
            await asyncio.wait({self._fetching})
        if not self._keys or self._clock_s() - self._fetched_s > KEEP_S:
            raise KeysUnavailable(self._problem or "the key server has not been asked yet")

    async def close(self) -> None:
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)

    def _find(self, kid: str | None) -> jwt.PyJWK:
        if kid is None and len(self._keys) == 1:
            return self._keys[0]
        for key in self._keys:
            if kid is not None and key.key_id == kid:
                return key
        raise UnknownKey("the key server does not publish its key")

    def _may_fetch(self) -> bool:
        return self._fetching is None and self._clock_s() - self._asked_s >= COOLDOWN_S

    async def _fetch_again(self) -> None:
        if self._fetching is None:
            rest_s = self._asked_s + COOLDOWN_S - self._clock_s()
            if rest_s > 0:
                await asyncio.sleep(rest_s)
        if self._fetching is None and self._may_fetch():
            self._begin()
        if self._fetching is not None:
            await asyncio.wait({self._fetching})

    def _begin(self) -> None:
        self._asked_s = self._clock_s()
        self._fetching = asyncio.create_task(self._fetch())

    async def _fetch(self) -> None:
        try:
            body = await _download(self._url)
            keys = _usable(body)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            self._failed(f"{type(error).__name__}: {error}".rstrip(": "))
        except Exception as error:  # A body that nobody thought of must not end all verification.
            self._failed(type(error).__name__)
        else:
            self._take(keys, body)
        finally:
            self._fetching = None

    def _take(self, keys: list[jwt.PyJWK], body: bytes) -> None:
        if self._problem:
            log.warning("the key server answers again")
        self._problem = ""
        self._fetched_s = self._clock_s()
        if body != self._body:
            self._keys, self._body = keys, body
            self.changed()

    def _failed(self, why: str) -> None:
        if not self._problem:
            kept = "the keys it gave before stay good" if self._keys else "no token can be checked"
            log.warning("the key server cannot be used (%s); %s", why[:200], kept)
        self._problem = why


async def _download(url: str) -> bytes:
    timeout = aiohttp.ClientTimeout(total=FETCH_S)
    # An inflated body has no limit of its own, so compressed ones are neither asked for nor read.
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    async with (
        aiohttp.ClientSession(timeout=timeout, auto_decompress=False, headers=headers) as session,
        session.get(url, max_redirects=3) as response,
    ):
        if response.status != 200:
            raise ValueError(f"it answered {response.status}")
        body = b""
        async for chunk in response.content.iter_chunked(16 * 1024):
            body += chunk
            if len(body) > MAX_BYTES:
                raise ValueError(f"its answer is larger than {MAX_BYTES} bytes")
    return body


def _usable(body: bytes) -> list[jwt.PyJWK]:
    """Read the keys that can sign a token of ours. Raises ValueError when there is none."""
    with contextlib.suppress(RecursionError):
        document = json.loads(body)
        listed = document.get("keys") if isinstance(document, dict) else None
        keys = [key for one in listed or () if (key := _key(one)) is not None]
        if keys:
            return keys
    raise ValueError("it publishes no RS256, ES256 or EdDSA key")


def _key(data: Any) -> jwt.PyJWK | None:
    if not isinstance(data, Mapping) or data.get("use", "sig") != "sig":
        return None
    try:
        key = jwt.PyJWK(dict(data))
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return key if key.algorithm_name in ALGORITHMS else None
