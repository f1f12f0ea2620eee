"""Many devices at once, over their own connections and over one."""

import json
from collections.abc import AsyncIterator
from typing import override

import pytest

from simulator.broker import Broker, BrokerTap
from simulator.devices.base import DeviceState
from simulator.devices.open import OpenDevice
from simulator.fleet import PLUG, Fleet
from simulator.images import Image
from simulator.link import Publication
from simulator.vendor import Vendor

NEW = Image("Acme", "PLUG-S1", "1.1.0", hardware="rev2")


@pytest.fixture(params=[False, True], ids=["own connections", "one connection"])
async def fleet(request: pytest.FixtureRequest, broker: Broker) -> AsyncIterator[Fleet]:
    """Two open devices and a Tasmota one, switched on."""
    fleet = Fleet(broker.host, broker.port, speed=1000, shared=request.param)
    fleet.open("one")
    fleet.open("two", slots=2)
    fleet.tasmota("three")
    async with fleet:
        yield fleet


async def order(tap: BrokerTap, vendor: Vendor, device: str, attempt: str, not_after: str = "") -> None:
    entry = vendor.add_file("image.bin", NEW.build())
    words = {"command": "install", "id": attempt, "version": NEW.version, "not_after": not_after}
    words |= {key: entry[key] for key in ("url", "size", "sha256")}
    await tap.publish(f"fwhub/device/{device}/command", json.dumps(words))


async def test_all_of_them_announce_themselves(fleet: Fleet, broker: Broker) -> None:
    await fleet.wait_for(lambda f: all(getattr(device, "announced", True) for device in f.devices.values()))
    async with broker.tap() as tap:
        await tap.settle()

    retained = {seen.topic for seen in tap.messages}
    assert {"fwhub/device/one/info", "fwhub/device/two/info", "tele/three/LWT"} <= retained
    assert f"tasmota/discovery/{fleet['three'].mac.replace(':', '')}/config" in retained


async def test_each_installs_what_it_was_ordered(fleet: Fleet, tap: BrokerTap, vendor: Vendor) -> None:
    await order(tap, vendor, "one", "a1")
    await order(tap, vendor, "two", "a2")

    await fleet.wait_for(lambda f: f["two"].state is DeviceState.TRIAL and f["one"].version == "1.1.0")

    assert fleet.versions() == {"1.1.0": 2, "14.6.0": 1}
    assert fleet.commands() == {"one": ["a1"], "two": ["a2"]}


async def test_late_and_repeated_commands_are_counted(fleet: Fleet, tap: BrokerTap, vendor: Vendor) -> None:
    await order(tap, vendor, "one", "a1")
    await order(tap, vendor, "one", "a1")
    await order(tap, vendor, "two", "a2", not_after="2026-01-01T00:00:00Z")

    await fleet.wait_for(lambda f: f.duplicate_commands() and f.late_commands())

    assert (fleet.duplicate_commands(), fleet.late_commands()) == (["one"], ["two"])


async def test_a_power_cut_shows_as_the_last_will(fleet: Fleet, tap: BrokerTap) -> None:
    await fleet["one"].cut_power()

    will = await tap.wait_for_message(lambda seen: seen.text == "offline")

    assert (will.topic, will.retain) == ("fwhub/device/one/availability", True)
    assert fleet.states() == {"off": 1, "online": 2}


async def test_a_device_can_join_later(fleet: Fleet) -> None:
    late = fleet.open("four")

    await fleet.start([late])

    assert late.state is DeviceState.ONLINE


async def test_they_find_their_way_back_after_the_broker_was_gone(fleet: Fleet, broker: Broker, tap: BrokerTap) -> None:
    await broker.async_restart()

    await tap.wait_for(lambda t: len([seen for seen in t.messages if seen.topic.endswith("/info")]) >= 2)


def test_two_devices_of_one_name_are_a_mistake(broker: Broker) -> None:
    fleet = Fleet(broker.host, broker.port)
    with pytest.raises(ValueError, match="there is a one already"):
        [fleet.open(name) for name in ("one", "one")]


async def test_a_thousand_share_one_connection(broker: Broker) -> None:
    fleet = Fleet(broker.host, broker.port, shared=True)
    for number in range(1000):
        fleet.open(f"plug-{number}", PLUG)
    async with broker.tap() as tap, fleet:
        await tap.settle()

    assert len({seen.topic for seen in tap.messages if seen.topic.endswith("/info")}) == 1000


async def test_a_shared_fleet_can_say_ten_thousand_things_in_order(broker: Broker, tap: BrokerTap) -> None:
    words = [Publication("load", str(number)) for number in range(10_000)]

    async with Fleet(broker.host, broker.port, shared=True) as fleet:
        await fleet.publish(words)
    await tap.settle()

    assert [seen.text for seen in tap.on("load")] == [word.payload for word in words]


async def test_a_fault_in_the_simulation_is_told(broker: Broker, tap: BrokerTap, vendor: Vendor) -> None:
    class Broken(OpenDevice):
        @override
        def health(self) -> dict[str, object]:
            raise ZeroDivisionError

    fleet = Fleet(broker.host, broker.port)
    device = fleet.open("one")
    async with fleet:
        device.__class__ = Broken
        await tap.publish("fwhub/device/one/command", '{"command":"report"}')
        with pytest.raises(RuntimeError, match="the simulation broke"):
            await fleet.wait_for(lambda _: False)
        device.crash = None


async def test_the_embedded_broker_carries_an_install_too(vendor: Vendor) -> None:
    async with Broker("amqtt") as broker, broker.tap() as tap, Fleet(broker.host, broker.port, speed=1000) as fleet:
        late = fleet.open("one")
        await fleet.start([late])
        await order(tap, vendor, "one", "a1")
        await late.wait_for(lambda d: d.last_status == "committed")
        await late.cut_power()
        await tap.wait_for_message(lambda seen: seen.text == "offline")
        await tap.settle()

    assert tap.attempts() == {("one", "a1"): 1}
    assert tap.lasting_commands() == []
