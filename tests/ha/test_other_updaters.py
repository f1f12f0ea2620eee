"""Update entities that Home Assistant's own integrations show for the same device: their owner is asked about them."""

from collections.abc import Callable, Iterator
from typing import Any, override

import pytest
from homeassistant.config_entries import ConfigFlow, ConfigFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er, issue_registry as ir
from homeassistant.helpers.service_info.mqtt import MqttServiceInfo
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    MockModule,
    async_fire_mqtt_message,
    mock_config_flow,
    mock_integration,
    mock_platform,
)

from custom_components.firmware_hub import other_updaters
from custom_components.firmware_hub.core.effects import IssueKind
from tests.dialects.talk import fixture
from tests.ha.home import Home, until

SHELLY = "A8032ABE1234"
NODE = "8CAAB5E0F1A2"
GEN1 = "8CAAB5B929CC"


class Flow(ConfigFlow):
    """What Home Assistant starts when a node says on the broker that it is there."""

    @override
    async def async_step_mqtt(self, discovery_info: MqttServiceInfo) -> ConfigFlowResult:
        return self.async_abort(reason="mqtt_missing_api")


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look again sooner than after some seconds."""
    monkeypatch.setattr(other_updaters, "_PAUSE", 0.01)


@pytest.fixture(autouse=True)
def esphome(hass: HomeAssistant) -> Iterator[None]:
    """Home Assistant's integration without voice assistants and all that they need."""
    mock_integration(hass, MockModule("esphome"))
    mock_platform(hass, "esphome.config_flow", None)
    with mock_config_flow("esphome", Flow):
        yield


def colons(mac: str) -> str:
    return ":".join(mac[start : start + 2] for start in range(0, 12, 2))


def shelly_device(home: Home, mac: str) -> dr.DeviceEntry:
    """Register a device as Home Assistant's Shelly integration does."""
    theirs = MockConfigEntry(domain="shelly", title="Kitchen", unique_id=mac)
    theirs.add_to_hass(home.hass)
    return dr.async_get(home.hass).async_get_or_create(
        config_entry_id=theirs.entry_id,
        connections={(dr.CONNECTION_NETWORK_MAC, dr.format_mac(mac))},
        identifiers={("shelly", mac)},
        manufacturer="Shelly",
        name="Kitchen",
    )


def esphome_device(home: Home, mac: str) -> dr.DeviceEntry:
    """Register a node as Home Assistant's ESPHome integration does."""
    theirs = MockConfigEntry(domain="esphome", title="Garage", unique_id=colons(mac).lower())
    theirs.add_to_hass(home.hass)
    return dr.async_get(home.hass).async_get_or_create(
        config_entry_id=theirs.entry_id,
        connections={(dr.CONNECTION_NETWORK_MAC, colons(mac))},
        manufacturer="acme",
        name="Garage",
    )


def entity(home: Home, device: dr.DeviceEntry, platform: str, unique_id: str, **more: Any) -> str:
    """Register an update entity of another integration on a device."""
    owner = home.hass.config_entries.async_get_entry(device.config_entry_id)
    registry = er.async_get(home.hass)
    found = registry.async_get_or_create("update", platform, unique_id, config_entry=owner, device_id=device.id, **more)
    return found.entity_id


def shelly_entity(home: Home) -> str:
    return entity(home, shelly_device(home, SHELLY), "shelly", f"{SHELLY}-sys-fwupdate")


def gen1_entity(home: Home) -> str:
    return entity(home, shelly_device(home, GEN1), "shelly", f"{GEN1}-fwupdate")


def esphome_entity(home: Home) -> str:
    return entity(home, esphome_device(home, NODE), "esphome", f"{colons(NODE)}-update-firmware")


def dashboard_entity(home: Home) -> str:
    return entity(home, esphome_device(home, NODE), "esphome", colons(NODE))


async def listen(home: Home, family: str, name: str, device_id: str) -> None:
    """Let a device say what it says in a fixture, until the hub knows it."""
    for told in fixture(family, name):
        async_fire_mqtt_message(home.hass, told.topic, told.payload, 0, told.retained)
    await until(lambda: home.entity_id(device_id) is not None)


