"""From the command to a device that is back on some version, or is not: retries, and every verdict on the way."""

from __future__ import annotations

from typing import Any

import pytest

from custom_components.firmware_hub.core import limits
from custom_components.firmware_hub.core.effects import QueryDevice, SendInstall, StopServing
from custom_components.firmware_hub.core.errors import Reason, Refused
from custom_components.firmware_hub.core.inputs import (
    CommandNotSent,
    ForgetRequested,
    InstallReported,
    RetryRequested,
    Stage,
    UnapproveRequested,
)
from custom_components.firmware_hub.core.model import InstallState as S

from .builders import DAY, HOUR, MINUTE, NIGHT, PLUG, SECOND, of_kind
from .script import Script
from .statements import release

DEADLINE = 10 * MINUTE
"""Twice what the family takes."""


def give_up(script: Script) -> Script:
    """Let the time pass and the last question with it."""
    script.wait(DEADLINE)
    script.wait(limits.PREFLIGHT_TIMEOUT)
    return script


# --- no answer is an answer -------------------------------------------------------------------------------------------


def test_a_device_that_is_never_heard_of_again_timed_out() -> None:
    script = Script().commanded()
    script.wait(DEADLINE - SECOND)
    assert script.state() is S.INSTALLING
    assert QueryDevice(PLUG) in script.wait(SECOND)
    script.wait(limits.PREFLIGHT_TIMEOUT - SECOND)
    assert script.state() is S.INSTALLING
    assert StopServing(script.install.id) in script.wait(SECOND)
    assert script.verdict == (S.TIMED_OUT, Reason.NO_RETURN)


def test_a_device_that_went_away_and_stays_away_timed_out() -> None:
    script = Script().commanded()
    script.online(online=False)
    assert script.state() is S.REBOOTING
    assert give_up(script).verdict == (S.TIMED_OUT, Reason.NO_RETURN)


def test_a_word_from_before_the_last_question_is_not_its_answer() -> None:
    script = Script().commanded()
    script.wait(MINUTE)
    script.report()
    assert give_up(script).verdict == (S.TIMED_OUT, Reason.NO_RETURN)


def test_no_verdict_is_given_while_nobody_could_be_heard() -> None:
    script = Script().commanded()
    script.link(up=False)
    script.wait(3 * HOUR)
    assert script.state() is S.INSTALLING
    script.link()
    script.wait(limits.RESTART_GRACE + limits.PREFLIGHT_TIMEOUT)
    assert script.verdict == (S.TIMED_OUT, Reason.NO_RETURN)


# --- the second attempt -----------------------------------------------------------------------------------------------


def test_a_command_that_nobody_reacted_to_is_tried_once_more_under_a_new_id() -> None:
    script = Script().commanded()
    script.wait(DEADLINE)
    script.report()
    script.answers[PLUG] = {"version": "1.0.0"}
    script.wait(limits.PREFLIGHT_TIMEOUT)
    assert script.hold == (S.DEFERRED, Reason.WAITS_FOR_RETRY)
    assert script.view().reason_values == {"attempt": "2"}
    assert script.install.not_before == script.now + limits.RETRY_DELAY
    script.wait(limits.RETRY_DELAY - SECOND)
    assert len(script.commands) == 1
    script.wait(2 * SECOND)
    assert len({sent.attempt_id for sent in script.commands}) == 2
    assert script.install.attempt == 2
    script.wait(DEADLINE)
    script.report()
    script.wait(limits.PREFLIGHT_TIMEOUT)
    assert script.verdict == (S.FAILED, Reason.NO_REACTION)
    script.wait(DAY)
    assert len(script.commands) == 2


def test_a_second_attempt_needs_a_fresh_word_of_the_old_version() -> None:
    script = Script().commanded()
    script.wait(DEADLINE)
    script.report()
    script.wait(limits.PREFLIGHT_TIMEOUT + limits.RETRY_DELAY)
    assert script.state() is S.DOWNLOADED
    script.report(retained=True)
    script.wait(MINUTE)
    assert len(script.commands) == 1
    script.report()
    assert len(script.commands) == 2


def test_a_word_from_before_the_old_time_was_over_does_not_begin_the_next_install() -> None:
    script = Script().commanded()
    script.stage(Stage.REJECTED)
    script.report()
    script.tell(RetryRequested(PLUG, "anna"))
    script.wait(DEADLINE - 10 * SECOND)
    script.report()
    script.wait(11 * SECOND)
    assert (script.state(), len(script.commands)) == (S.DOWNLOADED, 1)
    assert QueryDevice(PLUG) in script.effects
    script.report()
    assert len(script.commands) == 2


