"""The update entity by day: offers, words, approvals, skips, notes."""

from typing import Any

import pytest
from homeassistant.core import Context
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import device_registry as dr
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockUser, async_capture_events
from pytest_homeassistant_custom_component.typing import WebSocketGenerator

from custom_components.firmware_hub.core.model import InstallState
from custom_components.firmware_hub.markdown import grouped
from custom_components.firmware_hub.own_devices import OwnDevices
from custom_components.firmware_hub.sensor import InstallStateSensor
from custom_components.firmware_hub.update import CheckOnce, FirmwareUpdateEntity
from simulator.images import Image
from tests.ha.home import Home, discovered, fire_mqtt_discovery, spoil, until
from tests.ha.test_hub_entities import CHECK
from tests.ha.test_night import started


async def test_a_device_with_nothing_to_install_is_off(home: Home) -> None:
    entity_id = await home.find()
    state = home.state(entity_id)
    assert state.state == "off"
    assert state.attributes["installed_version"] == "1.0.0"
    assert state.attributes["latest_version"] == "1.0.0"


async def test_an_offer_turns_the_entity_on(home: Home) -> None:
    await home.publish("1.1.0", summary="Better <b>plug</b>")
    state = home.state(await home.offered())
    assert state.attributes["latest_version"] == "1.1.0"
    assert state.attributes["in_progress"] is False
    assert state.attributes["release_summary"] == "Better <\u200bb>plug<\u200b/b>"
    assert state.attributes["release_url"] == "https://acme.example/notes/1.1.0"
    assert state.attributes["title"] == "Acme PLUG-S1"
    assert state.attributes["install_state"] == "awaiting_approval"


async def test_an_older_release_is_no_update(home: Home) -> None:
    await home.publish("0.9.0")
    assert home.state(await home.find()).state == "off"


async def test_a_version_that_cannot_be_compared_is_no_update(home: Home) -> None:
    await home.publish("1.1.0")
    assert home.state(await home.find(version="garden build")).state == "off"


async def test_install_by_day_approves_and_says_when_it_starts(home: Home) -> None:
    await home.publish("1.1.0")
    entity_id = await home.offered()
    await home.call("update.install", entity_id=entity_id)
    await until(lambda: home.state(entity_id).attributes["install_state"] == "approved")
    state = home.state(entity_id)
    assert state.attributes["title"] == "Approved, starts after 00:00 · Acme PLUG-S1"
    assert state.attributes["reason"] == "waits_for_window"
    assert state.attributes["in_progress"] is False
    assert state.state == "on"
    assert home.commands("plug-1", "install") == []


async def test_the_approval_names_the_person(home: Home, hass_admin_user: MockUser) -> None:
    await home.publish("1.1.0")
    entity_id = await home.offered()
    await home.call("update.install", Context(user_id=hass_admin_user.id), entity_id=entity_id)
    view = home.hub.device_view("open:plug-1")
    assert view is not None
    assert view.install is not None
    assert view.install.approval.by == hass_admin_user.id


async def test_a_version_that_is_not_offered_is_refused_in_words(home: Home) -> None:
    await home.publish("1.1.0")
    entity_id = await home.offered()
    with pytest.raises(ServiceValidationError, match=r"Version 7\.7\.7 is not what is offered now") as refused:
        await home.call("update.install", entity_id=entity_id, version="7.7.7")
    assert refused.value.translation_key == "not_current_offer"
    assert home.state(entity_id).attributes["install_state"] == "awaiting_approval"


async def test_skip_takes_the_approval_back(home: Home) -> None:
    await home.publish("1.1.0")
    entity_id = await home.offered()
    await home.call("update.install", entity_id=entity_id)
    await home.call("update.skip", entity_id=entity_id)
    await until(lambda: home.state(entity_id).attributes["last_verdict"] == InstallState.SKIPPED)
    assert home.state(entity_id).state == "off"
    assert home.state(entity_id).attributes["skipped_version"] == "1.1.0"


