"""The broker, the vendor's server or the disk fail: a reason each, nothing lost, and the other devices go on."""

import pytest
from homeassistant.helpers import issue_registry as ir

from custom_components.firmware_hub.const import DOMAIN
from custom_components.firmware_hub.core.errors import OutsideFailed, Reason
from custom_components.firmware_hub.core.inputs import ApproveRequested
from custom_components.firmware_hub.core.model import InstallState
from simulator.devices.open import OpenMisbehaviour
from simulator.tricks import Trick
from tests.night.conftest import NEW, OLD, House
from tests.night.full_disk import FullDisk

S = InstallState


# --- the broker -------------------------------------------------------------------------------------------------------


async def test_a_broker_gone_before_the_command_delays_the_install_and_nothing_is_queued(house: House) -> None:
    await house.open_device("plug")
    await house.until(lambda: house.view("plug").offer is not None)
    house.broker.stop()
    await house.until(lambda: not house.coordinator.hub_view().connected)
    await house.approve("plug")
    assert house.view("plug").reason is Reason.BROKER_DISCONNECTED
    house.broker.start()
    assert (await house.verdict("plug", 40)).state is S.SUCCEEDED
    assert await house.commands("plug") == 1


async def test_a_broker_restarted_while_the_device_installs_costs_no_second_command(house: House) -> None:
    device = await house.open_device("plug", speed=10)
    await house.approve("plug")
    await device.wait_for(lambda one: one.record.commands)
    house.broker.restart()
    assert (await house.verdict("plug", 40)).state is S.SUCCEEDED
    assert device.version == NEW
    assert len(device.record.commands) == 1


async def test_a_broker_gone_while_the_device_returns_gives_no_false_verdict(house: House) -> None:
    device = await house.open_device("plug", speed=10)
    await house.approve("plug")
    await house.reaches("plug", S.REBOOTING)
    house.broker.stop()
    await house.until(lambda: not house.coordinator.hub_view().connected)
    current = house.install("plug")
    assert current is not None
    assert current.state.is_commanded
    house.broker.start()
    assert (await house.verdict("plug", 40)).state is S.SUCCEEDED
    assert device.version == NEW


# --- the vendor's server ----------------------------------------------------------------------------------------------

BAD_ARTIFACTS = {
    Trick.NOT_FOUND: Reason.NOT_FOUND,
    Trick.SERVER_ERROR: Reason.HTTP_ERROR,
    Trick.LOGIN_PAGE: Reason.NOT_FIRMWARE,
    Trick.WRONG_LENGTH: Reason.SIZE_MISMATCH,
    Trick.ENDLESS: Reason.SIZE_MISMATCH,
    Trick.SHORT: Reason.SIZE_MISMATCH,
    Trick.WRONG_BYTES: Reason.DIGEST_MISMATCH,
}


@pytest.mark.parametrize("trick", BAD_ARTIFACTS, ids=str)
async def test_a_bad_artifact_fails_with_its_reason_and_no_device_hears_of_it(house: House, trick: Trick) -> None:
    await house.open_device("plug")
    light = await house.open_device("light", "LIGHT-D2")
    artifact = next(name for name in house.vendor.files if name.startswith("plug"))
    house.vendor.misbehave(house.vendor.file_url(artifact), trick)
    await house.approve("plug")
    await house.approve("light")
    install = await house.verdict("plug")
    assert (install.state, install.reason) == (S.FAILED, BAD_ARTIFACTS[trick])
    assert await house.commands("plug") == 0
    assert (await house.verdict("light")).state is S.SUCCEEDED
    assert light.version == NEW


async def test_an_artifact_that_fails_once_is_fetched_again(house: House) -> None:
    await house.open_device("plug")
    artifact = next(name for name in house.vendor.files if name.startswith("plug"))
    house.vendor.misbehave(house.vendor.file_url(artifact), Trick.SERVER_ERROR, times=1)
    await house.approve("plug")
    assert (await house.verdict("plug")).state is S.SUCCEEDED


# --- the disk ---------------------------------------------------------------------------------------------------------


async def test_a_yes_that_a_full_disk_does_not_take_is_none_and_can_be_said_again(house: House) -> None:
    full_disk = FullDisk(house.coordinator.store)
    device = await house.open_device("plug")
    await house.until(lambda: house.view("plug").offer is not None)
    await full_disk.fill()
    with pytest.raises(OutsideFailed) as failed:
        await house.coordinator.async_ask(ApproveRequested(house.device_id("plug"), "test"))
    assert failed.value.reason is Reason.DISK_FULL
    await house.until(lambda: _has_issue(house, "store_failed"))
    await full_disk.empty()
    await house.until(lambda: not _has_issue(house, "store_failed"))
    assert (await house.verdict("plug")).state is S.CANCELED
    assert await house.commands("plug") == 0
    assert device.version == OLD
    await house.approve("plug")
    await house.until(lambda: device.version == NEW)
    assert (await house.verdict("plug")).state is S.SUCCEEDED


