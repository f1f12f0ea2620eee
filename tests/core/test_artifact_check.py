"""What is looked at in a file before a device gets it: it says itself for whom it is, and that must be this device."""

from __future__ import annotations

import gzip
import struct
from typing import Any

import pytest

from custom_components.firmware_hub.core.artifact_check import check_artifact, is_looked_into
from custom_components.firmware_hub.core.errors import HubError, Reason
from custom_components.firmware_hub.core.model import Artifact, ArtifactFormat, Device, Match, Release, VersionScheme
from simulator.esp import CHIP_IDS, esp32_image, esp8266_image

from .builders import device
from .statements import artifact, release
from .test_shelly_zip import package
from .test_zigbee_ota import ota

SWITCH = device(manufacturer="Shelly", model="Plus1", version="1.3.3")
LAMP_ID = "ieee:0x000d6f0000000002"
ZIP = artifact(format=ArtifactFormat.SHELLY_ZIP)
OTA = artifact(format=ArtifactFormat.ZIGBEE_OTA, url="https://zigbee.example/a.ota")
FOR_HARDWARE_2_AND_3: dict[str, Any] = {"control": 4, "options": struct.pack("<HH", 2, 3)}


def lamp(**changes: Any) -> Device:
    return device(LAMP_ID, **{"dialect": "zigbee2mqtt", "version": "1"} | changes)


def image(version: str = "2", image_type: str = "117c-2101", **changes: Any) -> Release:
    match = Match("IKEA", ("bulb",), image_type=image_type)
    values: dict[str, Any] = {"version_scheme": VersionScheme.INTEGER, "match": match}
    return release(version=version, **values | changes)


def refusal(data: bytes, found: Artifact, offered: Release, target: Device) -> Reason | None:
    try:
        check_artifact(data, found, offered, target)
    except HubError as refused:
        return refused.reason
    return None


@pytest.mark.parametrize(
    ("version", "target", "reason"),
    [
        ("1.7.5", SWITCH, None),
        ("1.7.4", SWITCH, Reason.DIGEST_MISMATCH),
        ("1.7.5", device(model="Plus1ZB"), Reason.WRONG_HARDWARE),
    ],
)
def test_a_shelly_package_must_name_the_app_and_the_version(version: str, target: Device, reason: Reason) -> None:
    assert refusal(package(), ZIP, release(version=version), target) is reason


@pytest.mark.parametrize(
    ("data", "offered", "target", "reason"),
    [
        (ota(version=2), image(), lamp(), None),
        (ota(version=2), image(image_type=""), lamp(), None),
        (ota(version=2, maker=0x1234), image(), lamp(), Reason.WRONG_HARDWARE),
        (ota(version=2, kind=0x1234), image(), lamp(), Reason.WRONG_HARDWARE),
        (ota(version=3), image(), lamp(), Reason.WRONG_IMAGE),
        (ota(version=2), image(), lamp(version="2"), Reason.ROLLBACK_DETECTED),
        (ota(version=2), image(), lamp(version="3"), None),
        (ota(version=2), image("1.2.0", version_scheme=VersionScheme.SEMVER), lamp(version="1.0.0"), None),
        (b"no image", image(), lamp(), Reason.NOT_FIRMWARE),
    ],
)
def test_a_zigbee_image_must_be_of_the_type_and_version_that_was_approved(
    data: bytes, offered: Release, target: Device, reason: Reason | None
) -> None:
    assert refusal(data, OTA, offered, target) is reason


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (lamp(), Reason.WRONG_HARDWARE),
        (lamp(hardware="1"), Reason.WRONG_HARDWARE),
        (lamp(hardware="2"), None),
        (lamp(image=OTA.url), None),
        (lamp(image="https://zigbee.example/other.ota"), Reason.WRONG_HARDWARE),
    ],
)
def test_an_image_for_certain_hardware_is_for_devices_that_say_so_or_for_whom_it_was_found(
    target: Device, reason: Reason | None
) -> None:
    assert refusal(ota(version=2, **FOR_HARDWARE_2_AND_3), OTA, image(), target) is reason


