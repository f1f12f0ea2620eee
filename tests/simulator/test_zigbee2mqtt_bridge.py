"""The simulated Zigbee2MQTT against plain MQTT: the traces of a real one, and what goes wrong with real ones."""

import hashlib
import json
from collections.abc import AsyncIterator, Callable
from itertools import count
from typing import Any

import pytest

from simulator.broker import Broker, BrokerTap
from simulator.devices.base import DeviceState
from simulator.devices.zigbee2mqtt import ZigbeeDevice, ZigbeeMisbehaviour
from simulator.devices.zigbee2mqtt_bridge import Zigbee2MqttBridge
from simulator.images import Image, NotAnImage
from simulator.link import OwnLink, Publication
from simulator.tap import Seen
from simulator.tricks import Trick
from simulator.vendor import Vendor
from simulator.zigbee_images import BULB, IKEA, build_ota, read_ota

OLD = Image("IKEA of Sweden", "TRADFRI bulb E27", "268435456")
NEW = Image("IKEA of Sweden", "TRADFRI bulb E27", "536870912")
OLDER = Image("IKEA of Sweden", "TRADFRI bulb E27", "5")
TIMEOUT = "Timeout after 150000ms [address=4660 endpoint=1 clusterId=25 cmdId=3 tsn=undefined]"
REQUEST = "bridge/request/device/ota_update"
SPEED = 1000.0

type Make = Callable[..., Zigbee2MqttBridge]


@pytest.fixture
async def make(broker: Broker) -> AsyncIterator[Make]:
    """Make bridges that are stopped at the end."""
    made: list[Zigbee2MqttBridge] = []

    def make(**options: Any) -> Zigbee2MqttBridge:
        defaults: dict[str, Any] = {"speed": SPEED}
        made.append(Zigbee2MqttBridge(link=OwnLink(broker.host, broker.port), **defaults | options))
        return made[-1]

    yield make
    for bridge in made:
        await bridge.stop()


class Hub:
    """Just enough of a hub for one bridge."""

    def __init__(self, tap: BrokerTap, vendor: Vendor, make: Make) -> None:
        self.tap = tap
        self.vendor = vendor
        self.make = make
        self.base = "zigbee2mqtt"
        self.bridge: Zigbee2MqttBridge
        self._marks = count()

    async def lamp(
        self, *misbehaviours: ZigbeeMisbehaviour, bridge: dict[str, Any] | None = None, **options: Any
    ) -> Any:
        """Start a bridge with one lamp; returns both."""
        started = self.bridge = self.make(**(bridge or {}))
        self.base = started.base
        lamp = started.add("bulb", options.pop("image", OLD), misbehaviours=misbehaviours, **options)
        await started.start()
        return started, lamp

    async def settle(self) -> None:
        """Return when all that the bridge has said is on record: its last word on its own connection is."""
        mark = f"settled/{next(self._marks)}"
        await self.bridge.link.publish(Publication(mark, ""))
        await self.tap.wait_for(lambda tap: tap.on(mark))
        await self.tap.settle()

    async def ask(self, word: str, device: ZigbeeDevice | str, **more: Any) -> None:
        name = device if isinstance(device, str) else device.ieee
        await self.tap.publish(f"{self.base}/{REQUEST}/{word}", json.dumps({"id": name, "transaction": "t", **more}))

    async def install(self, device: ZigbeeDevice, body: bytes | None = None, word: str = "update", **more: Any) -> None:
        entry = self.vendor.add_file("image.ota", build_ota(NEW) if body is None else body)
        await self.ask(word, device, **{"url": entry["url"], **more})

    async def answer(self, word: str, number: int = 0) -> dict[str, Any]:
        topic = f"{self.base}/bridge/response/device/ota_update/{word}"
        await self.tap.wait_for(lambda tap: len(tap.on(topic)) > number)
        found: dict[str, Any] = self.tap.on(topic)[number].json
        return found

    async def error(self, word: str, number: int = 0) -> str:
        answer = await self.answer(word, number)
        assert (answer["status"], answer["data"], answer["transaction"]) == ("error", {}, "t")
        return str(answer["error"])

    def updates(self, name: str = "bulb") -> list[dict[str, Any]]:
        return [message.json["update"] for message in self.tap.on(f"{self.base}/{name}")]

    def states(self) -> list[str]:
        return [update["state"] for update in self.updates()]

    def last(self, topic: str) -> Any:
        return self.tap.on(f"{self.base}/{topic}")[-1].json

    def events(self) -> list[str]:
        return [message.json["type"] for message in self.tap.on(f"{self.base}/bridge/event")]


