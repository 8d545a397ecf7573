"""Revoked tokens: hears of them from core as they come, and of all of them at the start."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from bridge.limits import Limits
from bridge.upstream.core import Core
from bridge.upstream.error import CoreError
from holdfast.revocation import Revocations


async def hear(core: Core, revocations: Revocations, limits: Limits) -> None:
    """Keep the bridge's revocations in step with core's, until cancelled."""
    while True:
        pause_s = limits.revocations_retry_s
        try:
            async with aclosing(core.watch_revocations()) as told:
                async for message in told:
                    for one in message.revocations:
                        before = one.issued_before
                        revocations.add(one.user_id, before.seconds + before.nanos / 1e9)
        except CoreError as error:
            if error.code == "UNIMPLEMENTED":
                pause_s = limits.watch_silence_s  # An older core, which revokes nothing.
        await asyncio.sleep(pause_s)
