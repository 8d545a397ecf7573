"""The threads that speak with Razorpay: few, each with a client and a session of its own.

The official package is synchronous, and neither its client nor its session is made for threads.
"""

import asyncio
import concurrent.futures
import functools
import threading
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

import certifi
import razorpay

from core.razorpay.outcome import GatewayError, GatewayRefused, GatewayUnavailable
from core.razorpay.session import Session, lost

# Calls that run or wait for a thread; one more is refused at once.
MAX_CALLS = 512
# How many time-outs a caller waits at most, most of them for a free thread.
PATIENCE = 4

Answer = TypeVar("Answer")

# What a failed call is counted as; any other is of unknown outcome.
_KINDS = {GatewayRefused: "refused", GatewayUnavailable: "unavailable"}


class Pool:
    """Runs calls of the razorpay package for the event loop, at most `workers` at a time."""

    def __init__(
        self, *, key_id: str, key_secret: str, base_url: str | None, timeout_s: float, workers: int
    ) -> None:
        self._auth = (key_id, key_secret)
        self._base_url = base_url
        self._timeout_s = timeout_s
        self._patience_s = timeout_s * PATIENCE
        self._threads = concurrent.futures.ThreadPoolExecutor(workers, "razorpay")
        self._slots = threading.BoundedSemaphore(MAX_CALLS)
        self._own = threading.local()
        self._sessions: list[Session] = []
        # How calls have ended: ok, refused, unavailable, unknown.
        self.outcomes: Counter[str] = Counter()

    async def run(self, call: Callable[[razorpay.Client], Answer], *, is_read: bool) -> Answer:
        """Run a call on a thread of the pool and hand on what it returns or raises.

        Cancelling takes a call back that has not begun; one that has begun ends by itself, unseen.
        """
        try:
            answer = await self._run(call, is_read=is_read)
        except GatewayError as error:
            self.outcomes[_KINDS.get(type(error), "unknown")] += 1
            raise
        self.outcomes["ok"] += 1
        return answer

    async def _run(self, call: Callable[[razorpay.Client], Answer], *, is_read: bool) -> Answer:
        job = self._submit(call)
        try:
            async with asyncio.timeout(self._patience_s):
                return await asyncio.wrap_future(job)
        except TimeoutError:
            if job.cancel():
                raise GatewayUnavailable("No thread was free to call Razorpay.") from None
            raise lost(is_read, "Razorpay has not finished its answer.") from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if job.cancelled() and task is not None and not task.cancelling():
                raise GatewayUnavailable("The gateway has been closed.") from None
            raise

    async def close(self) -> None:
        """Take back what has not begun, wait for what has, and close the connections."""
        await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)
        for session in self._sessions:
            session.close()

    def _submit(
        self, call: Callable[[razorpay.Client], Answer]
    ) -> concurrent.futures.Future[Answer]:
        if not self._slots.acquire(blocking=False):
            raise GatewayUnavailable(f"{MAX_CALLS} calls to Razorpay are already waiting.")
        try:
            job = self._threads.submit(lambda: call(self._client()))
        except RuntimeError:
            self._slots.release()
            raise GatewayUnavailable("The gateway has been closed.") from None
        job.add_done_callback(lambda _: self._slots.release())
        return job

    def _client(self) -> razorpay.Client:
        client: razorpay.Client | None = getattr(self._own, "client", None)
        if client is None:
            client = self._own.client = self._new_client()
        return client

    def _new_client(self) -> razorpay.Client:
        session = Session(body_within_s=self._timeout_s)
        # A proxy of the environment may stand between us and Razorpay, never before a stand-in.
        session.trust_env = self._base_url is None
        options = {} if self._base_url is None else {"base_url": self._base_url}
        client = razorpay.Client(session=session, auth=self._auth, **options)
        # The package reads its version from disk for each call, a quarter of the call's time.
        client._get_version = functools.cache(client._get_version)
        # It pins certificate roots of 2015.
        client.cert_path = certifi.where()
        self._sessions.append(session)
        return client