@pytest.fixture
def hub(tap: BrokerTap, vendor: Vendor, make: Make) -> Hub:
    return Hub(tap, vendor, make)


# --- what it says of itself ------------------------------------------------------------------------------------------


async def test_it_announces_itself_and_its_devices_retained(hub: Hub) -> None:
    await hub.lamp()
    await hub.settle()

    retained = {message.topic for message in hub.tap.messages if message.retain}
    assert retained >= {
        "zigbee2mqtt/bridge/state",
        "zigbee2mqtt/bridge/info",
        "zigbee2mqtt/bridge/devices",
        "zigbee2mqtt/bulb/availability",
        "homeassistant/update/0x000d6f0000000002/update/config",
    }
    coordinator, lamp = hub.last("bridge/devices")
    assert coordinator["type"] == "Coordinator"
    assert (lamp["ieee_address"], lamp["model_id"], lamp["software_build_id"]) == (
        "0x000d6f0000000002",
        "TRADFRI bulb E27",
        "1.0.0",
    )
    assert hub.last("bulb/availability") == {"state": "online"}


async def test_home_assistant_is_told_what_a_real_one_tells(hub: Hub) -> None:
    await hub.lamp()
    message = await hub.tap.wait_for_message(lambda seen: seen.topic.startswith("homeassistant/"))

    config = message.json
    assert config["payload_install"] == '{"id": "0x000d6f0000000002"}'
    assert config["command_topic"] == "zigbee2mqtt/bridge/request/device/ota_update/update"
    assert [place["topic"] for place in config["availability"]] == [
        "zigbee2mqtt/bridge/state",
        "zigbee2mqtt/bulb/availability",
    ]
    assert json.loads(config["payload_install"]) == {"id": "0x000d6f0000000002"}


async def test_any_base_will_do(hub: Hub) -> None:
    await hub.lamp(bridge={"base": "my home/zigbee"})
    await hub.settle()
    assert hub.last("bridge/state") == {"state": "online"}


async def test_its_last_will_speaks_when_it_dies(hub: Hub) -> None:
    bridge, _ = await hub.lamp()
    await bridge.die()

    await hub.tap.wait_for_message(lambda seen: seen.json == {"state": "offline"})
    assert hub.last("bridge/state") == {"state": "offline"}


async def test_a_renamed_device_speaks_elsewhere(hub: Hub) -> None:
    bridge, lamp = await hub.lamp()
    await bridge.rename(lamp, "kitchen/lamp")
    await hub.settle()

    assert hub.last("bridge/devices")[1]["friendly_name"] == "kitchen/lamp"
    assert hub.last("kitchen/lamp/availability") == {"state": "online"}
    assert hub.tap.on("zigbee2mqtt/bulb/availability")[-1].payload == b""


async def test_a_removed_device_leaves_nothing_behind(hub: Hub) -> None:
    bridge, lamp = await hub.lamp()
    await bridge.remove(lamp)
    await hub.settle()

    assert len(hub.last("bridge/devices")) == 1
    assert hub.events() == ["device_leave"]
    assert hub.tap.on(f"homeassistant/update/{lamp.ieee}/update/config")[-1].payload == b""


async def test_a_device_without_power_is_offline_after_a_while(hub: Hub) -> None:
    _, lamp = await hub.lamp()
    await lamp.cut_power()

    await hub.tap.wait_for_message(
        lambda seen: seen.topic == "zigbee2mqtt/bulb/availability" and seen.json == {"state": "offline"}
    )


async def test_a_device_that_has_power_again_announces_itself(hub: Hub) -> None:
    _, lamp = await hub.lamp()
    await lamp.cut_power()
    await lamp.start()
    await hub.settle()
    assert hub.events() == ["device_announce"]


async def test_availability_is_off_unless_it_is_switched_on(hub: Hub) -> None:
    await hub.lamp(bridge={"availability": False})
    await hub.settle()
    assert hub.tap.on("zigbee2mqtt/bulb/availability") == []


# --- checking --------------------------------------------------------------------------------------------------------


