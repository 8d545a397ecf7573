"""Describes the JSON API as an OpenAPI 3.1 document, from the same descriptors that serve it.

Pure, except that it reads the comments of the .proto files, which the build keeps beside the
generated code.
"""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, MethodDescriptor

from bridge.web.doors import DOORS
from bridge.web.transcode import Route, is_plain

Schema = dict[str, Any]

_SCALARS: dict[int, Schema] = {
    FieldDescriptor.CPPTYPE_INT32: {"type": "integer", "format": "int32"},
    FieldDescriptor.CPPTYPE_UINT32: {"type": "integer", "minimum": 0},
    # proto3 JSON writes 64 bits as a string, because JavaScript's numbers have 53, and reads both.
    FieldDescriptor.CPPTYPE_INT64: {"type": ["string", "integer"], "format": "int64"},
    FieldDescriptor.CPPTYPE_UINT64: {"type": ["string", "integer"], "format": "uint64"},
    FieldDescriptor.CPPTYPE_DOUBLE: {"type": "number"},
    FieldDescriptor.CPPTYPE_FLOAT: {"type": "number"},
    FieldDescriptor.CPPTYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.CPPTYPE_STRING: {"type": "string"},
}
_WELL_KNOWN: dict[str, Schema] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$"},
    "google.protobuf.Struct": {"type": "object"},
    "google.protobuf.Value": {},
    "google.protobuf.ListValue": {"type": "array"},
    "google.protobuf.FieldMask": {"type": "string"},
}
_ERROR: Schema = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "reason", "message"],
            "properties": {
                "code": {"type": "string", "description": "A name of google.rpc.Code."},
                "reason": {
                    "type": "string",
                    "description": "For programs: a name of the catalogue of errors.",
                },
                "message": {"type": "string", "description": "For people: a sentence."},
                "fields": {
                    "type": "array",
                    "description": "The fields that are wrong, if the error is about fields.",
                    "items": {
                        "type": "object",
                        "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
                    },
                },
            },
        }
    },
}


def document(routes: Iterable[Route]) -> Schema:
    """Describe the routes and the bridge's own endpoints. Every `$ref` resolves within it."""
    return _Document(_comments()).of(routes)


