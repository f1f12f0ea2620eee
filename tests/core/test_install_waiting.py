"""From somebody's yes to the command: when an install starts, what it is held for, how its files are fetched."""

from __future__ import annotations

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
    SendInstall,
    StopServing,
)
from custom_components.firmware_hub.core.errors import Reason
from custom_components.firmware_hub.core.inputs import (
    ArtifactsFailed,
    ArtifactsReady,
    CommandSent,
    InstallReported,
    SettingsChanged,
    Stage,
    UnapproveRequested,
)
from custom_components.firmware_hub.core.model import ArtifactRole, InstallState as S
from custom_components.firmware_hub.core.settings import Settings

from .builders import DAY, HOUR, MINUTE, NIGHT, NOON, PLUG, SECOND, of_kind, report
from .script import Script
from .statements import artifact, release

BIG = release(install_minutes=301)
"""It never ends inside a window of five hours."""


# --- the way to the command -------------------------------------------------------------------------------------------


def test_an_approved_install_fetches_asks_and_commands_in_this_order() -> None:
    script = Script().ready()
    script.answers.clear()
    script.files = None
    assert of_kind(script.approve(), FetchArtifacts) == [FetchArtifacts(script.install.id, "acme", release().artifacts)]
    assert script.state() is S.DOWNLOADING
    script.wait(2 * MINUTE)  # its report is not fresh any more
    assert QueryDevice(PLUG) in script.tell(ArtifactsReady(script.install.id))
    assert script.state() is S.DOWNLOADED
    sent = of_kind(script.report(), SendInstall)
    assert [(effect.install_id, effect.attempt_id) for effect in sent] == [
        (script.install.id, script.install.attempt_id)
    ]
    assert script.state() is S.INSTALLING


def test_a_device_that_has_just_spoken_is_commanded_without_another_question() -> None:
    script = Script().ready()
    effects = script.approve()
    assert of_kind(effects, SendInstall)
    assert not of_kind(effects, QueryDevice)


def test_an_order_is_told_to_automations_and_written_into_the_record() -> None:
    script = Script().commanded()
    (told,) = [told for told in of_kind(script.effects, Announce) if told.kind is LifecycleKind.INSTALL_STARTED]
    assert told.values == {
        "install_id": script.install.id,
        "name": "plug",
        "manufacturer": "Acme",
        "model": "PLUG-S1",
        "from_version": "1.0.0",
        "version": "1.2.0",
        "state": "installing",
        "reason": None,
        "device_works": None,
        "attempt": 1,
    }
    kinds = [row.kind for row in script.disk.audit]
    assert kinds[-2:] == ["command_ordered", "command_sent"]


def test_a_sent_command_of_an_install_that_is_over_is_no_news() -> None:
    script = Script().ready()
    assert script.tell(CommandSent("gone", "a-1")) == []


def test_outside_the_window_an_approval_waits_for_it() -> None:
    script = Script(NOON).ready()
    script.approve()
    assert script.hold == (S.APPROVED, Reason.WAITS_FOR_WINDOW)
    assert script.view().starts_at == NIGHT - 30 * MINUTE
    script.wait(11 * HOUR + 59 * MINUTE)
    assert not script.commands
    script.wait(2 * MINUTE)
    assert len(script.commands) == 1


def test_now_means_now() -> None:
    script = Script(NOON).ready()
    script.approve(at_once=True)
    assert script.state() is S.INSTALLING
    assert script.commands[0].not_after is None


def test_any_time_means_any_time_for_this_device() -> None:
    script = Script(NOON, settings=Settings(any_time=frozenset({PLUG}))).ready()
    script.approve()
    assert script.state() is S.INSTALLING


def test_a_yes_that_waits_becomes_a_now() -> None:
    script = Script(NOON).ready()
    script.approve()
    assert not script.commands
    script.approve(at_once=True)
    assert len(script.commands) == 1


def test_a_second_yes_to_the_same_changes_nothing() -> None:
    script = Script(NOON).ready()
    script.approve()
    assert script.approve() == []


def test_a_command_may_be_late_by_no_more_than_lets_it_end_inside_the_window() -> None:
    script = Script().commanded()
    assert script.commands[0].not_after == NIGHT + 4 * HOUR + 30 * MINUTE - 5 * MINUTE


def test_what_does_not_fit_into_the_rest_of_the_night_waits_for_the_next() -> None:
    script = Script(NIGHT + 4 * HOUR + 26 * MINUTE).ready()
    script.approve()
    assert script.hold == (S.DEFERRED, Reason.DOES_NOT_FIT_WINDOW)
    assert script.install.not_before == NIGHT - 30 * MINUTE + DAY
    assert script.view().reason_values == {"minutes": "5"}


