"""Transcodes HTTP and JSON to gRPC messages and back, by the proto's `google.api.http` annotations.

Pure: no I/O, no calls, no knowledge of a particular service. Follows google/api/http.proto and the
JSON mapping of proto3. Where these leave a choice, it is strict, and its errors name the field.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import unquote

from google.api import annotations_pb2, http_pb2
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import (
    Descriptor,
    FieldDescriptor,
    MethodDescriptor,
    ServiceDescriptor,
)
from google.protobuf.message import Message

from bridge.web import literal

# Values in the JSON of a body. Commas and opening brackets are counted, those in strings included.
VALUES_MOST = 20_000
_METHODS = ("get", "put", "post", "delete", "patch")
_VARIABLE = re.compile(r"\{([A-Za-z_][\w.]*)(?:=([^}]*))?\}")
_WELL_KNOWN = "google.protobuf."
# Well-known messages that JSON writes as one string: they can be in a path or a query.
TEXTS = {
    "google.protobuf.Timestamp": 'a time like "2026-01-31T12:00:00Z"',
    "google.protobuf.Duration": 'a duration like "3600s"',
    "google.protobuf.FieldMask": "field names, comma-separated",
}
_KINDS = {
    FieldDescriptor.CPPTYPE_INT32: "a whole number of 32 bits",
    FieldDescriptor.CPPTYPE_UINT32: "a whole number of 32 bits, not negative",
    FieldDescriptor.CPPTYPE_INT64: "a whole number of 64 bits",
    FieldDescriptor.CPPTYPE_UINT64: "a whole number of 64 bits, not negative",
    FieldDescriptor.CPPTYPE_DOUBLE: "a number",
    FieldDescriptor.CPPTYPE_FLOAT: "a number",
    FieldDescriptor.CPPTYPE_BOOL: "true or false",
    FieldDescriptor.CPPTYPE_MESSAGE: "an object",
}


class BadInput(Exception):
    """The request cannot become a message.

    `field` is the path of the field that is wrong; empty if it is no single field. `problem` says
    what is wrong with the field; without a field it is a whole sentence.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}" if field else problem)
        self.field = field
        self.problem = problem


@dataclass(frozen=True)
class Route:
    """One HTTP binding of one RPC. `body` is empty, `*`, or the one field that the body sets."""

    method: str
    template: str
    body: str
    rpc: MethodDescriptor
    pattern: re.Pattern[str]
    variables: tuple[str, ...]

    @property
    def rpc_path(self) -> str:
        return f"/{self.rpc.containing_service.full_name}/{self.rpc.name}"

    @property
    def reply(self) -> type[Message]:
        return message_factory.GetMessageClass(self.rpc.output_type)

    @property
    def takes_request_id(self) -> bool:
        return "request_id" in self.rpc.input_type.fields_by_name

    def message(
        self,
        path: str,
        query: Iterable[tuple[str, str]],
        body: bytes,
        idempotency_key: str | None = None,
    ) -> Message:
        """Build the RPC's request. `path` is still percent-encoded. Raises BadInput."""
        request = message_factory.GetMessageClass(self.rpc.input_type)()
        found = self.pattern.fullmatch(path)
        assert found is not None, "call this only for a path that the route matches"
        if self.body:
            value = _load(body)
            _fill(request, value if self.body == "*" else {self.body: value})
        _fill(request, _nested(self.rpc.input_type, query, allowed=self.body != "*"))
        for name, text in zip(self.variables, found.groups(), strict=True):
            _bind(request, name, _unquoted(name, text), "the path")
        if idempotency_key and self.takes_request_id:
            _bind(request, "request_id", idempotency_key, "the header Idempotency-Key")
        return request


