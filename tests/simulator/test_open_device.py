"""The open device against plain MQTT: a tiny client sends commands, a real vendor serves the image."""

import hashlib
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from simulator.broker import Broker, BrokerTap
from simulator.devices.base import DeviceState
from simulator.devices.open import OpenDevice, OpenMisbehaviour
from simulator.images import Image
from simulator.link import OwnLink
from simulator.tap import Seen
from simulator.tricks import Trick
from simulator.vendor import Vendor

OLD = Image("Acme", "PLUG-S1", "1.1.0", hardware="rev2", variant="eu", counter=16)
NEW = Image("Acme", "PLUG-S1", "1.2.0", hardware="rev2", variant="eu", counter=17)
SPEED = 500.0
SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"

type Make = Callable[..., OpenDevice]


@pytest.fixture
async def make(broker: Broker) -> AsyncIterator[Make]:
    """Make devices that are stopped at the end."""
    made: list[OpenDevice] = []

    def make(**options: Any) -> OpenDevice:
        defaults: dict[str, Any] = {"name": "plug", "image": OLD, "mac": "02:00:00:00:00:01", "speed": SPEED}
        made.append(OpenDevice(link=OwnLink(broker.host, broker.port), **defaults | options))
        return made[-1]

    yield make
    for device in made:
        await device.stop()


class Hub:
    """Just enough of a hub: it sends commands and reads what the device says."""

    def __init__(self, tap: BrokerTap, vendor: Vendor) -> None:
        self.tap = tap
        self.vendor = vendor

    async def command(self, device: OpenDevice, **words: object) -> None:
        await self.tap.publish(device.topic("command"), json.dumps(words))

    async def install(self, device: OpenDevice, image: Image = NEW, attempt: str = "a1", **changes: object) -> None:
        body = image.build()
        entry = self.vendor.add_file("image.bin", body)
        order = {key: entry[key] for key in ("url", "size", "sha256")} | {"id": attempt, "version": image.version}
        await self.command(device, command="install", **order | changes)

    async def said(self, device: OpenDevice, state: str) -> dict[str, Any]:
        def is_it(message: Seen) -> bool:
            return message.topic == device.topic("status") and bool(message.json["state"] == state)

        found: dict[str, Any] = (await self.tap.wait_for_message(is_it)).json
        return found

    def states(self, device: OpenDevice) -> list[str]:
        states = [message.json["state"] for message in self.tap.on(device.topic("status"))]
        return [state for index, state in enumerate(states) if index == 0 or states[index - 1] != state]

    def percents(self, device: OpenDevice) -> list[int]:
        messages = [message.json for message in self.tap.on(device.topic("status"))]
        return [message["progress_percent"] for message in messages if "progress_percent" in message]

    def availability(self, device: OpenDevice) -> list[str]:
        return [message.text for message in self.tap.on(device.topic("availability"))]

    def versions(self, device: OpenDevice) -> list[str]:
        return [message.json["version"] for message in self.tap.on(device.topic("info"))]


@pytest.fixture
def hub(tap: BrokerTap, vendor: Vendor) -> Hub:
    return Hub(tap, vendor)


async def test_it_announces_itself_with_retained_info(hub: Hub, make: Make) -> None:
    device = make()
    await device.start()
    await hub.tap.settle()

    [info] = hub.tap.on("fwhub/device/plug/info")
    assert info.retain
    assert info.json == {
        "protocol": 1,
        "manufacturer": "Acme",
        "model": "PLUG-S1",
        "hardware": "rev2",
        "variant": "eu",
        "version": "1.1.0",
        "counter": 16,
        "slots": 1,
        "mac": "02:00:00:00:00:01",
        "battery_powered": False,
    }
    assert hub.tap.on("fwhub/device/plug/health")[0].json["self_test"] == "passed"
    assert hub.availability(device) == ["online"]


