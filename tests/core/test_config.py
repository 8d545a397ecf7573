"""Settings: read once; one message names all that is wrong; secrets never print."""

import os

import pytest

from core import config

GOOD = {
    "JWT_SECRET": "a secret of at least thirty-two bytes",
    "RAZORPAY_KEY_ID": "rzp_test_1",
    "RAZORPAY_KEY_SECRET": "swordfish-key",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Nothing but what a test sets."""
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def wrong(environment: pytest.MonkeyPatch, **changes: str | None) -> str:
    for name, value in changes.items():
        if value is None:
            environment.delenv(name)
        else:
            environment.setenv(name, value)
    with pytest.raises(config.ConfigError) as error:
        config.read()
    return str(error.value)


def test_the_defaults_are_the_contracts(environment: pytest.MonkeyPatch) -> None:
    settings = config.read()
    assert settings.database_url == "sqlite+aiosqlite:///holdfast.db"
    assert settings.core_listen == "127.0.0.1:50051"
    assert settings.platform_fee_bps == 250
    assert (settings.log_format, settings.log_level) == ("console", "info")
    assert settings.webhook_secrets == ()


@pytest.mark.parametrize(
    "url",
    [
        "nats://127.0.0.1:4222",
        "tls://holdfast:swordfish-nats@nats.example",
        "nats://swordfish-nats@[::1]:4222/, nats://other.example:4222",
    ],
)
def test_addresses_of_nats_are_taken(environment: pytest.MonkeyPatch, url: str) -> None:
    environment.setenv("NATS_URL", url)
    settings = config.read()
    assert settings.nats_url is not None
    assert settings.nats_url.get_secret_value() == url
    assert "swordfish" not in repr(settings)


@pytest.mark.parametrize(
    "url",
    ["swordfish", "http://swordfish@nats.example", "nats://a,swordfish", "nats://a:b:swordfish@"],
)
def test_what_is_no_address_of_nats_is_refused_untold(
    environment: pytest.MonkeyPatch, url: str
) -> None:
    message = wrong(environment, NATS_URL=url)
    assert "NATS_URL: must be nats://host:port" in message
    assert "swordfish" not in message


def test_one_message_names_everything(environment: pytest.MonkeyPatch) -> None:
    message = wrong(
        environment,
        JWT_SECRET="short",
        RAZORPAY_KEY_ID=None,
        RAZORPAY_KEY_SECRET=None,
        DATABASE_URL="mysql://x",
        CORE_LISTEN="nowhere",
        PLATFORM_FEE_BPS="10001",
        LOG_FORMAT="xml",
        GRPC_TLS_CERT="/no/such/file",
        RAZORPAY_KEYID="a slip of the pen",
    )
    for name in (
        "JWT_SECRET",
        "RAZORPAY_KEY_ID",
        "RAZORPAY_KEY_SECRET",
        "DATABASE_URL",
        "CORE_LISTEN",
        "PLATFORM_FEE_BPS",
        "LOG_FORMAT",
        "GRPC_TLS_CERT",
        "RAZORPAY_KEYID",
    ):
        assert name in message


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"JWT_JWKS_URL": "https://keys.example"}, ["JWT_SECRET", "JWT_JWKS_URL"]),
        ({"JWT_SECRET": None}, ["JWT_SECRET", "JWT_JWKS_URL"]),
        ({"JWT_SECRET": ""}, ["JWT_SECRET"]),
        ({"RAZORPAY_WEBHOOK_SECRET_PREVIOUS": "old"}, ["RAZORPAY_WEBHOOK_SECRET"]),
        ({"RAZORPAY_BASE_URL": "ftp://x"}, ["RAZORPAY_BASE_URL"]),
        ({"GRPC_TLS_CERT": __file__}, ["GRPC_TLS_CERT", "GRPC_TLS_KEY"]),
        ({"GRPC_TLS_CLIENT_CA": __file__}, ["GRPC_TLS_CLIENT_CA", "GRPC_TLS_CERT"]),
        ({"PLATFORM_FEE_BPS": "2.5"}, ["PLATFORM_FEE_BPS"]),
    ],
)
def test_what_contradicts_or_misses_is_named(
    environment: pytest.MonkeyPatch, changes: dict[str, str | None], named: list[str]
) -> None:
    message = wrong(environment, **changes)
    assert all(name in message for name in named)


def test_secrets_never_print(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("RAZORPAY_WEBHOOK_SECRET", "swordfish-hook")
    assert "swordfish" not in repr(config.read())
    assert "thirty-two" not in str(config.read())
    assert "swordfish" not in wrong(environment, JWT_SECRET="swordfish", LOG_LEVEL="loud")


def test_both_webhook_secrets_are_accepted(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("RAZORPAY_WEBHOOK_SECRET", "new")
    environment.setenv("RAZORPAY_WEBHOOK_SECRET_PREVIOUS", "old")
    assert config.read().webhook_secrets == ("new", "old")


def test_names_of_the_bridge_and_of_the_cluster_disturb_nobody(
    environment: pytest.MonkeyPatch,
) -> None:
    for name in ("CORE_ADDRESS", "CORE_SERVICE_HOST", "CORE_PORT_50051_TCP", "PATH", "HOME"):
        environment.setenv(name, "x")
    assert config.read().razorpay_key_id == "rzp_test_1"


def test_an_empty_environment_names_all_that_is_missing(
    environment: pytest.MonkeyPatch,
) -> None:
    text = wrong(environment, **dict.fromkeys(GOOD))
    assert all(name in text for name in ("JWT_SECRET", "RAZORPAY_KEY_ID", "RAZORPAY_KEY_SECRET"))


def test_a_port_that_cannot_be_is_named(environment: pytest.MonkeyPatch) -> None:
    assert "CORE_LISTEN" in wrong(environment, CORE_LISTEN="127.0.0.1:99999")