def routes_of(*services: ServiceDescriptor) -> tuple[Route, ...]:
    """Read all bindings, the additional ones too, of all annotated unary RPCs."""
    rules = []
    for service in services:
        for rpc in service.methods:
            options = rpc.GetOptions()
            if options.HasExtension(annotations_pb2.http):
                rule = options.Extensions[annotations_pb2.http]
                rules += [(rpc, one) for one in (rule, *rule.additional_bindings)]
    # Beside `/things/{id}:close` the colon of `/things/7:open` begins a verb, which is unknown.
    with_verbs = {_template(rule).rpartition(":")[0] for _, rule in rules}
    return tuple(_route(rpc, rule, with_verbs) for rpc, rule in rules)


def matching(routes: Sequence[Route], path: str) -> list[Route]:
    """List the routes that match a percent-encoded path, whatever their method."""
    return [route for route in routes if route.pattern.fullmatch(path)]


def rendered(message: Message) -> bytes:
    """Write a message as proto3 JSON, with the proto's field names and with empty fields."""
    value = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _template(rule: http_pb2.HttpRule) -> str:
    method = rule.WhichOneof("pattern")
    assert method in _METHODS, f"the HTTP method {method} is not supported"
    template: str = getattr(rule, method)
    return template


def _route(rpc: MethodDescriptor, rule: http_pb2.HttpRule, with_verbs: set[str]) -> Route:
    assert not rule.response_body, f"{rpc.full_name}: response_body is not supported"
    template = _template(rule)
    pattern, variables = _compiled(template, "[^/:]+" if template in with_verbs else "[^/]+")
    method = str(rule.WhichOneof("pattern")).upper()
    return Route(method, template, rule.body, rpc, pattern, variables)


def _compiled(template: str, segment: str) -> tuple[re.Pattern[str], tuple[str, ...]]:
    pattern, names, end = "", [], 0
    for variable in _VARIABLE.finditer(template):
        pattern += re.escape(template[end : variable.start()])
        segments = re.escape(variable[2] or "*")
        pattern += "(" + segments.replace(r"\*\*", ".+").replace(r"\*", segment) + ")"
        names.append(variable[1])
        end = variable.end()
    return re.compile(pattern + re.escape(template[end:])), tuple(names)