async def test_a_check_asks_the_device_and_shows_what_it_says(hub: Hub) -> None:
    _, lamp = await hub.lamp()
    await hub.ask("check", lamp)

    assert (await hub.answer("check"))["data"] == {"id": lamp.ieee, "update_available": False, "downgrade": False}
    assert hub.updates() == [
        {
            "state": "idle",
            "installed_version": 268435456,
            "latest_version": 268435456,
            "latest_source": None,
            "latest_release_notes": None,
        }
    ]


async def test_a_device_may_be_named(hub: Hub) -> None:
    await hub.lamp()
    await hub.ask("check", "bulb")
    assert (await hub.answer("check"))["data"]["id"] == "bulb"


async def test_a_check_finds_what_the_public_index_has(hub: Hub) -> None:
    entry = {
        "manufacturerCode": IKEA,
        "imageType": BULB,
        "fileVersion": 536870912,
        "url": "https://x/new.ota",
        "releaseNotes": "notes",
    }
    _, lamp = await hub.lamp(bridge={"index": [entry]})
    await hub.ask("check", lamp)

    data = (await hub.answer("check"))["data"]
    assert (data["update_available"], data["source"], data["release_notes"]) == (True, "https://x/new.ota", "notes")
    assert hub.updates()[-1]["state"] == "available"


@pytest.mark.parametrize(
    ("options", "misbehaviours", "words"),
    [
        ({"index": None}, [], "(fetch failed)"),
        ({}, [ZigbeeMisbehaviour.SILENT], "(Device didn't respond to OTA request)"),
    ],
)
async def test_a_check_that_fails_shows_nothing(
    hub: Hub, options: dict[str, Any], misbehaviours: list[ZigbeeMisbehaviour], words: str
) -> None:
    _, lamp = await hub.lamp(*misbehaviours, bridge=options)
    await hub.ask("check", lamp)
    assert await hub.error("check") == f"Failed to check if OTA update available for 'bulb' {words}"
    assert hub.updates() == []


async def test_a_check_with_an_image_instead_of_an_index_fails(hub: Hub) -> None:
    _, lamp = await hub.lamp()
    entry = hub.vendor.add_file("image.ota", build_ota(NEW))
    await hub.ask("check", lamp, url=entry["url"])
    assert "Unexpected token" in await hub.error("check")


async def test_a_stranger_does_not_exist(hub: Hub) -> None:
    await hub.lamp()
    await hub.ask("check", "nope")
    assert await hub.error("check") == "Device 'nope' does not exist"


async def test_a_bare_name_is_a_request_as_well(hub: Hub) -> None:
    await hub.lamp()
    await hub.tap.publish(f"zigbee2mqtt/{REQUEST}/check", "bulb")
    assert "transaction" not in await hub.answer("check")


# --- updating --------------------------------------------------------------------------------------------------------


async def test_an_update_goes_as_a_real_one_goes(hub: Hub) -> None:
    _, lamp = await hub.lamp()
    await hub.ask("check", lamp)
    await hub.answer("check")
    await hub.install(lamp)

    answer = await hub.answer("update")
    assert answer["status"] == "ok"
    assert (answer["data"]["from"]["file_version"], answer["data"]["to"]["file_version"]) == (268435456, 536870912)
    assert (lamp.image, lamp.build, lamp.record.boots) == (NEW, "2.0.0", 2)
    states = hub.states()
    assert (states[0], set(states[1:-1]), states[-1]) == ("idle", {"updating"}, "idle")
    progress = [update["progress"] for update in hub.updates() if update["state"] == "updating"]
    assert (progress[0], progress[-1], progress) == (0, 100, sorted(progress))
    assert hub.updates()[-1]["installed_version"] == 536870912
    assert [(download.status, download.length) for download in lamp.record.downloads] == [(200, len(build_ota(NEW)))]


async def test_after_an_update_the_device_is_interviewed(hub: Hub) -> None:
    _, lamp = await hub.lamp()
    await hub.install(lamp)
    await hub.tap.wait_for_message(
        lambda seen: seen.topic == "zigbee2mqtt/bridge/event" and seen.json["data"].get("status") == "successful"
    )
    await hub.tap.wait_for_message(_lists_build("2.0.0"))
    assert hub.events() == ["device_announce", "device_interview", "device_interview"]


def _lists_build(build: str) -> Callable[[Seen], bool]:
    def lists(seen: Seen) -> bool:
        return seen.topic.endswith("/bridge/devices") and seen.json[1]["software_build_id"] == build

    return lists


