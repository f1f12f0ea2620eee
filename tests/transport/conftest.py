"""A real Mosquitto, Home Assistant's real MQTT integration, and somebody else on the broker."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest
from homeassistant.components import mqtt
from homeassistant.components.mqtt import client as mqtt_client
from homeassistant.core import HomeAssistant, callback
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.firmware_hub.dialects.base import Message
from custom_components.firmware_hub.transport.base import LinkHandler, MessageHandler, Transport
from custom_components.firmware_hub.transport.broker import BrokerAddress, BrokerTransport
from custom_components.firmware_hub.transport.ha_mqtt import HaMqttTransport
from simulator.broker import Broker, BrokerTap


@pytest.fixture(autouse=True)
async def enable_event_loop_debug() -> None:
    """Find calls of the loop from a wrong thread: another thread works here."""
    asyncio.get_running_loop().set_debug(True)


class Heard:
    """What a transport told, to be waited for."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.links: list[bool] = []
        self._changed = asyncio.Event()

    def on_message(self, message: Message) -> None:
        payload = message.payload.encode() if isinstance(message.payload, str) else message.payload
        self.messages.append(replace(message, payload=payload))
        self._changed.set()

    def on_link(self, connected: bool) -> None:
        self.links.append(connected)
        self._changed.set()

    async def until(self, wanted: Callable[[Heard], object]) -> None:
        async with asyncio.timeout(20):
            while not wanted(self):
                self._changed.clear()
                await self._changed.wait()

    async def message(self, payload: str | bytes) -> Message:
        """Wait for a message with this payload."""
        await self.until(lambda heard: any(one.payload == payload for one in heard.messages))
        return next(one for one in self.messages if one.payload == payload)

    async def link(self, connected: bool) -> None:
        """Wait until the link is in this state."""
        await self.until(lambda heard: heard.links[-1:] == [connected])


@pytest.fixture(autouse=True)
def _real(socket_enabled: None, mock_hass_config: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real connections; Home Assistant's client tries again sooner than after ten seconds."""
    monkeypatch.setattr(mqtt_client, "RECONNECT_INTERVAL_SECONDS", 0.05)


@pytest.fixture
async def broker() -> AsyncIterator[Broker]:
    async with Broker() as broker:
        yield broker


@pytest.fixture
async def tap(broker: Broker) -> AsyncIterator[BrokerTap]:
    async with broker.tap() as tap:
        yield tap


def mqtt_entry(broker: Broker) -> MockConfigEntry:
    """Return an entry of Home Assistant's MQTT integration."""
    return MockConfigEntry(
        domain="mqtt",
        data={"broker": broker.host, "port": broker.port, "protocol": "5"},
        options={"birth_message": {}, "discovery": False},
        version=mqtt.CONFIG_ENTRY_VERSION,
        minor_version=mqtt.CONFIG_ENTRY_MINOR_VERSION,
    )


type Start = Callable[[MessageHandler, LinkHandler], Awaitable[Transport]]


async def no_thread[T](work: Callable[[], T]) -> T:
    """Run what would block in the loop."""
    return work()


def unexpected() -> None:
    raise AssertionError("the broker turned us away")


@pytest.fixture(params=["ha_mqtt", "broker"])
async def start(request: pytest.FixtureRequest, hass: HomeAssistant, broker: Broker) -> AsyncIterator[Start]:
    """Start a transport of this kind; all are stopped in the end."""
    if request.param == "ha_mqtt":
        await connect(hass, broker)
    started: list[Transport] = []

    async def start(on_message: MessageHandler, on_link: LinkHandler) -> Transport:
        transport: Transport
        if request.param == "ha_mqtt":
            transport = HaMqttTransport(hass)
        else:
            address = BrokerAddress(broker.host, broker.port)
            transport = BrokerTransport(address, f"hub-{len(started)}", no_thread, unexpected, first_wait=0.05)
        started.append(transport)
        await transport.async_start(on_message, on_link)
        return transport

    yield start
    for transport in started:
        await transport.async_stop()


@pytest.fixture
async def transport(start: Start, heard: Heard) -> Transport:
    """A transport that is connected."""
    transport = await start(heard.on_message, heard.on_link)
    await heard.link(connected=True)
    del heard.links[:-1]
    return transport


async def connect(hass: HomeAssistant, broker: Broker) -> MockConfigEntry:
    """Connect Home Assistant to the broker."""
    entry = mqtt_entry(broker)
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    connected = asyncio.Event()

    @callback
    def told(state: bool) -> None:
        if state:
            connected.set()

    unsubscribe = mqtt.async_subscribe_connection_status(hass, told)
    if not mqtt.is_connected(hass):
        await connected.wait()
    unsubscribe()
    return entry


@pytest.fixture
def heard() -> Heard:
    return Heard()
