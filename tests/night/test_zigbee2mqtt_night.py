"""Zigbee2MQTT in a whole house: devices are found, asked, offered what its own index names, installed and judged."""

import hashlib
from datetime import timedelta
from typing import Any

import pytest
from homeassistant.util import dt as dt_util

from custom_components.firmware_hub.core import limits
from custom_components.firmware_hub.core.asking import Asking
from custom_components.firmware_hub.core.errors import Reason
from custom_components.firmware_hub.core.inputs import UnapproveRequested
from custom_components.firmware_hub.core.model import Install, InstallState, Trust
from simulator.devices import zigbee2mqtt
from simulator.devices.base import DeviceState
from simulator.devices.zigbee2mqtt import ZigbeeDevice, ZigbeeMisbehaviour as Wrong
from simulator.devices.zigbee2mqtt_bridge import Zigbee2MqttBridge
from simulator.images import Image
from simulator.vendor import ZIGBEE_PATH
from simulator.zigbee_images import build_ota
from tests.night.conftest import House

OLD, NEW = Image("IKEA of Sweden", "bulb", "268435456"), Image("IKEA of Sweden", "bulb", "536870912")
LAMP = "lamp"
HOUR = timedelta(hours=1)


async def bridge(house: House, *names: str, base: str = "zigbee2mqtt", **options: Any) -> Zigbee2MqttBridge:
    """Publish an image, and start a bridge with these lamps that knows the same index."""
    if ZIGBEE_PATH not in house.vendor.pages:
        house.vendor.add_zigbee_release(NEW)
    made = Zigbee2MqttBridge(link=house.link(), base=base, speed=60.0, index=house.vendor.pages[ZIGBEE_PATH])
    for name in names:
        ieee = f"0x000d6f00{len(house.devices) + 2:08x}"
        house.devices[name] = made.add(name, OLD, **{"ieee": ieee} | options)
    house.stack.push_async_callback(made.stop)
    await made.start()
    ids = [house.device_id(name) for name in names]
    await house.until(lambda: all(house.coordinator.device_view(device_id) is not None for device_id in ids))
    return made


def lamp(house: House, name: str = LAMP) -> ZigbeeDevice:
    device = house.devices[name]
    assert isinstance(device, ZigbeeDevice)
    return device


async def night(house: House, name: str = LAMP) -> Install:
    await house.approve(name)
    return await house.verdict(name)


async def test_it_is_found_asked_offered_and_installed_by_one_command(house: House) -> None:
    await bridge(house, LAMP, base="home/zigbee")
    install = await night(house)
    assert (install.state, install.reason) == (InstallState.SUCCEEDED, None)
    assert (install.offer.feed_id, install.offer.trust) == ("zigbee_ota", Trust.DIGEST)
    assert lamp(house).version == NEW.version
    assert await house.commands(lamp(house).ieee) == 1
    assert [command.attempt for command in lamp(house).record.commands] == [f"{install.attempt_id}@{lamp(house).ieee}"]


@pytest.mark.parametrize(
    ("wrong", "state", "reason"),
    [
        (Wrong.REFUSES_IMAGE, InstallState.REJECTED, Reason.IMAGE_REFUSED),
        (Wrong.GIVES_UP, InstallState.FAILED, Reason.DEVICE_REPORTED_FAILURE),
        (Wrong.STALLS, InstallState.FAILED, Reason.DEVICE_REPORTED_FAILURE),
        (Wrong.KILLS_BRIDGE, InstallState.FAILED, Reason.DEVICE_REPORTED_FAILURE),
        (Wrong.COMES_BACK_OLD, InstallState.FAILED, Reason.CAME_BACK_OLD),
        (Wrong.NEVER_RETURNS, InstallState.TIMED_OUT, Reason.NO_RETURN),
        (Wrong.NO_ANNOUNCE, InstallState.SUCCEEDED, None),
    ],
)
async def test_every_way_to_go_wrong_has_its_verdict(
    house: House, wrong: Wrong, state: InstallState, reason: Reason | None
) -> None:
    await bridge(house, LAMP, misbehaviours=[wrong])
    install = await night(house)
    assert (install.state, install.reason) == (state, reason)


async def test_what_the_bridge_did_not_begin_is_tried_again_under_another_id(house: House) -> None:
    await bridge(house, LAMP)
    await house.until(lambda: house.view(LAMP).offer is not None)
    lamp(house).misbehaviours.add(Wrong.BUSY)
    await house.approve(LAMP)
    await house.until(lambda: (now := house.install(LAMP)) is not None and now.reason is Reason.WAITS_FOR_RETRY)
    lamp(house).misbehaviours.discard(Wrong.BUSY)
    install = await house.verdict(LAMP)
    assert (install.state, install.attempt) == (InstallState.SUCCEEDED, 2)
    assert len({command.attempt for command in lamp(house).record.commands}) == 2


async def test_an_image_of_another_type_than_the_index_says_never_reaches_a_device(house: House) -> None:
    entry = house.vendor.add_zigbee_release(NEW)
    bad = build_ota(NEW, image_type=0x1234)
    house.vendor.files[str(entry["fileName"])] = bad
    entry["sha512"] = hashlib.sha512(bad).hexdigest()
    await bridge(house, LAMP)
    install = await night(house)
    assert (install.state, install.reason) == (InstallState.FAILED, Reason.WRONG_HARDWARE)
    assert lamp(house).record.commands == []


