"""The bridge's own endpoints: health, metrics, the demo login, the dashboard's files."""

import json
import re
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import jwt
import pytest
from aiohttp import web

from bridge.door.listener import Listener
from bridge.limits import Limits
from bridge.metrics import Metrics
from bridge.web.pages import DIST, ROUTES, Pages, _policy
from holdfast.tokens import Verifier
from tests.bridge.conftest import ORIGIN, StartBridge
from tests.fakes.bridge import SECRET, Bridge
from tests.fakes.core import FakeCore


async def status(bridge: Bridge, path: str) -> int:
    async with bridge.http.get(bridge.url + path) as response:
        await response.read()
        return response.status


async def test_readyz_follows_core_and_healthz_does_not(
    start_bridge: StartBridge, core: FakeCore
) -> None:
    bridge = await start_bridge(health_s=1)
    assert await status(bridge, "/readyz") == 200
    await core.set_serving(False)
    assert await status(bridge, "/readyz") == 503
    await core.set_serving(True)
    assert await status(bridge, "/readyz") == 200
    await core.stop()
    assert await status(bridge, "/readyz") == 503
    assert await status(bridge, "/healthz") == 200


async def test_metrics_count_what_happens(bridge: Bridge, core: FakeCore) -> None:
    await core.create("e1")
    async with bridge.browser() as browser:
        await browser.subscribe("e1")
        await core.append("e1")
        await browser.versions(1)
        for name in ("sockets", "subscriptions", "watches", "core_connected"):
            assert await bridge.metric(f"holdfast_bridge_{name}") == 1
        assert await bridge.metric("holdfast_bridge_frames_sent_total") == 3
        assert await bridge.metric("holdfast_bridge_event_to_frame_seconds_count") == 1


async def test_what_was_missed_is_no_measure_of_how_long_an_event_takes(
    bridge: Bridge, core: FakeCore
) -> None:
    seconds_count = "holdfast_bridge_event_to_frame_seconds_count"
    await core.create("e1")
    for _ in range(3):
        await core.append("e1")
    async with bridge.browser() as browser:
        await browser.send("subscribe", escrow_id="e1", after=1)
        assert await browser.versions(3) == [2, 3, 4]
        assert await bridge.metric(seconds_count) == 0
        await core.append("e1")
        assert await browser.versions(1) == [5]
        assert await bridge.metric(seconds_count) == 1


async def books(bridge: Bridge) -> dict[str, float]:
    async with bridge.http.get(bridge.url + "/metrics") as response:
        lines = (await response.text()).splitlines()
    told = (line.split() for line in lines if line.startswith("holdfast_books_"))
    return {name.removeprefix("holdfast_books_"): float(value) for name, value in told}


async def test_metrics_show_the_result_of_cores_last_check_of_the_books(
    start_bridge: StartBridge, core: FakeCore
) -> None:
    bridge = await start_bridge(books_s=1)
    await bridge.until_metric("holdfast_bridge_core_connected", 1)
    assert await books(bridge) == {}, "core has not checked yet"
    core.check.check_time.FromMilliseconds(1_700_000_000_500)
    core.check.escrows_checked = 41
    core.check.findings.add(check="SUM")
    found = {"findings": 1, "escrows_checked": 41, "check_time_seconds": 1_700_000_000.5}
    assert await books(bridge) == found
    core.answering.clear()
    assert await books(bridge) == {}, "core is too slow"
    core.answering.set()
    core.refusals["GetLastCheck"] = (grpc.StatusCode.INTERNAL, "ODD")
    assert await books(bridge) == {}
    core.refusals.clear()
    assert await books(bridge) == found
    await core.stop()
    await bridge.until_metric("holdfast_bridge_core_connected", 0)
    assert await books(bridge) == {}


async def ask_demo(bridge: Bridge, body: Any, **options: Any) -> tuple[int, Any]:
    url = bridge.url + "/api/v1/demo/token"
    async with bridge.http.post(url, data=body, **options) as response:
        return response.status, await response.json(content_type=None)


