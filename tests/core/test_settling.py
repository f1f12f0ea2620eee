"""The first device of a release has settled only if it was heard since the hub listens (invariants 7 and 8)."""

from __future__ import annotations

from typing import Any

import pytest

from custom_components.firmware_hub.core import limits
from custom_components.firmware_hub.core.effects import Effect, QueryDevice
from custom_components.firmware_hub.core.errors import Reason
from custom_components.firmware_hub.core.inputs import DeviceLinkChanged, LinkChanged

from .builders import HOUR, LAMP, MINUTE, PLUG, Home, capabilities, of_kind
from .script import Script

SETTLE = limits.PILOT_SETTLE
GRACE = limits.RESTART_GRACE


def settling(dialect: str = "open", **about: Any) -> Script:
    """The plug has its release and does not answer any more, the lamp waits for the end of the plug's settling time."""
    script = Script(dialect=dialect).ready(**about)
    script.answers[LAMP] = {"version": "1.0.0"}
    script.report(device_id=LAMP)
    script.approve()
    script.approve(LAMP)
    script.report("1.2.0")
    script.wait(limits.VERIFY_SETTLE)
    script.report("1.2.0")
    assert script.install.settle_until == script.now + SETTLE
    return script


def commanded(script: Script) -> list[str]:
    """Name those that were commanded after the first one."""
    return [sent.device_id for sent in script.commands[1:]]


def asked(effects: list[Effect]) -> int:
    return effects.count(QueryDevice(PLUG))


def unheard(script: Script, how: str) -> Script:
    """Let the settling time pass while the hub does not listen."""
    if how == "restart":
        script.restart(after=SETTLE + MINUTE)
    else:
        script.link(up=False)
        script.wait(SETTLE + MINUTE)
        script.link()
    return script


@pytest.mark.parametrize("how", ["restart", "link"])
def test_a_settling_time_that_nobody_heard_proves_nothing(how: str) -> None:
    script = unheard(settling(), how)
    script.wait(GRACE)
    assert not commanded(script)
    assert script.view(LAMP).reason is Reason.PILOT_SETTLING


@pytest.mark.parametrize("how", ["restart", "link"])
def test_it_has_settled_when_it_is_heard_again(how: str) -> None:
    script = unheard(settling(), how)
    script.answers[PLUG] = {"version": "1.2.0"}
    script.wait(3 * GRACE)
    assert commanded(script) == [LAMP]
    assert script.disk.install(script.install.id).settle_until is None


@pytest.mark.parametrize("how", ["restart", "link"])
def test_a_device_that_does_not_answer_any_more_is_gone(how: str) -> None:
    script = unheard(settling(), how)
    effects = script.wait((limits.SETTLE_QUESTIONS + 2) * GRACE)
    assert asked(effects) == limits.SETTLE_QUESTIONS
    assert script.view(LAMP).reason is Reason.MODEL_STOPPED
    assert script.install.settle_until is None
    assert not commanded(script)


def test_nobody_is_asked_who_could_not_hear_it() -> None:
    script = settling()
    script.link(up=False)
    assert not of_kind(script.wait(2 * SETTLE), QueryDevice)
    assert script.install.settle_until is not None


def test_a_device_that_was_gone_before_the_connection_was_lost_is_gone_after_it() -> None:
    script = settling()
    script.online(online=False)
    script.link(up=False)
    script.wait(SETTLE)
    script.link()
    script.tell(DeviceLinkChanged(PLUG, online=False, retained=True))
    script.wait(2 * GRACE)
    assert not commanded(script)
    assert script.view(LAMP).reason is Reason.MODEL_STOPPED


def test_a_device_that_sleeps_is_waited_for() -> None:
    script = unheard(settling(sleeps=True), "restart")
    assert asked(script.wait(HOUR)) in {5, 6}
    assert script.view(LAMP).reason is Reason.PILOT_SETTLING
    script.report("1.2.0")
    script.wait(limits.SILENT_RETRY)
    assert commanded(script) == [LAMP]


def test_the_plan_knows_of_the_time_that_goes_on() -> None:
    script = unheard(settling(sleeps=True), "link")
    script.wait(GRACE)
    assert script.install.settle_until is not None
    (line,) = (line for line in script.hub.plan(script.now) if line.device_id == LAMP)
    assert line.starts_at == script.install.settle_until


def test_of_a_device_that_cannot_be_asked_what_the_broker_keeps_is_its_word() -> None:
    home = Home(families={"open": capabilities(answers=False)})
    home.report()
    home.publish()
    home.approve()
    home.fetched()
    home.succeed()
    home.tell(LinkChanged(connected=False), LinkChanged(connected=True))
    assert not asked(home.wait(SETTLE + MINUTE))
    assert home.last().settle_until is not None
    home.report(version="1.2.0", retained=True)
    home.wait(limits.SILENT_RETRY)
    assert home.last().settle_until is None
    assert home.last().healthy is not False
