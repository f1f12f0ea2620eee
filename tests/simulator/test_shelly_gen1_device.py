"""The Shelly of the first generation against plain MQTT: what it says, and every way in which an update can go."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from custom_components.firmware_hub.core.fleet import Fleet
from custom_components.firmware_hub.core.inputs import DeviceReported
from custom_components.firmware_hub.core.model import Match, Release
from custom_components.firmware_hub.dialects.base import InstallOrder, Message, Outgoing
from custom_components.firmware_hub.dialects.shelly_gen1 import ShellyGen1Dialect
from simulator.broker import Broker, BrokerTap
from simulator.devices.base import DeviceState
from simulator.devices.shelly_gen1 import ShellyGen1Device, ShellyGen1Misbehaviour as Wrong
from simulator.images import Image
from simulator.link import OwnLink
from simulator.shelly_package import index_of_models, package
from simulator.tricks import Trick
from simulator.vendor import Vendor
from tests.dialects.talk import NOW

OLD = Image("Shelly", "SHSW-1", "1.11.8")
NEW = replace(OLD, version="1.14.0")
NAME = "shelly1-000001"
HERE = f"shellies/{NAME}"
SPEED = 1000.0

type Make = Callable[..., ShellyGen1Device]


class Hub:
    """Just enough of a hub for this family."""

    def __init__(self, tap: BrokerTap, vendor: Vendor) -> None:
        self.tap = tap
        self.vendor = vendor
        self.url = vendor.add_file("SHSW-1.zip", package(NEW, first_generation=True))["url"]

    async def command(self, word: str, topic: str = f"{HERE}/command") -> None:
        await self.tap.publish(topic, word)

    def statuses(self) -> list[str]:
        found = [seen.json["update"]["status"] for seen in self.tap.on(f"{HERE}/info")]
        return [word for index, word in enumerate(found) if index == 0 or found[index - 1] != word]

    def presence(self) -> list[str]:
        return [seen.text for seen in self.tap.on(f"{HERE}/online")]

    def builds(self) -> list[str]:
        return [seen.json["fw_ver"] for seen in self.tap.on("shellies/announce")]

    async def returned(self, device: ShellyGen1Device) -> None:
        await device.wait_for(lambda d: d.announced_boots == 2)
        await self.tap.settle()


@pytest.fixture
def hub(tap: BrokerTap, vendor: Vendor) -> Hub:
    return Hub(tap, vendor)


@pytest.fixture
async def make(broker: Broker, hub: Hub) -> AsyncIterator[Make]:
    """Make devices to which 1.14.0 is offered; they are stopped at the end."""
    made: list[ShellyGen1Device] = []

    def make(**options: Any) -> ShellyGen1Device:
        defaults: dict[str, Any] = {"name": NAME, "image": OLD, "mac": "02:00:5E:00:00:01", "speed": SPEED}
        offer = {"offered": "1.14.0", "offered_url": hub.url}
        made.append(ShellyGen1Device(link=OwnLink(broker.host, broker.port), **defaults | offer | options))
        return made[-1]

    yield make
    for device in made:
        await device.stop()


async def test_it_announces_itself_when_it_connects(hub: Hub, make: Make) -> None:
    device = make()
    await device.start()
    await hub.tap.settle()

    assert [(seen.topic, seen.retain) for seen in hub.tap.messages] == [
        (f"{HERE}/online", True),
        ("shellies/announce", False),
        (f"{HERE}/announce", False),
        (f"{HERE}/info", False),
    ]
    assert hub.tap.messages[2].json == {
        "id": NAME,
        "model": "SHSW-1",
        "mac": "02005E000001",
        "ip": "127.0.0.1",
        "new_fw": True,
        "fw_ver": "20230913-112003/v1.11.8-gcb84623",
    }


async def test_old_ones_announce_themselves_to_all_only(hub: Hub, make: Make) -> None:
    device = make(misbehaviours=[Wrong.ONLY_ANNOUNCES_TO_ALL])
    await device.start()
    await hub.tap.settle()
    assert hub.tap.on(f"{HERE}/announce") == []


@pytest.mark.parametrize("topic", [f"{HERE}/command", "shellies/command"])
async def test_it_says_who_and_how_it_is_when_it_is_asked(hub: Hub, make: Make, topic: str) -> None:
    device = make(battery_percent=40)
    await device.start()
    await hub.command("announce", topic)
    await hub.command("update", topic)
    await hub.tap.wait_for(lambda tap: len(tap.on(f"{HERE}/info")) == 2)
    assert len(hub.builds()) == 2
    info = hub.tap.on(f"{HERE}/info")[1].json
    assert (info["bat"]["value"], info["update"]["new_version"]) == (40, "20230913-112003/v1.14.0-gcb84623")


async def test_it_loads_what_its_vendor_offers(hub: Hub, make: Make) -> None:
    device = make()
    await device.start()
    await hub.command("update_fw")
    await hub.returned(device)

    assert hub.statuses() == ["pending", "updating", "idle"]
    assert hub.presence() == ["true", "false", "true"]
    assert (device.version, device.offered) == ("1.14.0", "")
    assert [command.attempt for command in device.record.commands] == ["1.14.0"]
    assert [download.url for download in device.record.downloads] == [hub.url]


async def test_a_second_order_changes_nothing(hub: Hub, make: Make) -> None:
    device = make(misbehaviours=[Wrong.SLOW])
    await device.start()
    await hub.command("update_fw")
    await hub.command("update_fw")
    await hub.returned(device)
    assert (len(device.record.commands), len(device.record.downloads)) == (2, 1)


@pytest.mark.parametrize(
    ("wrong", "version", "model"),
    [
        (Wrong.COMES_BACK_OLD, "1.11.8", "SHSW-1"),
        (Wrong.BOOTS_OTHER_BUILD, "1.99.0", "SHSW-1"),
        (Wrong.BOOTS_OTHER_MODEL, "1.14.0", "SHSW-1-X"),
    ],
)
async def test_it_may_come_back_as_something_else(hub: Hub, make: Make, wrong: Wrong, version: str, model: str) -> None:
    device = make(misbehaviours=[wrong])
    await device.start()
    await hub.command("update_fw")
    await hub.returned(device)
    assert (device.version, device.image.model) == (version, model)


@pytest.mark.parametrize("wrong", [Wrong.FAILS, Wrong.TRANSFER_BREAKS])
async def test_a_failure_is_pending_again_without_a_word(hub: Hub, make: Make, wrong: Wrong) -> None:
    device = make(misbehaviours=[wrong])
    await device.start()
    await hub.command("update_fw")
    await hub.tap.wait_for(lambda _: hub.statuses() == ["pending", "updating", "pending"])
    assert (device.version, device.record.boots, hub.presence()) == ("1.11.8", 1, ["true"])


async def test_a_broken_package_is_a_failure(hub: Hub, make: Make) -> None:
    hub.vendor.misbehave(hub.url, Trick.WRONG_BYTES)
    hub.vendor.add_file("SHSW-1.zip", b"no zip")
    device = make()
    await device.start()
    await hub.command("update_fw")
    await hub.tap.wait_for(lambda _: hub.statuses() == ["pending", "updating", "pending"])
    assert device.version == "1.11.8"


@pytest.mark.parametrize("options", [{"misbehaviours": [Wrong.DOES_NOTHING]}, {"offered": "", "offered_url": ""}])
async def test_an_order_may_come_to_nothing(hub: Hub, make: Make, options: dict[str, Any]) -> None:
    device = make(**options)
    await device.start()
    await hub.command("update_fw")
    await device.wait_for(lambda d: d.record.commands)
    assert (device.record.downloads, device.state) == ([], DeviceState.ONLINE)


async def test_it_may_never_return(hub: Hub, make: Make) -> None:
    device = make(misbehaviours=[Wrong.NEVER_RETURNS])
    await device.start()
    await hub.command("update_fw")
    await device.wait_for(lambda d: d.state is DeviceState.DEAD)
    await hub.tap.settle()
    assert hub.presence() == ["true", "false"]


async def test_it_may_come_back_under_another_name(hub: Hub, make: Make) -> None:
    device = make(misbehaviours=[Wrong.LOSES_SETTINGS])
    await device.start()
    await hub.command("update_fw")
    await hub.tap.wait_for_message(lambda seen: seen.topic == "shellies/shelly-000001/announce")
    assert device.version == "1.14.0"


async def test_somebody_else_may_change_it(hub: Hub, make: Make) -> None:
    device = make()
    await device.start()
    await device.become(NEW)
    assert (device.version, device.update_status) == ("1.14.0", "idle")


async def test_orders_are_counted_at_the_broker(hub: Hub, make: Make) -> None:
    device = make(misbehaviours=[Wrong.DOES_NOTHING])
    await device.start()
    for topic in (f"{HERE}/command", "shellies/command"):
        await hub.command("update", topic)
        await hub.command("update_fw", topic)
    await hub.tap.settle()
    commands = [(each.dialect, each.device) for each in hub.tap.install_commands()]
    assert commands == [("shelly_gen1", NAME), ("shelly_gen1", "")]


def test_the_page_of_all_models_names_their_builds() -> None:
    page = index_of_models({"http://x/SHSW-1.zip": NEW})
    assert page["data"] == {"SHSW-1": {"url": "http://x/SHSW-1.zip", "version": "20230913-112003/v1.14.0-gcb84623"}}


# --- together with the dialect ---------------------------------------------------------------------------------------

DIALECT = ShellyGen1Dialect()


async def test_the_dialect_finds_the_device_and_brings_it_to_the_new_version(hub: Hub, make: Make) -> None:
    fleet = Fleet()
    fleet.expect_burst(NOW)
    device = make()
    await device.start()
    await hub.tap.settle()
    (there,) = hub.tap.on(f"{HERE}/online")
    address = DIALECT.suspect(Message(there.topic, there.payload, retained=True), fleet)
    before = len(hub.tap.messages)
    await _say(hub, *DIALECT.probe(address))
    await hub.tap.wait_for(lambda tap: len(tap.messages) >= before + 3)

    _read(hub, fleet, before)
    (known,) = fleet.devices.values()
    assert (known.id, known.version) == ("mac:02005E000001", "1.11.8")

    release = Release(Match("Shelly", ("SHSW-1",)), "1.14.0", ())
    await _say(hub, *DIALECT.install(InstallOrder("a-1", known, release, "", vendor_chooses=True)))
    await hub.returned(device)
    _read(hub, fleet, before)
    (known,) = fleet.devices.values()
    assert (known.version, known.settings) == ("1.14.0", {"offered": ""})


async def _say(hub: Hub, *messages: Outgoing) -> None:
    for each in messages:
        await hub.tap.publish(each.topic, each.payload)


def _read(hub: Hub, fleet: Fleet, since: int) -> None:
    for seen in hub.tap.messages[since:]:
        for item in DIALECT.read(Message(seen.topic, seen.payload), fleet):
            if isinstance(item, DeviceReported):
                fleet.merge(item, NOW)
