"""Banks that take money back, customers who bear the fee and accounts that fail, in a storm.

Webhooks are lost, doubled and reordered, and calls to Razorpay fail or succeed unseen, while each
escrow meets its trouble. In the end each has its end, and each paisa is where it belongs.
"""

import asyncio
import itertools
import random
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.chaos import few_at_once, mortal_stack
from tests.fakes.deal import AMOUNT_MINOR, Deal, Money
from tests.fakes.fee import fee_of
from tests.fakes.rpc import AWAY, Refused
from tests.fakes.size import Size
from tests.fakes.stack import Client
from tests.faults.test_chaos import AT_ONCE, CHANCE, END_LIMIT_S, NEWS_LIMIT_S, STORM

SEED = 1_947
CUSTOMER_FEE = 2_500
TAKEN = 50_000
REST = AMOUNT_MINOR - TAKEN
NET = AMOUNT_MINOR - fee_of(AMOUNT_MINOR)


@dataclass(frozen=True)
class Trouble:
    """What happens to an escrow, how it must end, and what Razorpay must have done for it."""

    name: str
    status: str
    released: int = 0
    refunded: int = 0
    # What of it Razorpay itself must have refunded; the rest is the bank's.
    repaid: int = 0
    attention: str = ""

    @property
    def is_disputed(self) -> bool:
        return self.name in ("won", "lost", "partial", "late")


TROUBLES = (
    Trouble("fee released", "RELEASED", NET),
    Trouble("fee refunded", "REFUNDED", 0, AMOUNT_MINOR, AMOUNT_MINOR),
    Trouble("won", "RELEASED", NET),
    Trouble("lost", "REFUNDED", 0, AMOUNT_MINOR),
    Trouble("partial", "SPLIT", REST - fee_of(REST), TAKEN),
    Trouble("late", "RELEASED", NET, attention="PLATFORM_LOSS"),
    Trouble("kyc", "REFUNDED", 0, AMOUNT_MINOR, AMOUNT_MINOR),
)


class Life:
    """One escrow and its trouble."""

    def __init__(self, client: Client, trouble: Trouble) -> None:
        self.trouble = trouble
        self.client = client
        self.deal = Deal(client)

    async def begin(self) -> None:
        """All that people do before the bank decides."""
        deal, name = self.deal, self.trouble.name
        account_id = "acc_" + secrets.token_hex(7)
        if name == "kyc":
            await self._sandbox("PUT", f"/accounts/{account_id}", {"status": "rejected"})
        seller = deal.seller.user_id
        await deal.seller.insist("RegisterPayee", user_id=seller, account_id=account_id)
        answer = await deal.buyer.insist("CreateEscrow", **deal.terms())
        deal.escrow_id = answer.escrow.escrow_id
        started = await deal.buyer.insist("StartPayment", escrow_id=deal.escrow_id)
        deal.order_id = started.order_id
        more: dict[str, Any] = {"customer_fee": CUSTOMER_FEE} if name.startswith("fee") else {}
        await self.client.pay(deal.order_id, **more)
        await deal.until_status("HELD", NEWS_LIMIT_S)
        await self._decide()

    async def _decide(self) -> None:
        deal, name = self.deal, self.trouble.name
        if name in ("won", "lost", "partial"):
            amount = {"amount": TAKEN} if name == "partial" else {}
            onset = {"deduct_at_onset": name == "lost"}
            await self._bank("created", **amount, **onset)
        if name == "fee refunded":
            await deal.seller.insist("RefundEscrow", escrow_id=deal.escrow_id)
        elif name in ("fee released", "won", "late"):
            await deal.buyer.insist("ReleaseEscrow", escrow_id=deal.escrow_id)
        elif name == "kyc":
            for who in (deal.buyer, deal.seller):
                await who.insist("AddConfirmation", escrow_id=deal.escrow_id)
            await self._override()
        if name == "late":
            await deal.until_status("RELEASED", END_LIMIT_S)
            await self._bank("created")

    async def let_the_bank_decide(self) -> None:
        if self.trouble.is_disputed:
            await self._bank("won" if self.trouble.name == "won" else "lost")

    async def end(self) -> Any:
        """Wait for the end; answer the escrow."""
        if self.trouble.name == "partial":
            deal = self.deal
            await deal.until(lambda e: e.escrow.payment.charged_back.amount_minor, END_LIMIT_S)
            await deal.buyer.insist("ReleaseEscrow", escrow_id=deal.escrow_id)
        await self.deal.until_status(self.trouble.status, END_LIMIT_S)
        attention = self.trouble.attention
        return await self.deal.until(
            lambda event: (
                self._codes(event.escrow) == ([attention] if attention else [])
                and event.new_status == self.deal.status(self.trouble.status)
            ),
            END_LIMIT_S,
        )

    def _codes(self, escrow: Any) -> list[str]:
        name = self.client.stack.api.name
        return [name("AttentionCode", one.code) for one in escrow.attentions]

    async def _override(self) -> None:
        """Have the buyer refunded as soon as nothing of the release is on its way."""
        admin = self.client.caller("admin", "admin")
        async with asyncio.timeout(END_LIMIT_S):
            while True:
                try:
                    await admin.call(
                        "OverrideSettlement",
                        escrow_id=self.deal.escrow_id,
                        release_minor=0,
                        refund_minor=AMOUNT_MINOR,
                        note="Razorpay does not take the account",
                    )
                    return
                except Refused as refusal:
                    is_passing = refusal.reason == "SETTLEMENT_UNDER_WAY"
                    if not is_passing and refusal.code not in AWAY:
                        raise
                await asyncio.sleep(0.2)

    async def _bank(self, event: str, **more: Any) -> None:
        payment_id = (await self.deal.get()).payment.payment_id
        await self._sandbox("POST", f"/payments/{payment_id}/dispute", {"event": event, **more})

    async def _sandbox(self, method: str, path: str, body: dict[str, Any]) -> None:
        url = f"{self.client.stack.sandbox_url}/sandbox{path}"
        async with self.client.http.request(method, url, json=body) as answer:
            assert answer.status == 200, await answer.text()


