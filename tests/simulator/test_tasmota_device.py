"""The Tasmota device against plain MQTT: the traces of a real one, and what goes wrong with real ones."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from simulator.broker import Broker, BrokerTap
from simulator.devices.base import DeviceState
from simulator.devices.tasmota import DeepSleep, TasmotaDevice, TasmotaMisbehaviour
from simulator.images import Image
from simulator.link import OwnLink
from simulator.tap import Seen
from simulator.tricks import Trick
from simulator.vendor import Vendor

ESP8266 = Image("Tasmota", "ESP8266", "14.5.0", variant="tasmota")
ESP32 = Image("Tasmota", "ESP32", "14.5.0", variant="tasmota32")
ROOMY = 1_000_000
SPEED = 1000.0

type Make = Callable[..., TasmotaDevice]


@pytest.fixture
async def make(broker: Broker) -> AsyncIterator[Make]:
    """Make devices that are stopped at the end."""
    made: list[TasmotaDevice] = []

    def make(image: Image = ESP8266, **options: Any) -> TasmotaDevice:
        defaults: dict[str, Any] = {"name": "boiler", "mac": "8C:AA:B5:A1:B2:C3", "speed": SPEED}
        made.append(TasmotaDevice(image=image, link=OwnLink(broker.host, broker.port), **defaults | options))
        return made[-1]

    yield make
    for device in made:
        await device.stop()


@pytest.fixture
def files(vendor: Vendor) -> Vendor:
    """A folder with the images of 15.1.0 under names that a hub would choose."""
    release = vendor.add_tasmota_release("15.1.0")
    for name, asset in (
        ("t.bin", "tasmota.bin"),
        ("t.bin.gz", "tasmota.bin.gz"),
        ("t-minimal.bin.gz", "tasmota-minimal.bin.gz"),
        ("t32.bin", "tasmota32.bin"),
        ("c3.bin", "tasmota32c3.bin"),
    ):
        vendor.add_file(name, release.assets[asset])
    return vendor


class Hub:
    """Just enough of a hub for this family."""

    def __init__(self, tap: BrokerTap, files: Vendor) -> None:
        self.tap = tap
        self.files = files

    async def command(self, device: TasmotaDevice, word: str, value: str = "") -> None:
        await self.tap.publish(device.command_topic(word), value)

    async def upgrade(self, device: TasmotaDevice, file: str = "t.bin.gz") -> None:
        await self.command(device, "Backlog", f"OtaUrl {self.files.file_url(file)}; Upgrade 1")

    async def answer(self, device: TasmotaDevice, word: str = "RESULT") -> Any:
        return (await self.tap.wait_for_message(lambda seen: seen.topic == device.stat_topic(word))).json

    async def ended(self, device: TasmotaDevice) -> Seen:
        return await self.tap.wait_for_message(lambda seen: seen.topic == device.stat_topic("UPGRADE"))

    async def rests(self, device: TasmotaDevice) -> None:
        await device.wait_for(lambda d: d.record.commands and not d.upgrading)
        await self.tap.settle()

    def trace(self, device: TasmotaDevice) -> list[str]:
        """Return what the device said about its boots and its upgrade, shortened."""
        said = []
        for seen in self.tap.messages:
            match seen.topic.rpartition("/")[2]:
                case "LWT":
                    said.append(seen.text)
                case "INFO1":
                    said.append(seen.json["Info1"]["Version"])
                case "UPGRADE":
                    said.append(seen.json["Upgrade"])
        return said


@pytest.fixture
def hub(tap: BrokerTap, files: Vendor) -> Hub:
    return Hub(tap, files)


# --- announcing -------------------------------------------------------------------------------------------------------


async def test_it_is_discovered_by_a_retained_message(hub: Hub, make: Make) -> None:
    device = make()
    await device.start()

    config = await hub.tap.wait_for_message(lambda seen: seen.topic == "tasmota/discovery/8CAAB5A1B2C3/config")

    assert config.retain
    assert {key: config.json[key] for key in ("mac", "sw", "t", "ft", "tp", "ofln", "onln", "bat", "dslp", "ver")} == {
        "mac": "8CAAB5A1B2C3",
        "sw": "14.5.0",
        "t": "boiler",
        "ft": "%prefix%/%topic%/",
        "tp": ["cmnd", "stat", "tele"],
        "ofln": "Offline",
        "onln": "Online",
        "bat": 0,
        "dslp": 0,
        "ver": 1,
    }


async def test_it_tells_of_its_boot_and_its_last_will_speaks(hub: Hub, make: Make) -> None:
    device = make()
    await device.start()
    await device.cut_power()
    await hub.tap.wait_for_message(lambda seen: seen.text == "Offline")

    assert hub.trace(device) == ["Online", "14.5.0(tasmota)", "Offline"]
    assert all(seen.retain for seen in hub.tap.on("tele/boiler/LWT"))
    assert hub.tap.on("tele/boiler/INFO3")[0].json == {"Info3": {"RestartReason": "Power On", "BootCount": 1}}


async def test_a_topic_pattern_of_the_owner_is_used(hub: Hub, make: Make) -> None:
    device = make()
    device.settings.full_topic = "home/%topic%/%prefix%"
    await device.start()

    await hub.command(device, "STATUS", "2")

    assert device.command_topic("STATUS") == "home/boiler/cmnd/STATUS"
    await hub.tap.wait_for_message(lambda seen: seen.topic == "home/boiler/stat/STATUS2")


async def test_setoption19_clears_its_discovery(hub: Hub, make: Make) -> None:
    device = make()
    await device.start()
    await device.wait_for(lambda d: d.announced)

    await hub.command(device, "SetOption19", "1")
    cleared = await hub.tap.wait_for_message(lambda seen: seen.topic.endswith("/config") and not seen.payload)

    assert cleared.retain
    assert await hub.answer(device) == {"SetOption19": "ON"}


# --- commands ---------------------------------------------------------------------------------------------------------


async def test_status_2_names_version_image_and_chip(hub: Hub, make: Make) -> None:
    device = make(version_prefix="release-")
    await device.start()

    await hub.command(device, "STATUS", "2")

    status = (await hub.answer(device, "STATUS2"))["StatusFWR"]
    assert (status["Version"], status["Hardware"], status["Boot"]) == ("14.5.0(release-tasmota)", "ESP8266EX", 31)


async def test_status_0_answers_with_one_message_per_group(hub: Hub, make: Make) -> None:
    device = make()
    await device.start()

    await hub.command(device, "STATUS", "0")
    await hub.answer(device, "STATUS11")

    numbers = [seen.topic.removeprefix("stat/boiler/STATUS") for seen in hub.tap.messages if "STATUS" in seen.topic]
    assert numbers[1:] == ["", "1", "2", "3", "4", "5", "6", "7", "10", "11"]


@pytest.mark.parametrize(("number", "group"), [(8, "StatusSNS"), (9, "StatusPTH"), (10, "StatusSNS")])
async def test_single_groups_are_answered(hub: Hub, make: Make, number: int, group: str) -> None:
    device = make()
    await device.start()

    await hub.command(device, "STATUS", str(number))

    assert list(await hub.answer(device, f"STATUS{number}")) == [group]


async def test_status0_answers_with_all_groups_in_one_message(hub: Hub, make: Make) -> None:
    device = make()
    await device.start()

    await hub.command(device, "STATUS0")

    assert {"Status", "StatusPRM", "StatusFWR", "StatusMEM", "StatusSTS"} <= set(await hub.answer(device, "STATUS0"))


async def test_its_memory_says_how_much_room_there_is(hub: Hub, make: Make) -> None:
    device = make(flash_bytes=ROOMY)
    await device.start()

    await hub.command(device, "STATUS", "4")

    memory = (await hub.answer(device, "STATUS4"))["StatusMEM"]
    assert (memory["ProgramSize"], memory["Free"]) == (16, (ROOMY - 16_384) // 1024)


async def test_its_switch_can_be_switched(hub: Hub, make: Make) -> None:
    device = make()
    await device.start()

    await hub.command(device, "POWER", "ON")
    await hub.command(device, "Power1", "TOGGLE")
    await hub.tap.wait_for(lambda tap: len(tap.on("stat/boiler/POWER")) == 2)

    assert [seen.json for seen in hub.tap.on("stat/boiler/RESULT")] == [{"POWER": "ON"}, {"POWER": "OFF"}]
    assert [seen.text for seen in hub.tap.on("stat/boiler/POWER")] == ["ON", "OFF"]


async def test_its_switches_are_numbered_where_there_are_two(hub: Hub, make: Make) -> None:
    device = make(relays=2)
    await device.start()

    await hub.command(device, "POWER2", "1")

    assert await hub.answer(device) == {"POWER2": "ON"}


async def test_an_unknown_command_is_said_to_be_unknown(hub: Hub, make: Make) -> None:
    device = make()
    await device.start()

    await hub.command(device, "Dance", "1")

    assert await hub.answer(device) == {"Command": "Unknown"}


async def test_it_listens_to_its_group_and_fallback_topics(hub: Hub, make: Make) -> None:
    device = make()
    await device.start()

    await hub.tap.publish("cmnd/tasmotas/STATUS", "2")
    await hub.tap.publish("cmnd/DVES_A1B2C3_fb/STATUS", "2")

    await hub.tap.wait_for(lambda tap: len(tap.on("stat/boiler/STATUS2")) == 2)


async def test_the_address_of_updates_is_kept_asked_for_and_restored(hub: Hub, make: Make) -> None:
    device = make()
    await device.start()

    for value in ("http://h/t.bin.gz", "", "1"):
        await hub.command(device, "OtaUrl", value)
    await hub.tap.wait_for(lambda tap: len(tap.on("stat/boiler/RESULT")) == 3)

    urls = [seen.json["OtaUrl"] for seen in hub.tap.on("stat/boiler/RESULT")]
    assert urls == ["http://h/t.bin.gz"] * 2 + ["http://ota.tasmota.com/tasmota/release/tasmota.bin.gz"]


async def test_an_address_that_is_too_long_is_not_taken(hub: Hub, make: Make) -> None:
    device = make()
    await device.start()
    old = device.settings.ota_url

    await hub.command(device, "OtaUrl", "http://h/" + "x" * 100)

    assert await hub.answer(device) == {"OtaUrl": old}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("14.5.0", "1 or >14.5.0 to upgrade"),
        ("9.1.0", "1 or >14.5.0 to upgrade"),
        ("0", "1 or >14.5.0 to upgrade"),
        ("2", "Safeboot"),
    ],
)
async def test_some_upgrade_commands_start_nothing(hub: Hub, make: Make, value: str, words: str) -> None:
    device = make(ESP32)
    await device.start()

    await hub.command(device, "Upgrade", value)

    assert await hub.answer(device) == {"Upgrade": words}
    assert device.record.commands == []


# --- upgrades that work -----------------------------------------------------------------------------------------------


async def test_with_room_it_upgrades_in_one_stage(hub: Hub, make: Make) -> None:
    device = make(flash_bytes=ROOMY)
    await device.start()

    await hub.upgrade(device)
    await hub.rests(device)

    url = hub.files.file_url("t.bin.gz")
    assert [seen.json for seen in hub.tap.on("stat/boiler/RESULT")] == [
        {"OtaUrl": url},
        {"Upgrade": f"Version 14.5.0 from {url}"},
    ]
    assert hub.trace(device)[2:] == ["Successful. Restarting", "Offline", "Online", "15.1.0(tasmota)"]
    assert hub.tap.on("tele/boiler/INFO3")[-1].json["Info3"]["RestartReason"] == "Software/System restart"
    assert [command.attempt for command in device.record.commands] == [url]


async def test_its_discovery_follows_the_new_version(hub: Hub, make: Make) -> None:
    device = make(flash_bytes=ROOMY)
    await device.start()
    await device.wait_for(lambda d: d.announced)

    await hub.upgrade(device)
    await hub.rests(device)
    await device.wait_for(lambda d: d.announced)
    await hub.tap.settle()

    configs = [seen.json["sw"] for seen in hub.tap.messages if seen.topic.endswith("/config")]
    assert configs == ["14.5.0", "15.1.0"]


async def test_without_room_it_goes_through_the_minimal_image_beside_it(hub: Hub, make: Make) -> None:
    device = make()
    await device.start()
    await device.wait_for(lambda d: d.announced)

    await hub.upgrade(device)
    await hub.rests(device)

    assert hub.trace(device)[2:] == [
        "Successful. Restarting",
        "Offline",
        "Online",
        "15.1.0(minimal)",
        "Successful. Restarting",
        "Offline",
        "Online",
        "15.1.0(tasmota)",
    ]
    paths = [asked.path for asked in hub.files.requests]
    assert paths == ["/files/t.bin.gz", "/files/t-minimal.bin.gz", "/files/t.bin.gz"]
    await device.wait_for(lambda d: d.announced)
    await hub.tap.settle()
    assert len([seen for seen in hub.tap.messages if seen.topic.endswith("/config")]) == 2


async def test_esp32_upgrades_from_its_safeboot_image(hub: Hub, make: Make) -> None:
    device = make(ESP32)
    await device.start()

    await hub.upgrade(device, "t32.bin")
    await hub.rests(device)

    assert hub.trace(device)[2:] == [
        "Offline",
        "Online",
        "14.5.0(safeboot)",
        "Successful. Restarting",
        "Offline",
        "Online",
        "15.1.0(tasmota32)",
    ]


async def test_the_gz_ending_is_tried_from_the_third_attempt_on(hub: Hub, make: Make) -> None:
    device = make(flash_bytes=ROOMY)
    await device.start()
    hub.files.misbehave("/files/t.bin", Trick.NOT_FOUND)

    await hub.upgrade(device, "t.bin")
    await hub.rests(device)

    assert [asked.path for asked in hub.files.requests] == ["/files/t.bin", "/files/t.bin", "/files/t.bin.gz"]
    assert device.version == "15.1.0"


async def test_the_address_of_updates_is_still_changed_afterwards(hub: Hub, make: Make) -> None:
    device = make(flash_bytes=ROOMY)
    await device.start()

    await hub.upgrade(device)
    await hub.rests(device)

    assert device.settings.ota_url == hub.files.file_url("t.bin.gz")


async def test_its_last_will_may_speak_in_a_healthy_download(hub: Hub, make: Make) -> None:
    device = make(flash_bytes=ROOMY, misbehaviours=[TasmotaMisbehaviour.DROPS_WHILE_FLASHING])
    await device.start()

    await hub.upgrade(device)
    await hub.rests(device)

    assert hub.trace(device)[2:] == [
        "Offline",
        "Online",
        "Successful. Restarting",
        "Offline",
        "Online",
        "15.1.0(tasmota)",
    ]


async def test_it_is_deaf_while_it_downloads(hub: Hub, make: Make) -> None:
    device = make(flash_bytes=ROOMY)
    await device.start()
    hub.files.misbehave("/files/t.bin.gz", Trick.STALLED)
    await hub.upgrade(device)
    await device.wait_for(lambda d: d.deaf)

    await hub.command(device, "STATUS", "2")

    await device.wait_for(lambda d: d.record.unheard == 1)
    assert hub.tap.on("stat/boiler/STATUS2") == []


# --- upgrades that do not work ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trick", "reason"),
    [
        (Trick.NOT_FOUND, "File Not Found (404)"),
        (Trick.SERVER_ERROR, "Wrong HTTP Code"),
        (Trick.REDIRECT_ELSEWHERE, "Wrong HTTP Code"),
        (Trick.NO_LENGTH, "Server Did Not Report Size"),
        (Trick.LOGIN_PAGE, "Verify Bin Header Failed"),
        (Trick.TRUNCATED, "HTTP error: connection lost"),
        (Trick.WRONG_LENGTH, "HTTP error: connection lost"),
        (Trick.ENDLESS, "Server Did Not Report Size"),
    ],
)
async def test_a_download_that_cannot_be_used_fails_and_changes_nothing(
    hub: Hub, make: Make, trick: Trick, reason: str
) -> None:
    device = make(flash_bytes=ROOMY)
    await device.start()
    hub.files.misbehave("/files/t.bin.gz", trick)

    await hub.upgrade(device)

    assert (await hub.ended(device)).json == {"Upgrade": f"Failed {reason}"}
    await hub.rests(device)
    assert (device.version, device.record.boots, len(device.record.downloads)) == ("14.5.0", 1, 4)


async def test_failing_from_safeboot_returns_to_the_old_image(hub: Hub, make: Make) -> None:
    device = make(ESP32, misbehaviours=[TasmotaMisbehaviour.FAILS])
    await device.start()

    await hub.upgrade(device, "t32.bin")
    await hub.rests(device)

    assert hub.trace(device)[2:] == [
        "Offline",
        "Online",
        "14.5.0(safeboot)",
        "Failed HTTP error: connection refused",
        "Offline",
        "Online",
        "14.5.0(tasmota32)",
    ]


async def test_a_304_looks_like_success(hub: Hub, make: Make) -> None:
    device = make(flash_bytes=ROOMY)
    await device.start()
    hub.files.misbehave("/files/t.bin.gz", Trick.NOT_MODIFIED)

    await hub.upgrade(device)
    await hub.rests(device)

    assert hub.trace(device)[2:] == ["Successful. Restarting", "Offline", "Online", "14.5.0(tasmota)"]


async def test_it_can_ask_conditionally_by_itself(hub: Hub, make: Make) -> None:
    device = make(flash_bytes=ROOMY, misbehaviours=[TasmotaMisbehaviour.NOT_MODIFIED])
    await device.start()

    await hub.upgrade(device)
    await hub.rests(device)

    assert hub.trace(device)[2:] == ["Successful. Restarting", "Offline", "Online", "14.5.0(tasmota)"]
    assert hub.files.requests == []


async def test_it_can_say_success_and_come_back_old(hub: Hub, make: Make) -> None:
    device = make(flash_bytes=ROOMY, misbehaviours=[TasmotaMisbehaviour.COMES_BACK_OLD])
    await device.start()

    await hub.upgrade(device)
    await hub.rests(device)

    assert hub.trace(device)[2:] == ["Successful. Restarting", "Offline", "Online", "14.5.0(tasmota)"]
    assert len(hub.files.requests) == 1


async def test_it_can_be_bricked(hub: Hub, make: Make) -> None:
    device = make(flash_bytes=ROOMY, misbehaviours=[TasmotaMisbehaviour.BRICKS])
    await device.start()

    await hub.upgrade(device)
    await device.wait_for(lambda d: d.state is DeviceState.DEAD)
    await hub.tap.wait_for_message(lambda seen: seen.text == "Offline")

    assert hub.trace(device)[2:] == ["Successful. Restarting", "Offline"]


async def test_the_image_of_another_chip_bricks_it(hub: Hub, make: Make) -> None:
    device = make(ESP32)
    await device.start()

    await hub.upgrade(device, "c3.bin")

    await device.wait_for(lambda d: d.state is DeviceState.DEAD)


async def test_it_can_be_stuck_in_minimal_until_it_is_asked_again(hub: Hub, make: Make) -> None:
    device = make(misbehaviours=[TasmotaMisbehaviour.STUCK_IN_MINIMAL])
    await device.start()
    await hub.upgrade(device)
    await hub.rests(device)
    assert hub.trace(device)[-3:] == ["Offline", "Online", "15.1.0(minimal)"]

    await hub.command(device, "Upgrade", "1")
    await device.wait_for(lambda d: d.full_version == "15.1.0(tasmota)" and not d.upgrading)

    assert device.record.boots == 3


async def test_minimal_says_its_version_and_knows_no_settings(hub: Hub, make: Make) -> None:
    device = make(misbehaviours=[TasmotaMisbehaviour.STUCK_IN_MINIMAL])
    await device.start()
    await hub.upgrade(device)
    await hub.rests(device)

    await hub.command(device, "STATUS", "2")
    await hub.command(device, "SetOption19", "1")
    unknown = await hub.tap.wait_for_message(lambda seen: seen.json == {"Command": "Unknown"})

    assert (await hub.answer(device, "STATUS2"))["StatusFWR"]["Version"] == "15.1.0(minimal)"
    assert unknown.topic == "stat/boiler/RESULT"


async def test_without_a_minimal_image_beside_it_there_is_no_room(hub: Hub, make: Make) -> None:
    device = make()
    await device.start()
    del hub.files.files["t-minimal.bin.gz"]

    await hub.upgrade(device)

    assert (await hub.ended(device)).json == {"Upgrade": "Failed File Not Found (404)"}


async def test_it_can_lose_its_settings(hub: Hub, make: Make) -> None:
    device = make(flash_bytes=ROOMY, misbehaviours=[TasmotaMisbehaviour.LOSES_SETTINGS])
    await device.start()

    await hub.upgrade(device)
    await hub.rests(device)
    await device.wait_for(lambda d: d.announced)
    await hub.tap.settle()

    assert hub.tap.on("tele/boiler/LWT")[-1].text == "Offline"
    assert hub.tap.on("tele/tasmota_A1B2C3/LWT")[-1].text == "Online"
    assert hub.tap.on("tasmota/discovery/8CAAB5A1B2C3/config")[-1].json["t"] == "tasmota_A1B2C3"


async def test_it_can_boot_another_image_than_the_one_that_was_sent(hub: Hub, make: Make) -> None:
    device = make(flash_bytes=ROOMY, misbehaviours=[TasmotaMisbehaviour.BOOTS_OTHER_IMAGE])
    await device.start()

    await hub.upgrade(device)
    await hub.rests(device)

    assert hub.trace(device)[-1] == "15.1.0(lite)"


async def test_old_firmware_speaks_plain_text_and_without_wrapper(hub: Hub, make: Make) -> None:
    device = make(flash_bytes=ROOMY, misbehaviours=[TasmotaMisbehaviour.OLD_WORDS])
    await device.start()

    await hub.upgrade(device)

    assert (await hub.ended(device)).text == "Successful. Restarting"
    assert hub.tap.on("tele/boiler/INFO1")[0].json["Version"] == "14.5.0(tasmota)"


async def test_with_setoption4_the_answers_come_under_the_commands_name(hub: Hub, make: Make) -> None:
    device = make(flash_bytes=ROOMY, misbehaviours=[TasmotaMisbehaviour.SETOPTION4])
    await device.start()

    await hub.upgrade(device)
    await hub.rests(device)

    assert hub.tap.on("stat/boiler/RESULT") == []
    assert "OtaUrl" in hub.tap.on("stat/boiler/OTAURL")[0].json
    words = [seen.json["Upgrade"] for seen in hub.tap.on("stat/boiler/UPGRADE")]
    assert [text.partition(" ")[0] for text in words] == ["Version", "Successful."]


async def test_it_can_say_nothing_about_the_end(hub: Hub, make: Make) -> None:
    device = make(flash_bytes=ROOMY, misbehaviours=[TasmotaMisbehaviour.SILENT_ABOUT_UPGRADE])
    await device.start()

    await hub.upgrade(device)
    await hub.rests(device)

    assert hub.trace(device)[2:] == ["Offline", "Online", "15.1.0(tasmota)"]


async def test_it_can_acknowledge_and_do_nothing(hub: Hub, make: Make) -> None:
    device = make(misbehaviours=[TasmotaMisbehaviour.IGNORES_UPGRADE])
    await device.start()

    await hub.upgrade(device)
    await hub.tap.wait_for_message(lambda seen: b"Version 14.5.0 from" in seen.payload)

    assert (device.upgrading, len(device.record.commands)) == (False, 1)


async def test_its_transfers_can_break(hub: Hub, make: Make) -> None:
    device = make(flash_bytes=ROOMY, misbehaviours=[TasmotaMisbehaviour.TRANSFER_BREAKS])
    await device.start()

    await hub.upgrade(device)

    assert (await hub.ended(device)).json == {"Upgrade": "Failed HTTP error: connection lost"}


async def test_a_second_upgrade_while_one_runs_is_counted_and_not_run(hub: Hub, make: Make) -> None:
    device = make(flash_bytes=ROOMY)
    await device.start()

    await hub.upgrade(device)
    await hub.command(device, "Upgrade", "1")
    await hub.rests(device)

    assert (len(device.record.commands), len(device.record.duplicate_commands), device.record.boots) == (2, 1, 2)


async def test_a_retained_upgrade_runs_again_at_every_reconnection(hub: Hub, make: Make) -> None:
    device = make(flash_bytes=ROOMY)
    device.settings.ota_url = hub.files.file_url("t.bin.gz")
    await hub.tap.publish("cmnd/boiler/Upgrade", "1", retain=True)

    await device.start()
    await device.wait_for(lambda d: d.record.boots == 3)

    assert all(command.retain for command in device.record.commands)


# --- deep sleep -------------------------------------------------------------------------------------------------------


async def test_a_deep_sleeper_wakes_now_and_then_without_telling_of_a_boot(hub: Hub, make: Make) -> None:
    device = make(deep_sleep=DeepSleep(asleep=60, awake=20))
    await device.start()

    await hub.tap.wait_for(lambda tap: [seen.text for seen in tap.on("tele/boiler/LWT")].count("Online") == 3)

    assert hub.trace(device)[:5] == ["Online", "14.5.0(tasmota)", "Offline", "Online", "Offline"]
    assert len(hub.tap.on("tele/boiler/INFO1")) == 1
    config = await hub.tap.wait_for_message(lambda seen: seen.topic.endswith("/config"))
    assert config.json["dslp"] == 1


async def test_a_deep_sleeper_stays_awake_for_an_upgrade(hub: Hub, make: Make) -> None:
    device = make(flash_bytes=ROOMY, deep_sleep=DeepSleep(asleep=10, awake=40))
    await device.start()

    await hub.upgrade(device)
    await device.wait_for(lambda d: d.version == "15.1.0")

    assert device.record.boots == 2


async def test_somebody_else_may_change_it(hub: Hub, make: Make) -> None:
    device = make()
    await device.start()

    await device.become(Image("Tasmota", "ESP8266", "15.0.0", variant="tasmota"))
    await hub.tap.settle()

    assert hub.trace(device)[-1] == "15.0.0(tasmota)"
