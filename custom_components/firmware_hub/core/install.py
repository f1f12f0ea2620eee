"""One install: the state table, its deadlines and its retries.

Rules (design section 3):

* Every state that is not an end has a deadline, except those in which the install waits for its turn; the hub looks at
  those whenever something changes.
* One attempt sends at most one install command (6). The step into ``INSTALLING`` is the only one that orders it, the
  hub writes it down first, and a written command counts as sent.
* A new attempt needs the passed deadline of the old one **and** the device's own fresh word that it runs the old
  version (6): ``_command_deadline_passed`` is the only way back from a commanded state to ``DEFERRED``.
* Success needs the device's own report of the wanted version after its return, its settling time, and its health (7).
  What a device says about the transfer (``Stage``) moves the display and never the verdict.
* ``TIMED_OUT`` is the one end that can be corrected: a device that returns late is proved or judged after all.

Everything that affects the state of an install stands in this file. ``docs/install-states.md`` is drawn from ``TABLE``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from . import limits
from .effects import Effect, FetchArtifacts, QueryDevice, SendCommit, SendInstall, SendRollback, StopServing
from .errors import Reason
from .inputs import Stage
from .model import Install, InstallState
from .ports import Capabilities

S = InstallState


class Sighting(StrEnum):
    """What a device's own live report means for its install."""

    OLD = "old"
    NEW = "new"
    HELPER = "helper"
    OTHER = "other"
    WRONG_IDENTITY = "wrong_identity"
    MOVED = "moved"


@dataclass(frozen=True, slots=True)
class Context:
    """What a step may know of the device: its family, its slots, whether it is on line, how long an install takes."""

    capabilities: Capabilities
    slots: int = 1
    online: bool | None = None
    sleeps: bool = False
    connected: bool = True
    expected: timedelta = timedelta(minutes=5)


# --- what can happen to an install -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Approve:
    """Somebody's yes arrived."""


@dataclass(frozen=True, slots=True)
class Start:
    """It is this install's turn."""


@dataclass(frozen=True, slots=True)
class Hold:
    """It has to wait, with the reason a person reads."""

    reason: Reason
    values: Mapping[str, str] = field(default_factory=dict)
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """All artifacts lie verified in the cache."""


@dataclass(frozen=True, slots=True)
class FetchFailed:
    """An artifact could not be had. ``final``: what came is not what the manifest says, so asking again is no use."""

    reason: Reason
    detail: str = ""
    final: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """The gate is open: order the install command under this attempt id, not to be published after ``not_after``."""

    attempt_id: str
    not_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class NotSent:
    """The last look before publishing said no. ``written``: the command had been written down, so it counts as sent."""

    reason: Reason
    written: bool = True


@dataclass(frozen=True, slots=True)
class Sighted:
    """The device itself named its version, live. ``rebooted``: in a message that is only sent after a boot."""

    sighting: Sighting
    rebooted: bool = False
    version: str = ""


@dataclass(frozen=True, slots=True)
class Linked:
    """The device went on or off line."""

    online: bool


@dataclass(frozen=True, slots=True)
class Booted:
    """The device runs for a shorter time than since the command: it has restarted, whatever else it said."""


