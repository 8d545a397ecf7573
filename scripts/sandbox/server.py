"""Wires the parts of the sandbox, serves them and stops them."""

import asyncio
import random
from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

from scripts.sandbox.api import Api, Handler
from scripts.sandbox.books import Books, now_s
from scripts.sandbox.door import Door, open_to_all
from scripts.sandbox.faults import Faults
from scripts.sandbox.page import Page
from scripts.sandbox.webhook import Courier

# What a sandbox uses if no keys are given.
KEY_ID = "rzp_test_sandbox"
KEY_SECRET = "sandbox_key_secret"
WEBHOOK_SECRET = "sandbox_webhook_secret"
PROCESS_DELAY_S = 0.05
MAX_BODY_BYTES = 1024 * 1024
STOP_WITHIN_S = 1.0


class Sandbox:
    """A local stand-in for Razorpay, on a port of this machine.

    `port=0` takes a free port; `seed` makes ids and faults repeatable. Start and stop it on the
    same loop, or use it with `async with`. `webhook_url` may be changed while it runs. Times in its
    entities are those of `clock_s`.
    """

    def __init__(
        self,
        *,
        key_id: str = KEY_ID,
        key_secret: str = KEY_SECRET,
        webhook_secret: str = WEBHOOK_SECRET,
        webhook_url: str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        seed: int | None = None,
        process_delay_s: float = PROCESS_DELAY_S,
        clock_s: Callable[[], int] = now_s,
    ) -> None:
        rng = random.Random(seed)
        self.key_id = key_id
        self.key_secret = key_secret
        self.webhook_secret = webhook_secret
        self.faults = Faults(random.Random(rng.getrandbits(64)))
        self._courier = Courier(
            url=webhook_url, secret=webhook_secret, faults=self.faults, rng=rng, now_s=clock_s
        )
        self.books = Books(
            rng=rng,
            tell=self._courier.send,
            later=self._later,
            balance_is_short=self.faults.balance_is_short,
            now_s=clock_s,
        )
        self._api = Api(
            books=self.books, faults=self.faults, key_id=key_id, key_secret=key_secret, rng=rng
        )
        self._door = Door(books=self.books, faults=self.faults, key_secret=key_secret)
        self._page = Page(books=self.books, checkout=self._door.checkout, later=self._later)
        self._process_delay_s = process_delay_s
        self._timers: set[asyncio.TimerHandle] = set()
        self._address = (host, port)
        self._runner: web.AppRunner | None = None

    @property
    def webhook_url(self) -> str | None:
        """Where webhooks are sent; None sends none."""
        return self._courier.url

    @webhook_url.setter
    def webhook_url(self, url: str | None) -> None:
        self._courier.url = url

    @property
    def base_url(self) -> str:
        """The address, without a slash at its end; only while the sandbox runs."""
        assert self._runner is not None, "the sandbox is not running"
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    def app(self) -> web.Application:
        """Make the application, for a caller that serves it in another way."""
        app = web.Application(middlewares=[self._middleware()], client_max_size=MAX_BODY_BYTES)
        app.add_routes([*self._api.routes(), *self._door.routes(), *self._page.routes()])
        return app

    async def start(self) -> None:
        """Listen."""
        self._courier.start()
        self._runner = web.AppRunner(self.app(), access_log=None, shutdown_timeout=STOP_WITHIN_S)
        await self._runner.setup()
        await web.TCPSite(self._runner, *self._address).start()

    async def stop(self) -> None:
        """Stop listening, and drop withheld answers and undelivered webhooks."""
        self._api.closing.set()
        for timer in self._timers:
            timer.cancel()
        if self._runner is not None:
            await self._runner.cleanup()
        await self._courier.stop()

    async def __aenter__(self) -> "Sandbox":
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _later(self, call: Callable[[], None], after_s: float | None = None) -> None:
        def run() -> None:
            self._timers.discard(timer)
            call()

        delay_s = self._process_delay_s if after_s is None else after_s
        timer = asyncio.get_running_loop().call_later(delay_s, run)
        self._timers.add(timer)

    def _middleware(self) -> Middleware:
        @web.middleware
        async def by_path(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path.startswith("/v1/"):
                return await self._api.guard(request, handler)
            return await open_to_all(request, handler)

        return by_path
