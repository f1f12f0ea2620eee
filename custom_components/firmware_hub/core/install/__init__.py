"""One install: the state table, its deadlines and its retries.

Rules (design section 3):

* Every state that is not an end has a deadline, except those in which the install waits for its turn; the hub looks at
  those whenever something changes.
* One attempt sends at most one install command (6). ``Command`` is the only happening that orders it, the hub writes it
  down first, and a written command counts as sent.
* A new attempt needs the passed deadline of the old one **and** the device's own fresh word that it runs the old
  version (6). If the device stirs after all, before the new attempt was sent, it is the old attempt that goes on.
* Success needs the device's own report of the wanted version after its return, its settling time, and its health (7).
  What a device says about the transfer (``Stage``) moves the display and never the verdict.
* A verdict that was given because nothing good was heard is corrected by what the device says later.

Everything that affects the state of an install stands in this package, in the order of its life: ``waiting``,
``scheduled``, ``commanded``, ``proving``, ``endings``. ``docs/install-states.md`` is drawn from ``TABLE``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from ..model import Install, InstallState
from . import commanded, proving, scheduled, waiting
from .endings import hold
from .happenings import (
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
)

__all__ = [
    "TABLE",
    "Approve",
    "Booted",
    "Cancel",
    "Command",
    "Context",
    "DeadlinePassed",
    "FetchFailed",
    "Fetched",
    "Freed",
    "Happening",
    "Health",
    "Hold",
    "Linked",
    "NotSent",
    "Resumed",
    "Sighted",
    "Sighting",
    "Staged",
    "Start",
    "Step",
    "TimeJumped",
    "is_worth_saving",
    "listens",
    "step",
]

S = InstallState


def step(install: Install, item: Happening, context: Context, now: datetime) -> Step:
    """Advance one install by one happening. Never raises: a pair that the table does not name changes nothing."""
    handler = TABLE.get((install.state, type(item)))
    if handler is None:
        return Step(install)
    return handler(install, item, context, now)


def listens(install: Install, item: type[Happening]) -> bool:
    """Whether a happening of this kind can change an install. Never raises."""
    return (install.state, item) in TABLE


def is_worth_saving(before: Install, after: Install) -> bool:
    """Decide whether a step is worth a write. Never raises.

    Progress is told anew after a restart. So is a bridge, and what it is told again and again waits for no disk.
    """
    volatile: dict[str, None] = {"percent": None}
    if after.state is S.UNSCHEDULING:
        volatile["deadline"] = None
    return replace(before, **volatile) != replace(after, **volatile)  # type: ignore[arg-type]


type Handler = Callable[..., Step]

_WAITING: dict[type, Handler] = {
    Start: waiting.start,
    Hold: hold,
    Freed: waiting.freed,
    Sighted: waiting.seen,
    Staged: commanded.stirred,
    TimeJumped: waiting.jumped_while_waiting,
    Cancel: waiting.cancel,
}
_COMMANDED: dict[type, Handler] = {
    NotSent: commanded.not_sent,
    Staged: scheduled.staged_at_work,
    Linked: commanded.linked,
    Booted: commanded.booted,
    Sighted: commanded.seen,
    Health: commanded.health_early,
    DeadlinePassed: commanded.deadline_passed,
    Resumed: scheduled.resumed_at_work,
    TimeJumped: commanded.time_jumped,
    Cancel: commanded.removed,
}

TABLE: dict[tuple[InstallState, type], Handler] = {
    (S.AWAITING_APPROVAL, Approve): waiting.approve,
    (S.AWAITING_APPROVAL, Cancel): waiting.cancel,
    **{(S.APPROVED, item): handler for item, handler in _WAITING.items()},
    **{(S.DEFERRED, item): handler for item, handler in _WAITING.items()},
    (S.DOWNLOADING, Fetched): waiting.fetched,
    (S.DOWNLOADING, FetchFailed): waiting.fetch_failed,
    (S.DOWNLOADING, Sighted): waiting.seen,
    (S.DOWNLOADING, Staged): commanded.stirred,
    (S.DOWNLOADING, DeadlinePassed): waiting.fetch_deadline,
    (S.DOWNLOADING, Resumed): waiting.resumed_fetching,
    (S.DOWNLOADING, TimeJumped): commanded.time_jumped,
    (S.DOWNLOADING, Cancel): waiting.cancel,
    (S.DOWNLOADED, Command): scheduled.command,
    (S.DOWNLOADED, Hold): hold,
    (S.DOWNLOADED, Sighted): waiting.seen,
    (S.DOWNLOADED, Staged): commanded.stirred,
    (S.DOWNLOADED, DeadlinePassed): waiting.silent,
    (S.DOWNLOADED, Resumed): waiting.resumed_ready,
    (S.DOWNLOADED, TimeJumped): commanded.time_jumped,
    (S.DOWNLOADED, Cancel): waiting.cancel,
    (S.SCHEDULED, NotSent): scheduled.not_sent,
    (S.SCHEDULED, Staged): scheduled.staged,
    (S.SCHEDULED, Sighted): scheduled.seen,
    (S.SCHEDULED, Hold): scheduled.recall,
    (S.SCHEDULED, DeadlinePassed): scheduled.deadline_passed,
    (S.SCHEDULED, Resumed): scheduled.interrupted,
    (S.SCHEDULED, TimeJumped): scheduled.interrupted,
    (S.SCHEDULED, Cancel): scheduled.cancel,
    (S.UNSCHEDULING, Staged): scheduled.staged_while_recalled,
    (S.UNSCHEDULING, Sighted): scheduled.seen,
    (S.UNSCHEDULING, Linked): scheduled.tell_again,
    (S.UNSCHEDULING, DeadlinePassed): scheduled.not_confirmed,
    (S.UNSCHEDULING, Resumed): scheduled.tell_again,
    (S.UNSCHEDULING, TimeJumped): commanded.time_jumped,
    (S.UNSCHEDULING, Cancel): scheduled.cancel_while_recalled,
    **{(S.INSTALLING, item): handler for item, handler in _COMMANDED.items()},
    **{(S.REBOOTING, item): handler for item, handler in _COMMANDED.items()},
    (S.VERIFYING, Sighted): proving.seen_while_verifying,
    (S.VERIFYING, Staged): proving.staged_while_verifying,
    (S.VERIFYING, Health): proving.health,
    (S.VERIFYING, Linked): proving.linked_while_verifying,
    (S.VERIFYING, DeadlinePassed): proving.verify_deadline,
    (S.VERIFYING, Resumed): proving.resumed_while_verifying,
    (S.VERIFYING, TimeJumped): commanded.time_jumped,
    (S.VERIFYING, Cancel): commanded.removed,
    (S.ROLLING_BACK, Sighted): proving.seen_while_going_back,
    (S.ROLLING_BACK, Linked): proving.ask,
    (S.ROLLING_BACK, Staged): proving.ask,
    (S.ROLLING_BACK, DeadlinePassed): proving.rollback_deadline,
    (S.ROLLING_BACK, Resumed): proving.resumed_while_going_back,
    (S.ROLLING_BACK, TimeJumped): commanded.time_jumped,
    (S.ROLLING_BACK, Cancel): commanded.removed,
    (S.TIMED_OUT, Sighted): proving.seen_after_giving_up,
    (S.FAILED, Sighted): proving.seen_after_failure,
    (S.REJECTED, Sighted): proving.seen_after_failure,
    (S.ROLLBACK_FAILED, Sighted): proving.seen_after_lost_rollback,
}
"""(state, happening) to handler. An absent pair changes nothing: it is late, early or not this state's business."""