async def test_a_full_disk_at_the_write_ahead_sends_nothing_until_there_is_room(house: House) -> None:
    full_disk = FullDisk(house.coordinator.store)
    device = await house.open_device("plug")
    await house.until(lambda: house.view("plug").offer is not None)
    house.broker.stop()
    await house.until(lambda: not house.coordinator.hub_view().connected)
    await house.approve("plug")
    await full_disk.fill()
    house.broker.start()
    await house.until(lambda: _has_issue(house, "store_failed"))
    assert await house.commands("plug") == 0
    assert device.version == OLD
    await full_disk.empty()
    assert (await house.verdict("plug", 40)).state is S.SUCCEEDED
    await house.until(lambda: not _has_issue(house, "store_failed"))
    assert await house.commands("plug") == 1


def _has_issue(house: House, kind: str) -> bool:
    issues = ir.async_get(house.hass).issues
    return any(domain == DOMAIN and issue_id.startswith(kind) for domain, issue_id in issues)


# --- the devices ------------------------------------------------------------------------------------------------------

VERDICTS = {
    OpenMisbehaviour.COMES_BACK_OLD: (S.FAILED, Reason.CAME_BACK_OLD),
    OpenMisbehaviour.NEVER_RETURNS: (S.TIMED_OUT, Reason.NO_RETURN),
    OpenMisbehaviour.REPORTS_FAILED: (S.FAILED, Reason.DEVICE_REPORTED_FAILURE),
    OpenMisbehaviour.REPORTS_REJECTED: (S.REJECTED, Reason.IMAGE_REFUSED),
    OpenMisbehaviour.IGNORES_COMMANDS: (S.FAILED, Reason.NO_REACTION),
    OpenMisbehaviour.LIES_ABOUT_SUCCESS: (S.FAILED, Reason.CAME_BACK_OLD),
    OpenMisbehaviour.IDENTITY_CHANGES: (S.FAILED, Reason.WRONG_IMAGE),
    OpenMisbehaviour.TRANSFER_BREAKS: (S.FAILED, Reason.DEVICE_REPORTED_FAILURE),
    OpenMisbehaviour.STUCK_AT_ZERO: (S.FAILED, Reason.LOST_IN_TRANSFER),
    OpenMisbehaviour.PROGRESS_JUMPS_BACK: (S.SUCCEEDED, None),
    OpenMisbehaviour.DROPS_CONNECTION: (S.SUCCEEDED, None),
    OpenMisbehaviour.NO_GOODBYE: (S.SUCCEEDED, None),
}


@pytest.mark.parametrize("misbehaviour", VERDICTS, ids=str)
async def test_a_misbehaving_device_gets_the_verdict_that_it_deserves(
    house: House, misbehaviour: OpenMisbehaviour
) -> None:
    await house.open_device("plug", misbehaviours=[misbehaviour])
    await house.approve("plug")
    install = await house.verdict("plug")
    assert (install.state, install.reason) == VERDICTS[misbehaviour]
    assert not house.tap.duplicates()


DUAL_BANK = {
    None: (S.SUCCEEDED, None),
    OpenMisbehaviour.FAILS_SELF_TEST: (S.ROLLED_BACK, Reason.ROLLED_BACK_UNHEALTHY),
    OpenMisbehaviour.FAILS_AND_GOES_BACK: (S.ROLLED_BACK, Reason.ROLLED_BACK_UNHEALTHY),
    OpenMisbehaviour.COMES_BACK_OLD: (S.ROLLED_BACK, Reason.SELF_ROLLBACK),
    OpenMisbehaviour.LOSES_FIRST_COMMIT: (S.SUCCEEDED, None),
}


@pytest.mark.parametrize("misbehaviour", DUAL_BANK, ids=str)
async def test_a_device_on_trial_is_committed_only_when_it_is_well(
    house: House, misbehaviour: OpenMisbehaviour | None
) -> None:
    wrong = [] if misbehaviour is None else [misbehaviour]
    device = await house.open_device("light", "LIGHT-D2", slots=2, misbehaviours=wrong)
    await house.approve("light")
    install = await house.verdict("light")
    assert (install.state, install.reason) == DUAL_BANK[misbehaviour]
    assert device.version == (NEW if install.state is S.SUCCEEDED else OLD)