async def test_its_last_will_speaks_when_its_power_is_cut(hub: Hub, make: Make) -> None:
    device = make()
    await device.start()

    await device.cut_power()

    will = await hub.tap.wait_for_message(lambda message: message.text == "offline")
    assert (will.topic, will.retain) == ("fwhub/device/plug/availability", True)


async def test_it_reports_when_asked(hub: Hub, make: Make) -> None:
    device = make()
    await device.start()

    await hub.command(device, command="report")

    await hub.tap.wait_for(lambda tap: len(tap.on(device.topic("info"))) == 2)


async def test_one_slot_installs_and_comes_back_on_the_new_version(hub: Hub, make: Make) -> None:
    device = make()
    await device.start()

    await hub.install(device)
    await hub.said(device, "committed")

    assert device.image == NEW
    assert hub.states(device) == ["downloading", "verifying", "installing", "rebooting", "self_test", "committed"]
    assert {message.json["id"] for message in hub.tap.on(device.topic("status"))} == {"a1"}
    assert hub.availability(device) == ["online", "offline", "online"]
    assert hub.versions(device) == ["1.1.0", "1.2.0"]
    assert device.record.versions == ["1.1.0", "1.2.0"]


async def test_its_progress_rises_from_0_to_100(hub: Hub, make: Make) -> None:
    device = make()
    await device.start()

    await hub.install(device)
    await hub.said(device, "committed")

    percents = hub.percents(device)
    assert percents == sorted(percents)
    assert (percents[0], percents[-1], len(percents) > 5) == (0, 100, True)


async def test_two_slots_wait_on_trial_for_the_commit(hub: Hub, make: Make) -> None:
    device = make(slots=2)
    await device.start()

    await hub.install(device)
    await hub.said(device, "trial")
    assert (device.state, device.version) == (DeviceState.TRIAL, "1.2.0")

    await hub.command(device, command="commit", id="a1")
    await hub.said(device, "committed")
    assert device.state is DeviceState.ONLINE


async def test_a_commit_for_another_attempt_commits_nothing(hub: Hub, make: Make) -> None:
    device = make(slots=2)
    await device.start()
    await hub.install(device)
    await hub.said(device, "trial")

    await hub.command(device, command="commit", id="other")
    await hub.command(device, command="report")
    await hub.tap.wait_for(lambda tap: len(tap.on(device.topic("info"))) == 3)

    assert device.state is DeviceState.TRIAL


async def test_a_repeated_commit_is_answered_again(hub: Hub, make: Make) -> None:
    device = make(slots=2)
    await device.start()
    await hub.install(device)
    await hub.said(device, "trial")

    await hub.command(device, command="commit", id="a1")
    await hub.command(device, command="commit", id="a1")

    await hub.tap.wait_for(
        lambda tap: [m.json["state"] for m in tap.on(device.topic("status"))].count("committed") == 2
    )


async def test_a_first_commit_can_be_lost(hub: Hub, make: Make) -> None:
    device = make(slots=2, misbehaviours=[OpenMisbehaviour.LOSES_FIRST_COMMIT])
    await device.start()
    await hub.install(device)
    await hub.said(device, "trial")

    await hub.command(device, command="commit", id="a1")
    await hub.command(device, command="report")
    await hub.tap.wait_for(lambda tap: len(tap.on(device.topic("info"))) == 3)
    assert "committed" not in hub.states(device)

    await hub.command(device, command="commit", id="a1")
    await hub.said(device, "committed")


async def test_a_committed_image_can_still_be_rolled_back(hub: Hub, make: Make) -> None:
    device = make(slots=2)
    await device.start()
    await hub.install(device)
    await hub.said(device, "trial")
    await hub.command(device, command="commit", id="a1")
    await hub.said(device, "committed")

    await hub.command(device, command="rollback", id="a1")

    assert (await hub.said(device, "rolled_back"))["reason"] == "ordered"


