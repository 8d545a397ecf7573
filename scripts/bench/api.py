"""The calls of Holdfast that the benchmark makes, as the bytes that the load generator sends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from typing import Any

from escrow.v1 import escrow_pb2, escrow_service_pb2, ledger_service_pb2, payment_service_pb2
from google.protobuf.message import Message

from scripts.bench.generator import Caller, Told
from scripts.bench.process import Broken

CREATE = "/escrow.v1.EscrowService/CreateEscrow"
PUBLISH = "/escrow.v1.EscrowService/PublishUpdate"
LIST = "/escrow.v1.EscrowService/ListEscrows"
CANCEL = "/escrow.v1.EscrowService/CancelEscrow"
RELEASE = "/escrow.v1.EscrowService/ReleaseEscrow"
CONFIRM = "/escrow.v1.EscrowService/AddConfirmation"
BALANCE = "/escrow.v1.LedgerService/GetBalance"
BOOKS = "/escrow.v1.LedgerService/CheckBooks"
START_PAYMENT = "/escrow.v1.PaymentService/StartPayment"
REGISTER = "/escrow.v1.PaymentService/RegisterPayee"
# The emptiest call that a core answers: no token, no storage.
EMPTY = "/grpc.health.v1.Health/Check"
# The field `request_id` of each request, which the generator fills in.
REQUEST_ID = {CREATE: 9, PUBLISH: 4, CANCEL: 3, RELEASE: 3, START_PAYMENT: 2, CONFIRM: 2}
AMOUNT_MINOR = 250_000
AT_ONCE = 64


def creation(buyer: str, seller: str) -> bytes:
    """An ordinary escrow: what a shop would send."""
    return escrow_service_pb2.CreateEscrowRequest(
        buyer_id=buyer,
        seller_id=seller,
        title="A bicycle, second hand, blue",
        description="As seen on Saturday, with lamps and the child's seat.",
        amount=escrow_pb2.Money(amount_minor=AMOUNT_MINOR, currency="INR"),
    ).SerializeToString()


def update(escrow_id: str) -> bytes:
    """An update that a service publishes, with a little data."""
    request = escrow_service_pb2.PublishUpdateRequest(
        escrow_id=escrow_id, event_type="parcel_scanned"
    )
    request.data.update({"place": "Pune", "parcel": "HF-000417"})
    return request.SerializeToString()


class Api:
    """Calls of one core, in the name of one token."""

    def __init__(self, generator: Caller, address: str, token: str) -> None:
        self._generator = generator
        self.address = address
        self.token = token

    def create(self, parties: Iterable[tuple[str, str]]) -> list[str]:
        """Create an escrow for each buyer and seller; answer their ids in no order."""
        return [one.escrow_id for one in self.created(parties)]

    def created(self, parties: Iterable[tuple[str, str]]) -> list[escrow_pb2.Escrow]:
        bodies = [creation(buyer, seller) for buyer, seller in parties]
        replies = self._call(CREATE, bodies)
        answers = map(escrow_service_pb2.CreateEscrowResponse.FromString, replies)
        return [answer.escrow for answer in answers]

    def publish(self, escrow_ids: Sequence[str]) -> None:
        self._call(PUBLISH, [update(one) for one in escrow_ids])

    def start_payments(self, escrow_ids: Sequence[str]) -> list[str]:
        """Answer the order ids, in no order."""
        request = payment_service_pb2.StartPaymentRequest
        replies = self._call(
            START_PAYMENT, [request(escrow_id=one).SerializeToString() for one in escrow_ids]
        )
        answers = map(payment_service_pb2.StartPaymentResponse.FromString, replies)
        return [answer.order_id for answer in answers]

    def register(self, user_id: str, account_id: str) -> None:
        request = payment_service_pb2.RegisterPayeeRequest(user_id=user_id, account_id=account_id)
        self._call(REGISTER, [request.SerializeToString()])

    def count(self, status: escrow_pb2.EscrowStatus.ValueType, *, most: int) -> int:
        """How many escrows have this status, or `most` if there are more."""
        request = escrow_service_pb2.ListEscrowsRequest(page_size=most, status=status)
        reply = self._call(LIST, [request.SerializeToString()])[0]
        return len(escrow_service_pb2.ListEscrowsResponse.FromString(reply).escrows)

    def balance(self, account: str) -> int:
        request = ledger_service_pb2.GetBalanceRequest(account=account)
        reply = self._call(BALANCE, [request.SerializeToString()])[0]
        balances = ledger_service_pb2.GetBalanceResponse.FromString(reply).balances
        return sum(one.amount_minor for one in balances)

    def check(self, escrow_id: str) -> list[str]:
        """What CheckBooks finds wrong with one escrow."""
        request = ledger_service_pb2.CheckBooksRequest(escrow_id=escrow_id)
        reply = self._call(BOOKS, [request.SerializeToString()])[0]
        answer = ledger_service_pb2.CheckBooksResponse.FromString(reply)
        return [str(one) for one in answer.findings]

    def _call(self, method: str, bodies: list[bytes]) -> list[bytes]:
        return self._generator.call(self.address, method, self.token, *bodies, at_once=AT_ONCE)

    def load(self, method: str, bodies: Sequence[bytes | Message], **pace: Any) -> Told:
        """Make calls at a pace, and answer how they went. Raises Broken if one fails."""
        told = self.begin(method, bodies, **pace).result()
        if told["errors"] or not told["calls"]:
            raise Broken(f"{method} failed: {told['errors']}")
        return told

    def begin(self, method: str, bodies: Sequence[bytes | Message], **pace: Any) -> Future[Told]:
        """The same, without waiting for it."""
        is_open = method == EMPTY
        return self._generator.begin(
            "calls",
            target=self.address,
            method=method,
            token="" if is_open else self.token,
            bodies=[one.SerializeToString() if isinstance(one, Message) else one for one in bodies],
            request_id_field=REQUEST_ID.get(method, 0),
            **{"channels": 4, **pace},
        )