ESP, PACKED = artifact(format=ArtifactFormat.ESP), artifact(format=ArtifactFormat.ESP_GZIP)
RAW = artifact(format=ArtifactFormat.RAW)
C3 = esp32_image(b"program", chip_id=CHIP_IDS["ESP32-C3"])
SMALL = esp8266_image(b"program")


def tasmota(chip: str) -> Device:
    return device(dialect="tasmota", manufacturer="Tasmota", model=chip, variant="tasmota32")


@pytest.mark.parametrize(
    ("data", "found", "target", "reason"),
    [
        (C3, ESP, tasmota("ESP32-C3"), None),
        (C3, RAW, tasmota("ESP32-C3"), None),
        (C3, ESP, tasmota("ESP32-S3"), Reason.WRONG_HARDWARE),
        (C3, RAW, tasmota("ESP32-S3"), Reason.WRONG_HARDWARE),
        (C3, ESP, tasmota("ESP8266"), Reason.WRONG_HARDWARE),
        (SMALL, ESP, tasmota("ESP32-C3"), Reason.WRONG_HARDWARE),
        (esp32_image(b"program"), ESP, tasmota("ESP32-SOLO1"), None),
        (SMALL, ESP, tasmota("ESP8266"), None),
        (gzip.compress(SMALL), PACKED, tasmota("ESP8266"), None),
        (gzip.compress(SMALL), RAW, tasmota("ESP8266"), None),
        (gzip.compress(SMALL), ESP, tasmota("ESP8266"), Reason.NOT_FIRMWARE),
        (SMALL, PACKED, tasmota("ESP8266"), Reason.NOT_FIRMWARE),
        (gzip.compress(C3), PACKED, tasmota("ESP32-C3"), Reason.WRONG_HARDWARE),
        (C3, ESP, device(hardware="ESP32-C3 v0.4"), None),
        (C3, ESP, device(hardware="ESP32-S3"), Reason.WRONG_HARDWARE),
        (C3, ESP, device(hardware="ESP32"), None),
        (SMALL, ESP, device(hardware="ESP32"), Reason.WRONG_HARDWARE),
        (gzip.compress(C3), PACKED, device(hardware="rev2"), Reason.WRONG_HARDWARE),
        (C3, ESP, device(hardware="rev2"), None),
    ],
    ids=lambda value: f"{len(value)} bytes" if isinstance(value, bytes) else None,
)
def test_an_espressif_image_must_be_for_the_chip_that_the_device_says_it_has(
    data: bytes, found: Artifact, target: Device, reason: Reason | None
) -> None:
    assert refusal(data, found, release(), target) is reason


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.NOT_FIRMWARE),
        (b"<html>not found</html>", Reason.NOT_FIRMWARE),
        (C3[1:], Reason.NOT_FIRMWARE),
        (C3[:-1], Reason.SIZE_MISMATCH),
        (C3[:40] + bytes([C3[40] ^ 1]) + C3[41:], Reason.DIGEST_MISMATCH),
        (C3[:1] + b"\xff" + C3[2:], Reason.MALFORMED),
        (C3[:12] + b"\x63" + C3[13:], Reason.DIGEST_MISMATCH),
    ],
    ids=["empty", "a page", "no magic", "cut off", "a flipped bit", "too many segments", "another chip painted on"],
)
def test_an_espressif_image_that_is_not_whole_is_refused(data: bytes, reason: Reason) -> None:
    assert refusal(data, ESP, release(), tasmota("ESP32-C3")) is reason


def test_what_says_nothing_of_itself_passes() -> None:
    assert not is_looked_into(RAW, SWITCH)
    check_artifact(b"anything", RAW, release(), SWITCH)


@pytest.mark.parametrize("form", [form for form in ArtifactFormat if form is not ArtifactFormat.RAW])
def test_every_format_that_says_for_whom_it_is_is_looked_into(form: ArtifactFormat) -> None:
    assert is_looked_into(artifact(format=form), SWITCH)
