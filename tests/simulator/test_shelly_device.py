"""The Shelly of a later generation against plain MQTT: its calls, and every way in which an update can go."""

import hashlib
import io
import json
import zipfile
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from custom_components.firmware_hub.core.fleet import Fleet
from custom_components.firmware_hub.core.inputs import DeviceReported, InstallReported
from custom_components.firmware_hub.core.model import Match, Release
from custom_components.firmware_hub.core.shelly_zip import check_package
from custom_components.firmware_hub.dialects.base import InstallOrder, Message, Outgoing
from custom_components.firmware_hub.dialects.shelly import ShellyDialect
from simulator.broker import Broker, BrokerTap
from simulator.devices.base import DeviceState
from simulator.devices.shelly import ShellyDevice, ShellyMisbehaviour as Wrong
from simulator.fleet import Fleet as Devices
from simulator.images import Image
from simulator.link import OwnLink
from simulator.shelly_package import BadPackage, index_of_app, package, read_package
from simulator.tap import Seen
from simulator.tricks import Trick
from simulator.vendor import Vendor
from tests.dialects.talk import NOW

OLD = Image("Shelly", "Plus1", "1.3.3")
NEW = replace(OLD, version="1.7.5")
NAME = "shellyplus1-02005e000001"
SPEED = 1000.0

type Make = Callable[..., ShellyDevice]


@pytest.fixture
async def make(broker: Broker) -> AsyncIterator[Make]:
    """Make devices that are stopped at the end."""
    made: list[ShellyDevice] = []

    def make(**options: Any) -> ShellyDevice:
        defaults: dict[str, Any] = {"name": NAME, "image": OLD, "mac": "02:00:5E:00:00:01", "speed": SPEED}
        made.append(ShellyDevice(link=OwnLink(broker.host, broker.port), **defaults | options))
        return made[-1]

    yield make
    for device in made:
        await device.stop()


class Hub:
    """Just enough of a hub: it calls, and reads what comes back."""

    def __init__(self, tap: BrokerTap, vendor: Vendor) -> None:
        self.tap = tap
        self.vendor = vendor
        self.url = vendor.add_file("fw.zip", package(NEW))["url"]

    async def call(self, device: ShellyDevice, method: str, params: Any = None, call_id: str = "c") -> Any:
        """Call, and return the whole answer."""
        await self.order(device, method, params, call_id)
        return (await self.tap.wait_for_message(lambda seen: _is_answer(seen, call_id))).json

    async def order(self, device: ShellyDevice, method: str, params: Any = None, call_id: str = "c") -> None:
        frame = {"id": call_id, "src": "hub/test", "method": method}
        await self.tap.publish(device.topic("rpc"), json.dumps(frame | ({"params": params} if params else {})))

    async def update(self, device: ShellyDevice, **params: Any) -> Any:
        return await self.call(device, "Shelly.Update", params or {"url": self.url})

    async def event(self, device: ShellyDevice, word: str) -> Any:
        """Return an event as soon as it was told."""
        seen = await self.tap.wait_for_message(lambda seen: word in _words(device, seen))
        return next(event for event in seen.json["params"]["events"] if event["event"] == word)

    def events(self, device: ShellyDevice) -> list[str]:
        words = [word for seen in self.tap.messages for word in _words(device, seen)]
        return [word for index, word in enumerate(words) if index == 0 or words[index - 1] != word]

    def percents(self, device: ShellyDevice) -> list[int]:
        frames = [seen.json for seen in self.tap.on(device.topic("events/rpc"))]
        events = [event for frame in frames for event in frame["params"].get("events", [])]
        return [event["progress_percent"] for event in events if "progress_percent" in event]

    def presence(self, device: ShellyDevice) -> list[str]:
        return [seen.text for seen in self.tap.on(device.topic("online"))]

    async def returned(self, device: ShellyDevice) -> None:
        await device.wait_for(lambda d: d.announced_boots == 2)
        await self.tap.settle()


def broken(part: bytes) -> bytes:
    """A package with a file that is not what its manifest says; the ZIP itself is whole."""
    return repacked(lambda content: content.replace(part, part[::-1], 1))


