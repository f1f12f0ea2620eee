"""The hub's actions: who may, whom they mean, what they answer."""

import pytest
import voluptuous as vol
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import ServiceValidationError, Unauthorized
from pytest_homeassistant_custom_component.common import MockUser

from custom_components.firmware_hub.const import DOMAIN
from tests.ha.home import Home, until

ACTIONS = ("approve", "install_now", "unapprove", "check", "plan", "history", "verify_package")


async def test_approve_answers_whom_it_approved_and_whom_not(home: Home) -> None:
    await home.publish("1.1.0")
    first, other = await home.offered("plug-1"), await home.find("plug-2", model="OTHER")
    answer = await home.act("approve", entity_id=[first, other])
    assert answer["accepted"] == [{"hub_device_id": "open:plug-1", "entity_id": first, "name": "plug-1"}]
    (refused,) = answer["refused"]
    assert (refused["entity_id"], refused["reason"]) == (other, "no_offer")
    assert refused["reason_text"] == "There is no update for this device."


async def test_approve_takes_devices_as_well_as_entities(home: Home) -> None:
    await home.publish("1.1.0")
    entity_id = await home.offered()
    answer = await home.act("approve", device_id=home.device_of(entity_id).id, entity_id=entity_id)
    assert len(answer["accepted"]) == 1


async def test_approve_pins_the_version_that_was_read(home: Home) -> None:
    await home.publish("1.1.0")
    entity_id = await home.offered()
    with pytest.raises(ServiceValidationError, match="is not what is offered now"):
        await home.act("approve", entity_id=entity_id, version="2.0.0")


async def test_if_all_is_refused_the_action_fails(home: Home) -> None:
    entity_id = await home.find()
    with pytest.raises(ServiceValidationError) as refused:
        await home.act("approve", entity_id=entity_id)
    assert refused.value.translation_key == "no_offer"


async def test_unapprove_takes_it_back(home: Home) -> None:
    await home.publish("1.1.0")
    entity_id = await home.offered()
    await home.act("approve", entity_id=entity_id)
    answer = await home.act("unapprove", entity_id=entity_id)
    assert len(answer["accepted"]) == 1
    await until(lambda: home.state(entity_id).attributes["install_state"] == "awaiting_approval")


async def test_unapprove_with_nothing_to_take_back_is_refused(home: Home) -> None:
    entity_id = await home.find()
    with pytest.raises(ServiceValidationError, match="nothing to take back"):
        await home.act("unapprove", entity_id=entity_id)


async def test_install_now_does_not_wait_for_the_night(home: Home) -> None:
    await home.publish("1.1.0")
    entity_id = await home.offered()
    await home.say("plug-1", "availability", "online")
    await home.act("install_now", entity_id=entity_id)
    await until(lambda: home.state(entity_id).attributes["in_progress"])


async def test_check_asks_every_hub(home: Home) -> None:
    await until(lambda: home.hub.hub.feeds.states["feed1"].fetching_since is None)
    before = len(home.vendor.requests)
    await home.act("check")
    await until(lambda: len(home.vendor.requests) > before)


async def test_check_of_one_hub(home: Home) -> None:
    await until(lambda: home.hub.hub.feeds.states["feed1"].fetching_since is None)
    before = len(home.vendor.requests)
    await home.act("check", config_entry_id=home.entry.entry_id)
    await until(lambda: len(home.vendor.requests) > before)


async def test_plan_tells_the_night_and_changes_nothing(home: Home) -> None:
    await home.publish("1.1.0")
    for name in ("plug-1", "plug-2"):
        await home.act("approve", entity_id=await home.offered(name))
    plan = await home.act("plan", limit=1)
    assert plan["count"] == 2
    (line,) = plan["installs"]
    assert line["version"] == "1.1.0"
    assert line["starts_at"] == plan["window_opens"]
    assert line["reason"] is None
    assert home.commands("plug-1", "install") == []


