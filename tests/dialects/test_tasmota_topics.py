"""Tasmota's topics: built as the firmware builds them, refused where they would lead to somebody else."""

from __future__ import annotations

from typing import Any

import pytest

from custom_components.firmware_hub.core.errors import Reason, Refused
from custom_components.firmware_hub.core.fleet import Fleet
from custom_components.firmware_hub.core.model import Device
from custom_components.firmware_hub.dialects.base import Message
from custom_components.firmware_hub.dialects.tasmota import TasmotaDialect

from .talk import Fault, fault, fleet_of, hear, message, only_device, order

TASMOTA = TasmotaDialect()
MAC = "8CAAB5A1B2C3"
OTHER = "A4CF12D4E5F6"
STATUS2 = {"StatusFWR": {"Version": "14.5.0(tasmota)", "Hardware": "ESP8266EX"}}


def discovery(mac: str = MAC, **changes: Any) -> Message:
    config = {
        "hn": "plug-4803",
        "mac": mac,
        "sw": "14.5.0",
        "t": "plug",
        "ft": "%prefix%/%topic%/",
        "tp": ["cmnd", "stat", "tele"],
        **changes,
    }
    return message(f"tasmota/discovery/{mac}/config", config, retained=True)


def device(**changes: Any) -> Device:
    return only_device(fleet_of(TASMOTA, discovery(**changes)))


@pytest.mark.parametrize(
    ("changes", "stat", "tele", "command"),
    [
        ({}, "stat/plug/", "tele/plug/", "cmnd/plug/"),
        ({"ft": "%topic%/%prefix%"}, "plug/stat/", "plug/tele/", "plug/cmnd/"),
        ({"ft": "home/%prefix%/%topic%/"}, "home/stat/plug/", "home/tele/plug/", "home/cmnd/plug/"),
        ({"ft": "home//%prefix%/%topic%/"}, "home/stat/plug/", "home/tele/plug/", "home/cmnd/plug/"),
        ({"ft": "/%prefix%/%topic%/"}, "/stat/plug/", "/tele/plug/", "/cmnd/plug/"),
        ({"ft": "%prefix%/%hostname%/"}, "stat/plug-4803/", "tele/plug-4803/", "cmnd/plug-4803/"),
        ({"ft": "%topic%"}, "plug/", "plug/", "plug/cmnd/"),
        ({"tp": ["c", "s", "home/t"]}, "s/plug/", "home/t/plug/", "c/plug/"),
        ({"t": "kitchen/plug"}, "stat/kitchen/plug/", "tele/kitchen/plug/", "cmnd/kitchen/plug/"),
    ],
)
def test_topics_are_built_as_the_firmware_builds_them(
    changes: dict[str, Any], stat: str, tele: str, command: str
) -> None:
    found = device(**changes)
    assert found.addresses == tuple(dict.fromkeys((stat, tele, command)))
    assert found.channel["command"] == command


@pytest.mark.parametrize(
    ("changes", "stat", "tele"),
    [
        ({}, "stat/+/", "tele/+/"),
        ({"ft": "home/%prefix%/%topic%/"}, "home/stat/+/", "home/tele/+/"),
        ({"ft": "%topic%/%prefix%/"}, "+/stat/", "+/tele/"),
        ({"ft": "%prefix%/tasmota_%topic%/"}, "stat/+/", "tele/+/"),
        ({"ft": "%prefix%/%hostname%/%id%/"}, "stat/+/+/", "tele/+/+/"),
        ({"t": "kitchen/plug"}, "stat/kitchen/plug/", "tele/kitchen/plug/"),
        ({"t": "a%id%b"}, f"stat/a{MAC}b/", f"tele/a{MAC}b/"),
    ],
)
def test_devices_of_one_pattern_share_their_filters(changes: dict[str, Any], stat: str, tele: str) -> None:
    filters = TASMOTA.filters_for(device(**changes))
    assert filters == (
        f"{stat}RESULT",
        f"{stat}OTAURL",
        f"{stat}UPGRADE",
        f"{stat}STATUS1",
        f"{stat}STATUS2",
        f"{stat}STATUS4",
        f"{stat}STATUS11",
        f"{tele}LWT",
        f"{tele}INFO1",
    )


