"""What a person may attach to a bug report, and the system information."""

import json
from datetime import timedelta
from typing import Any

from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import get_system_health_info
from pytest_homeassistant_custom_component.components.diagnostics import get_diagnostics_for_config_entry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.firmware_hub.const import CONF_SERVING, DOMAIN
from custom_components.firmware_hub.diagnostics import _json
from tests.ha.home import MAC, Home, fire_tasmota, spoil, tasmota_config, until

INFO = {"protocol": 1, "manufacturer": "Acme", "model": "PLUG-S1", "version": "1.0.0"}


async def diagnostics(home: Home, hass_client: ClientSessionGenerator) -> Any:
    """Download the diagnostics as a browser does."""
    return await get_diagnostics_for_config_entry(home.hass, hass_client, home.entry)


async def test_they_tell_what_helps(home: Home, hass_client: ClientSessionGenerator) -> None:
    await home.publish("1.1.0")
    entity_id = await home.offered()
    await home.call("update.install", entity_id=entity_id)
    found = await diagnostics(home, hass_client)
    (device,) = found["devices"]
    assert device["offer"]["version"] == "1.1.0"
    assert device["install"]["version"] == "1.1.0"
    assert device["install"]["state"] in {"approved", "deferred"}
    assert device["last"] is None
    assert found["hub"]["devices"] == 1
    assert found["options"][CONF_SERVING]["port"]
    assert found["record"]["newest"][0]["kind"] == "approved"
    assert found["devices_left_out"] == 0


async def test_they_tell_no_secret(home: Home, hass_client: ClientSessionGenerator) -> None:
    await fire_tasmota(home.hass, tasmota_config())
    await until(lambda: home.hub.hub_view().devices == 1)
    await home.find("plug-1")
    await home.say("plug-1", "info", {**INFO, "name": "Bedroom of Eve"})
    await until(lambda: "Bedroom of Eve" in str(home.hub.device_view("open:plug-1")))
    text = json.dumps(await diagnostics(home, hass_client))
    assert MAC not in text
    assert "8CAAB5" in text
    assert "Bedroom of Eve" not in text
    assert "Boiler" not in text
    assert "tasmota_A1B2C3" not in text
    assert home.vendor.public_jwk not in text


async def test_addresses_lose_their_queries_and_passwords() -> None:
    assert _json("see https://me:secret@acme.example:1234/feed?token=secret#x") == "see https://acme.example/feed"


async def test_hardware_addresses_keep_their_maker_only() -> None:
    assert _json({"mac:8C:AA:B5:A1:B2:C3": ["ieee:0x000d6f0000000002"]}) == {
        "mac:8C:AA:B5**REDACTED**": ["ieee:0x000d6f**REDACTED**"]
    }


async def test_lengths_of_time_are_seconds() -> None:
    assert _json({"wait": timedelta(minutes=1), "none": None}) == {"wait": 60.0, "none": None}


async def test_a_digest_stays_whole() -> None:
    assert _json("a" * 64) == "a" * 64


async def test_a_record_that_cannot_be_read_does_not_hide_the_rest(
    home: Home, hass_client: ClientSessionGenerator
) -> None:
    await spoil(home)
    found = await diagnostics(home, hass_client)
    assert found["record"] == {"unreadable": "disk_failed"}
    assert found["hub"]["connected"] is True


async def test_system_information(home: Home) -> None:
    assert await async_setup_component(home.hass, "system_health", {})
    await home.publish("1.1.0")
    await home.offered()
    info = await get_system_health_info(home.hass, DOMAIN)
    assert info["hubs"] == 1
    assert info["devices"] == 1
    assert info["offers"] == 1
    assert info["broker_connected"] is True
    assert info["active_feeds"] == 1
    assert info["failing_feeds"] == 0
    assert info["oldest_feed"] is not None


async def test_system_information_without_a_hub(home: Home) -> None:
    assert await async_setup_component(home.hass, "system_health", {})
    await home.hass.config_entries.async_unload(home.entry.entry_id)
    info = await get_system_health_info(home.hass, DOMAIN)
    assert info["hubs"] == 0
    assert info["oldest_feed"] is None
