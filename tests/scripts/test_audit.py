"""The audit tells of holes, and of services that cannot be asked, and mixes them up never."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import requests

from scripts import audit


class Service(BaseHTTPRequestHandler):
    """Knows one hole."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        results = [
            {"vulns": [{"id": "PYSEC-1"}]} if one["package"]["name"] == "leaky" else {}
            for one in asked["queries"]
        ]
        body = json.dumps({"results": results}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_lock_is_read_whatever_stands_beside_a_version() -> None:
    text = "# made\nleaky==1.0 ; python_version < '3.12' \\\n  --hash=sha256:00\nsound[x]==2.1 \\\n"
    assert audit.locked(text) == {"leaky": "1.0", "sound": "2.1"}


def test_a_known_hole_is_named(url: str) -> None:
    assert audit.holes({"sound": "2.1", "leaky": "1.0"}, url) == {"leaky": ["PYSEC-1"]}


def test_a_service_that_is_away_is_no_answer() -> None:
    with pytest.raises(requests.ConnectionError):
        audit.holes({"sound": "2.1"}, "http://127.0.0.1:1/")