def without_application() -> bytes:
    """A package that is whole and holds nothing that boots."""
    hollow = b"\xe9" + bytes(100)
    digest = hashlib.sha256(NEW.build("esp")).hexdigest().encode()
    as_stated = hashlib.sha256(hollow).hexdigest().encode()
    return repacked(lambda content: hollow if b"SIMULATED" in content else content.replace(digest, as_stated))


def repacked(change: Callable[[bytes], bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(package(NEW))) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(old.read(name)))
    return buffer.getvalue()


def _is_answer(seen: Seen, call_id: str) -> bool:
    return seen.topic == "hub/test/rpc" and bool(seen.json["id"] == call_id)


def _words(device: ShellyDevice, seen: Seen) -> list[str]:
    if seen.topic != device.topic("events/rpc"):
        return []
    return [event["event"] for event in seen.json["params"].get("events", [])]


@pytest.fixture
def hub(tap: BrokerTap, vendor: Vendor) -> Hub:
    return Hub(tap, vendor)


# --- presence and calls ----------------------------------------------------------------------------------------------


async def test_it_says_that_it_is_there_and_not_who_it_is(hub: Hub, make: Make) -> None:
    device = make()
    await device.start()
    await hub.tap.settle()

    assert [(seen.topic, seen.retain) for seen in hub.tap.messages] == [
        (f"{NAME}/online", True),
        (f"{NAME}/events/rpc", False),
    ]
    assert hub.tap.messages[1].json["method"] == "NotifyFullStatus"


async def test_its_last_will_speaks_when_its_power_is_cut(hub: Hub, make: Make) -> None:
    device = make()
    await device.start()
    await device.cut_power()

    will = await hub.tap.wait_for_message(lambda seen: seen.text == "false")
    assert (will.topic, will.retain) == (f"{NAME}/online", True)


async def test_it_answers_where_the_caller_wants(hub: Hub, make: Make) -> None:
    device = make(prefix="shellies/kitchen", title="Kitchen")
    await device.start()

    answer = await hub.call(device, "Shelly.GetDeviceInfo", call_id="7")

    assert (answer["id"], answer["src"], answer["dst"]) == ("7", NAME, "hub/test")
    assert answer["result"] == {
        "name": "Kitchen",
        "id": NAME,
        "mac": "02005E000001",
        "slot": 0,
        "model": "SNSW-001X16EU",
        "gen": 2,
        "fw_id": "20260127-093000/1.3.3-gcb84623",
        "ver": "1.3.3",
        "app": "Plus1",
        "auth_en": False,
        "auth_domain": None,
    }


async def test_it_says_what_its_vendor_offers_and_when_it_updates_itself(hub: Hub, make: Make) -> None:
    device = make(offered="1.7.5", auto_update="stable")
    await device.start()

    status = await hub.call(device, "Sys.GetStatus", call_id="1")
    offer = await hub.call(device, "Shelly.CheckForUpdate", call_id="2")
    plan = await hub.call(device, "Schedule.List", call_id="3")

    assert status["result"]["available_updates"] == offer["result"] == {"stable": {"version": "1.7.5"}}
    assert plan["result"]["jobs"][0]["calls"][0]["method"] == "Shelly.Update"


async def test_a_method_that_it_does_not_know_is_an_error(hub: Hub, make: Make) -> None:
    device = make()
    await device.start()
    assert (await hub.call(device, "OTA.Revert"))["error"] == {"code": 404, "message": "No handler for OTA.Revert"}


@pytest.mark.parametrize("payload", ["", "{", "[]", "1", '{"id":1}', b"\xff", '{"id":1,"src":"x"}'])
async def test_nonsense_is_not_answered(hub: Hub, make: Make, payload: str | bytes) -> None:
    device = make()
    await device.start()
    await hub.tap.publish(device.topic("rpc"), payload)
    await hub.tap.publish(device.topic("command"), payload)

    await hub.call(device, "Shelly.GetDeviceInfo")

    assert [seen.topic for seen in hub.tap.messages if seen.topic.endswith("/rpc")].count("hub/test/rpc") == 1


