"""The secrets of a stack: made once and kept in .run/, so that tokens stay valid after a restart.

Must never print a secret, and never leave one readable by other users.
"""

from __future__ import annotations

import json
import os
import secrets
import string
import tempfile
from dataclasses import asdict, dataclass, fields
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / ".run"


class Refusal(Exception):
    """Why the stack cannot start, as a sentence for the person at the terminal."""


@dataclass(frozen=True, repr=False)
class Secrets:
    """`webhook_secret` and the key pair are the sandbox's; they are worth nothing at Razorpay."""

    jwt_secret: str
    sandbox_key_id: str
    sandbox_key_secret: str
    webhook_secret: str


def keep(folder: Path = FOLDER) -> Secrets:
    """Read the kept secrets, or make new ones. Two processes that do so at once get the same."""
    path = folder / "secrets.json"
    folder.mkdir(mode=0o700, exist_ok=True)
    if not path.exists():
        _write_once(path, _make())
    path.chmod(0o600)
    try:
        kept = json.loads(path.read_text())
        return Secrets(**{field.name: str(kept[field.name]) for field in fields(Secrets)})
    except (ValueError, KeyError, TypeError) as broken:
        raise Refusal(f"{path} cannot be read; delete it, and new secrets are made") from broken


def _make() -> Secrets:
    return Secrets(
        jwt_secret=secrets.token_urlsafe(48),
        sandbox_key_id="rzp_test_sandbox" + _letters(8),
        sandbox_key_secret=_letters(24),
        webhook_secret=_letters(32),
    )


def _letters(length: int) -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(length))


def _write_once(path: Path, made: Secrets) -> None:
    # os.link fails if the name exists. So no reader ever sees half a file.
    descriptor, draft = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "w") as file:
            json.dump(asdict(made), file)
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        os.unlink(draft)
