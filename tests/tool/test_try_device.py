"""``try-device`` against simulated devices, well-behaved and not, on a real broker.

A well-behaved device is waited for as long as it takes. One that fails to do something is only waited for briefly.
"""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import override

import pytest

from firmware_hub_tool.cli import main, parser
from firmware_hub_tool.commands.try_device import broker_of
from simulator.broker import Broker, SecondDoor
from simulator.certificates import Authority
from simulator.devices.open import OpenDevice, OpenMisbehaviour
from simulator.link import Incoming
from tests.tool.conftest import Tool
from tests.tool.trial import BRIEF, NEW, OLD, PATIENT, Make, Trial

# --- devices that do it right -----------------------------------------------------------------------------------------


async def test_a_good_device_with_two_slots_gets_everything_right(trial: Trial, make: Make) -> None:
    verdict = await trial(make(trial_seconds=3.0), *PATIENT[:4], "--trial-seconds", "20")
    assert (verdict.code, verdict.names("failed"), verdict.names("warning")) == (0, set(), set())
    assert {"goes back without a commit", "goes back when ordered", "keeps what is committed"} <= verdict.names("ok")


async def test_it_ends_on_the_version_on_which_it_began(trial: Trial, make: Make) -> None:
    device = make()
    await trial(device, *PATIENT)
    assert (device.version, device.record.versions) == ("1.1.0", ["1.1.0", *["1.2.0", "1.1.0"] * 2])


async def test_a_good_device_with_one_slot_is_installed_once(trial: Trial, make: Make) -> None:
    device = make(slots=1)
    verdict = await trial(device, *PATIENT)
    assert (verdict.code, verdict.names("failed"), verdict.names("warning")) == (0, set(), {"info.slots"})
    assert device.record.versions == ["1.1.0", "1.2.0"]


async def test_without_an_image_nothing_is_ordered(trial: Trial, make: Make) -> None:
    device = make()
    await device.start()
    verdict = await trial.bare(device, *PATIENT)
    assert (verdict.code, verdict.names("skipped"), device.record.commands) == (0, {"installs"}, [])


async def test_quick_leaves_out_the_long_trial(trial: Trial, make: Make) -> None:
    verdict = await trial(make(trial_seconds=300.0), *PATIENT)
    assert (verdict.code, verdict.names("failed")) == (0, set())
    assert "goes back without a commit" in verdict.names("skipped")


async def test_a_device_that_checks_the_image_refuses_a_bad_one(trial: Trial, make: Make) -> None:
    Path("lamp.bin").write_bytes(replace(NEW, model="LAMP").build())
    Path("older.bin").write_bytes(replace(NEW, counter=3).build())
    verdict = await trial(make(), "--bad-image", "lamp.bin", "--bad-image", "older.bin", *PATIENT)
    assert verdict.code == 0
    assert verdict.detail("refuses lamp.bin") == "rejected: wrong hardware"
    assert verdict.detail("refuses older.bin") == "rejected: counter"


async def test_a_device_passes_over_an_order_that_the_broker_kept(trial: Trial, make: Make) -> None:
    # Slow enough to be away for a while.
    verdict = await trial(make(slots=1, speed=20.0), *PATIENT)
    assert "passes over a retained order" in verdict.names("ok")


async def test_a_device_that_loses_the_network_meanwhile_is_a_good_device(trial: Trial, make: Make) -> None:
    verdict = await trial(make(OpenMisbehaviour.DROPS_CONNECTION, slots=1), *PATIENT)
    assert (verdict.code, verdict.names("failed")) == (0, set())


async def test_the_broker_is_left_as_it_was(trial: Trial, make: Make) -> None:
    device = make(slots=1, speed=20.0)
    await trial(device, *PATIENT)
    async with trial.broker.tap() as tap:
        await tap.settle()
        assert not [message for message in tap.on(device.topic("command")) if message.retain]


# --- devices that do not ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("misbehaviour", "check"),
    [
        (OpenMisbehaviour.FAILS_SELF_TEST, "self-test"),
        (OpenMisbehaviour.FAILS_AND_GOES_BACK, "installs"),
        (OpenMisbehaviour.REPORTS_FAILED, "installs"),
        (OpenMisbehaviour.TRANSFER_BREAKS, "installs"),
        (OpenMisbehaviour.LIES_ABOUT_SUCCESS, "installs"),
        (OpenMisbehaviour.REPORTS_REJECTED, "answers an order"),
        (OpenMisbehaviour.LOW_BATTERY, "answers an order"),
        (OpenMisbehaviour.PROGRESS_JUMPS_BACK, "progress"),
        (OpenMisbehaviour.IDENTITY_CHANGES, "stays who it is"),
        (OpenMisbehaviour.ASLEEP_AT_FIRST, "availability"),
        (OpenMisbehaviour.CLAIMS_OTHER_ID, "has one name"),
    ],
)
async def test_what_a_device_gets_wrong_is_named(
    trial: Trial, make: Make, misbehaviour: OpenMisbehaviour, check: str
) -> None:
    verdict = await trial(make(misbehaviour, other_id="lamp"), *PATIENT)
    assert (verdict.code, verdict.names("failed")) == (1, {check})


