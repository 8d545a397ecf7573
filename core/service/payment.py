"""PaymentService. Its proto file says what each call does and how it fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from escrow.v1 import payment_service_pb2 as rpc
from escrow.v1 import payment_service_pb2_grpc as service

from core.errors import Reason, Refusal
from core.execute import Executor
from core.law import command as c
from core.law.command import RAZORPAY, Caller
from core.law.record import escrow_message, timestamp
from core.law.rules import decide
from core.service import check
from core.service.check import Check
from core.service.escrow import visible
from core.service.guard import caller
from core.settlement.checkout import Checkout
from core.settlement.webhook import Inbox
from core.storage.row import PayeeRow
from core.storage.store import Store

# How often a registration is tried that another one with the same request id overtook.
MAX_TRIES = 3


class PaymentService(service.PaymentServiceServicer):
    """Money in through Razorpay, and where it goes out to."""

    def __init__(
        self,
        store: Store,
        executor: Executor,
        checkout: Checkout,
        inbox: Inbox,
        *,
        now_us: Callable[[], int],
        ring_settlement: Callable[[], None],
    ) -> None:
        self._store = store
        self._executor = executor
        self._checkout = checkout
        self._inbox = inbox
        self._now_us = now_us
        self._ring_settlement = ring_settlement

    async def StartPayment(
        self, request: rpc.StartPaymentRequest, context: Any
    ) -> rpc.StartPaymentResponse:
        check_ = Check()
        check_.request_id(request.request_id)
        check_.done()
        who = caller()
        escrow = await visible(self._store, request.escrow_id, who)
        cause, fingerprint = check.cause(who, request.request_id), check.fingerprint(request)
        answer = await self._executor.recall(cause, fingerprint)
        if answer is None:
            # The law is asked before Razorpay is, and again when the order is recorded.
            decide(escrow, c.RecordOrder(""), who, self._now_us())
            order_id = escrow.payment.order_id or await self._checkout.make_order(escrow)
            answer = await self._executor.execute(
                c.RecordOrder(order_id, escrow.spent_orders),
                escrow_id=escrow.escrow_id,
                caller=who,
                cause=cause,
                fingerprint=fingerprint,
            )
        return rpc.StartPaymentResponse(
            order_id=answer.escrow.payment.order_id,
            key_id=self._checkout.key_id,
            amount_minor=escrow.amount_minor,
            currency=escrow.currency,
        )

    async def ConfirmPayment(
        self, request: rpc.ConfirmPaymentRequest, context: Any
    ) -> rpc.ConfirmPaymentResponse:
        check_ = Check()
        check_.request_id(request.request_id)
        check_.razorpay_id("order_id", request.order_id, "order_")
        check_.razorpay_id("payment_id", request.payment_id, "pay_")
        check_.text("signature", request.signature, least=1, most=256)
        escrow_id = check.escrow_id(request.escrow_id)
        check_.done()
        who = caller()
        escrow = await visible(self._store, escrow_id, who)
        if who.user_id != escrow.buyer_id and who.roles.isdisjoint({"service", "admin"}):
            raise Refusal(Reason.NOT_A_PARTY, "ConfirmPayment is for the buyer.")
        if await self._store.owner_of_order(request.order_id) != escrow.escrow_id:
            problem = "is not an order of this escrow"
            raise Refusal(Reason.ORDER_MISMATCH, f"order_id: {problem}", {"order_id": problem})
        report = await self._checkout.payment(
            escrow, request.order_id, request.payment_id, request.signature
        )
        answer = await self._executor.execute(
            report.command,
            escrow_id=escrow.escrow_id,
            caller=RAZORPAY,
            cause=check.cause(who, request.request_id) if request.request_id else report.cause,
            fingerprint=check.fingerprint(request) if request.request_id else b"",
        )
        return rpc.ConfirmPaymentResponse(escrow=answer.escrow)

    async def GetPayment(
        self, request: rpc.GetPaymentRequest, context: Any
    ) -> rpc.GetPaymentResponse:
        escrow = await visible(self._store, request.escrow_id, caller())
        return rpc.GetPaymentResponse(payment=escrow_message(escrow).payment)

    async def IngestWebhook(
        self, request: rpc.IngestWebhookRequest, context: Any
    ) -> rpc.IngestWebhookResponse:
        if caller().roles.isdisjoint({"service", "admin"}):
            raise Refusal(Reason.ROLE_MISSING, "IngestWebhook is for the role service.")
        outcome = await self._inbox.ingest(request.body, request.signature, request.event_id)
        return rpc.IngestWebhookResponse(
            outcome=rpc.WebhookOutcome.Value(f"WEBHOOK_OUTCOME_{outcome}")
        )

    async def RegisterPayee(
        self, request: rpc.RegisterPayeeRequest, context: Any
    ) -> rpc.RegisterPayeeResponse:
        check_ = Check()
        check_.request_id(request.request_id)
        user_id = check_.user_id("user_id", request.user_id)
        account_id = check_.account_id("account_id", request.account_id)
        check_.done()
        who = caller()
        _require_self(who, user_id)
        cause, fingerprint = check.cause(who, request.request_id), check.fingerprint(request)
        for _ in range(MAX_TRIES):
            payee = await self._register(user_id, account_id, cause, fingerprint)
            if payee is not None:
                break
        else:
            raise Refusal(Reason.OVERLOADED, "This payee is being changed; try again.")
        self._ring_settlement()
        return rpc.RegisterPayeeResponse(payee=_payee_message(payee))

    async def _register(
        self, user_id: str, account_id: str, cause: str, fingerprint: bytes
    ) -> PayeeRow | None:
        """Answer the payee, or None where another call was faster."""
        async with self._store.write() as transaction:
            await transaction.lock_payee(user_id)
            known = await transaction.payee_by_cause(cause)
            if known is not None:
                if known.fingerprint != fingerprint:
                    raise Refusal(
                        Reason.REQUEST_ID_REUSED,
                        "request_id was used before with another body; take a fresh one.",
                        {"request_id": "was used before with another body"},
                    )
                return known
            now_us = self._now_us()
            await transaction.make_due(now_us=now_us, seller_id=user_id)
            latest = await transaction.payee(user_id)
            if latest is not None and latest.account_id == account_id:
                return latest
            version = latest.version + 1 if latest else 1
            payee = PayeeRow(user_id, version, account_id, cause, fingerprint, now_us)
            return payee if await transaction.add_payee(payee) else None

    async def GetPayee(self, request: rpc.GetPayeeRequest, context: Any) -> rpc.GetPayeeResponse:
        check_ = Check()
        user_id = check_.user_id("user_id", request.user_id)
        check_.done()
        _require_self(caller(), user_id)
        payee = await self._store.payee(user_id)
        if payee is None:
            raise Refusal(Reason.PAYEE_NOT_FOUND, "This user has no linked account registered.")
        return rpc.GetPayeeResponse(payee=_payee_message(payee))


def _require_self(who: Caller, user_id: str) -> None:
    if who.user_id != user_id and who.roles.isdisjoint({"service", "admin"}):
        raise Refusal(Reason.NOT_A_PARTY, "A payee is for that user, or the role service or admin.")


def _payee_message(payee: PayeeRow) -> rpc.Payee:
    return rpc.Payee(
        user_id=payee.user_id,
        account_id=payee.account_id,
        update_time=timestamp(payee.create_time_us),
    )
