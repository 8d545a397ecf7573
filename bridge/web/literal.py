"""Strings that stand for a number, a time or a duration in the JSON mapping of proto3. Pure.

Checks them strictly: Python's own parsers also accept underscores, spaces and the digits of any
script.
"""

from __future__ import annotations

import re
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

_WHOLE = re.compile(r"-?[0-9]+")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?|NaN|-?Infinity")
_NUMBERS = {
    FieldDescriptor.CPPTYPE_INT32: _WHOLE,
    FieldDescriptor.CPPTYPE_UINT32: _WHOLE,
    FieldDescriptor.CPPTYPE_INT64: _WHOLE,
    FieldDescriptor.CPPTYPE_UINT64: _WHOLE,
    FieldDescriptor.CPPTYPE_DOUBLE: _NUMBER,
    FieldDescriptor.CPPTYPE_FLOAT: _NUMBER,
}
_TIMES = {
    "google.protobuf.Timestamp": re.compile(
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?"
        r"(Z|[+-][0-9]{2}:[0-9]{2})"
    ),
    "google.protobuf.Duration": re.compile(r"-?[0-9]+(\.[0-9]{1,9})?s"),
}


def fits(field: FieldDescriptor, value: Any) -> bool:
    """Whether a string, or each string of a list, is a valid literal for the field.

    Answers True for values that are not strings, and for fields that are not numbers or times.
    """
    if field.message_type is not None:
        pattern = _TIMES.get(field.message_type.full_name)
    else:
        pattern = _NUMBERS.get(field.cpp_type)
    texts = value if isinstance(value, list) else [value]
    return pattern is None or all(
        pattern.fullmatch(text) for text in texts if isinstance(text, str)
    )
