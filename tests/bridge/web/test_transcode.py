"""The transcoder alone, with annotations that our own proto does not use."""

import time
from typing import Any

import pytest
from google.api import annotations_pb2
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.duration_pb2 import Duration  # noqa: F401 (puts it into the pool)
from openapi_spec_validator import OpenAPIV31SpecValidator

from bridge.web.openapi import document
from bridge.web.transcode import BadInput, Route, matching, routes_of

TEXT, BOOL, BYTES, MESSAGE, ENUM = 9, 8, 12, 11, 14


def field(
    message: Any, name: str, number: int, kind: int, type_name: str = "", many: bool = False
) -> Any:
    return message.field.add(
        name=name,
        json_name="".join(p.title() if i else p for i, p in enumerate(name.split("_"))),
        number=number,
        type=kind,
        type_name=type_name or None,
        label=3 if many else 1,
    )


def rule_of(method: Any) -> Any:
    return method.options.Extensions[annotations_pb2.http]


@pytest.fixture(scope="module")
def routes() -> tuple[Route, ...]:
    file = descriptor_pb2.FileDescriptorProto(
        name="shop.proto",
        package="shop",
        syntax="proto3",
        dependency=["google/protobuf/duration.proto", "google/api/annotations.proto"],
    )
    size = file.enum_type.add(name="Size")
    for number, name in enumerate(("SIZE_UNSPECIFIED", "SIZE_SMALL", "SIZE_LARGE")):
        size.value.add(name=name, number=number)
    terms = file.message_type.add(name="Terms")
    field(terms, "payment_window", 1, MESSAGE, ".google.protobuf.Duration")
    field(terms, "strict", 2, BOOL)
    field(terms, "parent_terms", 3, MESSAGE, ".shop.Terms")
    thing = file.message_type.add(name="Thing")
    thing.oneof_decl.add(name="way")
    field(thing, "name", 1, TEXT)
    field(thing, "terms", 2, MESSAGE, ".shop.Terms")
    field(thing, "sizes", 3, ENUM, ".shop.Size", many=True)
    field(thing, "tags", 4, TEXT, many=True)
    field(thing, "blob", 5, BYTES)
    field(thing, "by_land", 6, TEXT).oneof_index = 0
    field(thing, "by_sea", 7, MESSAGE, ".shop.Terms").oneof_index = 0
    field(thing, "parts", 8, MESSAGE, ".shop.Thing", many=True)
    shop = file.service.add(name="Shop")
    for name in ("Get", "Put", "Close", "Find"):
        shop.method.add(name=name, input_type=".shop.Thing", output_type=".shop.Thing")
    get, put, close, find = shop.method
    rule_of(get).get = "/v1/{name=shelves/*/things/*}"
    rule_of(get).additional_bindings.add(get="/v1/all/{name=**}")
    rule_of(put).patch = "/v1/things/{name}/{terms.strict}"
    rule_of(put).body = "terms"
    rule_of(close).post = "/v1/things/{name}:close"
    rule_of(close).body = "*"
    rule_of(find).get = "/v1/things"
    pool = descriptor_pool.Default()
    pool.Add(file)
    return routes_of(pool.FindServiceByName("shop.Shop"))


def asked(routes: tuple[Route, ...], path: str, *query: tuple[str, str], body: bytes = b"") -> Any:
    (route,) = matching(routes, path)
    return route.message(path, query, body)


def test_a_variable_may_span_segments(routes: tuple[Route, ...]) -> None:
    assert asked(routes, "/v1/shelves/1/things/2").name == "shelves/1/things/2"
    assert not matching(routes, "/v1/shelves/1/things")
    assert asked(routes, "/v1/all/a/b%20c/d").name == "a/b c/d"


