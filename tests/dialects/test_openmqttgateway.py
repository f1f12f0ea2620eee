"""OpenMQTTGateway: believed about itself, not about its updates."""

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
    InstallReported,
    Stage,
)
from custom_components.firmware_hub.core.model import OFFERED, Device, DeviceFacts, OfferedNotes
from custom_components.firmware_hub.dialects.base import Outgoing
from custom_components.firmware_hub.dialects.openmqttgateway import OpenMqttGatewayDialect

from .talk import artifact, fault, fixture, fleet_of, message, only_device, order, release

DIALECT = OpenMqttGatewayDialect()
HERE = "home/gate"
IDENTITY = "mac:8CAAB5000001"
SYSTEM: dict[str, Any] = {"version": "v1.8.0", "env": "esp32dev-rf", "mac": "8C:AA:B5:00:00:01"}


def gateway(**changes: Any) -> Fleet:
    return fleet_of(DIALECT, message(f"{HERE}/SYStoMQTT", SYSTEM | changes))


def said(fleet: Fleet, word: str, payload: Any, *, retained: bool = False) -> tuple[DeviceInput, ...]:
    return DIALECT.read(message(f"{HERE}/{word}", payload, retained=retained), fleet)


def refused(fleet: Fleet, word: str, payload: Any) -> tuple[str, str]:
    found = fault(DIALECT, fleet, message(f"{HERE}/{word}", payload))
    assert found is not None
    return found.reason, found.path


# --- who it is -------------------------------------------------------------------------------------------------------


def test_its_measurements_say_who_it_is() -> None:
    device = only_device(fleet_of(DIALECT, *fixture("openmqttgateway", "esp32dev_ble-1.8.0")[:1]))
    assert (device.id, device.name, device.mac) == ("mac:8CAAB5776654", "OMG_BLE", "8CAAB5776654")
    assert (device.manufacturer, device.model, device.version) == ("OpenMQTTGateway", "esp32dev-ble", "1.8.0")
    assert device.addresses == ("home/OMG_BLE/", "home/OMG_BLE/commands/MQTTtoSYS/")


@pytest.mark.parametrize("absent", ["env", "version"])
def test_old_ones_that_do_not_say_what_they_are_are_left_alone(absent: str) -> None:
    assert gateway(**{absent: None}).devices == {}


@pytest.mark.parametrize("mac", ["x", "00:00:00:00:00:00", "8D:AA:B5:00:00:01"])
def test_one_without_a_mac_is_refused(mac: str) -> None:
    assert refused(Fleet(), "SYStoMQTT", SYSTEM | {"mac": mac}) == ("malformed", "mac")


def test_how_it_is_is_told_of_a_known_one() -> None:
    health, told = said(gateway(), "SYStoMQTT", SYSTEM | {"uptime": 6, "rssi": -60}, retained=True)
    assert health == HealthReported(IDENTITY, rssi_dbm=-60, uptime_s=6, retained=True)
    assert isinstance(told, DeviceReported)


@pytest.mark.parametrize(
    "topic", ["tele/gate/SYStoMQTT", "home/SYStoMQTT", "a/b/c/SYStoMQTT", "home/other/LWT", "home/gate/x"]
)
def test_topics_of_others_are_passed_over(topic: str) -> None:
    assert DIALECT.read(message(topic, SYSTEM), gateway()) == ()


@pytest.mark.parametrize("word", ["SYStoMQTT", "RLStoMQTT"])
def test_an_empty_word_says_nothing(word: str) -> None:
    assert said(gateway(), word, "") == ()


# --- what it says ----------------------------------------------------------------------------------------------------


def test_it_is_there_or_not() -> None:
    assert said(gateway(), "LWT", "Offline") == (DeviceLinkChanged(IDENTITY, False),)
    assert said(gateway(), "LWT", "online", retained=True) == (DeviceLinkChanged(IDENTITY, True, True),)
    assert said(gateway(), "LWT", "") == (DeviceWithdrawn(IDENTITY),)
    assert refused(gateway(), "LWT", "perhaps") == ("malformed", "$")


def test_what_its_project_offers_is_the_offer_and_what_it_says_it_runs_is_nothing() -> None:
    told = {"latest_version": "v1.8.1", "installed_version": "v9.9.9", "release_summary": "Fixes"}
    assert said(gateway(), "RLStoMQTT", told, retained=True) == (
        DeviceReported(
            IDENTITY,
            "openmqttgateway",
            DeviceFacts(settings={OFFERED: "1.8.1", **OfferedNotes("1.8.1", "", "Fixes").to_settings()}),
            retained=True,
        ),
    )


@pytest.mark.parametrize(
    ("words", "stage"), [("Update in progress ...", Stage.ACCEPTED), ("Update success !", Stage.CLAIMS_DONE)]
)
def test_its_two_words_on_an_update_are_no_evidence(words: str, stage: Stage) -> None:
    told = {"release_summary": words, "installed_version": "v1.8.1"}
    assert said(gateway(), "RLStoMQTT", told) == (InstallReported(IDENTITY, stage, detail=words),)


# --- orders ----------------------------------------------------------------------------------------------------------


def test_an_install_names_the_very_version_that_was_approved() -> None:
    command = order(only_device(gateway()), "", vendor_chooses=True, release=release(version="1.8.1"))
    assert DIALECT.install(command) == (
        Outgoing("home/gate/commands/MQTTtoSYS/firmware_update", '{"version": "v1.8.1"}'),
    )


def test_it_takes_no_image_of_ours() -> None:
    with pytest.raises(Refused) as refusal:
        DIALECT.install(order(only_device(gateway())))
    assert refusal.value.reason is Reason.MANUAL_ONLY


def test_one_that_never_said_who_it_is_is_sent_nothing() -> None:
    with pytest.raises(Refused) as refusal:
        DIALECT.install(order(Device("x", "openmqttgateway"), "", vendor_chooses=True))
    assert refusal.value.reason is Reason.DEVICE_SILENT


def test_it_is_waited_for_until_it_measures_itself() -> None:
    assert DIALECT.query(only_device(gateway())) == ()
    assert DIALECT.capabilities.answer_time is not None


def test_its_image_has_a_name_of_ours() -> None:
    assert list(DIALECT.serve_as(release(artifact()))) == ["firmware.bin"]
