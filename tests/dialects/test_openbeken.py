"""OpenBeken: told from Tasmota, found by asking, loaded only where its chip can."""

from __future__ import annotations

from typing import Any

import pytest

from custom_components.firmware_hub.core.errors import Reason, Refused
from custom_components.firmware_hub.core.fleet import Fleet
from custom_components.firmware_hub.core.inputs import (
    DeviceInput,
    DeviceLinkChanged,
    DeviceReported,
    DeviceWithdrawn,
    HealthReported,
)
from custom_components.firmware_hub.core.model import Device, DeviceFacts
from custom_components.firmware_hub.dialects.base import Message, Outgoing
from custom_components.firmware_hub.dialects.openbeken import OpenBekenDialect

from .talk import artifact, fault, fixture, fleet_of, message, only_device, order, release

DIALECT = OpenBekenDialect()
HERE = "stat/obk1/STATUS"
IDENTITY = "mac:C8478C000001"
FIRMWARE = {"Version": "OpenBK7231N_1.18.150", "SDK": "obk", "Hardware": "BK7231N"}
WHOLE: dict[str, Any] = {"StatusFWR": FIRMWARE, "StatusNET": {"Mac": "C8:47:8C:00:00:01"}}


def plug(**changes: Any) -> Fleet:
    return fleet_of(DIALECT, message(HERE, WHOLE | changes))


def said(fleet: Fleet, topic: str, payload: Any, *, retained: bool = False) -> tuple[DeviceInput, ...]:
    return DIALECT.read(message(topic, payload, retained=retained), fleet)


def refused(fleet: Fleet, topic: str, payload: Any) -> tuple[str, str]:
    found = fault(DIALECT, fleet, message(topic, payload))
    assert found is not None
    return found.reason, found.path


# --- who it is -------------------------------------------------------------------------------------------------------


def test_its_whole_state_says_who_it_is() -> None:
    device = only_device(fleet_of(DIALECT, *fixture("openbeken", "bk7231t-1.18.150")[:1]))
    assert (device.id, device.name, device.mac) == ("mac:C8478C5A3B11", "Desk lamp", "C8478C5A3B11")
    assert (device.manufacturer, device.model, device.version) == ("OpenBeken", "BK7231T", "1.18.150")
    assert device.addresses == ("obk5A3B11/", "cmnd/obk5A3B11/")


def test_without_a_name_it_is_called_as_it_speaks() -> None:
    assert only_device(plug()).name == "obk1"


@pytest.mark.parametrize(
    "changes", [{"StatusFWR": FIRMWARE | {"SDK": "2.2.2"}}, {"StatusFWR": None}, {"StatusNET": None}]
)
def test_a_tasmota_is_none(changes: dict[str, Any]) -> None:
    assert plug(**changes).devices == {}


def test_one_that_speaks_where_others_have_their_root_is_none() -> None:
    assert said(Fleet(), "stat/tasmota/STATUS", WHOLE) == ()


@pytest.mark.parametrize("mac", ["x", "00:00:00:00:00:00", "C9:47:8C:00:00:01"])
def test_one_without_a_mac_is_refused(mac: str) -> None:
    assert refused(Fleet(), HERE, WHOLE | {"StatusNET": {"Mac": mac}}) == ("malformed", "StatusNET.Mac")


def test_a_build_of_something_else_is_refused() -> None:
    changed = WHOLE | {"StatusFWR": FIRMWARE | {"Version": "14.5.0"}}
    assert refused(Fleet(), HERE, changed) == ("malformed", "StatusFWR.Version")


def test_how_long_it_runs_is_told_of_a_known_one() -> None:
    running = WHOLE | {"StatusPRM": {"Uptime": 7}}
    assert len(said(Fleet(), HERE, running)) == 1
    health, told = said(plug(), HERE, running)
    assert health == HealthReported(IDENTITY, uptime_s=7)
    assert isinstance(told, DeviceReported)


@pytest.mark.parametrize("topic", [HERE, "obk1/build"])
def test_an_empty_word_says_nothing(topic: str) -> None:
    assert said(plug(), topic, "") == ()


