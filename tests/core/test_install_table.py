"""The state table as a whole: every state meets everything that can happen, with nothing else special about it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, get_args

import pytest

from custom_components.firmware_hub.core import limits
from custom_components.firmware_hub.core.effects import SendInstall
from custom_components.firmware_hub.core.errors import Reason
from custom_components.firmware_hub.core.inputs import Stage
from custom_components.firmware_hub.core.install import (
    TABLE,
    Approve,
    Booted,
    Cancel,
    Command,
    Context,
    DeadlinePassed,
    Fetched,
    FetchFailed,
    Freed,
    Happening,
    Health,
    Hold,
    Linked,
    NotSent,
    Resumed,
    Sighted,
    Sighting,
    Staged,
    Start,
    Step,
    TimeJumped,
    listens,
    step,
)
from custom_components.firmware_hub.core.model import VERDICTS, Install, InstallState as S

from .builders import MINUTE, NIGHT, PLUG, capabilities, commanded, install

NOW = NIGHT + 2 * MINUTE
PLAIN = Context(capabilities())
TRIAL = Context(capabilities(commits=True, rolls_back=True), slots=2)

HAPPENINGS: dict[str, Happening] = {
    "approve": Approve(),
    "start": Start(),
    "hold": Hold(Reason.LOW_BATTERY),
    "freed": Freed(),
    "fetched": Fetched(),
    "not fetched": FetchFailed(Reason.UNREACHABLE),
    "wrong bytes": FetchFailed(Reason.DIGEST_MISMATCH, final=True),
    "command": Command("a-2", NOW + MINUTE),
    "command when awake": Command("a-2", NOW + MINUTE, when_awake=True),
    "not sent": NotSent(Reason.BROKER_DISCONNECTED),
    "not written": NotSent(Reason.DISK_FULL, written=False),
    "old": Sighted(Sighting.OLD),
    "old, booted": Sighted(Sighting.OLD, rebooted=True),
    "new": Sighted(Sighting.NEW),
    "helper": Sighted(Sighting.HELPER),
    "other": Sighted(Sighting.OTHER, version="9"),
    "wrong identity": Sighted(Sighting.WRONG_IDENTITY),
    "moved": Sighted(Sighting.MOVED),
    "on line": Linked(online=True),
    "off line": Linked(online=False),
    "booted": Booted(),
    "well": Health(passed=True),
    "unwell": Health(passed=False),
    "connected": Resumed(),
    "restarted": Resumed(restarted=True),
    "clock set": TimeJumped(timedelta(hours=1)),
    "deadline": DeadlinePassed(),
    "cancel": Cancel(S.CANCELED, Reason.CANCELED_BY_OWNER),
    "remove": Cancel(S.REMOVED, Reason.DEVICE_REMOVED),
    **{f"says {stage.value}": Staged(stage) for stage in Stage},
}


def an_install(state: S) -> Install:
    """An install in this state as it is when everything went well so far."""
    if state in {S.AWAITING_APPROVAL, S.APPROVED, S.DEFERRED}:
        return install(state=state)
    if state in {S.DOWNLOADING, S.DOWNLOADED}:
        return install(state=state, started_at=NIGHT, deadline=NOW, fetched=state is S.DOWNLOADED)
    changes: dict[str, Any] = {}
    if state.is_handed_over:
        changes = {"handed_over": True, "hand_back_at": NOW + MINUTE, "command_at": None, "reacted": True}
    if state is S.VERIFYING:
        changes = {"returned_at": NOW - MINUTE, "verify_until": NOW + MINUTE, "reacted": True}
    if state in VERDICTS:
        changes = {"deadline": None, "ended_at": NOW}
    return commanded(state=state, **changes)


ASK = "QueryDevice"
STOP = "StopServing"
FETCH = "FetchArtifacts"
BACK = "StopServing TakeBack"

# What a waiting install does is the same for its two ways of waiting.
WAITING = {
    "start": f"downloading {FETCH}",
    "hold": "deferred",
    "freed": ".",
    "clock set": ".",
    "new": f"already_installed {STOP}",
    "other": f"canceled {STOP}",
    "wrong identity": f"canceled {STOP}",
    "cancel": f"canceled {STOP}",
    "remove": f"removed {STOP}",
}
FETCHING = {
    "clock set": ".",
    "new": f"already_installed {STOP}",
    "other": f"canceled {STOP}",
    "wrong identity": f"canceled {STOP}",
    "cancel": f"canceled {STOP}",
    "remove": f"removed {STOP}",
    "restarted": f"downloading {FETCH}",
}
COMMANDED = {
    "not sent": ".",
    "not written": "deferred",
    "old": ".",
    "old, booted": ".",
    "new": "verifying",
    "helper": "installing",
    "other": f"failed {STOP}",
    "wrong identity": f"failed {STOP}",
    "moved": f"failed {STOP}",
    "on line": f". {ASK}",
    "off line": "rebooting",
    "booted": f". {ASK}",
    "connected": f". {ASK}",
    "restarted": ". ServeAgain",
    "clock set": ".",
    "deadline": f". {ASK}",
    "remove": f"removed {STOP}",
    "says accepted": ".",
    "says downloading": ".",
    "says installing": ".",
    "says rebooting": "rebooting",
    "says claims_done": "rebooting",
    "says restarted": f"rebooting {ASK}",
    "says trial": f"rebooting {ASK}",
    "says committed": f"rebooting {ASK}",
    "says rolled_back": f"rolling_back {ASK}",
    "says failed": f". {ASK}",
    "says rejected": f". {ASK}",
    "says not_begun": f". {ASK}",
}
SCHEDULED = {
    "not sent": f"unscheduling {BACK}",
    "not written": "deferred",
    "new": "verifying",
    "other": f"unscheduling {BACK}",
    "wrong identity": f"unscheduling {BACK}",
    "hold": f"unscheduling {BACK}",
    "connected": f"unscheduling {BACK}",
    "restarted": f"unscheduling {BACK}",
    "clock set": f"unscheduling {BACK}",
    "deadline": f"unscheduling {BACK}",
    "cancel": f"unscheduling {BACK}",
    "remove": f"removed {BACK}",
    "says downloading": "installing StopServing",
    "says installing": "installing StopServing",
    "says failed": f"unscheduling {BACK}",
    "says rejected": f"unscheduling {BACK}",
    "says not_begun": f"unscheduling {BACK}",
}
UNSCHEDULING = {
    "new": "verifying",
    "other": f". {BACK}",
    "wrong identity": f". {BACK}",
    "on line": ". TakeBack",
    "connected": ". TakeBack",
    "clock set": ".",
    "deadline": ". TakeBack",
    "cancel": ".",
    "remove": f"removed {BACK}",
    "says downloading": "installing StopServing",
    "says installing": "installing StopServing",
    "says taken_back": "deferred",
}
FAILED = {"new": "verifying"}

GOES: dict[S, dict[str, str]] = {
    S.AWAITING_APPROVAL: {"approve": "approved", "cancel": f"canceled {STOP}", "remove": f"removed {STOP}"},
    S.APPROVED: WAITING,
    S.DEFERRED: WAITING,
    S.DOWNLOADING: FETCHING
    | {
        "fetched": f"downloaded {ASK}",
        "not fetched": "deferred",
        "wrong bytes": f"failed {STOP}",
        "deadline": "deferred",
    },
    S.DOWNLOADED: FETCHING
    | {
        "command": "installing SendInstall",
        "command when awake": "scheduled SendInstall",
        "hold": "deferred",
        "deadline": "deferred",
        "connected": f". {ASK}",
    },
    S.SCHEDULED: SCHEDULED,
    S.UNSCHEDULING: UNSCHEDULING,
    S.INSTALLING: COMMANDED,
    S.REBOOTING: COMMANDED,
    S.VERIFYING: {
        "new": f"succeeded {STOP}",
        "old": f"failed {STOP}",
        "old, booted": f"failed {STOP}",
        "helper": "installing",
        "other": f"failed {STOP}",
        "wrong identity": f"failed {STOP}",
        "moved": f"failed {STOP}",
        "on line": f". {ASK}",
        "off line": ".",
        "well": ".",
        "unwell": f"failed {STOP}",
        "connected": f". {ASK}",
        "restarted": ".",
        "clock set": ".",
        "deadline": f". {ASK}",
        "remove": f"removed {STOP}",
        "says rolled_back": f"rolling_back {ASK}",
        "says failed": f"failed {STOP}",
        "says rejected": f"failed {STOP}",
    },
    S.ROLLING_BACK: {
        "old": f"rolled_back {STOP}",
        "old, booted": f"rolled_back {STOP}",
        "other": f"rollback_failed {STOP}",
        "wrong identity": f"rollback_failed {STOP}",
        "moved": f"rollback_failed {STOP}",
        "on line": f". {ASK}",
        "connected": f". {ASK}",
        "restarted": ".",
        "clock set": ".",
        "deadline": f". {ASK}",
        "remove": f"removed {STOP}",
    }
    | {f"says {stage.value}": f". {ASK}" for stage in Stage},
    S.SUCCEEDED: {},
    S.FAILED: FAILED,
    S.TIMED_OUT: {
        "new": "verifying",
        "old": f"failed {STOP}",
        "old, booted": f"failed {STOP}",
        "helper": "installing",
        "other": f"failed {STOP}",
        "wrong identity": f"failed {STOP}",
        "moved": f"failed {STOP}",
    },
    S.REJECTED: FAILED,
    S.ROLLED_BACK: {},
    S.ROLLBACK_FAILED: {"old": f"rolled_back {STOP}", "old, booted": f"rolled_back {STOP}"},
    S.SKIPPED: {},
    S.CANCELED: {},
    S.ALREADY_INSTALLED: {},
    S.REMOVED: {},
}
"""The state that follows (``.``: the same), and the orders. What is not named changes nothing and orders nothing."""


def test_the_examples_name_everything_that_can_happen() -> None:
    assert {type(item) for item in HAPPENINGS.values()} == set(get_args(Happening))
    assert list(GOES) == list(S)


@pytest.mark.parametrize("name", HAPPENINGS)
@pytest.mark.parametrize("state", S)
def test_each_state_meets_each_happening(state: S, name: str) -> None:
    before = an_install(state)
    after, effects = step(before, HAPPENINGS[name], PLAIN, NOW)
    expected = GOES[state].get(name)
    if expected is None:
        assert (after, effects) == Step(before)
    else:
        goes = " ".join([after.state.value, *(type(effect).__name__ for effect in effects)])
        assert goes == expected.replace(".", state.value, 1)


@pytest.mark.parametrize("context", [PLAIN, TRIAL], ids=["plain", "trial"])
@pytest.mark.parametrize("state", S)
def test_a_command_is_ordered_only_by_command_and_only_once_everything_is_fetched(state: S, context: Context) -> None:
    for name, item in HAPPENINGS.items():
        effects = step(an_install(state), item, context, NOW).effects
        ordered = [effect for effect in effects if isinstance(effect, SendInstall)]
        assert bool(ordered) == (state is S.DOWNLOADED and name.startswith("command")), name


@pytest.mark.parametrize("context", [PLAIN, TRIAL], ids=["plain", "trial"])
@pytest.mark.parametrize("state", S)
def test_what_runs_has_a_deadline_and_what_waits_or_ended_has_none(state: S, context: Context) -> None:
    for name, item in HAPPENINGS.items():
        after = step(an_install(state), item, context, NOW).install
        assert (after.deadline is None) == (after.state.is_waiting or after.state.is_end), name


@pytest.mark.parametrize("state", S)
def test_a_verdict_has_a_time_and_what_goes_on_has_none(state: S) -> None:
    for name, item in HAPPENINGS.items():
        after = step(an_install(state), item, PLAIN, NOW).install
        assert (after.ended_at is not None) == after.state.is_end, name


@pytest.mark.parametrize("state", S)
def test_success_needs_the_devices_own_word(state: S) -> None:
    ends_well = {
        name
        for context in (PLAIN, TRIAL)
        for name, item in HAPPENINGS.items()
        if state is not S.SUCCEEDED and step(an_install(state), item, context, NOW).install.state is S.SUCCEEDED
    }
    assert ends_well == ({"new"} if state is S.VERIFYING else set())


def test_nothing_but_a_removal_stops_what_a_device_is_doing() -> None:
    for state in (S.INSTALLING, S.REBOOTING, S.VERIFYING, S.ROLLING_BACK):
        for verdict in (S.CANCELED, S.SKIPPED, S.ALREADY_INSTALLED):
            before = an_install(state)
            assert step(before, Cancel(verdict), PLAIN, NOW) == Step(before)


def test_an_install_listens_to_what_its_state_names() -> None:
    for state in S:
        for item in get_args(Happening):
            assert listens(an_install(state), item) == ((state, item) in TABLE)


@pytest.mark.parametrize("state", [state for state in S if state is not S.SCHEDULED])  # that is taken back instead
def test_a_set_clock_moves_all_times_by_which_an_install_is_judged(state: S) -> None:
    before = an_install(state)
    after = step(before, HAPPENINGS["clock set"], PLAIN, NOW).install
    for name in ("deadline", "command_at", "command_deadline", "returned_at", "verify_until"):
        at = getattr(before, name)
        moved = at is not None and not state.is_end
        assert getattr(after, name) == (at + timedelta(hours=1) if moved else at)


# --- how long a device may take ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expected", "allowed"),
    [(timedelta(seconds=1), 1), (timedelta(seconds=30), 1), (timedelta(minutes=5), 10), (timedelta(hours=2), 60)],
)
def test_a_command_has_twice_its_expected_time_within_bounds(expected: timedelta, allowed: int) -> None:
    assert Context(capabilities(), expected=expected).command_time == timedelta(minutes=allowed)
    assert timedelta(minutes=1) == limits.DEADLINE_MIN


@pytest.mark.parametrize(("commits", "slots", "trial"), [(True, 2, True), (True, 1, False), (False, 2, False)])
def test_a_trial_needs_a_second_slot_and_a_family_that_waits_for_the_commit(
    commits: bool, slots: int, trial: bool
) -> None:
    assert Context(capabilities(commits=commits), slots).has_trial is trial


def test_the_command_step_forgets_what_the_last_attempt_saw() -> None:
    dirty = install(
        state=S.DOWNLOADED,
        attempt=1,
        attempt_id="a-1",
        deadline=NOW,
        reason=Reason.WAITS_FOR_RETRY,
        reason_values={"attempt": "2"},
        reacted=True,
        failure=Reason.NOT_SENT,
        failure_detail="x",
        asked_last=True,
        helper_seen=True,
        old_seen=True,
        went_away=True,
        says_restart=True,
        restarted=True,
        healthy=False,
        returned_at=NOW,
        commits_sent=2,
        percent=50,
        handed_over=True,
        hand_back_at=NOW,
        ends_as=S.CANCELED,
    )
    after, effects = step(dirty, Command("a-2", NOW + MINUTE), PLAIN, NOW)
    assert effects == (SendInstall(dirty.id, "a-2", PLUG, NOW + MINUTE),)
    assert after == install(
        state=S.INSTALLING,
        attempt=2,
        attempt_id="a-2",
        command_at=NOW,
        command_deadline=NOW + 10 * MINUTE,
        deadline=NOW + 10 * MINUTE,
    )