async def test_a_power_cut_on_trial_boots_the_old_slot(hub: Hub, make: Make) -> None:
    device = make(slots=2)
    await device.start()
    await hub.install(device)
    await hub.said(device, "trial")

    await device.cut_power()
    await device.start()

    assert device.version == "1.1.0"


async def test_a_rollback_can_be_ignored(hub: Hub, make: Make) -> None:
    device = make(slots=2, misbehaviours=[OpenMisbehaviour.FAILS_SELF_TEST, OpenMisbehaviour.IGNORES_ROLLBACK])
    await device.start()
    await hub.install(device)
    await hub.said(device, "trial")

    await hub.command(device, command="rollback", id="a1")
    await hub.command(device, command="report")
    await hub.tap.wait_for(lambda tap: len(tap.on(device.topic("info"))) == 3)

    assert (device.state, device.version) == (DeviceState.TRIAL, "1.2.0")


async def test_without_a_goodbye_its_last_will_tells_of_the_reboot(hub: Hub, make: Make) -> None:
    device = make(misbehaviours=[OpenMisbehaviour.NO_GOODBYE])
    await device.start()

    await hub.install(device)
    await hub.said(device, "committed")

    assert hub.availability(device) == ["online", "offline", "online"]


async def test_a_retained_command_is_not_obeyed(hub: Hub, make: Make) -> None:
    device = make()
    await hub.tap.publish(device.topic("command"), '{"command":"install","id":"old"}', retain=True)

    await device.start()
    await device.wait_for(lambda d: d.record.commands)

    assert (device.record.commands[0].retain, device.state) == (True, DeviceState.ONLINE)


async def test_a_trial_without_a_commit_ends_on_the_old_version(hub: Hub, make: Make) -> None:
    device = make(slots=2, trial_seconds=0.05)
    await device.start()

    await hub.install(device)

    assert (await hub.said(device, "rolled_back"))["reason"] == "no commit"
    assert (device.version, device.record.versions) == ("1.1.0", ["1.1.0", "1.2.0", "1.1.0"])


async def test_a_failed_self_test_is_said_and_the_hub_may_roll_back(hub: Hub, make: Make) -> None:
    device = make(slots=2, misbehaviours=[OpenMisbehaviour.FAILS_SELF_TEST])
    await device.start()
    await hub.install(device)
    assert (await hub.said(device, "trial"))["reason"] == "self-test"
    assert hub.tap.on(device.topic("health"))[-1].json["self_test"] == "failed"

    await hub.command(device, command="rollback", id="a1")

    assert (await hub.said(device, "rolled_back"))["id"] == "a1"
    assert device.version == "1.1.0"


async def test_a_failed_self_test_can_send_it_back_by_itself(hub: Hub, make: Make) -> None:
    device = make(slots=2, misbehaviours=[OpenMisbehaviour.FAILS_AND_GOES_BACK])
    await device.start()

    await hub.install(device)

    assert (await hub.said(device, "rolled_back"))["reason"] == "self-test"
    assert hub.versions(device) == ["1.1.0", "1.2.0", "1.1.0"]


async def test_it_can_come_back_old_without_a_word(hub: Hub, make: Make) -> None:
    device = make(misbehaviours=[OpenMisbehaviour.COMES_BACK_OLD])
    await device.start()

    await hub.install(device)
    await device.wait_for(lambda d: d.record.boots == 2)
    await hub.tap.wait_for(lambda tap: len(tap.on(device.topic("info"))) == 2)

    assert hub.versions(device) == ["1.1.0", "1.1.0"]
    assert hub.states(device)[-1] == "rebooting"


async def test_it_can_be_gone_for_ever(hub: Hub, make: Make) -> None:
    device = make(misbehaviours=[OpenMisbehaviour.NEVER_RETURNS])
    await device.start()

    await hub.install(device)
    await device.wait_for(lambda d: d.state is DeviceState.DEAD)
    await hub.tap.settle()

    assert hub.availability(device) == ["online", "offline"]


