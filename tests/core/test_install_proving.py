"""A device is back on the new version: it proves itself, goes back, or is heard of only after it was given up."""

from __future__ import annotations

import pytest

from custom_components.firmware_hub.core import limits
from custom_components.firmware_hub.core.effects import (
    Announce,
    ClearIssue,
    IssueKind,
    LifecycleKind,
    QueryDevice,
    RaiseIssue,
    SendCommit,
    SendRollback,
    StopServing,
)
from custom_components.firmware_hub.core.errors import Reason
from custom_components.firmware_hub.core.inputs import ForgetRequested, RetryRequested, Stage
from custom_components.firmware_hub.core.install import Context, Sighted, Sighting, step
from custom_components.firmware_hub.core.model import InstallState as S

from .builders import DAY, HOUR, LAMP, MINUTE, NIGHT, PLUG, SECOND, capabilities, commanded, of_kind
from .script import Script

SETTLE = limits.VERIFY_SETTLE


def on_trial() -> Script:
    """A device with two slots runs the new image until it is told to keep it."""
    return Script(dialect="trial").returned(slots=2)


# --- a device without a trial -----------------------------------------------------------------------------------------


def test_success_is_a_second_word_after_the_settling_time() -> None:
    script = Script().returned()
    assert QueryDevice(PLUG) in script.wait(SETTLE)
    assert script.state() is S.VERIFYING
    effects = script.report("1.2.0")
    assert script.verdict == (S.SUCCEEDED, None)
    assert StopServing(script.install.id) in effects
    (told,) = of_kind(effects, Announce)
    assert (told.kind, told.values["state"], told.values["device_works"]) == (
        LifecycleKind.INSTALL_ENDED,
        "succeeded",
        True,
    )


def test_a_word_before_the_settling_time_is_over_is_too_early() -> None:
    script = Script().returned()
    script.wait(SETTLE - SECOND)
    script.report("1.2.0")
    assert script.state() is S.VERIFYING


def test_a_retained_word_proves_nothing() -> None:
    script = Script().returned()
    script.wait(SETTLE + SECOND)
    script.report("1.2.0", retained=True)
    assert script.state() is S.VERIFYING


def test_a_device_that_leaves_again_begins_its_proof_anew() -> None:
    script = Script().returned()
    script.wait(SETTLE - SECOND)
    script.online(online=False)
    script.wait(2 * SECOND)
    script.report("1.2.0")
    assert script.state() is S.VERIFYING
    script.wait(SETTLE - SECOND)
    script.report("1.2.0")
    assert script.state() is S.VERIFYING
    script.wait(2 * SECOND)
    script.report("1.2.0")
    assert script.verdict == (S.SUCCEEDED, None)


def test_a_device_that_comes_on_line_is_asked_and_has_proved_nothing_yet() -> None:
    script = Script().returned()
    script.online(online=False)
    assert QueryDevice(PLUG) in script.online()
    assert script.state() is S.VERIFYING


def test_a_device_that_stays_away_after_its_return_timed_out() -> None:
    script = Script().returned()
    script.online(online=False)
    script.wait(limits.VERIFY_DEADLINE + limits.COMMIT_RETRY)
    assert script.verdict == (S.TIMED_OUT, Reason.NO_RETURN)


def test_a_device_that_is_back_and_says_no_more_has_failed() -> None:
    script = Script().returned()
    asked = of_kind(script.wait(limits.VERIFY_DEADLINE - SECOND), QueryDevice)
    assert script.state() is S.VERIFYING
    assert len(asked) == limits.VERIFY_DEADLINE // limits.COMMIT_RETRY - 1
    script.wait(2 * SECOND)
    assert script.verdict == (S.FAILED, Reason.UNHEALTHY)


def test_a_device_that_says_that_it_is_not_well_has_failed() -> None:
    script = Script().returned()
    script.health(self_test="failed")
    assert script.verdict == (S.FAILED, Reason.UNHEALTHY)


def test_a_self_test_that_comes_before_the_version_counts_as_well() -> None:
    script = Script().commanded()
    script.stage(Stage.RESTARTED)
    script.health(self_test="failed")
    assert script.state() is S.REBOOTING
    script.report("1.2.0")
    assert script.verdict == (S.FAILED, Reason.UNHEALTHY)


def test_a_self_test_of_the_old_image_says_nothing_of_the_new_one() -> None:
    script = Script().commanded()
    script.health(self_test="failed")
    script.report("1.2.0")
    assert script.state() is S.VERIFYING


def test_a_self_test_before_the_device_shows_its_old_version_was_one_of_the_old_image() -> None:
    script = Script().commanded()
    script.online(online=False)
    script.online()
    script.health(self_test="failed")
    script.report()
    script.report("1.2.0")
    assert script.state() is S.VERIFYING