def test_what_can_never_fit_is_told_and_is_taken_back_with_a_longer_window() -> None:
    script = Script()
    script.report()
    script.publish(BIG)
    (issue,) = of_kind(script.approve(), RaiseIssue)
    assert (issue.kind, issue.subject, issue.reason) == (
        IssueKind.WINDOW_TOO_SHORT,
        "Acme/PLUG-S1",
        Reason.DOES_NOT_FIT_WINDOW,
    )
    assert issue.values == {"model": "Acme PLUG-S1", "device": "plug", "device_id": PLUG, "minutes": "301"}
    longer = Settings(window_end=(NOON - 3 * HOUR).time())
    script.settings = longer
    script.answers[PLUG] = {"version": "1.0.0"}
    effects = script.tell(SettingsChanged(longer))
    assert ClearIssue(IssueKind.WINDOW_TOO_SHORT, "Acme/PLUG-S1") in effects
    assert script.state() is S.INSTALLING


def test_what_fits_only_another_night_is_not_told() -> None:
    script = Script(NIGHT + 4 * HOUR).ready()
    script.publish(release(install_minutes=60), sequence=43)
    assert not of_kind(script.approve(), RaiseIssue)


def test_a_changed_setting_leaves_what_waits_for_something_else() -> None:
    script = Script().ready()
    script.online(online=False)
    script.approve()
    assert script.hold == (S.DEFERRED, Reason.DEVICE_OFFLINE)
    script.tell(SettingsChanged(Settings()))
    assert script.hold == (S.DEFERRED, Reason.DEVICE_OFFLINE)


def test_a_device_whose_owner_says_any_time_starts_at_once() -> None:
    script = Script(NOON).ready()
    script.approve()
    script.settings = Settings(any_time=frozenset({PLUG}))
    script.tell(SettingsChanged(script.settings))
    assert script.state() is S.INSTALLING


# --- an install that is not wanted any more ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("skip", "verdict"),
    [(False, (S.CANCELED, Reason.CANCELED_BY_OWNER)), (True, (S.SKIPPED, Reason.SKIPPED_BY_OWNER))],
)
@pytest.mark.parametrize("files", ["ready", None])
def test_what_was_not_commanded_can_be_taken_back(skip: bool, verdict: tuple[S, Reason], files: str | None) -> None:
    script = Script().ready()
    script.files = files
    script.answers.clear()
    script.now += 2 * MINUTE
    script.approve()
    install = script.install
    assert StopServing(install.id) in script.tell(UnapproveRequested(PLUG, "anna", skip))
    assert script.verdict == verdict
    assert script.tell(ArtifactsReady(install.id), ArtifactsFailed(install.id, Reason.UNREACHABLE)) == []
    assert script.hub.next_wakeup() is None or script.wait(DAY) is not None
    assert not script.commands


@pytest.mark.parametrize(
    ("says", "verdict"),
    [
        ({"version": "1.2.0"}, (S.ALREADY_INSTALLED, Reason.CHANGED_BY_OTHERS)),
        ({"version": "1.1.0"}, (S.CANCELED, Reason.CHANGED_BY_OTHERS)),
        ({"version": "1.0.0", "model": "PLUG-S2"}, (S.CANCELED, Reason.IDENTITY_CHANGED)),
        ({"version": "1.0.0", "variant": "us"}, (S.CANCELED, Reason.IDENTITY_CHANGED)),
    ],
)
@pytest.mark.parametrize("state", [S.APPROVED, S.DEFERRED, S.DOWNLOADING, S.DOWNLOADED])
def test_a_device_that_somebody_else_changed_needs_no_install(
    says: dict[str, str], verdict: tuple[S, Reason], state: S
) -> None:
    script = waiting_in(state)
    script.report(**says)
    assert script.verdict == verdict
    assert not script.commands


def waiting_in(state: S) -> Script:
    script = Script(NOON if state is S.APPROVED else NIGHT).ready()
    script.answers.clear()
    script.now += 2 * MINUTE
    if state is S.DEFERRED:
        script.online(online=False)
    if state is S.DOWNLOADING:
        script.files = None
    script.approve()
    assert script.state() is state
    return script


@pytest.mark.parametrize("state", [S.APPROVED, S.DEFERRED, S.DOWNLOADING])
def test_the_old_version_or_a_helper_image_changes_nothing_about_waiting(state: S) -> None:
    script = waiting_in(state)
    script.report(retained=True, version="1.2.0")
    script.report(helper=True)
    script.report(helper=False)
    assert script.state() in {state, S.DOWNLOADED, S.INSTALLING}
    assert script.install.reason in {None, Reason.DEVICE_OFFLINE}


def test_what_the_broker_kept_of_an_install_is_not_believed() -> None:
    script = waiting_in(S.DOWNLOADED)
    script.report("1.2.0", retained=True)
    assert script.state() is S.DOWNLOADED


