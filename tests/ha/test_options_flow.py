"""The owner's settings: asked, checked, and applied in place."""

from datetime import time, timedelta
from typing import Any

import pytest
from homeassistant.data_entry_flow import FlowResultType

from custom_components.firmware_hub.config_values import feeds_from_entry, serving_address, settings_from_entry
from custom_components.firmware_hub.const import CONF_ANY_TIME, CONF_PAUSED
from tests.ha.home import NOWHERE, Home, until, zone_where_it_is

GIVEN: dict[str, Any] = {
    "window_start": "01:30:00",
    "window_end": "04:00:00",
    "weekdays": ["mon", "sun"],
    "parallel_installs": 7.0,
    "settle_minutes": 30.0,
    "any_time": [],
    "public_sources": {"tasmota_enabled": False, "tasmota_mirror": NOWHERE},
    "serving": {"address": "192.168.1.2", "port": 8127.0},
}


async def answered(home: Home, **changes: Any) -> Any:
    """Open the options and answer them."""
    form = await home.hass.config_entries.options.async_init(home.entry.entry_id)
    assert (form["type"], form["step_id"]) == (FlowResultType.FORM, "init")
    done = await home.hass.config_entries.options.async_configure(form["flow_id"], GIVEN | changes)
    await home.hass.async_block_till_done()
    return done


async def test_the_answers_become_settings_and_feeds(home: Home) -> None:
    assert (await answered(home))["type"] is FlowResultType.CREATE_ENTRY
    settings = settings_from_entry(home.hass, home.entry)
    assert (settings.window_start, settings.window_end) == (time(1, 30), time(4))
    assert settings.weekdays == {0, 6}
    assert settings.parallel_installs == 7
    assert settings.pilot_settle == timedelta(minutes=30)
    tasmota, *_others, acme = feeds_from_entry(home.entry)
    assert (tasmota.enabled, tasmota.url) == (False, NOWHERE)
    assert (acme.id, acme.title, acme.vendor) == ("feed1", "Acme feed", "Acme")
    assert serving_address(home.entry) == ("192.168.1.2", 8127)


async def test_they_are_applied_without_a_reload(home: Home) -> None:
    before = home.hub
    opens = home.hub.hub_view().next_opening
    await answered(home, weekdays=["mon", "tue", "wed", "thu", "fri", "sat", "sun"])
    await until(lambda: home.hub.hub_view().next_opening != opens)
    assert home.hub is before


async def test_the_defaults_are_those_of_the_core(home: Home) -> None:
    home.hass.config_entries.async_update_entry(home.entry, options={})
    settings = settings_from_entry(home.hass, home.entry)
    assert (settings.window_start, settings.window_end) == (time(0), time(5))
    assert settings.parallel_installs == 3
    assert settings.weekdays == frozenset(range(7))
    assert feeds_from_entry(home.entry)[0].url.startswith("https://api.github.com/")
    assert serving_address(home.entry) == ("", 0)


async def test_the_time_zone_is_home_assistants_and_follows_it(home: Home) -> None:
    await home.hass.config.async_update(time_zone=zone_where_it_is(3))
    await home.hass.async_block_till_done()
    await until(lambda: home.hub.hub_view().window_open)


async def test_the_pause_stays_as_it_was(home: Home) -> None:
    await home.call("switch.turn_on", entity_id="switch.firmware_hub_updates_paused")
    await answered(home)
    assert home.entry.options[CONF_PAUSED] is True


async def test_devices_for_any_time_are_chosen_by_entity_and_kept_by_identity(home: Home) -> None:
    entity_id = await home.find()
    await answered(home, any_time=[entity_id])
    assert home.entry.options[CONF_ANY_TIME] == ["open:plug-1"]
    form = await home.hass.config_entries.options.async_init(home.entry.entry_id)
    assert form["data_schema"] is not None
    (shown,) = [key.default() for key in form["data_schema"].schema if key == CONF_ANY_TIME]
    assert shown == [entity_id]


async def test_a_chosen_device_that_is_not_there_just_now_stays_chosen(home: Home) -> None:
    home.hass.config_entries.async_update_entry(home.entry, options={CONF_ANY_TIME: ["open:away"]})
    await answered(home)
    assert home.entry.options[CONF_ANY_TIME] == ["open:away"]


async def test_an_entity_of_somebody_else_is_not_taken(home: Home) -> None:
    await answered(home, any_time=["update.somebody_else"])
    assert home.entry.options[CONF_ANY_TIME] == []


async def test_any_time_lets_a_device_start_by_day(home: Home) -> None:
    await home.publish("1.1.0")
    entity_id = await home.offered()
    await home.say("plug-1", "availability", "online")
    await home.call("update.install", entity_id=entity_id)
    await answered(home, any_time=[entity_id], serving={"address": "127.0.0.1", "port": 0})
    await until(lambda: home.state(entity_id).attributes["in_progress"])


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ({"weekdays": []}, {"weekdays": "no_weekday"}),
        ({"serving": {"address": "my-server", "port": 0}}, {"serving": "not_an_address"}),
        ({"serving": {"address": "0.0.0.0", "port": 0}}, {"serving": "not_an_address"}),
        ({"public_sources": {"tasmota_enabled": True, "tasmota_mirror": "mirror"}}, {"public_sources": "not_a_url"}),
        (
            {"public_sources": {"tasmota_enabled": True, "tasmota_mirror": "http://example.org/"}},
            {"public_sources": "insecure_url"},
        ),
    ],
)
async def test_a_wrong_answer_is_explained_and_can_be_corrected(
    home: Home, changes: dict[str, Any], errors: dict[str, str]
) -> None:
    form = await answered(home, **changes)
    assert (form["type"], form["errors"]) == (FlowResultType.FORM, errors)
    done = await home.hass.config_entries.options.async_configure(form["flow_id"], GIVEN)
    assert done["type"] is FlowResultType.CREATE_ENTRY


async def test_no_mirror_and_no_address_are_right_answers(home: Home) -> None:
    changes = {"public_sources": {"tasmota_enabled": True}, "serving": {"port": 0}}
    assert (await answered(home, **changes))["type"] is FlowResultType.CREATE_ENTRY
    assert feeds_from_entry(home.entry)[0].url.startswith("https://api.github.com/")