def test_a_second_attempt_waits_for_the_window_like_the_first() -> None:
    script = Script(NIGHT + 4 * HOUR + 15 * MINUTE).commanded()
    script.wait(DEADLINE)
    script.report()
    script.answers[PLUG] = {"version": "1.0.0"}
    script.wait(HOUR)
    assert len(script.commands) == 1
    script.wait(19 * HOUR)
    assert len(script.commands) == 2


def test_a_device_that_began_and_stopped_is_not_tried_again_by_itself() -> None:
    script = Script().commanded()
    script.stage(Stage.DOWNLOADING, 40)
    script.wait(DEADLINE)
    script.report()
    script.wait(limits.PREFLIGHT_TIMEOUT)
    assert script.verdict == (S.FAILED, Reason.LOST_IN_TRANSFER)
    assert script.install.reason_values == {"percent": "40"}


def test_a_transfer_that_was_lost_without_a_number_says_none() -> None:
    script = Script().commanded()
    script.stage(Stage.ACCEPTED)
    script.wait(DEADLINE)
    script.report()
    script.wait(limits.PREFLIGHT_TIMEOUT)
    assert script.install.reason_values == {"percent": ""}


def test_a_command_that_was_written_down_but_not_sent_counts_as_sent() -> None:
    script = Script().ready()
    script.connected = False  # the hub has not heard of it yet
    script.approve()
    assert not script.commands
    assert (script.state(), script.install.failure) == (S.INSTALLING, Reason.NOT_SENT)
    assert script.install.failure_detail == "broker_disconnected"
    script.wait(DEADLINE)
    script.report()
    script.wait(limits.PREFLIGHT_TIMEOUT)
    assert script.hold == (S.DEFERRED, Reason.WAITS_FOR_RETRY)
    script.wait(limits.RETRY_DELAY)
    script.report()
    script.wait(DEADLINE)
    script.report()
    script.wait(limits.PREFLIGHT_TIMEOUT)
    assert script.verdict == (S.FAILED, Reason.NOT_SENT)


def test_a_command_that_was_not_sent_of_another_attempt_is_not_ours() -> None:
    script = Script().commanded()
    assert script.tell(CommandNotSent(script.install.id, "a-0", Reason.BROKER_DISCONNECTED)) == []
    assert script.tell(CommandNotSent("gone", "a-0", Reason.BROKER_DISCONNECTED)) == []
    assert script.install.failure is None


def test_a_restart_does_not_mean_failure_of_a_command_that_was_never_sent() -> None:
    script = Script(dialect="boots").commanded()
    script.tell(CommandNotSent(script.install.id, script.install.attempt_id, Reason.WAITS_FOR_WINDOW))
    script.report(rebooted=True)
    assert script.state() is S.INSTALLING


# --- what the device says of the transfer -----------------------------------------------------------------------------


def test_progress_never_falls_and_stays_within_its_bounds() -> None:
    script = Script().commanded()
    shown = []
    for percent in (-5, 30, 20, None, 250):
        script.stage(Stage.DOWNLOADING, percent)
        shown.append(script.view().percent)
    assert shown == [0, 30, 30, 30, 100]


def test_progress_alone_is_not_written_down() -> None:
    script = Script().commanded()
    script.stage(Stage.DOWNLOADING, 30)
    before = len(script.disk.audit), dict(script.disk.installs)
    script.stage(Stage.DOWNLOADING, 31)
    assert (len(script.disk.audit), script.disk.installs) == before
    assert script.view().percent == 31


@pytest.mark.parametrize("stage", list(Stage))
def test_no_word_of_the_device_about_its_transfer_is_success(stage: Stage) -> None:
    script = Script(dialect="trial").commanded(slots=2)
    script.stage(stage, 100)
    script.wait(HOUR)
    assert script.state() is not S.SUCCEEDED


def test_a_device_that_claims_to_be_done_and_is_back_on_the_old_version_has_failed() -> None:
    """An image server's 304 looks like success to some firmware."""
    script = Script(dialect="boots").commanded()
    script.stage(Stage.CLAIMS_DONE, 100)
    assert script.state() is S.REBOOTING
    script.report(rebooted=True)
    assert script.verdict == (S.FAILED, Reason.CAME_BACK_OLD)


def test_a_device_that_is_about_to_restart_is_not_asked() -> None:
    script = Script().commanded()
    assert not of_kind(script.stage(Stage.REBOOTING), QueryDevice)
    script.report()  # still from before its restart
    assert script.state() is S.REBOOTING


