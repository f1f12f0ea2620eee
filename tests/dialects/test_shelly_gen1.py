"""Shelly of the first generation: who is there, what devices say, and the one thing that they are told."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from custom_components.firmware_hub.core.errors import Reason, Refused
from custom_components.firmware_hub.core.fleet import Fleet
from custom_components.firmware_hub.core.inputs import (
    DeviceLinkChanged,
    DeviceReported,
    DeviceWithdrawn,
    HealthReported,
    InstallReported,
    Stage,
)
from custom_components.firmware_hub.core.model import Device, DeviceFacts
from custom_components.firmware_hub.dialects.base import Message, Outgoing, Prober
from custom_components.firmware_hub.dialects.shelly_gen1 import ShellyGen1Dialect

from .talk import Fault, fault, fixture, fleet_of, hear, message, only_device, order

GEN1 = ShellyGen1Dialect()
NAME = "shelly1-B929CC"
HERE = f"shellies/{NAME}"
ID = "mac:8CAAB5B929CC"
URL = "http://192.168.1.2:8127/f/9f2c61/fw.zip"
SHELLY_1 = fixture("shelly_gen1", "shelly_1-1.11.8")
ANNOUNCEMENT: dict[str, Any] = json.loads(SHELLY_1[0].payload)
STATE: dict[str, Any] = json.loads(SHELLY_1[2].payload)


def announcement(topic: str = f"{HERE}/announce", retained: bool = False, **changes: Any) -> Message:
    return message(topic, {**ANNOUNCEMENT, **changes}, retained=retained)


def state(retained: bool = False, **changes: Any) -> Message:
    return message(f"{HERE}/info", {**STATE, **changes}, retained=retained)


def update(**changes: Any) -> Message:
    return state(update={**STATE["update"], **changes})


@pytest.fixture
def fleet() -> Fleet:
    """A Shelly 1 that announced itself and said how it is."""
    return fleet_of(GEN1, *SHELLY_1[:3])


@pytest.fixture
def shelly_1(fleet: Fleet) -> Device:
    return only_device(fleet)


def facts_of(fleet: Fleet, told: Message) -> DeviceFacts:
    (item,) = [heard for heard in GEN1.read(told, fleet) if isinstance(heard, DeviceReported)]
    return item.facts


def health(fleet: Fleet, told: Message) -> HealthReported:
    (item,) = [heard for heard in GEN1.read(told, fleet) if isinstance(heard, HealthReported)]
    return item


# --- strangers -------------------------------------------------------------------------------------------------------


def test_it_is_a_family_whose_strangers_are_asked() -> None:
    assert isinstance(GEN1, Prober)


@pytest.mark.parametrize("payload", ["true", b"true"])
def test_whoever_says_to_be_there_is_suspected(payload: str | bytes) -> None:
    assert GEN1.suspect(Message(f"{HERE}/online", payload, retained=True), Fleet()) == f"{HERE}/"


@pytest.mark.parametrize("payload", ["false", "", "1", b"\xff"])
def test_whoever_says_anything_else_is_not(payload: str | bytes) -> None:
    assert GEN1.suspect(Message(f"{HERE}/online", payload), Fleet()) == ""


@pytest.mark.parametrize(
    "topic",
    [
        "shellyplus1-a8032abe1234/online",
        "shellies/online",
        "shellies//online",
        "shellies/a/b/online",
        "shellies/a b/online",
        "shellies/-a/online",
        f"{HERE}/relay/0",
        f"shellies/{'x' * 65}/online",
    ],
)
def test_a_topic_that_is_none_of_the_familys_leads_nowhere(topic: str) -> None:
    assert GEN1.suspect(Message(topic, "true"), Fleet()) == ""
    assert GEN1.probe(topic.removesuffix("online")) == ()


def test_whoever_is_known_is_no_stranger(fleet: Fleet) -> None:
    assert GEN1.suspect(Message(f"{HERE}/online", "true"), fleet) == ""


def test_a_stranger_is_asked_to_announce_itself() -> None:
    assert GEN1.probe(f"{HERE}/") == (Outgoing(f"{HERE}/command", "announce"),)


# --- who it is -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("topic", [f"{HERE}/announce", "shellies/announce"])
def test_the_announcement_says_who_the_device_is(topic: str) -> None:
    device = only_device(fleet_of(GEN1, announcement(topic)))
    assert replace(device, first_seen=None) == Device(
        ID,
        "shelly_gen1",
        name=NAME,
        manufacturer="Shelly",
        model="SHSW-1",
        version="1.11.8",
        mac="8CAAB5B929CC",
        addresses=(f"{HERE}/",),
        channel={"command": f"{HERE}/command"},
    )


def test_a_name_that_the_owner_chose_is_where_it_speaks() -> None:
    device = only_device(fleet_of(GEN1, announcement("shellies/announce", id="hall.lamp")))
    assert device.channel == {"command": "shellies/hall.lamp/command"}


def test_on_a_topic_of_its_own_the_topic_says_where_it_speaks() -> None:
    facts = facts_of(Fleet(), announcement(id="shelly1-OTHER"))
    assert facts.addresses == (f"{HERE}/",)


@pytest.mark.parametrize("name", ["../x", "a/b", "+", "#", "a b", "x" * 65, "ä"])
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    assert fault(GEN1, Fleet(), announcement("shellies/announce", id=name)) == Fault("malformed", "id")


def test_a_topic_without_a_name_is_refused() -> None:
    assert fault(GEN1, Fleet(), announcement("shellies//announce")) == Fault("malformed", "topic")


def test_a_later_generation_is_left_to_its_own_dialect() -> None:
    later = message("shellies/announce", {"id": "shellyplus1-a8032abe1234", "gen": 2, "ver": "1.3.3"})
    assert GEN1.read(later, Fleet()) == ()


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"mac": "8CAAB5B929C"}, "mac"),
        ({"mac": "8caab5b929cc"}, "mac"),
        ({"mac": "000000000000"}, "mac"),
        ({"mac": "01AAB5B929CC"}, "mac"),
        ({"model": None}, "model"),
        ({"fw_ver": 7}, "fw_ver"),
    ],
)
def test_who_cannot_say_who_it_is_is_refused(changes: dict[str, Any], path: str) -> None:
    assert fault(GEN1, Fleet(), announcement(**changes)) == Fault("malformed", path)


@pytest.mark.parametrize("topic", [f"{HERE}/announce", "shellies/announce", f"{HERE}/info"])
def test_an_empty_message_is_nothing(fleet: Fleet, topic: str) -> None:
    assert GEN1.read(message(topic, b""), fleet) == ()


@pytest.mark.parametrize(
    "topic", [f"{HERE}/relay/0", f"{HERE}/command", "shellies/command", "shellies/announce/x", "shellies", HERE, "x"]
)
def test_other_topics_are_passed_over(fleet: Fleet, topic: str) -> None:
    assert GEN1.read(message(topic, "{"), fleet) == ()


@pytest.mark.parametrize("word", ["info", "online"])
def test_a_stranger_is_known_by_its_announcement_only(word: str) -> None:
    assert GEN1.read(message(f"{HERE}/{word}", "{"), Fleet()) == ()


# --- how it is -------------------------------------------------------------------------------------------------------


def test_the_state_says_version_offer_and_health(fleet: Fleet) -> None:
    facts = DeviceFacts(version="1.11.8", battery_powered=False, sleeps=False, settings={"offered": "1.14.0"})
    assert GEN1.read(state(), fleet) == (
        HealthReported(ID, rssi_dbm=-61, uptime_s=86400),
        DeviceReported(ID, "shelly_gen1", facts),
    )


def test_without_an_update_nothing_is_offered(fleet: Fleet) -> None:
    assert facts_of(fleet, update(has_update=False)).settings == {"offered": ""}


def test_an_update_that_nobody_names_is_no_offer(fleet: Fleet) -> None:
    assert facts_of(fleet, update(new_version="")).settings == {"offered": ""}


@pytest.mark.parametrize("told", [state(update=None), state(update={}, wifi_sta=None, uptime=None)])
def test_a_state_without_a_word_about_updates_names_no_version(fleet: Fleet, told: Message) -> None:
    assert facts_of(fleet, told).version is None


def test_a_state_without_its_parts_says_nothing_about_them(fleet: Fleet) -> None:
    told = message(f"{HERE}/info", {})
    assert GEN1.read(told, fleet) == (
        HealthReported(ID),
        DeviceReported(ID, "shelly_gen1", DeviceFacts(battery_powered=False, sleeps=False)),
    )


def test_a_running_update_is_told(fleet: Fleet) -> None:
    assert GEN1.read(update(status="updating"), fleet)[-1] == InstallReported(ID, Stage.DOWNLOADING)


@pytest.mark.parametrize("word", ["idle", "pending", "unknown", "", None])
def test_nothing_else_is_ever_told_about_an_update(fleet: Fleet, word: str | None) -> None:
    assert not any(isinstance(item, InstallReported) for item in GEN1.read(update(status=word), fleet))


def test_another_device_under_the_old_name_is_not_taken_for_the_old_one(fleet: Fleet) -> None:
    assert fault(GEN1, fleet, state(mac="8CAAB5000001")) == Fault("malformed", "mac")


def test_a_motion_sensor_has_a_battery_and_is_awake() -> None:
    motion = fixture("shelly_gen1", "motion-2.0.9")
    device = only_device(fleet_of(GEN1, *motion))
    assert (device.battery_powered, device.sleeps, device.version) == (True, False, "2.0.9")
    assert health(fleet_of(GEN1, *motion), motion[2]).battery_percent == 87


def test_a_thermometer_sleeps() -> None:
    device = only_device(fleet_of(GEN1, *fixture("shelly_gen1", "ht-1.5.7")))
    assert (device.battery_powered, device.sleeps, device.settings["offered"]) == (True, True, "")


def test_a_device_on_its_charger_does_not_run_on_its_battery(fleet: Fleet) -> None:
    assert facts_of(fleet, state(bat={"value": 50}, charger=True)).battery_powered is False


# --- presence --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("online", [True, False])
def test_presence_is_passed_on(fleet: Fleet, online: bool) -> None:
    assert GEN1.read(message(f"{HERE}/online", str(online).lower()), fleet) == (DeviceLinkChanged(ID, online=online),)


def test_cleared_presence_withdraws_the_device(fleet: Fleet) -> None:
    assert GEN1.read(message(f"{HERE}/online", ""), fleet) == (DeviceWithdrawn(ID),)


def test_presence_in_other_words_is_refused(fleet: Fleet) -> None:
    assert fault(GEN1, fleet, message(f"{HERE}/online", "maybe")) == Fault("malformed", "$")


# --- orders ----------------------------------------------------------------------------------------------------------


def test_a_device_is_asked_for_its_state_and_its_announcement(shelly_1: Device) -> None:
    assert GEN1.query(shelly_1) == (Outgoing(f"{HERE}/command", "update"), Outgoing(f"{HERE}/command", "announce"))


def test_a_battery_is_spared_the_announcement(shelly_1: Device) -> None:
    assert GEN1.query(replace(shelly_1, battery_powered=True)) == (Outgoing(f"{HERE}/command", "update"),)


def test_the_install_command_names_no_image(shelly_1: Device) -> None:
    assert GEN1.install(order(shelly_1, "", vendor_chooses=True)) == (Outgoing(f"{HERE}/command", "update_fw"),)


def test_an_image_of_ours_is_refused_because_another_would_be_installed(shelly_1: Device) -> None:
    with pytest.raises(Refused) as caught:
        GEN1.install(order(shelly_1, URL))
    assert caught.value.reason is Reason.MANUAL_ONLY


def test_a_device_that_has_not_said_who_it_is_gets_no_command() -> None:
    with pytest.raises(Refused) as caught:
        GEN1.install(order(Device(ID, "shelly_gen1"), "", vendor_chooses=True))
    assert caught.value.reason is Reason.DEVICE_SILENT


def test_a_whole_update_as_a_device_tells_it() -> None:
    fleet = fleet_of(GEN1, *SHELLY_1[:3])
    heard = hear(GEN1, fleet, *SHELLY_1[3:])
    assert [type(item).__name__ for item in heard] == [
        "HealthReported",
        "DeviceReported",
        "InstallReported",
        "DeviceLinkChanged",
        "DeviceLinkChanged",
        "DeviceReported",
        "HealthReported",
        "DeviceReported",
    ]
    assert only_device(fleet).version == "1.14.0"
