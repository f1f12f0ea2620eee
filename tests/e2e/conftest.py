"""Real processes: Home Assistant as people run it, a broker, simulated devices."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from simulator.broker import Broker
from simulator.demo.home_assistant import HomeAssistant


@pytest.fixture(autouse=True)
def _real_network(socket_enabled: None) -> None:
    """Let the tests of this folder use sockets; the harness still keeps them on 127.0.0.1."""


@pytest.fixture
async def broker() -> AsyncIterator[Broker]:
    async with Broker() as running:
        yield running


@pytest.fixture
async def home_assistant(tmp_path: Path) -> AsyncIterator[HomeAssistant]:
    async with HomeAssistant(tmp_path / "config") as running:
        yield running
