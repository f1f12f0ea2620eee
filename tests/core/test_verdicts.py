"""What follows from a verdict: notices, repairs, stops, and the settling time of a release's first device."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from custom_components.firmware_hub.core import limits
from custom_components.firmware_hub.core.effects import (
    Announce,
    ClearIssue,
    Effect,
    IssueKind,
    LifecycleKind,
    RaiseIssue,
    Severity,
)
from custom_components.firmware_hub.core.errors import Reason
from custom_components.firmware_hub.core.inputs import (
    ForgetRequested,
    HealthReported,
    InstallReported,
    ModelReleased,
    RetryRequested,
    Stage,
)
from custom_components.firmware_hub.core.model import InstallState as S, Recovery
from custom_components.firmware_hub.core.settings import Settings

from .builders import DAY, FAN, HOUR, LAMP, MINUTE, NOON, PLUG, SECOND, of_kind
from .script import Script
from .statements import release

SETTLE = limits.VERIFY_SETTLE


def of_model(effects: list[Effect]) -> list[RaiseIssue]:
    return [issue for issue in of_kind(effects, RaiseIssue) if issue.kind is IssueKind.MODEL_STOPPED]


def succeed(script: Script, device_id: str = PLUG) -> list[Effect]:
    effects = script.report("1.2.0", device_id)
    effects += script.wait(SETTLE)
    return effects + script.report("1.2.0", device_id)


def settling(**about: Any) -> Script:
    """The first device of the release has come through, the second one waits for its settling time."""
    script = Script().ready(**about)
    script.answers[LAMP] = {"version": "1.0.0"}
    script.report(device_id=LAMP)
    script.approve()
    script.approve(LAMP)
    assert (script.view(LAMP).reason, len(script.commands)) == (Reason.WAITS_FOR_PILOT, 1)
    succeed(script)
    assert script.view(LAMP).reason is Reason.PILOT_SETTLING
    return script


# --- notices and repairs ----------------------------------------------------------------------------------------------


def test_a_failure_says_first_whether_the_device_works() -> None:
    script = Script()
    script.report()
    script.answers[PLUG] = {"version": "1.0.0"}
    script.publish(release(recovery=Recovery("hold the button", "https://acme.example/help")))
    script.approve()
    script.stage(Stage.FAILED, detail="flash full")
    effects = script.report()
    told = of_kind(effects, Announce)[-1]
    assert (told.kind, told.values["device_works"], told.values["reason"]) == (
        LifecycleKind.INSTALL_ENDED,
        True,
        "device_reported_failure",
    )
    issue = of_kind(effects, RaiseIssue)[0]
    assert issue == RaiseIssue(
        IssueKind.INSTALL_FAILED,
        PLUG,
        Severity.ERROR,
        fixable=True,
        reason=Reason.DEVICE_REPORTED_FAILURE,
        values={
            "device": "plug",
            "version": "1.2.0",
            "from_version": "1.0.0",
            "verdict": "failed",
            "detail": "flash full",
            "recovery": "hold the button",
            "recovery_url": "https://acme.example/help",
        },
    )
    assert ClearIssue(IssueKind.DEVICE_DARK, PLUG) in effects


def test_a_device_that_does_not_work_any_more_is_critical() -> None:
    script = Script().commanded()
    effects = script.wait(10 * MINUTE + limits.PREFLIGHT_TIMEOUT)
    issue = of_kind(effects, RaiseIssue)[0]
    assert (issue.kind, issue.severity) == (IssueKind.DEVICE_DARK, Severity.CRITICAL)
    assert ClearIssue(IssueKind.INSTALL_FAILED, PLUG) in effects


def test_the_event_comes_after_the_repairs_that_belong_to_it() -> None:
    script = Script().commanded()
    script.stage(Stage.REJECTED)
    effects = script.report()
    kinds = [type(effect) for effect in effects if isinstance(effect, Announce | RaiseIssue)]
    assert kinds[0] is RaiseIssue
    assert of_kind(effects, Announce)[-1].kind is LifecycleKind.INSTALL_ENDED


def test_a_device_without_a_name_is_called_by_its_identity() -> None:
    script = Script().commanded(name="")
    script.stage(Stage.REJECTED)
    issue = of_kind(script.report(name=""), RaiseIssue)[0]
    assert issue.values["device"] == PLUG


def test_a_success_takes_the_repairs_back() -> None:
    effects = succeed(Script().commanded())
    assert {issue.kind for issue in of_kind(effects, ClearIssue)} >= {
        IssueKind.INSTALL_FAILED,
        IssueKind.DEVICE_DARK,
        IssueKind.WINDOWS_MISSED,
    }


def test_a_verdict_is_in_the_record() -> None:
    script = Script().commanded()
    succeed(script)
    row = next(row for row in script.disk.audit if row.kind == "install_ended")
    assert (row.subject, row.values) == (PLUG, {"install": script.install.id, "verdict": "succeeded"})


# --- the first device of a release ------------------------------------------------------------------------------------


def test_the_others_follow_when_the_first_one_stayed_well() -> None:
    script = settling()
    script.wait(limits.PILOT_SETTLE - SECOND)
    assert len(script.commands) == 1
    script.wait(2 * SECOND)
    assert [sent.device_id for sent in script.commands] == [PLUG, LAMP]
    assert script.install.settle_until is None
    assert "pilot_settled" in [row.kind for row in script.disk.audit]


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        ({"version": "1.0.0"}, Reason.CAME_BACK_OLD),
        ({"version": "3.0.0"}, Reason.CAME_BACK_OTHER),
        ({"version": "1.2.0", "model": "LAMP-1"}, Reason.CAME_BACK_OTHER),
    ],
)
def test_a_first_device_that_runs_something_else_stops_its_release(says: dict[str, str], reason: Reason) -> None:
    script = settling()
    script.report(**says)
    (issue,) = of_model(script.wait(limits.PILOT_SETTLE))
    assert (issue.subject, issue.reason) == ("Acme/PLUG-S1", reason)
    assert script.view(LAMP).reason is Reason.MODEL_STOPPED


def test_a_first_device_that_is_gone_stops_its_release() -> None:
    script = settling()
    script.online(online=False)
    (issue,) = of_model(script.wait(limits.PILOT_SETTLE))
    assert issue.reason is Reason.NO_RETURN


def test_a_first_device_that_sleeps_is_not_gone() -> None:
    script = settling(sleeps=True)
    script.online(online=False)
    script.wait(limits.PILOT_SETTLE)
    assert len(script.commands) == 2


def test_a_first_device_that_is_not_well_stops_its_release() -> None:
    script = settling()
    script.health(self_test="failed")
    (issue,) = of_model(script.wait(limits.PILOT_SETTLE))
    assert issue.reason is Reason.UNHEALTHY
    assert script.install.settle_until is None


def test_the_settling_time_goes_on_after_a_restart() -> None:
    script = settling()
    script.wait(MINUTE)
    script.restart()
    script.report("1.2.0")
    script.report(device_id=LAMP)
    script.answers[LAMP] = {"version": "1.0.0"}
    script.wait(limits.PILOT_SETTLE - 3 * MINUTE)
    assert len(script.commands) == 1
    script.wait(MINUTE)
    assert len(script.commands) == 2


def test_the_settling_time_is_as_long_as_the_owner_says() -> None:
    script = Script(settings=Settings(pilot_settle=2 * HOUR)).commanded()
    succeed(script)
    assert script.install.settle_until == script.now + 2 * HOUR


@pytest.mark.parametrize("by", [timedelta(hours=1), timedelta(minutes=-30)])
def test_a_set_clock_ends_no_settling_time(by: timedelta) -> None:
    script = settling()
    before = script.install.settle_until
    script.sleep(by)
    assert before is not None
    assert script.install.settle_until == before + by
    assert script.disk.install(script.install.id).settle_until == before + by


def test_after_a_set_clock_the_others_follow_when_the_settling_time_is_over() -> None:
    script = settling()
    script.sleep(HOUR)
    script.wait(limits.PILOT_SETTLE - MINUTE)
    assert len(script.commands) == 1
    script.wait(2 * MINUTE)
    assert len(script.commands) == 2


def test_a_set_clock_leaves_what_was_over_before() -> None:
    script = settling()
    script.wait(HOUR)
    before = script.install
    script.sleep(HOUR)
    assert script.install is before


def test_the_release_of_a_removed_first_device_needs_another_first_one() -> None:
    script = settling()
    script.tell(ForgetRequested(PLUG, "anna"))
    assert [sent.device_id for sent in script.commands] == [PLUG, LAMP]
    script.wait(limits.PILOT_SETTLE)
    assert not of_model(script.effects)


def test_a_first_device_that_got_another_release_meanwhile_keeps_its_newer_record() -> None:
    script = Script().commanded()
    succeed(script)
    script.publish(release("1.3.0"), sequence=43, digest="d2")
    script.answers[PLUG] = {"version": "1.2.0"}
    script.wait(10 * MINUTE - SETTLE + SECOND)  # until the first command is certainly over
    script.approve()
    script.stage(Stage.REJECTED)
    script.report("1.2.0")
    ended = script.install
    assert ended.state is S.REJECTED
    script.wait(limits.PILOT_SETTLE)
    assert script.install == ended


# --- stops ------------------------------------------------------------------------------------------------------------


def stopped() -> Script:
    """The first device was lost, so that its whole model is stopped."""
    script = Script().ready()
    script.report(device_id=LAMP)
    script.answers[LAMP] = {"version": "1.0.0"}
    script.approve()
    script.approve(LAMP)
    script.wait(10 * MINUTE + limits.PREFLIGHT_TIMEOUT)
    assert script.verdict == (S.TIMED_OUT, Reason.NO_RETURN)
    return script


def test_a_lost_device_stops_its_model_and_says_so_once() -> None:
    script = stopped()
    (issue,) = of_model(script.effects)
    assert issue.values == {
        "manufacturer": "Acme",
        "model": "PLUG-S1",
        "version": "",
        "device": "plug",
        "verdict": "timed_out",
        "device_id": PLUG,
    }
    assert LifecycleKind.MODEL_STOPPED in [told.kind for told in of_kind(script.effects, Announce)]
    assert script.view(LAMP).reason is Reason.MODEL_STOPPED
    script.wait(DAY)
    assert len(script.commands) == 1


def test_a_stopped_model_goes_on_when_its_device_comes_through() -> None:
    script = stopped()
    effects = succeed(script)
    assert ClearIssue(IssueKind.MODEL_STOPPED, "Acme/PLUG-S1") in effects
    script.wait(limits.PILOT_SETTLE + MINUTE)
    assert [sent.device_id for sent in script.commands] == [PLUG, LAMP]


def test_a_stopped_model_goes_on_by_a_persons_word() -> None:
    script = stopped()
    effects = script.tell(ModelReleased(PLUG, "anna"))
    assert ClearIssue(IssueKind.MODEL_STOPPED, "Acme/PLUG-S1") in effects
    assert [sent.device_id for sent in script.commands] == [PLUG, LAMP]
    row = next(row for row in script.disk.audit if row.kind == "model_released")
    assert (row.subject, row.values) == ("Acme/PLUG-S1", {"by": "anna"})


def alone() -> Script:
    """The only device of its model was lost."""
    script = Script().commanded()
    script.wait(10 * MINUTE + limits.PREFLIGHT_TIMEOUT)
    assert script.verdict == (S.TIMED_OUT, Reason.NO_RETURN)
    return script


def test_a_stop_that_holds_nothing_up_is_no_repair_of_its_own() -> None:
    script = alone()
    assert of_model(script.effects) == []
    assert LifecycleKind.MODEL_STOPPED in [told.kind for told in of_kind(script.effects, Announce)]
    assert of_model(script.report("1.0.1")) == []  # it is still the only one


def test_a_stop_becomes_a_repair_when_another_device_of_the_model_is_known() -> None:
    script = alone()
    script.restart()
    (issue,) = of_model(script.report(device_id=LAMP))
    assert (issue.subject, issue.reason) == ("Acme/PLUG-S1", Reason.NO_RETURN)
    assert (issue.values["device"], issue.values["device_id"]) == ("plug", PLUG)
    assert of_model(script.report(device_id=FAN, model="LAMP-1")) == []


def test_a_stop_whose_device_was_removed_names_it_by_its_identity() -> None:
    script = alone()
    script.tell(ForgetRequested(PLUG, "anna"))
    (issue,) = of_model(script.report(device_id=LAMP))
    assert issue.values["device"] == PLUG


def test_a_stop_becomes_a_repair_when_it_holds_up_the_device_that_caused_it() -> None:
    script = alone()
    script.report()
    (issue,) = of_model(script.approve())
    assert issue.values["device_id"] == PLUG
    assert script.view().reason is Reason.MODEL_STOPPED
    effects = script.tell(ModelReleased(PLUG, "anna"))
    assert ClearIssue(IssueKind.MODEL_STOPPED, "Acme/PLUG-S1") in effects
    assert script.view().state is S.INSTALLING


def test_another_try_of_a_device_is_not_held_up_by_its_own_stop() -> None:
    script = alone()
    script.report()
    assert of_model(script.tell(RetryRequested(PLUG, "anna"))) == []


def test_a_stop_outlives_a_restart() -> None:
    script = stopped()
    script.restart()
    script.report(device_id=LAMP)
    script.wait(HOUR)
    assert len(script.commands) == 1


def test_the_repair_of_a_model_stays_while_another_of_its_releases_is_stopped() -> None:
    script = Script().ready()
    script.approve()
    script.stage(Stage.REJECTED)
    script.report()  # the first device refuses 1.2.0: that release is stopped
    script.report("1.1.0", FAN)
    script.publish(release("1.3.0"), release(), sequence=43, digest="d2")
    script.answers[FAN] = {"version": "1.1.0"}
    script.approve(FAN)
    script.tell(InstallReported(FAN, Stage.REJECTED))
    script.report("1.1.0", FAN)
    assert len(of_model(script.effects)) == 2
    script.answers[PLUG] = {"version": "1.0.0"}
    script.tell(RetryRequested(PLUG, "anna"))
    script.wait(11 * MINUTE)
    effects = succeed(script)
    assert "model_released" in [row.kind for row in script.disk.audit]
    assert ClearIssue(IssueKind.MODEL_STOPPED, "Acme/PLUG-S1") not in effects


# --- several at once --------------------------------------------------------------------------------------------------


def test_of_those_who_may_start_now_the_first_of_a_release_goes_alone() -> None:
    script = Script(NOON).ready()
    script.report(device_id=LAMP)
    script.approve(at_once=True)
    script.approve(LAMP, at_once=True)
    assert [sent.device_id for sent in script.commands] == [PLUG]
    assert script.view(LAMP).reason is Reason.WAITS_FOR_PILOT


@pytest.mark.parametrize(("dialect", "at_once"), [("mesh", 1), ("open", 2)])
def test_a_family_may_allow_fewer_at_a_time_than_the_owner(dialect: str, at_once: int) -> None:
    script = Script(dialect=dialect).commanded()
    succeed(script)
    for device_id in (LAMP, FAN):
        script.report(device_id=device_id)
        script.answers[device_id] = {"version": "1.0.0"}
        script.approve(device_id)
    script.wait(limits.PILOT_SETTLE + SECOND)
    assert len(script.commands) == 1 + at_once


def test_a_place_is_taken_over_a_restart_and_free_when_its_install_ended() -> None:
    script = Script(dialect="mesh").commanded()
    succeed(script)
    for device_id in (LAMP, FAN):
        script.report(device_id=device_id)
        script.answers[device_id] = {"version": "1.0.0"}
        script.approve(device_id)
    script.wait(limits.PILOT_SETTLE + SECOND)
    (busy,) = (sent.device_id for sent in script.commands[1:])
    waits = FAN if busy == LAMP else LAMP
    script.restart(SECOND)
    script.report(device_id=waits)
    script.wait(MINUTE)
    assert len(script.commands) == 2
    succeed(script, busy)
    script.wait(SECOND)
    assert [sent.device_id for sent in script.commands] == [PLUG, busy, waits]


@pytest.mark.parametrize("worse", ["battery", "unknown"])
def test_the_first_device_of_a_release_is_one_on_the_mains_that_is_on_line(worse: str) -> None:
    script = Script(NOON)
    script.report(device_id=LAMP, battery_powered=worse == "battery")
    if worse == "unknown":
        script.restart(SECOND)
    else:
        script.tell(HealthReported(LAMP, battery_percent=90))
    script.ready()
    script.answers[LAMP] = {"version": "1.0.0"}
    script.approve(LAMP)
    script.approve()
    script.wait(12 * HOUR + SECOND)
    assert [sent.device_id for sent in script.commands] == [PLUG]