def test_a_device_without_topics_needs_no_filters() -> None:
    assert TASMOTA.filters_for(Device("mac:x", "tasmota")) == ()


# --- topics that are refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"t": None}, "t"),
        ({"t": ""}, "t"),
        ({"t": "+"}, "t"),
        ({"t": "a/#"}, "t"),
        ({"t": "a b"}, "t"),
        ({"t": "a\u0000"}, "t"),
        ({"t": 7}, "t"),
        ({"ft": None}, "ft"),
        ({"ft": "%prefix%/ %topic%/"}, "ft"),
        ({"ft": "+/%prefix%/%topic%"}, "ft"),
        ({"ft": "%prefix%/%topic%/\u2028"}, "ft"),
        ({"ft": "/"}, "ft"),
        ({"ft": "a///b/%topic%"}, "ft"),
        ({"ft": "$SYS/%prefix%/%topic%/"}, "ft"),
        ({"ft": "fwhub/device/x/%prefix%"}, "ft"),
        ({"ft": "tasmota/discovery/%topic%/%prefix%/"}, "ft"),
        ({"ft": "zigbee2mqtt/bridge/%prefix%/%topic%/"}, "ft"),
        ({"hn": "a#"}, "hn"),
        ({"hn": ["x"]}, "hn"),
        ({"tp": None}, "tp"),
        ({"tp": "cmnd"}, "tp"),
        ({"tp": ["cmnd", "stat"]}, "tp"),
        ({"tp": ["cmnd", "stat", "+"]}, "tp"),
        ({"tp": ["$SYS", "stat", "tele"]}, "ft"),
    ],
)
def test_what_is_no_topic_of_a_device_is_refused_with_its_path(changes: dict[str, Any], path: str) -> None:
    assert fault(TASMOTA, Fleet(), discovery(**changes)) == Fault("malformed", path)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"t": "x" * 151}, "t"),
        ({"ft": "x" * 151}, "ft"),
        ({"tp": ["a", "b", "c", "d"]}, "tp"),
        ({"t": "x" * 150, "ft": "%topic%/%topic%/%prefix%"}, "ft"),
    ],
)
def test_topics_that_are_too_long_are_refused_with_their_path(changes: dict[str, Any], path: str) -> None:
    assert fault(TASMOTA, Fleet(), discovery(**changes)) == Fault("too_large", path)


@pytest.mark.parametrize(
    "changes",
    [
        {"t": "tasmotas"},
        {"t": "sonoffs"},
        {"t": "Tasmotas/x"},
        {"ft": "%prefix%/tasmotas/%topic%"},
        {"t": "DVES_D4E5F6_fb"},
        {"t": "DVES_D4E5F6"},
    ],
)
def test_a_topic_to_which_other_devices_listen_is_refused(changes: dict[str, Any]) -> None:
    assert fault(TASMOTA, Fleet(), discovery(**changes)) == Fault("malformed", "ft")


def test_two_devices_with_one_topic_are_both_not_heard() -> None:
    fleet = fleet_of(TASMOTA, discovery(), discovery(OTHER))
    assert TASMOTA.read(message("stat/plug/STATUS2", STATUS2), fleet) == ()


def test_a_device_that_states_the_command_topic_of_another_meets_it_in_the_book() -> None:
    fleet = fleet_of(TASMOTA, discovery(), discovery(OTHER, tp=["cmnd", "s", "t"]))
    assert fleet.in_conflict(fleet.devices[f"mac:{MAC}"])


