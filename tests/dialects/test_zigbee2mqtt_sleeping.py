"""Zigbee2MQTT and devices that sleep: it waits until they wake, begins, tries again, and lets go when it is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from custom_components.firmware_hub.core.fleet import Fleet
from custom_components.firmware_hub.core.inputs import DeviceReported, InstallReported, Stage
from custom_components.firmware_hub.core.model import Device
from custom_components.firmware_hub.dialects.base import Message
from custom_components.firmware_hub.dialects.scheduler import Scheduler

from .talk import fleet_of, hear
from .test_zigbee2mqtt import (
    BULB,
    NEW,
    OLD,
    OTHERS,
    Z2M,
    answer,
    body_of,
    bridge,
    entry,
    listed,
    read,
    shows,
    state,
    zigbee_order,
)

SLEEPER = entry(type="EndDevice", power_source="Battery")
TRY_FAILED = "try_failed: Zigbee2MQTT waits for the next try, and does not say why this one failed"


@pytest.fixture
def fleet() -> Fleet:
    """A sensor that was listed and has answered a check."""
    return fleet_of(Z2M, listed(SLEEPER), shows(int(OLD)), answer("check", "check"))


def waits(version: str = OLD) -> Message:
    return shows(int(version), "scheduled")


def sensor(fleet: Fleet) -> Device:
    return fleet.devices[BULB]


def stages(told: Message, fleet: Fleet) -> list[str]:
    """Hear a message, and return what it says of an install."""
    return [item.stage.value for item in hear(Z2M, fleet, told) if isinstance(item, InstallReported)]


def test_the_family_says_that_its_bridges_wait_for_sleepers() -> None:
    assert Z2M.capabilities.schedules
    assert isinstance(Z2M, Scheduler)


# --- the state of a device -------------------------------------------------------------------------------------------


def test_a_state_tells_that_the_bridge_waits(fleet: Fleet) -> None:
    learnt, waiting = read(fleet, waits())
    assert isinstance(learnt, DeviceReported)
    assert learnt.facts.channel == {**sensor(fleet).channel, "waits": "yes"}
    assert waiting == InstallReported(BULB, Stage.SCHEDULED, detail=TRY_FAILED)


def test_a_bridge_that_goes_on_waiting_is_told_each_time(fleet: Fleet) -> None:
    """Said with every reading of a sensor; after a try it means that the try failed."""
    hear(Z2M, fleet, waits())
    assert read(fleet, waits()) == (InstallReported(BULB, Stage.SCHEDULED, detail=TRY_FAILED),)


def test_a_device_that_wakes_is_at_work_while_the_bridge_still_waits(fleet: Fleet) -> None:
    hear(Z2M, fleet, waits())
    assert stages(shows(int(OLD), "updating", progress=0), fleet) == ["downloading"]
    assert "waits" in sensor(fleet).channel


def test_another_version_at_the_end_is_a_claim_and_no_evidence(fleet: Fleet) -> None:
    hear(Z2M, fleet, waits(), shows(int(OLD), "updating", progress=50))
    heard = hear(Z2M, fleet, shows(int(NEW)))
    assert [item.stage for item in heard if isinstance(item, InstallReported)] == [Stage.INSTALLING, Stage.RESTARTED]
    assert not {"waits", "shown"} & sensor(fleet).channel.keys()
    named = [item for item in heard if isinstance(item, DeviceReported) and item.facts.version]
    assert all(item.retained for item in named)


def test_a_claim_is_made_even_if_nothing_was_heard_in_between(fleet: Fleet) -> None:
    hear(Z2M, fleet, waits())
    assert stages(shows(int(NEW)), fleet) == ["installing", "restarted"]


@pytest.mark.parametrize("word", ["idle", "available"])
def test_a_bridge_that_waits_no_more_has_not_begun(fleet: Fleet, word: str) -> None:
    hear(Z2M, fleet, waits())
    (_, item) = read(fleet, shows(int(OLD), word))
    assert isinstance(item, InstallReported)
    assert (item.stage, item.detail.split(":")[0]) == (Stage.NOT_BEGUN, "given_up_waiting")


def test_a_version_that_is_not_known_claims_nothing(fleet: Fleet) -> None:
    hear(Z2M, fleet, waits())
    assert stages(shows(-1), fleet) == ["not_begun"]


def test_nothing_ends_that_was_not_waited_for(fleet: Fleet) -> None:
    assert stages(shows(int(NEW)), fleet) == []


def test_what_the_broker_kept_says_so(fleet: Fleet) -> None:
    kept = state({"state": "scheduled", "installed_version": int(OLD), "latest_source": None}, retained=True)
    learnt, waiting = read(fleet, kept)
    assert isinstance(learnt, DeviceReported)
    assert isinstance(waiting, InstallReported)
    assert (learnt.retained, waiting.retained) == (True, True)


def test_a_list_does_not_make_it_forgotten(fleet: Fleet) -> None:
    hear(Z2M, fleet, waits(), listed({**SLEEPER, "friendly_name": "door"}))
    assert sensor(fleet).channel["waits"] == "yes"


# --- questions and answers -------------------------------------------------------------------------------------------


def test_a_sleeper_is_not_asked_while_the_bridge_waits_for_it(fleet: Fleet) -> None:
    assert Z2M.query(sensor(fleet)) != ()
    hear(Z2M, fleet, waits())
    assert Z2M.query(sensor(fleet)) == ()
    hear(Z2M, fleet, shows(int(OLD)))
    assert Z2M.query(sensor(fleet)) != ()


def test_who_does_not_sleep_is_asked_all_the_same(fleet: Fleet) -> None:
    hear(Z2M, fleet, waits())
    assert Z2M.query(replace(sensor(fleet), sleeps=False)) != ()


def test_a_bridge_confirms_that_it_does_not_wait_any_more(fleet: Fleet) -> None:
    (sent,) = Z2M.unschedule(sensor(fleet), "a-7")
    told = answer("unschedule", transaction=body_of((sent,))["transaction"])
    assert read(fleet, told) == (InstallReported(BULB, Stage.TAKEN_BACK, attempt_id="a-7"),)


def test_a_bridge_that_does_not_know_the_device_does_not_wait_for_it(fleet: Fleet) -> None:
    transaction = body_of(Z2M.unschedule(sensor(fleet), "a-7"))["transaction"]
    told = answer("unschedule", error="Device '0x000d6f0000000002' does not exist", transaction=transaction)
    assert read(fleet, told) == (InstallReported(BULB, Stage.TAKEN_BACK, attempt_id="a-7"),)


def test_a_bridge_that_is_busy_has_confirmed_nothing(fleet: Fleet) -> None:
    transaction = body_of(Z2M.unschedule(sensor(fleet), "a-7"))["transaction"]
    busy = "OTA update or check for update already in progress for 'bulb'"
    assert read(fleet, answer("unschedule", error=busy, transaction=transaction)) == ()


@pytest.mark.parametrize("transaction", [each for each in OTHERS if isinstance(each, str)])
def test_what_others_take_back_is_passed_over(fleet: Fleet, transaction: str) -> None:
    assert read(fleet, answer("unschedule", transaction=f"{transaction}/unschedule")) == ()


def test_the_answer_to_one_order_is_not_taken_for_that_to_the_other(fleet: Fleet) -> None:
    back = body_of(Z2M.unschedule(sensor(fleet), "a-7"))["transaction"]
    order = body_of(Z2M.schedule(zigbee_order(sensor(fleet))))["transaction"]
    assert read(fleet, answer("schedule", transaction=back)) == ()
    assert read(fleet, answer("unschedule", transaction=order)) == ()


def test_an_answer_that_is_none_says_nothing_of_a_sleeper(fleet: Fleet) -> None:
    assert read(fleet, bridge("response/device/ota_update/unschedule", {"status": "ok", "data": {}})) == ()
