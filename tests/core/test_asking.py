"""Questions to devices: spaced for each of them, paced for all of them together."""

from __future__ import annotations

import itertools
from datetime import timedelta

from custom_components.firmware_hub.core import limits
from custom_components.firmware_hub.core.effects import QueryDevice
from custom_components.firmware_hub.core.inputs import CheckRequested, ForgetRequested, WokenUp
from custom_components.firmware_hub.core.model import DeviceId

from .builders import MINUTE, PLUG, SECOND, of_kind
from .script import Script

MANY = 2 * limits.QUERIES_PER_SECOND + 20
FLEET = [f"mac:{number:012X}" for number in range(MANY)]


def fleet() -> Script:
    script = Script()
    for device_id in FLEET:
        script.report(device_id=device_id)
    script.now += MINUTE
    return script


def check(script: Script) -> list[DeviceId]:
    return [query.device_id for query in of_kind(script.tell(CheckRequested("anna")), QueryDevice)]


def wake(script: Script, after: timedelta) -> list[DeviceId]:
    script.now += after
    return [query.device_id for query in of_kind(script.tell(WokenUp()), QueryDevice)]


def test_many_devices_are_asked_one_second_after_the_other_and_each_once() -> None:
    script = fleet()
    asked = [check(script), wake(script, SECOND), wake(script, SECOND), wake(script, SECOND)]
    assert [len(second) for second in asked] == [limits.QUERIES_PER_SECOND, limits.QUERIES_PER_SECOND, 20, 0]
    assert sorted(itertools.chain(*asked)) == FLEET


def test_within_one_second_no_more_are_asked() -> None:
    script = fleet()
    check(script)
    assert wake(script, SECOND / 2) == []


def test_a_device_that_was_asked_just_now_is_not_asked_again() -> None:
    script = Script()
    script.report()
    assert check(script) == [PLUG]
    script.now += limits.QUERY_SPACING - SECOND
    assert check(script) == []
    script.now += SECOND
    assert check(script) == [PLUG]


def test_a_device_that_was_asked_in_what_is_the_future_now_is_asked() -> None:
    script = Script()
    script.report()
    check(script)
    script.now -= MINUTE
    assert check(script) == [PLUG]


def test_a_clock_that_went_back_does_not_silence_the_hub() -> None:
    script = fleet()
    check(script)
    script.now -= MINUTE
    assert len(wake(script, timedelta())) <= limits.QUERIES_PER_SECOND
    assert len(wake(script, MINUTE + SECOND)) == limits.QUERIES_PER_SECOND


def test_a_device_that_was_removed_meanwhile_is_not_asked() -> None:
    script = fleet()
    check(script)
    gone = FLEET[-1]
    script.tell(ForgetRequested(gone, "anna"))
    assert gone not in wake(script, SECOND) + wake(script, SECOND)


def test_a_device_that_was_asked_meanwhile_for_another_reason_is_not_asked_twice() -> None:
    script = fleet()
    check(script)
    script.hub.fleet.asked(FLEET[-1], script.now)
    assert FLEET[-1] not in wake(script, SECOND) + wake(script, SECOND)


def test_a_device_that_is_off_line_is_not_asked() -> None:
    script = Script()
    script.report()
    script.online(online=False)
    assert check(script) == []
