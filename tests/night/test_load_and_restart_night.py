"""ESPHome, OpenBeken, OpenMQTTGateway and whatever announces an update: a night in a house, and every way it can go."""

from dataclasses import replace

import pytest

from custom_components.firmware_hub.core.errors import Reason
from custom_components.firmware_hub.core.inputs import CheckRequested
from custom_components.firmware_hub.core.model import Install, InstallState as S, Trust
from simulator.devices.esphome import EsphomeDevice
from simulator.devices.ha_update import HaUpdateDevice
from simulator.devices.loading import LoadingDevice
from simulator.devices.openbeken import OpenBekenDevice
from simulator.devices.openmqttgateway import OpenMqttGatewayDevice
from simulator.families import FAMILIES, OFFERED_BY_VENDOR
from tests.night.conftest import House

KINDS: dict[str, type[LoadingDevice]] = {
    "esphome": EsphomeDevice,
    "ha_update": HaUpdateDevice,
    "openbeken": OpenBekenDevice,
    "openmqttgateway": OpenMqttGatewayDevice,
}
NAME = "thing"


async def plugged_in(house: House, family: str, *wrong: str, speed: float = 200.0) -> LoadingDevice:
    """Publish a new version, and switch a device on that runs the old one."""
    old = FAMILIES[family].old
    new = replace(old, version=FAMILIES[family].new)
    offer = {}
    if family in OFFERED_BY_VENDOR:
        house.vendor.add_file("new.bin", new.build("esp"))
        offer = {"offered": new.version, "offered_url": house.vendor.plain_url("new.bin")}
    else:
        house.vendor.add_release(new)
        house.vendor.publish_again()
        await house.coordinator.async_ask(CheckRequested("test"))
    device = KINDS[family](
        name=NAME, mac="02:00:00:00:BB:01", image=old, link=house.link(), speed=speed, misbehaviours=wrong, **offer
    )
    await house.switch_on(device)
    return device


async def night(house: House) -> Install:
    await house.approve(NAME)
    return await house.verdict(NAME, 60)


@pytest.mark.parametrize("family", KINDS)
async def test_it_is_found_offered_and_installed_by_one_command(house: House, family: str) -> None:
    device = await plugged_in(house, family)
    install = await night(house)
    assert (install.state, install.reason) == (S.SUCCEEDED, None)
    assert device.version == FAMILIES[family].new
    assert len(device.record.commands) == 1
    assert (install.offer.trust is Trust.VENDOR) is (family in OFFERED_BY_VENDOR)


NO_REACTION, TIMED_OUT = (S.FAILED, Reason.NO_REACTION), (S.TIMED_OUT, Reason.NO_RETURN)
LOST = (S.FAILED, Reason.LOST_IN_TRANSFER)
"""Most of these families say nothing: what did not happen shows when the time is over."""


@pytest.mark.parametrize(
    ("family", "wrong", "ended"),
    [
        ("esphome", "does_nothing", NO_REACTION),
        ("esphome", "fails", NO_REACTION),
        ("esphome", "transfer_breaks", NO_REACTION),
        ("esphome", "comes_back_old", NO_REACTION),
        ("esphome", "never_returns", TIMED_OUT),
        ("esphome", "boots_other_version", (S.FAILED, Reason.CAME_BACK_OTHER)),
        ("esphome", "boots_other_model", (S.FAILED, Reason.WRONG_IMAGE)),
        ("openbeken", "does_nothing", NO_REACTION),
        ("openbeken", "fails", NO_REACTION),
        ("openbeken", "transfer_breaks", NO_REACTION),
        ("openbeken", "comes_back_old", NO_REACTION),
        ("openbeken", "never_returns", TIMED_OUT),
        ("openbeken", "boots_other_version", (S.FAILED, Reason.CAME_BACK_OTHER)),
        ("openbeken", "boots_other_model", (S.FAILED, Reason.WRONG_IMAGE)),
        ("openmqttgateway", "does_nothing", NO_REACTION),
        ("openmqttgateway", "fails", LOST),
        ("openmqttgateway", "transfer_breaks", LOST),
        ("openmqttgateway", "comes_back_old", (S.FAILED, Reason.CAME_BACK_OLD)),
        ("openmqttgateway", "never_returns", TIMED_OUT),
        ("openmqttgateway", "boots_other_version", (S.FAILED, Reason.CAME_BACK_OTHER)),
        ("openmqttgateway", "boots_other_model", (S.FAILED, Reason.WRONG_IMAGE)),
        ("ha_update", "does_nothing", NO_REACTION),
        ("ha_update", "fails", LOST),
        ("ha_update", "transfer_breaks", LOST),
        ("ha_update", "forgets_itself", LOST),
        ("ha_update", "comes_back_old", LOST),
        ("ha_update", "never_returns", TIMED_OUT),
        ("ha_update", "boots_other_version", (S.FAILED, Reason.CAME_BACK_OTHER)),
        ("ha_update", "boots_other_model", (S.FAILED, Reason.WRONG_IMAGE)),
    ],
)
async def test_every_way_in_which_it_goes_wrong(house: House, family: str, wrong: str, ended: tuple[S, Reason]) -> None:
    await plugged_in(house, family, wrong)
    install = await night(house)
    assert (install.state, install.reason) == ended


@pytest.mark.parametrize(
    ("family", "other"),
    [("esphome", "speaks_elsewhere"), ("ha_update", "announces_whole"), ("ha_update", "says_only_versions")],
)
async def test_one_that_is_only_different_is_installed_all_the_same(house: House, family: str, other: str) -> None:
    device = await plugged_in(house, family, other)
    install = await night(house)
    assert (install.state, install.reason) == (S.SUCCEEDED, None)
    assert device.version == FAMILIES[family].new