async def test_a_sensor_tells_its_battery_and_its_rhythm_and_sleeps(hub: Hub, make: Make) -> None:
    device = make(image=Image("Shelly", "HTG3", "1.6.2"), generation=3, misbehaviours=[Wrong.ASLEEP_AT_FIRST])
    await device.start()
    assert device.state is DeviceState.ASLEEP

    await hub.returned(device)

    assert hub.presence(device) == ["true", "false", "true"]
    status = (await hub.call(device, "Shelly.GetStatus", call_id="1"))["result"]
    assert (status["devicepower:0"]["battery"]["percent"], status["sys"]["wakeup_period"]) == (80, 60)
    assert (await hub.call(device, "Schedule.List", call_id="2"))["error"]["code"] == 404


async def test_other_builds_are_told_and_never_offered(hub: Hub, make: Make) -> None:
    device = make()
    device.alternatives = {"Plus1ZB": {"name": "Plus1ZB", "desc": "with Zigbee"}}
    await device.start()
    status = (await hub.call(device, "Shelly.GetStatus"))["result"]["sys"]
    assert (list(status["alt"]), status["available_updates"]) == (["Plus1ZB"], {})


# --- an update that goes well ----------------------------------------------------------------------------------------


async def test_an_update_by_address(hub: Hub, make: Make) -> None:
    device = make()
    await device.start()

    answer = await hub.update(device)
    await hub.returned(device)

    assert answer["result"] is None
    assert hub.events(device) == ["ota_begin", "ota_progress", "ota_success", "scheduled_restart"]
    assert hub.percents(device) == sorted(hub.percents(device))
    assert hub.percents(device)[-1] == 99
    assert hub.presence(device) == ["true", "false", "true"]
    assert (device.version, device.slot, device.record.versions) == ("1.7.5", 1, ["1.3.3", "1.7.5"])
    assert [download.status for download in device.record.downloads] == [200]


async def test_a_stage_installs_what_the_vendor_offers(hub: Hub, make: Make) -> None:
    device = make(offered="1.7.5", offered_url=hub.url)
    await device.start()
    await hub.update(device, stage="stable")
    await hub.returned(device)
    assert (device.version, device.offered) == ("1.7.5", "")


@pytest.mark.parametrize("stage", ["stable", "beta"])
async def test_a_stage_that_holds_nothing_does_nothing(hub: Hub, make: Make, stage: str) -> None:
    device = make()
    await device.start()
    assert (await hub.update(device, stage=stage))["result"] is None
    await hub.call(device, "Shelly.GetDeviceInfo", call_id="after")
    assert (hub.events(device), device.updating) == ([], False)


async def test_with_notifications_off_only_its_return_tells(hub: Hub, make: Make) -> None:
    device = make(misbehaviours=[Wrong.NO_NOTIFICATIONS])
    await device.start()
    await hub.update(device)
    await hub.returned(device)
    assert hub.tap.on(device.topic("events/rpc")) == []
    assert (device.version, hub.presence(device)) == ("1.7.5", ["true", "false", "true"])


async def test_a_second_order_during_an_update_is_refused(hub: Hub, make: Make) -> None:
    device = make(speed=200.0)
    await device.start()
    await hub.update(device)
    await hub.event(device, "ota_begin")
    again = await hub.call(device, "Shelly.Update", {"url": hub.url}, "again")
    assert again["error"]["code"] == -114
    await hub.returned(device)
    assert device.version == "1.7.5"
    assert len(device.record.commands) == 2


async def test_it_loses_the_broker_and_finishes_all_the_same(hub: Hub, make: Make) -> None:
    device = make(misbehaviours=[Wrong.DROPS_CONNECTION])
    await device.start()
    await hub.update(device)
    await hub.returned(device)
    assert device.version == "1.7.5"
    assert hub.presence(device) == ["true", "false", "true", "false", "true"]


async def test_a_quiet_restart_is_seen_by_its_uptime_only(hub: Hub, make: Make) -> None:
    device = make(misbehaviours=[Wrong.QUIET_RESTART])
    await device.start()
    await hub.update(device)
    await hub.returned(device)
    assert (device.version, hub.presence(device)) == ("1.7.5", ["true", "true"])