async def test_install_after_a_skip_clears_the_skip(home: Home) -> None:
    await home.publish("1.1.0")
    entity_id = await home.offered()
    await home.call("update.skip", entity_id=entity_id)
    await home.call("update.install", entity_id=entity_id, version="1.1.0")
    assert home.state(entity_id).attributes["skipped_version"] is None
    assert home.state(entity_id).state == "on"


async def test_a_skip_from_before_a_restart_takes_nothing_back(home: Home) -> None:
    await home.publish("1.1.0")
    entity_id = await home.offered()
    await home.call("update.skip", entity_id=entity_id)
    await home.act("approve", entity_id=entity_id)
    await home.hass.config_entries.async_reload(home.entry.entry_id)
    await until(lambda: home.state(entity_id).attributes.get("install_state") == "approved")
    await home.hass.async_block_till_done()
    view = home.hub.device_view("open:plug-1")
    assert view is not None
    assert view.install is not None


async def test_a_sleeping_device_stays_available_and_can_be_approved(home: Home) -> None:
    await home.publish("1.1.0")
    entity_id = await home.offered()
    await home.say("plug-1", "availability", "offline")
    await home.call("update.install", entity_id=entity_id)
    assert home.state(entity_id).state == "on"
    assert home.state(entity_id).attributes["install_state"] in {"approved", "deferred"}


async def test_check_for_updates_asks_the_feeds_once(home: Home) -> None:
    first, second = await home.find("plug-1"), await home.find("plug-2")
    await until(lambda: home.hub.hub.feeds.states["feed1"].fetching_since is None)
    assert await async_setup_component(home.hass, "homeassistant", {})
    before = len(home.vendor.requests)
    await home.call("homeassistant.update_entity", entity_id=[first, second])
    await until(lambda: len(home.vendor.requests) > before)
    rows = await home.hub.store.async_history(limit=50)
    assert sum(row["kind"] == "check_requested" for row in rows) == 1


async def test_the_notes_tell_changes_proof_risk_and_cost(home: Home, hass_ws_client: WebSocketGenerator) -> None:
    home.vendor.add_release(
        Image("Acme", "PLUG-S1", "1.0.5"), notes="Fixes <script>alert(1)</script> ![x](https://x.example/i.png)"
    )
    await home.publish("1.1.0", notes="# Verified by nobody\n[more](https://acme.example) [bad](javascript:x)")
    entity_id = await home.offered()
    client = await hass_ws_client(home.hass)
    await client.send_json_auto_id({"type": "update/release_notes", "entity_id": entity_id})
    notes = (await client.receive_json())["result"]
    assert notes.index("### 1.1.0") < notes.index("### 1.0.5") < notes.index("### Who vouches for it")
    assert "> # Verified by nobody" in notes
    assert "[more](https://acme.example)" in notes
    assert "<script" not in notes
    assert "](javascript" not in notes
    assert "![x](" not in notes
    assert grouped(home.vendor.key.thumbprint) in notes
    assert "Cannot be undone" in notes
    assert "About 1 min" in notes


async def test_after_a_yes_the_dialog_keeps_to_what_was_approved_and_so_does_another_tap(
    home: Home, hass_ws_client: WebSocketGenerator
) -> None:
    await home.publish("1.1.0", notes="Quieter relay")
    entity_id = await home.offered()
    await home.call("update.install", entity_id=entity_id)
    await home.publish("1.2.0", notes="Another menu")
    await home.call("update.install", entity_id=entity_id)
    view = home.hub.device_view("open:plug-1")
    assert view is not None
    assert view.install is not None
    assert (view.install.offer.version, view.latest_version) == ("1.1.0", "1.1.0")
    attributes = home.state(entity_id).attributes
    assert (attributes["latest_version"], attributes["release_url"]) == ("1.1.0", "https://acme.example/notes/1.1.0")
    client = await hass_ws_client(home.hass)
    await client.send_json_auto_id({"type": "update/release_notes", "entity_id": entity_id})
    notes = (await client.receive_json())["result"]
    assert "Quieter relay" in notes
    assert "Another menu" not in notes


