"""Text for people: what a title, a description, a reason or a note may be made of.

Pure. Must refuse what deceives a reader, and nothing that a language needs: Hindi is written with
zero-width joiners, and right-to-left text may carry its plain marks.
"""

from __future__ import annotations

import re
import unicodedata

# Control characters of both sets, but for tab, line feed and carriage return; halves of a pair;
# and the bidirectional controls, which show text in another order than it is stored in
# (https://www.unicode.org/reports/tr9/, explicit directional formatting).
_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]"
)
# Letters, marks' bases, digits, punctuation and symbols are seen; all else is blank or nothing.
_SEEN = frozenset("LNPS")
# Unicode calls these letters or symbols, and they show nothing: Hangul's fillers, empty Braille.
BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800")

FORBIDDEN = "must not contain control characters, nor such as change the direction of text"


def problem(text: str, *, least: int, most: int) -> str:
    """Answer what is wrong with a text of `least` to `most` characters; empty when nothing is.

    With `least`, something in it must be visible.
    """
    if len(text.strip()) < least or len(text) > most:
        return f"must have {least} to {most} characters"
    if _FORBIDDEN.search(text):
        return FORBIDDEN
    if least and not any(_is_seen(character) for character in text):
        return "must have a visible character"
    return ""


def is_clean(value: object) -> bool:
    """Whether no text in this JSON value, keys included, has a forbidden character."""
    if isinstance(value, str):
        return not _FORBIDDEN.search(value)
    if isinstance(value, dict):
        return all(is_clean(key) and is_clean(one) for key, one in value.items())
    return not isinstance(value, list) or all(is_clean(one) for one in value)


def _is_seen(character: str) -> bool:
    return unicodedata.category(character)[0] in _SEEN and character not in BLANK