def test_a_retained_self_test_is_no_evidence() -> None:
    script = Script().returned()
    script.health(self_test="failed", retained=True)
    assert script.state() is S.VERIFYING


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        ({"version": "1.0.0"}, Reason.CAME_BACK_OLD),
        ({"version": "1.1.0"}, Reason.CAME_BACK_OTHER),
        ({"version": "1.2.0", "model": "LAMP-1"}, Reason.WRONG_IMAGE),
    ],
)
def test_a_device_that_changes_its_mind_has_failed(says: dict[str, str], reason: Reason) -> None:
    script = Script().returned()
    script.report(**says)
    assert script.verdict == (S.FAILED, reason)


def test_a_device_with_two_slots_that_goes_back_by_itself_rolled_back() -> None:
    script = Script(dialect="slots").returned(slots=2)
    script.report()
    assert script.verdict == (S.ROLLED_BACK, Reason.SELF_ROLLBACK)


def test_a_device_that_goes_into_a_helper_image_is_at_work_again() -> None:
    script = Script().returned()
    script.report("1.2.0", helper=True)
    assert script.state() is S.INSTALLING
    assert script.install.deadline == script.now + 10 * MINUTE
    script.wait(10 * MINUTE + limits.PREFLIGHT_TIMEOUT)
    assert script.verdict == (S.FAILED, Reason.STUCK_IN_HELPER)


def test_a_failure_that_is_reported_after_the_return_is_a_failure() -> None:
    script = Script().returned()
    script.stage(Stage.FAILED, detail="self test 7")
    assert script.verdict == (S.FAILED, Reason.UNHEALTHY)
    assert script.install.reason_values == {"detail": "self test 7"}


def test_no_proof_is_missed_while_nobody_could_be_heard() -> None:
    script = Script().returned()
    script.link(up=False)
    script.wait(HOUR)
    assert script.state() is S.VERIFYING
    assert QueryDevice(PLUG) in script.link()
    script.wait(SECOND)
    script.report("1.2.0")
    assert script.state() is S.VERIFYING
    script.wait(SETTLE)
    script.report("1.2.0")
    assert script.verdict == (S.SUCCEEDED, None)


def test_a_removed_device_proves_nothing_any_more() -> None:
    script = Script().returned()
    script.tell(ForgetRequested(PLUG, "anna"))
    assert script.verdict == (S.REMOVED, Reason.DEVICE_REMOVED)


# --- a device with a trial --------------------------------------------------------------------------------------------


def test_a_device_on_trial_is_told_to_keep_its_image_only_when_it_is_well() -> None:
    script = on_trial()
    script.wait(SETTLE)
    assert not of_kind(script.report("1.2.0"), SendCommit)
    script.health(self_test="passed")
    install = script.install
    assert of_kind(script.report("1.2.0"), SendCommit) == [SendCommit(install.id, install.attempt_id, PLUG)]
    assert script.state() is S.VERIFYING
    script.stage(Stage.COMMITTED)
    assert script.verdict == (S.SUCCEEDED, None)


def test_a_device_that_says_that_it_is_committed_before_it_was_told_is_not_believed() -> None:
    script = on_trial()
    script.health(self_test="passed")
    script.stage(Stage.COMMITTED)
    assert script.state() is S.VERIFYING


def test_one_commit_is_sent_and_repeated_when_it_is_not_answered() -> None:
    script = on_trial()
    script.health(self_test="passed")
    script.wait(SETTLE)
    effects = script.report("1.2.0") + script.report("1.2.0")
    assert len(of_kind(effects, SendCommit)) == 1
    effects += script.wait(2 * MINUTE)
    assert len(of_kind(effects, SendCommit)) == limits.COMMIT_RESENDS


def test_an_unwell_device_on_trial_is_told_to_go_back() -> None:
    script = on_trial()
    install = script.install
    effects = script.health(self_test="failed")
    assert of_kind(effects, SendRollback) == [SendRollback(install.id, install.attempt_id, PLUG)]
    assert script.hold == (S.ROLLING_BACK, Reason.ROLLED_BACK_UNHEALTHY)
    script.stage(Stage.ROLLED_BACK)
    assert script.state() is S.ROLLING_BACK
    script.report()
    assert script.verdict == (S.ROLLED_BACK, Reason.ROLLED_BACK_UNHEALTHY)


@pytest.mark.parametrize("stage", [Stage.FAILED, Stage.REJECTED])
def test_a_device_on_trial_that_reports_a_failure_is_told_to_go_back(stage: Stage) -> None:
    script = on_trial()
    assert of_kind(script.stage(stage, detail="sensor dead"), SendRollback)
    assert script.view().reason_values == {"detail": "sensor dead"}