async def test_history_tells_who_approved_what(home: Home, hass_admin_user: MockUser) -> None:
    await home.publish("1.1.0")
    entity_id = await home.offered("plug-1")
    await home.find("plug-2")
    await home.act("approve", Context(user_id=hass_admin_user.id), entity_id=entity_id)
    answer = await home.act("history", entity_id=entity_id)
    assert answer["rows"][0]["kind"] == "approved"
    assert answer["rows"][0]["values"]["by"] == hass_admin_user.id
    assert {row["subject"] for row in answer["rows"]} == {"open:plug-1"}
    assert len(answer["head"]) == 64


async def test_history_of_the_whole_hub(home: Home) -> None:
    await home.find("plug-1")
    await until(lambda: home.hass.states.get("update.plug_1_firmware") is not None)
    answer = await home.act("history", limit=1)
    assert len(answer["rows"]) == 1


@pytest.mark.parametrize("action", ["approve", "install_now", "unapprove"])
async def test_without_a_target_an_action_says_so(home: Home, action: str) -> None:
    with pytest.raises(ServiceValidationError, match="Choose at least one"):
        await home.act(action)


async def test_an_entity_of_somebody_else_is_refused_by_name(home: Home) -> None:
    with pytest.raises(ServiceValidationError, match=r"update\.other is none of the hub's devices"):
        await home.act("approve", entity_id="update.other")


async def test_our_other_entities_are_no_targets(home: Home) -> None:
    with pytest.raises(ServiceValidationError, match="none of the hub's devices"):
        await home.act("approve", entity_id="sensor.firmware_hub_devices")


async def test_a_device_of_somebody_else_is_refused(home: Home) -> None:
    with pytest.raises(ServiceValidationError, match="none of the hub's devices"):
        await home.act("approve", device_id="0123456789abcdef")


async def test_an_unknown_hub_is_refused(home: Home) -> None:
    with pytest.raises(ServiceValidationError):
        await home.act("plan", config_entry_id="nobody")


async def test_a_hub_that_is_not_loaded_is_refused(home: Home) -> None:
    await home.hass.config_entries.async_unload(home.entry.entry_id)
    with pytest.raises(ServiceValidationError):
        await home.act("check")


async def test_an_unknown_field_is_refused(home: Home) -> None:
    with pytest.raises(vol.Invalid):
        await home.act("check", colour="red")


async def test_the_actions_are_there_before_any_hub_is(hass: HomeAssistant, home: Home) -> None:
    await hass.config_entries.async_remove(home.entry.entry_id)
    assert all(hass.services.has_service(DOMAIN, action) for action in ACTIONS)


@pytest.mark.parametrize("action", ACTIONS)
async def test_who_is_no_administrator_may_use_none_of_them(
    home: Home, hass_read_only_user: MockUser, action: str
) -> None:
    entity_id = await home.find()
    hass_read_only_user.mock_policy({"entities": True})
    data = {"entity_id": entity_id} if action in {"approve", "install_now", "unapprove", "history"} else {}
    data |= {"path": "/media/plug.bin"} if action == "verify_package" else {}
    with pytest.raises(Unauthorized):
        await home.act(action, Context(user_id=hass_read_only_user.id), **data)


@pytest.mark.parametrize("service", ["update.install", "update.skip"])
async def test_who_is_no_administrator_can_neither_install_nor_skip(
    home: Home, hass_read_only_user: MockUser, service: str
) -> None:
    await home.publish("1.1.0")
    entity_id = await home.offered()
    hass_read_only_user.mock_policy({"entities": True})
    with pytest.raises(Unauthorized):
        await home.call(service, Context(user_id=hass_read_only_user.id), entity_id=entity_id)
    view = home.hub.device_view("open:plug-1")
    assert view is not None
    assert view.install is None


async def test_update_all_approves_a_hundred_and_flashes_none(home: Home) -> None:
    await home.publish("1.1.0")
    names = [f"plug-{number}" for number in range(100)]
    for name in names:
        await home.announce(name)
    await until(lambda: home.state("sensor.firmware_hub_updates_offered").state == "100")
    entity_ids = [home.entity_id(f"open:{name}") for name in names]
    await until(lambda: all(entity_id and home.hass.states.get(entity_id) for entity_id in entity_ids))
    await home.call("update.install", entity_id=entity_ids)
    assert home.hub.hub_view().waiting == 100
    assert not any(home.commands(name, "install") for name in names)