@pytest.mark.parametrize(
    ("stage", "verdict"),
    [
        (Stage.FAILED, (S.FAILED, Reason.DEVICE_REPORTED_FAILURE)),
        (Stage.REJECTED, (S.REJECTED, Reason.IMAGE_REFUSED)),
    ],
)
def test_a_failure_that_a_device_reports_is_believed_once_it_shows_its_old_version(
    stage: Stage, verdict: tuple[S, Reason]
) -> None:
    script = Script().commanded()
    assert QueryDevice(PLUG) in script.stage(stage, detail="flash full")
    assert script.state() is S.INSTALLING
    script.report()
    assert script.verdict == verdict
    assert script.install.reason_values == {"detail": "flash full"}


def test_a_failure_that_a_device_reports_is_not_believed_against_its_new_version() -> None:
    script = Script().commanded()
    script.stage(Stage.FAILED, detail="timeout")
    script.report("1.2.0")
    assert script.state() is S.VERIFYING


@pytest.mark.parametrize("attempt_id", ["id-99", None])
def test_where_a_family_names_the_attempt_only_our_own_counts(attempt_id: str | None) -> None:
    script = Script(dialect="trial").commanded(slots=2)
    before = script.install
    script.stage(Stage.REJECTED, attempt_id=attempt_id)
    assert script.install is before


def test_a_retained_word_about_an_install_is_no_word() -> None:
    script = Script().commanded()
    before = script.install
    script.stage(Stage.REJECTED, retained=True)
    assert script.install is before


def test_a_word_about_an_install_that_nobody_ordered_changes_nothing() -> None:
    script = Script().ready()
    assert script.tell(InstallReported(PLUG, Stage.DOWNLOADING, 1)) == []


# --- came back on another version, or as another thing ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("dialect", "about", "verdict"),
    [
        ("open", {}, (S.FAILED, Reason.CAME_BACK_OLD)),
        ("open", {"slots": 2}, (S.FAILED, Reason.CAME_BACK_OLD)),
        ("slots", {}, (S.FAILED, Reason.CAME_BACK_OLD)),
        ("slots", {"slots": 2}, (S.ROLLED_BACK, Reason.SELF_ROLLBACK)),
    ],
)
def test_a_device_that_restarted_and_runs_the_old_version(
    dialect: str, about: dict[str, Any], verdict: tuple[S, Reason]
) -> None:
    script = Script(dialect=dialect).commanded(**about)
    script.stage(Stage.RESTARTED)
    assert script.state() is S.REBOOTING
    script.report()
    assert script.verdict == verdict


def test_a_device_that_lost_its_connection_during_the_transfer_has_not_restarted() -> None:
    script = Script().commanded()
    script.online(online=False)
    script.online()
    script.report()
    assert script.state() is S.REBOOTING


def test_a_device_that_said_that_it_restarts_left_and_came_back() -> None:
    script = Script().commanded()
    script.stage(Stage.REBOOTING)
    script.online(online=False)
    assert QueryDevice(PLUG) in script.online()
    script.report()
    assert script.verdict == (S.FAILED, Reason.CAME_BACK_OLD)


def test_a_device_that_said_that_it_restarts_and_never_left_has_come_back_old_when_its_time_is_over() -> None:
    script = Script().commanded()
    script.stage(Stage.REBOOTING)
    script.wait(DEADLINE)
    script.report()
    script.wait(limits.PREFLIGHT_TIMEOUT)
    assert script.verdict == (S.FAILED, Reason.CAME_BACK_OLD)


def test_where_a_family_tells_of_each_boot_only_that_word_is_a_return() -> None:
    script = Script(dialect="boots").commanded()
    script.stage(Stage.REBOOTING)
    script.online(online=False)
    script.online()
    script.report()
    assert script.state() is S.REBOOTING
    script.report(rebooted=True)
    assert script.verdict == (S.FAILED, Reason.CAME_BACK_OLD)


def test_a_short_uptime_is_a_restart() -> None:
    script = Script().commanded()
    script.wait(2 * MINUTE)
    assert QueryDevice(PLUG) in script.health(uptime_s=60)
    assert script.install.restarted
    script.report()
    assert script.verdict == (S.FAILED, Reason.CAME_BACK_OLD)


@pytest.mark.parametrize("uptime_s", [119, 120, 86_400])
def test_an_uptime_from_before_the_command_is_no_restart(uptime_s: int) -> None:
    script = Script().commanded()
    script.wait(2 * MINUTE)
    assert not of_kind(script.health(uptime_s=uptime_s), QueryDevice)


def test_a_second_short_uptime_is_no_news() -> None:
    script = Script().commanded()
    script.wait(2 * MINUTE)
    script.health(uptime_s=60)
    assert not of_kind(script.health(uptime_s=61), QueryDevice)


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        ({"version": "9.9.9"}, Reason.CAME_BACK_OTHER),
        ({"version": "1.2.0", "model": "LAMP-1"}, Reason.WRONG_IMAGE),
        ({"version": "1.0.0", "hardware": "rev9"}, Reason.WRONG_IMAGE),
    ],
)
def test_a_device_that_came_back_as_something_else_has_failed(says: dict[str, str], reason: Reason) -> None:
    script = Script().commanded()
    script.stage(Stage.RESTARTED)
    script.report(**says)
    assert script.verdict == (S.FAILED, reason)
    expected = {"version": "9.9.9"} if reason is Reason.CAME_BACK_OTHER else {}
    assert script.install.reason_values == expected


