"""What is said in a dispute, and the files that are shown there. Pure.

A message changes neither money nor status. Each person has a number of messages of their own, so
that no side can use up the other's.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from core.errors import Reason, Refusal
from core.law import command as c
from core.law.command import Caller
from core.law.escrow import Escrow, Event
from core.law.event import step
from core.law.part import Dispute, Part, Said
from core.law.status import EventType

# Messages of one person in one dispute.
MAX_MESSAGES = 100


def add_message(
    escrow: Escrow, part: Part, command: c.AddDisputeMessage, caller: Caller, now_us: int
) -> Event:
    assert part.dispute is not None, "a disputed part has its dispute"
    count = part.dispute.said_by(caller.user_id)
    if count >= MAX_MESSAGES:
        raise Refusal(
            Reason.TOO_MANY_MESSAGES,
            f"You have written {MAX_MESSAGES} messages in this dispute, and that is all there is"
            " room for.",
        )
    files = _files(escrow, command, caller)
    return step(
        escrow,
        escrow.with_part(replace(part, dispute=_counted(part.dispute, caller, count + 1))),
        now_us,
        EventType.MESSAGE_ADDED,
        caller,
        part_id=part.part_id,
        data={"text": command.text, "attachments": [_shown(file) for file in files]},
    )


def _files(escrow: Escrow, command: c.AddDisputeMessage, caller: Caller) -> list[c.File]:
    """Answer the files of a message: the caller's own, of this escrow, and not sent before."""
    theirs = {
        file.file_id: file
        for file in command.files
        if file.escrow_id == escrow.escrow_id and file.uploader_id == caller.user_id
    }
    for file_id in command.file_ids:
        if file_id not in theirs:
            raise Refusal(
                Reason.ATTACHMENT_NOT_FOUND,
                f"There is no file {file_id!r:.40} of yours to send. Upload it again.",
            )
    return [theirs[file_id] for file_id in command.file_ids]


def _counted(dispute: Dispute, caller: Caller, count: int) -> Dispute:
    others = (one for one in dispute.said if one.user_id != caller.user_id)
    return replace(dispute, said=(*others, Said(caller.user_id, count)))


def _shown(file: c.File) -> dict[str, Any]:
    return {
        "file_id": file.file_id,
        "name": file.name,
        "content_type": file.content_type,
        "size_bytes": file.size_bytes,
        "sha256": file.sha256,
    }
