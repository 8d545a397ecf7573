"""Where webhooks may go: judged as it is written, and again at each connection."""

import socket
from collections.abc import Iterator

import pytest

from core.webhooks.address import AddressRefused, Guard, is_public

PRIVATE = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:10.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "64:ff9b:1::808:808",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "3fff::1",
    "4000::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2002:c0a8:101::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "172.32.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "2002:808:808::1",
    "2606:4700:4700::1111",
]


@pytest.fixture
def guard() -> Iterator[Guard]:
    made = Guard(allow_private=False)
    yield made
    made.close()


@pytest.fixture
def lax() -> Iterator[Guard]:
    made = Guard(allow_private=True)
    yield made
    made.close()


def place(host: str) -> tuple[int, int, int, str, tuple[str, int]]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return family, socket.SOCK_STREAM, 0, "", (host, 443)


@pytest.mark.parametrize("host", PRIVATE)
async def test_no_connection_is_made_into_a_network_that_is_not_public(
    guard: Guard, host: str
) -> None:
    assert not is_public(host)
    with pytest.raises(AddressRefused):
        guard.socket(place(host))
    literal = f"[{host}]" if ":" in host else host
    url = f"https://{literal}/hook"
    assert guard.url_problem(url) or await guard.place_problem(url)


@pytest.mark.parametrize("host", PUBLIC)
async def test_a_public_address_is_open(guard: Guard, host: str) -> None:
    assert is_public(host)
    guard.socket(place(host)).close()
    url = f"https://[{host}]/" if ":" in host else f"https://{host}/"
    assert guard.url_problem(url) == await guard.place_problem(url) == ""


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/hook?key=1",
        "https://example.com",
        "https://example.com:8443/hook",
        "https://xn--bcher-kva.example/hook",
        "https://a-b_c.example.com./%20x",
    ],
)
def test_a_plain_https_url_is_taken(guard: Guard, url: str) -> None:
    assert guard.url_problem(url) == ""


@pytest.mark.parametrize(
    "url",
    [
        "",
        " ",
        "example.com/hook",
        "//example.com/hook",
        "/hook",
        "http://example.com/hook",
        "ftp://example.com/hook",
        "file:///etc/passwd",
        "gopher://example.com/",
        "https://",
        "https:///hook",
        "https://user@example.com/",
        "https://user:secret@example.com/",
        "https://:@example.com/",
        "https://example.com/#there",
        "https://example.com/#",
        "https://example.com:0/",
        "https://example.com:22/",
        "https://example.com:25/",
        "https://example.com:80/",
        "https://example.com:65536/",
        "https://example.com:x/",
        "https://[fe80::1%25eth0]/",
        "https://[::1/",
        "https://exa mple.com/",
        "https://example.com/\r\nX-Injected: 1",
        "https://example.com/\x00",
        "https://bücher.example/",
        "https://example.com/" + "x" * 2_000,
    ],
)
async def test_an_odd_url_is_refused(guard: Guard, url: str) -> None:
    assert guard.url_problem(url)


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f000001", "0177.0.0.1", "localhost"])
async def test_a_name_that_means_this_machine_is_refused(guard: Guard, host: str) -> None:
    url = f"https://{host}/"
    assert guard.url_problem(url) or await guard.place_problem(url)


async def test_a_name_that_nobody_knows_is_judged_at_its_first_connection(guard: Guard) -> None:
    assert await guard.place_problem("https://no-such-name.invalid/") == ""


async def test_development_may_use_its_own_machine(lax: Guard) -> None:
    for url in ("http://127.0.0.1:9000/hook", "https://localhost/", "http://[::1]:9000/"):
        assert lax.url_problem(url) == await lax.place_problem(url) == ""
    lax.socket(place("127.0.0.1")).close()
    assert lax.url_problem("http://user:secret@127.0.0.1:9000/")
    assert lax.url_problem("http://127.0.0.1:22/")