@pytest.mark.parametrize(
    ("misbehaviour", "check"),
    [
        (OpenMisbehaviour.COMES_BACK_OLD, "installs"),
        (OpenMisbehaviour.NEVER_RETURNS, "installs"),
        (OpenMisbehaviour.IGNORES_COMMANDS, "refuses a wrong digest"),
        (OpenMisbehaviour.STUCK_AT_ZERO, "refuses a wrong digest"),
        (OpenMisbehaviour.UPDATES_ITSELF, "refuses a wrong digest"),
    ],
)
async def test_what_a_device_fails_to_do_is_named(
    trial: Trial, make: Make, misbehaviour: OpenMisbehaviour, check: str
) -> None:
    verdict = await trial(make(misbehaviour), *BRIEF)
    assert verdict.code == 1
    assert check in verdict.names("failed")
    assert "the rest" in verdict.names("skipped")


async def test_a_device_that_talks_too_much_is_named(trial: Trial, make: Make) -> None:
    verdict = await trial(make(OpenMisbehaviour.FLOODS, slots=1), *PATIENT)
    assert (verdict.code, verdict.names("failed")) == (1, {"keeps quiet"})


async def test_a_device_that_ignores_a_rollback_is_named(trial: Trial, make: Make) -> None:
    verdict = await trial(make(OpenMisbehaviour.IGNORES_ROLLBACK), *PATIENT[:2], "--install-seconds", "3", "--quick")
    assert "goes back when ordered" in verdict.names("failed")


async def test_a_device_that_never_ends_its_trial_is_named(trial: Trial, make: Make) -> None:
    verdict = await trial(make(), *PATIENT[:4], "--trial-seconds", "1")
    assert verdict.names("failed") == {"goes back without a commit"}


async def test_a_lost_commit_is_sent_again_and_told(trial: Trial, make: Make) -> None:
    device = make(OpenMisbehaviour.LOSES_FIRST_COMMIT)
    verdict = await trial(device, "--answer-seconds", "2", "--install-seconds", "40", "--quick")
    assert "keeps what is committed" in verdict.names("warning") & verdict.names("ok")


async def test_a_device_that_flashes_anything_is_found_out_before_anything_else(trial: Trial, make: Make) -> None:
    Path("lamp.bin").write_bytes(replace(NEW, model="LAMP").build())
    verdict = await trial(make(OpenMisbehaviour.FLASHES_ANYTHING), "--bad-image", "lamp.bin", *PATIENT)
    assert verdict.names("failed") == {"refuses lamp.bin"}
    assert "installs" not in verdict.names("ok")


class _Obedient(OpenDevice):
    """Takes retained orders for fresh ones."""

    @override
    def _hear(self, message: Incoming) -> None:
        super()._hear(replace(message, retain=False))


async def test_a_device_that_obeys_a_retained_order_is_named(trial: Trial, make: Make) -> None:
    verdict = await trial(make(kind=_Obedient, slots=1, speed=20.0), *PATIENT)
    assert verdict.names("failed") == {"passes over a retained order"}


class _Forgetful(OpenDevice):
    """Forgets which orders it has seen."""

    @override
    def _hear(self, message: Incoming) -> None:
        self.record.commands.clear()
        super()._hear(message)


async def test_a_device_that_installs_one_order_twice_is_named(trial: Trial, make: Make) -> None:
    verdict = await trial(make(kind=_Forgetful, slots=1), *PATIENT)
    assert verdict.names("failed") & {"answers an order", "installs", "a finished order again"}


class _Careless(OpenDevice):
    """Says it in its own words."""

    changes: dict[str, object] = {}  # noqa: RUF012

    @override
    def info(self) -> dict[str, object]:
        return super().info() | self.changes


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"protocol": 2}, "unsupported_spec: protocol"),
        ({"slots": "two"}, "malformed: slots"),
        ({"version": ""}, "malformed: version"),
        ({"model": None}, "malformed: model"),
    ],
)
async def test_an_info_that_the_hub_drops_is_said_with_its_path(
    trial: Trial, make: Make, changes: dict[str, object], said: str
) -> None:
    device = make(kind=type("Careless", (_Careless,), {"changes": changes}))
    verdict = await trial(device, *PATIENT)
    assert verdict.names("failed") >= {"info"}
    assert verdict.detail("info").startswith(said)


async def test_a_device_without_an_address_and_a_counter_is_advised(trial: Trial, make: Make) -> None:
    device = make(mac="", image=replace(OLD, counter=None, hardware=""))
    await device.start()
    verdict = await trial.bare(device, *PATIENT)
    assert (verdict.code, verdict.names("warning")) == (0, {"info.mac", "info.counter", "info.hardware"})


