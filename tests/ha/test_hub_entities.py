"""The hub's own entities: numbers, events, the pause, the check."""

from unittest.mock import patch

import pytest
from homeassistant.const import Platform
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import Unauthorized
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import MockUser, async_capture_events

from custom_components.firmware_hub import sensor
from custom_components.firmware_hub.const import CONF_PAUSED, EVENT_LIFECYCLE
from custom_components.firmware_hub.core.effects import Announce, LifecycleKind
from custom_components.firmware_hub.core.model import InstallState
from tests.ha.home import Home, until

PAUSED = "switch.firmware_hub_updates_paused"
CHECK = "button.firmware_hub_check_for_updates"
EVENTS = "event.firmware_hub_events"


# --- numbers ---------------------------------------------------------------------------------------------------------


async def test_the_hub_counts_devices_offers_and_approvals(home: Home) -> None:
    await home.publish("1.1.0")
    first, _ = await home.offered("plug-1"), await home.offered("plug-2")
    await home.find("plug-3", model="OTHER")
    await home.call("update.install", entity_id=first)
    await until(lambda: home.state("sensor.firmware_hub_updates_waiting").state == "1")
    assert home.state("sensor.firmware_hub_devices").state == "3"
    assert home.state("sensor.firmware_hub_updates_offered").state == "2"
    assert home.state("sensor.firmware_hub_updates_running").state == "0"


async def test_the_next_window_is_a_moment(home: Home) -> None:
    opens = dt_util.parse_datetime(home.state("sensor.firmware_hub_next_quiet_hours").state)
    assert opens is not None
    local = dt_util.as_local(opens)
    assert (local.hour, local.minute) == (0, 0)
    assert opens > dt_util.utcnow()


# --- the state of each device ----------------------------------------------------------------------------------------


async def test_the_state_sensor_says_where_it_stands_and_why(home: Home) -> None:
    await home.publish("1.1.0")
    entity_id = await home.offered()
    sensor_id = home.entity_id("open:plug-1", "install_state", Platform.SENSOR) or ""
    assert home.state(sensor_id).state == "awaiting_approval"
    await home.call("update.install", entity_id=entity_id)
    await until(lambda: home.state(sensor_id).state == "approved")
    assert home.state(sensor_id).attributes["reason"] == "waits_for_window"
    assert home.state(sensor_id).attributes["reason_text"] == "It waits for the quiet hours."


async def test_the_state_sensor_is_idle_without_an_offer(home: Home) -> None:
    await home.find()
    sensor_id = home.entity_id("open:plug-1", "install_state", Platform.SENSOR) or ""
    assert home.state(sensor_id).state == "idle"


async def test_every_state_is_an_option(home: Home) -> None:
    await home.find()
    sensor_id = home.entity_id("open:plug-1", "install_state", Platform.SENSOR) or ""
    assert set(home.state(sensor_id).attributes["options"]) == {"idle", *InstallState}


async def test_in_a_large_fleet_details_are_switched_off(home: Home) -> None:
    with patch.object(sensor, "DETAILS_OFF_FROM", 2):
        await home.find("plug-1")
        await home.find("plug-2")
    registry = er.async_get(home.hass)
    first, second = (
        registry.async_get(home.entity_id(f"open:{name}", "install_state", Platform.SENSOR) or "")
        for name in ("plug-1", "plug-2")
    )
    assert first is not None
    assert second is not None
    assert first.disabled_by is None
    assert second.disabled_by is er.RegistryEntryDisabler.INTEGRATION


# --- events ----------------------------------------------------------------------------------------------------------


async def test_what_happens_is_told_by_the_entity_and_on_the_bus(home: Home) -> None:
    events = async_capture_events(home.hass, EVENT_LIFECYCLE)
    await home.publish("1.1.0")
    entity_id = await home.offered("plug-1")
    await until(lambda: any(event.data["type"] == "device_found" for event in events))
    await home.call("update.install", entity_id=entity_id)
    await until(lambda: any(event.data["type"] == "approved" for event in events))
    approved = next(event.data for event in events if event.data["type"] == "approved")
    assert approved["update_entity_id"] == entity_id
    assert approved["device_id"] == home.device_of(entity_id).id
    assert approved["hub_device_id"] == "open:plug-1"
    assert approved["name"] == "plug-1"
    assert approved["version"] == "1.1.0"
    assert approved["by"] == "automation"
    state = home.state(EVENTS)
    assert state.attributes["event_type"] == "approved"
    assert state.attributes["version"] == "1.1.0"