async def test_what_is_attached_may_fail_beside(hub: Hub, make: Make) -> None:
    device = make(misbehaviours=[Wrong.ATTACHED_UPDATES, Wrong.SLOW])
    await device.start()
    await hub.update(device)
    assert (await hub.event(device, "ota_error"))["component"] == "bthomedevice:200"
    await hub.returned(device)
    assert device.version == "1.7.5"


# --- an update that goes wrong ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("wrong", "code"), [(Wrong.BUSY, -114), (Wrong.WANTS_PASSWORD, 401), (Wrong.LOCKED_OUT, 429)])
async def test_an_order_may_be_refused(hub: Hub, make: Make, wrong: Wrong, code: int) -> None:
    device = make(misbehaviours=[wrong])
    await device.start()
    assert (await hub.update(device))["error"]["code"] == code
    assert "result" in await hub.call(device, "Shelly.GetDeviceInfo", call_id="who")
    assert device.record.downloads == []


@pytest.mark.parametrize(
    "params", [{"stage": "x"}, {"url": "ftp://x"}, {"url": "http://x", "stage": "stable"}, {"version": "1.7.5"}]
)
async def test_an_order_that_makes_no_sense_is_an_error(hub: Hub, make: Make, params: dict[str, str]) -> None:
    device = make()
    await device.start()
    assert (await hub.update(device, **params))["error"]["code"] == -103


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (Wrong.FAILS, "DATA_LOSS"),
        (Wrong.TRANSFER_BREAKS, "DATA_LOSS: ZIP flush error : premature end of data"),
        (Wrong.REFUSES_SIGNATURE, "invalid signature"),
    ],
)
async def test_it_says_why_an_update_failed_and_does_not_restart(
    hub: Hub, make: Make, wrong: Wrong, words: str
) -> None:
    device = make(misbehaviours=[wrong])
    await device.start()
    await hub.update(device)
    error = await hub.event(device, "ota_error")
    assert words in error["msg"]
    assert error["msg"].endswith("will not reboot")
    assert (device.version, device.record.boots, device.updating) == ("1.3.3", 1, False)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"no zip", "not a firmware package"),
        (broken(b"files"), "digest mismatch in fs"),
        (broken(b"SIMULATED-FIRMWARE"), "digest mismatch in app"),
        (without_application(), "no application"),
        (package(replace(NEW, model="Plus1ZB")), "app name mismatch"),
        (package(NEW)[:-100], "not a firmware package"),
    ],
    ids=["no ZIP", "changed files", "changed image", "nothing that boots", "another app", "cut off"],
)
async def test_a_wrong_package_is_refused(hub: Hub, make: Make, data: bytes, words: str) -> None:
    url = hub.vendor.add_file("wrong.zip", data)["url"]
    device = make()
    await device.start()
    await hub.update(device, url=url)
    assert words in (await hub.event(device, "ota_error"))["msg"]


@pytest.mark.parametrize(("trick", "words"), [(Trick.NOT_FOUND, "HTTP code 404"), (Trick.TRUNCATED, "DATA_LOSS")])
async def test_a_bad_server_is_told(hub: Hub, make: Make, trick: Trick, words: str) -> None:
    hub.vendor.misbehave(hub.url, trick)
    device = make()
    await device.start()
    await hub.update(device)
    assert words in (await hub.event(device, "ota_error"))["msg"]


async def test_a_server_that_is_not_there_is_told(hub: Hub, make: Make) -> None:
    device = make()
    await device.start()
    await hub.vendor.stop()
    await hub.update(device)
    assert "connection error" in (await hub.event(device, "ota_error"))["msg"]


async def test_an_order_may_be_ignored(hub: Hub, make: Make) -> None:
    device = make(misbehaviours=[Wrong.IGNORES_COMMANDS])
    await device.start()
    await hub.order(device, "Shelly.Update", {"url": hub.url}, "u")
    await hub.call(device, "Shelly.GetDeviceInfo", call_id="after")
    assert len(hub.tap.on("hub/test/rpc")) == 1
    assert len(device.record.commands) == 1