async def test_a_long_transfer_tells_its_progress(hub: Hub) -> None:
    _, lamp = await hub.lamp(transfer_seconds=150.0)
    await hub.install(lamp)
    await hub.answer("update")
    progress = [update["progress"] for update in hub.updates() if update["state"] == "updating"]
    assert progress == [0, 20, 40, 60, 80, 100]


async def test_an_older_image_needs_a_request_for_one(hub: Hub) -> None:
    _, lamp = await hub.lamp()
    await hub.install(lamp, build_ota(OLDER))
    assert await hub.error("update") == "Update of 'bulb' failed (No image currently available)"

    await hub.install(lamp, build_ota(OLDER), "update/downgrade")
    assert (await hub.answer("update", 1))["status"] == "ok"
    assert lamp.image == OLDER


@pytest.mark.parametrize("trick", [Trick.NOT_FOUND, Trick.LOGIN_PAGE, Trick.TRUNCATED, Trick.SERVER_ERROR])
async def test_whatever_is_wrong_with_the_file_there_is_no_image(hub: Hub, trick: Trick) -> None:
    _, lamp = await hub.lamp()
    entry = hub.vendor.add_file("image.ota", build_ota(NEW))
    hub.vendor.misbehave("/files/image.ota", trick)
    await hub.ask("update", lamp, url=entry["url"])

    assert await hub.error("update") == "Update of 'bulb' failed (No image currently available)"
    assert (hub.states(), lamp.image) == (["idle"], OLD)


@pytest.mark.parametrize(
    "body", [b"", b"no image", build_ota(NEW)[:-1], build_ota(OLD)], ids=["empty", "text", "cut", "same"]
)
async def test_a_file_that_is_none_and_one_that_is_not_newer_are_no_image(hub: Hub, body: bytes) -> None:
    _, lamp = await hub.lamp()
    await hub.install(lamp, body)
    assert await hub.error("update") == "Update of 'bulb' failed (No image currently available)"


@pytest.mark.parametrize("genuine", [True, False])
async def test_an_index_is_held_to_its_digest(hub: Hub, genuine: bool) -> None:
    _, lamp = await hub.lamp()
    body = build_ota(NEW)
    entry = {
        "manufacturerCode": IKEA,
        "imageType": BULB,
        "fileVersion": 536870912,
        "url": hub.vendor.add_file("image.ota", body)["url"],
        "sha512": hashlib.sha512(body if genuine else b"another").hexdigest(),
    }
    index = hub.vendor.add_file("index.json", json.dumps([entry]).encode())
    await hub.ask("update", lamp, url=index["url"])
    assert ((await hub.answer("update"))["status"] == "ok") is genuine


@pytest.mark.parametrize(
    ("misbehaviour", "sentence"),
    [
        (
            ZigbeeMisbehaviour.REFUSES_IMAGE,
            "(OTA update of 0x000d6f0000000002 failed with reason: INVALID_IMAGE)",
        ),
        (ZigbeeMisbehaviour.GIVES_UP, "(OTA update of 0x000d6f0000000002 failed with reason: ABORT)"),
        (ZigbeeMisbehaviour.SILENT, "(Device didn't respond to OTA request)"),
        (ZigbeeMisbehaviour.DEAF_TO_UPDATES, "(Device didn't respond to OTA request)"),
        (
            ZigbeeMisbehaviour.STALLS,
            f"(Device 0x000d6f0000000002 did not start/finish firmware download after being notified. ({TIMEOUT}))",
        ),
    ],
)
async def test_a_failure_is_said_as_a_real_one_says_it(
    hub: Hub, misbehaviour: ZigbeeMisbehaviour, sentence: str
) -> None:
    _, lamp = await hub.lamp(misbehaviour)
    await hub.install(lamp)
    assert await hub.error("update") == f"OTA update of 'bulb' failed {sentence}"
    assert (hub.states()[-1], lamp.state, lamp.image) == ("available", DeviceState.ONLINE, OLD)


@pytest.mark.parametrize(
    "body", [build_ota(NEW, manufacturer_code=1), build_ota(NEW, image_type=1)], ids=["maker", "type"]
)
async def test_a_device_refuses_an_image_for_others(hub: Hub, body: bytes) -> None:
    _, lamp = await hub.lamp()
    await hub.install(lamp, body)
    assert "INVALID_IMAGE" in await hub.error("update")


