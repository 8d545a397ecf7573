"""`python -m core` serves until SIGTERM or SIGINT, then drains.

`python -m core reconcile --since 2026-11-01` asks Razorpay about everything that changed since;
it ends with 1 and a line for each escrow that could not be asked about. `python -m core books
--day 2026-11-25` holds Razorpay's settlement report of a day, or of all days `--since` one, against
the books; it ends with 1 and both sides of each difference where there is one. `python -m core
recount` corrects kept balances that CheckBooks has found wrong. `python -m core confirm-time` says
that this machine's clock is right, so that deadlines pass again.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NoReturn

from core import config, operator, server
from core.attachments.choice import Unusable
from core.books.recon import INDIA
from core.errors import Reason, Refusal
from core.law.message import US_PER_S
from core.razorpay import GatewayError
from core.storage.trouble import explain
from holdfast import garbage, metrics
from holdfast.log import set_up

log = logging.getLogger("core")

# How far back `books` looks.
MAX_BOOKS_DAYS = 1_000


async def _serve(settings: config.Settings) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    async with server.serving(settings) as core:
        garbage.leave_alone()
        waiting = [asyncio.create_task(event.wait()) for event in (stop, core.broken)]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        log.info("core drains")
    log.info("core has stopped")
    return 1 if core.broken.is_set() else 0


async def _reconcile(settings: config.Settings, since: datetime) -> int:
    def progress(asked: int, changed: int) -> None:
        print(f"asked about {asked}, changed {changed}", flush=True)  # noqa: T201

    _cancel_on_sigterm()
    since_us = round(since.timestamp() * US_PER_S)
    done = await operator.reconcile(settings, since_us, progress)
    for name, why in done.failed.items():
        print(f"failed: {name}: {why}")  # noqa: T201
    rest = f", {len(done.failed)} failed" if done.failed else ""
    print(f"done: {done.asked} escrows asked about, {done.changed} changed{rest}")  # noqa: T201
    return 1 if done.failed else 0


async def _books(settings: config.Settings, days: Sequence[date]) -> int:
    def progress(sentence: str) -> None:
        print(sentence, file=sys.stderr, flush=True)  # noqa: T201

    _cancel_on_sigterm()
    results = await operator.books(settings, days, progress)
    print(f"{'day':<12}{'lines':>8}{'matched':>9}{'posted':>8}{'waiting':>9}{'findings':>10}")  # noqa: T201
    for one in results:
        counts = [one.counts[name] for name in ("MATCHED", "POSTED", "WAITING")]
        matched, posted, waiting = counts
        row = f"{one.lines:>8}{matched:>9}{posted:>8}{waiting:>9}{len(one.findings):>10}"
        print(f"{one.day:<12}{row}")  # noqa: T201
    findings = [finding for one in results for finding in one.findings]
    for finding in findings:
        whose = f" (escrow {finding.escrow_id})" if finding.escrow_id else ""
        print(f"{finding.check}: {finding.message}{whose}")  # noqa: T201
    return 1 if findings else 0


async def _recount(settings: config.Settings) -> int:
    _cancel_on_sigterm()
    for drift in await operator.recount(settings):
        sides = f"was kept as {drift.kept_minor}, its postings come to {drift.posted_minor}"
        print(f"corrected: {drift.account}: {sides} {drift.currency}")  # noqa: T201
    print("done: every balance is the sum of its postings")  # noqa: T201
    return 0


async def _confirm_time(settings: config.Settings) -> int:
    _cancel_on_sigterm()
    await operator.confirm_time(settings)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    print(f"confirmed: it is {now}; cores whose clocks agree believe it within seconds")  # noqa: T201
    return 0


def _cancel_on_sigterm() -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no ISO 8601 time") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _day(text: str) -> date:
    today = datetime.now(INDIA).date()
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day; write YYYY-MM-DD") from None
    if not today - timedelta(days=MAX_BOOKS_DAYS) <= day <= today:
        raise argparse.ArgumentTypeError(
            f"{text} is in the future or more than {MAX_BOOKS_DAYS} days ago"
        )
    return day


def _days(arguments: argparse.Namespace) -> list[date]:
    """The days that are asked for: one, or all until yesterday, which is the last whole one."""
    if arguments.day is not None:
        return [arguments.day]
    count = (datetime.now(INDIA).date() - arguments.since).days
    return [arguments.since + timedelta(days=n) for n in range(count)]


def _give_up(sentence: str) -> NoReturn:
    print(sentence, file=sys.stderr)  # noqa: T201
    sys.exit(2)


def main() -> None:
    """Run core. Exits with 2 and one message when it cannot start, with 1 when a loop ended."""
    parser = argparse.ArgumentParser(prog="python -m core", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    again = commands.add_parser("reconcile", help="ask Razorpay what the webhooks did not tell")
    again.add_argument(
        "--since", type=_time, required=True, help="ISO 8601; UTC where it does not say"
    )
    books = commands.add_parser(
        "books", help="hold Razorpay's settlement reports against the books"
    )
    which = books.add_mutually_exclusive_group(required=True)
    which.add_argument("--day", type=_day, help="YYYY-MM-DD, a day of India")
    which.add_argument("--since", type=_day, help="all days from this one until yesterday")
    commands.add_parser("recount", help="correct the kept balances from the postings")
    commands.add_parser("confirm-time", help="say that this machine's clock is right")
    arguments = parser.parse_args()
    if arguments.command == "books" and not _days(arguments):
        books.error("argument --since: today is not over; use --day")
    try:
        settings = config.read()
        set_up(settings.log_format, settings.log_level)
        if arguments.command == "reconcile":
            sys.exit(asyncio.run(_reconcile(settings, arguments.since)))
        if arguments.command == "books":
            sys.exit(asyncio.run(_books(settings, _days(arguments))))
        if arguments.command == "recount":
            sys.exit(asyncio.run(_recount(settings)))
        if arguments.command == "confirm-time":
            sys.exit(asyncio.run(_confirm_time(settings)))
        sys.exit(asyncio.run(_serve(settings)))
    except (
        config.ConfigError,
        server.PortTaken,
        metrics.PortTaken,
        GatewayError,
        Unusable,
    ) as error:
        _give_up(str(error))
    except Refusal as refusal:
        is_storage = refusal.reason is Reason.STORAGE_UNAVAILABLE
        _give_up(f"DATABASE_URL: {explain(refusal)}" if is_storage else str(refusal))
    except asyncio.CancelledError:
        sys.exit(130)


if __name__ == "__main__":
    main()
