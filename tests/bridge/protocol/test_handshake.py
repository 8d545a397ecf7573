"""The headers of the opening handshake (RFC 6455 section 4.2)."""

from multidict import CIMultiDict

from bridge.protocol import handshake


def test_the_example_of_the_rfc_is_answered_as_it_says() -> None:
    headers = CIMultiDict(
        {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol": "chat, bearer"}
    )
    assert handshake.answer(headers, "bearer") == (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"Sec-WebSocket-Protocol: bearer\r\n"
        b"\r\n"
    )
    assert b"Sec-WebSocket-Protocol" not in handshake.answer(headers, "superchat")
