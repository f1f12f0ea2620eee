"""Shelly devices in a whole house: found by asking, offered by their vendor's own index, judged by what they run."""

from dataclasses import replace
from typing import Any

import pytest

from custom_components.firmware_hub.core.errors import Reason
from custom_components.firmware_hub.core.model import Device, Install, InstallState, Trust
from simulator.devices.shelly import ShellyDevice, ShellyMisbehaviour as Wrong
from simulator.devices.shelly_gen1 import ShellyGen1Device, ShellyGen1Misbehaviour as WrongGen1
from simulator.images import Image
from simulator.shelly_package import package
from tests.night.conftest import House

OLD, OLD_GEN1 = Image("Shelly", "Plus1", "1.3.3"), Image("Shelly", "SHSW-1", "1.11.8")
NEW, NEW_GEN1 = replace(OLD, version="1.7.5"), replace(OLD_GEN1, version="1.14.0")
MAC = "02:00:00:00:AA:01"
SWITCH, RELAY = "shellyplus1-02000000aa01", "shelly1-00AA01"


async def plugged_in(house: House, *wrong: Wrong, data: bytes = b"", **options: Any) -> ShellyDevice:
    """Publish a release on the page of its app, and switch it on."""
    house.vendor.add_shelly_release(NEW, data=data)
    values: dict[str, Any] = {"name": SWITCH, "mac": MAC, "image": OLD, "speed": 60.0}
    device = ShellyDevice(link=house.link(), misbehaviours=wrong, **values | options)
    await house.switch_on(device)
    return device


async def plugged_in_gen1(house: House, *wrong: WrongGen1, **options: Any) -> ShellyGen1Device:
    """Publish a release on the list of its generation, and switch it on."""
    address = house.vendor.add_shelly_gen1_release(NEW_GEN1)
    values: dict[str, Any] = {"offered": NEW_GEN1.version, "offered_url": address, "speed": 60.0}
    device = ShellyGen1Device(
        name=RELAY, mac=MAC, image=OLD_GEN1, link=house.link(), misbehaviours=wrong, **values | options
    )
    await house.switch_on(device)
    return device


async def night(house: House, name: str) -> Install:
    await house.approve(name)
    return await house.verdict(name)


def known(house: House, name: str) -> Device:
    device = house.coordinator.hub.get(house.device_id(name))
    assert device is not None
    return device


# --- the second generation and later ---------------------------------------------------------------------------------


async def test_it_is_found_offered_and_installed_by_one_command(house: House) -> None:
    device = await plugged_in(house, prefix="shellies/kitchen")
    install = await night(house, SWITCH)
    assert (install.state, install.reason) == (InstallState.SUCCEEDED, None)
    assert (install.offer.feed_id, install.offer.trust) == ("shelly/Plus1", Trust.DIGEST)
    assert device.version == NEW.version
    assert [command.attempt for command in device.record.commands] == [f"install-{install.attempt_id}"]
    assert await house.commands("shellies/kitchen") == 1
    assert [download.body for download in device.record.downloads] == [package(NEW)]


async def test_its_own_schedule_is_known(house: House) -> None:
    await plugged_in(house, auto_update="stable")
    await house.until(lambda: known(house, SWITCH).settings.get("auto_update", "").startswith("stable"))


@pytest.mark.parametrize(
    ("wrong", "state", "reason"),
    [
        (Wrong.BUSY, InstallState.FAILED, Reason.NOT_BEGUN),
        (Wrong.WANTS_PASSWORD, InstallState.FAILED, Reason.DEVICE_REPORTED_FAILURE),
        (Wrong.FAILS, InstallState.FAILED, Reason.DEVICE_REPORTED_FAILURE),
        (Wrong.TRANSFER_BREAKS, InstallState.FAILED, Reason.DEVICE_REPORTED_FAILURE),
        (Wrong.REFUSES_SIGNATURE, InstallState.FAILED, Reason.DEVICE_REPORTED_FAILURE),
        (Wrong.NO_NOTIFICATIONS, InstallState.SUCCEEDED, None),
        (Wrong.ATTACHED_UPDATES, InstallState.SUCCEEDED, None),
        (Wrong.DROPS_CONNECTION, InstallState.SUCCEEDED, None),
        (Wrong.QUIET_RESTART, InstallState.SUCCEEDED, None),
        (Wrong.COMES_BACK_OLD, InstallState.FAILED, Reason.CAME_BACK_OLD),
        (Wrong.NEVER_RETURNS, InstallState.TIMED_OUT, Reason.NO_RETURN),
        (Wrong.BOOTS_OTHER_APP, InstallState.FAILED, Reason.WRONG_IMAGE),
        (Wrong.UPDATES_ITSELF, InstallState.FAILED, Reason.CAME_BACK_OTHER),
        (Wrong.DOES_NOTHING, InstallState.FAILED, Reason.LOST_IN_TRANSFER),
        (Wrong.IGNORES_COMMANDS, InstallState.FAILED, Reason.NO_REACTION),
        (Wrong.ASLEEP_AT_FIRST, InstallState.SUCCEEDED, None),
    ],
)
async def test_every_way_to_go_wrong_has_its_verdict(
    house: House, wrong: Wrong, state: InstallState, reason: Reason | None
) -> None:
    await plugged_in(house, wrong)
    install = await night(house, SWITCH)
    assert (install.state, install.reason) == (state, reason)


