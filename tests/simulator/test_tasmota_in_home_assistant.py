"""Home Assistant's own Tasmota integration finds the simulated device and switches it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from simulator.broker import Broker
from simulator.devices.tasmota import TasmotaDevice
from simulator.images import Image
from simulator.link import OwnLink

common = pytest.importorskip("pytest_homeassistant_custom_component.common")
mqtt = pytest.importorskip("homeassistant.components.mqtt")
core = pytest.importorskip("homeassistant.core")
registry = pytest.importorskip("homeassistant.helpers.device_registry")

SWITCH = "switch.lamp"


@pytest.fixture
def expected_lingering_timers() -> bool:
    """Home Assistant's own MQTT client leaves a timer behind when the test ends while it is connected."""
    return True


@pytest.fixture
def expected_lingering_tasks() -> bool:
    """The library behind the Tasmota integration asks for states after a second, and never takes that back."""
    return True


@pytest.fixture
async def device(broker: Broker) -> AsyncIterator[TasmotaDevice]:
    """A lamp that has announced itself."""
    image = Image("Tasmota", "ESP32", "14.6.0", variant="tasmota32")
    link = OwnLink(broker.host, broker.port)
    device = TasmotaDevice(name="lamp", mac="8CAAB5A1B2C3", image=image, link=link, speed=1000)
    await device.start()
    await device.wait_for(lambda d: d.announced)
    yield device
    await device.stop()


@pytest.fixture
async def home(hass: Any, mock_hass_config: None, broker: Broker, device: TasmotaDevice) -> AsyncIterator[Any]:
    """Home Assistant with its MQTT and Tasmota integrations on the broker."""
    entries = [
        common.MockConfigEntry(
            domain="mqtt",
            data={"broker": broker.host, "port": broker.port, "protocol": "5"},
            options={"birth_message": {}, "discovery": False},
            version=mqtt.CONFIG_ENTRY_VERSION,
            minor_version=mqtt.CONFIG_ENTRY_MINOR_VERSION,
        ),
        common.MockConfigEntry(domain="tasmota", data={"discovery_prefix": "tasmota/discovery"}),
    ]
    for entry in entries:
        entry.add_to_hass(hass)
        assert await hass.config_entries.async_setup(entry.entry_id)
    yield hass
    for entry in reversed(entries):
        await hass.config_entries.async_unload(entry.entry_id)


async def until_switch(hass: Any, fact: Callable[[str], bool]) -> None:
    """Return when the state of the switch is as wanted."""
    reached = asyncio.Event()

    @core.callback  # type: ignore[untyped-decorator]
    def look(*_: object) -> None:
        state = hass.states.get(SWITCH)
        if state is not None and fact(state.state):
            reached.set()

    unsubscribe = hass.bus.async_listen("state_changed", look)
    look()
    async with asyncio.timeout(20):
        await reached.wait()
    unsubscribe()


async def test_its_switch_is_shown_and_switches_it(home: Any, device: TasmotaDevice) -> None:
    await until_switch(home, lambda state: state == "off")

    await home.services.async_call("switch", "turn_on", {"entity_id": SWITCH}, blocking=True)

    await device.wait_for(lambda d: d.power == ["ON"])
    await until_switch(home, lambda state: state == "on")


async def test_its_device_has_the_mac_and_the_version(home: Any, device: TasmotaDevice) -> None:
    await until_switch(home, lambda state: state == "off")

    [found] = registry.async_get(home).devices

    assert found.connections == {("mac", "8c:aa:b5:a1:b2:c3")}
    assert (found.name, found.manufacturer, found.sw_version) == ("lamp", "Tasmota", "14.6.0")


async def test_its_switch_is_unavailable_while_the_device_is_gone(home: Any, device: TasmotaDevice) -> None:
    await until_switch(home, lambda state: state == "off")

    await device.cut_power()

    await until_switch(home, lambda state: state == "unavailable")