def test_query_fields_nest_repeat_and_take_enums_by_name_or_number(
    routes: tuple[Route, ...],
) -> None:
    found = asked(
        routes,
        "/v1/things",
        ("terms.payment_window", "1.5s"),
        ("terms.strict", "true"),
        ("terms.parentTerms.strict", "false"),
        ("sizes", "SIZE_LARGE"),
        ("sizes", "1"),
        ("tags", "a"),
        ("tags", ""),
        ("blob", "aGk="),
        ("byLand", "x"),
    )
    assert found.terms.payment_window.nanos == 500_000_000
    assert found.terms.strict
    assert found.terms.HasField("parent_terms")
    assert list(found.sizes) == [2, 1]
    assert list(found.tags) == ["a", ""]
    assert found.blob == b"hi"
    assert found.by_land == "x"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("terms", "{}"),
        ("terms.none", "1"),
        ("terms.strict", "yes"),
        ("terms.strict", "1"),
        ("terms.payment_window", "1"),
        ("parts.name", "a"),
        ("tags.0", "a"),
        ("name.x", "a"),
        ("sizes", "HUGE"),
        ("", "a"),
        (".", "a"),
    ],
)
def test_a_wrong_query_field_is_named(routes: tuple[Route, ...], name: str, text: str) -> None:
    with pytest.raises(BadInput) as refused:
        asked(routes, "/v1/things", (name, text))
    assert refused.value.field.startswith(name)


@pytest.mark.parametrize("text", ["1_0s", "\u0661s", " 1s", "+1s", "1", "1.s", "1.0000000001s"])
def test_a_duration_is_written_in_ascii_digits_alone(routes: tuple[Route, ...], text: str) -> None:
    with pytest.raises(BadInput, match="duration"):
        asked(routes, "/v1/things", ("terms.payment_window", text))


def test_a_name_that_comes_twice_among_many_is_found_at_once(routes: tuple[Route, ...]) -> None:
    body = b"{" + b"".join(b'"%d":1,' % n for n in range(19_000)) + b'"name":"a","name":"b"}'
    began = time.perf_counter()
    with pytest.raises(BadInput, match="given twice") as refused:
        asked(routes, "/v1/things/a:close", body=body)
    assert refused.value.field == "name"
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize("inner", [b"{},", b"[],", b"1,", b'{"name":"a"},'])
def test_a_body_of_too_many_values_is_refused_before_it_is_read(
    routes: tuple[Route, ...], inner: Any
) -> None:
    body = b'{"parts":[' + inner * 20_001 + b"1]}"
    with pytest.raises(BadInput, match="more than 20000 values"):
        asked(routes, "/v1/things/a:close", body=body)


def test_a_body_may_set_one_field_and_the_query_the_rest(routes: tuple[Route, ...]) -> None:
    found = asked(routes, "/v1/things/a/true", ("tags", "x"), body=b'{"payment_window": "2s"}')
    assert (found.name, list(found.tags)) == ("a", ["x"])
    assert found.terms.strict
    assert found.terms.payment_window.seconds == 2


def test_only_one_of_a_oneof_may_be_given(routes: tuple[Route, ...]) -> None:
    body = b'{"by_land": "x", "by_sea": {}}'
    with pytest.raises(BadInput, match="together with by_land") as refused:
        asked(routes, "/v1/things/a:close", body=body)
    assert refused.value.field == "by_sea"


def test_a_colon_is_a_verb_where_the_proto_has_verbs(routes: tuple[Route, ...]) -> None:
    assert asked(routes, "/v1/things/a:close").name == "a"
    assert not matching(routes, "/v1/things/a:open")
    assert asked(routes, "/v1/all/a:open").name == "a:open"


def test_a_proto_that_contains_itself_can_be_described(routes: tuple[Route, ...]) -> None:
    described = document(routes)
    OpenAPIV31SpecValidator(described).validate()
    find = described["paths"]["/v1/things"]["get"]
    names = {parameter["name"] for parameter in find["parameters"]}
    assert {"terms.strict", "terms.payment_window", "tags", "sizes"} <= names


def test_a_recursive_message_is_read_as_deep_as_its_data(routes: tuple[Route, ...]) -> None:
    body = b'{"parts":[' * 200 + b"{}" + b"]}" * 200
    assert asked(routes, "/v1/things/a:close", body=body).parts[0].parts