async def test_it_can_lie_about_success(hub: Hub, make: Make) -> None:
    device = make(misbehaviours=[OpenMisbehaviour.LIES_ABOUT_SUCCESS])
    await device.start()

    await hub.install(device)
    await hub.said(device, "committed")

    assert hub.versions(device) == ["1.1.0", "1.1.0"]


@pytest.mark.parametrize(
    ("misbehaviour", "state", "reason"),
    [
        (OpenMisbehaviour.REPORTS_FAILED, "failed", "flash error"),
        (OpenMisbehaviour.REPORTS_REJECTED, "rejected", "not wanted"),
        (OpenMisbehaviour.LOW_BATTERY, "rejected", "battery low"),
        (OpenMisbehaviour.TRANSFER_BREAKS, "failed", "transfer"),
    ],
)
async def test_it_can_refuse_and_stay_as_it_is(
    hub: Hub, make: Make, misbehaviour: OpenMisbehaviour, state: str, reason: str
) -> None:
    device = make(misbehaviours=[misbehaviour])
    await device.start()

    await hub.install(device)

    assert (await hub.said(device, state))["reason"] == reason
    assert (device.version, device.record.boots, device.state) == ("1.1.0", 1, DeviceState.ONLINE)


async def test_it_can_be_stuck_at_zero(hub: Hub, make: Make) -> None:
    device = make(misbehaviours=[OpenMisbehaviour.STUCK_AT_ZERO])
    await device.start()

    await hub.install(device)
    await hub.said(device, "downloading")

    assert hub.percents(device) == [0]
    assert device.record.downloads == []


async def test_its_progress_can_jump_back(hub: Hub, make: Make) -> None:
    device = make(misbehaviours=[OpenMisbehaviour.PROGRESS_JUMPS_BACK])
    await device.start()

    await hub.install(device)
    await hub.said(device, "committed")

    assert hub.percents(device) != sorted(hub.percents(device))


async def test_it_can_lose_the_broker_in_the_download_and_finish_all_the_same(hub: Hub, make: Make) -> None:
    device = make(misbehaviours=[OpenMisbehaviour.DROPS_CONNECTION])
    await device.start()

    await hub.install(device)
    await hub.said(device, "committed")

    assert hub.availability(device) == ["online", "offline", "online", "offline", "online"]
    assert (len(device.record.downloads), device.record.boots) == (1, 2)


async def test_it_can_ignore_commands(hub: Hub, make: Make) -> None:
    device = make(misbehaviours=[OpenMisbehaviour.IGNORES_COMMANDS])
    await device.start()

    await hub.install(device)
    await device.wait_for(lambda d: d.record.commands)
    await hub.tap.settle()

    assert hub.states(device) == []


async def test_it_can_sleep_at_first_and_wake_by_itself(hub: Hub, make: Make) -> None:
    device = make(misbehaviours=[OpenMisbehaviour.ASLEEP_AT_FIRST])
    await device.start()
    assert device.state is DeviceState.ASLEEP

    await device.wait_for(lambda d: d.state is DeviceState.ONLINE)
    await hub.install(device)
    await hub.said(device, "committed")

    assert hub.availability(device)[:3] == ["online", "offline", "online"]


async def test_it_can_be_updated_by_somebody_else(hub: Hub, make: Make) -> None:
    device = make(misbehaviours=[OpenMisbehaviour.UPDATES_ITSELF])
    await device.start()

    await hub.install(device)
    await device.wait_for(lambda d: d.record.boots == 2)

    assert (device.version, device.record.downloads) == ("99.0.0", [])


async def test_it_can_come_back_as_another_hardware(hub: Hub, make: Make) -> None:
    device = make(misbehaviours=[OpenMisbehaviour.IDENTITY_CHANGES])
    await device.start()

    await hub.install(device)
    await hub.said(device, "committed")

    assert [message.json["hardware"] for message in hub.tap.on(device.topic("info"))] == ["rev2", "rev2-other"]


