"""Every webhook event that Razorpay documents, in the shape of its public samples.

Source: razorpay.com/docs/webhooks (payments, orders, refunds, disputes, route, settlements, payouts
and the other products). Ids and people are made up. What the samples spell in an odd way is spelled
so here too: notes as `[]`, nulls, `NA`, a number as a text, 0 for false, times in unusual places.
"""

from typing import Any

ORDER_ID, PAYMENT_ID = "order_A1b2C3d4E5f6G7", "pay_A1b2C3d4E5f6G7"
AMOUNT = 100_000

_PAYMENT: dict[str, Any] = {
    "id": PAYMENT_ID,
    "entity": "payment",
    "amount": AMOUNT,
    "currency": "INR",
    "base_amount": AMOUNT,
    "status": "captured",
    "order_id": ORDER_ID,
    "invoice_id": None,
    "international": False,
    "method": "card",
    "amount_refunded": 0,
    "amount_transferred": 0,
    "refund_status": None,
    "captured": True,
    "description": None,
    "card_id": "card_A1b2C3d4E5f6G7",
    "card": {"id": "card_A1b2C3d4E5f6G7", "entity": "card", "last4": "1111", "emi": False},
    "bank": None,
    "wallet": None,
    "vpa": None,
    "email": "buyer@example.com",
    "contact": "+919000090000",
    "notes": [],
    "fee": 2_360,
    "tax": 360,
    "error_code": None,
    "error_description": None,
    "error_source": None,
    "error_step": None,
    "error_reason": None,
    "acquirer_data": {"auth_code": None},
    "created_at": 1_567_674_599,
}
AUTHORIZED = _PAYMENT | {
    "status": "authorized",
    "captured": False,
    "fee": None,
    "tax": None,
    "method": "netbanking",
    "bank": "HDFC",
    "card_id": None,
    "acquirer_data": {"bank_transaction_id": "0125836177"},
}
FAILED = _PAYMENT | {
    "status": "failed",
    "captured": False,
    "fee": None,
    "tax": None,
    "error_code": "BAD_REQUEST_ERROR",
    "error_description": "Payment failed",
    "error_source": "NA",
    "error_step": "NA",
    "error_reason": "NA",
}
_ORDER: dict[str, Any] = {
    "id": ORDER_ID,
    "entity": "order",
    "amount": AMOUNT,
    "amount_paid": AMOUNT,
    "amount_due": 0,
    "currency": "INR",
    "receipt": "rcptid #1",
    "offer_id": None,
    "status": "paid",
    "attempts": 1,
    "notes": [],
    "created_at": 1_567_674_581,
}
_REFUND: dict[str, Any] = {
    "id": "rfnd_A1b2C3d4E5f6G7",
    "entity": "refund",
    "amount": 40_000,
    "currency": "INR",
    "payment_id": PAYMENT_ID,
    "notes": [],
    "receipt": None,
    "acquirer_data": {"arn": None},
    "created_at": 1_567_675_356,
    "batch_id": None,
    "status": "processed",
    "speed_processed": "normal",
    "speed_requested": "normal",
}
_DISPUTE: dict[str, Any] = {
    "id": "disp_A1b2C3d4E5f6G7",
    "entity": "dispute",
    "payment_id": PAYMENT_ID,
    "amount": AMOUNT,
    "currency": "INR",
    "amount_deducted": 0,
    "reason_code": "goods_or_services_not_received_or_partially_received",
    "respond_by": 1_568_280_000,
    "status": "open",
    "phase": "chargeback",
    "created_at": 1_567_675_000,
    "evidence": {"amount": AMOUNT, "summary": None, "others": None, "submitted_at": None},
}
_TRANSFER: dict[str, Any] = {
    "id": "trf_A1b2C3d4E5f6G7",
    "entity": "transfer",
    "status": "processed",
    "settlement_status": "pending",
    "source": PAYMENT_ID,
    "recipient": "acc_A1b2C3d4E5f6G7",
    "amount": 97_500,
    "currency": "INR",
    "amount_reversed": 0,
    "fees": 288,
    "tax": 44,
    "notes": [],
    "linked_account_notes": [],
    "on_hold": 0,
    "on_hold_until": None,
    "recipient_settlement_id": None,
    "created_at": 1_580_712_811,
    "processed_at": 1_580_712_814,
    "error": {"code": None, "description": None, "reason": None, "field": None, "step": None},
}
_SETTLEMENT: dict[str, Any] = {
    "id": "setl_A1b2C3d4E5f6G7",
    "entity": "settlement",
    "amount": 97_640,
    "status": "processed",
    "fees": 0,
    "tax": 0,
    "utr": "CN0038699836",
    "created_at": 1_580_712_900,
}
_ACCOUNT = {"id": "acc_A1b2C3d4E5f6G7", "entity": "account", "status": "under_review"}
_DOWNTIME = {
    "id": "down_A1b2C3d4E5f6G7",
    "entity": "payment.downtime",
    "method": "upi",
    "begin": 1_567_674_599,
    "end": None,
    "status": "started",
    "scheduled": False,
    "severity": "high",
    "instrument": {"vpa_handle": "okbank"},
}
_PAYOUT = {
    "id": "pout_A1b2C3d4E5f6G7",
    "entity": "payout",
    "fund_account_id": "fa_A1b2C3d4E5f6G7",
    "amount": 10_000,
    "currency": "INR",
    "notes": {"note_key": "Beam me up"},
    "fees": 590,
    "tax": 90,
    "status": "processed",
    "utr": None,
    "status_details": {"reason": None, "description": None, "source": None},
}
_OTHERS: dict[str, dict[str, Any]] = {
    "payment": _PAYMENT | {"order_id": None, "invoice_id": "inv_A1b2C3d4E5f6G7"},
    "invoice": {"id": "inv_A1b2C3d4E5f6G7", "entity": "invoice", "notes": [], "amount": "100"},
    "subscription": {"id": "sub_A1b2C3d4E5f6G7", "entity": "subscription", "notes": []},
    "qr_code": {"id": "qr_A1b2C3d4E5f6G7", "entity": "qr_code", "payments_amount_received": 0},
    "virtual_account": {"id": "va_A1b2C3d4E5f6G7", "entity": "virtual_account", "notes": []},
    "payment_link": {"id": "plink_A1b2C3d4E5f6G7", "amount": 1_000, "reminders": []},
    "fund_account.validation": {"id": "fav_A1b2C3d4E5f6G7", "results": {"utr": None}},
    "payout_link": {"id": "poutlk_A1b2C3d4E5f6G7", "entity": "payout_link", "notes": []},
    "transaction": {"id": "txn_A1b2C3d4E5f6G7", "entity": "transaction", "credit": 0},
    "merchant_product": {"id": "acc_prd_A1b2C3d4E5f6G7", "activation_status": "activated"},
    "payout.downtime": {"id": "down_B1b2C3d4E5f6G7", "entity": "payout.downtime"},
    "order": _ORDER | {"status": "created", "amount_paid": 0},
}


