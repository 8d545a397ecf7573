"""PaymentService. Its proto file says what each call does and how it fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from escrow.v1 import payment_service_pb2 as rpc
from escrow.v1 import payment_service_pb2_grpc as service

from core.errors import Reason, Refusal
from core.execute import Executor
from core.law import command as c
from core.law.command import RAZORPAY
from core.law.message import escrow_message
from core.law.rules import decide
from core.service import check
from core.service.check import Check
from core.service.escrow import visible
from core.service.guard import caller
from core.service.payee import Payees
from core.settlement.checkout import Checkout
from core.settlement.webhook import Inbox
from core.storage.store import Store


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
        payees: Payees,
    ) -> None:
        self._store = store
        self._executor = executor
        self._checkout = checkout
        self._inbox = inbox
        self._now_us = now_us
        self._payees = payees

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
            raise Refusal(Reason.NOT_A_PARTY, "Only the buyer can say that this was paid.")
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
        return rpc.RegisterPayeeResponse(payee=await self._payees.register(request))

    async def GetPayee(self, request: rpc.GetPayeeRequest, context: Any) -> rpc.GetPayeeResponse:
        return rpc.GetPayeeResponse(payee=await self._payees.read(request))

    async def ListPayees(
        self, request: rpc.ListPayeesRequest, context: Any
    ) -> rpc.ListPayeesResponse:
        return await self._payees.list(request)

    async def CancelPayeeChange(
        self, request: rpc.CancelPayeeChangeRequest, context: Any
    ) -> rpc.CancelPayeeChangeResponse:
        return rpc.CancelPayeeChangeResponse(payee=await self._payees.call_off(request))

    async def WaivePayeeWait(
        self, request: rpc.WaivePayeeWaitRequest, context: Any
    ) -> rpc.WaivePayeeWaitResponse:
        return rpc.WaivePayeeWaitResponse(payee=await self._payees.waive(request))

    async def ListPayeeEvents(
        self, request: rpc.ListPayeeEventsRequest, context: Any
    ) -> rpc.ListPayeeEventsResponse:
        return await self._payees.events(request)
