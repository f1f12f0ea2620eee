"""An ESPHome node that looks at the hub for what to install: it finds what was approved, and nothing else."""

import asyncio
import json
from http import HTTPStatus

import aiohttp

from custom_components.firmware_hub.core.errors import Reason
from custom_components.firmware_hub.core.inputs import CheckRequested
from custom_components.firmware_hub.core.model import OFFERED, InstallState, Trust
from simulator.devices.esphome import EsphomeDevice
from simulator.images import Image
from tests.night.conftest import MAKER, NEW, OLD, House

NODE = "garage"
MODEL = "GARAGE"


async def plugged_in(house: House) -> EsphomeDevice:
    """Publish a release in the vendor's signed feed, and switch on a node that is pointed at the hub."""
    house.vendor.add_release(Image(MAKER, MODEL, NEW, hardware="ESP32"))
    device = EsphomeDevice(
        name=NODE,
        mac="02:00:00:00:EE:01",
        image=Image(MAKER, MODEL, OLD, hardware="ESP32"),
        link=house.link(),
        speed=60.0,
    )
    await house.switch_on(device)
    house.vendor.publish_again()
    await house.coordinator.async_ask(CheckRequested("test"))
    device.source = await house.coordinator.async_device_address(house.device_id(NODE))
    return device


async def waiting(house: House) -> None:
    await house.approve(NODE)
    await house.until(lambda: (now := house.install(NODE)) is not None and now.reason is Reason.WAITS_FOR_LOOK)


def shown_address(house: House) -> str:
    """Return what its owner copies into the node's configuration."""
    states = house.hass.states.async_all("update")
    mine = next(state for state in states if state.attributes.get("hub_device_id") == house.device_id(NODE))
    return str(mine.attributes.get("manifest_address"))


async def get(address: str) -> tuple[int, bytes]:
    async with aiohttp.ClientSession() as session, session.get(address) as answer:
        return answer.status, await answer.read()


async def test_it_is_offered_a_signed_release_and_installs_what_the_hub_verified(house: House) -> None:
    device = await plugged_in(house)
    await house.until(lambda: shown_address(house) == device.source)
    await waiting(house)
    assert await house.commands(NODE) == 0
    assert await device.look()
    install = await house.verdict(NODE)
    assert (install.state, install.reason, install.offer.trust) == (InstallState.SUCCEEDED, None, Trust.SIGNED)
    assert device.version == NEW
    assert await house.commands(NODE) == 1
    assert [download.status for download in device.record.downloads] == [HTTPStatus.OK, HTTPStatus.OK]


async def test_its_address_stays_the_same_and_leads_nowhere_when_nothing_is_approved(house: House) -> None:
    device = await plugged_in(house)
    assert not await device.look()
    await waiting(house)
    assert await device.look()
    await house.verdict(NODE)
    assert device.source == await house.coordinator.async_device_address(house.device_id(NODE))
    async with asyncio.timeout(10):
        while await device.look():
            """The verdict is known a moment before the address ends."""


async def test_until_the_hub_orders_it_there_is_no_image_whoever_asks(house: House) -> None:
    device = await plugged_in(house)
    await waiting(house)
    status, said = await get(device.source)
    assert status == HTTPStatus.OK
    image = json.loads(said)["builds"][0]["ota"]["path"]
    assert (await get(image))[0] == HTTPStatus.NOT_FOUND
    assert await house.commands(NODE) == 0


async def finds_elsewhere(house: House, device: EsphomeDevice, version: str) -> None:
    device.offered, device.offered_url = version, house.vendor.plain_url("new.bin")
    await device.say_state()
    await house.until(lambda: house.view(NODE).device.settings.get(OFFERED) == version)


async def test_somebody_elses_look_at_its_address_is_no_proof_that_the_node_looked(house: House) -> None:
    device = await plugged_in(house)
    await waiting(house)
    assert (await get(device.source))[0] == HTTPStatus.OK
    await finds_elsewhere(house, device, "1.0.5")
    await finds_elsewhere(house, device, NEW)
    install = house.install(NODE)
    assert install is not None
    assert install.reason is Reason.WAITS_FOR_LOOK
    assert await house.commands(NODE) == 0
