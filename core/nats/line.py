"""The one connection of this process to NATS: dialled, watched, and dialled again, for ever.

It is cut when it falls silent, and a new one knows nothing of the old: whoever uses it subscribes
again. What it says of a failure holds no password.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from nats.aio.client import Client
from nats.errors import Error
from nats.js.errors import ServiceUnavailableError

from core.heartbeat import beat, rest

log = logging.getLogger(__name__)

# How long one server of the address may take to answer, in seconds.
CONNECT_S = 2
# How long dialling may take, all servers of the address included.
DIAL_S = 10.0
# The first pause before NATS is dialled again, in seconds; it doubles.
REDIAL_FIRST_S = 0.2
# The longest such pause.
REDIAL_LAST_S = 2.0
# How often a connection is asked whether it still lives, in seconds.
PROBE_EVERY_S = 3.0
# How long it may take to answer, in seconds.
ANSWER_S = 3
# What a connection that is given up may take to end.
CLOSE_S = 1.0
# Bytes that may wait to be written to NATS before a sender waits too.
PENDING_BYTES = 1 << 20

# What may go wrong in any use of the connection.
FAULTS = (Error, OSError, TimeoutError, ValueError)


def admit(error: Exception) -> None:
    """Log what should not go wrong. Nothing that does on NATS may end core."""
    if not isinstance(error, FAULTS):
        log.error("NATS was used in a way that failed unexpectedly", exc_info=error)


def heed() -> None:
    """Raise the cancellation of this task, of which the client may have swallowed the first."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


class _Careful(Client):
    """A client that tells no server who we are in the clear, where the address asks for TLS.

    nats-py itself takes what the server offers. It has no public place for this.
    """

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        server = self._current_server
        is_safe = info.get("tls_required") or server is None or server.uri.scheme != "tls"
        if initial_connection and not is_safe:
            raise Error("the server offers no TLS, which the address asks for")
        await super()._process_info(info, initial_connection)


class Line:
    """Keeps one connection; `run` works, everybody else asks for `client`."""

    def __init__(self, url: str) -> None:
        """`url` may name several servers of one cluster, comma-separated.

        Who we are there stands in the first of them, escaped as in any URL.
        """
        servers = [urlsplit(one.strip()) for one in url.split(",")]
        # Without it, so that nothing the client says of a server can hold it.
        self._servers = [one._replace(netloc=_host(one)).geturl() for one in servers]
        name, password = (unquote(one or "") for one in (servers[0].username, servers[0].password))
        # A name alone is a token.
        self._login = (name, password, None) if password else (None, None, name or None)
        self._client: Client | None = None
        self._up = asyncio.Event()
        self._lost = asyncio.Event()
        self._last_fault = ""
        # Why there is no connection; empty while there is one, and before the first try has failed.
        self.problem = ""
        # Called each time that a connection is lost.
        self.lost: list[Callable[[], None]] = []

    @property
    def is_up(self) -> bool:
        return self._client is not None

    async def client(self) -> Client:
        """Wait for a connection, however long that takes, and answer it."""
        while True:
            client = self._client
            if client is not None and client.is_connected:
                return client
            if client is not None:
                # It has ended, and is about to say so.
                self._leave()
                self._lost.set()
            rest()
            await self._up.wait()
            beat()

    def is_current(self, client: Client) -> bool:
        """Whether this is still the connection to use."""
        return client is self._client and client.is_connected

    def drop(self, client: Client, error: BaseException) -> None:
        """Give a connection up, because using it has failed."""
        if client is self._client:
            self._note(error)
            self._leave()
            self._lost.set()

    async def run(self) -> None:
        """Dial, watch, and dial again, until cancelled."""
        wait_s = REDIAL_FIRST_S
        while True:
            heed()
            beat()
            client = _Careful()
            try:
                await self._dial(client)
                wait_s = REDIAL_FIRST_S
                await self._attend(client)
            except Exception as error:
                admit(error)
                self._note(error)
            finally:
                self._leave()
                await _end(client)
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, REDIAL_LAST_S)

    async def _dial(self, client: Client) -> None:
        self._last_fault = ""
        user, password, token = self._login

        async def failed(error: Exception) -> None:
            # The client itself only says in the end that no server is left.
            self._last_fault = say(error)

        async def closed() -> None:
            self._lost.set()

        self._lost.clear()
        async with asyncio.timeout(DIAL_S):
            await client.connect(
                self._servers,
                user=user,
                password=password,
                token=token,
                name="holdfast core",
                # We dial ourselves: what was not sent must not be sent later, out of its turn.
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=CONNECT_S,
                # A core does not hear its own bells.
                no_echo=True,
                pending_size=PENDING_BYTES,
                flush_timeout=ANSWER_S,
                error_cb=failed,
                closed_cb=closed,
            )

    async def _attend(self, client: Client) -> None:
        """Hand the connection out, and ask now and then whether it still lives."""
        self._client, self.problem = client, ""
        self._up.set()
        while True:
            heed()
            beat()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PROBE_EVERY_S):
                    await self._lost.wait()
                    return
            await client.flush(timeout=ANSWER_S)

    def _leave(self) -> None:
        was_up, self._client = self._client is not None, None
        self._up.clear()
        if was_up:
            self.problem = self.problem or self._last_fault or "the connection was lost"
            for tell in self.lost:
                tell()

    def _note(self, error: BaseException) -> None:
        text = say(error)
        if "no servers available" in text:
            text = self._last_fault or text
        self.problem = text


def _host(server: SplitResult) -> str:
    return server.netloc.rpartition("@")[2]


def say(error: BaseException) -> str:
    """What went wrong, for a person."""
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    if isinstance(error, ServiceUnavailableError) and error.code is None:
        return "JetStream does not answer: is it enabled there?"
    text = str(error).removeprefix("nats: ")
    return text or type(error).__name__


async def _end(client: Client) -> None:
    """Leave a connection without waiting for a peer that may be silent."""
    try:
        async with asyncio.timeout(CLOSE_S):
            await client.close()
    except Exception as error:
        admit(error)
    # nats-py has no public way to its socket.
    writer = getattr(getattr(client, "_transport", None), "_io_writer", None)
    if writer is not None:
        writer.transport.abort()
