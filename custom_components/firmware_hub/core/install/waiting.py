"""The first part of an install: it waits for its turn, and its artifacts are fetched. No command is sent yet."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from .. import limits
from ..effects import FetchArtifacts, QueryDevice
from ..errors import Reason
from ..model import Install, InstallState as S
from . import proving
from .commanded import time_jumped
from .endings import end, hold
from .happenings import (
    Approve,
    Cancel,
    Context,
    DeadlinePassed,
    Fetched,
    FetchFailed,
    Freed,
    Hold,
    Resumed,
    Sighted,
    Sighting,
    Start,
    Step,
    TimeJumped,
)


def approve(install: Install, _item: Approve, _context: Context, _now: datetime) -> Step:
    """Take somebody's yes."""
    return Step(replace(install, state=S.APPROVED))


def cancel(install: Install, item: Cancel, _context: Context, now: datetime) -> Step:
    """End what is not wanted any more."""
    return end(install, item.verdict, item.reason, now)


def freed(install: Install, _item: Freed, _context: Context, _now: datetime) -> Step:
    """Drop the reason for waiting; whether it is really gone is asked when its turn comes."""
    return Step(replace(install, reason=None, reason_values={}, not_before=None))


def start(install: Install, _item: Start, context: Context, now: datetime) -> Step:
    """Begin by fetching, even what was fetched before: it is verified again on the way out of the cache.

    What the device loads from its vendor is not fetched, and not verified either: its owner was told so.
    """
    started = replace(
        install,
        state=S.DOWNLOADING,
        reason=None,
        reason_values={},
        not_before=None,
        deadline=now + limits.FETCH_DEADLINE,
        started_at=install.started_at or now,
    )
    if install.offer.vendor_chooses:
        return fetched(started, Fetched(), context, now)
    return Step(started, (_fetch(install),))


def _fetch(install: Install) -> FetchArtifacts:
    return FetchArtifacts(install.id, install.offer.feed_id, install.offer.release.artifacts)


def seen(install: Install, item: Sighted, context: Context, now: datetime) -> Step:
    """Take in what the device runs before anything was sent, or between two attempts."""
    match item.sighting:
        case Sighting.NEW if install.attempt_id:
            return proving.returned(replace(install, healthy=None), context, now)
        case Sighting.NEW:
            return end(install, S.ALREADY_INSTALLED, Reason.CHANGED_BY_OTHERS, now)
        case Sighting.WRONG_IDENTITY:
            return end(install, S.CANCELED, Reason.IDENTITY_CHANGED, now)
        case Sighting.OTHER:
            return end(install, S.CANCELED, Reason.CHANGED_BY_OTHERS, now, version=item.version)
        case _:
            return Step(install)


def fetched(install: Install, _item: Fetched, context: Context, now: datetime) -> Step:
    """Ask the device what it runs: the command needs its fresh word."""
    ready = replace(install, state=S.DOWNLOADED, fetched=True, fetch_failures=0, deadline=now + context.answer_time)
    return Step(ready, (QueryDevice(install.device_id),))


def fetch_failed(install: Install, item: FetchFailed, context: Context, now: datetime) -> Step:
    """Try again later, a few times, unless what came is certainly wrong."""
    failures = install.fetch_failures + 1
    install = replace(install, fetch_failures=failures)
    if item.final or failures > len(limits.FETCH_RETRY):
        return end(install, S.FAILED, item.reason, now, detail=item.detail)
    wait = Hold(item.reason, {"detail": item.detail}, now + limits.FETCH_RETRY[failures - 1])
    return hold(install, wait, context, now)


def fetch_deadline(install: Install, _item: DeadlinePassed, context: Context, now: datetime) -> Step:
    """Give up one fetch."""
    return fetch_failed(install, FetchFailed(Reason.FETCH_TIMEOUT), context, now)


def silent(install: Install, _item: DeadlinePassed, context: Context, now: datetime) -> Step:
    """Let a device be that does not answer; it is asked again later, or when it speaks by itself."""
    if not context.connected:
        return hold(install, Hold(Reason.BROKER_DISCONNECTED), context, now)
    reason = Reason.DEVICE_ASLEEP if context.sleeps else Reason.DEVICE_SILENT
    return hold(install, Hold(reason, {}, now + limits.SILENT_RETRY), context, now)


def resumed_fetching(install: Install, item: Resumed, _context: Context, now: datetime) -> Step:
    """Fetch again after a restart: where the files lie in the cache was known to the last run only."""
    if not item.restarted:
        return Step(install)
    again = replace(install, state=S.DOWNLOADING, deadline=now + limits.FETCH_DEADLINE)
    return Step(again, (_fetch(install),))


def resumed_ready(install: Install, item: Resumed, context: Context, now: datetime) -> Step:
    """Ask the device again; after a restart fetch again before that."""
    if item.restarted and not install.offer.vendor_chooses:
        return resumed_fetching(install, item, context, now)
    return Step(replace(install, deadline=now + limits.RESTART_GRACE), (QueryDevice(install.device_id),))


def jumped_while_waiting(install: Install, item: TimeJumped, context: Context, now: datetime) -> Step:
    """Look at everything anew when the clock was set; only the last attempt's deadline moves along."""
    return freed(time_jumped(install, item, context, now).install, Freed(), context, now)