async def test_a_device_that_flashes_anything_becomes_it(hub: Hub) -> None:
    _, lamp = await hub.lamp(ZigbeeMisbehaviour.FLASHES_ANYTHING)
    await hub.install(lamp, build_ota(NEW, manufacturer_code=1))
    await hub.answer("update")
    assert lamp.image == NEW


async def test_a_device_that_hears_no_updates_still_says_what_it_runs(hub: Hub) -> None:
    _, lamp = await hub.lamp(ZigbeeMisbehaviour.DEAF_TO_UPDATES)
    await hub.ask("check", lamp)
    assert (await hub.answer("check"))["status"] == "ok"


async def test_a_file_that_the_bridge_cannot_use_is_no_image(hub: Hub) -> None:
    _, lamp = await hub.lamp(ZigbeeMisbehaviour.FILE_UNUSABLE)
    await hub.install(lamp)
    assert await hub.error("update") == "Update of 'bulb' failed (No image currently available)"
    assert (hub.states()[-1], lamp.image) == ("idle", OLD)


@pytest.mark.parametrize("misbehaviour", [ZigbeeMisbehaviour.BUSY, ZigbeeMisbehaviour.OVERTAKEN])
async def test_a_device_that_is_busy_is_left_alone(hub: Hub, misbehaviour: ZigbeeMisbehaviour) -> None:
    _, lamp = await hub.lamp(misbehaviour)
    await hub.install(lamp)
    assert await hub.error("update") == "OTA update or check for update already in progress for 'bulb'"
    assert lamp.record.downloads == []


async def test_a_second_request_finds_the_first_one_under_way(hub: Hub) -> None:
    _, lamp = await hub.lamp(ZigbeeMisbehaviour.STALLS)
    await hub.install(lamp)
    await lamp.wait_for(lambda device: device.state is DeviceState.DOWNLOADING)
    await hub.ask("check", lamp)
    assert "already in progress" in await hub.error("check")


async def test_success_is_claimed_although_the_old_image_runs(hub: Hub) -> None:
    _, lamp = await hub.lamp(ZigbeeMisbehaviour.COMES_BACK_OLD)
    await hub.install(lamp)
    assert (await hub.answer("update"))["data"]["to"]["file_version"] == 536870912
    assert hub.updates()[-1]["installed_version"] == 536870912

    await hub.ask("check", lamp)
    await hub.answer("check")
    assert hub.updates()[-1]["installed_version"] == 268435456


@pytest.mark.parametrize("misbehaviour", [ZigbeeMisbehaviour.NEVER_RETURNS, ZigbeeMisbehaviour.NO_ANNOUNCE])
async def test_success_is_claimed_although_nobody_announced_anything(
    hub: Hub, misbehaviour: ZigbeeMisbehaviour
) -> None:
    _, lamp = await hub.lamp(misbehaviour)
    await hub.install(lamp)
    assert (await hub.answer("update"))["status"] == "ok"


async def test_a_device_that_never_returned_answers_no_check(hub: Hub) -> None:
    _, lamp = await hub.lamp(ZigbeeMisbehaviour.NEVER_RETURNS)
    await hub.install(lamp)
    await hub.answer("update")
    await hub.ask("check", lamp)
    assert "didn't respond" in await hub.error("check")
    assert lamp.state is DeviceState.DEAD


async def test_a_bridge_that_dies_in_the_middle_forgets_the_update(hub: Hub) -> None:
    bridge, lamp = await hub.lamp(ZigbeeMisbehaviour.KILLS_BRIDGE)
    await hub.install(lamp)
    await hub.tap.wait_for(lambda tap: len(tap.on("zigbee2mqtt/bridge/state")) == 3)

    assert [message.json["state"] for message in hub.tap.on("zigbee2mqtt/bridge/state")] == [
        "online",
        "offline",
        "online",
    ]
    assert hub.tap.on("zigbee2mqtt/bridge/response/device/ota_update/update") == []
    await hub.ask("check", lamp)
    assert (await hub.answer("check"))["status"] == "ok"
    assert (lamp.image, bridge.crash) == (OLD, None)


