"""An aiohttp application of a test's own, on a free port of this machine."""

from abc import ABC, abstractmethod
from typing import Self

from aiohttp import web


class Served(ABC):
    """Use with `async with`: it listens as long as the block lasts."""

    @abstractmethod
    def app(self) -> web.Application:
        """Make what is served."""

    @property
    def port(self) -> int:
        return int(self._runner.addresses[0][1])

    @property
    def base(self) -> str:
        """Its address, without a path."""
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._runner = web.AppRunner(self.app(), access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