def test_a_device_on_trial_that_falls_silent_goes_back_by_itself_and_nothing_is_ordered() -> None:
    script = on_trial()
    effects = script.wait(limits.VERIFY_DEADLINE + limits.COMMIT_RETRY)
    assert not of_kind(effects, SendRollback)
    assert script.hold == (S.ROLLING_BACK, Reason.ROLLED_BACK_UNHEALTHY)


def test_a_device_on_trial_that_restarts_proves_itself_from_the_beginning() -> None:
    script = on_trial()
    script.health(self_test="passed")
    script.wait(SETTLE)
    script.report("1.2.0")
    script.online(online=False)
    assert (script.install.commits_sent, script.install.healthy) == (0, None)


def test_a_device_that_says_that_it_went_back_is_believed_when_it_runs_the_old_version() -> None:
    script = on_trial()
    assert QueryDevice(PLUG) in script.stage(Stage.ROLLED_BACK, detail="watchdog")
    assert script.hold == (S.ROLLING_BACK, Reason.SELF_ROLLBACK)
    script.report()
    assert script.verdict == (S.ROLLED_BACK, Reason.SELF_ROLLBACK)
    assert script.install.reason_values == {"detail": "watchdog"}


def test_a_commanded_device_may_say_that_it_went_back_as_well() -> None:
    script = Script(dialect="trial").commanded(slots=2)
    script.stage(Stage.ROLLED_BACK)
    assert script.state() is S.ROLLING_BACK


# --- going back -------------------------------------------------------------------------------------------------------


def going_back() -> Script:
    script = on_trial()
    script.health(self_test="failed")
    assert script.state() is S.ROLLING_BACK
    return script


def test_a_device_that_is_still_on_the_new_version_has_not_gone_back_yet() -> None:
    script = going_back()
    script.report("1.2.0")
    script.report("1.2.0", helper=True)
    assert script.state() is S.ROLLING_BACK


@pytest.mark.parametrize(
    ("says", "reason"),
    [({"version": "0.9.0"}, Reason.CAME_BACK_OTHER), ({"version": "1.0.0", "model": "LAMP"}, Reason.WRONG_IMAGE)],
)
def test_a_device_that_went_somewhere_else_did_not_go_back(says: dict[str, str], reason: Reason) -> None:
    script = going_back()
    script.report(**says)
    assert script.verdict == (S.ROLLBACK_FAILED, reason)


def test_a_device_that_gives_a_sign_of_life_is_asked_what_it_runs() -> None:
    script = going_back()
    assert not of_kind(script.online(online=False), QueryDevice)
    assert QueryDevice(PLUG) in script.online()


def test_a_device_that_does_not_come_back_at_all_is_lost_after_a_last_question() -> None:
    script = going_back()
    assert QueryDevice(PLUG) in script.wait(limits.ROLLBACK_DEADLINE)
    assert script.state() is S.ROLLING_BACK
    script.wait(limits.PREFLIGHT_TIMEOUT)
    assert script.verdict == (S.ROLLBACK_FAILED, Reason.ROLLBACK_LOST)


def test_no_device_is_lost_while_nobody_could_be_heard() -> None:
    script = going_back()
    script.link(up=False)
    script.wait(2 * HOUR)
    assert script.state() is S.ROLLING_BACK
    assert QueryDevice(PLUG) in script.link()
    script.report()
    assert script.verdict == (S.ROLLED_BACK, Reason.ROLLED_BACK_UNHEALTHY)


def committed_but_not_heard() -> Script:
    """The commit was taken, its answer and all further ones were lost."""
    script = on_trial()
    script.health(self_test="passed")
    script.wait(SETTLE)
    script.report("1.2.0")
    script.wait(limits.VERIFY_DEADLINE)
    assert script.state() is S.ROLLING_BACK
    return script


def test_a_device_that_took_the_commit_and_is_still_there_long_after_its_trial_has_succeeded() -> None:
    script = committed_but_not_heard()
    script.report("1.2.0")
    assert script.state() is S.ROLLING_BACK
    script.wait(limits.ROLLBACK_DEADLINE)
    script.report("1.2.0")
    assert script.verdict == (S.SUCCEEDED, None)


# --- a late return ----------------------------------------------------------------------------------------------------


def given_up(dialect: str = "open", slots: int = 1) -> Script:
    script = Script(dialect=dialect).commanded(slots=slots)
    script.wait(10 * MINUTE + limits.PREFLIGHT_TIMEOUT)
    assert script.verdict == (S.TIMED_OUT, Reason.NO_RETURN)
    return script


