"""What a request must look like before it becomes a command. Names every bad field at once."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import unicodedata
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from escrow.v1 import escrow_pb2 as pb
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from core.errors import Reason, Refusal, field_invalid
from core.law.command import Caller
from core.law.escrow import ESCROW_ID
from core.law.message import US_PER_S, span_us
from core.law.money import CURRENCY, MAX_AMOUNT_MINOR, MIN_AMOUNT_MINOR
from core.service import text
from holdfast.subject import MAX_USER_ID_CHARACTERS, RESERVED_USER_IDS

# Characters of a title.
MAX_TITLE = 200
# Characters of a description.
MAX_DESCRIPTION = 5_000
# Characters of a note.
MAX_NOTE = 1_000
# Characters of the reason of a dispute.
MAX_REASON = 2_000
# Characters of a message in a dispute.
MAX_MESSAGE = 4_000
# Files of a message in a dispute.
MAX_FILES = 10
# Characters of a request id.
MAX_REQUEST_ID = 128
# Characters of the caller's own id of an escrow.
MAX_EXTERNAL_ID = 128
# Entries of the caller's own data.
MAX_METADATA = 20
# Characters of a key of that data.
MAX_METADATA_KEY = 64
# Characters of a value of that data.
MAX_METADATA_VALUE = 500
# Milestones of an escrow.
MAX_MILESTONES = 20
# The data of PublishUpdate, serialized.
MAX_DATA_BYTES = 16 << 10
# How deep that data may nest. A level is up to three messages in one another, and readers of
# protobuf allow 100 in all.
MAX_DATA_DEPTH = 20
DAY_US = 86_400 * US_PER_S

_TOKEN = re.compile(r"[!-~]+")
_UPDATE_TYPE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_ACCOUNT = re.compile(r"acc_[A-Za-z0-9]{14}")
# What the rows of a page are keyed by: an escrow's id, one of Razorpay's, or a user's.
_KEY = re.compile(rf"[!-~]{{1,{MAX_USER_ID_CHARACTERS}}}")
_RAZORPAY_ID = re.compile(r"[a-z]+_[A-Za-z0-9]{1,40}")


class Check:
    """Collects what is wrong with the fields of one request; `done` refuses if anything is."""

    def __init__(self) -> None:
        self._problems: dict[str, str] = {}
        self._reasons: set[Reason] = set()

    def problem(self, field: str, problem: str, reason: Reason = Reason.FIELD_INVALID) -> None:
        self._problems.setdefault(field, problem)
        self._reasons.add(reason)

    def done(self) -> None:
        """Raise Refusal FIELD_INVALID, or AMOUNT_INVALID where only amounts are wrong."""
        if not self._problems:
            return
        only_amounts = self._reasons == {Reason.AMOUNT_INVALID}
        reason = Reason.AMOUNT_INVALID if only_amounts else Reason.FIELD_INVALID
        text = "; ".join(f"{field}: {problem}" for field, problem in self._problems.items())
        raise Refusal(reason, text, self._problems)

    def user_id(self, field: str, value: str, *, may_be_empty: bool = False) -> str:
        if not value and may_be_empty:
            return value
        if not _TOKEN.fullmatch(value) or len(value) > MAX_USER_ID_CHARACTERS:
            self.problem(
                field,
                f"must be 1 to {MAX_USER_ID_CHARACTERS} printable ASCII characters without blanks",
            )
        elif value in RESERVED_USER_IDS:
            self.problem(field, "must not be a name that Holdfast keeps for itself")
        return value

    def text(self, field: str, value: str, *, most: int, least: int = 0) -> str:
        problem = text.problem(value, least=least, most=most)
        if problem:
            self.problem(field, problem)
        return value

    def amount(self, field: str, money: pb.Money) -> int:
        if money.currency != CURRENCY:
            self.problem(f"{field}.currency", f"must be {CURRENCY}", Reason.AMOUNT_INVALID)
        if not MIN_AMOUNT_MINOR <= money.amount_minor <= MAX_AMOUNT_MINOR:
            self.problem(
                f"{field}.amount_minor",
                f"must be from {MIN_AMOUNT_MINOR} to {MAX_AMOUNT_MINOR} minor units",
                Reason.AMOUNT_INVALID,
            )
        return money.amount_minor

    def external_id(self, field: str, value: str) -> str:
        if value and (len(value) > MAX_EXTERNAL_ID or not _TOKEN.fullmatch(value)):
            self.problem(
                field, f"must be at most {MAX_EXTERNAL_ID} printable ASCII characters, no blanks"
            )
        return value

    def metadata(self, field: str, given: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        if len(given) > MAX_METADATA:
            self.problem(field, f"must have at most {MAX_METADATA} entries")
            return ()
        for key, value in given.items():
            self.text(f"{field}.key", key, least=1, most=MAX_METADATA_KEY)
            self.text(f"{field}[{key!r:.70}]", value, most=MAX_METADATA_VALUE)
        return tuple(sorted(given.items()))

    def span(self, field: str, message: Duration, *, is_set: bool, default: int, most: int) -> int:
        """Read a duration of 1 s to `most` microseconds; `default` where it is absent."""
        if not is_set:
            return default
        span = span_us(message)
        if not US_PER_S <= span <= most:
            self.problem(field, f"must be from 1 s to {most // US_PER_S} s")
        return span

    def update_type(self, field: str, value: str) -> str:
        if not _UPDATE_TYPE.fullmatch(value):
            self.problem(field, "must be 1 to 64 of a-z, 0-9 and _, beginning with a letter")
        return value

    def account_id(self, field: str, value: str) -> str:
        if not _ACCOUNT.fullmatch(value):
            self.problem(field, "must be acc_ and 14 letters or digits, as Razorpay shows it")
        return value

    def razorpay_id(self, field: str, value: str, prefix: str) -> str:
        if not value.startswith(prefix) or not _RAZORPAY_ID.fullmatch(value):
            self.problem(field, f"must be an id of Razorpay beginning with {prefix}")
        return value

    def range(self, field: str, value: int, *, least: int, most: int, default: int = 0) -> int:
        """Check a whole number; 0 stands for `default` where there is one."""
        if value == 0 and default:
            return default
        if not least <= value <= most:
            self.problem(field, f"must be from {least} to {most}")
        return value

    def request_id(self, value: str) -> str:
        if value and (len(value) > MAX_REQUEST_ID or not _TOKEN.fullmatch(value)):
            self.problem(
                "request_id",
                f"must be at most {MAX_REQUEST_ID} printable ASCII characters without blanks",
            )
        return value


def is_alike(one: str, other: str) -> bool:
    """Whether people take two user ids for one: they differ in nothing but case or form."""
    return _as_read(one) == _as_read(other)


def _as_read(user_id: str) -> str:
    return unicodedata.normalize("NFKC", user_id).casefold()


def is_flat(value: Any, depth: int) -> bool:
    """Whether objects and lists nest at most so deep."""
    if not isinstance(value, dict | list):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return depth > 0 and all(is_flat(one, depth - 1) for one in inner)


def escrow_id(value: str) -> str:
    """Check an escrow id; one that cannot exist does not."""
    if not value:
        raise Refusal(
            Reason.FIELD_INVALID, "escrow_id: must be given", {"escrow_id": "must be given"}
        )
    if not ESCROW_ID.fullmatch(value):
        raise Refusal(Reason.ESCROW_NOT_FOUND, "There is no such escrow.")
    return value


def file_ids(given: Sequence[str]) -> tuple[str, ...]:
    """Check the ids of a message's files. Raises Refusal FIELD_INVALID, ATTACHMENT_NOT_FOUND."""
    if len(given) > MAX_FILES:
        raise field_invalid("file_ids", f"must be at most {MAX_FILES}")
    if len(set(given)) < len(given):
        raise field_invalid("file_ids", "must all be different")
    for one in given:
        file_id(one)
    return tuple(given)