async def test_a_transfer_can_be_aborted(hub: Hub) -> None:
    _, lamp = await hub.lamp(ZigbeeMisbehaviour.SLOW, transfer_seconds=6000.0)
    await hub.install(lamp)
    await lamp.wait_for(lambda device: device.state is DeviceState.DOWNLOADING)
    await hub.ask("update/abort", lamp)

    assert (await hub.answer("update/abort"))["data"] == {"id": lamp.ieee}
    assert await hub.error("update") == f"OTA update of 'bulb' failed (OTA for device {lamp.ieee} was aborted)"
    assert lamp.image == OLD


async def test_there_may_be_nothing_to_abort(hub: Hub) -> None:
    _, lamp = await hub.lamp()
    await hub.ask("update/abort", lamp)
    assert await hub.error("update") == "No OTA in progress to abort for device 'bulb'"


async def test_an_old_bridge_ignores_the_address(hub: Hub) -> None:
    _, lamp = await hub.lamp(bridge={"takes_url": False})
    await hub.install(lamp)
    assert "No image currently available" in await hub.error("update")
    assert (lamp.record.downloads, hub.last("bridge/info")["version"]) == ([], "2.7.2")
    assert "latest_source" not in hub.updates()[-1]


async def test_every_order_is_recorded_with_its_attempt(hub: Hub) -> None:
    _, lamp = await hub.lamp(ZigbeeMisbehaviour.BUSY)
    await hub.install(lamp, transaction="a-1")
    await hub.answer("update")
    await hub.install(lamp, transaction="a-1")
    await hub.answer("update", 1)
    assert [command.attempt for command in lamp.record.commands] == ["a-1", "a-1"]
    assert len(lamp.record.duplicate_commands) == 1


async def test_orders_are_counted_at_the_broker(hub: Hub) -> None:
    _, lamp = await hub.lamp(ZigbeeMisbehaviour.BUSY)
    await hub.install(lamp, transaction="a-1")
    await hub.ask("schedule/downgrade", lamp, transaction="a-1")
    await hub.ask("check", lamp)
    await hub.tap.publish(f"zigbee2mqtt/{REQUEST}/update", "bulb", retain=True)
    await hub.settle()

    commands = [(command.device, command.attempt) for command in hub.tap.install_commands()]
    assert commands == [(lamp.ieee, "a-1"), (lamp.ieee, "a-1"), ("bulb", "")]
    assert (len(hub.tap.duplicates()), [seen.text for seen in hub.tap.lasting_commands()]) == (1, ["bulb"])


# --- sleeping devices ------------------------------------------------------------------------------------------------


async def test_a_sleeping_device_hears_nothing(hub: Hub) -> None:
    _, sensor = await hub.lamp(ZigbeeMisbehaviour.SLEEPS)
    await hub.install(sensor)
    assert "didn't respond" in await hub.error("update")
    assert hub.updates()[-1]["state"] == "available"


async def test_a_sleeping_device_says_how_full_its_battery_is(hub: Hub) -> None:
    _, sensor = await hub.lamp(ZigbeeMisbehaviour.SLEEPS)
    await sensor.wake()
    await hub.settle()
    assert hub.last("bulb")["battery"] == 81
    assert hub.last("bridge/devices")[1]["power_source"] == "Battery"


async def test_a_scheduled_update_begins_when_the_device_wakes(hub: Hub) -> None:
    _, sensor = await hub.lamp(ZigbeeMisbehaviour.SLEEPS)
    await hub.install(sensor, word="schedule")
    assert (await hub.answer("schedule"))["status"] == "ok"
    assert hub.states() == ["scheduled"]

    await sensor.wake()
    await sensor.wait_for(lambda device: device.image == NEW)
    await hub.tap.wait_for(lambda _: hub.states()[-1] == "idle")
    assert hub.tap.on("zigbee2mqtt/bridge/response/device/ota_update/update") == []


async def test_a_scheduled_update_that_fails_stays_scheduled(hub: Hub) -> None:
    _, sensor = await hub.lamp(ZigbeeMisbehaviour.SLEEPS, ZigbeeMisbehaviour.REFUSES_IMAGE)
    await hub.install(sensor, word="schedule")
    await hub.answer("schedule")
    await sensor.wake()
    await hub.tap.wait_for(lambda _: hub.states()[-1] == "scheduled" and "updating" in hub.states())
    assert sensor.image == OLD


