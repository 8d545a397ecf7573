"""The decoder on bytes: it reads what RFC 6455 allows, and has a close code for everything else."""

import os
import struct
from collections.abc import Callable, Iterable

import pytest

from bridge.protocol.decoder import Decoder, Kind, Message, Violation
from bridge.protocol.errors import CloseCode

MOST = 64 * 1024


def frame(
    opcode: int, payload: bytes = b"", *, last: bool = True, mask: bytes = b"\1\2\3\4"
) -> bytes:
    """One masked frame."""
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", opcode | last << 7, 0x80 | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", opcode | last << 7, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", opcode | last << 7, 0x80 | 127, size)
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


def always() -> bool:
    return True


def read(*chunks: bytes, admit: Callable[[], bool] = always) -> list[Message | CloseCode]:
    """Everything that a decoder reads from these bytes; a violation comes last."""
    decoder = Decoder(MOST, admit)
    heard: list[Message | CloseCode] = []
    for chunk in chunks:
        try:
            heard.extend(decoder.feed(chunk))
        except Violation as violation:
            heard.append(violation.code)
    return heard


def text(value: str) -> Message:
    return Message(Kind.TEXT, text=value)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 128, 65535, 65536])
def test_text_of_every_length_is_read_whole_or_byte_by_byte(size: int) -> None:
    wire = frame(1, b"x" * size, mask=os.urandom(4))
    assert read(wire) == [text("x" * size)]
    if size < 1000:
        assert read(*(wire[i : i + 1] for i in range(len(wire)))) == [text("x" * size)]


def test_one_byte_more_is_too_big_before_it_has_come() -> None:
    assert read(frame(1, b"x" * (MOST + 1))[:14]) == [CloseCode.TOO_BIG]
    assert read(b"\x82\xff" + b"\xff" * 8) == [CloseCode.TOO_BIG]
    half = b"x" * (MOST // 2)
    assert read(frame(1, half, last=False), frame(0, half + b"x")[:14]) == [CloseCode.TOO_BIG]


def test_fragments_make_one_message_and_control_frames_may_come_between() -> None:
    wire = (
        frame(1, "£".encode()[:1], last=False)
        + frame(9, b"are you there")
        + frame(0, b"", last=False)
        + frame(10)
        + frame(0, "£".encode()[1:])
        + frame(2, b"\xff")
    )
    ping, pong = Message(Kind.PING, data=b"are you there"), Message(Kind.PONG)
    assert read(wire) == [ping, pong, text("£"), Message(Kind.BINARY)]
    assert read(*(wire[i : i + 1] for i in range(len(wire)))) == read(wire)


def test_a_message_of_empty_fragments_is_empty() -> None:
    assert read(frame(1, last=False), frame(0, last=False), frame(0)) == [text("")]
    assert read(frame(1, last=False), frame(0), frame(1, b"a")) == [text(""), text("a")]


@pytest.mark.parametrize(
    "wire",
    [
        frame(0, b"nothing has begun"),
        frame(0, b"", last=False),
        frame(1, b"a", last=False) + frame(1, b"b"),
        frame(1, b"", last=False) + frame(2, b"b"),
        *(frame(opcode) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)),
        *(bytes([byte]) + frame(1, b"a")[1:] for byte in (0xC1, 0xA1, 0x91, 0xF1)),
        b"\x81\x01a",  # Not masked.
        frame(9, b"a", last=False),
        frame(8, b"", last=False),
        frame(9, b"x" * 126),
        frame(8, b"\x03\xe8" + b"x" * 124),
        frame(8, b"\x03"),
    ],
    ids=repr,
)
def test_a_frame_that_the_rfc_does_not_allow_is_malformed(wire: bytes) -> None:
    assert read(wire)[-1] is CloseCode.MALFORMED


@pytest.mark.parametrize(
    "code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]
)
def test_a_close_code_that_must_not_be_sent_is_malformed(code: int) -> None:
    assert read(frame(8, struct.pack("!H", code))) == [CloseCode.MALFORMED]


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1011, 1012, 1014, 3000, 4401, 4999])
def test_a_close_gives_its_code_and_is_the_last_frame_that_is_read(code: int) -> None:
    wire = frame(8, struct.pack("!H", code) + "Tschüß".encode()) + frame(1, b"more") + b"\xff" * 9
    assert read(wire, frame(1, b"more")) == [Message(Kind.CLOSE, code=code)]


def test_a_close_without_a_code_is_normal() -> None:
    assert read(frame(8)) == [Message(Kind.CLOSE, code=1000)]


# Truncated, overlong, half of a surrogate pair, beyond Unicode, no lead byte (RFC 3629).
NOT_UTF8 = [b"\xc3", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80", b"\xff", b"a\xfe"]


@pytest.mark.parametrize("payload", NOT_UTF8)
def test_text_that_is_not_utf8_has_its_own_code(payload: bytes) -> None:
    assert read(frame(1, payload)) == [CloseCode.NOT_UTF8]
    assert read(frame(1, payload[:1], last=False), frame(0, payload[1:])) == [CloseCode.NOT_UTF8]
    assert read(frame(8, b"\x03\xe8" + payload)) == [CloseCode.NOT_UTF8]
    assert read(frame(2, payload)) == [Message(Kind.BINARY)]


def counting(most: int) -> tuple[Callable[[], bool], Iterable[int]]:
    asked: list[int] = []

    def admit() -> bool:
        asked.append(1)
        return len(asked) <= most

    return admit, asked


@pytest.mark.parametrize(
    "wire",
    [frame(9), frame(10), frame(1, b"a"), frame(0, last=False), frame(2)],
    ids=["pings", "pongs", "texts", "empty continuations", "binaries"],
)
def test_every_frame_counts_and_nothing_after_the_limit_is_read(wire: bytes) -> None:
    admit, asked = counting(5)
    begun = [frame(1, last=False)] if wire[0] & 0x0F == 0 else []
    heard = read(*begun, wire * 10_000, wire, admit=admit)
    assert heard[-1] is CloseCode.TOO_FAST
    assert heard.count(CloseCode.TOO_FAST) == 1
    assert len(list(asked)) == 6


def test_a_frame_that_comes_in_pieces_counts_once() -> None:
    admit, asked = counting(9)
    wire = frame(1, b"abc")
    assert read(*(wire[i : i + 1] for i in range(len(wire))), admit=admit) == [text("abc")]
    assert len(list(asked)) == 1


def test_a_stopped_decoder_reads_nothing_more() -> None:
    decoder = Decoder(MOST, always)
    heard = []
    for message in decoder.feed(frame(1, b"a") + frame(1, b"b")):
        heard.append(message)
        decoder.stop()
    assert heard == [text("a")]
    assert list(decoder.feed(frame(1, b"c"))) == []
