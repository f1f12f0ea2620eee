"""Devices that load an image and restart: they take what the hub writes, and go wrong as they should."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from custom_components.firmware_hub.core.fleet import Fleet
from custom_components.firmware_hub.core.inputs import DeviceReported
from custom_components.firmware_hub.core.model import Match, Release
from custom_components.firmware_hub.dialects import BY_NAME, PROBERS
from custom_components.firmware_hub.dialects.base import InstallOrder, Message, Outgoing
from simulator.broker import Broker, BrokerTap
from simulator.devices.base import DeviceState
from simulator.devices.esphome import EsphomeDevice
from simulator.devices.ha_update import HaUpdateDevice
from simulator.devices.loading import LoadingDevice
from simulator.devices.openbeken import OpenBekenDevice
from simulator.devices.openmqttgateway import OpenMqttGatewayDevice
from simulator.families import FAMILIES, OFFERED_BY_VENDOR
from simulator.images import Image
from simulator.link import OwnLink
from simulator.tricks import Trick
from simulator.vendor import Vendor
from tests.dialects.talk import NOW, artifact

KINDS: dict[str, type[LoadingDevice]] = {
    "esphome": EsphomeDevice,
    "ha_update": HaUpdateDevice,
    "openbeken": OpenBekenDevice,
    "openmqttgateway": OpenMqttGatewayDevice,
}
NAME = "thing"
SPEED = 1000.0

type Make = Callable[..., Awaitable[LoadingDevice]]


class Hub:
    """Just enough of a hub: it hears everything through one dialect."""

    def __init__(self, tap: BrokerTap, family: str, url: str) -> None:
        self.tap, self.url = tap, url
        self.family = family
        self.dialect = BY_NAME[family]
        self.fleet = Fleet()
        self.fleet.expect_burst(NOW)

    async def hears(self) -> None:
        """Read everything that was said; ask strangers who they are."""
        await self.tap.settle()
        if self.family in PROBERS and not self.fleet.devices:
            for question in PROBERS[self.family].probe(f"{NAME}/"):
                await self.send(question)
            await self.tap.wait_for(lambda tap: len(tap.on(f"stat/{NAME}/STATUS")) > 0)
        for seen in self.tap.messages:
            for item in self.dialect.read(Message(seen.topic, seen.payload, seen.retain), self.fleet):
                if isinstance(item, DeviceReported):
                    self.fleet.merge(item, NOW)

    async def send(self, outgoing: Outgoing) -> None:
        await self.tap.publish(outgoing.topic, outgoing.payload)

    async def install(self) -> None:
        """Order the new version as the dialect writes it."""
        await self.hears()
        (device,) = self.fleet.devices.values()
        vendor_chooses = self.family in OFFERED_BY_VENDOR
        release = Release(Match(device.manufacturer, (device.model,)), FAMILIES[self.family].new, (artifact(),))
        order = InstallOrder("a-1", device, release, "" if vendor_chooses else self.url, vendor_chooses=vendor_chooses)
        (command,) = self.dialect.install(order)
        await self.send(command)

    def version(self) -> str:
        (device,) = self.fleet.devices.values()
        return device.version


@pytest.fixture(params=KINDS)
def family(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def new(family: str) -> Image:
    return replace(FAMILIES[family].old, version=FAMILIES[family].new)


@pytest.fixture
def hub(tap: BrokerTap, vendor: Vendor, family: str, new: Image) -> Hub:
    vendor.add_file("new.bin", new.build("esp"))
    return Hub(tap, family, vendor.plain_url("new.bin"))


@pytest.fixture
async def make(broker: Broker, hub: Hub, family: str) -> AsyncIterator[Make]:
    """Make a device and switch it on; it is stopped at the end."""
    made: list[LoadingDevice] = []

    async def make(*wrong: str, **options: Any) -> LoadingDevice:
        offer = {"offered": FAMILIES[family].new, "offered_url": hub.url} if family in OFFERED_BY_VENDOR else {}
        values: dict[str, Any] = {"name": NAME, "mac": "02:00:5E:00:00:01", "speed": SPEED} | offer | options
        link = OwnLink(broker.host, broker.port)
        device = KINDS[family](image=FAMILIES[family].old, link=link, misbehaviours=wrong, **values)
        made.append(device)
        await device.start()
        await device.wait_for(lambda d: d.announced_boots == 1)
        return device

    yield make
    for device in made:
        await device.stop()


async def test_the_hub_knows_it_by_what_it_says(hub: Hub, make: Make, family: str) -> None:
    device = await make()
    await hub.hears()
    (known,) = hub.fleet.devices.values()
    assert (known.id, known.dialect, known.model) == ("mac:02005E000001", family, device.image.model)
    assert known.version == FAMILIES[family].old.version


async def test_it_takes_what_the_hub_writes(hub: Hub, make: Make, family: str) -> None:
    device = await make()
    await hub.install()
    await device.wait_for(lambda d: d.announced_boots == 2)
    await hub.hears()
    assert (device.version, hub.version()) == (FAMILIES[family].new,) * 2
    assert [command.retain for command in device.record.commands] == [False]


async def test_it_answers_every_question(hub: Hub, make: Make) -> None:
    await make()
    await hub.hears()
    (device,) = hub.fleet.devices.values()
    before = len(hub.tap.messages)
    questions = hub.dialect.query(device)
    for question in questions:
        await hub.send(question)
    await hub.tap.wait_for(lambda tap: len(tap.messages) >= before + 2 * len(questions))


@pytest.mark.parametrize("wrong", ["fails", "transfer_breaks", "comes_back_old"])
async def test_it_is_as_it_was_when_it_could_not(hub: Hub, make: Make, family: str, wrong: str) -> None:
    device = await make(wrong)
    await hub.install()
    await device.wait_for(lambda d: bool(d.record.commands) and not d.updating and d.state is DeviceState.ONLINE)
    await hub.hears()
    assert (device.version, hub.version()) == (FAMILIES[family].old.version,) * 2


async def test_a_file_that_is_not_there_changes_nothing(hub: Hub, make: Make, vendor: Vendor, family: str) -> None:
    device = await make()
    vendor.misbehave("/new.bin", Trick.SERVER_ERROR)
    vendor.misbehave("/files/new.bin", Trick.SERVER_ERROR)
    del vendor.files["new.bin"]
    await hub.install()
    await device.wait_for(lambda d: bool(d.record.downloads) and not d.updating)
    assert device.version == FAMILIES[family].old.version


async def test_a_file_that_is_no_image_changes_nothing(hub: Hub, make: Make, vendor: Vendor, family: str) -> None:
    device = await make()
    vendor.files["new.bin"] = b"no image"
    await hub.install()
    await device.wait_for(lambda d: bool(d.record.downloads) and not d.updating)
    assert device.version == FAMILIES[family].old.version


async def test_it_may_do_nothing_at_all(hub: Hub, make: Make) -> None:
    device = await make("does_nothing")
    await hub.install()
    await device.wait_for(lambda d: len(d.record.commands) == 1)
    assert device.record.downloads == []


async def test_it_may_never_return(hub: Hub, make: Make) -> None:
    device = await make("never_returns")
    await hub.install()
    await device.wait_for(lambda d: d.state is DeviceState.DEAD)
    assert device.record.boots == 1


@pytest.mark.parametrize("wrong", ["boots_other_version", "boots_other_model"])
async def test_it_may_come_back_as_something_else(hub: Hub, make: Make, wrong: str, new: Image) -> None:
    device = await make(wrong)
    await hub.install()
    await device.wait_for(lambda d: d.announced_boots == 2)
    assert device.image != new
    assert device.image.version != FAMILIES[hub.family].old.version


async def test_a_slow_one_takes_four_times_as_long(make: Make) -> None:
    assert (await make("slow")).speed == SPEED / 4


async def test_somebody_else_may_change_it(hub: Hub, make: Make, new: Image) -> None:
    device = await make()
    await device.become(new)
    await device.wait_for(lambda d: d.announced_boots == 2)
    await hub.hears()
    assert hub.version() == new.version
    assert device.record.commands == []