async def test_health_that_is_retained_is_named(trial: Trial, make: Make) -> None:
    device = make()
    async with trial.broker.tap() as tap:
        await tap.publish(device.topic("health"), json.dumps({"uptime_s": 1}), retain=True)
    await device.start()
    verdict = await trial.bare(device, *PATIENT)
    assert verdict.names("failed") == {"health is not retained"}


# --- around it --------------------------------------------------------------------------------------------------------


async def test_a_device_that_is_not_there_is_said(trial: Trial, make: Make) -> None:
    verdict = await trial.bare(make(), *BRIEF)
    assert (verdict.code, verdict.names("failed")) == (1, {"info"})


async def test_the_image_that_runs_already_proves_nothing(trial: Trial, make: Make) -> None:
    verdict = await trial(make(), *PATIENT, image=OLD)
    assert verdict.names("failed") == {"info.version"}


async def test_a_broker_that_is_not_there_is_the_outside(trial: Trial, make: Make) -> None:
    trial.broker.stop()
    verdict = await trial.bare(make(), *BRIEF)
    assert (verdict.code, verdict.said["error"]["code"]) == (5, "broker_failed")


async def test_a_broker_that_goes_away_is_the_outside(trial: Trial, make: Make) -> None:
    device = make(OpenMisbehaviour.STUCK_AT_ZERO)
    running = asyncio.create_task(trial(device, *PATIENT))
    await device.wait_for(lambda _: device.last_status == "downloading", 20)
    await trial.broker.async_stop()
    verdict = await running
    assert (verdict.code, verdict.said["error"]["code"]) == (5, "broker_failed")


@pytest.mark.usefixtures("tool")
async def test_a_broker_with_users_lets_it_in_with_a_password() -> None:
    Path("password").write_text("secret\n")
    with Broker(users={"lab": "secret"}) as broker:
        words = ("try-device", "plug", "--broker", f"127.0.0.1:{broker.port}", "--username", "lab", *BRIEF, "--json")
        let_in = await asyncio.to_thread(main, [*words, "--password-file", "password"])
        turned_away = await asyncio.to_thread(main, [*words])
    assert (let_in, turned_away) == (1, 5)


@pytest.mark.parametrize(
    ("place", "host", "port"),
    [
        ("mqtt.lan", "mqtt.lan", 1883),
        ("192.168.1.2:1884", "192.168.1.2", 1884),
        ("fd00::1", "fd00::1", 1883),
        ("[fd00::1]:1884", "fd00::1", 1884),
        ("::1", "::1", 1883),
    ],
)
def test_a_broker_is_named_as_people_name_it(place: str, host: str, port: int) -> None:
    assert broker_of(parser().parse_args(["try-device", "plug", "--broker", place])) == (host, port)


def test_over_tls_the_usual_port_is_another() -> None:
    assert broker_of(parser().parse_args(["try-device", "plug", "--broker", "mqtt.lan", "--tls"])) == ("mqtt.lan", 8883)


@pytest.mark.parametrize("place", ["mqtt://mqtt.lan", "", "mqtt.lan:", "mqtt.lan:x", "[fd00::1"])
def test_what_is_no_broker_is_refused(tool: Tool, place: str) -> None:
    assert tool.refusal("try-device", "plug", "--broker", place) == (2, "usage")


@pytest.mark.parametrize("trusted", [True, False])
async def test_a_broker_with_tls_must_be_of_the_authority_that_was_named(tool: Tool, trusted: bool) -> None:
    authority = Authority()
    Path("ca.pem").write_text(authority.pem if trusted else Authority().pem)
    with Broker(second_door=SecondDoor(authority.for_server("127.0.0.1"))) as broker:
        words = ("--broker", f"127.0.0.1:{broker.second_port}", "--tls", "--ca", "ca.pem", *BRIEF, "--json")
        ran = await asyncio.to_thread(tool.try_to, "try-device", "plug", *words)
    # Without a device there is something wrong, but somebody to say it.
    assert ran.code == (1 if trusted else 5)


def test_a_file_that_holds_no_authority_is_said(tool: Tool) -> None:
    Path("ca.pem").write_text("nothing")
    words = ("--broker", "127.0.0.1", "--tls", "--ca", "ca.pem")
    assert tool.refusal("try-device", "plug", *words) == (3, "no_certificate")


async def test_an_image_that_no_other_machine_can_fetch_is_warned_about(trial: Trial, make: Make) -> None:
    verdict = await trial(make(slots=1), *PATIENT)
    assert verdict.said["warnings"] == ["the image is served on 127.0.0.1: a device elsewhere needs --address"]


def test_an_image_needs_its_version(tool: Tool) -> None:
    assert tool.refusal("try-device", "plug", "--broker", "127.0.0.1", "--image", "x.bin") == (2, "usage")
