"""Home Assistant is killed in each state of an install: nothing is lost, and no device is told twice (invariant 9)."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from simulator.broker import HOST, Broker, free_port
from simulator.demo.home_assistant import DOMAIN, HomeAssistant, zone_just_after_midnight
from simulator.demo.shown import Shown, ShownDevice
from simulator.devices.base import DeviceState
from simulator.devices.open import OpenDevice, OpenMisbehaviour
from simulator.images import Image
from simulator.link import OwnLink
from simulator.tap import BrokerTap
from simulator.tricks import Trick
from simulator.vendor import Vendor

OLD, NEW, MAC = "1.0.0", "1.1.0", "02:00:00:00:00:01"
DEVICE_ID = f"mac:{MAC.replace(':', '')}"


@dataclass
class Home:
    """A real Home Assistant with one device, and the means to kill it."""

    broker: Broker
    tap: BrokerTap
    vendor: Vendor
    home_assistant: HomeAssistant
    stack: AsyncExitStack
    shown: Shown

    @property
    def device(self) -> ShownDevice:
        """Return the device as Home Assistant shows it."""
        return self.shown.devices[DEVICE_ID]

    async def switch_on(self, **options: Any) -> OpenDevice:
        """Switch the real device on; it may have been announced before."""
        device = OpenDevice(
            name="plug",
            mac=MAC,
            image=Image("Acme", "PLUG-S1", OLD, hardware="rev2"),
            link=OwnLink(self.broker.host, self.broker.port),
            speed=options.pop("speed", 4.0),
            **options,
        )
        self.stack.push_async_callback(device.stop)
        await device.start()
        return device

    async def approve(self) -> None:
        """Press Update."""
        await self.shown.wait_for(lambda shown: DEVICE_ID in shown.devices and self.device.offered, 30)
        await self.home_assistant.api.call("update", "install", {"entity_id": self.device.entity_id})

    async def reaches(self, state: str, seconds: float = 30) -> None:
        """Wait until Home Assistant shows the install in a state."""
        await self.shown.wait_for(lambda shown: DEVICE_ID in shown.devices and self.device.state == state, seconds)

    async def verdict(self, seconds: float = 60) -> str:
        """Wait for the end of the install."""
        await self.shown.wait_for(lambda shown: DEVICE_ID in shown.devices and self.device.verdict, seconds)
        return self.device.verdict

    async def kill_and_start(self) -> None:
        """End the process without a chance to save anything, and start it again on the same folder."""
        await self.home_assistant.kill()
        await self.home_assistant.start()
        self.shown = await self.stack.enter_async_context(Shown(self.home_assistant.api))

    async def commands(self) -> int:
        """Count the install commands that went over the broker."""
        await self.tap.settle()
        return len(self.tap.install_commands())


async def _written(home_assistant: HomeAssistant, text: str) -> None:
    """Wait until Home Assistant has written its own entries, which it does a second late: they are not ours to lose."""
    path = home_assistant.folder / ".storage" / "core.config_entries"
    async with asyncio.timeout(30):
        while not path.exists() or text not in path.read_text("utf-8"):  # noqa: ASYNC110 - a file of another process
            await asyncio.sleep(0.05)


@pytest.fixture
async def home(tmp_path: Path, broker: Broker) -> AsyncIterator[Home]:
    async with AsyncExitStack() as stack:
        tap = await stack.enter_async_context(broker.tap())
        vendor = await stack.enter_async_context(Vendor("Acme"))
        vendor.add_release(Image("Acme", "PLUG-S1", NEW, hardware="rev2"), dual_bank=True)
        home_assistant = await stack.enter_async_context(HomeAssistant(tmp_path / "config"))
        await home_assistant.set_zone(zone_just_after_midnight(datetime.now(UTC)))
        await home_assistant.set_up_mqtt(broker)
        api = home_assistant.api
        entry = await api.set_up(DOMAIN, {})
        serving = {"address": HOST, "port": free_port()}
        await api.set_options(entry["entry_id"], {"public_sources": {}, "serving": serving})
        feed = {"title": "Acme", "url": vendor.manifest_url, "vendor": "Acme", "keys": vendor.public_jwk}
        await api.add_subentry(entry["entry_id"], "feed", {"next_step_id": "signed"}, feed, {})
        await _written(home_assistant, vendor.manifest_url)
        shown = await stack.enter_async_context(Shown(api))
        yield Home(broker, tap, vendor, home_assistant, stack, shown)


async def test_an_approval_that_waits_is_still_there(home: Home) -> None:
    device = await home.switch_on()
    switch = {"entity_id": "switch.firmware_hub_updates_paused"}
    await home.home_assistant.api.call("switch", "turn_on", switch)
    await _written(home.home_assistant, '"paused":true')
    await home.approve()
    await home.reaches("deferred")
    await home.kill_and_start()
    await home.reaches("deferred")
    assert await home.commands() == 0
    await home.home_assistant.api.call("switch", "turn_off", switch)
    assert await home.verdict() == "succeeded"
    assert (device.version, await home.commands()) == (NEW, 1)


async def test_a_download_begins_again(home: Home) -> None:
    (artifact,) = home.vendor.files
    home.vendor.misbehave(home.vendor.file_url(artifact), Trick.STALLED, times=1)
    device = await home.switch_on()
    await home.approve()
    await home.vendor.wait_for(lambda vendor: vendor.asked(vendor.file_url(artifact)), 30)
    assert home.device.state == "downloading"
    await home.kill_and_start()
    assert await home.verdict() == "succeeded"
    assert (device.version, await home.commands()) == (NEW, 1)


async def test_what_was_downloaded_waits_for_the_devices_word(home: Home) -> None:
    # Announced by somebody who does not answer: the hub has the image and asks in vain.
    info = {"protocol": 1, "manufacturer": "Acme", "model": "PLUG-S1", "hardware": "rev2", "version": OLD, "mac": MAC}
    await home.tap.publish("fwhub/device/plug/info", json.dumps(info), retain=True)
    await home.shown.wait_for(lambda shown: DEVICE_ID in shown.devices)
    await home.kill_and_start()
    await home.approve()
    await home.reaches("downloaded")
    await home.kill_and_start()
    assert await home.commands() == 0
    device = await home.switch_on()
    assert await home.verdict() == "succeeded"
    assert (device.version, await home.commands()) == (NEW, 1)


async def test_a_device_that_installs_is_not_told_again(home: Home) -> None:
    device = await home.switch_on(speed=1.0, download_seconds=1.0)
    await home.approve()
    await device.wait_for(lambda one: one.state is DeviceState.FLASHING, 30)
    assert home.device.state == "installing"
    await home.kill_and_start()
    assert await home.verdict() == "succeeded"
    assert (device.version, await home.commands()) == (NEW, 1)


async def test_a_device_that_restarts_is_waited_for(home: Home) -> None:
    device = await home.switch_on(speed=1.0, download_seconds=1.0)
    await home.approve()
    await home.reaches("rebooting")
    await home.kill_and_start()
    assert await home.verdict() == "succeeded"
    assert (device.version, await home.commands()) == (NEW, 1)


async def test_a_device_that_is_being_proved_is_proved_anew(home: Home) -> None:
    device = await home.switch_on()
    await home.approve()
    await home.reaches("verifying")
    await home.kill_and_start()
    assert await home.verdict() == "succeeded"
    assert (device.version, await home.commands()) == (NEW, 1)


async def test_a_device_that_goes_back_is_followed_to_the_end(home: Home) -> None:
    wrong = [OpenMisbehaviour.FAILS_SELF_TEST, OpenMisbehaviour.IGNORES_ROLLBACK]
    device = await home.switch_on(slots=2, misbehaviours=wrong, trial_seconds=12.0)
    await home.approve()
    await home.reaches("rolling_back")
    await home.kill_and_start()
    assert await home.verdict() == "rolled_back"
    assert (device.version, await home.commands()) == (OLD, 1)


async def test_a_verdict_is_remembered_and_nothing_follows_it(home: Home) -> None:
    device = await home.switch_on()
    await home.approve()
    assert await home.verdict() == "succeeded"
    await home.kill_and_start()
    assert await home.verdict() == "succeeded"
    assert (device.version, await home.commands()) == (NEW, 1)
