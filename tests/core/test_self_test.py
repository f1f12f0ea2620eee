"""An image on trial is kept on its own self-test only, never on one that the old image passed (invariant 7)."""

from __future__ import annotations

import pytest

from custom_components.firmware_hub.core import limits
from custom_components.firmware_hub.core.effects import SendCommit
from custom_components.firmware_hub.core.inputs import Stage
from custom_components.firmware_hub.core.model import InstallState as S

from .builders import MINUTE, SECOND, of_kind
from .script import Script

SETTLE = limits.VERIFY_SETTLE


def at_work() -> Script:
    """A device with two slots has its command, and was away for a moment in the middle of the transfer."""
    script = Script(dialect="trial").commanded(slots=2)
    script.online(online=False)
    script.online()
    script.report()
    return script


def kept_after_return(script: Script) -> bool:
    """Let the new image come up and stay, and say whether it was told to be kept."""
    effects = script.report("1.2.0")
    script.now += SETTLE
    effects += script.report("1.2.0")
    assert script.state() is S.VERIFYING
    return bool(of_kind(effects, SendCommit))


def test_a_test_that_was_passed_in_mid_transfer_is_one_of_the_old_image() -> None:
    script = at_work()
    script.health(self_test="passed")
    assert not kept_after_return(script)


@pytest.mark.parametrize("stage", [Stage.REBOOTING, Stage.CLAIMS_DONE, Stage.RESTARTED, Stage.TRIAL])
def test_a_failure_of_the_old_image_is_not_one_of_the_new_image(stage: Stage) -> None:
    script = at_work()
    script.health(self_test="failed")
    script.stage(stage)
    assert not kept_after_return(script)


def test_a_failure_before_the_device_left_is_not_one_of_the_new_image() -> None:
    script = at_work()
    script.health(self_test="failed")
    script.online(online=False)
    assert not kept_after_return(script)


def test_a_failure_before_a_restart_that_its_uptime_shows_is_not_one_of_the_new_image() -> None:
    script = at_work()
    script.health(self_test="failed")
    script.now += MINUTE
    script.health(uptime_s=5)
    assert not kept_after_return(script)


def test_a_failure_before_a_connection_was_lost_is_not_one_of_the_new_image() -> None:
    script = at_work()
    script.health(self_test="failed")
    script.link(up=False)
    script.link()
    assert not kept_after_return(script)


def test_a_failure_before_a_helper_image_is_not_one_of_the_new_image() -> None:
    script = at_work()
    script.health(self_test="failed")
    script.report("1.2.0", helper=True)
    script.report(helper=False, version=None)
    assert not kept_after_return(script)


def test_a_test_between_the_restart_and_the_version_counts() -> None:
    script = at_work()
    script.stage(Stage.REBOOTING)
    script.online(online=False)
    script.online()
    script.stage(Stage.RESTARTED)
    script.health(self_test="passed")
    script.stage(Stage.TRIAL)
    assert kept_after_return(script)


@pytest.mark.parametrize("how", ["link", "restart"])
def test_a_device_that_may_have_restarted_unheard_proves_itself_from_the_beginning(how: str) -> None:
    script = Script(dialect="trial").returned(slots=2)
    script.health(self_test="passed")
    if how == "link":
        script.link(up=False)
        script.wait(2 * MINUTE)
        script.link()
    else:
        script.restart()
    assert not kept_after_return(script)
    script.health(self_test="passed")
    assert of_kind(script.report("1.2.0"), SendCommit)


def test_a_device_on_trial_that_says_that_it_restarts_is_tested_anew() -> None:
    script = Script(dialect="trial").returned(slots=2)
    script.health(self_test="passed")
    script.stage(Stage.REBOOTING)
    assert not kept_after_return(script)


def test_a_test_of_the_last_attempt_says_nothing_of_a_late_return() -> None:
    script = Script(dialect="trial").commanded(slots=2)
    script.online(online=False)
    script.online()
    script.health(self_test="failed")
    script.wait(10 * MINUTE)
    script.report()
    script.now += SECOND
    script.health(self_test="failed")
    script.wait(MINUTE)
    assert script.state() is S.DEFERRED
    assert not kept_after_return(script)
