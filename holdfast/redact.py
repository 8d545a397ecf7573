"""Takes tokens out of text that is about to be logged. Pure.

A token that came with a request that could not be read may be cut by blanks, control characters or
letters of any script, escaped by somebody's `repr`, or written with percent signs. Must sooner take
too much of a line than leave a piece of a token; must leave ids (UUIDs, Razorpay's) and words.
"""

from __future__ import annotations

import re
from itertools import pairwise

MARK = "[redacted]"


def _spelled(word: str) -> str:
    """A pattern for a word whose letters may be written as a URL escapes them."""
    return "".join(f"(?:{one}|%{ord(one):02x}|%{ord(one.upper()):02x})" for one in word)


# In a URL, a form, a JSON object, a keyword argument, or a repr of one of them.
_NAME = rf"{_spelled('token')}['\"\\]*\s*(?:=|%3d|\\u003d)\s*(?:b?['\"\\]+)?"
_KEY = rf"{_spelled('token')}['\"\\]*\s*(?::(?!/)|%3a)\s*(?:b?['\"\\]+)?"
# The scheme of a header, or the first of a pair of subprotocols.
_SCHEME = rf"{_spelled('bearer')}(?:[\s,:='\"\\+]|%[0-9a-f]{{2}})+(?:b?['\"\\]+)?"
_NAMED = re.compile(
    rf"(?P<name>{_NAME}|{_KEY}|{_SCHEME})(?!{re.escape(MARK)})(?P<value>\S*)", re.IGNORECASE
)
# Words of prose as well: what follows them is a token only where it looks like one.
_WORD = re.compile(rf"{_KEY}|{_SCHEME}", re.IGNORECASE)

# The beginning of every JWT: `{"` in base64. Within a word these are three letters of it.
_JWT = re.compile(
    r"(?:(?<![A-Za-z0-9])|(?<=%[0-9A-Fa-f]{2})|(?<=\\[abfnrtv0])|(?<=\\x[0-9A-Fa-f]{2}))"
    r"(?:e|%65)(?:y|%79)(?:J|%4[Aa])(?=[A-Za-z0-9_%.\\-])"
)

# Pieces that no name announces: base64 of some length, and much that a URL need not escape.
_RUN = re.compile(r"[A-Za-z0-9_-]{16,}")
_ESCAPED = re.compile(r"(?:%(?:2[de]|3[0-9]|[4-7][0-9a-f])){8,}", re.IGNORECASE)
_RAZORPAY_ID = re.compile(r"(?:[a-z]+_)+[A-Za-z0-9]{14}")
_IDS = re.compile(rf"\b{_RAZORPAY_ID.pattern}\b|\b[0-9a-f]{{8}}(?:-[0-9a-f]{{4,12}}){{4}}\b")
# So far behind a name the rest of a token is looked for where something has cut it.
_NEAR = 400
_LOWER, _UPPER, _DIGIT = re.compile("[a-z]"), re.compile("[A-Z]"), re.compile("[0-9]")
# What may follow on a line of its own when a line break has cut a token.
_REST = re.compile(r"[\s'\"b]*[A-Za-z0-9_.%\\-]{2,}[\s'\",\\]*")
# What signs webhooks; a URL may escape its base64.
_WEBHOOK_SECRET = re.compile(r"whsec_[A-Za-z0-9+/=_%-]+")
# `scheme://user:password@host`, or a token alone before the @.
_PASSWORD = re.compile(r"(://(?:[^\s:/@]*:(?=[^\s@/]))?)[^\s@/]+@")


def redacted(text: str) -> str:
    """Answer the text without tokens, secrets of webhooks and the passwords of URLs."""
    lines, was_cut = [], False
    for line in text.split("\n"):
        if was_cut and _REST.fullmatch(line):
            lines.append(MARK)
            continue
        clean, was_cut = _line(line)
        lines.append(clean)
    return "\n".join(lines)


def _line(line: str) -> tuple[str, bool]:
    """The line without tokens, and whether it was cut off where one began."""
    line = _PASSWORD.sub(rf"\1{MARK}@", line)
    line = _WEBHOOK_SECRET.sub(MARK, line)
    begin = _JWT.search(line)
    if begin is not None:
        return _pieces(_names(line[: begin.start()])) + MARK, True
    for named in _NAMED.finditer(line):
        # The value may go on behind a blank or whatever else has cut it.
        if _could_be_token(_IDS.sub("", line[named.start("value") :][:_NEAR])):
            return _pieces(line[: named.start("value")]) + MARK, True
    clean = _pieces(_names(line))
    return clean, clean.endswith(MARK)


def _names(line: str) -> str:
    return _NAMED.sub(_value_gone, line)


def _value_gone(named: re.Match[str]) -> str:
    value = named["value"]
    is_word = _WORD.fullmatch(named["name"]) and not _DIGIT.search(value)
    is_switch = len(value) == 1 and value.isdigit()
    return named[0] if not value or is_word or is_switch else named["name"] + MARK


def _pieces(line: str) -> str:
    line = _ESCAPED.sub(MARK, line)
    return _RUN.sub(lambda run: MARK if _is_piece(run[0]) else run[0], line)


def _is_piece(run: str) -> bool:
    if not _could_be_token(run) or _RAZORPAY_ID.fullmatch(run):
        return False
    kinds = [_kind(one) for one in run if one.isalnum()]
    # A name has a few words of some length; in base64 the kind changes all the time.
    changes = sum(one != other for one, other in pairwise(kinds))
    return changes * 3 >= len(kinds)


def _kind(letter: str) -> int:
    return letter.islower() + 2 * letter.isupper()


def _could_be_token(text: str) -> bool:
    """Whether there are enough letters of both cases and digits among them."""
    letters = sum(map(str.isalnum, text))
    return letters >= 14 and all(kind.search(text) for kind in (_LOWER, _UPPER, _DIGIT))