def check(life: Life, end: Any, money: Money) -> None:
    """Check that the escrow and Razorpay are where the trouble must have brought them."""
    trouble = life.trouble
    told = [part.amount_minor for part in (end.released, end.refunded, end.held)]
    assert told == [trouble.released, trouble.refunded, 0], trouble.name
    assert end.refunded_by == ("bank" if trouble.name == "lost" else "")
    assert (money.on_hold, money.released, money.refunded) == (
        0,
        trouble.released,
        trouble.repaid,
    ), trouble.name
    assert len(money.refunds) == (1 if trouble.repaid else 0)


async def check_books(client: Client, lives: Sequence[Life]) -> None:
    service = client.caller("auditor", "service")
    whole = await service.call("CheckBooks", with_razorpay=True)
    assert (whole.balanced, whole.escrows_checked) == (True, len(lives)), whole.findings

    async def balance(account: str) -> int:
        answer = await service.call("GetBalance", account=account)
        return sum(b.amount_minor for b in answer.balances)

    for account in ("razorpay:on_hold", "razorpay:chargebacks", "refunds:in_flight"):
        assert await balance(account) == 0, account
    late = sum(life.trouble.name == "late" for life in lives)
    assert await balance("platform:chargeback_losses") == late * AMOUNT_MINOR
    borne = sum(life.trouble.name.startswith("fee") for life in lives)
    assert await balance("razorpay:convenience_fees") == -borne * CUSTOMER_FEE
    assert await balance("razorpay:balance") == await client.razorpay_balance()


@pytest.mark.timeout(300)
async def test_no_trouble_traps_money_in_a_storm(
    tmp_path: Path, own_url: str | None, size: Size
) -> None:
    rng = random.Random(SEED)
    async with mortal_stack(tmp_path, own_url) as client:
        count = max(size.escrows, len(TROUBLES))
        lives = [Life(client, t) for t in itertools.islice(itertools.cycle(TROUBLES), count)]
        rng.shuffle(lives)
        await client.faults(**STORM)
        await few_at_once([life.begin() for life in lives], AT_ONCE)
        # What the bank decides is told once at least: its list is only asked for every ten minutes.
        await client.faults(api=STORM["api"], webhooks={"duplicate": CHANCE, "reorder": CHANCE})
        await few_at_once([life.let_the_bank_decide() for life in lives], AT_ONCE)
        await asyncio.sleep(1)
        await client.faults()
        ends = await asyncio.gather(*(life.end() for life in lives))
        for life, end in zip(lives, ends, strict=True):
            check(life, end, await life.deal.money())
        await check_books(client, lives)
