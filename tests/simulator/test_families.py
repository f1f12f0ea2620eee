"""Devices of every family by number, as a command line asks for them."""

import json

import pytest

from simulator.broker import Broker
from simulator.families import FAMILIES, family_of, parse, populate, publish, publish_indexes
from simulator.fleet import Fleet
from simulator.github import FILES
from simulator.images import Image, read_image
from simulator.tap import BrokerTap
from simulator.vendor import Vendor


def test_a_fleet_is_asked_for_in_words() -> None:
    assert parse("open=2,zigbee2mqtt=1") == {"open": 2, "zigbee2mqtt": 1}


@pytest.mark.parametrize("words", ["zigbee=2", "open", "open=x"])
def test_words_that_ask_for_nothing_are_refused(words: str) -> None:
    with pytest.raises(ValueError, match=r"no family|invalid literal"):
        parse(words)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_device_is_called_after_its_family(family: str) -> None:
    assert family_of(f"{family}-12") == family


@pytest.mark.parametrize("shared", [False, True], ids=["own connections", "one connection"])
async def test_every_family_is_there_and_runs_what_it_ran_first(broker: Broker, vendor: Vendor, shared: bool) -> None:
    publish_indexes(vendor, vendor)
    fleet = Fleet(broker.host, broker.port, speed=1000, shared=shared)
    devices = populate(fleet, vendor, dict.fromkeys(FAMILIES, 2), {"open-1": ["comes_back_old"]})
    async with fleet:
        assert fleet.states() == {"online": 2 * len(FAMILIES)}
        versions = {device.name: device.version for device in devices}
        assert versions["zigbee2mqtt-2"] == FAMILIES["zigbee2mqtt"].old.version


async def test_the_bridge_of_a_fleet_knows_what_is_published(broker: Broker, tap: BrokerTap, vendor: Vendor) -> None:
    publish_indexes(vendor, vendor)
    fleet = Fleet(broker.host, broker.port, speed=1000)
    (lamp,) = populate(fleet, vendor, {"zigbee2mqtt": 1}, {})
    async with fleet:
        await tap.publish("zigbee2mqtt/bridge/request/device/ota_update/check", json.dumps({"id": lamp.name}))
        answer = await tap.wait_for_message(lambda seen: seen.topic.endswith("response/device/ota_update/check"))
    assert answer.json["data"]["source"] == vendor.pages["/zigbee/index.json"][0]["url"]


async def test_a_fleet_may_have_several_bridges(broker: Broker, tap: BrokerTap) -> None:
    fleet = Fleet(broker.host, broker.port, speed=1000)
    lamps = [fleet.zigbee2mqtt("lamp"), fleet.zigbee2mqtt("attic lamp", base="attic/zigbee")]
    async with fleet:
        await tap.publish("attic/zigbee/bridge/request/device/ota_update/check", json.dumps({"id": "attic lamp"}))
        await tap.wait_for_message(lambda seen: seen.topic == "attic/zigbee/bridge/response/device/ota_update/check")
    assert len({lamp.ieee for lamp in lamps}) == 2


async def test_one_connection_for_all_has_one_bridge(broker: Broker) -> None:
    fleet = Fleet(broker.host, broker.port, shared=True)
    with pytest.raises(ValueError, match="attic"):
        fleet.zigbee2mqtt("lamp", base="attic/zigbee")


@pytest.mark.parametrize("chip", FILES)
async def test_a_tasmota_image_of_any_chip_is_among_its_release(vendor: Vendor, chip: str) -> None:
    image = Image("Tasmota", chip, "15.1.0", variant="tasmota")
    publish(vendor, "tasmota", image)
    publish(vendor, "tasmota", image)
    (release,) = vendor.tasmota
    assert read_image(release.assets[f"{FILES[chip]}.bin"]).model == chip