async def test_a_scheduled_update_can_be_taken_back(hub: Hub) -> None:
    _, sensor = await hub.lamp(ZigbeeMisbehaviour.SLEEPS)
    await hub.install(sensor, word="schedule")
    await hub.answer("schedule")
    await hub.ask("unschedule", sensor)
    assert (await hub.answer("unschedule"))["data"] == {"id": sensor.ieee}

    await sensor.wake()
    await hub.settle()
    assert (hub.states(), sensor.image) == (["scheduled", "idle", "idle"], OLD)


async def test_a_scheduled_image_that_is_gone_looks_given_up_and_is_tried_again_all_the_same(hub: Hub) -> None:
    bridge, sensor = await hub.lamp(ZigbeeMisbehaviour.SLEEPS)
    await hub.ask("schedule", sensor, url=hub.vendor.file_url("gone.ota"))
    await hub.answer("schedule")
    await sensor.wake()
    await hub.tap.wait_for(lambda _: hub.states().count("idle") == 1)
    await hub.settle()
    await sensor.wake()
    await hub.tap.wait_for(lambda _: hub.states().count("idle") == 2)
    assert len(sensor.record.downloads) == 2
    assert (list(bridge.scheduled), sensor.image) == ([sensor.ieee], OLD)


async def test_what_is_scheduled_outlives_the_bridge(hub: Hub) -> None:
    bridge, sensor = await hub.lamp(ZigbeeMisbehaviour.SLEEPS)
    await hub.install(sensor, word="schedule")
    await hub.answer("schedule")
    await bridge.die()
    await bridge.come_back()
    await hub.tap.wait_for(lambda _: hub.states() == ["scheduled", "scheduled"])
    await sensor.wake()
    await sensor.wait_for(lambda device: device.image == NEW)


async def test_an_update_that_ran_when_the_bridge_died_is_shown_as_none_and_tried_again(hub: Hub) -> None:
    bridge, sensor = await hub.lamp(ZigbeeMisbehaviour.SLEEPS, ZigbeeMisbehaviour.KILLS_BRIDGE)
    await hub.install(sensor, word="schedule")
    await hub.answer("schedule")
    await sensor.wake()
    await hub.tap.wait_for(lambda _: "updating" in hub.states() and hub.states()[-1] == "idle")
    assert list(bridge.scheduled) == [sensor.ieee]
    await sensor.wake()
    await sensor.wait_for(lambda device: device.image == NEW)
    await bridge.wait_for(lambda one: not one.scheduled)


async def test_what_runs_cannot_be_unscheduled(hub: Hub) -> None:
    _, sensor = await hub.lamp(ZigbeeMisbehaviour.SLEEPS, transfer_seconds=600.0)
    await hub.install(sensor, word="schedule")
    await hub.answer("schedule")
    await sensor.wake()
    await hub.tap.wait_for(lambda _: "updating" in hub.states())
    await hub.ask("unschedule", sensor)
    assert await hub.error("unschedule") == "OTA update or check for update already in progress for 'bulb'"
    await sensor.wait_for(lambda device: device.image == NEW)


async def test_a_sleeper_that_has_just_started_is_awake_for_a_while(hub: Hub) -> None:
    _, sensor = await hub.lamp(ZigbeeMisbehaviour.SLEEPS)
    await hub.install(sensor, word="schedule")
    await hub.answer("schedule")
    await sensor.wake()
    await sensor.wait_for(lambda device: device.record.boots == 2)
    assert sensor.awake
    await sensor.wait_for(lambda device: not device.awake)


async def test_a_device_that_asks_by_itself_is_shown(hub: Hub) -> None:
    _, lamp = await hub.lamp()
    await lamp.wake()
    await hub.settle()
    assert hub.updates()[-1]["installed_version"] == 268435456


# --- files -----------------------------------------------------------------------------------------------------------


def test_a_file_holds_an_image_and_says_for_whom() -> None:
    file = read_ota(b"wrapper" + build_ota(NEW, manufacturer_code=7, image_type=9, build="9.9"))
    assert (file.manufacturer_code, file.image_type, file.file_version, file.build, file.image) == (
        7,
        9,
        536870912,
        "9.9",
        NEW,
    )


@pytest.mark.parametrize("data", [b"", b"text", build_ota(NEW)[:60], build_ota(NEW)[:-1]], ids=len)
def test_what_is_no_file_is_none(data: bytes) -> None:
    with pytest.raises(NotAnImage):
        read_ota(data)