def test_an_approval_that_is_too_old_ends() -> None:
    script = Script(NOON, settings=Settings(weekdays=frozenset())).ready()
    script.approve()
    script.wait(30 * DAY - MINUTE, tick=HOUR)
    assert script.state() is S.APPROVED
    script.wait(2 * MINUTE)
    assert script.verdict == (S.CANCELED, Reason.APPROVAL_EXPIRED)


def test_an_install_that_runs_already_outlives_its_approval() -> None:
    script = Script(NOON, settings=Settings(weekdays=frozenset())).ready()
    script.approve()
    script.wait(30 * DAY - 5 * MINUTE, tick=HOUR)
    script.answers[PLUG] = {"version": "1.0.0"}
    script.approve(at_once=True)
    assert script.state() is S.INSTALLING
    script.wait(10 * MINUTE)
    script.report()
    assert script.state() is S.INSTALLING
    script.wait(MINUTE)
    assert script.verdict == (S.CANCELED, Reason.APPROVAL_EXPIRED)


# --- fetching ---------------------------------------------------------------------------------------------------------


def test_a_fetch_is_tried_again_twice_and_then_fails() -> None:
    script = Script().ready()
    script.files = Reason.UNREACHABLE
    script.approve()
    for pause in limits.FETCH_RETRY:
        assert script.hold == (S.DEFERRED, Reason.UNREACHABLE)
        assert script.view().reason_values == {"detail": "no luck"}
        assert script.install.not_before == script.now + pause
        script.wait(pause)
    assert script.verdict == (S.FAILED, Reason.UNREACHABLE)
    assert len(of_kind(script.effects, FetchArtifacts)) == 3
    assert not script.commands


@pytest.mark.parametrize(
    "reason", [Reason.DIGEST_MISMATCH, Reason.SIZE_MISMATCH, Reason.NOT_FIRMWARE, Reason.NO_DIGEST, Reason.TOO_LARGE]
)
def test_what_is_certainly_wrong_is_not_fetched_again(reason: Reason) -> None:
    script = Script().ready()
    script.files = reason
    script.approve()
    assert script.verdict == (S.FAILED, reason)
    assert len(of_kind(script.effects, FetchArtifacts)) == 1


def test_a_fetch_of_which_nothing_is_heard_is_given_up() -> None:
    script = Script().ready()
    script.files = None
    script.approve()
    script.wait(limits.FETCH_DEADLINE - SECOND)
    assert script.state() is S.DOWNLOADING
    script.wait(2 * SECOND)
    assert script.hold == (S.DEFERRED, Reason.FETCH_TIMEOUT)


def test_a_fetch_that_works_at_last_forgets_its_failures() -> None:
    script = Script().ready()
    script.files = Reason.RATE_LIMITED
    script.approve()
    script.files = "ready"
    script.wait(limits.FETCH_RETRY[0] + SECOND)
    assert script.state() is S.INSTALLING
    assert script.install.fetch_failures == 0


def test_all_artifacts_of_a_release_are_fetched() -> None:
    script = Script()
    script.report()
    files = (artifact("main"), artifact("helper", role=ArtifactRole.HELPER))
    script.publish(release(artifacts=files))
    (fetch,) = of_kind(script.approve(), FetchArtifacts)
    assert fetch.artifacts == files


# --- a device that does not answer ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sleeps", "reason"), [(False, Reason.DEVICE_SILENT), (True, Reason.DEVICE_ASLEEP)])
def test_a_device_that_does_not_answer_is_let_be_and_asked_again_later(sleeps: bool, reason: Reason) -> None:
    script = Script().ready(sleeps=sleeps)
    script.answers.clear()
    script.now += 2 * MINUTE
    script.approve()
    assert script.state() is S.DOWNLOADED
    script.wait(limits.PREFLIGHT_TIMEOUT)
    assert script.hold == (S.DEFERRED, reason)
    assert script.install.not_before == script.now + limits.SILENT_RETRY
    script.answers[PLUG] = {"version": "1.0.0", "sleeps": sleeps}
    script.wait(limits.SILENT_RETRY - SECOND)
    assert not script.commands
    script.wait(2 * SECOND)
    assert len(script.commands) == 1


def test_a_silent_device_that_speaks_by_itself_goes_on_at_once() -> None:
    script = Script().ready()
    script.answers.clear()
    script.now += 2 * MINUTE
    script.approve()
    script.wait(MINUTE)
    assert script.hold == (S.DEFERRED, Reason.DEVICE_SILENT)
    script.report()
    assert len(script.commands) == 1


def test_a_device_that_comes_on_line_is_looked_at_again() -> None:
    script = Script().ready()
    script.online(online=False)
    script.approve()
    assert script.hold == (S.DEFERRED, Reason.DEVICE_OFFLINE)
    script.online()
    assert len(script.commands) == 1