# --- strangers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("topic", "payload", "address"),
    [
        ("obk2/connected", b"online", "obk2/"),
        ("obk2/connected", "online", "obk2/"),
        ("obk2/build", b"OpenW800 1.18.150 Jul 24 2026 10:20:00", "obk2/"),
        ("obk2/connected", b"offline", ""),
        ("obk2/build", b"1234", ""),
        ("obk2/build", b"\xff" * 500, ""),
        ("obk1/connected", b"online", ""),
        ("tele/connected", b"online", ""),
        ("a b/connected", b"online", ""),
        ("obk2/other", b"online", ""),
    ],
)
def test_a_stranger_is_one_that_says_it_is_there_or_what_it_runs(
    topic: str, payload: str | bytes, address: str
) -> None:
    assert DIALECT.suspect(Message(topic, payload), plug()) == address


def test_a_stranger_is_asked_for_its_whole_state() -> None:
    assert DIALECT.probe("obk2/") == (Outgoing("cmnd/obk2/STATUS", "0"),)
    assert DIALECT.probe("a/b/") == DIALECT.probe("obk2") == ()


# --- what it says ----------------------------------------------------------------------------------------------------


def test_it_is_there_or_not() -> None:
    assert said(plug(), "obk1/connected", "offline") == (DeviceLinkChanged(IDENTITY, False),)
    assert said(plug(), "obk1/connected", "online", retained=True) == (DeviceLinkChanged(IDENTITY, True, True),)
    assert said(plug(), "obk1/connected", "") == (DeviceWithdrawn(IDENTITY),)
    assert refused(plug(), "obk1/connected", "perhaps") == ("malformed", "$")


def test_its_build_names_chip_and_version() -> None:
    assert said(plug(), "obk1/build", "OpenBK7231T 1.18.160 Oct  2 2026 09:10:00") == (
        DeviceReported(IDENTITY, "openbeken", DeviceFacts(model="BK7231T", version="1.18.160")),
    )
    assert refused(plug(), "obk1/build", "Tasmota 14") == ("malformed", "$")


@pytest.mark.parametrize("topic", ["obk2/connected", "obk2/build", "obk1/rssi"])
def test_topics_of_others_are_passed_over(topic: str) -> None:
    assert said(plug(), topic, "x") == ()


# --- orders ----------------------------------------------------------------------------------------------------------


def test_an_install_is_the_address() -> None:
    assert DIALECT.install(order(only_device(plug()), "http://192.168.1.2:8127/f/9/t.rbl")) == (
        Outgoing("cmnd/obk1/ota_http", "http://192.168.1.2:8127/f/9/t.rbl"),
    )


@pytest.mark.parametrize("chip", ["BL602", "LN882H", "ESP32"])
def test_a_chip_that_only_says_ok_is_sent_nothing(chip: str) -> None:
    fleet = plug(StatusFWR=FIRMWARE | {"Version": f"Open{chip}_1.18.150"})
    with pytest.raises(Refused) as refusal:
        DIALECT.install(order(only_device(fleet)))
    assert refusal.value.reason is Reason.MANUAL_ONLY


@pytest.mark.parametrize(
    ("device", "changes", "reason"),
    [
        (Device("x", "openbeken", model="BK7231N"), {}, Reason.DEVICE_SILENT),
        (Device("x", "openbeken", model="BK7231N"), {"vendor_chooses": True}, Reason.MANUAL_ONLY),
        (
            Device("x", "openbeken", model="BK7231N", channel={"command": "cmnd/x/"}),
            {"url": "https://a/b"},
            Reason.ADDRESS_UNREACHABLE,
        ),
    ],
)
def test_what_cannot_be_ordered_is_refused(device: Device, changes: dict[str, Any], reason: Reason) -> None:
    with pytest.raises(Refused) as refusal:
        DIALECT.install(order(device, **changes))
    assert refusal.value.reason is reason


def test_it_is_asked_for_its_whole_state() -> None:
    assert DIALECT.query(only_device(plug())) == (Outgoing("cmnd/obk1/STATUS", "0"),)


def test_its_image_has_a_name_of_ours() -> None:
    assert list(DIALECT.serve_as(release(artifact()))) == ["firmware.rbl"]