async def test_without_an_offer_there_are_no_notes(home: Home, hass_ws_client: WebSocketGenerator) -> None:
    entity_id = await home.find()
    client = await hass_ws_client(home.hass)
    await client.send_json_auto_id({"type": "update/release_notes", "entity_id": entity_id})
    assert (await client.receive_json())["result"] is None


async def test_the_entity_is_named_after_its_device(home: Home) -> None:
    entity_id = await home.find("plug-1")
    assert entity_id == "update.plug_1_firmware"
    assert home.state(entity_id).name == "plug-1 Firmware"
    device = home.device_of(entity_id)
    assert (device.manufacturer, device.model, device.sw_version) == ("Acme", "PLUG-S1", "1.0.0")


async def test_the_device_is_described_as_it_is_now(home: Home) -> None:
    entity_id = await home.find()
    await home.announce("plug-1", version="1.0.1", hardware="rev2", retain=False)
    await until(lambda: home.device_of(entity_id).sw_version == "1.0.1")
    assert home.device_of(entity_id).hw_version == "rev2"


async def test_a_device_that_says_something_else_all_the_time_is_described_now_and_then(home: Home) -> None:
    entity_id = await home.find()
    changes = async_capture_events(home.hass, dr.EVENT_DEVICE_REGISTRY_UPDATED)
    for number in range(1, 10):
        await home.announce("plug-1", version=f"1.0.{number}", retain=False)
    await until(lambda: home.device_of(entity_id).sw_version == "1.0.9")
    assert len(changes) < 9


async def test_a_device_of_somebody_else_is_described_by_them(home: Home) -> None:
    await fire_mqtt_discovery(home.hass, "switch", discovered("relay"))
    entity_id = await home.find()
    await home.announce("plug-1", version="1.0.1", retain=False)
    await until(lambda: home.state(entity_id).attributes["installed_version"] == "1.0.1")
    assert home.device_of(entity_id).sw_version is None
    assert home.device_of(entity_id).name == "Plug in the hall"


async def test_a_device_that_is_gone_makes_its_entities_unavailable(home: Home) -> None:
    update = FirmwareUpdateEntity(home.entry, "open:gone", CheckOnce(home.hub), OwnDevices(home.hass, home.entry))
    sensor = InstallStateSensor(home.entry, "open:gone", enabled=True)
    for entity in (update, sensor):
        assert entity.available is False
        assert entity.device_info is None
        assert entity.extra_state_attributes is None
    assert sensor.native_value is None
    assert update.in_progress is False
    assert (update.installed_version, update.latest_version, update.title) == (None, None, None)
    assert await update.async_release_notes() is None


async def test_a_skip_that_comes_too_late_disturbs_nothing(night: Home, caplog: pytest.LogCaptureFixture) -> None:
    await night.publish("1.1.0")
    entity_id, _ = await started(night)
    await night.call("update.skip", entity_id=entity_id)
    await until(lambda: "came too late" in caplog.text)
    assert night.state(entity_id).attributes["in_progress"] is True


async def test_what_cannot_be_written_down_is_not_approved(home: Home) -> None:
    await home.publish("1.1.0")
    entity_id = await home.offered()
    await spoil(home)
    with pytest.raises(HomeAssistantError, match="cannot write to its disk"):
        await home.call("update.install", entity_id=entity_id)


@pytest.mark.parametrize("service", ["button.press", "firmware_hub.check"])
async def test_a_check_that_cannot_be_written_down_says_so(home: Home, service: str) -> None:
    await until(lambda: home.hub.hub.feeds.states["feed1"].fetching_since is None)
    await spoil(home)
    target: dict[str, Any] = {"entity_id": CHECK} if service == "button.press" else {}
    with pytest.raises(HomeAssistantError, match="cannot write to its disk"):
        await home.call(service, **target)


async def test_a_record_that_cannot_be_read_is_an_error_in_words(home: Home) -> None:
    await spoil(home)
    with pytest.raises(HomeAssistantError, match="cannot write to its disk"):
        await home.act("history")