def test_a_device_that_comes_back_late_proves_itself_and_the_record_is_corrected() -> None:
    script = given_up()
    script.report(device_id=LAMP)
    assert [issue.kind for issue in of_kind(script.effects, RaiseIssue)] == [
        IssueKind.DEVICE_DARK,
        IssueKind.MODEL_STOPPED,
    ]
    script.wait(HOUR)
    script.report("1.2.0")
    assert script.state() is S.VERIFYING
    assert script.install.ended_at is None
    script.wait(SETTLE)
    effects = script.report("1.2.0")
    assert script.verdict == (S.SUCCEEDED, None)
    assert ClearIssue(IssueKind.DEVICE_DARK, PLUG) in effects
    assert ClearIssue(IssueKind.MODEL_STOPPED, "Acme/PLUG-S1") in effects


@pytest.mark.parametrize(
    ("dialect", "slots", "verdict"),
    [("open", 1, (S.FAILED, Reason.CAME_BACK_OLD)), ("slots", 2, (S.ROLLED_BACK, Reason.SELF_ROLLBACK))],
)
def test_a_device_that_comes_back_late_on_the_old_version_is_no_longer_dark(
    dialect: str, slots: int, verdict: tuple[S, Reason]
) -> None:
    script = given_up(dialect, slots)
    effects = script.report()
    assert script.verdict == verdict
    assert ClearIssue(IssueKind.DEVICE_DARK, PLUG) in effects


def test_a_device_that_comes_back_late_in_a_helper_image_is_at_work() -> None:
    script = given_up()
    script.report(helper=True)
    assert script.state() is S.INSTALLING
    script.report("1.2.0", helper=False)
    assert script.state() is S.VERIFYING


def test_a_device_that_comes_back_late_on_a_third_version_has_failed() -> None:
    script = given_up()
    script.report("7.0.0")
    assert script.verdict == (S.FAILED, Reason.CAME_BACK_OTHER)


def test_a_dark_device_that_comes_on_line_is_asked_what_it_runs() -> None:
    script = given_up()
    script.online(online=False)
    assert QueryDevice(PLUG) in script.online()


def test_a_device_whose_install_went_well_is_not_asked_when_it_comes_on_line() -> None:
    script = Script().returned()
    script.wait(SETTLE)
    script.report("1.2.0")
    script.online(online=False)
    assert not of_kind(script.online(), QueryDevice)


@pytest.mark.parametrize("dialect", ["open", "boots"])
def test_a_device_that_failed_and_is_on_the_new_version_after_all_proves_itself(dialect: str) -> None:
    script = Script(dialect=dialect).commanded()
    script.stage(Stage.FAILED)
    script.report()
    script.report()
    assert script.install.reason is Reason.DEVICE_REPORTED_FAILURE
    script.report("1.2.0")
    script.wait(SETTLE)
    script.report("1.2.0")
    assert script.verdict == (S.SUCCEEDED, None)


def test_a_device_that_was_never_commanded_had_other_help() -> None:
    script = Script().ready()
    script.files = Reason.DIGEST_MISMATCH
    script.approve()
    assert script.verdict == (S.FAILED, Reason.DIGEST_MISMATCH)
    script.report("1.2.0")
    assert script.verdict == (S.ALREADY_INSTALLED, Reason.CHANGED_BY_OTHERS)


@pytest.mark.parametrize("reason", [Reason.UNHEALTHY, Reason.WRONG_IMAGE, Reason.SETTINGS_LOST, Reason.CAME_BACK_OTHER])
def test_a_verdict_about_the_new_image_itself_stands(reason: Reason) -> None:
    failed = commanded(state=S.FAILED, reason=reason, deadline=None, ended_at=NIGHT)
    assert step(failed, Sighted(Sighting.NEW), Context(capabilities()), NIGHT).install is failed


def test_a_device_that_went_back_at_last_is_not_lost() -> None:
    script = going_back()
    script.wait(limits.ROLLBACK_DEADLINE + limits.PREFLIGHT_TIMEOUT)
    assert script.verdict == (S.ROLLBACK_FAILED, Reason.ROLLBACK_LOST)
    script.report("1.2.0")
    assert script.verdict == (S.ROLLBACK_FAILED, Reason.ROLLBACK_LOST)
    script.report()
    assert script.verdict == (S.ROLLED_BACK, Reason.ROLLED_BACK_UNHEALTHY)


def test_a_late_return_while_the_next_install_waits_is_the_next_ones_business() -> None:
    script = given_up()
    script.wait(DAY - HOUR)
    script.tell(RetryRequested(PLUG, "anna"))
    script.report("1.2.0")
    assert script.state() is S.VERIFYING
    script.wait(SETTLE)
    script.report("1.2.0")
    assert script.verdict == (S.SUCCEEDED, None)
