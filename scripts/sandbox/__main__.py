"""Runs the sandbox as a process of its own until SIGINT or SIGTERM."""

import argparse
import asyncio
import os
import signal

from scripts.sandbox.server import KEY_ID, KEY_SECRET, WEBHOOK_SECRET, Sandbox

DEFAULT_PORT = 8001
DEFAULT_WEBHOOK_URL = "http://127.0.0.1:8000/api/v1/webhooks/razorpay"


def main() -> None:
    """Read the command line and the environment, and serve."""
    options = _options()
    environ = os.environ
    sandbox = Sandbox(
        key_id=environ.get("RAZORPAY_KEY_ID") or KEY_ID,
        key_secret=environ.get("RAZORPAY_KEY_SECRET") or KEY_SECRET,
        webhook_secret=environ.get(options.webhook_secret_env) or WEBHOOK_SECRET,
        webhook_url=options.webhook_url or None,
        port=options.port,
        seed=options.seed,
    )
    try:
        asyncio.run(_serve(sandbox))
    except OSError as error:
        raise SystemExit(f"sandbox: cannot listen on port {options.port}: {error}") from None


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scripts.sandbox", description=__doc__)
    parser.add_argument(
        "--port",
        type=int,
        default=os.environ.get("SANDBOX_PORT", str(DEFAULT_PORT)),
        help="0 takes a free port (default: SANDBOX_PORT, or 8001)",
    )
    parser.add_argument(
        "--webhook-url",
        default=DEFAULT_WEBHOOK_URL,
        help="where webhooks are sent; empty sends none (default: %(default)s)",
    )
    parser.add_argument(
        "--webhook-secret-env",
        default="RAZORPAY_WEBHOOK_SECRET",
        help="the variable that holds the webhook secret (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, help="repeat the ids and faults of an earlier run")
    return parser.parse_args()


async def _serve(sandbox: Sandbox) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, stop.set)
    async with sandbox:
        print(f"sandbox ready: {sandbox.base_url}", flush=True)
        await stop.wait()


if __name__ == "__main__":
    main()