@dataclass(frozen=True, slots=True)
class Staged:
    """The device spoke about the transfer."""

    stage: Stage
    percent: int | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """The device's own self-test."""

    passed: bool


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    """The present state is over."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """The install is not wanted any more: ``verdict`` is canceled, skipped, removed or already_installed."""

    verdict: InstallState
    reason: Reason | None = None


Happening = (
    Approve
    | Start
    | Hold
    | Fetched
    | FetchFailed
    | Command
    | NotSent
    | Sighted
    | Linked
    | Booted
    | Staged
    | Health
    | DeadlinePassed
    | Cancel
)


class Step(NamedTuple):
    """The install as it is from now on, and what is to be done."""

    install: Install
    effects: tuple[Effect, ...] = ()


def step(install: Install, item: Happening, context: Context, now: datetime) -> Step:
    """Advance one install by one happening. Never raises: a pair that the table does not name changes nothing."""
    handler = TABLE.get((install.state, type(item)))
    if handler is None:
        return Step(install)
    return handler(install, item, context, now)


def command_time(context: Context) -> timedelta:
    """Return how long after its command a device has: clamp(2 x expected, 60 s, the family's maximum)."""
    return max(limits.DEADLINE_MIN, min(2 * context.expected, context.capabilities.max_deadline))


# --- ends --------------------------------------------------------------------------------------------------------------


def _end(install: Install, verdict: InstallState, reason: Reason | None, now: datetime, **values: str) -> Step:
    ended = replace(
        install,
        state=verdict,
        reason=reason,
        reason_values=(values or install.reason_values) if reason else {},
        deadline=None,
        not_before=None,
        ended_at=now,
    )
    return Step(ended, (StopServing(install.id),))


def _cancel(install: Install, item: Cancel, _context: Context, now: datetime) -> Step:
    return _end(install, item.verdict, item.reason, now)


def _removed(install: Install, item: Cancel, _context: Context, now: datetime) -> Step:
    """Close the record of a device that was deleted; anything else cannot stop what a device is doing."""
    if item.verdict is not S.REMOVED:
        return Step(install)
    return _end(install, S.REMOVED, item.reason, now)


# --- waiting for its turn ------------------------------------------------------------------------------------------------


def _approve(install: Install, _item: Approve, _context: Context, _now: datetime) -> Step:
    return Step(replace(install, state=S.APPROVED))


def _hold(install: Install, item: Hold, _context: Context, _now: datetime) -> Step:
    return Step(
        replace(
            install,
            state=S.DEFERRED,
            reason=item.reason,
            reason_values=item.values,
            not_before=item.not_before,
            deadline=None,
        )
    )


def _start(install: Install, _item: Start, _context: Context, now: datetime) -> Step:
    started = replace(
        install,
        state=S.DOWNLOADING,
        reason=None,
        reason_values={},
        not_before=None,
        deadline=now + limits.FETCH_DEADLINE,
        started_at=install.started_at or now,
    )
    return Step(started, (FetchArtifacts(install.id, install.offer.feed_id, install.offer.release.artifacts),))


def _seen_while_waiting(install: Install, item: Sighted, _context: Context, now: datetime) -> Step:
    match item.sighting:
        case Sighting.NEW:
            return _end(install, S.ALREADY_INSTALLED, Reason.CHANGED_BY_OTHERS, now)
        case Sighting.WRONG_IDENTITY:
            return _end(install, S.CANCELED, Reason.IDENTITY_CHANGED, now)
        case Sighting.OTHER:
            return _end(install, S.CANCELED, Reason.CHANGED_BY_OTHERS, now, version=item.version)
        case _:
            return Step(install)


# --- fetching ------------------------------------------------------------------------------------------------------------


def _fetched(install: Install, _item: Fetched, _context: Context, now: datetime) -> Step:
    ready = replace(
        install, state=S.DOWNLOADED, fetched=True, fetch_failures=0, deadline=now + limits.PREFLIGHT_TIMEOUT
    )
    return Step(ready, (QueryDevice(install.device_id),))


def _fetch_failed(install: Install, item: FetchFailed, context: Context, now: datetime) -> Step:
    failures = install.fetch_failures + 1
    install = replace(install, fetch_failures=failures)
    if item.final or failures > len(limits.FETCH_RETRY):
        return _end(install, S.FAILED, item.reason, now, detail=item.detail)
    wait = Hold(item.reason, {"detail": item.detail}, now + limits.FETCH_RETRY[failures - 1])
    return _hold(install, wait, context, now)


def _fetch_deadline(install: Install, _item: DeadlinePassed, context: Context, now: datetime) -> Step:
    return _fetch_failed(install, FetchFailed(Reason.FETCH_TIMEOUT), context, now)


def _silent(install: Install, _item: DeadlinePassed, context: Context, now: datetime) -> Step:
    reason = Reason.DEVICE_ASLEEP if context.sleeps else Reason.DEVICE_SILENT
    return _hold(install, Hold(reason, {}, now + limits.SILENT_RETRY), context, now)


def _command(install: Install, item: Command, context: Context, now: datetime) -> Step:
    deadline = now + command_time(context)
    commanded = replace(
        install,
        state=S.INSTALLING,
        attempt=install.attempt + 1,
        attempt_id=item.attempt_id,
        reason=None,
        reason_values={},
        command_at=now,
        command_deadline=deadline,
        deadline=deadline,
        reacted=False,
        failure=None,
        failure_detail="",
        asked_last=False,
        helper_seen=False,
        old_seen=False,
        went_away=False,
        says_restart=False,
        restarted=False,
        on_trial=False,
        healthy=None,
        returned_at=None,
        commits_sent=0,
        percent=None,
    )
    return Step(commanded, (SendInstall(install.id, item.attempt_id, install.device_id, item.not_after),))


# --- after the command ---------------------------------------------------------------------------------------------------


def _not_sent(install: Install, item: NotSent, context: Context, now: datetime) -> Step:
    if item.written:
        return Step(replace(install, failure=Reason.NOT_SENT, failure_detail=item.reason.value))
    back = replace(install, attempt=install.attempt - 1, command_at=None, command_deadline=None)
    return _hold(back, Hold(item.reason, {}, now + limits.RETRY_DELAY), context, now)


_FAILURES = {Stage.FAILED: Reason.DEVICE_REPORTED_FAILURE, Stage.REJECTED: Reason.IMAGE_REFUSED}
_ABOUT_TO_RESTART = frozenset({Stage.REBOOTING, Stage.CLAIMS_DONE})
_AFTER_RESTART = frozenset({Stage.RESTARTED, Stage.TRIAL, Stage.COMMITTED})


def _staged(install: Install, item: Staged, _context: Context, now: datetime) -> Step:
    install = replace(install, reacted=True, percent=_percent(install.percent, item.percent))
    ask = (QueryDevice(install.device_id),)
    if item.stage in _FAILURES:
        failed = replace(install, failure=_FAILURES[item.stage], failure_detail=item.detail)
        return Step(failed, ask)
    if item.stage is Stage.ROLLED_BACK:
        return _go_back(replace(install, failure_detail=item.detail), Reason.SELF_ROLLBACK, ask, now)
    if item.stage in _AFTER_RESTART:
        trial = install.on_trial or item.stage is Stage.TRIAL
        return Step(replace(install, state=S.REBOOTING, went_away=True, restarted=True, on_trial=trial), ask)
    if item.stage in _ABOUT_TO_RESTART:
        # Not asked now: it would still answer from before its restart.
        return Step(replace(install, state=S.REBOOTING, says_restart=True))
    return Step(install)


def _percent(before: int | None, now: int | None) -> int | None:
    if now is None:
        return before
    return max(before or 0, min(100, max(0, now)))


def _linked(install: Install, item: Linked, _context: Context, _now: datetime) -> Step:
    if item.online:
        return Step(install, (QueryDevice(install.device_id),))
    restarted = install.restarted or install.says_restart
    return Step(replace(install, state=S.REBOOTING, went_away=True, restarted=restarted))


def _booted(install: Install, _item: Booted, _context: Context, _now: datetime) -> Step:
    return Step(replace(install, went_away=True, restarted=True), (QueryDevice(install.device_id),))


def _seen_after_command(install: Install, item: Sighted, context: Context, now: datetime) -> Step:
    match item.sighting:
        case Sighting.NEW:
            return _returned(install, now)
        case Sighting.HELPER:
            return Step(replace(install, state=S.INSTALLING, reacted=True, helper_seen=True))
        case Sighting.MOVED:
            return _end(install, S.FAILED, Reason.SETTINGS_LOST, now)
        case Sighting.WRONG_IDENTITY:
            return _end(install, S.FAILED, Reason.WRONG_IMAGE, now)
        case Sighting.OTHER:
            return _end(install, S.FAILED, Reason.CAME_BACK_OTHER, now, version=item.version)
        case Sighting.OLD:
            return _seen_old(install, item, context, now)


def _seen_old(install: Install, item: Sighted, context: Context, now: datetime) -> Step:
    install = replace(install, old_seen=True)
    if install.failure is Reason.IMAGE_REFUSED:
        return _end(install, S.REJECTED, install.failure, now, detail=install.failure_detail)
    if install.failure is Reason.DEVICE_REPORTED_FAILURE:
        return _end(install, S.FAILED, install.failure, now, detail=install.failure_detail)
    # A lost connection alone is no restart: the device may still be loading, and go on when it is back.
    back = item.rebooted if context.capabilities.announces_boot else install.restarted
    if back and install.failure is not Reason.NOT_SENT:
        return _came_back_old(install, context, now)
    return Step(install)


def _came_back_old(install: Install, context: Context, now: datetime) -> Step:
    if context.slots > 1 and context.capabilities.rolls_back:
        return _end(install, S.ROLLED_BACK, Reason.SELF_ROLLBACK, now)
    return _end(install, S.FAILED, Reason.CAME_BACK_OLD, now)


def _returned(install: Install, now: datetime) -> Step:
    proving = replace(
        install,
        state=S.VERIFYING,
        reacted=True,
        returned_at=now,
        percent=None,
        asked_last=False,
        deadline=now + limits.VERIFY_SETTLE,
        verify_until=now + limits.VERIFY_DEADLINE,
    )
    return Step(proving)


def _command_deadline_passed(install: Install, _item: DeadlinePassed, context: Context, now: datetime) -> Step:
    if not context.connected:
        return Step(replace(install, deadline=now + limits.RESTART_GRACE))
    if not install.asked_last:
        asked = replace(install, asked_last=True, old_seen=False, deadline=now + limits.PREFLIGHT_TIMEOUT)
        return Step(asked, (QueryDevice(install.device_id),))
    if not install.old_seen:
        if install.helper_seen:
            return _end(install, S.FAILED, Reason.STUCK_IN_HELPER, now)
        return _end(install, S.TIMED_OUT, Reason.NO_RETURN, now)
    if install.reacted:
        return _end(install, S.FAILED, Reason.LOST_IN_TRANSFER, now)
    if install.attempt >= limits.MAX_ATTEMPTS:
        return _end(install, S.FAILED, install.failure or Reason.NO_REACTION, now)
    again = Hold(Reason.WAITS_FOR_RETRY, {"attempt": str(install.attempt + 1)}, now + limits.RETRY_DELAY)
    return _hold(install, again, context, now)


# --- proving the new version -----------------------------------------------------------------------------------------------


def _seen_while_verifying(install: Install, item: Sighted, context: Context, now: datetime) -> Step:
    if item.sighting is Sighting.NEW:
        return _prove(install, context, now) if install.returned_at else _returned_again(install, now)
    if item.sighting is Sighting.OLD:
        return _came_back_old(replace(install, old_seen=True), context, now)
    return _seen_after_command(install, item, context, now)


def _returned_again(install: Install, now: datetime) -> Step:
    return Step(replace(install, returned_at=now, deadline=now + limits.VERIFY_SETTLE))


def _prove(install: Install, context: Context, now: datetime) -> Step:
    """Judge a live report of the wanted version: settled, on line, healthy, and committed where there is a trial."""
    if install.returned_at is None or now < install.returned_at + limits.VERIFY_SETTLE or context.online is False:
        return Step(install)
    if context.capabilities.commits and context.slots > 1:
        return _commit(install, now) if install.healthy else Step(install)
    return _end(install, S.SUCCEEDED, None, now)


def _commit(install: Install, now: datetime) -> Step:
    if install.commits_sent:
        return Step(install)
    sent = replace(install, commits_sent=1, deadline=now + limits.COMMIT_RETRY)
    return Step(sent, (SendCommit(install.id, install.attempt_id, install.device_id),))


def _staged_while_verifying(install: Install, item: Staged, context: Context, now: datetime) -> Step:
    if item.stage is Stage.COMMITTED and install.commits_sent:
        return _end(install, S.SUCCEEDED, None, now)
    if item.stage is Stage.ROLLED_BACK:
        ask = (QueryDevice(install.device_id),)
        return _go_back(replace(install, failure_detail=item.detail), Reason.SELF_ROLLBACK, ask, now)
    if item.stage is Stage.TRIAL:
        return Step(replace(install, on_trial=True))
    if item.stage in _FAILURES:
        return _health(install, Health(passed=False), context, now)
    return Step(install)


def _health(install: Install, item: Health, context: Context, now: datetime) -> Step:
    if item.passed:
        return Step(replace(install, healthy=True))
    install = replace(install, healthy=False)
    if context.capabilities.commits and context.slots > 1 and not install.commits_sent:
        order = SendRollback(install.id, install.attempt_id, install.device_id)
        return _go_back(install, Reason.ROLLED_BACK_UNHEALTHY, (order,), now)
    return _end(install, S.FAILED, Reason.UNHEALTHY, now)


def _health_early(install: Install, item: Health, _context: Context, _now: datetime) -> Step:
    """Keep a self-test that arrives before the version does: the order of the two messages is not promised."""
    if not install.went_away:
        return Step(install)
    return Step(replace(install, healthy=item.passed))


def _linked_while_verifying(install: Install, item: Linked, _context: Context, _now: datetime) -> Step:
    if item.online:
        return Step(install, (QueryDevice(install.device_id),))
    return Step(replace(install, returned_at=None, healthy=None, went_away=True))


def _verify_deadline(install: Install, _item: DeadlinePassed, context: Context, now: datetime) -> Step:
    if install.healthy is False:
        return _health(install, Health(passed=False), context, now)
    if install.verify_until is not None and now < install.verify_until:
        return _ask_again(install, now)
    if not context.connected:
        return Step(replace(install, deadline=now + limits.RESTART_GRACE))
    if install.returned_at is None:
        return _end(install, S.TIMED_OUT, Reason.NO_RETURN, now)
    if context.capabilities.commits and context.slots > 1:
        # Nothing is ordered: a device on trial that is not committed goes back by itself (design 5.4).
        return _go_back(install, Reason.ROLLED_BACK_UNHEALTHY, (QueryDevice(install.device_id),), now)
    return _end(install, S.FAILED, Reason.UNHEALTHY, now)


def _ask_again(install: Install, now: datetime) -> Step:
    asked = replace(install, deadline=now + limits.COMMIT_RETRY)
    if 0 < install.commits_sent < limits.COMMIT_RESENDS:
        resent = replace(asked, commits_sent=install.commits_sent + 1)
        return Step(resent, (SendCommit(install.id, install.attempt_id, install.device_id),))
    return Step(asked, (QueryDevice(install.device_id),))


# --- going back ------------------------------------------------------------------------------------------------------------


def _go_back(install: Install, reason: Reason, effects: tuple[Effect, ...], now: datetime) -> Step:
    back = replace(
        install,
        state=S.ROLLING_BACK,
        reason=reason,
        reason_values={"detail": install.failure_detail},
        asked_last=False,
        deadline=now + limits.ROLLBACK_DEADLINE,
    )
    return Step(back, effects)


def _seen_while_going_back(install: Install, item: Sighted, _context: Context, now: datetime) -> Step:
    match item.sighting:
        case Sighting.OLD:
            return _end(install, S.ROLLED_BACK, install.reason, now)
        case Sighting.NEW | Sighting.HELPER:
            return Step(install)
        case Sighting.MOVED:
            return _end(install, S.ROLLBACK_FAILED, Reason.SETTINGS_LOST, now)
        case Sighting.WRONG_IDENTITY:
            return _end(install, S.ROLLBACK_FAILED, Reason.WRONG_IMAGE, now)
        case Sighting.OTHER:
            return _end(install, S.ROLLBACK_FAILED, Reason.CAME_BACK_OTHER, now, version=item.version)


def _ask(install: Install, item: Linked | Staged, _context: Context, _now: datetime) -> Step:
    quiet = isinstance(item, Linked) and not item.online
    return Step(install, () if quiet else (QueryDevice(install.device_id),))


def _rollback_deadline(install: Install, _item: DeadlinePassed, context: Context, now: datetime) -> Step:
    if not context.connected:
        return Step(replace(install, deadline=now + limits.RESTART_GRACE))
    if not install.asked_last:
        asked = replace(install, asked_last=True, deadline=now + limits.PREFLIGHT_TIMEOUT)
        return Step(asked, (QueryDevice(install.device_id),))
    return _end(install, S.ROLLBACK_FAILED, Reason.ROLLBACK_LOST, now)


# --- a late return ---------------------------------------------------------------------------------------------------------


def _seen_late(install: Install, item: Sighted, context: Context, now: datetime) -> Step:
    """Correct the record of a device that was given up (users.md scenario 38)."""
    install = replace(install, ended_at=None)
    if item.sighting is Sighting.OLD:
        return _came_back_old(install, context, now)
    return _seen_after_command(install, item, context, now)


type Handler = Callable[..., Step]

_WAITING: dict[type, Handler] = {Start: _start, Hold: _hold, Sighted: _seen_while_waiting, Cancel: _cancel}
_COMMANDED: dict[type, Handler] = {
    NotSent: _not_sent,
    Staged: _staged,
    Linked: _linked,
    Booted: _booted,
    Sighted: _seen_after_command,
    Health: _health_early,
    DeadlinePassed: _command_deadline_passed,
    Cancel: _removed,
}

TABLE: dict[tuple[InstallState, type], Handler] = {
    (S.AWAITING_APPROVAL, Approve): _approve,
    (S.AWAITING_APPROVAL, Cancel): _cancel,
    **{(S.APPROVED, item): handler for item, handler in _WAITING.items()},
    **{(S.DEFERRED, item): handler for item, handler in _WAITING.items()},
    (S.DOWNLOADING, Fetched): _fetched,
    (S.DOWNLOADING, FetchFailed): _fetch_failed,
    (S.DOWNLOADING, Hold): _hold,
    (S.DOWNLOADING, Sighted): _seen_while_waiting,
    (S.DOWNLOADING, DeadlinePassed): _fetch_deadline,
    (S.DOWNLOADING, Cancel): _cancel,
    (S.DOWNLOADED, Command): _command,
    (S.DOWNLOADED, Hold): _hold,
    (S.DOWNLOADED, Sighted): _seen_while_waiting,
    (S.DOWNLOADED, DeadlinePassed): _silent,
    (S.DOWNLOADED, Cancel): _cancel,
    **{(S.INSTALLING, item): handler for item, handler in _COMMANDED.items()},
    **{(S.REBOOTING, item): handler for item, handler in _COMMANDED.items()},
    (S.VERIFYING, Sighted): _seen_while_verifying,
    (S.VERIFYING, Staged): _staged_while_verifying,
    (S.VERIFYING, Health): _health,
    (S.VERIFYING, Linked): _linked_while_verifying,
    (S.VERIFYING, DeadlinePassed): _verify_deadline,
    (S.VERIFYING, Cancel): _removed,
    (S.ROLLING_BACK, Sighted): _seen_while_going_back,
    (S.ROLLING_BACK, Linked): _ask,
    (S.ROLLING_BACK, Staged): _ask,
    (S.ROLLING_BACK, DeadlinePassed): _rollback_deadline,
    (S.ROLLING_BACK, Cancel): _removed,
    (S.TIMED_OUT, Sighted): _seen_late,
}
"""(state, happening) to handler. A pair that is absent changes nothing: it is late, early or not this state's business."""
