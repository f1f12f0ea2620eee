"""What a bridge holds for a device that sleeps: handed over, begun when the device wakes, or taken back.

Rules (invariants 2, 6 and 7; docs/decisions/0012):

* What is handed over is a command: written down first, and the only one of its attempt.
* It is taken back when the device could not end inside the window any more, and whenever anything speaks against it, or
  nobody knows what happened meanwhile. The file goes first, so that nothing can begin even if the bridge never hears.
* Until the bridge has said that it does not wait any more, nothing is decided: a device that woke in that very moment
  is at work, and goes its way. After that nothing of the attempt can begin, which is more than a passed deadline.
* A bridge tries again by itself at each wake. So the file is withdrawn as soon as a try began, and a try that failed is
  taken back: one attempt is one try.
* Whoever has not begun has not failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from .. import limits
from ..effects import QueryDevice, SendInstall, StopServing
from ..errors import Reason
from ..inputs import Stage
from ..model import Install, InstallState as S
from . import commanded, proving
from .endings import end, hold, taken_back
from .happenings import (
    Cancel,
    Command,
    Context,
    DeadlinePassed,
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

_WAITS = frozenset({Stage.ACCEPTED, Stage.SCHEDULED})
_AT_WORK = frozenset({Stage.DOWNLOADING, Stage.INSTALLING})
_FAILURES = frozenset({Stage.FAILED, Stage.REJECTED, Stage.NOT_BEGUN})
_NOT_WANTED = {
    Sighting.OTHER: Reason.CHANGED_BY_OTHERS,
    Sighting.WRONG_IDENTITY: Reason.IDENTITY_CHANGED,
}


def command(install: Install, item: Command, context: Context, now: datetime) -> Step:
    """Order the command of a new attempt; for a device that sleeps from a bridge, that begins when the device wakes."""
    if not item.when_awake:
        return commanded.command(install, item, context, now)
    until = now + limits.WAKE_TIME if item.not_after is None else item.not_after
    waits = replace(
        commanded.new_attempt(install, item),
        state=S.SCHEDULED,
        reason=Reason.DEVICE_ASLEEP,
        handed_over=True,
        hand_back_at=until,
        command_at=None,
        command_deadline=until + context.wake_time,
        deadline=min(until, now + context.answer_time),
    )
    order = SendInstall(install.id, item.attempt_id, install.device_id, item.not_after, when_awake=True)
    return Step(waits, (order,))


# --- while the bridge waits ------------------------------------------------------------------------------------------


def staged(install: Install, item: Staged, context: Context, now: datetime) -> Step:
    """Take in that the bridge waits, that the device woke and began, or that the bridge does not wait after all."""
    if item.stage in _AT_WORK:
        return _begun(install, item, context, now)
    if item.stage in _WAITS and not install.reacted:
        return Step(replace(install, reacted=True, deadline=install.hand_back_at))
    if item.stage is Stage.FAILED and install.reacted:
        # It had said that it waits: it is the bridge that went away, which says nothing of the device.
        return _recall(install, context, now)
    if item.stage in _FAILURES:
        return _recall(install, context, now, failure=Reason.NOT_BEGUN, failure_detail=item.detail)
    return Step(install)


def _begun(install: Install, item: Staged, context: Context, now: datetime) -> Step:
    """Go on as after any command. The bridge has the whole file by now, and for another try it must not have it."""
    over = now + context.wake_time
    begun = replace(
        install,
        state=S.INSTALLING,
        reason=None,
        reason_values={},
        command_at=now,
        command_deadline=over,
        deadline=over,
        failure=None,
        failure_detail="",
        asked_last=False,
        ends_as=None,
    )
    at_work, effects = commanded.staged(begun, item, context, now)
    return Step(at_work, (StopServing(install.id), *effects))


def recall(install: Install, item: Hold, context: Context, now: datetime) -> Step:
    """Take back what the bridge holds, because something holds the install up."""
    return _recall(install, context, now, item.reason, item.values)


def deadline_passed(install: Install, _item: DeadlinePassed, context: Context, now: datetime) -> Step:
    """Take back what could not end inside the window any more, and what the bridge never said that it holds."""
    is_late = install.hand_back_at is not None and now >= install.hand_back_at
    return _recall(install, context, now, Reason.WAITS_FOR_WINDOW if is_late else None)


def interrupted(install: Install, _item: Resumed | TimeJumped, context: Context, now: datetime) -> Step:
    """Take back what was handed over before nobody listened: it may have begun, or ended, or have been forgotten."""
    return _recall(install, context, now, Reason.WAITS_FOR_RESTART_CHECK)


def not_sent(install: Install, item: NotSent, context: Context, now: datetime) -> Step:
    """Take in that a command did not leave. If it was written down it counts as sent, and is taken back."""
    if item.written:
        return _recall(install, context, now, failure=Reason.NOT_SENT, failure_detail=item.reason.value)
    return commanded.not_sent(replace(install, handed_over=False), item, context, now)


def cancel(install: Install, item: Cancel, context: Context, now: datetime) -> Step:
    """Take back what is not wanted any more. Whether it had begun, the bridge will say."""
    if item.verdict is S.REMOVED:
        return end(install, S.REMOVED, item.reason, now)
    return _recall(install, context, now, item.reason, ends_as=item.verdict)


def seen(install: Install, item: Sighted, context: Context, now: datetime) -> Step:
    """Take in what the device runs although it was not seen to begin."""
    if item.sighting is Sighting.NEW:
        return proving.returned(replace(install, healthy=None, ends_as=None), context, now)
    if item.sighting in _NOT_WANTED:
        reason, values = _NOT_WANTED[item.sighting], {"version": item.version}
        return _recall(install, context, now, reason, values, ends_as=S.CANCELED)
    return Step(install)


# --- until the bridge has said that it does not wait any more --------------------------------------------------------


def _recall(
    install: Install,
    context: Context,
    now: datetime,
    reason: Reason | None = None,
    values: Mapping[str, str] | None = None,
    **changes: Any,
) -> Step:
    """Withdraw the file, then tell the bridge. From now on nothing can begin, so the attempt's time is limited."""
    over = now + context.wake_time
    recalled = replace(
        install,
        state=S.UNSCHEDULING,
        reason=reason,
        reason_values=values or {},
        deadline=now + limits.UNSCHEDULE_RETRY,
        command_deadline=min(install.command_deadline or over, over),
        **changes,
    )
    return Step(recalled, (StopServing(install.id), *taken_back(install)))