async def test_the_demo_login_issues_a_valid_token(bridge: Bridge) -> None:
    code, answer = await ask_demo(bridge, b'{"user_id":"asha","roles":["user","admin"]}')
    assert code == 200
    identity = await Verifier(secret=SECRET).verify(answer["token"])
    assert (identity.user_id, identity.roles) == ("asha", ("user", "admin"))
    async with bridge.with_token(answer["token"]) as browser:
        assert browser.connected["user_id"] == "asha"


async def test_a_demo_token_carries_the_name_that_was_asked_for(bridge: Bridge) -> None:
    for name in ("आशा वर्मा", ""):
        code, answer = await ask_demo(bridge, json.dumps({"user_id": "asha", "name": name}))
        assert code == 200
        claims = jwt.decode(answer["token"], SECRET, algorithms=["HS256"])
        assert claims.get("name", "") == name


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"", "body"),
        (b"[]", "body"),
        (b"\xff", "body"),
        (b"{}", "user_id"),
        (b'{"user_id":""}', "user_id"),
        (b'{"user_id":7}', "user_id"),
        (b'{"user_id":"\\ud800"}', "user_id"),
        (b'{"user_id":"%s"}' % (b"x" * 129), "user_id"),
        (b'{"user_id":"a","roles":"admin"}', "roles"),
        (b'{"user_id":"a","roles":["king"]}', "roles"),
        (b'{"user_id":"a","roles":[[]]}', "roles"),
        (b'{"user_id":"a","roles":[]}', "roles"),
        (b'{"user_id":"a","name":7}', "name"),
        (b'{"user_id":"a","name":"a\\nb"}', "name"),
        (b'{"user_id":"a","name":"%s"}' % (b"x" * 81), "name"),
    ],
)
async def test_a_bad_demo_login_names_the_field(bridge: Bridge, body: bytes, named: str) -> None:
    code, answer = await ask_demo(bridge, body)
    assert code == 400
    assert named in answer["error"]["message"]


async def test_a_foreign_page_gets_no_demo_token(bridge: Bridge) -> None:
    headers = {"Origin": "https://evil.example"}
    assert (await ask_demo(bridge, b'{"user_id":"a"}', headers=headers))[0] == 403


async def test_the_demo_login_is_closed_by_default(start_bridge: StartBridge) -> None:
    bridge = await start_bridge({"demo_login": False})
    assert (await ask_demo(bridge, b'{"user_id":"a"}'))[0] == 404


async def test_listed_origins_may_read_the_api_and_others_not(bridge: Bridge) -> None:
    url = bridge.url + "/api/v1/demo/token"
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    async with bridge.http.options(url, headers=asked) as response:
        assert response.status == 204
        assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert "Authorization" in response.headers["Access-Control-Allow-Headers"]
    async with bridge.http.post(url, data=b"{}", headers={"Origin": ORIGIN}) as response:
        assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert response.headers["Vary"] == "Origin"
    asked["Origin"] = "https://evil.example"
    async with bridge.http.options(url, headers=asked) as response:
        assert "Access-Control-Allow-Origin" not in response.headers


@pytest.fixture
async def site(tmp_path: Path, bridge: Bridge) -> Any:
    """A bridge of pages only, over a built dashboard."""
    dist = tmp_path / "dist"
    (dist / "assets").mkdir(parents=True)
    (dist / "index.html").write_text("<title>Holdfast</title>")
    (dist / "assets" / "index-abc123.js").write_text("1")
    (tmp_path / "secret.txt").write_text("secret")
    app = web.Application()
    Pages(pay_url="http://127.0.0.1:8001/v1", dist=dist).add_to(app)
    door = Listener(app, Limits(), Metrics(), shutdown_s=1)
    await door.open("127.0.0.1", 0)
    yield Bridge(door, bridge.http)
    await door.close()


