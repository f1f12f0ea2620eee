"""The real core and the real dialect against the simulated Zigbee2MQTT: how each kind of install ends.

Nothing of Home Assistant is here. The hub's clock runs as fast as the simulated devices do.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Self, override

import pytest

from custom_components.firmware_hub.core import effects as e, inputs as i, limits
from custom_components.firmware_hub.core.errors import Reason
from custom_components.firmware_hub.core.hub import Hub
from custom_components.firmware_hub.core.model import (
    Artifact,
    ArtifactFormat,
    ArtifactRole,
    Feed,
    Install,
    Manifest,
    Match,
    Release,
    Trust,
    VersionScheme,
)
from custom_components.firmware_hub.core.settings import Settings
from custom_components.firmware_hub.dialects.base import InstallOrder, Message, Outgoing
from custom_components.firmware_hub.dialects.zigbee2mqtt import Zigbee2MqttDialect
from simulator.broker import Broker, BrokerTap
from simulator.devices.base import DeviceState
from simulator.devices.zigbee2mqtt import ZigbeeDevice, ZigbeeMisbehaviour
from simulator.devices.zigbee2mqtt_bridge import Zigbee2MqttBridge
from simulator.images import Image
from simulator.link import OwnLink
from simulator.tricks import Trick
from simulator.vendor import Vendor
from simulator.watched import Watched
from simulator.zigbee_images import build_ota

Z2M = Zigbee2MqttDialect()
SPEED = 200.0
MIDNIGHT = datetime(2026, 11, 24, 0, 5, tzinfo=UTC)
OLD = Image("IKEA of Sweden", "TRADFRI bulb E27", "268435456")
NEW = Image("IKEA of Sweden", "TRADFRI bulb E27", "536870912")
FEED = Feed("f", "signed_manifest", "IKEA", "https://ikea.example/manifest", Trust.SIGNED, "IKEA of Sweden")


class House(Watched):
    """A hub without Home Assistant: what it says is done at once, and nothing is kept."""

    def __init__(self, tap: BrokerTap, vendor: Vendor) -> None:
        super().__init__()
        numbers = iter(range(1, 100))
        self.tap = tap
        self.vendor = vendor
        self.hub = Hub({Z2M.name: Z2M.capabilities}, new_id=lambda: f"id-{next(numbers)}")
        self.sent: list[Outgoing] = []
        self._read = 0
        self._began = time.monotonic()

    @override
    def __repr__(self) -> str:
        return f"<House {self.hub.installer.current} {self.hub.installer.last} {self.tap!r}>"

    def now(self) -> datetime:
        return MIDNIGHT + timedelta(seconds=(time.monotonic() - self._began) * SPEED)

    async def tell(self, item: i.Input) -> None:
        for effect in self.hub.receive(item, self.now()):
            await self._do(effect)
        self._changed()

    async def _do(self, effect: e.Effect) -> None:
        match effect:
            case e.QueryDevice(device_id):
                await self._publish(*Z2M.query(self.hub.fleet.devices[device_id]))
            case e.FetchArtifacts(install_id):
                await self.tell(i.ArtifactsReady(install_id))
            case e.SendInstall(install_id, attempt_id, device_id):
                install, device = self.hub.installer.current[device_id], self.hub.fleet.devices[device_id]
                url = self.vendor.file_url("image.ota")
                await self._publish(*Z2M.install(InstallOrder(attempt_id, device, install.offer.release, url)))
                await self.tell(i.CommandSent(install_id, attempt_id))

    async def _publish(self, *messages: Outgoing) -> None:
        for message in messages:
            self.sent.append(message)
            await self.tap.publish(message.topic, message.payload)

    async def listen(self) -> None:
        """Read what comes, and wake up when the hub wants to."""
        while True:
            while self._read < len(self.tap.messages):
                seen = self.tap.messages[self._read]
                self._read += 1
                for item in Z2M.read(Message(seen.topic, seen.payload, seen.retain), self.hub):
                    await self.tell(item)
            wake = self.hub.next_wakeup()
            seconds = 60.0 if wake is None else max(0.0, (wake - self.now()).total_seconds())
            with contextlib.suppress(TimeoutError):
                await self.tap.wait_for(lambda tap: len(tap.messages) > self._read, min(seconds, 60.0) / SPEED + 0.001)
            await self.tell(i.WokenUp())

    async def verdict(self, device: ZigbeeDevice) -> Install:
        last = self.hub.installer.last
        name = f"ieee:{device.ieee}"
        await self.wait_for(lambda _: name in last, 30)
        return last[name]

    async def approve(self, device: ZigbeeDevice) -> None:
        await self.tell(i.ApproveRequested(f"ieee:{device.ieee}", "me"))

    def installs(self) -> int:
        return sum(message.topic.endswith("/update") for message in self.sent)


@contextlib.asynccontextmanager
async def night(house: House) -> AsyncIterator[House]:
    """A feed with one release, approved for everybody, and the broker connected."""
    body = build_ota(NEW)
    entry = house.vendor.add_file("image.ota", body)
    digest = hashlib.sha256(body).hexdigest()
    artifact = Artifact(ArtifactRole.MAIN, "x.ota", entry["url"], len(body), digest, ArtifactFormat.ZIGBEE_OTA)
    release = Release(
        Match("IKEA of Sweden", ("TRADFRI bulb E27",)),
        NEW.version,
        (artifact,),
        version_scheme=VersionScheme.INTEGER,
        install_minutes=5,
        min_battery_percent=0,
    )
    manifest = Manifest("f", "IKEA of Sweden", Trust.SIGNED, digest, (release,), sequence=1)
    listening = asyncio.create_task(house.listen())
    for item in (
        i.LinkChanged(connected=True),
        i.AddressChecked(reachable=True),
        i.FeedsChanged((FEED,)),
        i.ManifestRead("f", manifest),
    ):
        await house.tell(item)
    try:
        yield house
    finally:
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening


class Make:
    """Makes a night with one bridge."""

    def __init__(self, broker: Broker, vendor: Vendor) -> None:
        self.broker = broker
        self.vendor = vendor
        self.stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stack.aclose()

    async def night(
        self, *lamps: tuple[ZigbeeMisbehaviour, ...], approve: bool = True
    ) -> tuple[House, list[ZigbeeDevice]]:
        bridge = Zigbee2MqttBridge(link=OwnLink(self.broker.host, self.broker.port), speed=SPEED)
        self.stack.push_async_callback(bridge.stop)
        made = [bridge.add(f"lamp {number}", OLD, misbehaviours=how) for number, how in enumerate(lamps)]
        await bridge.start()
        tap = await self.stack.enter_async_context(BrokerTap(self.broker.host, self.broker.port, mqtt5=False))
        house = await self.stack.enter_async_context(night(House(tap, self.vendor)))
        for lamp in made:
            await house.wait_for(_offered(house, lamp), 30)
        for lamp in made if approve else ():
            await house.approve(lamp)
        return house, made


def _offered(house: House, lamp: ZigbeeDevice) -> Callable[[object], bool]:
    return lambda _: _is_offered(house, lamp.ieee)


def _is_offered(house: House, ieee: str) -> bool:
    """Whether there is an offer, and the device has answered: then no question of the hub is under way any more."""
    presence = house.hub.fleet.presence.get(f"ieee:{ieee}")
    view = house.hub.device_view(f"ieee:{ieee}", house.now())
    return bool(view and view.offer and presence and presence.last_report)


@pytest.fixture
async def make(broker: Broker, vendor: Vendor) -> AsyncIterator[Make]:
    async with Make(broker, vendor) as make:
        yield make


@pytest.mark.parametrize(
    ("misbehaviour", "verdict", "reason", "detail"),
    [
        (None, "succeeded", None, ""),
        (ZigbeeMisbehaviour.NO_ANNOUNCE, "succeeded", None, ""),
        (ZigbeeMisbehaviour.REFUSES_IMAGE, "rejected", "image_refused", "invalid_image"),
        (ZigbeeMisbehaviour.GIVES_UP, "failed", "device_reported_failure", "given_up"),
        (ZigbeeMisbehaviour.STALLS, "failed", "device_reported_failure", "stalled"),
        (ZigbeeMisbehaviour.KILLS_BRIDGE, "failed", "device_reported_failure", "bridge_died"),
        (ZigbeeMisbehaviour.COMES_BACK_OLD, "failed", "came_back_old", ""),
        (ZigbeeMisbehaviour.NEVER_RETURNS, "timed_out", "no_return", ""),
    ],
)
async def test_an_install_ends_as_its_script_says(
    make: Make, misbehaviour: ZigbeeMisbehaviour | None, verdict: str, reason: str | None, detail: str
) -> None:
    house, (lamp,) = await make.night((misbehaviour,) if misbehaviour else ())
    install = await house.verdict(lamp)

    assert (install.state.value, install.reason.value if install.reason else None) == (verdict, reason)
    assert install.failure_detail.partition(":")[0] == detail
    assert (house.installs(), len(lamp.record.commands), len(lamp.record.duplicate_commands)) == (1, 1, 0)


async def test_a_file_that_the_bridge_cannot_fetch_fails_the_install(make: Make) -> None:
    make.vendor.misbehave("/files/image.ota", Trick.NOT_FOUND)
    house, (lamp,) = await make.night(())
    install = await house.verdict(lamp)
    assert (install.state.value, install.failure_detail.partition(":")[0]) == ("failed", "no_image")


async def test_a_device_that_hears_nothing_is_never_sent_anything(make: Make) -> None:
    house, (lamp,) = await make.night((), approve=False)
    lamp.misbehaviours.add(ZigbeeMisbehaviour.SILENT)
    await house.wait_for(lambda one: _age(one, lamp) > limits.FRESH_REPORT, 30)

    await house.approve(lamp)
    await house.wait_for(lambda one: _reason(one, lamp) is Reason.DEVICE_SILENT, 30)
    assert (house.installs(), lamp.record.commands) == (0, [])


def _age(house: House, lamp: ZigbeeDevice) -> timedelta:
    last = house.hub.fleet.presence[f"ieee:{lamp.ieee}"].last_report
    return timedelta(0) if last is None else house.now() - last


def _reason(house: House, lamp: ZigbeeDevice) -> Reason | None:
    current = house.hub.installer.current.get(f"ieee:{lamp.ieee}")
    return None if current is None else current.reason


async def test_a_bridge_transfers_to_one_device_at_a_time(make: Make) -> None:
    house, lamps = await make.night((), (), (), approve=False)
    most = 0

    def count() -> None:
        nonlocal most
        most = max(most, sum(lamp.state is DeviceState.DOWNLOADING for lamp in lamps))

    for lamp in lamps:
        lamp.on_change(count)
    await house.tell(i.SettingsChanged(Settings(pilot_settle=timedelta(0))))
    for lamp in lamps:
        await house.approve(lamp)
    assert [(await house.verdict(lamp)).state.value for lamp in lamps] == ["succeeded"] * 3
    assert (most, house.installs()) == (1, 3)
