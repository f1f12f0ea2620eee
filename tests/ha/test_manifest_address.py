"""The address that belongs into a node which looks up by itself what to install, as its entity shows it."""

import asyncio
import json
from collections.abc import Iterator

import pytest
from homeassistant.core import HomeAssistant, State
from pytest_homeassistant_custom_component.common import (
    MockModule,
    async_fire_mqtt_message,
    mock_config_flow,
    mock_integration,
    mock_platform,
)

from custom_components.firmware_hub.const import CONF_ADDRESS, CONF_SERVING
from tests.ha.home import Home, until
from tests.ha.test_other_updaters import Flow

NODE = {
    "ip": "127.0.0.1",
    "name": "garage",
    "version": "2026.10.0",
    "mac": "02000000ee01",
    "platform": "ESP32",
    "board": "esp32dev",
    "network": "wifi",
    "project_name": "Acme.GARAGE",
    "project_version": "1.0.0",
}
CONFIG = {
    "name": "Firmware",
    "pl_inst": "INSTALL",
    "stat_t": "garage/update/firmware/state",
    "cmd_t": "garage/update/firmware/command",
    "uniq_id": "02000000ee01-update-firmware",
    "dev": {"ids": "02000000ee01", "name": "garage"},
}


@pytest.fixture(autouse=True)
def _esphome(hass: HomeAssistant) -> Iterator[None]:
    """Home Assistant's integration without voice assistants and all that they need."""
    mock_integration(hass, MockModule("esphome"))
    mock_platform(hass, "esphome.config_flow", None)
    with mock_config_flow("esphome", Flow):
        yield


def switch_on(home: Home) -> None:
    """Let an ESPHome node announce itself."""
    async_fire_mqtt_message(home.hass, "esphome/discover/garage", json.dumps(NODE), 0, True)
    async_fire_mqtt_message(home.hass, "homeassistant/update/garage/firmware/config", json.dumps(CONFIG), 0, True)


def shown(home: Home) -> State | None:
    """Return the state of the node's entity, once it shows an address."""
    states = home.hass.states.async_all("update")
    return next((state for state in states if "manifest_address" in state.attributes), None)


async def test_a_node_shows_where_it_has_to_look(home: Home) -> None:
    switch_on(home)
    await until(lambda: shown(home))
    state = shown(home)
    assert state is not None
    assert state.attributes["manifest_address"].startswith("http://127.0.0.1:")


async def test_while_the_address_is_found_out_no_other_device_waits(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    find, found = home.hub.async_device_address, asyncio.Event()

    async def slow(device_id: str) -> str:
        await found.wait()
        return await find(device_id)

    monkeypatch.setattr(home.hub, "async_device_address", slow)
    switch_on(home)
    entity_id = await home.find()
    await home.announce("plug-1", retain=False, version="1.0.1")
    found.set()
    await until(lambda: shown(home))
    assert home.state(entity_id).attributes["installed_version"] == "1.0.1"


async def test_it_shows_another_address_when_the_owner_gives_the_hub_another_one(home: Home) -> None:
    switch_on(home)
    await until(lambda: shown(home))
    serving = {**home.entry.options[CONF_SERVING], CONF_ADDRESS: "127.0.0.2"}
    home.hass.config_entries.async_update_entry(home.entry, options={**home.entry.options, CONF_SERVING: serving})
    await until(lambda: (now := shown(home)) and "//127.0.0.2:" in now.attributes["manifest_address"])