def _load(body: bytes) -> Any:
    if not body.strip():
        return {}
    # Every value takes time to parse, so that many of them in a small body must be refused too.
    if sum(map(body.count, (b",", b"[", b"{"))) > VALUES_MOST:
        raise BadInput("", f"The body has more than {VALUES_MOST} values.")
    try:
        return json.loads(
            body, object_pairs_hook=_unique, parse_constant=_no_number, parse_float=_finite
        )
    except RecursionError:
        raise BadInput("", "The JSON of the body is nested too deeply.") from None
    except ValueError as error:
        raise BadInput("", f"The body is not JSON: {error}.") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        ((name, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise BadInput(name, "is given twice")
    return value


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{text} is too large")
    return value


def _fill(message: Message, value: Any, path: str = "") -> None:
    """Set the fields of a JSON object, one by one, so that an error can name the field."""
    if not isinstance(value, dict):
        raise BadInput(path, "expected an object" if path else "The body must be a JSON object.")
    kind = _kind(message)
    fields = {field.json_name: field for field in kind.fields} | dict(kind.fields_by_name)
    seen = set()
    for name, one in value.items():
        field = fields.get(name)
        where = f"{path}.{name}" if path else name
        if field is None:
            raise BadInput(where, "there is no such field")
        if field.name in seen:
            raise BadInput(where, "is given twice, under both of its names")
        seen.add(field.name)
        _set(message, field, one, where)


def _set(message: Message, field: FieldDescriptor, value: Any, where: str) -> None:
    oneof = field.containing_oneof
    if value is not None and oneof and message.WhichOneof(oneof.name) not in (None, field.name):
        raise BadInput(where, f"cannot be given together with {message.WhichOneof(oneof.name)}")
    if value is None or not is_plain(field):
        _parse(message, field, value, where)
    elif not field.is_repeated:
        child = getattr(message, field.name)
        child.SetInParent()
        _fill(child, value, where)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _fill(getattr(message, field.name).add(), item, f"{where}[{index}]")
    else:
        raise BadInput(where, "expected a list")


def _parse(message: Message, field: FieldDescriptor, value: Any, where: str) -> None:
    if not literal.fits(field, value):
        raise BadInput(where, f"expected {expected(field)}")
    try:
        json_format.ParseDict({field.name: value}, message)
    except (json_format.ParseError, ValueError, TypeError, OverflowError, RecursionError):
        raise BadInput(where, f"expected {expected(field)}") from None


def is_plain(field: FieldDescriptor) -> bool:
    """Whether the field is a message whose JSON is the object of its fields."""
    kind = field.message_type
    if kind is None or kind.GetOptions().map_entry:
        return False
    return not kind.full_name.startswith(_WELL_KNOWN)


def expected(field: FieldDescriptor) -> str:
    """Say in words which JSON a field takes."""
    if field.message_type is not None and field.message_type.full_name in TEXTS:
        kind = TEXTS[field.message_type.full_name]
    elif field.enum_type is not None:
        kind = "one of " + ", ".join(field.enum_type.values_by_name)
    elif field.type == FieldDescriptor.TYPE_BYTES:
        kind = "bytes in base64"
    else:
        kind = _KINDS.get(field.cpp_type, "text")
    return f"a list, each item {kind}" if field.is_repeated else kind


def _nested(
    descriptor: Descriptor, query: Iterable[tuple[str, str]], *, allowed: bool
) -> dict[str, Any]:
    """Turn `a.b=1&c=2&c=3` into {"a": {"b": 1}, "c": [2, 3]}, each value as its field takes it."""
    result: dict[str, Any] = {}
    for path, text in query:
        if not allowed:
            raise BadInput(path, "must be in the body: this call takes no fields in the query")
        field = field_at(descriptor, path)
        *parents, last = path.split(".")
        holder = result
        for parent in parents:
            holder = holder.setdefault(parent, {})
        value = _from_text(field, path, text)
        if field.is_repeated:
            holder.setdefault(last, []).append(value)
        elif last in holder:
            raise BadInput(path, "is given twice")
        else:
            holder[last] = value
    return result


def field_at(descriptor: Descriptor, path: str) -> FieldDescriptor:
    """Find the field that a dotted path names. Raises BadInput if a string cannot set it."""
    *parents, last = path.split(".")
    for parent in parents:
        field = _named(descriptor, parent)
        if field is None or field.is_repeated or not is_plain(field):
            raise BadInput(path, "there is no such field")
        assert field.message_type is not None
        descriptor = field.message_type
    field = _named(descriptor, last)
    if field is None:
        raise BadInput(path, "there is no such field")
    if field.message_type is not None and field.message_type.full_name not in TEXTS:
        raise BadInput(path, f"is an object; give its fields one by one, as {path}.<field>")
    return field


def _named(descriptor: Descriptor, name: str) -> FieldDescriptor | None:
    by_either_name = (f for f in descriptor.fields if name in (f.name, f.json_name))
    return next(by_either_name, None)


def _from_text(field: FieldDescriptor, path: str, text: str) -> Any:
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        values: Mapping[str, bool] = {"true": True, "false": False}
        if text not in values:
            raise BadInput(path, "expected true or false")
        return values[text]
    if field.enum_type is not None and re.fullmatch(r"-?[0-9]{1,10}", text):
        return int(text)
    return text


def _kind(message: Message) -> Descriptor:
    # The stubs of the generated classes name another Descriptor; at run time it is this one.
    return cast(Descriptor, message.DESCRIPTOR)


def _unquoted(name: str, text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise BadInput(name, "is not UTF-8") from None


def _bind(message: Message, path: str, text: str, source: str) -> None:
    """Set a field from the path or a header. The body may repeat the value, not contradict it."""
    field = field_at(_kind(message), path)
    *parents, last = path.split(".")
    holder = message
    for parent in parents:
        holder = getattr(holder, parent)
    before = getattr(holder, last)
    _set(holder, field, _from_text(field, path, text), path)
    if before not in (field.default_value, getattr(holder, last)):
        raise BadInput(path, f"is not the same as in {source}")
