"""Whose device our entities sit on: Tasmota's, MQTT discovery's, or ours; in both orders, through every change."""

from datetime import timedelta
from unittest.mock import MagicMock

import pytest
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed
from pytest_homeassistant_custom_component.typing import WebSocketGenerator

from custom_components.firmware_hub.const import DOMAIN
from custom_components.firmware_hub.core.inputs import ForgetRequested
from custom_components.firmware_hub.core.model import Device
from custom_components.firmware_hub.device_link import link_keys
from tests.ha.home import MAC, Home, discovered, fire_mqtt_discovery, fire_tasmota, tasmota_config, until

HUB_ID = f"mac:{MAC}"


async def add_tasmota(hass: HomeAssistant) -> MockConfigEntry:
    """Set up Home Assistant's own Tasmota integration."""
    entry = MockConfigEntry(domain="tasmota", data={"discovery_prefix": "tasmota/discovery"})
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    return entry


def tasmota_device(hass: HomeAssistant, tasmota: MockConfigEntry) -> dr.DeviceEntry | None:
    """Return the plug as Tasmota registered it."""
    return dr.async_get(hass).async_get_device_by_connection(
        (dr.CONNECTION_NETWORK_MAC, dr.format_mac(MAC)), tasmota.entry_id
    )


def own_device(home: Home, device_id: str = HUB_ID) -> dr.DeviceEntry | None:
    """Return the device that the hub made itself."""
    return dr.async_get(home.hass).async_get_device_by_identifier((DOMAIN, device_id), home.entry.entry_id)


async def found(home: Home, device_id: str = HUB_ID) -> str:
    """Wait for the update entity."""
    await until(lambda: home.entity_id(device_id) is not None)
    await home.hass.async_block_till_done()
    entity_id = home.entity_id(device_id)
    assert entity_id is not None
    return entity_id


def owner(home: Home, entity_id: str) -> str:
    """Return whose device an entity sits on."""
    entry = home.hass.config_entries.async_get_entry(home.device_of(entity_id).config_entry_id)
    assert entry is not None
    return entry.domain


# --- Tasmota ---------------------------------------------------------------------------------------------------------


async def test_theirs_first(hass: HomeAssistant, mqtt_mock: MagicMock, home: Home) -> None:
    tasmota = await add_tasmota(hass)
    await hass.config_entries.async_unload(home.entry.entry_id)
    await fire_tasmota(hass, tasmota_config())
    theirs = tasmota_device(hass, tasmota)
    assert theirs is not None
    await home.set_up()
    await fire_tasmota(hass, tasmota_config())
    entity_id = await found(home)
    assert home.device_of(entity_id).id == theirs.id
    assert entity_id == "update.boiler_firmware"
    assert own_device(home) is None


async def test_ours_first(hass: HomeAssistant, home: Home) -> None:
    await fire_tasmota(hass, tasmota_config())
    entity_id = await found(home)
    assert owner(home, entity_id) == DOMAIN
    await add_tasmota(hass)
    await fire_tasmota(hass, tasmota_config())
    await hass.async_block_till_done()
    assert owner(home, entity_id) == "tasmota"
    assert own_device(home) is None


async def test_the_sensor_moves_along(hass: HomeAssistant, home: Home) -> None:
    await fire_tasmota(hass, tasmota_config())
    entity_id = await found(home)
    await add_tasmota(hass)
    await fire_tasmota(hass, tasmota_config())
    sensor = home.entity_id(HUB_ID, "install_state", Platform.SENSOR)
    assert sensor is not None
    assert home.device_of(sensor).id == home.device_of(entity_id).id


async def test_both_hear_of_it_at_once(hass: HomeAssistant, home: Home) -> None:
    await add_tasmota(hass)
    await fire_tasmota(hass, tasmota_config())
    assert owner(home, await found(home)) == "tasmota"
    assert own_device(home) is None


async def test_a_cleared_discovery_moves_us_to_a_device_of_our_own(hass: HomeAssistant, home: Home) -> None:
    tasmota = await add_tasmota(hass)
    await fire_tasmota(hass, tasmota_config())
    entity_id = await found(home)
    await fire_tasmota(hass, "")
    await hass.async_block_till_done()
    assert tasmota_device(hass, tasmota) is None
    assert owner(home, entity_id) == DOMAIN
    assert home.state(entity_id).state == "off"


