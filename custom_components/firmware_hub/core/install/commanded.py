"""The middle of an install: its one command, and what the device does then until it is back on a version.

Rules (invariants 6 and 7):

* ``command`` is the only step that orders an install command.
* The way back to waiting, for another attempt, leads over the passed deadline and the device's own fresh word that it
  runs the old version; a command that certainly never left (its write-ahead failed) is the exception.
* A device is back when it restarted. One that loses its connection in the middle of a transfer has not, and its old
  version says nothing yet.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from .. import limits
from ..effects import QueryDevice, SendInstall, ServeAgain, StopServing
from ..errors import Reason
from ..inputs import Stage
from ..model import Install, InstallState as S
from . import proving
from .endings import came_back_old, came_back_strange, end, hold
from .happenings import (
    Booted,
    Cancel,
    Command,
    Context,
    DeadlinePassed,
    Health,
    Hold,
    Linked,
    NotSent,
    Resumed,
    Sighted,
    Sighting,
    Staged,
    Step,
    TimeJumped,
)

FAILURES = {
    Stage.FAILED: Reason.DEVICE_REPORTED_FAILURE,
    Stage.NOT_BEGUN: Reason.NOT_BEGUN,
    Stage.REJECTED: Reason.IMAGE_REFUSED,
}
_ABOUT_TO_RESTART = frozenset({Stage.REBOOTING, Stage.CLAIMS_DONE})
_AFTER_RESTART = frozenset({Stage.RESTARTED, Stage.TRIAL, Stage.COMMITTED})
_NOTHING_BEGAN = frozenset({Stage.NOT_BEGUN, Stage.SCHEDULED, Stage.TAKEN_BACK})
_JUDGED_BY = ("deadline", "command_at", "command_deadline", "returned_at", "verify_until")


def command(install: Install, item: Command, context: Context, now: datetime) -> Step:
    """Order the command of a new attempt."""
    deadline = now + context.command_time
    commanded = replace(
        new_attempt(install, item), state=S.INSTALLING, command_at=now, command_deadline=deadline, deadline=deadline
    )
    return Step(commanded, (SendInstall(install.id, item.attempt_id, install.device_id, item.not_after),))


def new_attempt(install: Install, item: Command) -> Install:
    """Forget what the last attempt saw."""
    return replace(
        install,
        attempt=install.attempt + 1,
        attempt_id=item.attempt_id,
        reason=None,
        reason_values={},
        reacted=False,
        failure=None,
        failure_detail="",
        asked_last=False,
        helper_seen=False,
        old_seen=False,
        went_away=False,
        says_restart=False,
        restarted=False,
        healthy=None,
        returned_at=None,
        commits_sent=0,
        percent=None,
        handed_over=False,
        hand_back_at=None,
        ends_as=None,
    )


def not_sent(install: Install, item: NotSent, context: Context, now: datetime) -> Step:
    """Take in that a command did not leave. If it was written down it counts as sent, so its deadline decides."""
    if item.written:
        return Step(replace(install, failure=Reason.NOT_SENT, failure_detail=item.reason.value))
    back = replace(install, attempt=install.attempt - 1, attempt_id="", command_at=None, command_deadline=None)
    return hold(back, Hold(item.reason, {}, now + limits.RETRY_DELAY), context, now)


def removed(install: Install, item: Cancel, _context: Context, now: datetime) -> Step:
    """Close the record of a device that was deleted; anything else cannot stop what a device is doing."""
    if item.verdict is not S.REMOVED:
        return Step(install)
    return end(install, S.REMOVED, item.reason, now)


# --- what the device says --------------------------------------------------------------------------------------------


def staged(install: Install, item: Staged, context: Context, now: datetime) -> Step:
    """Take in what the device says of the transfer: it moves the display, and asks for proof."""
    install = replace(install, reacted=True, percent=_percent(install.percent, item.percent))
    ask = (QueryDevice(install.device_id),)
    if item.stage in FAILURES:
        return Step(replace(install, failure=FAILURES[item.stage], failure_detail=item.detail), ask)
    if item.stage is Stage.ROLLED_BACK:
        return proving.said_rolled_back(install, item, context, now)
    if item.stage in _AFTER_RESTART:
        # Its first sign that it restarted: what was tested before that was the old image.
        healthy = install.healthy if install.restarted else None
        return Step(replace(install, state=S.REBOOTING, restarted=True, went_away=True, healthy=healthy), ask)
    if item.stage in _ABOUT_TO_RESTART:
        # Not asked now: it would still answer from before its restart, and look like one that came back.
        return Step(replace(install, state=S.REBOOTING, says_restart=True, healthy=None))
    return Step(install)


def _percent(before: int | None, now: int | None) -> int | None:
    if now is None:
        return before
    return max(before or 0, min(100, max(0, now)))


def stirred(install: Install, item: Staged, context: Context, now: datetime) -> Step:
    """Go on with the last attempt when the device reacts after its time: another command now would disturb it."""
    if not install.attempt_id or item.stage in _NOTHING_BEGAN:
        return Step(install)
    going_on = replace(
        install,
        state=S.INSTALLING,
        reason=None,
        reason_values={},
        not_before=None,
        old_seen=False,
        asked_last=False,
        healthy=None,
        deadline=now + context.command_time,
    )
    return staged(going_on, item, context, now)


def linked(install: Install, item: Linked, _context: Context, _now: datetime) -> Step:
    """Take in that the device left, or that it is there and can be asked."""
    if item.online:
        return Step(install, (QueryDevice(install.device_id),))
    restarted = install.restarted or install.says_restart
    # What it said that it runs, a helper image included, and its self-test are from before it left.
    left = replace(
        install,
        state=S.REBOOTING,
        went_away=True,
        restarted=restarted,
        old_seen=False,
        helper_seen=False,
        healthy=None,
    )
    return Step(left)


def booted(install: Install, _item: Booted, _context: Context, _now: datetime) -> Step:
    """Take in that the device restarted, and ask what it runs."""
    return Step(replace(install, went_away=True, restarted=True, healthy=None), (QueryDevice(install.device_id),))


def seen(install: Install, item: Sighted, context: Context, now: datetime) -> Step:
    """Take in what the device itself says that it runs."""
    match item.sighting:
        case Sighting.NEW:
            return proving.returned(install, context, now)
        case Sighting.HELPER:
            return Step(replace(install, state=S.INSTALLING, reacted=True, helper_seen=True, healthy=None))
        case Sighting.OLD:
            return _seen_old(install, item, context, now)
        case _:
            return came_back_strange(install, item, now)


def _seen_old(install: Install, item: Sighted, context: Context, now: datetime) -> Step:
    # A self-test from before this word was one of the old image.
    install = replace(install, old_seen=True, healthy=None)
    if install.failure is Reason.IMAGE_REFUSED:
        return end(install, S.REJECTED, install.failure, now, detail=install.failure_detail)
    if install.failure is Reason.DEVICE_REPORTED_FAILURE:
        return end(install, S.FAILED, install.failure, now, detail=install.failure_detail)
    if install.failure is Reason.NOT_BEGUN:
        return _not_begun(install, context, now)
    back = item.rebooted if context.capabilities.announces_boot else install.restarted
    if back and install.failure is not Reason.NOT_SENT:
        return came_back_old(install, context, now)
    return Step(install)


def _not_begun(install: Install, context: Context, now: datetime) -> Step:
    """Try again what was not begun, after its deadline all the same; it is not worth more words than a silence."""
    if install.attempt >= limits.MAX_ATTEMPTS:
        return end(install, S.FAILED, Reason.NOT_BEGUN, now, detail=install.failure_detail)
    over = install.command_deadline or now
    return _once_more(install, max(over, now + limits.RETRY_DELAY), context, now)


def _once_more(install: Install, not_before: datetime, context: Context, now: datetime) -> Step:
    """Let it wait for another attempt. Where others can order it as well, no image lies there until the hub does."""
    again = Hold(Reason.WAITS_FOR_RETRY, {"attempt": str(install.attempt + 1)}, not_before)
    waits, effects = hold(install, again, context, now)
    return Step(waits, (StopServing(install.id), *effects) if context.capabilities.looks_up else effects)


def health_early(install: Install, item: Health, _context: Context, _now: datetime) -> Step:
    """Keep a self-test that arrives before the version does: the order of the two messages is not promised.

    One that was passed counts only from a device that restarted; one that was only away may have come back as it was.
    """
    if not (install.restarted if item.passed else install.went_away):
        return Step(install)
    return Step(replace(install, healthy=item.passed))


# --- the time is over ------------------------------------------------------------------------------------------------


def deadline_passed(install: Install, _item: DeadlinePassed, context: Context, now: datetime) -> Step:
    """Ask a last time, and then judge what was heard and what was not."""
    if not context.connected:
        return Step(replace(install, deadline=now + limits.RESTART_GRACE))
    if not install.asked_last and context.capabilities.answers:
        asked = replace(install, asked_last=True, old_seen=False, deadline=now + context.answer_time)
        return Step(asked, (QueryDevice(install.device_id),))
    if install.failure is Reason.NOT_BEGUN:
        return _not_begun(install, context, now)
    stayed = not context.capabilities.answers and not install.went_away
    if install.old_seen or stayed:
        return _still_old(install, context, now)
    if install.helper_seen:
        return end(install, S.FAILED, Reason.STUCK_IN_HELPER, now)
    return end(install, S.TIMED_OUT, Reason.NO_RETURN, now)


def _still_old(install: Install, context: Context, now: datetime) -> Step:
    if install.restarted or install.says_restart:
        return came_back_old(install, context, now)
    if install.reacted:
        percent = "" if install.percent is None else str(install.percent)
        return end(install, S.FAILED, Reason.LOST_IN_TRANSFER, now, percent=percent)
    # Whoever cannot be asked would say nothing that another attempt could begin from.
    if install.attempt >= limits.MAX_ATTEMPTS or not context.capabilities.answers:
        return end(install, S.FAILED, install.failure or Reason.NO_REACTION, now)
    return _once_more(install, now + limits.RETRY_DELAY, context, now)


# --- time that was lost ----------------------------------------------------------------------------------------------


def resumed(install: Install, item: Resumed, _context: Context, now: datetime) -> Step:
    """Find out what became of the device, and give it time to answer: what it said while nobody listened is lost."""
    grace = now + limits.RESTART_GRACE
    deadline = grace if install.deadline is None else max(install.deadline, grace)
    waiting = replace(install, asked_last=False, healthy=None, deadline=deadline)
    if item.restarted and not install.offer.vendor_chooses:
        return Step(waiting, (ServeAgain(install.id, install.device_id),))
    return Step(waiting, (QueryDevice(install.device_id),))


def time_jumped(install: Install, item: TimeJumped, _context: Context, _now: datetime) -> Step:
    """Move all times by which this install is judged: a clock that is set is no time that passed for the device."""
    moved = {name: at + item.by for name in _JUDGED_BY if (at := getattr(install, name)) is not None}
    return Step(replace(install, **moved))
