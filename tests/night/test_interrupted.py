"""Whatever is reloaded, disabled or removed: nothing is lost, and no attempt is sent twice (invariant 9)."""

import pytest
from homeassistant.config_entries import ConfigEntryDisabler, ConfigEntryState

from custom_components.firmware_hub.core.model import InstallState
from simulator.tricks import Trick
from tests.night.conftest import NEW, House

S = InstallState


async def _begin(house: House, state: InstallState) -> None:
    """Bring a device to a state and return while it is in it."""
    await house.open_device("plug", speed=10)
    artifact = f"/files/{next(name for name in house.vendor.files if name.startswith('plug'))}"
    if state is S.DOWNLOADING:
        house.vendor.misbehave(artifact, Trick.SLOW, times=1)
    await house.approve("plug")
    await house.reaches("plug", state)
    if state is S.DOWNLOADING:
        await house.vendor.wait_for(lambda vendor: vendor.asked(artifact))
    if state is S.INSTALLING:
        await house.devices["plug"].wait_for(lambda device: device.record.commands)


@pytest.mark.parametrize("state", [S.DOWNLOADING, S.INSTALLING, S.REBOOTING, S.VERIFYING], ids=str)
async def test_a_reload_loses_nothing_and_sends_nothing_twice(house: House, state: InstallState) -> None:
    await _begin(house, state)
    before = house.install("plug")
    assert await house.hass.config_entries.async_reload(house.entry.entry_id)
    install = await house.verdict("plug")
    assert before is not None
    assert install.id == before.id
    assert install.state is S.SUCCEEDED
    assert house.devices["plug"].version == NEW
    assert await house.commands("plug") == 1


async def test_an_approval_that_waits_survives_a_reload(house: House) -> None:
    await house.open_device("plug")
    house.hass.config_entries.async_update_entry(house.entry, options={**house.entry.options, "paused": True})
    await house.until(lambda: house.coordinator.hub_view().paused)
    await house.approve("plug")
    before = house.install("plug")
    assert await house.hass.config_entries.async_reload(house.entry.entry_id)
    after = house.install("plug")
    assert before is not None
    assert after is not None
    assert (after.id, after.approval) == (before.id, before.approval)
    assert await house.commands("plug") == 0


async def test_a_disabled_entry_takes_its_install_up_again_when_it_is_enabled(house: House) -> None:
    await _begin(house, S.INSTALLING)
    await house.hass.config_entries.async_set_disabled_by(house.entry.entry_id, ConfigEntryDisabler.USER)
    await house.devices["plug"].wait_for(lambda device: device.version == NEW)
    await house.hass.config_entries.async_set_disabled_by(house.entry.entry_id, None)
    assert (await house.verdict("plug")).state is S.SUCCEEDED
    assert await house.commands("plug") == 1


async def test_a_command_that_was_written_down_counts_as_sent_until_its_deadline(house: House) -> None:
    await house.open_device("plug")
    await house.approve("plug")
    await house.reaches("plug", S.INSTALLING)
    assert await house.commands("plug") == 0
    assert await house.hass.config_entries.async_reload(house.entry.entry_id)
    first = house.install("plug")
    assert first is not None
    assert (first.state, first.attempt) == (S.INSTALLING, 1)
    install = await house.verdict("plug")
    assert (install.state, install.attempt) == (S.SUCCEEDED, 2)
    assert await house.commands("plug") == 1


async def test_removing_the_entry_in_the_middle_leaves_the_device_alone(house: House) -> None:
    await _begin(house, S.INSTALLING)
    await house.hass.config_entries.async_remove(house.entry.entry_id)
    assert house.entry.state is ConfigEntryState.NOT_LOADED
    assert await house.commands("plug") == 1


async def test_reloading_mqtt_in_the_middle_loses_nothing(house: House) -> None:
    await _begin(house, S.INSTALLING)
    assert await house.hass.config_entries.async_reload(house.mqtt_entry.entry_id)
    assert (await house.verdict("plug")).state is S.SUCCEEDED
    assert await house.commands("plug") == 1


async def test_options_are_applied_in_place_while_an_install_runs(house: House) -> None:
    await _begin(house, S.INSTALLING)
    coordinator = house.coordinator
    house.hass.config_entries.async_update_entry(house.entry, options={**house.entry.options, "paused": True})
    assert (await house.verdict("plug")).state is S.SUCCEEDED
    assert house.coordinator is coordinator
