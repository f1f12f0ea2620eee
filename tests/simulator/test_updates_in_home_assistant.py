"""Home Assistant's own MQTT integration shows the updates of the simulated devices, and its Install button works."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from simulator.broker import Broker
from simulator.devices.esphome import EsphomeDevice
from simulator.devices.ha_update import HaUpdateDevice
from simulator.devices.loading import LoadingDevice
from simulator.devices.openmqttgateway import OpenMqttGatewayDevice
from simulator.families import FAMILIES
from simulator.link import OwnLink
from simulator.vendor import Vendor

common = pytest.importorskip("pytest_homeassistant_custom_component.common")
mqtt = pytest.importorskip("homeassistant.components.mqtt")
core = pytest.importorskip("homeassistant.core")
registry = pytest.importorskip("homeassistant.helpers.device_registry")

SHOWN: list[tuple[type[LoadingDevice], tuple[str, ...]]] = [
    (HaUpdateDevice, ()),
    (HaUpdateDevice, ("announces_whole",)),
    (HaUpdateDevice, ("says_only_versions",)),
    (EsphomeDevice, ()),
    (EsphomeDevice, ("speaks_elsewhere",)),
    (OpenMqttGatewayDevice, ()),
]

type SwitchOn = Callable[..., Awaitable[LoadingDevice]]


@pytest.fixture
def expected_lingering_timers() -> bool:
    """Home Assistant's own MQTT client leaves a timer behind when the test ends while it is connected."""
    return True


@pytest.fixture
async def home(
    hass: Any, mock_hass_config: None, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Any]:
    """Home Assistant with its MQTT integration and discovery on the broker."""

    async def no_other_integrations(_hass: Any) -> dict[str, list[str]]:
        # An ESPHome node's announcement would load that integration, whose libraries are not there.
        return {}

    monkeypatch.setattr("homeassistant.components.mqtt.discovery.async_get_mqtt", no_other_integrations)
    entry = common.MockConfigEntry(
        domain="mqtt",
        data={"broker": broker.host, "port": broker.port, "protocol": "5"},
        options={"birth_message": {}, "discovery": True},
        version=mqtt.CONFIG_ENTRY_VERSION,
        minor_version=mqtt.CONFIG_ENTRY_MINOR_VERSION,
    )
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    yield hass
    await hass.config_entries.async_unload(entry.entry_id)


@pytest.fixture
async def switch_on(broker: Broker, vendor: Vendor) -> AsyncIterator[SwitchOn]:
    """Switch on a device to which its vendor offers a new version."""
    made: list[LoadingDevice] = []

    async def switch_on(kind: type[LoadingDevice], *wrong: str) -> LoadingDevice:
        family = FAMILIES[kind.dialect]
        vendor.add_file("new.bin", replace(family.old, version=family.new).build("esp"))
        device = kind(
            name="thing",
            mac="02:00:5E:00:00:01",
            image=family.old,
            link=OwnLink(broker.host, broker.port),
            speed=1000,
            misbehaviours=wrong,
            offered=family.new,
            offered_url=vendor.plain_url("new.bin"),
        )
        made.append(device)
        await device.start()
        return device

    yield switch_on
    for device in made:
        await device.stop()


async def until_shown(hass: Any, fact: Callable[[Any], bool]) -> Any:
    """Return the state of the one update entity when it is as wanted."""
    reached = asyncio.Event()
    found: list[Any] = []

    @core.callback  # type: ignore[untyped-decorator]
    def look(*_: object) -> None:
        found[:] = [state for state in hass.states.async_all("update") if fact(state)]
        if found:
            reached.set()

    unsubscribe = hass.bus.async_listen("state_changed", look)
    look()
    async with asyncio.timeout(20):
        await reached.wait()
    unsubscribe()
    return found[0]


@pytest.mark.parametrize(("kind", "wrong"), SHOWN)
async def test_it_is_shown_with_both_versions(
    home: Any, switch_on: SwitchOn, kind: type[LoadingDevice], wrong: tuple[str, ...]
) -> None:
    device = await switch_on(kind, *wrong)
    shown = await until_shown(home, lambda state: state.state == "on")
    versions = [shown.attributes[name].removeprefix("v") for name in ("installed_version", "latest_version")]
    assert versions == [device.version, device.offered]
    assert len(registry.async_get(home).devices) == 1


@pytest.mark.parametrize(("kind", "wrong"), SHOWN)
async def test_home_assistants_own_button_installs_at_once(
    home: Any, switch_on: SwitchOn, kind: type[LoadingDevice], wrong: tuple[str, ...]
) -> None:
    device = await switch_on(kind, *wrong)
    entity_id = (await until_shown(home, lambda state: state.state == "on")).entity_id
    await home.services.async_call("update", "install", {"entity_id": entity_id}, blocking=True)
    await device.wait_for(lambda d: d.announced_boots == 2)
    shown = await until_shown(home, lambda state: state.state == "off")
    assert shown.attributes["installed_version"].removeprefix("v") == FAMILIES[kind.dialect].new == device.version
