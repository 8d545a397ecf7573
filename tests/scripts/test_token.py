import os
import subprocess
import sys
import time
from pathlib import Path

import jwt
import pytest

from scripts.mint import seconds

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
SECRET = "a secret that is long enough for HS256"


def printed_token(*arguments: str, **environment: str) -> str:
    result = subprocess.run(
        [sys.executable, str(SCRIPTS / "token.py"), *arguments],
        env={**os.environ, "JWT_SECRET": SECRET, **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert result.stdout.count("\n") == 1
    return result.stdout.strip()


def test_the_script_prints_a_token_and_nothing_else() -> None:
    token = printed_token("--user", "alice", "--role", "admin", "--role", "user", "--ttl", "2h")
    claims = jwt.decode(token, SECRET, algorithms=["HS256"])
    assert claims["sub"] == "alice"
    assert claims["roles"] == ["admin", "user"]
    assert claims["exp"] - claims["iat"] == 7200
    assert abs(claims["iat"] - time.time()) < 60


def test_without_a_role_the_token_has_the_role_user() -> None:
    claims = jwt.decode(printed_token("--user", "bob"), SECRET, algorithms=["HS256"])
    assert claims["roles"] == ["user"]
    assert claims["exp"] - claims["iat"] == 12 * 3600


def test_the_token_has_the_issuer_and_audience_that_the_servers_check() -> None:
    token = printed_token("--user", "a", JWT_ISSUER="https://issuer.test", JWT_AUDIENCE="holdfast")
    claims = jwt.decode(
        token, SECRET, algorithms=["HS256"], issuer="https://issuer.test", audience="holdfast"
    )
    assert claims["sub"] == "a"


@pytest.mark.parametrize(
    ("text", "expected"), [("90s", 90), ("30m", 1800), ("12h", 43200), ("7d", 604800)]
)
def test_a_ttl_has_a_unit(text: str, expected: int) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "12", "h", "0h", "-1h", "1.5h", "1w", "99999999999d"])
def test_another_ttl_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(Exception, match="say 90s"):
        seconds(text)


def test_scripts_that_are_run_by_their_path_still_find_the_standard_librarys_token() -> None:
    code = f"import sys; sys.path[0] = {str(SCRIPTS)!r}; import tokenize, token; print(token.OP)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert result.stdout.strip().isdigit()
