"""The update entity by night: what runs is shown, and how it ended."""

from unittest.mock import AsyncMock

import pytest
from homeassistant.const import Platform
from homeassistant.helpers import issue_registry as ir
from pytest_homeassistant_custom_component.common import async_capture_events

from custom_components.firmware_hub import download
from custom_components.firmware_hub.const import DOMAIN, EVENT_LIFECYCLE
from tests.ha.home import Home, until


async def started(night: Home, name: str = "plug-1", **facts: object) -> tuple[str, str]:
    """Approve, let the device answer the hub's question, and wait for the command; return entity and attempt."""
    entity_id = await night.offered(name, **facts)
    await night.say(name, "availability", "online")
    await night.call("update.install", entity_id=entity_id)
    await until(lambda: night.commands(name, "report"))
    await until(lambda: night.state(entity_id).attributes["install_state"] == "downloaded")
    await night.announce(name, retain=False, **facts)
    await until(lambda: night.commands(name, "install"))
    return entity_id, night.commands(name, "install")[0]["id"]


async def rejected(night: Home, reason: str) -> str:
    """Let the device refuse the image, and then say that it runs what it ran."""
    entity_id, attempt = await started(night)
    await night.say("plug-1", "status", {"id": attempt, "state": "rejected", "reason": reason})
    await night.announce("plug-1", retain=False)
    return entity_id


async def test_an_install_shows_its_progress_and_its_end(night: Home) -> None:
    await night.publish("1.1.0")
    entity_id, attempt = await started(night)
    await night.say("plug-1", "status", {"id": attempt, "state": "downloading", "progress_percent": 42})
    await until(lambda: night.state(entity_id).attributes["update_percentage"] == 42)
    state = night.state(entity_id)
    assert state.attributes["in_progress"] is True
    assert state.attributes["title"] == "Installing · Acme PLUG-S1"
    await night.say("plug-1", "status", {"id": attempt, "state": "rebooting"})
    await night.announce("plug-1", retain=False, version="1.1.0")
    await night.say("plug-1", "availability", "online")
    await until(lambda: night.state(entity_id).attributes["install_state"] == "verifying")
    assert night.state(entity_id).attributes["in_progress"] is True


async def test_in_progress_outlives_the_call_that_home_assistant_ends(night: Home) -> None:
    await night.publish("1.1.0")
    entity_id, _ = await started(night)
    assert night.state(entity_id).attributes["in_progress"] is True


async def test_a_release_of_a_feed_of_this_house_is_installed_though_its_name_leads_outside_too(
    night: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "may_be_outside", AsyncMock(return_value=True))
    await night.publish("1.1.0")
    _, attempt = await started(night)
    assert attempt


async def test_a_rejection_is_told_everywhere_in_words(night: Home) -> None:
    events = async_capture_events(night.hass, EVENT_LIFECYCLE)
    await night.publish("1.1.0")
    entity_id = await rejected(night, "wrong <b>colour</b>")
    await until(lambda: night.state(entity_id).attributes["last_verdict"] == "rejected")
    state = night.state(entity_id)
    assert state.attributes["in_progress"] is False
    assert state.attributes["title"] == "The last try failed · Acme PLUG-S1"
    await until(lambda: any(event.data["type"] == "install_ended" for event in events))
    ended = next(event.data for event in events if event.data["type"] == "install_ended")
    assert ended["title"] == "plug-1: the update to 1.1.0 failed, the device works"
    assert ended["reason_text"] == "The device refused the firmware. It works as before."
    assert ended["device_works"] is True
    assert ended["failed"] is True
    assert ended["update_entity_id"] == entity_id
    assert ended["device_id"] == night.device_of(entity_id).id
    sensor = night.state(night.entity_id("open:plug-1", "install_state", Platform.SENSOR) or "")
    assert sensor.attributes["reason"] == "image_refused"


async def test_a_failed_install_raises_a_repair_that_says_that_the_device_works(night: Home) -> None:
    await night.publish("1.1.0")
    await rejected(night, "no")
    await until(lambda: issues(night, "install_failed"))
    (issue,) = issues(night, "install_failed")
    assert issue.translation_placeholders is not None
    assert issue.translation_placeholders["device"] == "plug-1"
    assert issue.translation_placeholders["version"] == "1.1.0"
    assert issue.translation_placeholders["recovery"] == "Hold the button for ten seconds."
    assert issue.learn_more_url == "https://acme.example/help"
    assert issue.is_fixable


def issues(home: Home, key: str) -> list[ir.IssueEntry]:
    """Return the hub's repairs of a kind."""
    found = ir.async_get(home.hass).issues.values()
    return [issue for issue in found if issue.domain == DOMAIN and issue.translation_key == key]
