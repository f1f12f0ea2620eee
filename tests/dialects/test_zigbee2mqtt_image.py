"""Zigbee2MQTT: the file that a bridge found for a device says of which image type the device is."""

from __future__ import annotations

from typing import Any

import pytest

from custom_components.firmware_hub.core.inputs import DeviceReported
from custom_components.firmware_hub.core.model import DeviceFacts

from .talk import fleet_of
from .test_zigbee2mqtt import BULB, CAPTURED, Z2M, read, shows

IMAGE = "https://raw.githubusercontent.com/Koenkk/zigbee-OTA/master/images/IKEA/bulb.ota"
OTHER = "https://raw.githubusercontent.com/Koenkk/zigbee-OTA/master/images/IKEA/other.ota"


def images(*named: Any) -> list[str | None]:
    """Return what each of these states teaches of the image, one after the other."""
    fleet = fleet_of(Z2M, *CAPTURED[:6])
    taught: list[str | None] = []
    for name in named:
        told = shows(268435456, "available", latest_source=name)
        items = [item for item in read(fleet, told) if isinstance(item, DeviceReported) and item.facts.image]
        taught.extend([item.facts.image for item in items] or [None])
        fleet = fleet_of(Z2M, *CAPTURED[:6], *(shows(268435456, latest_source=one) for one in named[: len(taught)]))
    return taught


def test_the_file_that_the_bridge_found_is_learnt() -> None:
    assert images(IMAGE) == [IMAGE]


def test_it_is_learnt_once() -> None:
    assert images(IMAGE, IMAGE) == [IMAGE, None]


def test_another_file_takes_its_place() -> None:
    assert images(IMAGE, OTHER) == [IMAGE, OTHER]


def test_it_stays_known_when_nothing_newer_is_left() -> None:
    fleet = fleet_of(Z2M, *CAPTURED[:6], shows(268435456, latest_source=IMAGE), shows(536870912, latest_source=None))
    assert fleet.devices[BULB].image == IMAGE
    assert fleet.devices[BULB].fit_key.image == IMAGE


@pytest.mark.parametrize("name", ["new.ota", "/data/ota/bulb.ota", "file:///bulb.ota", "", None, "https://a b/x.ota"])
def test_what_is_no_web_address_teaches_nothing(name: str | None) -> None:
    assert images(name) == [None]


def test_a_file_is_kept_beside_what_else_a_state_teaches() -> None:
    fleet = fleet_of(Z2M, *CAPTURED[:2])
    (report,) = [item for item in read(fleet, shows(7, latest_source=IMAGE)) if isinstance(item, DeviceReported)][:1]
    assert isinstance(report.facts, DeviceFacts)
    assert report.facts.image == IMAGE
    assert report.facts.channel is not None
    assert report.facts.channel["shown"] == "7"