@pytest.mark.parametrize(
    ("lie", "reason"),
    [({"name": "Plus1ZB"}, Reason.WRONG_HARDWARE), ({"version": "1.7.4"}, Reason.DIGEST_MISMATCH)],
    ids=["for another app", "of another version"],
)
async def test_a_package_that_says_that_it_is_another_never_reaches_a_device(
    house: House, lie: dict[str, Any], reason: Reason
) -> None:
    device = await plugged_in(house, data=package(NEW, **lie))
    install = await night(house, SWITCH)
    assert (install.state, install.reason) == (InstallState.FAILED, reason)
    assert device.record.commands == []


async def test_a_device_whose_app_has_no_page_is_offered_nothing_and_nobody_is_troubled(house: House) -> None:
    await plugged_in(house, image=replace(OLD, model="Plus9"))
    await house.until(lambda: any(view.last_error for view in house.coordinator.hub_view().feeds))
    assert house.view(SWITCH).offer is None


async def test_a_device_with_a_password_is_asked_no_more_than_it_answers(house: House) -> None:
    await plugged_in(house, Wrong.LOCKED_OUT)
    await house.until(lambda: known(house, SWITCH).settings.get("locked") == "yes")


# --- the first generation --------------------------------------------------------------------------------------------


async def test_the_first_generation_installs_what_its_vendor_offers(house: House) -> None:
    device = await plugged_in_gen1(house)
    install = await night(house, RELAY)
    assert (install.state, install.reason) == (InstallState.SUCCEEDED, None)
    assert install.offer.trust is Trust.VENDOR
    assert device.version == NEW_GEN1.version
    assert await house.commands(RELAY) == 1
    assert [download.url for download in device.record.downloads] == [device.offered_url]


@pytest.mark.parametrize("offered", ["1.13.0", ""])
async def test_what_the_vendor_does_not_offer_this_very_device_is_no_offer(house: House, offered: str) -> None:
    await plugged_in_gen1(house, offered=offered)
    await house.until(lambda: "offered" in known(house, RELAY).settings)
    await house.until(lambda: any(view.releases for view in house.coordinator.hub_view().feeds[1:]))
    assert house.view(RELAY).offer is None


async def test_an_approval_lapses_when_the_vendor_offers_another_version_meanwhile(house: House) -> None:
    house.hass.config_entries.async_update_entry(house.entry, options={**house.entry.options, "paused": True})
    device = await plugged_in_gen1(house)
    await house.approve(RELAY)
    device.offered = "1.15.0"
    house.hass.config_entries.async_update_entry(house.entry, options={**house.entry.options, "paused": False})
    install = await house.verdict(RELAY)
    assert (install.state, install.reason) == (InstallState.CANCELED, Reason.OFFER_MOVED)
    assert await house.commands(RELAY) == 0


@pytest.mark.parametrize(
    ("wrong", "state", "reason"),
    [
        (WrongGen1.COMES_BACK_OLD, InstallState.FAILED, Reason.CAME_BACK_OLD),
        (WrongGen1.FAILS, InstallState.FAILED, Reason.LOST_IN_TRANSFER),
        (WrongGen1.TRANSFER_BREAKS, InstallState.FAILED, Reason.LOST_IN_TRANSFER),
        (WrongGen1.DOES_NOTHING, InstallState.FAILED, Reason.NO_REACTION),
        (WrongGen1.NEVER_RETURNS, InstallState.TIMED_OUT, Reason.NO_RETURN),
        (WrongGen1.BOOTS_OTHER_BUILD, InstallState.FAILED, Reason.CAME_BACK_OTHER),
        (WrongGen1.BOOTS_OTHER_MODEL, InstallState.FAILED, Reason.WRONG_IMAGE),
        (WrongGen1.LOSES_SETTINGS, InstallState.FAILED, Reason.SETTINGS_LOST),
        (WrongGen1.ONLY_ANNOUNCES_TO_ALL, InstallState.SUCCEEDED, None),
    ],
)
async def test_every_way_of_the_first_generation_to_go_wrong_has_its_verdict(
    house: House, wrong: WrongGen1, state: InstallState, reason: Reason | None
) -> None:
    # That it restarted shows in how long it runs, in whole seconds: not so fast.
    await plugged_in_gen1(house, wrong, speed=12.0 if wrong is WrongGen1.COMES_BACK_OLD else 60.0)
    install = await night(house, RELAY)
    assert (install.state, install.reason) == (state, reason)
