"""One contract for all families: what a dialect writes, the simulated devices of its family take."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from custom_components.firmware_hub.core.fleet import Fleet as Book
from custom_components.firmware_hub.core.inputs import DeviceReported
from custom_components.firmware_hub.core.model import Device, Match, Release
from custom_components.firmware_hub.dialects import BY_NAME, PROBERS
from custom_components.firmware_hub.dialects.base import InstallOrder, Message, Outgoing
from simulator.broker import Broker, BrokerTap
from simulator.devices.base import SimulatedDevice
from simulator.families import FAMILIES, TOLD_BY_VENDOR, populate, publish
from simulator.fleet import Fleet
from simulator.github import FILES
from simulator.tap import Seen
from simulator.vendor import Vendor
from tests.dialects.talk import NOW, artifact


class Hub:
    """Just enough of a hub: it knows one device by what it says and by what it answers to its dialect's questions."""

    def __init__(self, tap: BrokerTap, family: str) -> None:
        self.tap = tap
        self.dialect = BY_NAME[family]
        self.prober = PROBERS.get(family)
        self._book = Book()
        self._book.expect_burst(NOW)
        self._read = 0

    async def knows(self) -> Device:
        """Listen until all is known of the device that an install needs, and ask for what it does not say by itself."""
        self._listen()
        for question in self._strangers():
            await self.send(question)
        await self.tap.wait_for(lambda _: self._listen())
        if not self._is_known_well():
            for question in self.dialect.query(self._known()):
                await self.send(question)
        await self.tap.wait_for(lambda _: self._listen() and self._is_known_well())
        return self._known()

    async def send(self, outgoing: Outgoing) -> None:
        await self.tap.publish(outgoing.topic, outgoing.payload)

    def _listen(self) -> bool:
        for seen in self.tap.messages[self._read :]:
            for item in self.dialect.read(_message(seen), self._book):
                if isinstance(item, DeviceReported):
                    self._book.merge(item, NOW)
            self._read += 1
        return bool(self._book.devices)

    def _strangers(self) -> list[Outgoing]:
        if self.prober is None:
            return []
        addresses = {self.prober.suspect(_message(seen), self._book): None for seen in self.tap.messages}
        return [question for address in addresses if address for question in self.prober.probe(address)]

    def _is_known_well(self) -> bool:
        known = self._known()
        return bool(known.version) and known.settings.keys() >= {*self.dialect.capabilities.borrows}

    def _known(self) -> Device:
        (device,) = self._book.devices.values()
        return device


def _message(seen: Seen) -> Message:
    return Message(seen.topic, seen.payload, seen.retain)


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def hub(tap: BrokerTap, family: str) -> Hub:
    return Hub(tap, family)


@pytest.fixture
async def device(broker: Broker, vendor: Vendor, hub: Hub, family: str) -> AsyncIterator[SimulatedDevice]:
    """A device of the family that is there; its new image is the last file of its vendor."""
    image = replace(FAMILIES[family].old, version=FAMILIES[family].new)
    if family == "tasmota":
        vendor.add_file(f"{FILES[image.model]}.bin", image.build("esp"))
    else:
        publish(vendor, family, image)
    fleet = Fleet(broker.host, broker.port, speed=1000)
    (device,) = populate(fleet, vendor, {family: 1}, {})
    async with fleet:
        await device.wait_for(lambda one: one.announced_boots == 1)
        await hub.tap.settle()
        yield device


@pytest.mark.usefixtures("device")
async def test_every_question_is_answered(hub: Hub) -> None:
    for question in hub.dialect.query(await hub.knows()):
        await hub.tap.settle()
        before = len(hub.tap.messages)
        await hub.send(question)
        await hub.tap.wait_for(lambda tap, before=before: len(tap.messages) >= before + 2)  # type: ignore[misc]


async def test_one_install_command_brings_the_new_version(
    hub: Hub, device: SimulatedDevice, vendor: Vendor, family: str
) -> None:
    known = await hub.knows()
    told = family in TOLD_BY_VENDOR
    name, data = next(reversed(vendor.files.items()))
    main = replace(artifact(), name=name, size=len(data), sha256=hashlib.sha256(data).hexdigest())
    release = Release(Match(known.manufacturer, (known.model,)), FAMILIES[family].new, (main,))
    order = InstallOrder("a-1", known, release, "" if told else vendor.plain_url(name), vendor_chooses=told)
    (command,) = hub.dialect.install(order)
    await hub.send(command)
    await device.wait_for(lambda one: one.version == FAMILIES[family].new)
    assert len(device.record.commands) == 1