async def test_it_can_speak_under_the_id_of_another(hub: Hub, make: Make) -> None:
    device = make(misbehaviours=[OpenMisbehaviour.CLAIMS_OTHER_ID], other_id="lamp")
    await device.start()
    await hub.tap.settle()

    assert hub.tap.on("fwhub/device/lamp/info")[0].json["mac"] == device.mac


async def test_it_can_flood_the_broker_with_invented_devices(hub: Hub, make: Make) -> None:
    device = make(misbehaviours=[OpenMisbehaviour.FLOODS])
    await device.start()
    await hub.tap.settle()

    assert len({message.topic for message in hub.tap.messages if message.topic.endswith("/info")}) == 301


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (Image("Acme", "LAMP", "1.2.0", hardware="rev2", counter=17), "wrong hardware"),
        (Image("Acme", "PLUG-S1", "1.2.0", hardware="rev3", counter=17), "wrong hardware"),
        (Image("Acme", "PLUG-S1", "1.2.0", hardware="rev2", counter=15), "counter"),
    ],
)
async def test_it_rejects_an_image_that_is_not_for_it(hub: Hub, make: Make, image: Image, reason: str) -> None:
    device = make()
    await device.start()

    await hub.install(device, image)

    assert (await hub.said(device, "rejected"))["reason"] == reason


async def test_it_rejects_other_bytes_of_the_right_length(hub: Hub, make: Make) -> None:
    device = make()
    await device.start()
    hub.vendor.misbehave("/files/image.bin", Trick.WRONG_BYTES)

    await hub.install(device)

    assert (await hub.said(device, "rejected"))["reason"] == "sha256"


async def test_a_wrong_image_makes_it_another_thing(hub: Hub, make: Make) -> None:
    device = make(misbehaviours=[OpenMisbehaviour.FLASHES_ANYTHING])
    await device.start()

    await hub.install(device, Image("Other", "LAMP", "9.0.0"))
    await hub.said(device, "committed")

    assert hub.tap.on(device.topic("info"))[-1].json["model"] == "LAMP"


async def test_rubbish_with_the_right_digest_kills_a_device_with_one_slot(hub: Hub, make: Make) -> None:
    device = make(misbehaviours=[OpenMisbehaviour.FLASHES_ANYTHING])
    await device.start()
    rubbish = hub.vendor.add_file("rubbish.bin", b"rubbish")

    await hub.install(device, url=rubbish["url"], size=rubbish["size"], sha256=rubbish["sha256"])

    await device.wait_for(lambda d: d.state is DeviceState.DEAD)


@pytest.mark.parametrize(
    ("trick", "reason"),
    [
        (Trick.NOT_FOUND, "http 404"),
        (Trick.SERVER_ERROR, "http 500"),
        (Trick.NOT_MODIFIED, "http 304"),
        (Trick.LOGIN_PAGE, "size"),
        (Trick.WRONG_LENGTH, "size"),
        (Trick.TRUNCATED, "transfer"),
        (Trick.SHORT, "size"),
        (Trick.LONG, "size"),
        (Trick.ENDLESS, "size"),
        (Trick.REDIRECT_ELSEWHERE, "http 302"),
    ],
)
async def test_it_refuses_a_download_that_is_not_what_was_ordered(
    hub: Hub, make: Make, trick: Trick, reason: str
) -> None:
    device = make()
    await device.start()
    hub.vendor.misbehave("/files/image.bin", trick)

    await hub.install(device)

    assert (await hub.said(device, "failed"))["reason"] == reason
    assert device.version == "1.1.0"


async def test_it_rejects_a_command_that_comes_too_late(hub: Hub, make: Make) -> None:
    device = make()
    await device.start()
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()

    await hub.install(device, not_after=past)

    assert (await hub.said(device, "rejected"))["reason"] == "too late"
    assert [command.attempt for command in device.record.late_commands] == ["a1"]