async def test_texts_of_devices_are_harmless_in_events(home: Home) -> None:
    events = async_capture_events(home.hass, EVENT_LIFECYCLE)
    values: dict[str, str | int | bool | None] = {"name": "[click](http://x.example) <img src=x>", "devices": 3}
    for listener in tuple(home.hub._lifecycle_listeners):
        listener(Announce(LifecycleKind.UPDATE_OFFERED, None, values))
    assert "](" not in events[0].data["name"]
    assert "<img" not in events[0].data["name"]
    assert events[0].data["devices"] == 3


async def test_every_kind_of_event_is_an_option_of_the_entity(home: Home) -> None:
    assert set(home.state(EVENTS).attributes["event_types"]) == set(LifecycleKind)


# --- the pause and the check -----------------------------------------------------------------------------------------


async def test_the_pause_is_an_option_that_takes_effect_without_a_reload(home: Home) -> None:
    before = home.hub
    await home.call("switch.turn_on", entity_id=PAUSED)
    await until(lambda: home.state(PAUSED).state == "on")
    assert home.entry.options[CONF_PAUSED] is True
    assert home.hub.hub_view().paused
    await home.call("switch.turn_off", entity_id=PAUSED)
    await until(lambda: home.state(PAUSED).state == "off")
    assert home.hub is before


async def test_the_pause_outlives_a_restart(home: Home) -> None:
    await home.call("switch.turn_on", entity_id=PAUSED)
    await home.hass.config_entries.async_reload(home.entry.entry_id)
    assert home.state(PAUSED).state == "on"


async def test_a_paused_hub_says_so_on_the_device(home: Home) -> None:
    await home.publish("1.1.0")
    entity_id = await home.offered()
    await home.call("switch.turn_on", entity_id=PAUSED)
    await home.call("update.install", entity_id=entity_id)
    await until(lambda: home.state(entity_id).attributes["reason"] == "paused")
    assert home.state(entity_id).attributes["title"] == "Approved: updates are paused · Acme PLUG-S1"


async def test_the_button_asks_the_vendor(home: Home) -> None:
    await until(lambda: home.hub.hub.feeds.states["feed1"].fetching_since is None)
    before = len(home.vendor.requests)
    await home.call("button.press", entity_id=CHECK)
    await until(lambda: len(home.vendor.requests) > before)


@pytest.mark.parametrize(
    ("service", "entity_id"),
    [("switch.turn_on", PAUSED), ("switch.turn_off", PAUSED), ("switch.toggle", PAUSED), ("button.press", CHECK)],
)
async def test_who_is_no_administrator_can_neither_pause_nor_check(
    home: Home, hass_read_only_user: MockUser, hass: HomeAssistant, service: str, entity_id: str
) -> None:
    hass_read_only_user.mock_policy({"entities": True})
    await until(lambda: home.hub.hub.feeds.states["feed1"].fetching_since is None)
    before = len(home.vendor.requests)
    with pytest.raises(Unauthorized):
        await home.call(service, Context(user_id=hass_read_only_user.id), entity_id=entity_id)
    await hass.async_block_till_done()
    assert home.entry.options.get(CONF_PAUSED, False) is False
    assert len(home.vendor.requests) == before


async def test_a_user_who_does_not_exist_may_nothing(home: Home) -> None:
    with pytest.raises(Unauthorized):
        await home.call("button.press", Context(user_id="nobody"), entity_id=CHECK)


async def test_an_administrator_is_named_in_the_record(home: Home, hass_admin_user: MockUser) -> None:
    await home.call("button.press", Context(user_id=hass_admin_user.id), entity_id=CHECK)
    rows = await home.hub.store.async_history(limit=10)
    assert {"by": hass_admin_user.id} in [row["values"] for row in rows if row["kind"] == "check_requested"]
