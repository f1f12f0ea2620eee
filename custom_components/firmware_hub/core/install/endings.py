"""How an install stops for now, or for good."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from ..effects import Effect, StopServing, TakeBack
from ..errors import Reason
from ..model import Install, InstallState as S
from .happenings import Context, Hold, Sighted, Sighting, Step


def end(install: Install, verdict: S, reason: Reason | None, now: datetime, **values: str) -> Step:
    """Give a verdict; ``values`` are the words for its reason's sentence. What a bridge may hold is taken back."""
    ended = replace(
        install,
        state=verdict,
        reason=reason,
        reason_values=(values or install.reason_values) if reason else {},
        deadline=None,
        not_before=None,
        ended_at=now,
        handed_over=False,
        ends_as=None,
    )
    return Step(ended, (StopServing(install.id), *taken_back(install)))


def taken_back(install: Install) -> tuple[Effect, ...]:
    """Order the bridge not to wait any more, where it may still do so."""
    return (TakeBack(install.id, install.attempt_id, install.device_id),) if install.handed_over else ()


def hold(install: Install, item: Hold, _context: Context, _now: datetime) -> Step:
    """Let an install wait, with the reason that a person reads."""
    return Step(
        replace(
            install,
            state=S.DEFERRED,
            reason=item.reason,
            reason_values=item.values,
            not_before=item.not_before,
            deadline=None,
            handed_over=False,
        ),
        taken_back(install),
    )


def came_back_old(install: Install, context: Context, now: datetime) -> Step:
    """Judge a device that restarted and runs the old version: its other slot saved it, or nothing happened to it."""
    if context.slots > 1 and context.capabilities.rolls_back:
        return end(install, S.ROLLED_BACK, Reason.SELF_ROLLBACK, now)
    return end(install, S.FAILED, Reason.CAME_BACK_OLD, now)


def came_back_strange(install: Install, item: Sighted, now: datetime) -> Step:
    """Judge a device that is neither on the old nor on the wanted version, or not where or what it was."""
    match item.sighting:
        case Sighting.MOVED:
            return end(install, S.FAILED, Reason.SETTINGS_LOST, now)
        case Sighting.WRONG_IDENTITY:
            return end(install, S.FAILED, Reason.WRONG_IMAGE, now)
        case _:
            return end(install, S.FAILED, Reason.CAME_BACK_OTHER, now, version=item.version)
