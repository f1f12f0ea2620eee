"""A device, or the bridge before it, that says that it did not begin: tried once more, after the deadline."""

from __future__ import annotations

from custom_components.firmware_hub.core import limits
from custom_components.firmware_hub.core.errors import Reason
from custom_components.firmware_hub.core.inputs import Stage
from custom_components.firmware_hub.core.model import InstallState

from .builders import MINUTE, PLUG, SECOND
from .script import Script

S = InstallState


def refused() -> Script:
    """Have the plug say that it did not begin."""
    script = Script().commanded()
    script.now += SECOND
    script.stage(Stage.NOT_BEGUN, detail="busy")
    return script


def waited() -> Script:
    """Have it run the old version then, so that its next attempt waits for the deadline."""
    script = refused()
    script.answers[PLUG] = {"version": "1.0.0"}
    script.report()
    return script


def test_it_waits_for_the_deadline_and_is_tried_again() -> None:
    script = waited()
    assert script.hold == (S.DEFERRED, Reason.WAITS_FOR_RETRY)
    script.wait(9 * MINUTE)
    assert script.hold == (S.DEFERRED, Reason.WAITS_FOR_RETRY)
    script.wait(2 * MINUTE)
    assert (script.install.state, script.install.attempt, len(script.commands)) == (S.INSTALLING, 2, 2)


def test_a_second_refusal_is_a_failure() -> None:
    script = waited()
    script.wait(12 * MINUTE)
    script.stage(Stage.NOT_BEGUN, detail="busy")
    script.report()
    assert script.verdict == (S.FAILED, Reason.NOT_BEGUN)
    assert script.install.reason_values == {"detail": "busy"}


def test_a_device_of_which_nothing_is_heard_then_is_not_lost() -> None:
    script = refused()
    script.wait(12 * MINUTE)
    assert script.hold == (S.DEFERRED, Reason.WAITS_FOR_RETRY)
    script.wait(limits.RETRY_DELAY + MINUTE)
    assert script.hold == (S.DEFERRED, Reason.DEVICE_SILENT)
    assert len(script.commands) == 1


def test_a_device_that_runs_the_new_version_after_all_has_begun() -> None:
    script = refused()
    script.report("1.2.0")
    assert script.install.state is S.VERIFYING


def test_a_late_word_that_nothing_was_begun_changes_nothing() -> None:
    script = waited()
    script.stage(Stage.NOT_BEGUN, detail="busy")
    assert script.hold == (S.DEFERRED, Reason.WAITS_FOR_RETRY)
