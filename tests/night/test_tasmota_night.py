"""Tasmota in a whole house: an image that its device cannot run is found out before the device hears of it."""

from dataclasses import replace

import pytest

from custom_components.firmware_hub.core.errors import Reason
from custom_components.firmware_hub.core.model import InstallState
from simulator.devices.tasmota import TasmotaDevice
from simulator.images import Image
from tests.night.conftest import House

OLD = Image("Tasmota", "ESP32-C3", "14.6.0", variant="tasmota32")
NEW = replace(OLD, version="15.1.0")
RIGHT, OF_ANOTHER_CHIP = NEW.build("esp"), replace(NEW, model="ESP32").build("esp")
BOILER = "boiler"


@pytest.mark.parametrize(
    ("published", "state", "reason"),
    [
        (RIGHT, InstallState.SUCCEEDED, None),
        (OF_ANOTHER_CHIP, InstallState.FAILED, Reason.WRONG_HARDWARE),
        (RIGHT[:-64], InstallState.FAILED, Reason.SIZE_MISMATCH),
    ],
    ids=["right", "of another chip", "cut off"],
)
async def test_only_a_whole_image_for_its_chip_reaches_a_device(
    house: House, published: bytes, state: InstallState, reason: Reason | None
) -> None:
    release = house.vendor.add_tasmota_release(NEW.version, only=["tasmota32c3"])
    release.assets["tasmota32c3.bin"] = published
    sources = {"tasmota_enabled": True, "tasmota_mirror": house.vendor.releases_url}
    options = {**house.entry.options, "public_sources": sources}
    house.hass.config_entries.async_update_entry(house.entry, options=options)
    device = TasmotaDevice(name=BOILER, mac="02:00:00:00:AA:01", image=OLD, link=house.link(), speed=60.0)
    await house.switch_on(device)
    await house.approve(BOILER)
    install = await house.verdict(BOILER)
    assert (install.state, install.reason) == (state, reason)
    ordered = int(reason is None)
    assert (len(device.record.commands), await house.commands(BOILER)) == (ordered, ordered)
    assert device.version == (OLD if reason else NEW).version