async def test_other_bytes_than_those_of_the_index_never_reach_a_device(house: House) -> None:
    entry = house.vendor.add_zigbee_release(NEW)
    house.vendor.files[str(entry["fileName"])] += b"x"
    await bridge(house, LAMP)
    install = await night(house)
    assert (install.state, install.reason) == (InstallState.FAILED, Reason.DIGEST_MISMATCH)
    assert lamp(house).record.commands == []


async def test_one_bridge_transfers_one_image_at_a_time(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Asking, "_take", lambda *_: None)  # first questions ten seconds apart would prove nothing here
    names = ["one", "two", "three"]
    await bridge(house, *names)
    most = 0

    def count() -> None:
        nonlocal most
        most = max(most, sum(lamp(house, name).state is DeviceState.DOWNLOADING for name in names))

    for name in names:
        lamp(house, name).on_change(count)
        await house.approve(name)
    assert [(await house.verdict(name)).state for name in names] == [InstallState.SUCCEEDED] * 3
    assert most == 1


async def test_a_renamed_lamp_is_the_same_lamp(house: House) -> None:
    made = await bridge(house, LAMP)
    await house.until(lambda: house.view(LAMP).offer is not None)
    await made.rename(lamp(house), "kitchen/ceiling")
    await house.until(lambda: house.view(LAMP).device.name == "kitchen/ceiling")
    assert (await night(house)).state is InstallState.SUCCEEDED


# --- sleepers --------------------------------------------------------------------------------------------------------


@pytest.fixture
def old_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a sleeper's word outdated by the time at which it sleeps again."""
    monkeypatch.setattr(limits, "FRESH_REPORT", timedelta(seconds=0.1))
    monkeypatch.setattr(limits, "UNSCHEDULE_RETRY", timedelta(seconds=1))


async def asleep(house: House) -> Zigbee2MqttBridge:
    """Have a sensor that was awake once, and whose approved install its bridge holds until it wakes again."""
    made = await bridge(house, LAMP, misbehaviours=[Wrong.SLEEPS])
    await made.wait_for(lambda one: asked(one, "check"))
    await lamp(house).wake()
    await house.until(lambda: house.view(LAMP).offer is not None)
    await lamp(house).wait_for(lambda device: not device.awake)
    await house.approve(LAMP)
    await house.reaches(LAMP, InstallState.SCHEDULED)
    await made.wait_for(lambda one: bool(one.scheduled))
    return made


def asked(made: Zigbee2MqttBridge, word: str) -> list[str]:
    """Return the transactions of the requests of one kind, in their order."""
    return [str(body["transaction"]) for topic, body in made.requests if topic.endswith(f"/{word}")]


@pytest.mark.usefixtures("old_words")
async def test_a_sleeper_is_installed_when_it_wakes_by_the_one_command_that_its_bridge_held(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await asleep(house)
    view = house.view(LAMP)
    assert (view.state, view.reason, view.in_progress) == (InstallState.SCHEDULED, Reason.DEVICE_ASLEEP, False)
    monkeypatch.setattr(zigbee2mqtt, "AWAKE_SECONDS", 1200.0)  # it is to hear what it is asked, however busy all are
    await lamp(house).wake()
    install = await house.verdict(LAMP)
    assert (install.state, install.reason, lamp(house).version) == (InstallState.SUCCEEDED, None, NEW.version)
    assert asked(made, "schedule") == [f"{install.attempt_id}@{lamp(house).ieee}"]
    assert (asked(made, "update"), await house.commands(lamp(house).ieee)) == ([], 1)


@pytest.mark.usefixtures("old_words")
async def test_a_sleeper_that_its_owner_takes_back_is_not_installed_when_it_wakes(house: House) -> None:
    made = await asleep(house)
    await house.coordinator.async_ask(UnapproveRequested(house.device_id(LAMP), "test"))
    install = await house.verdict(LAMP)
    assert (install.state, install.reason) == (InstallState.CANCELED, Reason.CANCELED_BY_OWNER)
    assert made.scheduled == {}
    await lamp(house).wake()
    await lamp(house).wait_for(lambda device: not device.awake)
    assert (lamp(house).image, lamp(house).record.downloads) == (OLD, [])


@pytest.mark.usefixtures("old_words")
async def test_nothing_is_left_with_a_bridge_over_restarts_and_outside_the_window(house: House) -> None:
    made = await asleep(house)
    await house.hass.config_entries.async_reload(house.entry.entry_id)
    await house.until(lambda: len(asked(made, "schedule")) == 2 and house.view(LAMP).state is InstallState.SCHEDULED)
    await made.die()
    await made.come_back()
    await house.until(lambda: len(asked(made, "schedule")) == 3 and house.view(LAMP).state is InstallState.SCHEDULED)
    later = dt_util.now() + timedelta(hours=2)
    closed = {"window_start": later.strftime("%H:%M:00"), "window_end": (later + HOUR).strftime("%H:%M:00")}
    house.hass.config_entries.async_update_entry(house.entry, options={**house.entry.options, **closed})
    await house.until(lambda: house.view(LAMP).reason is Reason.WAITS_FOR_WINDOW and not made.scheduled)
    assert len(set(asked(made, "schedule"))) == 3
    await lamp(house).wake()
    await lamp(house).wait_for(lambda device: not device.awake)
    assert (lamp(house).image, lamp(house).record.downloads) == (OLD, [])
