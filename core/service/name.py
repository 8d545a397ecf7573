"""The name by which a person is shown: what it may be made of. Pure.

Names stand beside money, so one must not deceive: neither show other text than it holds, nor pass
for somebody else by letters that look alike, nor cover what stands around it. It is kept as it was
typed, in any script. That two people have one name is no deceit; their ids tell them apart.
"""

from __future__ import annotations

import unicodedata

from core.service.text import BLANK
from holdfast.subject import RESERVED_USER_IDS

# Characters of a person's name.
MAX_DISPLAY_NAME = 80
# Marks on one letter of a name that are drawn above or below it, and more of which would cover the
# lines around it (https://www.unicode.org/reports/tr39/, optional detection).
MAX_MARKS = 4

# Writing needs these two: they join or part the letters of Hindi, Persian and many others.
_JOINERS = frozenset("\u200c\u200d")
# Control, format, half of a pair, private, unassigned; separators of lines and paragraphs.
_UNFIT = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
# Scripts with letters that look alike, as Unicode's names of the letters begin.
_ALIKE = ("LATIN ", "GREEK ", "CYRILLIC ")


def written(name: str) -> str:
    """Answer a name as it is kept: without the blanks around it."""
    return name.strip()


def problem(name: str) -> str:
    """Answer what is wrong with a name as it is kept, and what to do; empty when nothing is."""
    if len(name) > MAX_DISPLAY_NAME:
        return f"must have at most {MAX_DISPLAY_NAME} characters; shorten it"
    if any(_is_unfit(one) for one in name):
        return (
            "must not contain control characters, line breaks, nor such as are invisible or change"
            " the direction of text; take them out"
        )
    if name and not any(unicodedata.category(one)[0] in "LN" for one in name):
        return "must have a letter or a digit; leave it empty to delete the name"
    if _most_marks(name) > MAX_MARKS:
        return f"must not have more than {MAX_MARKS} marks on one letter; take some off"
    if any(_mixes(word) for word in name.split()):
        return (
            "must not mix Latin, Greek and Cyrillic letters in one word, for they look alike;"
            " write the word in one script"
        )
    if unicodedata.normalize("NFKC", name).casefold() in RESERVED_USER_IDS:
        return "must not be a name that Holdfast keeps for itself; add the person's other names"
    return ""


def _is_unfit(character: str) -> bool:
    if character in _JOINERS:
        return False
    return unicodedata.category(character) in _UNFIT or character in BLANK


def _most_marks(name: str) -> int:
    most = run = 0
    for character in name:
        run = run + 1 if unicodedata.category(character) in ("Mn", "Me") else 0
        most = max(most, run)
    return most


def _mixes(word: str) -> bool:
    names = [unicodedata.name(one, "") for one in word]
    return sum(any(name.startswith(script) for name in names) for script in _ALIKE) > 1
