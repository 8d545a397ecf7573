"""The fields of Razorpay's JSON, read strictly: each reader answers a value or raises ValueError.

The sentence of an error names the field and keeps to itself what a person may have written into it,
because it comes into logs. Razorpay's own samples have nulls, "NA", `[]` for `{}`, 0 for false and
numbers as text: those are read as what they mean.
"""

import re
from collections.abc import Collection, Mapping

# Far above any payment, and below what a signed 64-bit column and a JSON number hold.
_MAX_AMOUNT_MINOR = 10**15
# Characters that are kept of a text; Razorpay states no length. A dispute's status becomes part of
# a cause, whose column holds 300.
_MAX_TEXT = 200
_DIGITS = re.compile(r"[0-9]{1,16}")
# Razorpay's ids are a prefix and 14 letters or digits.
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
# A word of Razorpay's own, such as a status.
_WORD = re.compile(r"[a-z_.]{1,40}")
# Razorpay writes this when it has no value.
_ABSENT = "NA"

Entity = Mapping[str, object]


def object_of(entity: object, kind: str) -> Entity:
    """Read an object that is of a kind, or does not say of which it is."""
    if not isinstance(entity, Mapping):
        raise ValueError(f"A {kind} of Razorpay must be an object.")
    named = entity.get("entity", kind)
    if named != kind:
        raise ValueError(f"Expected a {kind} of Razorpay, got {_word(named)}.")
    return entity


def text(fields: Entity, name: str) -> str:
    """Read a text; a long one is cut, and what no text can hold is replaced."""
    value = fields.get(name)
    if not isinstance(value, str) or value in ("", _ABSENT):
        raise ValueError(f"Razorpay's field {name!r} must be a text, got {_said(value)}.")
    # JSON can spell half a surrogate pair and NUL: neither protobuf nor PostgreSQL take them.
    return value[:_MAX_TEXT].encode(errors="replace").decode().replace("\0", "?")


def has(fields: Entity, name: str) -> bool:
    """Say whether a field has a value."""
    return fields.get(name) not in (None, "", _ABSENT)


def optional_text(fields: Entity, name: str) -> str:
    """Read a text; without one it is empty."""
    return text(fields, name) if has(fields, name) else ""


def remark(fields: Entity, name: str) -> str:
    """Read a text on which nothing depends; empty where there is none that makes sense."""
    value = fields.get(name)
    given = str(value) if type(value) is int else value
    return text({name: given}, name) if isinstance(given, str) and has(fields, name) else ""


def entity_id(fields: Entity, name: str, prefix: str) -> str:
    """Read an id of Razorpay's."""
    value = text(fields, name)
    if not value.startswith(prefix) or not _ID.fullmatch(value):
        raise ValueError(
            f"Razorpay's field {name!r} must be an id of {prefix!r}, got {_said(value)}."
        )
    return value


def optional_id(fields: Entity, name: str, prefix: str) -> str:
    """Read an id of Razorpay's; without one it is empty."""
    return entity_id(fields, name, prefix) if has(fields, name) else ""


def currency(fields: Entity) -> str:
    """Read the currency, an ISO code."""
    value = text(fields, "currency")
    if len(value) != 3 or not (value.isascii() and value.isalpha() and value.isupper()):
        raise ValueError(f"Razorpay's field 'currency' must be an ISO code, got {_said(value)}.")
    return value


def amount(fields: Entity, name: str) -> int:
    """Read whole minor units."""
    value = fields.get(name)
    # Some of Razorpay's own samples write a number as a text.
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if type(value) is not int or not 0 <= value <= _MAX_AMOUNT_MINOR:
        raise ValueError(f"Razorpay's field {name!r} must be a whole number, got {_said(value)}.")
    return value


def optional_amount(fields: Entity, name: str) -> int | None:
    """Read whole minor units, or None where there are none."""
    return amount(fields, name) if has(fields, name) else None


def flag(fields: Entity, name: str) -> bool:
    """Read a boolean; without one it is false."""
    value = fields.get(name)
    # Razorpay's own samples write it as 0 and 1 too.
    if value is None or value in (0, 1):
        return bool(value)
    raise ValueError(f"Razorpay's field {name!r} must be true or false, got {_said(value)}.")


def status(fields: Entity, names: Collection[str], known: Collection[str]) -> str:
    """Read a known status, under whichever of the names it is there."""
    value = next((fields[name] for name in names if fields.get(name) is not None), None)
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"Razorpay's status must be one of {sorted(known)}, got {_word(value)}.")
    return value


def notes(fields: Entity) -> Mapping[str, str]:
    """Read the notes; empty ones come as an empty list."""
    given = fields.get("notes")
    if given is None or given == []:
        return {}
    if not isinstance(given, Mapping):
        raise ValueError(f"Razorpay's field 'notes' must be an object, got {_said(given)}.")
    return {str(key): str(value) for key, value in given.items()}


def _said(value: object) -> str:
    """Describe a value that does not belong there, but no text: it may be about a person."""
    if isinstance(value, str):
        return f"a text of {len(value)} characters"
    if value is None or isinstance(value, int | float):
        return f"{value!r:.40}"
    return f"a {type(value).__name__}"


def _word(value: object) -> str:
    return repr(value) if isinstance(value, str) and _WORD.fullmatch(value) else _said(value)
