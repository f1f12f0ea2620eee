"""A real Mosquitto, a real vendor and a plain MQTT client for the tests of the simulator."""

from collections.abc import AsyncIterator, Iterator

import pytest

from simulator.broker import Broker, BrokerTap
from simulator.vendor import Vendor


@pytest.fixture(autouse=True)
def _sockets(request: pytest.FixtureRequest) -> None:
    """Let these tests use sockets where Home Assistant's harness forbids them."""
    if request.config.pluginmanager.has_plugin("socket"):
        request.getfixturevalue("socket_enabled")


@pytest.fixture
def broker(_sockets: None) -> Iterator[Broker]:
    """A broker that knows nothing yet; a start takes some twenty milliseconds."""
    with Broker() as broker:
        yield broker


@pytest.fixture
async def tap(broker: Broker) -> AsyncIterator[BrokerTap]:
    """A client that sees everything and can send commands."""
    async with broker.tap() as tap:
        yield tap


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    """A vendor that is honest until told otherwise."""
    async with Vendor() as vendor:
        yield vendor
