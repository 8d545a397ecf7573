"""A Razorpay of one's own: its HTTP API as the official package calls it, and its webhooks.

`python -m scripts.sandbox` runs it; tests run `Sandbox` in their own loop. It forgets everything
when it ends. The doors beside Razorpay's API, which need no key and answer any origin:

POST /sandbox/orders/{order_id}/pay
    Act as the customer: {"outcome": "captured" | "authorized" | "failed"}, and for tests
    "amount" and "currency" (pay something else than was asked) and "force": true (pay an order
    that takes no more payments). Answers razorpay_order_id, razorpay_payment_id and
    razorpay_signature. An order with manual capture stays authorized.
POST /sandbox/payments/{payment_id}/authorize
    Let the bank authorize a failed payment after all: {"capture": true | false}. Where the order is
    paid already it is refunded at once. Answers the payment.
POST /sandbox/payments/{payment_id}/dispute
    Let the bank dispute a captured payment: {"event": "created" | "under_review" |
    "action_required" | "won" | "lost" | "closed"}. Answers the dispute.
GET /sandbox/state
    {"orders", "payments", "refunds", "transfers", "reversals"}: all entities, oldest first.
PUT /sandbox/faults, GET /sandbox/faults
    {"webhooks": {"duplicate", "drop", "reorder", "delay_s"}, "api": {"error",
    "timeout_after_success", "rate_limit", "insufficient_balance", "latency_s",
    "timeout_hold_s"}}: chances from 0 to 1, and seconds. A PUT replaces the whole plan: what it
    does not name does not happen. `timeout_after_success` concerns writes only; the answer is
    withheld for `timeout_hold_s` (30 unless told) or until the client leaves.
    `insufficient_balance` refuses refunds and reversals of released money, and fails transfers a
    moment after they were made.
GET /sandbox/checkout/{order_id}?return_url=…
    A payment page for people, which leads back to return_url with razorpay_order_id,
    razorpay_payment_id and razorpay_signature, or with razorpay_error=payment_failed.
"""

from scripts.sandbox.server import Sandbox

__all__ = ["Sandbox"]
