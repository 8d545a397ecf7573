"""A local stand-in for Razorpay: the HTTP API that the official package calls, and webhooks.

`python -m scripts.sandbox` runs it; tests run `Sandbox` in their own loop. It forgets everything
when it ends. Beside Razorpay's API it has endpoints of its own, which need no key and allow any
origin:

POST /sandbox/orders/{order_id}/pay
    Act as the customer: {"outcome": "captured" | "authorized" | "failed"}. For tests also "amount"
    and "currency" (pay something other than the order asks for; less is a partial payment) and
    "force": true (pay an order that takes no more payments). "customer_fee": n, in paise, is paid
    on top, as on accounts whose customers bear the fee; "discount": n less, as with an offer.
    Answers razorpay_order_id, razorpay_payment_id and razorpay_signature. The payment of an order
    with manual capture stays authorized.
POST /sandbox/payments/{payment_id}/authorize
    Let the bank authorize a failed payment late: {"capture": true | false}. If the order is paid
    already, the payment is refunded at once. Answers the payment.
POST /sandbox/payments/{payment_id}/dispute
    Let the bank dispute a captured payment: {"event": "created" | "under_review" |
    "action_required" | "won" | "lost" | "closed"}. With "created" also "amount" (of a part) and
    "deduct_at_onset": true (the amount is taken at once). Answers the dispute.
PUT /sandbox/accounts/{account_id}
    Let the KYC of a linked account come to {"status": "activated" | "under_review" | "rejected"}.
    Every account is activated, but those that begin with acc_inactive.
POST /sandbox/settle
    Pay what is not settled to the platform's bank, or with {"day": "YYYY-MM-DD"} what is not
    younger than that day in India. Answers {"settlement"}: null where that comes to nothing or
    less, so that it waits for more.
GET /sandbox/recon?day=YYYY-MM-DD
    What the settlement recon API answers for a day: the lines that were settled on it, and those
    that were made on it and are not settled yet. A line is {"entity_id", "type": "payment" |
    "refund" | "transfer" | "reversal" | "adjustment", "debit", "credit", "amount", "currency",
    "fee" (with "tax" in it), "tax", "settled", "created_at", "settled_at", "settlement_id",
    "settlement_utr", "payment_id", "order_id", "dispute_id", …}. Refunds and transfers leave the
    balance when they are made, a disputed amount when it is lost or at its onset; a fee is not
    given back.
POST /sandbox/recon/plant
    Make the reports wrong, for tests: {"drop": id}, {"alter": id, "by": n} (n more in the balance)
    or {"add": {"type", "amount", "id", "credit": true | false}}. Answers the line. Balance and
    settlements stay as they are.
GET /sandbox/balance
    {"balance"}: what Razorpay holds for the platform, in paise. It begins with ten million rupees
    of other business. Refunds are refused, and transfers fail, where it does not cover them;
    disputes take it below zero.
GET /sandbox/state
    {"orders", "payments", "refunds", "transfers", "reversals"}: all entities, oldest first.
PUT /sandbox/faults, GET /sandbox/faults
    {"webhooks": {"duplicate", "drop", "reorder", "delay_s"}, "api": {"error",
    "timeout_after_success", "rate_limit", "insufficient_balance", "latency_s",
    "timeout_hold_s"}}: probabilities from 0 to 1, and seconds. A PUT replaces the whole plan: a
    fault that it does not name does not happen. `timeout_after_success` concerns writes only: the
    answer is withheld for `timeout_hold_s` (by default 30) or until the client disconnects.
    `insufficient_balance` refuses refunds and reversals of released money, and makes transfers fail
    a moment after they were created.
GET /sandbox/checkout/{order_id}?return_url=…&title=…&payee=…&language=en|hi
    A payment page for people. It redirects to return_url with razorpay_order_id,
    razorpay_payment_id and razorpay_signature, or with razorpay_error=payment_failed, or with
    nothing while the bank has not decided. The order's notes, or else title and payee of the
    address, say what is paid for and to whom.
"""

from scripts.sandbox.server import Sandbox

__all__ = ["Sandbox"]
