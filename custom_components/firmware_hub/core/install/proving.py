"""The last part of an install: the device is back, and proves itself or goes back.

Rules (invariants 7 and 8):

* Success is the device's own live report of the wanted version, after its return and its settling time, not
  failing its self-test; a device with a trial must also have passed it, and have said that it took the commit.
* A device on trial that does not pass is told to go back, and if it falls silent nothing is ordered: it goes back by
  itself (design section 5.4). So a dead hub is safe, and so is a lost commit.
* A verdict that was given because nothing, or nothing good, was heard is corrected by what the device says later
  (users.md scenario 38). One that was given about the new image itself stands.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from .. import limits
from ..effects import Effect, QueryDevice, SendCommit, SendRollback
from ..errors import Reason
from ..inputs import Stage
from ..model import Install, InstallState as S
from .endings import came_back_old, came_back_strange, end
from .happenings import Context, DeadlinePassed, Health, Linked, Resumed, Sighted, Sighting, Staged, Step

_JUDGED_ON_THE_NEW_IMAGE = frozenset(
    {Reason.UNHEALTHY, Reason.WRONG_IMAGE, Reason.SETTINGS_LOST, Reason.CAME_BACK_OTHER}
)


# --- proving the new version -----------------------------------------------------------------------------------------


def returned(install: Install, context: Context, now: datetime) -> Step:
    """Take in the first live report of the wanted version: from now on the device must prove itself."""
    proving = replace(
        install,
        state=S.VERIFYING,
        reason=None,
        reason_values={},
        not_before=None,
        reacted=True,
        returned_at=now,
        commits_sent=0,
        percent=None,
        deadline=now + limits.VERIFY_SETTLE,
        verify_until=now + limits.VERIFY_DEADLINE,
    )
    # Its self-test may have arrived before its version: the order of the two messages is not promised.
    return _unhealthy(proving, context, now) if install.healthy is False else Step(proving)


def seen_while_verifying(install: Install, item: Sighted, context: Context, now: datetime) -> Step:
    """Take in a further report of a device that was back on the wanted version."""
    match item.sighting:
        case Sighting.NEW if install.returned_at is None:
            return Step(replace(install, returned_at=now, deadline=now + limits.VERIFY_SETTLE))
        case Sighting.NEW:
            return _prove(install, context, now)
        case Sighting.OLD:
            return came_back_old(replace(install, old_seen=True), context, now)
        case Sighting.HELPER:
            return in_helper(install, context, now)
        case _:
            return came_back_strange(install, item, now)


def in_helper(install: Install, context: Context, now: datetime) -> Step:
    """Take in that a device went from an end or from the new version into a helper image: it is at work again."""
    at_work = replace(
        install,
        state=S.INSTALLING,
        reason=None,
        reason_values={},
        reacted=True,
        helper_seen=True,
        old_seen=False,
        asked_last=False,
        healthy=None,
        ended_at=None,
        deadline=now + context.command_time,
    )
    return Step(at_work)


def _prove(install: Install, context: Context, now: datetime) -> Step:
    """Judge a live report of the wanted version: settled, healthy, and committed where there is a trial."""
    if install.returned_at is None or now < install.returned_at + limits.VERIFY_SETTLE:
        return Step(install)
    if context.has_trial:
        return _commit(install, now) if install.healthy else Step(install)
    return end(install, S.SUCCEEDED, None, now)


def _commit(install: Install, now: datetime) -> Step:
    if install.commits_sent:
        return Step(install)
    sent = replace(install, commits_sent=1, deadline=now + limits.COMMIT_RETRY)
    return Step(sent, (SendCommit(install.id, install.attempt_id, install.device_id),))


def staged_while_verifying(install: Install, item: Staged, context: Context, now: datetime) -> Step:
    """Take in what a device says of its trial. ``committed`` counts only from a device that has proved all the rest."""
    if item.stage is Stage.COMMITTED and install.commits_sent and install.healthy and install.returned_at is not None:
        return end(install, S.SUCCEEDED, None, now)
    if item.stage is Stage.ROLLED_BACK:
        return said_rolled_back(install, item, context, now)
    if item.stage is Stage.REBOOTING:
        # What it is after that has been tested by nobody yet.
        return Step(replace(install, healthy=None, commits_sent=0))
    if item.stage in {Stage.FAILED, Stage.REJECTED}:
        return _unhealthy(replace(install, failure_detail=item.detail), context, now)
    return Step(install)


def health(install: Install, item: Health, context: Context, now: datetime) -> Step:
    """Take in the device's own self-test."""
    return Step(replace(install, healthy=True)) if item.passed else _unhealthy(install, context, now)


def _unhealthy(install: Install, context: Context, now: datetime) -> Step:
    install = replace(install, healthy=False)
    if context.has_trial:
        order = SendRollback(install.id, install.attempt_id, install.device_id)
        return go_back(install, Reason.ROLLED_BACK_UNHEALTHY, (order,), now)
    return end(install, S.FAILED, Reason.UNHEALTHY, now, detail=install.failure_detail)


def linked_while_verifying(install: Install, item: Linked, _context: Context, _now: datetime) -> Step:
    """Take in that the device left, which begins its proof anew, or that it is there, which is no proof yet."""
    if item.online:
        return Step(install, (QueryDevice(install.device_id),))
    return Step(replace(install, returned_at=None, healthy=None, commits_sent=0, went_away=True))