class _Document:
    """Builds one document. A schema is added when something first refers to it."""

    def __init__(self, comments: dict[str, str]) -> None:
        self._comments = comments
        self._schemas: dict[str, Schema] = {"Error": _ERROR}
        # Which RPC has a name to itself.
        self._named: dict[str, str] = {}

    def of(self, routes: Iterable[Route]) -> Schema:
        paths: dict[str, dict[str, Schema]] = {}
        bindings: Counter[str] = Counter()
        for route in routes:
            path = re.sub(r"=[^}]*\}", "}", route.template)
            operation = paths.setdefault(path, {})[route.method.lower()] = self._operation(route)
            bindings[route.rpc.full_name] += 1
            if bindings[route.rpc.full_name] > 1:
                operation["operationId"] += str(bindings[route.rpc.full_name])
        for path, doors in DOORS.items():
            paths.setdefault(path, {}).update(doors)
        bearer = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
        return {
            "openapi": "3.1.0",
            "info": {"title": "Holdfast", "version": importlib.metadata.version("holdfast")},
            "servers": [{"url": "/"}],
            "security": [{"bearer": []}],
            "paths": paths,
            "components": {"schemas": self._schemas, "securitySchemes": {"bearer": bearer}},
        }

    def _operation(self, route: Route) -> Schema:
        comment = self._comments.get(route.rpc.full_name, "")
        operation: Schema = {
            "operationId": self._id(route.rpc),
            "tags": [route.rpc.containing_service.name],
            "summary": comment.partition(". ")[0].rstrip("."),
            "description": comment,
            "parameters": [*self._in_path(route), *self._in_query(route), *_in_header(route)],
            "responses": {
                "200": _content("The answer.", self._reference(route.rpc.output_type)),
                "default": _content("An error.", {"$ref": "#/components/schemas/Error"}),
            },
        }
        if route.body:
            schema = self._body(route)
            operation["requestBody"] = {"content": {"application/json": {"schema": schema}}}
        return operation

    def _id(self, rpc: MethodDescriptor) -> str:
        """Answer an RPC's name, with its service's where another has one of that name."""
        is_first = self._named.setdefault(rpc.name, rpc.full_name) == rpc.full_name
        return rpc.name if is_first else rpc.containing_service.name + rpc.name

    def _in_path(self, route: Route) -> Iterator[Schema]:
        fields = dict(_leaves(route.rpc.input_type))
        for name in route.variables:
            schema = self._field(fields[name])
            yield {"name": name, "in": "path", "required": True, "schema": schema}

    def _in_query(self, route: Route) -> Iterator[Schema]:
        if route.body == "*":
            return
        for name, field in _leaves(route.rpc.input_type):
            if name not in route.variables and name.partition(".")[0] != route.body:
                yield {"name": name, "in": "query", "schema": self._field(field)}

    def _body(self, route: Route) -> Schema:
        message = route.rpc.input_type
        if route.body != "*":
            return self._field(message.fields_by_name[route.body])
        return self._object(message, leave_out=route.variables)

    def _reference(self, kind: Descriptor | EnumDescriptor) -> Schema:
        name = kind.full_name.removeprefix(f"{kind.file.package}.")
        if name not in self._schemas:
            # Added before it is filled, because a message may contain itself.
            self._schemas[name] = {}
            schema = self._enum(kind) if isinstance(kind, EnumDescriptor) else self._object(kind)
            self._schemas[name] |= schema
        return {"$ref": f"#/components/schemas/{name}"}

    def _enum(self, kind: EnumDescriptor) -> Schema:
        values = [value.name for value in kind.values]
        lines = [self._comments.get(kind.full_name, "")]
        # The full name of a value has the enum's parent as its parent, as in C++.
        parent = kind.full_name.rpartition(".")[0]
        for value in values:
            comment = self._comments.get(f"{parent}.{value}")
            lines += [f"- `{value}`: {comment}"] if comment else []
        return {"type": "string", "enum": values, "description": "\n".join(lines).strip()}

    def _object(self, message: Descriptor, leave_out: Sequence[str] = ()) -> Schema:
        properties = {
            field.name: self._field(field)
            for field in message.fields
            if field.name not in leave_out
        }
        schema: Schema = {"type": "object", "properties": properties}
        if message.full_name in self._comments:
            schema["description"] = self._comments[message.full_name]
        return schema

    def _field(self, field: FieldDescriptor) -> Schema:
        schema = self._one(field)
        if field.is_repeated:
            schema = {"type": "array", "items": schema}
        comment = self._comments.get(field.full_name)
        return {**schema, "description": comment} if comment else schema

    def _one(self, field: FieldDescriptor) -> Schema:
        if field.enum_type is not None:
            return self._reference(field.enum_type)
        if field.type == FieldDescriptor.TYPE_BYTES:
            return {"type": "string", "contentEncoding": "base64"}
        if field.message_type is None:
            return _SCALARS[field.cpp_type]
        if is_plain(field):
            return self._reference(field.message_type)
        return _WELL_KNOWN.get(field.message_type.full_name, {"type": "object"})


def _in_header(route: Route) -> Iterator[Schema]:
    if route.takes_request_id:
        yield {
            "name": "Idempotency-Key",
            "in": "header",
            "description": "Sets `request_id`, like the field.",
            "schema": {"type": "string"},
        }


def _content(description: str, schema: Schema) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _leaves(
    message: Descriptor, prefix: str = "", within: tuple[Descriptor, ...] = ()
) -> Iterator[tuple[str, FieldDescriptor]]:
    """Walk the fields that a query can carry. Fields of nested messages have dotted names.

    Leaves out a message that contains itself, because its names would never end.
    """
    for field in message.fields:
        kind = field.message_type
        if not is_plain(field):
            yield prefix + field.name, field
        elif not field.is_repeated and kind is not None and kind not in (message, *within):
            yield from _leaves(kind, f"{prefix}{field.name}.", (message, *within))


def _comments() -> dict[str, str]:
    """Read the comment of each element of the .proto files, by its full name."""
    data = importlib.resources.files("escrow").joinpath("descriptors.binpb").read_bytes()
    comments = {}
    for file in descriptor_pb2.FileDescriptorSet.FromString(data).file:
        for location in file.source_code_info.location:
            if location.leading_comments and location.path:
                name = _named(file, location.path)
                comments[f"{file.package}.{name}"] = " ".join(location.leading_comments.split())
    return comments


def _named(element: Any, path: Sequence[int]) -> str:
    """Find the name at a SourceCodeInfo path: pairs of a field number and an index."""
    names: list[str] = []
    for number, index in zip(path[::2], path[1::2], strict=False):
        element = getattr(element, element.DESCRIPTOR.fields_by_number[number].name)[index]
        if isinstance(element, descriptor_pb2.EnumValueDescriptorProto):
            names.pop()
        names.append(element.name)
    return ".".join(names)
