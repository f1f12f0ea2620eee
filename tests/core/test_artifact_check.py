"""What is looked at in a file before a device gets it: it says itself for whom it is, and that must be this device."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from custom_components.firmware_hub.core.artifact_check import LOOKED_INTO, check_artifact
from custom_components.firmware_hub.core.errors import HubError, Reason
from custom_components.firmware_hub.core.model import Artifact, ArtifactFormat, Device, Match, Release, VersionScheme

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


def test_what_says_nothing_of_itself_passes() -> None:
    assert ArtifactFormat.RAW not in LOOKED_INTO
    check_artifact(b"anything", artifact(), release(), SWITCH)