async def test_one_that_does_not_know_the_time_obeys_a_late_command(hub: Hub, make: Make) -> None:
    device = make(knows_time=False)
    await device.start()

    await hub.install(device, not_after="2020-01-01T00:00:00Z")

    await hub.said(device, "committed")
    assert len(device.record.late_commands) == 1


async def test_a_repeated_command_is_counted_and_not_obeyed_again(hub: Hub, make: Make) -> None:
    device = make()
    await device.start()
    await hub.install(device)
    await hub.said(device, "committed")

    await hub.install(device)
    await device.wait_for(lambda d: d.record.duplicate_commands)

    assert (len(device.record.downloads), device.record.boots) == (1, 2)


async def test_a_second_install_is_rejected_while_one_runs(hub: Hub, make: Make) -> None:
    device = make(misbehaviours=[OpenMisbehaviour.STUCK_AT_ZERO])
    await device.start()
    await hub.install(device)
    await hub.said(device, "downloading")

    await hub.install(device, attempt="a2")

    assert await hub.said(device, "rejected") == {"id": "a2", "state": "rejected", "reason": "busy"}


async def test_what_comes_while_it_flashes_is_not_heard(hub: Hub, make: Make) -> None:
    device = make()
    await device.start()
    await hub.install(device)
    await device.wait_for(lambda d: d.deaf)
    await hub.said(device, "committed")
    assert not device.deaf

    device.deaf = True
    await hub.command(device, command="report")
    await device.wait_for(lambda d: d.record.unheard == 1)


async def test_one_with_keys_of_its_own_accepts_the_vendors_manifest(hub: Hub, make: Make) -> None:
    device = make(trusted_keys=[hub.vendor.public_jwk])
    await device.start()
    release = hub.vendor.add_release(NEW)
    [artifact] = release["artifacts"]

    await hub.install(device, url=artifact["url"], manifest_url=hub.vendor.manifest_url)

    await hub.said(device, "committed")


@pytest.mark.parametrize(
    ("trick", "reason"),
    [
        (Trick.FORGED, "manifest not genuine"),
        (Trick.UNSIGNED, "manifest not genuine"),
        (Trick.TAMPERED, "manifest not genuine"),
        (Trick.NOT_FOUND, "no manifest"),
    ],
)
async def test_one_with_keys_of_its_own_refuses_without_a_genuine_manifest(
    hub: Hub, make: Make, trick: Trick, reason: str
) -> None:
    device = make(trusted_keys=[hub.vendor.public_jwk])
    await device.start()
    hub.vendor.add_release(NEW)
    hub.vendor.misbehave(hub.vendor.manifest_url, trick)

    await hub.install(device, manifest_url=hub.vendor.manifest_url)

    assert (await hub.said(device, "rejected"))["reason"] == reason


async def test_it_finds_its_way_back_after_the_broker_was_gone(hub: Hub, make: Make, broker: Broker) -> None:
    device = make()
    await device.start()

    await broker.async_restart()
    await hub.command(device, command="report")

    await hub.tap.wait_for(lambda tap: len(tap.on(device.topic("info"))) >= 2)


def test_an_image_is_the_same_bytes_each_time() -> None:
    assert hashlib.sha256(NEW.build()).digest() == hashlib.sha256(NEW.build()).digest()


@pytest.mark.parametrize("word", ["info", "health", "command", "status"])
async def test_all_that_is_said_in_an_install_keeps_to_the_schemas(hub: Hub, make: Make, word: str) -> None:
    schema = json.loads((SCHEMAS / f"open-{word}.schema.json").read_text())
    device = make(slots=2, battery_percent=80, title="Kitchen plug")
    await device.start()
    await hub.install(device)
    await hub.said(device, "trial")
    await hub.command(device, command="rollback", id="a1")
    await hub.said(device, "rolled_back")

    said = [message.json for message in hub.tap.on(device.topic(word))]

    assert said
    for message in said:
        jsonschema.validate(message, schema, jsonschema.Draft202012Validator)
