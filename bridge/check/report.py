"""The findings, one line for each step of the check."""

from __future__ import annotations

from collections.abc import Callable

from holdfast.redact import redacted


class Stop(Exception):
    """The check cannot go on. `is_wrong` is false if the address could not be reached at all."""

    def __init__(self, why: str, *, is_wrong: bool) -> None:
        super().__init__(why)
        self.is_wrong = is_wrong


class Report:
    """Writes each finding at once, because some steps take a while."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self.wrongs = 0

    def good(self, text: str) -> None:
        self._line("ok", text)

    def wrong(self, text: str, remedy: str) -> None:
        """Report what does not work, and what to do about it."""
        self.wrongs += 1
        self._line("WRONG", text)
        self._line("", remedy)

    def note(self, text: str) -> None:
        """Report what is not wrong, but worth knowing."""
        self._line("note", text)

    def _line(self, word: str, text: str) -> None:
        self._say(redacted(f"{word:6}{text}"))
