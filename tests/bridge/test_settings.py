"""The settings: one message names everything that is wrong, and no secret is printed."""

import os

import pytest

from bridge import config

PREFIXES = ("JWT_", "BRIDGE_", "CORE_", "GRPC_TLS_", "ALLOW", "DEMO_", "LOG_", "RAZORPAY_")
GOOD = {"JWT_SECRET": "s" * 32, "BRIDGE_TOKEN": "a.b.c"}


@pytest.fixture(autouse=True)
def _only(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in tuple(os.environ):
        if name.startswith(
            ("JWT_", "BRIDGE_", "CORE_", "GRPC_TLS_", "ALLOW", "DEMO_", "LOG_", "RAZORPAY_")
        ):
            monkeypatch.delenv(name)
    monkeypatch.delenv("PORT", raising=False)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)


def test_the_defaults_are_those_of_the_documents() -> None:
    settings = config.read()
    assert settings.core_address == ("127.0.0.1:50051",)
    assert (settings.bridge_host, settings.port) == ("127.0.0.1", 8000)
    assert (settings.log_format, settings.log_level) == ("console", "info")
    assert settings.allow_query_token
    assert not settings.demo_login


def test_lists_are_comma_separated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORE_ADDRESS", "core-1:50051, [::1]:50052")
    monkeypatch.setenv("ALLOWED_ORIGINS", "https://Shop.example/,http://localhost:5173")
    settings = config.read()
    assert settings.core_address == ("core-1:50051", "[::1]:50052")
    assert settings.allowed_origins == ("https://shop.example", "http://localhost:5173")


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_JWKS_URL", "")
    monkeypatch.setenv("PORT", "")
    assert config.read().port == 8000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "70000"),
        ("JWT_SECRET", "short"),
        ("BRIDGE_TOKEN", "two words"),
        ("BRIDGE_TOKEN", ""),
        ("CORE_ADDRESS", "localhost"),
        ("CORE_ADDRESS", "http://localhost:50051"),
        ("ALLOWED_ORIGINS", "*"),
        ("ALLOWED_ORIGINS", "https://shop.example/path"),
        ("DEMO_LOGIN", "perhaps"),
        ("LOG_FORMAT", "xml"),
        ("LOG_LEVEL", "loud"),
        ("GRPC_TLS_CERT", "/nowhere/cert.pem"),
        ("JWT_JWKS_URL", "file:///etc/passwd"),
        ("JWT_JWKS_URL", "https://keys.example/jwks"),
        ("JWT_SECERT", "x"),
        ("BRIDGE_PORT", "1"),
        ("CORE_ADDRES", "x"),
    ],
)
def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(config.ConfigError, match=name):
        config.read()


def test_one_message_names_everything_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BRIDGE_TOKEN")
    monkeypatch.setenv("JWT_SECRET", "tiny secret")
    monkeypatch.setenv("PORT", "x")
    monkeypatch.setenv("JWT_FOO", "1")
    with pytest.raises(config.ConfigError) as error:
        config.read()
    for name in ("BRIDGE_TOKEN", "JWT_SECRET", "PORT", "JWT_FOO"):
        assert name in str(error.value)
    assert "tiny secret" not in str(error.value)


def test_without_a_secret_or_keys_the_settings_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JWT_SECRET")
    with pytest.raises(config.ConfigError, match="JWT_SECRET or JWT_JWKS_URL"):
        config.read()


def test_a_demo_login_needs_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JWT_SECRET")
    monkeypatch.setenv("JWT_JWKS_URL", "https://keys.example/jwks")
    monkeypatch.setenv("DEMO_LOGIN", "1")
    with pytest.raises(config.ConfigError, match="DEMO_LOGIN"):
        config.read()


@pytest.mark.parametrize(
    ("razorpay", "named"),
    [
        ({}, "RAZORPAY_BASE_URL"),
        ({"RAZORPAY_BASE_URL": "https://api.razorpay.com"}, "RAZORPAY_BASE_URL"),
        ({"RAZORPAY_BASE_URL": "http://localhost.evil.example"}, "RAZORPAY_BASE_URL"),
        ({"RAZORPAY_BASE_URL": "http://127.0.0.1@evil.example"}, "RAZORPAY_BASE_URL"),
        ({"RAZORPAY_BASE_URL": "http://[::1"}, "RAZORPAY_BASE_URL"),
        (
            {"RAZORPAY_BASE_URL": "http://127.0.0.1:8001", "RAZORPAY_KEY_ID": "rzp_live_x"},
            "RAZORPAY_KEY_ID",
        ),
    ],
)
def test_a_demo_login_beside_real_money_is_contradictory(
    monkeypatch: pytest.MonkeyPatch, razorpay: dict[str, str], named: str
) -> None:
    for name, value in razorpay.items():
        monkeypatch.setenv(name, value)
    config.read()
    for yes in ("1", "true", "YES"):
        monkeypatch.setenv("DEMO_LOGIN", yes)
        with pytest.raises(config.ConfigError, match=f"DEMO_LOGIN=1.*{named}"):
            config.read()


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8001", "http://localhost:1", "http://[::1]:8001"]
)
def test_a_demo_login_beside_a_sandbox_of_this_machine_is_fine(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("DEMO_LOGIN", "1")
    monkeypatch.setenv("RAZORPAY_BASE_URL", url)
    monkeypatch.setenv("RAZORPAY_KEY_ID", "rzp_test_x")
    assert config.read().demo_login


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CORE_LISTEN", "0.0.0.0:50051"),
        ("CORE_SERVICE_HOST", "10.0.0.1"),
        ("CORE_SERVICE_PORT_GRPC", "50051"),
        ("BRIDGE_PORT", "tcp://10.0.0.1:80"),
        ("CORE_PORT_50051_TCP_ADDR", "10.0.0.1"),
    ],
)
def test_variables_of_core_and_of_kubernetes_are_ignored(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert config.read().core_address == ("127.0.0.1:50051",)


def test_secrets_are_not_printed() -> None:
    assert GOOD["JWT_SECRET"] not in repr(config.read())
    assert GOOD["BRIDGE_TOKEN"] not in repr(config.read())