def test_a_word_that_is_older_than_a_minute_is_not_fresh_enough_for_a_command() -> None:
    script = Script().ready()
    script.answers.clear()
    script.now += limits.FRESH_REPORT + SECOND
    script.approve()
    assert script.state() is S.DOWNLOADED
    assert QueryDevice(PLUG) in script.effects


def test_a_word_from_the_future_is_no_fresh_word() -> None:
    script = Script().ready()
    script.answers.clear()
    script.now -= SECOND
    script.approve()
    assert script.state() is S.DOWNLOADED


def test_a_device_in_a_helper_image_is_not_commanded_by_itself() -> None:
    script = Script().ready()
    script.answers.clear()
    script.now += 2 * MINUTE
    script.approve()
    script.report(helper=True)
    assert not script.commands


def test_what_holds_a_device_up_right_before_the_command_defers_it() -> None:
    script = Script().ready()
    script.answers.clear()
    script.files = None
    script.approve()
    script.tell(SettingsChanged(Settings(paused=True)))
    script.tell(ArtifactsReady(script.install.id))
    assert script.hold == (S.DEFERRED, Reason.PAUSED)
    script.files = "ready"
    script.tell(SettingsChanged(Settings()))
    assert len(script.commands) == 1


def test_a_window_that_closes_while_an_install_is_fetched_stops_its_command() -> None:
    script = Script(NIGHT + 4 * HOUR + 20 * MINUTE).ready()
    script.files = None
    script.approve()
    script.wait(12 * MINUTE)
    script.tell(ArtifactsReady(script.install.id))
    assert script.state() is S.DEFERRED
    assert script.install.reason is Reason.WAITS_FOR_WINDOW
    script.files = "ready"
    script.wait(DAY - HOUR)
    assert len(script.commands) == 1


def test_a_device_whose_settings_are_not_known_is_asked_for_them_first() -> None:
    script = Script(dialect="borrower").ready()
    script.answers.clear()
    script.now += MINUTE
    assert QueryDevice(PLUG) in script.approve()
    assert script.hold == (S.DEFERRED, Reason.NO_SETTINGS_KNOWN)
    script.report(settings={"OtaUrl": "http://x/", "Option78": "0"})
    assert script.state() is S.INSTALLING


# --- windows that a device missed by itself ---------------------------------------------------------------------------


def test_a_device_that_kept_its_install_from_starting_for_three_windows_is_told() -> None:
    script = Script(NOON).ready()
    script.approve()
    script.online(online=False)
    script.wait(2 * DAY)
    assert not of_kind(script.effects, RaiseIssue)
    script.wait(DAY)
    (issue,) = of_kind(script.effects, RaiseIssue)
    assert (issue.kind, issue.subject, issue.reason) == (IssueKind.WINDOWS_MISSED, PLUG, Reason.DEVICE_OFFLINE)
    assert issue.values == {"device": "plug", "version": "1.2.0", "windows": "3"}


def test_who_only_waits_for_others_has_missed_nothing() -> None:
    script = Script(NOON, settings=Settings(paused=True)).ready()
    script.approve()
    script.wait(5 * DAY)
    assert not of_kind(script.effects, RaiseIssue)


# --- a device that stirs late -----------------------------------------------------------------------------------------


def waits_for_its_second_attempt() -> Script:
    script = Script().commanded()
    script.wait(10 * MINUTE)
    script.report()
    script.wait(limits.PREFLIGHT_TIMEOUT)
    assert script.hold == (S.DEFERRED, Reason.WAITS_FOR_RETRY)
    return script


def test_a_late_sign_of_the_first_attempt_goes_on_with_it() -> None:
    script = waits_for_its_second_attempt()
    script.stage(Stage.DOWNLOADING, 10)
    assert (script.state(), script.install.attempt, script.install.percent) == (S.INSTALLING, 1, 10)
    assert script.install.deadline == script.now + 10 * MINUTE
    script.wait(HOUR)
    assert len(script.commands) == 1


def test_a_device_that_is_on_the_new_version_after_all_proves_itself() -> None:
    script = waits_for_its_second_attempt()
    script.report("1.2.0")
    assert script.state() is S.VERIFYING
    script.wait(11 * SECOND)
    script.report("1.2.0")
    assert script.verdict == (S.SUCCEEDED, None)


def test_a_stage_before_any_command_is_not_ours() -> None:
    script = waiting_in(S.DOWNLOADING)
    script.tell(InstallReported(PLUG, Stage.DOWNLOADING, 10))
    assert script.state() is S.DOWNLOADING
    assert script.install.percent is None


def test_a_report_of_a_device_of_another_family_changes_no_install() -> None:
    script = waiting_in(S.DOWNLOADED)
    script.tell(report(PLUG, "1.2.0", dialect="boots"))
    assert script.state() is S.DOWNLOADED
