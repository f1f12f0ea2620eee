"""Nothing is lost and nothing is sent twice: restarts, lost connections, a full disk, sleep, clocks that are set."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from custom_components.firmware_hub.core import limits
from custom_components.firmware_hub.core.effects import (
    Announce,
    ClearIssue,
    FetchArtifacts,
    IssueKind,
    LifecycleKind,
    QueryDevice,
    RaiseIssue,
    RestoreSettings,
    SendCommit,
    SendInstall,
    ServeAgain,
    StopServing,
)
from custom_components.firmware_hub.core.errors import Reason
from custom_components.firmware_hub.core.inputs import ForgetRequested, Stage
from custom_components.firmware_hub.core.model import InstallState as S
from custom_components.firmware_hub.core.records import Snapshot
from custom_components.firmware_hub.core.settings import Settings

from .builders import DAY, HOUR, LAMP, MINUTE, NIGHT, NOON, PLUG, SECOND, install, of_kind
from .script import Script

SETTLE = limits.VERIFY_SETTLE


def approved() -> Script:
    script = Script(NOON).ready()
    script.approve()
    return script


def deferred() -> Script:
    script = Script().ready()
    script.online(online=False)
    script.approve()
    return script


def downloading() -> Script:
    script = Script().ready()
    script.files = None
    script.approve()
    return script


def downloaded() -> Script:
    script = Script().ready()
    script.answers.clear()
    script.now += 2 * MINUTE
    script.approve()
    return script


def installing() -> Script:
    return Script().commanded()


def rebooting() -> Script:
    script = Script().commanded()
    script.stage(Stage.REBOOTING)
    return script


def verifying() -> Script:
    return Script().returned()


def going_back() -> Script:
    script = Script(dialect="trial").returned(slots=2)
    script.health(self_test="failed")
    return script


STAGES: dict[S, Callable[[], Script]] = {
    S.APPROVED: approved,
    S.DEFERRED: deferred,
    S.DOWNLOADING: downloading,
    S.DOWNLOADED: downloaded,
    S.INSTALLING: installing,
    S.REBOOTING: rebooting,
    S.VERIFYING: verifying,
    S.ROLLING_BACK: going_back,
}
AFTER_RESTART = {S.DEFERRED: S.DOWNLOADING, S.DOWNLOADED: S.DOWNLOADING}
"""Why an install was held is asked anew, and files are fetched again."""
COMMANDED = [S.INSTALLING, S.REBOOTING, S.VERIFYING, S.ROLLING_BACK]


def test_the_stages_are_what_they_are_called() -> None:
    assert {state: begin().state() for state, begin in STAGES.items()} == {state: state for state in STAGES}


# --- restarts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", STAGES)
def test_a_restart_loses_nothing(state: S) -> None:
    script = STAGES[state]()
    before = script.install
    script.files = None
    script.answers.clear()
    script.restart()
    after = script.install
    assert script.state() is AFTER_RESTART.get(state, state)
    for name in ("id", "device_id", "offer", "approval", "identity", "from_version", "attempt", "attempt_id"):
        assert getattr(after, name) == getattr(before, name)


@pytest.mark.parametrize("after", [SECOND, HOUR, 3 * DAY])
@pytest.mark.parametrize("state", COMMANDED)
def test_after_a_restart_no_command_is_sent_and_the_device_has_time_to_speak(state: S, after: timedelta) -> None:
    script = STAGES[state]()
    sent = len(script.commands)
    script.restart(after)
    script.wait(limits.RESTART_GRACE - SECOND)
    assert len(script.commands) == sent
    assert script.state() is state


@pytest.mark.parametrize("state", STAGES)
def test_a_restart_and_a_restart_of_the_restart_send_nothing_twice(state: S) -> None:
    script = STAGES[state]()
    for _ in range(3):
        script.restart(SECOND)
    script.wait(DAY)
    attempts = [sent.attempt_id for sent in script.commands]
    assert len(attempts) == len(set(attempts)) <= limits.MAX_ATTEMPTS


@pytest.mark.parametrize("state", [S.INSTALLING, S.REBOOTING, S.VERIFYING])
def test_what_was_installed_before_a_restart_succeeds_after_it(state: S) -> None:
    script = STAGES[state]()
    script.restart()
    script.report("1.2.0")
    script.wait(SETTLE)
    script.report("1.2.0")
    assert script.verdict == (S.SUCCEEDED, None)


@pytest.mark.parametrize("state", COMMANDED)
def test_a_device_is_asked_once_it_can_be_asked(state: S) -> None:
    script = STAGES[state]()
    script.now += MINUTE
    assert QueryDevice(PLUG) not in script._begin()
    assert QueryDevice(PLUG) in script.link()


@pytest.mark.parametrize("state", [S.INSTALLING, S.REBOOTING])
def test_a_device_that_may_still_be_fetching_is_served_again(state: S) -> None:
    script = STAGES[state]()
    assert ServeAgain(script.install.id, PLUG) in script.restart()


@pytest.mark.parametrize("state", [S.DOWNLOADING, S.DOWNLOADED])
def test_files_are_fetched_again_after_a_restart(state: S) -> None:
    script = STAGES[state]()
    script.files = None
    assert of_kind(script.restart(), FetchArtifacts)
    script.files = "ready"


def test_a_waiting_install_waits_for_the_same_after_a_restart() -> None:
    script = Script(NIGHT, settings=Settings(paused=True)).ready()
    script.approve()
    script.restart()
    assert script.hold == (S.DEFERRED, Reason.PAUSED)


def test_an_install_that_waits_for_its_second_attempt_waits_for_it_after_a_restart() -> None:
    script = installing()
    script.wait(10 * MINUTE)
    script.report()
    script.wait(limits.PREFLIGHT_TIMEOUT)
    script.answers[PLUG] = {"version": "1.0.0"}
    before = script.install.not_before
    script.restart()
    assert script.hold == (S.DEFERRED, Reason.WAITS_FOR_RETRY)
    assert script.install.not_before == before
    script.wait(limits.RETRY_DELAY)
    assert len(script.commands) == 2


def test_an_approval_expires_over_a_restart() -> None:
    script = approved()
    script.restart(30 * DAY)
    script.wait(MINUTE)
    assert script.verdict == (S.CANCELED, Reason.APPROVAL_EXPIRED)


def test_a_verdict_is_remembered_over_a_restart() -> None:
    script = installing()
    script.wait(10 * MINUTE + limits.PREFLIGHT_TIMEOUT)
    before = script.install
    script.restart(HOUR)
    assert script.install == before
    script.report("1.2.0")
    assert script.state() is S.VERIFYING


def test_an_install_of_a_device_that_is_not_known_any_more_is_not_taken_over() -> None:
    script = Script()
    script.hub.restore(Snapshot(installs=(install(),)), NIGHT)
    assert not script.hub.installer.current


def test_the_address_is_looked_at_when_an_install_goes_on_after_a_restart() -> None:
    script = installing()
    script.reachable = False
    script.restart()
    assert not script.hub.installer.keeper.state.address_ok


# --- the connection ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [S.DOWNLOADED, *COMMANDED])
def test_whoever_is_being_changed_is_asked_when_the_broker_is_back(state: S) -> None:
    script = STAGES[state]()
    script.link(up=False)
    script.wait(SECOND)
    assert QueryDevice(PLUG) in script.link()


def test_a_device_is_not_called_silent_while_nobody_could_be_heard() -> None:
    script = downloaded()
    script.link(up=False)
    script.wait(HOUR)
    assert script.hold == (S.DEFERRED, Reason.BROKER_DISCONNECTED)
    script.answers[PLUG] = {"version": "1.0.0"}
    script.link()
    assert len(script.commands) == 1


def test_files_that_are_being_fetched_need_no_broker() -> None:
    script = downloading()
    script.link(up=False)
    assert not of_kind(script.link(), FetchArtifacts)
    assert script.state() is S.DOWNLOADING


def test_nothing_starts_without_a_broker() -> None:
    script = Script().ready()
    script.link(up=False)
    script.approve()
    assert script.hold == (S.DEFERRED, Reason.BROKER_DISCONNECTED)
    script.link()
    assert len(script.commands) == 1


def test_a_word_from_before_the_connection_was_lost_is_not_fresh() -> None:
    script = Script().ready()
    script.answers.clear()
    script.link(up=False)
    script.link()
    script.approve()
    assert script.state() is S.DOWNLOADED


# --- the disk ---------------------------------------------------------------------------------------------------------


def test_a_command_that_could_not_be_written_down_is_not_sent() -> None:
    script = downloaded()
    script.disk.works = False
    effects = script.report()
    assert not script.commands
    assert of_kind(effects, SendInstall)
    assert script.hold == (S.DEFERRED, Reason.DISK_FAILED)
    assert (script.install.attempt, script.install.attempt_id) == (0, "")
    assert script.install.reason is Reason.DISK_FULL
    issue = of_kind(effects, RaiseIssue)[0]
    assert (issue.kind, issue.reason) == (IssueKind.STORE_FAILED, Reason.DISK_FULL)


def test_a_command_that_certainly_never_left_is_no_attempt() -> None:
    script = downloaded()
    script.disk.works = False
    script.report()
    script.disk.works = True
    script.answers[PLUG] = {"version": "1.0.0"}
    script.wait(limits.RETRY_DELAY + MINUTE)
    assert len(script.commands) == 1
    assert script.install.attempt == 1


def test_a_yes_that_could_not_be_written_down_is_none() -> None:
    script = Script().ready()
    script.disk.works = False
    script.approve(at_once=True)
    assert script.verdict == (S.CANCELED, Reason.DISK_FULL)
    script.disk.works = True
    script.wait(HOUR)
    assert not script.commands
    script.approve()
    assert len(script.commands) == 1


def test_a_now_that_could_not_be_written_down_is_none_but_the_earlier_yes_stays() -> None:
    script = Script(NOON).ready()
    script.approve()
    script.disk.works = False
    script.approve(at_once=True)
    script.disk.works = True
    script.wait(HOUR)
    assert not script.commands
    assert script.hold[1] is Reason.WAITS_FOR_WINDOW
    script.wait(12 * HOUR)
    assert len(script.commands) == 1


def test_a_fetch_that_could_not_be_written_down_is_tried_again() -> None:
    script = Script(NOON).ready()
    script.approve()
    script.wait(12 * HOUR - SECOND)
    script.disk.works = False
    script.wait(2 * SECOND)
    assert script.install.reason is Reason.DISK_FULL
    assert not script.commands
    script.disk.works = True
    script.wait(limits.FETCH_RETRY[0] + MINUTE)
    assert len(script.commands) == 1


def test_a_verdict_that_could_not_be_written_is_written_and_told_when_it_can_be() -> None:
    script = verifying()
    script.wait(SETTLE)
    script.disk.works = False
    script.report("1.2.0")
    assert script.verdict == (S.SUCCEEDED, None)
    assert script.disk.install(script.install.id).state is S.VERIFYING
    script.disk.works = True
    effects = script.wait(MINUTE)
    assert script.disk.install(script.install.id).state is S.SUCCEEDED
    assert StopServing(script.install.id) in effects
    assert [told.kind for told in of_kind(effects, Announce)] == [LifecycleKind.INSTALL_ENDED]
    assert ClearIssue(IssueKind.STORE_FAILED, "") in script.effects


def test_a_stop_that_could_not_be_written_is_told_when_it_can_be() -> None:
    script = installing()
    script.report(device_id=LAMP)
    script.wait(10 * MINUTE)
    script.disk.works = False
    script.wait(limits.PREFLIGHT_TIMEOUT)
    script.disk.works = True
    effects = script.wait(MINUTE)
    assert [issue.kind for issue in of_kind(effects, RaiseIssue)] == [
        IssueKind.DEVICE_DARK,
        IssueKind.MODEL_STOPPED,
    ]


def test_a_verdict_about_a_removed_device_is_written_when_it_can_be() -> None:
    script = installing()
    install_id = script.install.id
    script.disk.works = False
    script.tell(ForgetRequested(PLUG, "anna"))
    script.disk.works = True
    effects = script.wait(MINUTE)
    assert script.disk.install(install_id).state is S.REMOVED
    assert StopServing(install_id) in effects
    assert not of_kind(effects, Announce)


# --- the machine sleeps, the clock is set -----------------------------------------------------------------------------


@pytest.mark.parametrize("state", COMMANDED)
def test_a_machine_that_slept_gives_no_verdict_for_what_it_did_not_hear(state: S) -> None:
    script = STAGES[state]()
    script.sleep(8 * HOUR)
    assert script.state() is state
    assert script.install.deadline is not None
    assert script.install.deadline > script.now


def test_a_machine_that_slept_sends_nothing_outside_the_window() -> None:
    script = downloaded()
    script.sleep(8 * HOUR)
    script.report()
    assert not script.commands


@pytest.mark.parametrize("state", [S.DOWNLOADING, S.DOWNLOADED])
def test_a_machine_that_slept_goes_on_with_what_it_was_fetching(state: S) -> None:
    script = STAGES[state]()
    script.sleep(2 * HOUR)
    assert script.state() is state


@pytest.mark.parametrize("by", [timedelta(hours=-1), timedelta(minutes=30)])
@pytest.mark.parametrize("state", COMMANDED)
def test_a_clock_that_is_set_is_no_time_that_passed(state: S, by: timedelta) -> None:
    script = STAGES[state]()
    before = script.install
    script.sleep(by)
    assert before.deadline is not None
    assert script.install.deadline == before.deadline + by


def test_a_step_within_the_tolerance_moves_nothing() -> None:
    script = installing()
    before = script.install.deadline
    script.sleep(-limits.CLOCK_TOLERANCE)
    script.sleep(limits.MISSED_TIME)
    assert script.install.deadline == before


def test_a_set_clock_does_not_let_a_second_attempt_begin_earlier() -> None:
    script = installing()
    script.wait(10 * MINUTE)
    script.report()
    script.wait(limits.PREFLIGHT_TIMEOUT)
    assert script.hold == (S.DEFERRED, Reason.WAITS_FOR_RETRY)
    script.answers[PLUG] = {"version": "1.0.0"}
    script.sleep(timedelta(hours=1))
    assert script.install.command_deadline is not None
    assert script.install.command_deadline > script.now - 2 * MINUTE


def test_a_set_clock_does_not_let_the_next_install_begin_earlier() -> None:
    script = installing()
    script.stage(Stage.REJECTED)
    script.report()
    assert script.state() is S.REJECTED
    before = script.install.command_deadline
    script.sleep(timedelta(hours=1))
    assert before is not None
    assert script.install.command_deadline == before + timedelta(hours=1)


def test_an_approval_does_not_expire_by_a_clock_that_is_not_believed() -> None:
    script = approved()
    script.sleep(31 * DAY)
    assert script.state() is S.APPROVED
    script.wait(limits.CLOCK_SETTLE + 2 * MINUTE)
    assert script.verdict == (S.CANCELED, Reason.APPROVAL_EXPIRED)


def test_nothing_starts_while_the_clock_is_not_believed() -> None:
    script = approved()
    script.sleep(NIGHT - NOON)
    assert script.hold == (S.DEFERRED, Reason.CLOCK_UNTRUSTED)
    script.wait(limits.CLOCK_SETTLE + MINUTE)
    assert len(script.commands) == 1


# --- the unanswered ones ----------------------------------------------------------------------------------------------


def test_a_lost_commit_and_a_restart_send_it_again_only_after_new_proof() -> None:
    script = Script(dialect="trial").returned(slots=2)
    script.health(self_test="passed")
    script.wait(SETTLE)
    script.report("1.2.0")
    effects = script.restart()
    assert not of_kind(effects, SendCommit)
    assert not of_kind(script.wait(limits.RESTART_GRACE), SendCommit)
    script.report("1.2.0")
    script.health(self_test="passed")
    script.wait(SETTLE)
    assert len(of_kind(script.report("1.2.0"), SendCommit)) == 1


def test_borrowed_settings_are_given_back_after_a_restart() -> None:
    about = {"settings": {"OtaUrl": "http://x/", "Option78": "0"}}
    script = Script(dialect="borrower").commanded(**about)
    script.stage(Stage.REJECTED)
    script.report(settings={"OtaUrl": "http://hub/", "Option78": "1"})
    script.restart()
    assert not of_kind(script.effects[-3:], RestoreSettings)
    script.online()
    assert of_kind(script.effects, RestoreSettings)[-1].settings == about["settings"]


# --- removed, and back again ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_device_that_was_removed_under_its_command_gets_no_second_one(is_restarted: bool) -> None:
    script = Script().commanded()
    script.now += 10 * SECOND
    script.tell(ForgetRequested(PLUG, "anna"))
    if is_restarted:
        script.restart()
    script.report()
    script.answers[PLUG] = {"version": "1.0.0"}
    script.approve()
    assert len(script.commands) == 1
    script.wait(30 * MINUTE)
    assert len(script.commands) == 2


def test_a_device_that_was_removed_is_forgotten_when_its_command_is_over() -> None:
    script = Script().commanded()
    script.tell(ForgetRequested(PLUG, "anna"))
    script.restart(after=2 * HOUR)
    assert PLUG not in script.hub.installer.last
