"""The real core with shorter waits: seconds where the real one waits half a minute.

The waits keep their order: a lease is longer than a call, and a listing is trusted only when no
earlier call can still be on its way.
"""

import asyncio

from core import config
from core.server import serving
from core.settlement.patience import Patience
from core.settlement.reconcile import Schedule
from core.webhooks.pace import Pace
from holdfast.log import set_up

GATEWAY_TIMEOUT_S = 1.5
PATIENCE = Patience(
    lease_s=2.0,
    call_s=1.6,
    listing_s=3.0,
    pending_first_s=0.1,
    pending_last_s=0.5,
    error_first_s=0.05,
    error_last_s=0.5,
)
# A storm fails every second call, so that a lost webhook needs many looks.
SCHEDULE = Schedule(awaited_first_s=0.5, awaited_last_s=4.0, away_s=1.0)
# A try that is slower than its lease is made twice, and counts once.
PACE = Pace(lease_s=2.0, first_s=0.1, outage_s=0.5)


async def live() -> None:
    """Serve until killed."""
    settings = config.read()
    set_up(settings.log_format, settings.log_level)
    async with serving(
        settings,
        patience=PATIENCE,
        schedule=SCHEDULE,
        webhook_pace=PACE,
        gateway_timeout_s=GATEWAY_TIMEOUT_S,
    ) as core:
        await core.broken.wait()


if __name__ == "__main__":
    asyncio.run(live())