async def test_hashed_files_are_kept_for_ever_and_the_page_is_not(site: Bridge) -> None:
    async with site.http.get(site.url + "/assets/index-abc123.js") as response:
        assert response.status == 200
        assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    for path in ("/", "/index.html", "/escrows/e1"):
        async with site.http.get(site.url + path) as response:
            assert await response.text() == "<title>Holdfast</title>"
            assert response.headers["Cache-Control"] == "no-cache"
            policy = response.headers["Content-Security-Policy"]
            assert "script-src 'self' https://checkout.razorpay.com;" in policy
            assert "form-action 'self' https://api.razorpay.com http://127.0.0.1:8001;" in policy
            assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.fixture
def siblings(tmp_path: Path, site: Bridge) -> dict[str, bytes]:
    """What stands beside the script, by its encoding; none is what it says, so that it is known."""
    script = tmp_path / "dist" / "assets" / "index-abc123.js"
    found = {"br": b"by brotli", "gzip": b"by gzip", "": b"1"}
    script.with_suffix(".js.br").write_bytes(found["br"])
    script.with_suffix(".js.gz").write_bytes(found["gzip"])
    return found


@pytest.mark.parametrize(
    ("accepts", "encoding"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip", "gzip"),
        ("identity", ""),
        ("", ""),
        ("br;q=0, gzip;q=0", ""),
    ],
)
async def test_a_file_goes_out_compressed_as_the_browser_accepts_it(
    site: Bridge, siblings: dict[str, bytes], accepts: str, encoding: str
) -> None:
    url, headers = site.url + "/assets/index-abc123.js", {"Accept-Encoding": accepts}
    async with aiohttp.ClientSession(auto_decompress=False) as http:
        async with http.get(url, headers=headers) as response:
            assert await response.read() == siblings[encoding]
            assert response.headers.get("Content-Encoding", "") == encoding
            assert response.headers["Vary"] == "Accept-Encoding"
            assert response.content_type.endswith("/javascript")
            assert response.headers["Cache-Control"].endswith("immutable")
        async with http.head(url, headers=headers) as response:
            assert response.status == 200
            assert response.headers["Content-Length"] == str(len(siblings[encoding]))
            assert response.headers.get("Content-Encoding", "") == encoding


async def test_each_form_of_a_file_is_known_by_a_tag_of_its_own(
    site: Bridge, siblings: dict[str, bytes]
) -> None:
    url, tags = site.url + "/assets/index-abc123.js", set()
    async with aiohttp.ClientSession(auto_decompress=False) as http:
        for accepts in ("br", "gzip", "identity"):
            headers = {"Accept-Encoding": accepts}
            async with http.get(url, headers=headers) as response:
                tags.add(response.headers["ETag"])
            known = {**headers, "If-None-Match": response.headers["ETag"]}
            async with http.get(url, headers=known) as response:
                assert response.status == 304
                assert response.headers["Vary"] == "Accept-Encoding"
        async with http.get(url, headers={"Accept-Encoding": "br", "Range": "bytes=3-"}) as part:
            assert (part.status, await part.read()) == (206, b"brotli")
            assert part.headers["Content-Encoding"] == "br"
    assert len(tags) == 3


async def test_a_compressed_file_has_no_address_of_its_own(
    site: Bridge, siblings: dict[str, bytes]
) -> None:
    for ending in (".br", ".gz"):
        async with site.http.get(site.url + f"/assets/index-abc123.js{ending}") as response:
            assert response.status == 404


@pytest.mark.parametrize(
    "path",
    [
        "/assets/gone-999.js",
        "/api/v1/nothing",
        "/api/v2/x",
        "/api",
        "/favicon.ico",
        "/wp-login.php",
        "/index.html/",
        "/escrows",
        "/escrows/e1/more",
        "/news",
    ],
)
async def test_a_missing_file_or_route_is_404(site: Bridge, path: str) -> None:
    async with site.http.get(site.url + path) as response:
        assert response.status == 404
        assert (await response.json())["error"]["reason"] == "PATH_UNKNOWN"


