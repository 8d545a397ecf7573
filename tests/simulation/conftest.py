"""`--simulation-steps N`: how far the simulation goes; beyond the default it is random anew."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--simulation-steps",
        type=int,
        default=2_000,
        help="steps of the simulation (default: %(default)s)",
    )
