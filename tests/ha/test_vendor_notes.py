"""What a device says itself of the release that its vendor offers it, as people read it."""

import json

from pytest_homeassistant_custom_component.common import async_fire_mqtt_message

from tests.ha.home import Home, until

CONFIG = {
    "uniq_id": "lamp-fw",
    "stat_t": "lamp/state",
    "cmd_t": "lamp/install",
    "pl_inst": "GO",
    "dev": {"ids": ["lamp"], "name": "Lamp", "mf": "Acme", "mdl": "L1"},
}
STATE = {
    "installed_version": "1.2.0",
    "latest_version": "1.3.0",
    "release_url": "https://acme.example/1.3.0",
    "release_summary": "Opens <b>faster</b> ![x](https://acme.example/x.png)",
}


async def test_notes_of_a_devices_own_offer_are_shown_and_harmless(home: Home) -> None:
    async_fire_mqtt_message(home.hass, "homeassistant/update/lamp/config", json.dumps(CONFIG), 0, True)
    await until(lambda: home.entity_id("ha_update:lamp") is not None)
    await until(lambda: home.hass.data["mqtt"].client.is_active_subscription("lamp/state"))
    async_fire_mqtt_message(home.hass, "lamp/state", json.dumps(STATE), 0, True)
    entity_id = home.entity_id("ha_update:lamp")
    assert entity_id is not None
    await until(lambda: (found := home.hass.states.get(entity_id)) is not None and found.state == "on")
    shown = home.state(entity_id).attributes
    assert shown["release_url"] == "https://acme.example/1.3.0"
    assert shown["release_summary"].startswith("Opens <\u200bb>faster")
    assert "![" not in shown["release_summary"]
