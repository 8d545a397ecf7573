"""One try of one delivery: a POST, and what became of it. Follows no redirect."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from yarl import URL

from core.webhooks.address import AddressRefused, Guard

# Connections of one process to endpoints.
MAX_CONNECTIONS = 200
# How long a connection may take, and looking up its name.
CONNECT_S = 5.0
# How long a try may take in all.
ANSWER_S = 15.0
# Bytes that are read of an answer; the connection is closed where there are more.
MAX_ANSWER_BYTES = 64 * 1024
# Characters of an answer that are kept, where it is not 2xx.
MAX_PROBLEM = 300
# The longest wait that an endpoint may ask for (`Retry-After`), in seconds.
MAX_RETRY_AFTER_S = 86_400.0

# The status by which a receiver says that it wants nothing any more.
GONE = 410
_BUSY = (429, 503)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a try."""

    # 0 where there was no answer.
    status: int
    # Empty where it succeeded.
    problem: str
    # How long the endpoint wants to be left alone.
    retry_after_s: float = 0.0

    @property
    def is_taken(self) -> bool:
        return not self.problem


class Poster:
    """An HTTP client for deliveries."""

    def __init__(self, guard: Guard, *, connect_s: float = CONNECT_S, answer_s: float = ANSWER_S):
        # A cookie, a login from the environment or a proxy is nothing that a receiver may count on.
        self._http = aiohttp.ClientSession(
            connector=guard.connector(MAX_CONNECTIONS),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=answer_s, connect=connect_s),
            # An inflated body has no limit of its own.
            auto_decompress=False,
            headers={"User-Agent": "Holdfast", "Accept-Encoding": "identity"},
        )

    async def close(self) -> None:
        await self._http.close()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Try once. Never raises but when it is cancelled."""
        try:
            return await self._post(url, headers, body)
        except TimeoutError:
            return Outcome(0, "no answer in time")
        except aiohttp.ClientConnectorError as error:
            return Outcome(0, _why(error.os_error))
        except aiohttp.ClientResponseError as error:
            # Its own text has the URL in it, which may be a secret.
            return Outcome(0, _seen(f"not understood: {error.message}"))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Outcome(0, _seen(f"{type(error).__name__}: {error}"))

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        async with self._http.post(
            URL(url, encoded=True),
            data=body,
            headers={"Content-Type": "application/json", **headers},
            allow_redirects=False,
        ) as answer:
            is_good = 200 <= answer.status < 300
            read = await _beginning(answer)
            if is_good:
                return Outcome(answer.status, "")
            text = f"answered {answer.status}: {read.decode(errors='replace')}"
            return Outcome(answer.status, _seen(text), _retry_after(answer))


async def _beginning(answer: aiohttp.ClientResponse) -> bytes:
    """Read an answer to its end, or so much of it that the connection must be closed."""
    read = b""
    async for chunk in answer.content.iter_any():
        read += chunk
        if len(read) > MAX_ANSWER_BYTES:
            answer.close()
            break
    return read[:MAX_ANSWER_BYTES]


def _why(error: OSError) -> str:
    # Those who look at deliveries are told which address was refused, and nothing about what
    # listens there.
    if isinstance(error, AddressRefused):
        return f"refused by Holdfast: {error}"
    return _seen(f"cannot connect: {error}")


def _retry_after(answer: aiohttp.ClientResponse) -> float:
    text = answer.headers.get("Retry-After", "")
    if answer.status not in _BUSY or not re.fullmatch(r"[0-9]{1,9}", text):
        return 0.0
    return min(float(text), MAX_RETRY_AFTER_S)


def _seen(text: str) -> str:
    """Leave out of a text what cannot be seen, and cut it."""
    plain = "".join(one if one.isprintable() else " " for one in text)
    return " ".join(plain.split())[:MAX_PROBLEM]