@pytest.mark.parametrize("version", ["", None])
def test_a_word_without_a_version_is_no_sign_of_any(version: str | None) -> None:
    script = Script().commanded()
    script.stage(Stage.RESTARTED)
    script.report(version)
    assert script.state() is S.REBOOTING


def test_a_device_that_restarted_and_speaks_elsewhere_lost_its_settings() -> None:
    script = Script().commanded()
    script.stage(Stage.RESTARTED)
    script.report("1.2.0", addresses=("default/",))
    assert script.verdict == (S.FAILED, Reason.SETTINGS_LOST)


def test_a_device_that_left_and_speaks_elsewhere_lost_its_settings() -> None:
    script = Script().commanded()
    script.online(online=False)
    script.report("1.2.0", addresses=("default/",))
    assert script.verdict == (S.FAILED, Reason.SETTINGS_LOST)


def test_a_device_that_its_bridge_renames_during_its_install_lost_nothing() -> None:
    script = Script().commanded(network="bridge")
    script.report("1.2.0", addresses=("hall/",), network="bridge")
    assert script.state() is S.VERIFYING


# --- helper images ----------------------------------------------------------------------------------------------------


def test_a_helper_image_is_on_the_way_and_no_result() -> None:
    script = Script().commanded()
    script.stage(Stage.RESTARTED)
    script.report("1.2.0", helper=True)
    assert script.state() is S.INSTALLING
    script.report("1.2.0", helper=False)
    assert script.state() is S.VERIFYING


def test_a_device_that_stays_in_its_helper_image_is_stuck_there() -> None:
    script = Script().commanded()
    script.report(helper=True)
    assert give_up(script).verdict == (S.FAILED, Reason.STUCK_IN_HELPER)


def test_a_device_that_left_its_helper_image_and_never_came_back_is_lost() -> None:
    script = Script().commanded()
    script.report(helper=True)
    script.online(False)
    assert give_up(script).verdict == (S.TIMED_OUT, Reason.NO_RETURN)


def test_a_stuck_device_is_tried_again_from_its_helper_image_when_its_owner_says_so() -> None:
    script = Script().commanded()
    script.report(helper=True)
    give_up(script)
    script.tell(RetryRequested(PLUG, "anna"))
    script.report(helper=True)
    assert len(script.commands) == 2
    script.report("1.2.0", helper=False)
    script.wait(11 * SECOND)
    script.report("1.2.0")
    assert script.verdict == (S.SUCCEEDED, None)


def test_a_device_that_failed_otherwise_is_not_commanded_in_a_helper_image() -> None:
    script = give_up(Script().commanded())
    script.tell(RetryRequested(PLUG, "anna"))
    script.report(helper=True)
    assert len(script.commands) == 1
    script.report(helper=False)
    assert len(script.commands) == 2


# --- people, while a command is out -----------------------------------------------------------------------------------


def test_what_a_device_is_doing_cannot_be_taken_back() -> None:
    script = Script().commanded()
    with pytest.raises(Refused) as refused:
        script.tell(UnapproveRequested(PLUG, "anna"))
    assert refused.value.reason is Reason.ALREADY_RUNNING


def test_a_withdrawn_release_does_not_stop_what_is_being_installed() -> None:
    script = Script().commanded()
    script.publish(release("1.3.0"), sequence=43, digest="d2")
    assert script.state() is S.INSTALLING


def test_a_removed_device_has_a_closed_record() -> None:
    script = Script().commanded()
    effects = script.tell(ForgetRequested(PLUG, "anna"))
    assert of_kind(effects, StopServing)
    assert script.verdict == (S.REMOVED, Reason.DEVICE_REMOVED)


def test_a_device_that_was_removed_and_comes_back_is_not_commanded_before_the_old_time_is_over() -> None:
    script = Script().commanded()
    script.tell(ForgetRequested(PLUG, "anna"))
    script.now += MINUTE
    script.report()
    script.answers[PLUG] = {"version": "1.0.0"}
    script.approve()
    assert script.hold == (S.DEFERRED, Reason.WAITS_FOR_RETRY)
    script.wait(DEADLINE - 2 * MINUTE)
    assert len(script.commands) == 1
    script.wait(MINUTE + SECOND)
    script.report()
    assert len(of_kind(script.effects, SendInstall)) == 2
