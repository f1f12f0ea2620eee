"""A question on which a verdict waits is asked again until it is answered, because it may have been lost."""

from __future__ import annotations

from custom_components.firmware_hub.core import limits
from custom_components.firmware_hub.core.effects import QueryDevice
from custom_components.firmware_hub.core.errors import Reason
from custom_components.firmware_hub.core.inputs import ForgetRequested, Stage
from custom_components.firmware_hub.core.model import InstallState

from .builders import MINUTE, PLUG, SECOND, of_kind
from .script import Script

S = InstallState
AGAIN = limits.ASK_AGAIN


def questions(script: Script) -> int:
    return len(of_kind(script.effects, QueryDevice))


def failed() -> Script:
    """Have the plug say that it failed, and not answer what it runs."""
    script = Script().commanded()
    script.now += MINUTE
    script.stage(Stage.FAILED)
    script.effects.clear()
    return script


def test_a_device_that_failed_is_asked_again_ever_more_seldom() -> None:
    script = failed()
    script.wait(AGAIN)
    assert questions(script) == 1
    script.wait(2 * AGAIN)
    assert questions(script) == 2
    script.wait(4 * AGAIN - SECOND)
    assert questions(script) == 2
    script.wait(SECOND)
    assert questions(script) == 3


def test_an_answer_ends_it() -> None:
    script = failed()
    script.wait(AGAIN)
    script.report()
    assert script.verdict == (S.FAILED, Reason.DEVICE_REPORTED_FAILURE)
    script.effects.clear()
    script.wait(10 * AGAIN)
    assert questions(script) == 0


def test_a_device_that_restarted_is_asked_again() -> None:
    script = Script().commanded()
    script.stage(Stage.RESTARTED)
    script.effects.clear()
    script.wait(AGAIN)
    assert questions(script) == 1


def test_a_device_at_work_is_left_alone() -> None:
    script = Script().commanded()
    script.stage(Stage.DOWNLOADING, 10)
    script.online()
    script.effects.clear()
    script.wait(8 * MINUTE)
    assert questions(script) == 0


def test_a_device_that_was_removed_is_not_asked() -> None:
    script = failed()
    script.tell(ForgetRequested(PLUG, "anna"))
    script.wait(AGAIN)
    assert questions(script) == 0