async def test_an_accepted_order_may_come_to_nothing(hub: Hub, make: Make) -> None:
    device = make(misbehaviours=[Wrong.DOES_NOTHING])
    await device.start()
    assert (await hub.update(device))["result"] is None
    await hub.call(device, "Shelly.GetDeviceInfo", call_id="after")
    assert (device.record.downloads, device.updating) == ([], False)


@pytest.mark.parametrize(
    ("wrong", "version", "app"),
    [
        (Wrong.COMES_BACK_OLD, "1.3.3", "Plus1"),
        (Wrong.BOOTS_OTHER_APP, "1.7.5", "Plus1ZB"),
        (Wrong.UPDATES_ITSELF, "99.0.0", "Plus1"),
    ],
)
async def test_it_may_come_back_as_something_else(hub: Hub, make: Make, wrong: Wrong, version: str, app: str) -> None:
    device = make(misbehaviours=[wrong])
    await device.start()
    await hub.update(device)
    await hub.returned(device)
    assert (device.version, device.image.model) == (version, app)


async def test_it_flashes_another_app_if_it_does_not_look(hub: Hub, make: Make) -> None:
    other = replace(NEW, model="Plus1ZB")
    url = hub.vendor.add_file("other.zip", package(other))["url"]
    device = make(misbehaviours=[Wrong.FLASHES_ANYTHING])
    await device.start()
    await hub.update(device, url=url)
    await hub.returned(device)
    assert device.image == other


async def test_it_may_never_return(hub: Hub, make: Make) -> None:
    device = make(misbehaviours=[Wrong.NEVER_RETURNS])
    await device.start()
    await hub.update(device)
    await device.wait_for(lambda d: d.state is DeviceState.DEAD)
    await hub.tap.settle()
    assert hub.presence(device) == ["true", "false"]


async def test_somebody_else_may_change_it(hub: Hub, make: Make) -> None:
    device = make()
    await device.start()
    await device.become(NEW)
    assert (device.version, device.record.boots) == ("1.7.5", 2)


async def test_orders_are_counted_at_the_broker(hub: Hub, make: Make) -> None:
    device = make(prefix="shellies/kitchen", misbehaviours=[Wrong.DOES_NOTHING])
    await device.start()
    await hub.call(device, "Shelly.GetStatus", call_id="1")
    await hub.call(device, "Shelly.Update", {"url": hub.url}, "install-a-1")
    await hub.tap.publish("shellies/kitchen/rpc", '{"id":"install-a-1","method":"Shelly.Update"}', retain=True)
    await hub.tap.publish("shellies/kitchen/rpc", "[]", qos=1)
    await hub.tap.settle()

    commands = [(each.dialect, each.device, each.attempt, each.url) for each in hub.tap.install_commands()]
    assert commands == [
        ("shelly", "shellies/kitchen", "install-a-1", hub.url),
        ("shelly", "shellies/kitchen", "install-a-1", ""),
    ]
    assert [seen.retain for seen in hub.tap.lasting_commands()] == [True, False]
    assert len(hub.tap.duplicates()) == 1


@pytest.mark.parametrize("shared", [False, True], ids=["own connections", "one connection"])
async def test_a_fleet_of_both_families_is_ordered(hub: Hub, broker: Broker, shared: bool) -> None:
    fleet = Devices(broker.host, broker.port, speed=SPEED, shared=shared)
    fleet.shelly("plus")
    fleet.shelly("deep", prefix="shellies/deep")
    fleet.shelly_gen1("first", offered="1.14.0", offered_url=hub.url)
    async with fleet:
        update = {"id": "u", "src": "hub/test", "method": "Shelly.Update", "params": {"url": hub.url}}
        await hub.tap.publish("plus/rpc", json.dumps(update))
        await hub.tap.publish("shellies/deep/rpc", json.dumps(update))
        await hub.tap.publish("shellies/first/command", "update_fw")
        await fleet.wait_for(lambda f: all(device.record.boots == 2 for device in f.devices.values()))
    assert fleet.versions() == {"1.7.5": 3}