def staged_while_recalled(install: Install, item: Staged, context: Context, now: datetime) -> Step:
    """Take in the bridge's confirmation, or that the device woke in that very moment and is at work."""
    if item.stage in _AT_WORK:
        return _begun(install, item, context, now)
    return _settled(install, context, now) if item.stage is Stage.TAKEN_BACK else Step(install)


def tell_again(install: Install, item: Linked | Resumed, _context: Context, _now: datetime) -> Step:
    """Tell the bridge again, now that it or the broker is back."""
    hears = item.online if isinstance(item, Linked) else not item.restarted
    return Step(install, taken_back(install) if hears else ())


def not_confirmed(install: Install, _item: DeadlinePassed, context: Context, now: datetime) -> Step:
    """Tell the bridge again, until whatever it may have begun is over."""
    if install.command_deadline is None or now >= install.command_deadline:
        return _settled(install, context, now)
    return Step(replace(install, deadline=now + limits.UNSCHEDULE_RETRY), taken_back(install))


def cancel_while_recalled(install: Install, item: Cancel, _context: Context, now: datetime) -> Step:
    """Note the verdict that it gets when nothing has begun."""
    if item.verdict is S.REMOVED:
        return end(install, S.REMOVED, item.reason, now)
    return Step(replace(install, reason=item.reason, reason_values={}, ends_as=item.verdict))


def _settled(install: Install, context: Context, now: datetime) -> Step:
    """Decide how it goes on, now that the bridge neither waits nor works."""
    over = replace(install, handed_over=False)
    if install.command_at is not None:
        return _after_a_try(over, now)
    over = replace(over, command_deadline=None)
    if install.ends_as is not None:
        return end(over, install.ends_as, install.reason, now)
    if install.reacted and install.failure is None:
        return _nothing_lost(replace(over, attempt=install.attempt - 1), context, now)
    if install.attempt >= limits.MAX_ATTEMPTS:
        return end(over, S.FAILED, install.failure or Reason.NO_REACTION, now, detail=install.failure_detail)
    again = Hold(Reason.WAITS_FOR_RETRY, {"attempt": str(install.attempt + 1)}, now + limits.RETRY_DELAY)
    waits, effects = hold(over, again, context, now)
    # A bridge that gave up has just heard the device: it may be awake, and may run something else by now.
    return Step(waits, (*effects, QueryDevice(install.device_id)) if install.reacted else effects)


def _nothing_lost(install: Install, context: Context, now: datetime) -> Step:
    """Let it wait again, for the next window if the device slept through this one; it was no attempt."""
    if install.hand_back_at is not None and now >= install.hand_back_at:
        closed = install.hand_back_at + context.expected + limits.TICK
        return hold(install, Hold(Reason.DEVICE_ASLEEP, {}, closed), context, now)
    # Why it waits is worked out anew.
    waits = replace(install, state=S.DEFERRED, reason=None, reason_values={}, not_before=None, deadline=None)
    return Step(waits)


def _after_a_try(install: Install, now: datetime) -> Step:
    """Judge a try that is over. One that failed left the device on what it runs; it sleeps, and cannot be asked."""
    if install.failure is not None:
        return end(install, S.FAILED, install.failure, now, detail=install.failure_detail)
    # It ended while nobody listened: what the device runs now is the result.
    deadline = max(install.command_deadline or now, now + limits.RESTART_GRACE)
    rests = replace(install, state=S.REBOOTING, reason=None, reason_values={}, restarted=True, deadline=deadline)
    return Step(replace(rests, went_away=True, ends_as=None), (QueryDevice(install.device_id),))


# --- what was handed over and has begun ------------------------------------------------------------------------------


def staged_at_work(install: Install, item: Staged, context: Context, now: datetime) -> Step:
    """Take in what is said of a transfer. If it failed, the bridge that waited for it would try again at each wake."""
    if install.handed_over and item.stage in {*_FAILURES, Stage.SCHEDULED}:
        if install.restarted:
            return _recall(install, context, now)  # its try was over before: what it runs is still to be heard
        failure = commanded.FAILURES.get(item.stage, Reason.DEVICE_REPORTED_FAILURE)
        return _recall(install, context, now, failure=failure, failure_detail=item.detail)
    if item.stage in {Stage.SCHEDULED, Stage.TAKEN_BACK}:
        return Step(install)
    return commanded.staged(install, item, context, now)


def resumed_at_work(install: Install, item: Resumed, context: Context, now: datetime) -> Step:
    """Have the bridge say whether it is still at work, where it would try again; else ask the device."""
    if install.handed_over:
        return _recall(install, context, now, Reason.WAITS_FOR_RESTART_CHECK)
    return commanded.resumed(install, item, context, now)
