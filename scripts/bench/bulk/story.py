"""One escrow that is written by real calls, for the copies to be like it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from escrow.v1 import escrow_pb2, escrow_service_pb2, payment_service_pb2

from scripts.bench import api
from scripts.bench.generator import Caller, posts
from scripts.bench.process import Broken
from scripts.bench.stack import Stack

# What the copies replace: names and request ids of a fixed length, which end with their number.
BUYER, SELLER = "bulk-buyer-000000000", "bulk-seller-000000000"
EVENTS_LIMIT_S = 30.0


def _request_id(number: int) -> str:
    return f"bulk-r{number:03d}-000000000"


class Teller:
    """Makes the calls of a story, each with a request id that the copies can replace."""

    def __init__(self, generator: Caller, stack: Stack) -> None:
        self._generator, self._stack = generator, stack
        self._calls = 0

    def _call(self, method: str, body: bytes) -> bytes:
        field = api.REQUEST_ID[method]
        self._calls += 1
        text = _request_id(self._calls).encode()
        # Protobuf takes a field that is appended.
        body += bytes([field << 3 | 2, len(text)]) + text
        core = self._stack.core.port.address
        return self._generator.call(core, method, self._stack.service, body)[0]

    def created(self) -> str:
        reply = self._call(api.CREATE, api.creation(BUYER, SELLER))
        return escrow_service_pb2.CreateEscrowResponse.FromString(reply).escrow.escrow_id

    def updated(self, times: int) -> None:
        """An escrow that a service has told of so often."""
        escrow_id = self.created()
        for _ in range(times):
            self._call(api.PUBLISH, api.update(escrow_id))

    def cancelled(self) -> None:
        """An escrow that nobody paid."""
        cancel = escrow_service_pb2.CancelEscrowRequest(escrow_id=self.created())
        self._call(api.CANCEL, cancel.SerializeToString())

    def released(self) -> None:
        """An escrow that went its whole way: paid, held, confirmed, released."""
        self._stack.api.register(SELLER, "acc_00000000000001")
        escrow_id = self.created()
        start = payment_service_pb2.StartPaymentRequest(escrow_id=escrow_id)
        reply = self._call(api.START_PAYMENT, start.SerializeToString())
        order = payment_service_pb2.StartPaymentResponse.FromString(reply).order_id
        url = f"{self._stack.sandbox_url}/sandbox/orders/{order}/pay"
        headers = {"Content-Type": "application/json"}
        paying = posts(url, [b'{"outcome":"captured"}'], [headers])
        self._generator.do("posts", posts=paying, count=1, callers=1)
        self._until(escrow_pb2.ESCROW_STATUS_HELD)
        # The transfer on hold is made right after.
        time.sleep(1)
        release = escrow_service_pb2.ReleaseEscrowRequest(escrow_id=escrow_id)
        self._call(api.RELEASE, release.SerializeToString())
        self._until(escrow_pb2.ESCROW_STATUS_RELEASED)

    def _until(self, status: escrow_pb2.EscrowStatus.ValueType) -> None:
        end = time.monotonic() + EVENTS_LIMIT_S
        while not self._stack.api.count(status, most=1):
            if time.monotonic() > end:
                raise Broken("the escrow to copy does not get on")
            time.sleep(0.05)


def told(generator: Caller, folder: Path, tell: Callable[[Teller], None]) -> Path:
    """Run a core in `folder` while `tell` makes its calls; answer the database that it leaves."""
    folder.mkdir()
    stack = Stack(folder, generator)
    try:
        stack.start_core()
        stack.start_bridge()
        stack.start_sandbox()
        tell(Teller(generator, stack))
        # The bridge first: a core lets the streams of its callers end before it does.
        stack.bridge.kill()
        assert stack.core.process is not None
        stack.core.process.stop()
    finally:
        stack.kill()
    return folder / "holdfast.db"
