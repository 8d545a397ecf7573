"""A sandbox that settles soon. A file of tests with other chances brings its own."""

from collections.abc import AsyncIterator

import pytest

from scripts.sandbox import Sandbox


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(process_delay_s=0.01, seed=3) as running:
        yield running