def verify_deadline(install: Install, _item: DeadlinePassed, context: Context, now: datetime) -> Step:
    """Ask once more, until the time to prove itself is over."""
    if not context.connected:
        return Step(replace(install, deadline=now + limits.RESTART_GRACE))
    if not context.capabilities.answers and install.returned_at is not None:
        # Whoever cannot be asked has nothing more to say while nothing changes: it stayed, and its last word stands.
        return _prove(install, context, now)
    if install.verify_until is not None and now < install.verify_until:
        return _ask_again(install, now)
    if context.has_trial:
        # Nothing is ordered: a device on trial that is not committed goes back by itself (design section 5.4).
        return go_back(install, Reason.ROLLED_BACK_UNHEALTHY, (QueryDevice(install.device_id),), now)
    if install.returned_at is None:
        return end(install, S.TIMED_OUT, Reason.NO_RETURN, now)
    if context.is_waited_for:
        return _prove(install, context, now)  # it has gone to sleep again: nothing is wrong, and its last word stands
    return end(install, S.FAILED, Reason.UNHEALTHY, now)


def _ask_again(install: Install, now: datetime) -> Step:
    asked = replace(install, deadline=now + limits.COMMIT_RETRY)
    if 0 < install.commits_sent < limits.COMMIT_RESENDS:
        resent = replace(asked, commits_sent=install.commits_sent + 1)
        return Step(resent, (SendCommit(install.id, install.attempt_id, install.device_id),))
    return Step(asked, (QueryDevice(install.device_id),))


def resumed_while_verifying(install: Install, item: Resumed, context: Context, now: datetime) -> Step:
    """Begin its proof anew: it may have restarted while nobody listened. Whoever cannot be asked is where it was."""
    waiting = replace(
        install,
        healthy=None,
        commits_sent=0,
        returned_at=None if context.capabilities.answers else install.returned_at,
        deadline=now + limits.RESTART_GRACE,
        verify_until=now + limits.VERIFY_DEADLINE,
    )
    return Step(waiting, () if item.restarted else (QueryDevice(install.device_id),))


# --- going back ------------------------------------------------------------------------------------------------------


def said_rolled_back(install: Install, item: Staged, _context: Context, now: datetime) -> Step:
    """Take in that the device says that it went back; its report of the old version will be the proof."""
    ask = (QueryDevice(install.device_id),)
    return go_back(replace(install, failure_detail=item.detail), Reason.SELF_ROLLBACK, ask, now)


def go_back(install: Install, reason: Reason, effects: tuple[Effect, ...], now: datetime) -> Step:
    """Wait for the device on its old version."""
    back = replace(
        install,
        state=S.ROLLING_BACK,
        reason=reason,
        reason_values={"detail": install.failure_detail},
        asked_last=False,
        deadline=now + limits.ROLLBACK_DEADLINE,
    )
    return Step(back, effects)


def seen_while_going_back(install: Install, item: Sighted, _context: Context, now: datetime) -> Step:
    """Take in what a device runs that should go back."""
    match item.sighting:
        case Sighting.OLD:
            return end(install, S.ROLLED_BACK, install.reason, now)
        case Sighting.NEW if install.asked_last and install.commits_sent and install.healthy:
            # Its trial is long over and it is still there: it did take the commit, only its answer was lost.
            return end(install, S.SUCCEEDED, None, now)
        case Sighting.NEW | Sighting.HELPER:
            return Step(install)
        case _:
            strange, effects = came_back_strange(install, item, now)
            return Step(replace(strange, state=S.ROLLBACK_FAILED), effects)


def ask(install: Install, item: Linked | Staged, _context: Context, _now: datetime) -> Step:
    """Ask the device what it runs, now that it gave a sign of life."""
    quiet = isinstance(item, Linked) and not item.online
    return Step(install, () if quiet else (QueryDevice(install.device_id),))


def rollback_deadline(install: Install, _item: DeadlinePassed, context: Context, now: datetime) -> Step:
    """Ask a last time; a device that is not back on its old version then is lost."""
    if not context.connected:
        return Step(replace(install, deadline=now + limits.RESTART_GRACE))
    if not install.asked_last:
        asked = replace(install, asked_last=True, deadline=now + context.answer_time)
        return Step(asked, (QueryDevice(install.device_id),))
    return end(install, S.ROLLBACK_FAILED, Reason.ROLLBACK_LOST, now)


def resumed_while_going_back(install: Install, item: Resumed, _context: Context, now: datetime) -> Step:
    """Give the device its whole time again, and ask what it runs once it can be asked."""
    ask_it = () if item.restarted else (QueryDevice(install.device_id),)
    return Step(replace(install, asked_last=False, deadline=now + limits.ROLLBACK_DEADLINE), ask_it)


# --- a late return ---------------------------------------------------------------------------------------------------


def seen_after_giving_up(install: Install, item: Sighted, context: Context, now: datetime) -> Step:
    """Correct the record of a device of which nothing was heard any more."""
    match item.sighting:
        case Sighting.NEW:
            return returned(replace(install, ended_at=None, healthy=None), context, now)
        case Sighting.OLD:
            return came_back_old(install, context, now)
        case Sighting.HELPER:
            return in_helper(install, context, now)
        case _:
            return came_back_strange(install, item, now)


def seen_after_failure(install: Install, item: Sighted, context: Context, now: datetime) -> Step:
    """Correct the record of a device that came through after all; one that was never commanded had other help."""
    if item.sighting is not Sighting.NEW or install.reason in _JUDGED_ON_THE_NEW_IMAGE:
        return Step(install)
    if install.command_at is None:
        return end(install, S.ALREADY_INSTALLED, Reason.CHANGED_BY_OTHERS, now)
    return returned(replace(install, ended_at=None, healthy=None), context, now)


def seen_after_lost_rollback(install: Install, item: Sighted, _context: Context, now: datetime) -> Step:
    """Correct the record of a device that went back at last."""
    if item.sighting is not Sighting.OLD:
        return Step(install)
    return end(install, S.ROLLED_BACK, Reason.ROLLED_BACK_UNHEALTHY, now)
