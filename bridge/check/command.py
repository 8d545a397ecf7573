"""The command line of the check, and the order of its steps."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Sequence

import aiohttp

from bridge.check import address
from bridge.check.address import Address
from bridge.check.line import Line
from bridge.check.pages import CANARY, Pages
from bridge.check.report import Report, Stop

_FROM_STDIN = "-"
_EXIT_GOOD, _EXIT_WRONG, _EXIT_NOT_TRIED = 0, 1, 2
_HTTPS = "Serve it over https; a page of https may not even open a ws:// address."


def main(arguments: Sequence[str]) -> int:
    """Check an address. Answers 0 if all is well, 1 if something is wrong, and 2 if the address
    could not be reached."""
    parser = argparse.ArgumentParser(
        prog="python -m bridge check",
        description="Try a public address of a bridge as a browser would, and say what is wrong.",
    )
    parser.add_argument("address", help="such as https://pay.example")
    parser.add_argument(
        "--token",
        help="a user's token for the WebSocket and the API; `-` reads it from standard input."
        " Without it the check asks the demo login for one",
    )
    parser.add_argument(
        "--wait", type=float, metavar="SECONDS", help="how long to try an idle connection"
    )
    given = parser.parse_args(arguments)
    try:
        where = address.read(given.address)
    except ValueError as error:
        parser.error(str(error))
    given_token = given.token or ""
    if given_token == _FROM_STDIN:
        given_token = sys.stdin.readline().strip()
    return asyncio.run(check(where, given_token, wait_s=given.wait, say=_print))


async def check(
    where: Address, token: str, *, wait_s: float | None, say: Callable[[str], None]
) -> int:
    """Try everything; answer the exit code. `say` gets each finding at once."""
    report = Report(say)
    # A new connection for each request, like a browser that visits for the first time.
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(connector=connector) as http:
        try:
            await _check(http, where, token, report, wait_s)
        except Stop as stop:
            if not stop.is_wrong:
                say(f"{where.origin} could not be tried: {stop}")
                return _EXIT_NOT_TRIED
            report.wrong(str(stop), "Nothing more can be tried before that.")
    say(f"{report.wrongs} wrong" if report.wrongs else "all is well")
    return _EXIT_WRONG if report.wrongs else _EXIT_GOOD


async def _check(
    http: aiohttp.ClientSession, where: Address, token: str, report: Report, wait_s: float | None
) -> None:
    pages = Pages(http, where, report)
    await pages.alive()
    await pages.ready()
    if where.is_unencrypted:
        report.wrong("this is plain http: everybody on the way can read the tokens", _HTTPS)
        token = ""
    await pages.page()
    await pages.webhook()
    await pages.canary()
    if not where.is_unencrypted:
        token = token or await pages.demo_token()
    if token:
        await pages.api(token)
    else:
        report.note("without --token only the beginning of the WebSocket can be tried")
    await Line(http, where, report).check(token or CANARY, is_good=bool(token), wait_s=wait_s)


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - what it finds is its output
