"""The open device protocol."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
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
from custom_components.firmware_hub.core.model import ArtifactRole, Device
from custom_components.firmware_hub.dialects.open import OpenDialect

from .talk import Fault, artifact, fault, fixture, fleet_of, hear, message, only_device, order, release

OPEN = OpenDialect()
PLUG = "fwhub/device/plug-0a1b/"
ID = "mac:8CAAB5A1B2C3"
INFO: dict[str, Any] = {
    "protocol": 1,
    "manufacturer": "Acme",
    "model": "PLUG-S1",
    "hardware": "rev2",
    "variant": "eu",
    "version": "1.1.0",
    "counter": 16,
    "slots": 2,
    "mac": "8C:AA:B5:A1:B2:C3",
    "battery_powered": False,
    "name": "Kitchen plug",
}


def info(**changes: Any) -> dict[str, Any]:
    return {**INFO, **changes}


@pytest.fixture
def fleet() -> Fleet:
    return fleet_of(OPEN, message(f"{PLUG}info", INFO, retained=True))


@pytest.fixture
def plug(fleet: Fleet) -> Device:
    return only_device(fleet)


def reported(**changes: Any) -> DeviceReported:
    (item,) = OPEN.read(message(f"{PLUG}info", info(**changes)), Fleet())
    assert isinstance(item, DeviceReported)
    return item


def body(device: Device, **changes: Any) -> dict[str, Any]:
    (command,) = OPEN.install(order(device, **changes))
    read: dict[str, Any] = json.loads(command.payload)
    return read


# --- info ----------------------------------------------------------------------------------------------------------


def test_info_says_what_the_device_is_and_runs(plug: Device) -> None:
    expected = Device(
        ID,
        "open",
        name="Kitchen plug",
        manufacturer="Acme",
        model="PLUG-S1",
        hardware="rev2",
        variant="eu",
        version="1.1.0",
        counter=16,
        slots=2,
        mac="8CAAB5A1B2C3",
        addresses=(PLUG,),
        channel={"command": f"{PLUG}command"},
    )
    assert replace(plug, first_seen=None) == expected


def test_the_shortest_info_means_the_defaults() -> None:
    facts = hear(OPEN, Fleet(), *fixture("open", "acme_leak_b2-2.0.3")[:1])
    assert isinstance(facts[0], DeviceReported)
    told = facts[0].facts
    assert (told.hardware, told.variant, told.slots, told.counter, told.mac) == ("", "", 1, None, "")
    assert (told.battery_powered, told.sleeps, told.name) == (True, True, "leak-77")


def test_a_live_info_is_not_marked_as_retained() -> None:
    assert not reported().retained


def test_info_is_no_sign_of_a_boot() -> None:
    assert not reported().rebooted


@pytest.mark.parametrize("mac", ["8CAAB5A1B2C3", "8c:aa:b5:a1:b2:c3", "8C-AA-B5-A1-B2-C3"])
def test_a_mac_in_any_spelling_is_the_identity(mac: str) -> None:
    assert reported(mac=mac).device_id == ID


@pytest.mark.parametrize(
    "mac",
    [
        "",
        None,
        "8CAAB5A1B2",
        "8CAAB5A1B2C3D4",
        "not a mac",
        "000000000000",
        "FFFFFFFFFFFF",
        "01005E000001",
        "٨CAAB5A1B2C3",
    ],
)
def test_without_a_mac_of_its_own_the_id_is_the_identity(mac: str | None) -> None:
    assert reported(mac=mac).device_id == "open:plug-0a1b"


def test_a_device_that_moved_is_the_same_device(fleet: Fleet) -> None:
    hear(OPEN, fleet, message("fwhub/device/plug-new/info", INFO))
    assert only_device(fleet).addresses == ("fwhub/device/plug-new/",)


def test_another_protocol_version_is_refused() -> None:
    assert fault(OPEN, Fleet(), message(f"{PLUG}info", info(protocol=2))) == Fault("unsupported_spec", "protocol")


@pytest.mark.parametrize("key", ["protocol", "manufacturer", "model", "version"])
def test_info_without_what_it_needs_is_refused(key: str) -> None:
    assert fault(OPEN, Fleet(), message(f"{PLUG}info", info(**{key: None}))) == Fault("malformed", key)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("protocol", "1"),
        ("protocol", True),
        ("manufacturer", ""),
        ("model", 5),
        ("version", "1\n2"),
        ("counter", -1),
        ("counter", 2**53),
        ("slots", 0),
        ("slots", 9),
        ("battery_powered", "no"),
        ("sleeps", 1),
        ("name", ["x"]),
    ],
)
def test_info_of_a_wrong_kind_is_refused_with_its_path(key: str, value: object) -> None:
    assert fault(OPEN, Fleet(), message(f"{PLUG}info", info(**{key: value}))) == Fault("malformed", key)


@pytest.mark.parametrize("name", ["", "-x", "a b", "a+", "#", "ä", "x" * 65, "$SYS", "a\x00b"])
def test_an_id_that_is_none_is_refused(name: str) -> None:
    assert fault(OPEN, Fleet(), message(f"fwhub/device/{name}/info", INFO)) == Fault("malformed", "topic")


def test_a_cleared_info_withdraws_the_device(fleet: Fleet) -> None:
    assert OPEN.read(message(f"{PLUG}info", b""), fleet) == (DeviceWithdrawn(ID),)


def test_a_cleared_info_of_a_stranger_is_nothing() -> None:
    assert OPEN.read(message(f"{PLUG}info", b""), Fleet()) == ()


# --- availability, health, status ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("word", "online"), [("online", True), ("offline", False)])
@pytest.mark.parametrize("retained", [True, False])
def test_availability_is_passed_on(fleet: Fleet, word: str, online: bool, retained: bool) -> None:
    heard = OPEN.read(message(f"{PLUG}availability", word, retained=retained), fleet)
    assert heard == (DeviceLinkChanged(ID, online, retained),)


def test_any_other_word_for_availability_is_refused(fleet: Fleet) -> None:
    assert fault(OPEN, fleet, message(f"{PLUG}availability", "Online")) == Fault("malformed", "$")


def test_health_is_passed_on(fleet: Fleet) -> None:
    told = {"battery_percent": 81, "rssi_dbm": -61, "uptime_s": 12, "self_test": "passed"}
    heard = OPEN.read(message(f"{PLUG}health", told), fleet)
    assert heard == (HealthReported(ID, battery_percent=81, rssi_dbm=-61, uptime_s=12, self_test="passed"),)


def test_health_may_say_nothing(fleet: Fleet) -> None:
    assert OPEN.read(message(f"{PLUG}health", {}), fleet) == (HealthReported(ID),)


def test_free_space_is_a_matter_of_health(fleet: Fleet) -> None:
    told = message(f"{PLUG}health", {"free_bytes": 1048576})
    assert OPEN.read(told, fleet) == (HealthReported(ID, free_bytes=1048576),)


@pytest.mark.parametrize(
    ("key", "value"),
    [("battery_percent", 101), ("rssi_dbm", 51), ("uptime_s", -1), ("free_bytes", 1.5), ("self_test", "running")],
)
def test_health_out_of_bounds_is_refused_with_its_path(fleet: Fleet, key: str, value: object) -> None:
    assert fault(OPEN, fleet, message(f"{PLUG}health", {key: value})) == Fault("malformed", key)


@pytest.mark.parametrize(
    ("state", "stage"),
    [
        ("downloading", Stage.DOWNLOADING),
        ("verifying", Stage.INSTALLING),
        ("installing", Stage.INSTALLING),
        ("rebooting", Stage.REBOOTING),
        ("self_test", Stage.REBOOTING),
        ("trial", Stage.TRIAL),
        ("committed", Stage.COMMITTED),
        ("rolled_back", Stage.ROLLED_BACK),
        ("failed", Stage.FAILED),
        ("rejected", Stage.REJECTED),
    ],
)
def test_each_state_of_an_install_has_its_stage(fleet: Fleet, state: str, stage: Stage) -> None:
    heard = OPEN.read(message(f"{PLUG}status", {"id": "a-7", "state": state}), fleet)
    assert heard == (InstallReported(ID, stage, attempt_id="a-7"),)


def test_status_carries_progress_and_reason(fleet: Fleet) -> None:
    told = {"id": "a-7", "state": "failed", "progress_percent": 40, "reason": "digest\ndiffers"}
    heard = OPEN.read(message(f"{PLUG}status", told, retained=True), fleet)
    assert heard == (
        InstallReported(ID, Stage.FAILED, percent=40, attempt_id="a-7", detail="digest differs", retained=True),
    )


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"id": None}, "id"),
        ({"id": "a b"}, "id"),
        ({"id": 7}, "id"),
        ({"state": "done"}, "state"),
        ({"progress_percent": 101}, "progress_percent"),
    ],
)
def test_a_status_that_makes_no_sense_is_refused_with_its_path(
    fleet: Fleet, changes: dict[str, Any], path: str
) -> None:
    told = {"id": "a-7", "state": "trial", **changes}
    assert fault(OPEN, fleet, message(f"{PLUG}status", told)) == Fault("malformed", path)


@pytest.mark.parametrize("word", ["availability", "health", "status"])
def test_a_device_that_nobody_knows_is_not_listened_to(word: str) -> None:
    assert OPEN.read(message(f"{PLUG}{word}", "{"), Fleet()) == ()


@pytest.mark.parametrize("word", ["availability", "health", "status"])
def test_a_cleared_topic_says_nothing(fleet: Fleet, word: str) -> None:
    assert OPEN.read(message(f"{PLUG}{word}", ""), fleet) == ()


@pytest.mark.parametrize(
    "topic", ["fwhub/device/plug-0a1b", "fwhub/hub/1/info", f"{PLUG}command", f"{PLUG}a/info", "info"]
)
def test_other_topics_are_passed_over(fleet: Fleet, topic: str) -> None:
    assert OPEN.read(message(topic, INFO), fleet) == ()


# --- orders --------------------------------------------------------------------------------------------------------


def test_a_query_is_one_report_command(plug: Device) -> None:
    (command,) = OPEN.query(plug)
    assert (command.topic, command.payload) == (f"{PLUG}command", '{"command":"report"}')


def test_the_install_command_holds_the_image_and_its_digest(plug: Device) -> None:
    assert body(plug) == {
        "command": "install",
        "id": "a-7",
        "url": "http://192.168.1.2:8127/f/9f2c61/image.bin",
        "version": "1.2.0",
        "size": 812345,
        "sha256": "ab" * 32,
    }


def test_the_command_says_in_utc_until_when_it_is_good(plug: Device) -> None:
    local = datetime(2026, 11, 24, 5, 58, tzinfo=timezone(timedelta(hours=1)))
    assert body(plug, not_after=local)["not_after"] == "2026-11-24T04:58:00Z"


def test_the_command_never_says_later_than_the_hub_means(plug: Device) -> None:
    precise = datetime(2026, 11, 24, 4, 58, 0, 999_999, tzinfo=UTC)
    assert body(plug, not_after=precise)["not_after"] == "2026-11-24T04:58:00Z"


def test_the_command_names_the_signed_manifest(plug: Device) -> None:
    address = "http://192.168.1.2:8127/f/9f2c61/manifest.jws"
    assert body(plug, manifest_url=address)["manifest_url"] == address


def test_a_device_without_a_channel_takes_no_install() -> None:
    with pytest.raises(Refused) as refusal:
        OPEN.install(order(Device("open:x", "open")))
    assert refusal.value.reason is Reason.DEVICE_SILENT


def test_a_device_without_a_channel_is_not_asked() -> None:
    assert OPEN.query(Device("open:x", "open")) == ()


@pytest.mark.parametrize("word", ["commit", "rollback"])
def test_commit_and_rollback_carry_the_attempt(plug: Device, word: str) -> None:
    (command,) = getattr(OPEN, word)(plug, "a-7")
    assert json.loads(command.payload) == {"command": word, "id": "a-7"}


def test_only_the_main_image_is_served_under_a_name_of_ours() -> None:
    main, helper = artifact(), artifact(ArtifactRole.HELPER)
    assert OPEN.serve_as(release(helper, main)) == {"image.bin": main}


def test_an_install_borrows_no_setting(plug: Device) -> None:
    assert OPEN.borrows(plug) == {}
    assert OPEN.restore(plug, {"OtaUrl": "x"}) == ()


def test_what_is_retained_beside_info_is_subscribed_after_it(plug: Device) -> None:
    assert OPEN.filters == ("fwhub/device/+/info",)
    assert OPEN.filters_for(plug) == (
        "fwhub/device/+/availability",
        "fwhub/device/+/health",
        "fwhub/device/+/status",
    )