def event(name: str, **entities: Any) -> dict[str, Any]:
    """A delivery: the envelope, and each entity as the samples wrap it."""
    return {
        "entity": "event",
        "account_id": "acc_B1b2C3d4E5f6G7",
        "event": name,
        "contains": list(entities),
        "payload": {kind: {"entity": entity} for kind, entity in entities.items()},
        "created_at": 1_567_674_606,
    }


def _ignored(names: str, *kinds: str, **entities: Any) -> dict[str, dict[str, Any]]:
    given = {kind: _OTHERS[kind] for kind in kinds} | entities
    return {name: event(name, **given) for name in names.split()}


def _old(sample: dict[str, Any]) -> dict[str, Any]:
    """The shape of the samples of 2018: a time in the payload, and none in the payment."""
    payment = {
        name: value
        for name, value in sample["payload"]["payment"]["entity"].items()
        if name not in ("created_at", "tax", "acquirer_data", "base_amount", "card")
    }
    payload = {"payment": {"entity": payment | {"service_tax": 10}}, "created_at": 1_400_826_760}
    return {"event": sample["event"], "entity": "event", "payload": payload}


# What concerns an escrow, by what it is told.
OURS: dict[str, dict[str, Any]] = {
    "payment.authorized": event("payment.authorized", payment=AUTHORIZED),
    "payment.captured": event("payment.captured", payment=_PAYMENT),
    "payment.failed": event("payment.failed", payment=FAILED),
    "order.paid": event("order.paid", payment=_PAYMENT, order=_ORDER),
    "refund.processed": event("refund.processed", refund=_REFUND, payment=_PAYMENT),
    "payment.dispute.created": event("payment.dispute.created", payment=_PAYMENT, dispute=_DISPUTE),
    "payment.dispute.under_review": event(
        "payment.dispute.under_review",
        payment=_PAYMENT,
        dispute=_DISPUTE | {"status": "under_review"},
    ),
    "payment.dispute.action_required": event(
        "payment.dispute.action_required", payment=_PAYMENT, dispute=_DISPUTE
    ),
    "payment.dispute.lost": event(
        "payment.dispute.lost",
        payment=_PAYMENT,
        dispute=_DISPUTE | {"status": "lost", "amount_deducted": AMOUNT},
    ),
    "payment.dispute.won": event(
        "payment.dispute.won", payment=_PAYMENT, dispute=_DISPUTE | {"status": "won"}
    ),
    "payment.dispute.closed": event(
        "payment.dispute.closed", payment=_PAYMENT, dispute=_DISPUTE | {"status": "closed"}
    ),
}
# The same news in the odd spellings that Razorpay's own samples have, by what is odd.
ODD: dict[str, dict[str, Any]] = {
    "the old shape": _old(OURS["payment.authorized"]),
    "the old shape, captured": _old(OURS["payment.captured"]),
    "amounts as text": event(
        "payment.captured", payment=_PAYMENT | {"amount": "100000", "fee": "2360", "tax": "360"}
    ),
    "no created_at": event(
        "payment.captured", payment={k: v for k, v in _PAYMENT.items() if k != "created_at"}
    ),
    "only what is needed": event(
        "payment.captured",
        payment={
            name: _PAYMENT[name] for name in ("id", "order_id", "status", "amount", "currency")
        },
    ),
    "notes null": event("payment.captured", payment=_PAYMENT | {"notes": None}),
    "order []": event("order.paid", payment=_PAYMENT, order=[]),
    "order missing": event("order.paid", payment=_PAYMENT),
}
# What only makes settlement look at Razorpay again.
LOOKS: dict[str, dict[str, Any]] = {
    "refund.failed": event(
        "refund.failed", refund=_REFUND | {"status": "failed"}, payment=_PAYMENT
    ),
    "transfer.processed": event("transfer.processed", transfer=_TRANSFER),
    "transfer.failed": event("transfer.failed", transfer=_TRANSFER | {"status": "failed"}),
}
IGNORED_ALL: dict[str, dict[str, Any]] = {
    **_ignored("payment.pending", payment=_PAYMENT | {"status": "pending", "method": "cod"}),
    **_ignored("refund.created refund.speed_changed", refund=_REFUND, payment=_PAYMENT),
    **_ignored(
        "payment.downtime.started payment.downtime.updated payment.downtime.resolved",
        **{"payment.downtime": _DOWNTIME},
    ),
    **_ignored("order.notification.delivered order.notification.failed", "order"),
    **_ignored("invoice.paid invoice.partially_paid", "invoice", "payment", "order"),
    **_ignored("invoice.expired", "invoice"),
    **_ignored(
        "subscription.authenticated subscription.activated subscription.charged"
        " subscription.completed subscription.updated subscription.pending subscription.halted"
        " subscription.cancelled subscription.paused subscription.resumed",
        "subscription",
        "payment",
    ),
    **_ignored("settlement.processed", settlement=_SETTLEMENT),
    **_ignored(
        "product.route.under_review product.route.needs_clarification product.route.activated"
        " product.route.rejected",
        "merchant_product",
    ),
    **_ignored("linked_account.vpa_created", account=_ACCOUNT),
    **_ignored("settlement.vpa_completed", settlement=_SETTLEMENT),
    **_ignored("payout.vpa_failed", payout=_PAYOUT | {"status": "failed"}),
    **_ignored(
        "account.instantly_activated account.activated_kyc_pending account.under_review"
        " account.needs_clarification account.activated account.suspended account.rejected"
        " account.funds_hold account.funds_unhold account.app.authorization_revoked",
        account=_ACCOUNT,
    ),
    **_ignored("qr_code.created qr_code.closed", "qr_code"),
    **_ignored("qr_code.credited", "qr_code", "payment"),
    **_ignored("virtual_account.created virtual_account.closed", "virtual_account"),
    **_ignored("virtual_account.credited", "virtual_account", "payment"),
    **_ignored("payment_link.paid payment_link.partially_paid", "payment_link", "payment", "order"),
    **_ignored("payment_link.expired payment_link.cancelled", "payment_link"),
    **_ignored(
        "payout.pending payout.rejected payout.queued payout.initiated payout.processed"
        " payout.updated payout.reversed payout.failed",
        payout=_PAYOUT,
    ),
    **_ignored("payout.downtime.started payout.downtime.resolved", "payout.downtime"),
    **_ignored("transaction.created transaction.updated", "transaction"),
    **_ignored(
        "fund_account.validation.completed fund_account.validation.failed",
        "fund_account.validation",
    ),
    **_ignored(
        "payout_link.pending payout_link.issued payout_link.processing payout_link.processed"
        " payout_link.attempted payout_link.cancelled payout_link.rejected payout_link.expired",
        "payout_link",
    ),
    **_ignored("token.confirmed token.rejected token.paused token.cancelled", "payment"),
}