async def test_a_device_that_was_deleted_and_comes_again_gets_us_back(hass: HomeAssistant, home: Home) -> None:
    tasmota = await add_tasmota(hass)
    await fire_tasmota(hass, tasmota_config())
    entity_id = await found(home)
    theirs = tasmota_device(hass, tasmota)
    assert theirs is not None
    dr.async_get(hass).async_remove_device(theirs.id)
    await hass.async_block_till_done()
    assert owner(home, entity_id) == DOMAIN
    await fire_tasmota(hass, "")
    await fire_tasmota(hass, tasmota_config())
    await hass.async_block_till_done()
    assert owner(home, entity_id) == "tasmota"
    assert own_device(home) is None


async def test_a_disabled_device_takes_us_along_and_brings_us_back(hass: HomeAssistant, home: Home) -> None:
    tasmota = await add_tasmota(hass)
    await fire_tasmota(hass, tasmota_config())
    entity_id = await found(home)
    theirs = tasmota_device(hass, tasmota)
    assert theirs is not None
    registry = dr.async_get(hass)
    registry.async_update_device(theirs.id, disabled_by=dr.DeviceEntryDisabler.USER)
    await hass.async_block_till_done()
    assert hass.states.get(entity_id) is None
    registry.async_update_device(theirs.id, disabled_by=None)
    await hass.async_block_till_done()
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=31))
    await until(lambda: hass.states.get(entity_id) is not None)
    assert owner(home, entity_id) == "tasmota"
    assert home.state(entity_id).attributes["hub_device_id"] == HUB_ID


async def test_a_device_that_is_found_disabled_disables_us(hass: HomeAssistant, home: Home) -> None:
    tasmota = await add_tasmota(hass)
    await hass.config_entries.async_unload(home.entry.entry_id)
    await fire_tasmota(hass, tasmota_config())
    theirs = tasmota_device(hass, tasmota)
    assert theirs is not None
    dr.async_get(hass).async_update_device(theirs.id, disabled_by=dr.DeviceEntryDisabler.USER)
    await home.set_up()
    await fire_tasmota(hass, tasmota_config())
    entity = er.async_get(hass).async_get(await found(home))
    assert entity is not None
    assert entity.disabled_by is er.RegistryEntryDisabler.DEVICE


async def test_moving_off_a_disabled_device_enables_us(hass: HomeAssistant, home: Home) -> None:
    tasmota = await add_tasmota(hass)
    await fire_tasmota(hass, tasmota_config())
    entity_id = await found(home)
    theirs = tasmota_device(hass, tasmota)
    assert theirs is not None
    dr.async_get(hass).async_update_device(theirs.id, disabled_by=dr.DeviceEntryDisabler.USER)
    dr.async_get(hass).async_remove_device(theirs.id)
    await hass.async_block_till_done()
    entity = er.async_get(hass).async_get(entity_id)
    assert entity is not None
    assert entity.disabled_by is None


async def test_a_router_that_knows_the_address_is_no_home_for_us(hass: HomeAssistant, home: Home) -> None:
    router = MockConfigEntry(domain="fritz")
    router.add_to_hass(hass)
    dr.async_get(hass).async_get_or_create(
        config_entry_id=router.entry_id, connections={(dr.CONNECTION_NETWORK_MAC, dr.format_mac(MAC))}
    )
    await fire_tasmota(hass, tasmota_config())
    assert owner(home, await found(home)) == DOMAIN


async def test_after_a_restart_we_are_still_there(hass: HomeAssistant, home: Home) -> None:
    await add_tasmota(hass)
    await fire_tasmota(hass, tasmota_config())
    entity_id = await found(home)
    await hass.config_entries.async_reload(home.entry.entry_id)
    await until(lambda: hass.states.get(entity_id) is not None)
    await hass.async_block_till_done()
    assert owner(home, entity_id) == "tasmota"
    await fire_tasmota(hass, "")
    await hass.async_block_till_done()
    assert owner(home, entity_id) == DOMAIN


# --- MQTT discovery --------------------------------------------------------------------------------------------------


async def test_mqtt_discovery_first(hass: HomeAssistant, home: Home) -> None:
    await fire_mqtt_discovery(hass, "switch", discovered("relay"))
    entity_id = await home.find("plug-1")
    assert owner(home, entity_id) == "mqtt"
    assert home.state(entity_id).name == "Plug in the hall Firmware"


async def test_mqtt_discovery_later(hass: HomeAssistant, home: Home) -> None:
    entity_id = await home.find("plug-1")
    await fire_mqtt_discovery(hass, "switch", discovered("relay"))
    await hass.async_block_till_done()
    assert owner(home, entity_id) == "mqtt"
    assert own_device(home, "open:plug-1") is None