async def test_a_browser_at_an_unknown_page_sees_the_dashboards_not_found_page(
    site: Bridge,
) -> None:
    headers = {"Accept": "text/html,application/xhtml+xml"}
    async with site.http.get(site.url + "/nowhere", headers=headers) as response:
        assert response.status == 404
        assert await response.text() == "<title>Holdfast</title>"
        assert response.headers["Cache-Control"] == "no-cache"
        assert "Content-Security-Policy" in response.headers
    async with site.http.get(site.url + "/api/v2/x", headers=headers) as response:
        assert response.content_type == "application/json"


async def test_robots_are_told_to_leave(site: Bridge) -> None:
    async with site.http.get(site.url + "/robots.txt") as response:
        assert (response.status, response.content_type) == (200, "text/plain")
        assert await response.text() == "User-agent: *\nDisallow: /\n"


def test_the_pages_are_those_of_the_dashboards_router() -> None:
    source = (DIST.parent / "src" / "pages" / "Rooms.tsx").read_text()
    found = re.findall(r'<Route path="([^"]+)"', source)
    # The router may leave the last part of a path out.
    paths = [
        one
        for path in found
        for one in ([path[:-1], path.rpartition("/")[0]] if path.endswith("?") else [path])
    ]
    assert sorted(f"/{route}" for route in ROUTES) == sorted(set(paths) - {"*"})


@pytest.mark.parametrize(
    ("host", "named"),
    [
        ("127.0.0.1:8000", " ws://127.0.0.1:8000 wss://127.0.0.1:8000"),
        ("[::1]:8000", " ws://[::1]:8000 wss://[::1]:8000"),
        ("shop.example", " ws://shop.example wss://shop.example"),
        ("evil.example; script-src *", ""),
        ("", ""),
    ],
)
def test_a_page_may_connect_to_us_and_to_who_takes_the_payment(host: str, named: str) -> None:
    def connects(pay_url: str | None) -> str:
        (found,) = (one for one in _policy(pay_url, host).split("; ") if "connect-src" in one)
        return found

    assert (
        connects("http://127.0.0.1:8001/v1") == f"connect-src 'self'{named} http://127.0.0.1:8001"
    )
    assert connects(None) == (
        f"connect-src 'self'{named} https://api.razorpay.com https://checkout.razorpay.com"
        " https://lumberjack.razorpay.com"
    )


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("localhost:8000", 200),
        ("LOCALHOST", 200),
        ("127.0.0.1", 200),
        ("127.8.9.1:80", 200),
        ("[::1]:8000", 200),
        ("shop.example", 200),
        ("evil.example", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example:8000", 403),
        ("10.0.0.1", 403),
        ("[::2]", 403),
        ("localhost@evil.example", 403),
        ("[::1", 403),
    ],
)
async def test_the_demo_login_answers_to_names_of_this_machine(
    bridge: Bridge, host: str, code: int
) -> None:
    answer = await ask_demo(bridge, b'{"user_id":"a"}', headers={"Host": host})
    assert answer[0] == code
    if code == 403:
        assert answer[1]["error"]["reason"] == "HOST_REFUSED"


@pytest.mark.parametrize(
    "path", ["/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/%00", "/" + "x" * 300]
)
async def test_nothing_outside_the_dashboard_is_served(site: Bridge, path: str) -> None:
    from yarl import URL

    async with site.http.get(URL(site.url + path, encoded=True)) as response:
        assert "secret" not in await response.text()


async def test_without_a_build_there_is_a_hint(tmp_path: Path, site: Bridge) -> None:
    for file in (tmp_path / "dist").rglob("*.*"):
        file.unlink()
    async with site.http.get(site.url + "/") as response:
        assert response.status == 200
        assert "make run" in await response.text()
    assert await status(site, "/favicon.ico") == 404