# --- packages --------------------------------------------------------------------------------------------------------


def test_a_package_is_one_that_the_hub_accepts() -> None:
    assert check_package(package(NEW), app="Plus1", version="1.7.5").parts == ("boot", "app", "fs", "nvs")


@pytest.mark.parametrize("data", [package(NEW), package(NEW, first_generation=True)], ids=["later", "first"])
def test_a_package_becomes_its_image(data: bytes) -> None:
    assert read_package(data) == NEW


def test_a_package_can_lie() -> None:
    lying = package(NEW, name="Plus1PM", version="9.9.9")
    assert check_package(lying, app="Plus1PM", version="9.9.9").app == "Plus1PM"
    assert read_package(lying) == NEW
    with pytest.raises(BadPackage):
        read_package(lying, wanted="Plus1")


def test_the_page_of_an_app_names_its_package_by_its_digest() -> None:
    page = index_of_app(NEW, package(NEW), "https://cdn.example/gen2", alt={"Plus1ZB": {}})
    assert page["stable"]["url"].startswith("https://cdn.example/gen2/Plus1/")
    assert (page["name"], list(page["alt"])) == ("Plus1", ["Plus1ZB"])


# --- together with the dialect ---------------------------------------------------------------------------------------

DIALECT = ShellyDialect()


class Listener:
    """The dialect with an address book, at the broker."""

    def __init__(self, tap: BrokerTap) -> None:
        self.tap = tap
        self.fleet = Fleet()
        self.fleet.expect_burst(NOW)
        self.heard: list[Any] = []
        self.asked: list[str] = []
        self._read = 0

    async def say(self, *messages: Outgoing) -> None:
        for each in messages:
            await self.tap.publish(each.topic, each.payload)

    async def listen(self) -> None:
        """Read everything that came, as it came; strangers are asked."""
        await self.tap.settle()
        while self._read < len(self.tap.messages):
            seen = self.tap.messages[self._read]
            self._read += 1
            message = Message(seen.topic, seen.payload)
            if address := DIALECT.suspect(message, self.fleet):
                self.asked.append(address)
                await self.say(*DIALECT.probe(address))
            for item in DIALECT.read(message, self.fleet):
                self.heard.append(item)
                if isinstance(item, DeviceReported):
                    self.fleet.merge(item, NOW)

    async def until(self, fact: Callable[[], object]) -> None:
        await self.listen()
        while not fact():
            await self.tap.wait_for(lambda tap: len(tap.messages) > self._read)
            await self.listen()

    @property
    def version(self) -> str:
        return next((device.version for device in self.fleet.devices.values()), "")


async def test_the_dialect_finds_the_device_and_brings_it_to_the_new_version(hub: Hub, make: Make) -> None:
    listener = Listener(hub.tap)
    device = make(prefix="shellies/kitchen", offered="1.7.5", auto_update="beta")
    await device.start()
    await listener.until(lambda: listener.version)
    (known,) = listener.fleet.devices.values()
    assert (listener.asked, known.id, known.model) == (["shellies/kitchen/"], "mac:02005E000001", "Plus1")

    await listener.say(*DIALECT.query(known))
    await listener.until(lambda: "auto_update" in next(iter(listener.fleet.devices.values())).settings)
    known = next(iter(listener.fleet.devices.values()))
    assert known.settings == {"offered": "1.7.5", "auto_update": "beta 0 0 3 * * *"}

    release = Release(Match("Shelly", ("Plus1",)), "1.7.5", ())
    await listener.say(*DIALECT.install(InstallOrder("a-1", known, release, hub.url)))
    await hub.returned(device)
    await listener.say(*DIALECT.query(known))
    await listener.until(lambda: listener.version == "1.7.5")

    stages = [item.stage.value for item in listener.heard if isinstance(item, InstallReported)]
    assert list(dict.fromkeys(stages)) == ["accepted", "downloading", "claims_done", "rebooting"]
    assert [command.attempt for command in device.record.commands] == ["install-a-1"]