@pytest.mark.parametrize(
    "changes",
    [{"t": "plug/x"}, {"ft": "%prefix%/plug/a/%topic%/", "t": "x"}, {"t": "plug/x", "tp": ["cmnd", "s", "t"]}],
)
def test_a_device_below_the_topics_of_another_is_refused(changes: dict[str, Any]) -> None:
    fleet = fleet_of(TASMOTA, discovery())
    assert fault(TASMOTA, fleet, discovery(OTHER, **changes)) == Fault("malformed", "ft")


@pytest.mark.parametrize(
    ("word", "payload"), [("stat/plug/x/STATUS2", STATUS2), ("tele/plug/x/INFO1", {"Version": "1.2"})]
)
def test_a_device_that_came_before_the_one_above_it_is_not_believed(word: str, payload: Any) -> None:
    fleet = fleet_of(TASMOTA, discovery(OTHER, t="plug/x"), discovery())
    assert fault(TASMOTA, fleet, message(word, payload)) == Fault("malformed", "topic")


def test_a_device_may_lie_below_itself() -> None:
    fleet = fleet_of(TASMOTA, discovery(ft="%topic%"))
    assert hear(TASMOTA, fleet, discovery(ft="%topic%"), message("plug/STATUS2", STATUS2))


# --- two readings of %id% --------------------------------------------------------------------------------------------

BY_ID = discovery(ft="%prefix%/%id%/")


def test_both_readings_of_the_id_are_listened_to() -> None:
    found = only_device(fleet_of(TASMOTA, BY_ID))
    assert found.addresses == (
        f"stat/{MAC}/",
        f"tele/{MAC}/",
        f"cmnd/{MAC}/",
        "stat/A1B2C3/",
        "tele/A1B2C3/",
        "cmnd/A1B2C3/",
    )


def test_both_readings_of_the_id_are_asked() -> None:
    asked = TASMOTA.query(only_device(fleet_of(TASMOTA, BY_ID)))
    assert {each.topic for each in asked} == {f"cmnd/{MAC}/STATUS", "cmnd/A1B2C3/STATUS"}


def test_no_install_before_the_device_answered_under_one_of_them() -> None:
    with pytest.raises(Refused) as refusal:
        TASMOTA.install(order(only_device(fleet_of(TASMOTA, BY_ID))))
    assert refusal.value.reason is Reason.DEVICE_SILENT


@pytest.mark.parametrize("reading", [MAC, "A1B2C3"])
def test_an_answer_settles_which_reading_is_right(reading: str) -> None:
    fleet = fleet_of(TASMOTA, BY_ID, message(f"stat/{reading}/STATUS2", STATUS2))
    asked = TASMOTA.query(only_device(fleet))
    assert {each.topic for each in asked} == {f"cmnd/{reading}/STATUS"}


def test_what_was_settled_outlives_the_next_announcement() -> None:
    fleet = fleet_of(TASMOTA, BY_ID, message("stat/A1B2C3/STATUS2", STATUS2), BY_ID)
    assert only_device(fleet).channel["command"] == "cmnd/A1B2C3/"
    assert "other_command" not in only_device(fleet).channel


def test_a_new_pattern_opens_the_question_again() -> None:
    moved = discovery(ft="home/%prefix%/%id%/")
    fleet = fleet_of(TASMOTA, BY_ID, message("stat/A1B2C3/STATUS2", STATUS2), moved)
    assert only_device(fleet).channel["other_command"] == "home/cmnd/A1B2C3/"


def test_a_topic_below_one_that_two_devices_claim_is_refused_as_well() -> None:
    fleet = Fleet()
    for mac in ("AAAAAAAAAAA1", "AAAAAAAAAAA2"):
        hear(TASMOTA, fleet, discovery(mac, t="hall"))
    assert fleet.at("tasmota", "cmnd/hall/") is None
    refused = fault(TASMOTA, fleet, discovery("AAAAAAAAAAA3", t="hall/lamp"))
    assert refused is not None
    assert refused.reason == "malformed"