CASES = [
    pytest.param(shelly_entity, ("shelly", "plus_1-1.3.3", f"mac:{SHELLY}"), id="shelly"),
    pytest.param(gen1_entity, ("shelly_gen1", "shelly_1-1.11.8", f"mac:{GEN1}"), id="shelly of the first generation"),
    pytest.param(esphome_entity, ("esphome", "acme_garage-1.2.0", f"mac:{NODE}"), id="esphome"),
    pytest.param(dashboard_entity, ("esphome", "acme_garage-1.2.0", f"mac:{NODE}"), id="esphome builder"),
]


@pytest.mark.parametrize("ours_first", [True, False], ids=["ours first", "theirs first"])
@pytest.mark.parametrize(("register", "device"), CASES)
async def test_the_owner_is_asked_about_the_other_entity_and_may_disable_it(
    home: Home, register: Callable[[Home], str], device: tuple[str, str, str], ours_first: bool
) -> None:
    if ours_first:
        await listen(home, *device)
    theirs = register(home)
    if not ours_first:
        await listen(home, *device)
    await until(lambda: asked_about(home, theirs))
    integration = registered(home, theirs).platform
    assert asked_about(home, theirs) == (integration, "1", theirs)
    other_updaters.disable_others(home.hass, home.entry, integration)
    assert registered(home, theirs).disabled_by is er.RegistryEntryDisabler.USER
    await until(lambda: asked_about(home, theirs) is None)


async def test_ours_sits_on_the_device_of_the_other_integration(home: Home) -> None:
    theirs = shelly_entity(home)
    await listen(home, "shelly", "plus_1-1.3.3", f"mac:{SHELLY}")
    ours = home.entity_id(f"mac:{SHELLY}")
    assert ours is not None
    assert registered(home, ours).device_id == registered(home, theirs).device_id


async def test_one_that_updates_another_part_of_the_device_is_left_alone(home: Home) -> None:
    device = shelly_device(home, SHELLY)
    add_on = entity(home, device, "shelly", f"{SHELLY}-lora:100-loraupdate")
    theirs = entity(home, device, "shelly", f"{SHELLY}-sys-fwupdate")
    await listen(home, "shelly", "plus_1-1.3.3", f"mac:{SHELLY}")
    await until(lambda: asked_about(home, theirs))
    assert asked_about(home, add_on) is None
    other_updaters.disable_others(home.hass, home.entry, "shelly")
    assert registered(home, add_on).disabled_by is None


async def test_one_that_its_integration_itself_left_disabled_is_no_matter(home: Home) -> None:
    device = shelly_device(home, SHELLY)
    beta = entity(
        home,
        device,
        "shelly",
        f"{SHELLY}-sys-fwupdate_beta",
        disabled_by=er.RegistryEntryDisabler.INTEGRATION,
    )
    await listen(home, "shelly", "plus_1-1.3.3", f"mac:{SHELLY}")
    theirs = esphome_entity(home)
    await listen(home, "esphome", "acme_garage-1.2.0", f"mac:{NODE}")
    await until(lambda: asked_about(home, theirs))
    assert asked_about(home, beta) is None
    er.async_get(home.hass).async_update_entity(beta, disabled_by=None)
    await until(lambda: asked_about(home, beta))


def asked_about(home: Home, entity_id: str) -> tuple[str, str, str] | None:
    """Return integration, count and entities of the repair that names an entity."""
    for issue in ir.async_get(home.hass).issues.values():
        named = issue.translation_placeholders or {}
        if (
            issue.active
            and issue.translation_key == IssueKind.OTHER_UPDATER
            and entity_id in named["detail"].split(", ")
        ):
            return named["integration"], named["count"], named["detail"]
    return None


def registered(home: Home, entity_id: str) -> er.RegistryEntry:
    found = er.async_get(home.hass).async_get(entity_id)
    assert found is not None
    return found
