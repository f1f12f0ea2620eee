"""What is brought for an install that ends meanwhile: nothing of it is served, and the cache lets go of it."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import override

import aiohttp
import pytest
from homeassistant.core import HomeAssistant

from custom_components.firmware_hub.artifact_server import ArtifactServer, async_get_server
from custom_components.firmware_hub.core.effects import FetchArtifacts, SendInstall, StopServing, TakeBack
from custom_components.firmware_hub.core.inputs import (
    CommandNotSent,
    CommandSent,
    ForgetRequested,
    Input,
    PersonInput,
    UnapproveRequested,
)
from custom_components.firmware_hub.core.model import InstallState
from custom_components.firmware_hub.delivery import Delivery
from custom_components.firmware_hub.dialects.base import Outgoing
from custom_components.firmware_hub.dialects.esphome import EsphomeDialect
from custom_components.firmware_hub.download import Downloader
from custom_components.firmware_hub.orders import Orders
from simulator.broker import free_port
from simulator.images import Image
from tests.core.builders import PLUG, Home, device, feed
from tests.core.statements import release
from tests.transport.test_listening import Nobody

from .conftest import IMAGE, QUICK, Vendor, answer, artifact

NODE = Image("Acme", "PLUG-S1", "1.2.0", hardware="ESP32").build("esp")
OTHER = artifact("", IMAGE)
COMMAND = "plug/update/firmware/command"


@dataclass
class Kitchen(Nobody):
    """A node whose install was approved, and all that brings it its image."""

    home: Home
    server: ArtifactServer
    downloader: Downloader
    folder: Path
    vendor: Vendor

    def __post_init__(self) -> None:
        self.reported: list[Input] = []
        self.published: list[Outgoing] = []
        self.end_when_asked_for_its_place = False
        self.ends: PersonInput = UnapproveRequested(PLUG, "anna")
        self.delivery = Delivery(self.downloader, self.server, asyncio.to_thread, self._place)
        self.orders = Orders(self.home.hub, self, self.delivery, lambda _: b"", self.reported.append)
        self.install = self.home.install()

    def _place(self) -> tuple[str, str]:
        if self.end_when_asked_for_its_place:
            self._ending = asyncio.ensure_future(self.end())
        return "127.0.0.1", "hub"

    async def end(self) -> None:
        """Let its owner take the approval back."""
        self.home.tell(self.ends)
        assert self.home.hub.installer.find(self.install.id) is None
        await self.orders.async_stop_serving(StopServing(self.install.id))

    @override
    async def async_publish(self, message: Outgoing) -> None:
        self.published.append(message)

    async def fetch(self) -> None:
        install = self.install
        await self.orders.async_fetch(
            FetchArtifacts(install.id, install.offer.feed_id, install.offer.release.artifacts)
        )

    async def is_served(self) -> bool:
        address = await self.delivery.async_device_address(PLUG)
        try:
            async with aiohttp.ClientSession() as session, session.get(address) as found:
                return found.status == 200
        except aiohttp.ClientConnectorError:
            return False

    async def kept(self) -> list[str]:
        """Return what is still in the cache after something else was fetched."""
        self.vendor.answers["/other.bin"] = answer("200 OK", IMAGE)
        await self.downloader.async_artifact(artifact(self.vendor.url("/other.bin")))
        return [path.name for path in self.folder.iterdir() if path.name != OTHER.sha256]


@pytest.fixture
async def kitchen(hass: HomeAssistant, session: aiohttp.ClientSession, folder: Path, vendor: Vendor) -> Kitchen:
    vendor.answers["/plug.bin"] = answer("200 OK", NODE)
    home = Home(families={"esphome": EsphomeDialect.capabilities}, feeds=[feed(url=vendor.url("/feed"))])
    home.report(dialect="esphome", hardware="ESP32", channel={"command": COMMAND})
    home.publish(release(hardware=("ESP32",), artifacts=(artifact(vendor.url(), NODE),)))
    home.approve()
    server = async_get_server(hass)
    server.set_port(free_port())
    return Kitchen(home, server, Downloader(session, folder, 0, asyncio.to_thread, timeouts=QUICK), folder, vendor)


async def test_what_was_brought_in_time_is_there(kitchen: Kitchen) -> None:
    await kitchen.fetch()
    assert await kitchen.is_served()
    assert len(await kitchen.kept()) == 2


async def test_nothing_is_left_of_an_install_that_ends_while_its_files_are_fetched(kitchen: Kitchen) -> None:
    async def late(writer: asyncio.StreamWriter) -> None:
        await kitchen.end()
        writer.write(answer("200 OK", NODE))

    kitchen.vendor.answers["/plug.bin"] = late
    await kitchen.fetch()
    assert not await kitchen.is_served()
    assert await kitchen.kept() == []


async def test_nothing_is_left_of_an_install_that_ends_while_it_is_laid_out(kitchen: Kitchen) -> None:
    kitchen.end_when_asked_for_its_place = True
    await kitchen.fetch()
    kitchen.end_when_asked_for_its_place = False
    assert not await kitchen.is_served()
    assert await kitchen.kept() == []


async def commanded(kitchen: Kitchen) -> None:
    """Have what is approved fetched, looked up and ordered; the order is still to be carried out."""
    await kitchen.fetch()
    home, looked = kitchen.home, {"supplied": kitchen.install.id, "offered": "1.2.0"}
    home.report(dialect="esphome", hardware="ESP32", settings=looked)
    home.tell(*kitchen.reported)
    assert home.install().state is InstallState.INSTALLING


async def test_what_is_ordered_is_sent(kitchen: Kitchen) -> None:
    await commanded(kitchen)
    await kitchen.orders.async_install(SendInstall(kitchen.install.id, "id-2", PLUG, None))
    assert kitchen.published == [Outgoing(COMMAND, "INSTALL")]
    assert isinstance(kitchen.reported[-1], CommandSent)


async def test_nothing_is_sent_to_a_device_that_is_removed_while_its_files_are_laid_out(kitchen: Kitchen) -> None:
    await commanded(kitchen)
    kitchen.ends = ForgetRequested(PLUG, "anna")
    kitchen.end_when_asked_for_its_place = True
    await kitchen.orders.async_install(SendInstall(kitchen.install.id, "id-2", PLUG, None))
    kitchen.end_when_asked_for_its_place = False
    assert kitchen.published == []
    assert isinstance(kitchen.reported[-1], CommandNotSent)
    assert not await kitchen.is_served()
    assert await kitchen.kept() == []


async def test_a_bridge_is_told_not_to_wait_for_a_device_that_was_just_removed(kitchen: Kitchen) -> None:
    sleeper = device(
        "zigbee:0x00158d0001a2b3c4",
        dialect="zigbee2mqtt",
        addresses=("ieee:0x00158d0001a2b3c4",),
        channel={"command": "zigbee2mqtt/bridge/request/device/ota_update/"},
    )
    assert kitchen.home.hub.get(sleeper.id) is None
    await kitchen.orders.async_take_back(TakeBack("id-1", "id-2", sleeper.id, sleeper))
    assert [message.topic for message in kitchen.published] == [
        "zigbee2mqtt/bridge/request/device/ota_update/unschedule"
    ]