async def test_mqtt_removes_its_device_when_its_discovery_is_cleared(hass: HomeAssistant, home: Home) -> None:
    await fire_mqtt_discovery(hass, "switch", discovered("relay"))
    entity_id = await home.find("plug-1")
    theirs = home.device_of(entity_id)
    await fire_mqtt_discovery(hass, "switch", None)
    await hass.async_block_till_done()
    assert dr.async_get(hass).async_get(theirs.id) is None
    assert owner(home, entity_id) == DOMAIN


async def test_we_stay_while_one_of_their_entities_is_left(hass: HomeAssistant, home: Home) -> None:
    await fire_mqtt_discovery(hass, "switch", discovered("relay"))
    await fire_mqtt_discovery(hass, "binary_sensor", discovered("motion"))
    entity_id = await home.find("plug-1")
    await fire_mqtt_discovery(hass, "switch", None)
    await hass.async_block_till_done()
    assert owner(home, entity_id) == "mqtt"
    await fire_mqtt_discovery(hass, "binary_sensor", None)
    await hass.async_block_till_done()
    assert owner(home, entity_id) == DOMAIN


async def test_an_entity_that_came_after_us_counts_as_well(hass: HomeAssistant, home: Home) -> None:
    await fire_mqtt_discovery(hass, "switch", discovered("relay"))
    entity_id = await home.find("plug-1")
    await fire_mqtt_discovery(hass, "binary_sensor", discovered("motion"))
    await fire_mqtt_discovery(hass, "switch", None)
    await hass.async_block_till_done()
    assert owner(home, entity_id) == "mqtt"
    await fire_mqtt_discovery(hass, "binary_sensor", None)
    await hass.async_block_till_done()
    assert owner(home, entity_id) == DOMAIN


async def test_discovery_that_comes_again_gets_us_back(hass: HomeAssistant, home: Home) -> None:
    await fire_mqtt_discovery(hass, "switch", discovered("relay"))
    entity_id = await home.find("plug-1")
    await fire_mqtt_discovery(hass, "switch", None)
    await hass.async_block_till_done()
    await fire_mqtt_discovery(hass, "switch", discovered("relay"))
    await hass.async_block_till_done()
    assert owner(home, entity_id) == "mqtt"
    assert own_device(home, "open:plug-1") is None


# --- removing --------------------------------------------------------------------------------------------------------


async def test_a_person_may_remove_a_device_of_ours(
    hass: HomeAssistant, home: Home, hass_ws_client: WebSocketGenerator
) -> None:
    entity_id = await home.find("plug-1")
    own = own_device(home, "open:plug-1")
    assert own is not None
    assert await async_setup_component(hass, "config", {})
    client = await hass_ws_client(hass)
    answer = await client.remove_device(own.id)
    assert answer["success"]
    await hass.async_block_till_done()
    assert own_device(home, "open:plug-1") is None
    assert er.async_get(hass).async_get(entity_id) is None
    assert home.hub.device_view("open:plug-1") is None


async def test_the_device_of_the_hub_itself_cannot_be_removed(
    hass: HomeAssistant, home: Home, hass_ws_client: WebSocketGenerator
) -> None:
    hub = own_device(home, home.entry.entry_id)
    assert hub is not None
    assert await async_setup_component(hass, "config", {})
    client = await hass_ws_client(hass)
    answer = await client.remove_device(hub.id)
    assert not answer["success"]


async def test_a_device_that_the_hub_forgets_leaves_nothing_on_a_foreign_device(
    hass: HomeAssistant, home: Home
) -> None:
    await fire_mqtt_discovery(hass, "switch", discovered("relay"))
    entity_id = await home.find("plug-1")
    theirs = home.device_of(entity_id)
    await home.hub.async_ask(ForgetRequested("open:plug-1", "test"))
    await until(lambda: er.async_get(hass).async_get(entity_id) is None)
    assert dr.async_get(hass).async_get(theirs.id) is not None


# --- the keys --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        (Device("mac:8CAAB5A1B2C3", "tasmota"), ("mac", "8c:aa:b5:a1:b2:c3")),
        (Device("mac:8CAAB5A1B2C3", "tasmota"), ("mqtt", "8CAAB5A1B2C3")),
        (Device("open:lamp", "open", mac="8CAAB5A1B2C3"), ("mac", "8c:aa:b5:a1:b2:c3")),
        (Device("open:lamp", "open"), ("mqtt", "lamp")),
        (Device("ieee:0x000d6f0000000002", "zigbee2mqtt"), ("mqtt", "zigbee2mqtt_0x000d6f0000000002")),
    ],
)
def test_the_names_under_which_others_know_a_device(device: Device, expected: tuple[str, str]) -> None:
    assert expected in link_keys(device)
