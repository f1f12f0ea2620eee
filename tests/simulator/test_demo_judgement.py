"""The demo's exit code: it is good only if everything was read back as the scripts say."""

from dataclasses import replace
from typing import Any

import pytest

from simulator.demo.cast import Part, Script
from simulator.demo.night import Ending, Result
from simulator.demo.shown import ShownDevice
from simulator.devices.ha_update import HaUpdateDevice
from simulator.devices.open import OpenDevice
from simulator.images import Image
from simulator.link import OwnLink

SCRIPT = Script("fails", "failed", "came_back_old", moves_on=False, repairs=("install_failed",))
SUMMARY = {"devices": 1, "commands_outside_window": 0, "duplicate_commands": 0, "repairs": ["install_failed"]}


@pytest.fixture
def good() -> Ending:
    device = OpenDevice(name="plug", image=Image("Acme", "PLUG", "1.0.0"), link=OwnLink("127.0.0.1", 1))
    shown = ShownDevice("open:plug", "update.plug", "plug", "1.0.0", "1.1.0", True, False, None, "", "", "failed")
    part = Part(SCRIPT, device, "open:plug", "1.0.0")
    return Ending(part, shown, reason="came_back_old", commands=1, runs="1.0.0", answers=True)


def test_an_ending_as_the_script_says_is_good(good: Ending) -> None:
    assert good.as_scripted


@pytest.mark.parametrize(
    "change",
    [
        {"shown": None},
        {"reason": "no_return"},
        {"commands": 2},
        {"commands": 0},
        {"runs": "1.1.0"},
        {"answers": False},
    ],
)
def test_an_ending_that_differs_in_one_thing_is_not_good(good: Ending, change: dict[str, Any]) -> None:
    assert not replace(good, **change).as_scripted


def test_another_verdict_is_not_good(good: Ending) -> None:
    assert good.shown is not None
    assert not replace(good, shown=replace(good.shown, verdict="succeeded")).as_scripted


def test_a_night_of_good_endings_is_good(good: Ending) -> None:
    assert Result(SUMMARY, (good,), lasting_commands=0).as_scripted


@pytest.mark.parametrize(
    "broken", [{"commands_outside_window": 1}, {"duplicate_commands": 1}, {"devices": 2}, {"repairs": []}]
)
def test_a_broken_promise_spoils_the_night(good: Ending, broken: dict[str, Any]) -> None:
    assert not Result(SUMMARY | broken, (good,), lasting_commands=0).as_scripted


def test_a_command_that_the_broker_keeps_spoils_the_night(good: Ending) -> None:
    assert not Result(SUMMARY, (good,), lasting_commands=1).as_scripted


def test_one_bad_ending_spoils_the_night(good: Ending) -> None:
    bad = replace(good, reason="")
    summary = SUMMARY | {"devices": 2, "repairs": ["install_failed"] * 2}
    assert Result(summary, (good, good), lasting_commands=0).as_scripted
    assert not Result(summary, (good, bad), lasting_commands=0).as_scripted


def test_whoever_home_assistant_shows_as_well_is_asked_about(good: Ending) -> None:
    image = Image("Maker", "GATE-1", "1.0.0")
    device = HaUpdateDevice(name="gate", mac="02:00:00:00:00:01", image=image, link=OwnLink("127.0.0.1", 1))
    beside = replace(good, part=replace(good.part, device=device))
    wanted = ["install_failed", "other_updater"]
    assert Result(SUMMARY | {"repairs": wanted}, (beside,), lasting_commands=0).as_scripted
    assert not Result(SUMMARY, (beside,), lasting_commands=0).as_scripted
