"""The blueprint that tells a phone, run by Home Assistant's own automations."""

import asyncio
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, override
from unittest.mock import patch

import pytest
from homeassistant.components.notify import NotifyEntity
from homeassistant.components.notify.const import DOMAIN as NOTIFY, NotifyEntityFeature
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_component
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.firmware_hub.const import EVENT_LIFECYCLE
from tests.ha.home import Home, until
from tests.ha.test_night import rejected

NAME = "firmware_hub/install_failed_notify.yaml"
BLUEPRINT = Path(__file__).parents[2] / "blueprints" / "automation" / NAME
ENDED: dict[str, Any] = {
    "type": "install_ended",
    "failed": True,
    "device_works": True,
    "title": "Hall lamp: the update to 1.1.0 failed, the device works",
    "reason_text": "The device refused the firmware. It works as before.",
    "next_step": "Nothing to do.",
    "version": "1.1.0",
    "from_version": "1.0.0",
    "state": "rejected",
}


class Phone(NotifyEntity):
    """A phone that keeps what it is told."""

    _attr_supported_features = NotifyEntityFeature.TITLE
    entity_id = "notify.my_phone"

    def __init__(self) -> None:
        self.told: list[tuple[str | None, str]] = []

    @override
    async def async_send_message(self, message: str, title: str | None = None) -> None:
        self.told.append((title, message))


async def use(hass: HomeAssistant, not_before: str) -> Phone:
    """Make an automation of the blueprint; return the phone that it tells."""
    target = Path(hass.config.path("blueprints", "automation", NAME))
    await hass.async_add_executor_job(lambda: target.parent.mkdir(parents=True, exist_ok=True))
    await hass.async_add_executor_job(shutil.copy, BLUEPRINT, target)
    assert await async_setup_component(hass, NOTIFY, {})
    phone = Phone()
    component: entity_component.EntityComponent[NotifyEntity] = hass.data["entity_components"][NOTIFY]
    await component.async_add_entities([phone])
    inputs = {"notify_targets": [phone.entity_id], "not_before": not_before}
    blueprint = {"use_blueprint": {"path": NAME, "input": inputs}}
    assert await async_setup_component(hass, "automation", {"automation": {"alias": "Tell", **blueprint}})
    await hass.async_block_till_done()
    assert hass.states.get("automation.tell") is not None
    return phone


@pytest.fixture
def hass_config_dir(hass_tmp_config_dir: str) -> str:
    """A configuration folder of its own, for the blueprint's copy."""
    return hass_tmp_config_dir


async def test_which_device_why_whether_it_works_and_what_next(hass: HomeAssistant) -> None:
    phone = await use(hass, "00:00:00")
    hass.bus.async_fire(EVENT_LIFECYCLE, ENDED)
    await until(lambda: phone.told)
    ((title, message),) = phone.told
    assert title == "Hall lamp: the update to 1.1.0 failed, the device works"
    assert "The device refused the firmware." in message
    assert "Wanted: 1.1.0, before: 1.0.0." in message
    assert "Next: Nothing to do." in message


@pytest.mark.parametrize("other", [{"failed": False}, {"type": "approved"}])
async def test_nothing_else_makes_a_sound(hass: HomeAssistant, other: dict[str, Any]) -> None:
    phone = await use(hass, "00:00:00")
    hass.bus.async_fire(EVENT_LIFECYCLE, ENDED | other)
    await hass.async_block_till_done()
    assert phone.told == []


async def test_what_can_wait_waits_for_the_morning(hass: HomeAssistant) -> None:
    await hass.config.async_set_time_zone("UTC")
    phone = await use(hass, "07:30:00")
    with patch("homeassistant.util.dt.now", return_value=datetime(2026, 11, 24, 3, tzinfo=UTC)):
        hass.bus.async_fire(EVENT_LIFECYCLE, ENDED)
        await until(lambda: is_running(hass))
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(hours=4, minutes=29))
    for _ in range(100):
        await asyncio.sleep(0)
    assert is_running(hass)
    assert phone.told == []
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(hours=4, minutes=31))
    await until(lambda: phone.told)


def is_running(hass: HomeAssistant) -> bool:
    """Return whether the automation is at work."""
    state = hass.states.get("automation.tell")
    return state is not None and state.attributes["current"] == 1


async def test_a_device_that_does_not_work_is_told_at_once(hass: HomeAssistant) -> None:
    phone = await use(hass, "23:59:59")
    hass.bus.async_fire(EVENT_LIFECYCLE, ENDED | {"device_works": False})
    await until(lambda: phone.told)


async def test_a_real_failure_reaches_the_phone(night: Home) -> None:
    phone = await use(night.hass, "00:00:00")
    await night.publish("1.1.0")
    await rejected(night, "no")
    await until(lambda: phone.told)
    ((title, message),) = phone.told
    assert title == "plug-1: the update to 1.1.0 failed, the device works"
    assert "Wanted: 1.1.0, before: 1.0.0." in message