def file_id(value: str) -> str:
    """Check a file's id; one that cannot exist does not. Raises Refusal ATTACHMENT_NOT_FOUND."""
    if not ESCROW_ID.fullmatch(value):
        raise Refusal(Reason.ATTACHMENT_NOT_FOUND, "There is no such file.")
    return value


def cause(caller: Caller, request_id: str) -> str:
    """Answer the cause of a call: the same for the same caller and request id."""
    if not request_id:
        return f"once:{uuid.uuid4()}"
    # Both may contain colons: the length tells where the one ends.
    return f"rpc:{len(caller.user_id)}:{caller.user_id}:{request_id}"


def fingerprint(request: Message) -> bytes:
    """Answer what tells one body from another: SHA-256 of its type and content without the id."""
    bare = type(request)()
    bare.CopyFrom(request)
    bare.ClearField("request_id")
    name = request.DESCRIPTOR.full_name.encode()
    return hashlib.sha256(name + b"\0" + bare.SerializeToString(deterministic=True)).digest()


def page_token(after: list[int | str], key: str) -> str:
    """Write where a page ended, and the filter that it belongs to."""
    return base64.urlsafe_b64encode(json.dumps([*after, key]).encode()).decode()


def read_page_token(token: str, key: str, kinds: list[type]) -> list[Any] | None:
    """Read where a page ended; None for the first. Raises Refusal PAGE_TOKEN_INVALID."""
    if not token:
        return None
    try:
        *after, given = json.loads(base64.urlsafe_b64decode(token.encode()))
        is_ours = given == key and [type(value) for value in after] == kinds
        is_ours = is_ours and all(_fits(value) for value in after)
    except (ValueError, TypeError, RecursionError):
        after, is_ours = [], False
    if not is_ours:
        problem = "must be next_page_token of an answer with the same filter"
        raise Refusal(Reason.PAGE_TOKEN_INVALID, f"page_token: {problem}", {"page_token": problem})
    return list(after)


def _fits(value: int | str) -> bool:
    if isinstance(value, str):
        return _KEY.fullmatch(value) is not None
    return 0 <= value < 2**62
