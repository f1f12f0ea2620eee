"""Is this machine's clock to be believed (design section 4, "Time"; a machine without a battery wakes up in the past).

Rules:
- The latest believed time is the high-water mark. It is kept over restarts, so that a clock behind it is found out.
- A clock more than ``CLOCK_TOLERANCE`` behind the mark is not believed. If it stays behind and runs steadily for
  ``CLOCK_FORGIVE``, the mark was wrong and comes down.
- A jump forward of more than ``CLOCK_JUMP`` between two ticks of one run is not believed until the clock has run
  steadily for ``CLOCK_SETTLE``. Until then the mark stays where it was: a jump that is taken back leaves no trace.
- A long gap before the first tick of a run is natural: the machine was switched off.
- Steady means that no step between two ticks is longer than ``CLOCK_JUMP`` or goes back more than ``CLOCK_TOLERANCE``.

While the clock is not believed nothing starts, and no manifest is judged by its dates.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from . import limits


class Doubt(StrEnum):
    """Why the clock is not believed."""

    NONE = "none"
    BEHIND = "behind"
    JUMPED = "jumped"


@dataclass(frozen=True, slots=True)
class Clock:
    """What is known about the clock. Times are aware UTC, as this clock told them.

    Attributes:
        high_water: the latest believed time, the only value that is kept over restarts; ``None`` on the first day.
        last_tick: the time of the tick before; ``None`` at the start of a run.
        since: when the present doubt began, or when the clock last ran unsteadily under it.
    """

    high_water: datetime | None = None
    last_tick: datetime | None = None
    doubt: Doubt = Doubt.NONE
    since: datetime | None = None


def tick(clock: Clock, now: datetime) -> Clock:
    """Return what is known after the clock showed ``now``. Never raises."""
    step = timedelta() if clock.last_tick is None else now - clock.last_tick
    steady = -limits.CLOCK_TOLERANCE <= step <= limits.CLOCK_JUMP
    doubt = _doubt(clock, now, step)
    if doubt is Doubt.NONE:
        return _believe(clock, now)
    began = clock.since if steady and doubt is clock.doubt else None
    since = now if began is None else began
    if now - since >= _patience(doubt):
        return Clock(high_water=now, last_tick=now)
    return replace(clock, last_tick=now, doubt=doubt, since=since)


def trusted(clock: Clock, now: datetime) -> bool:
    """Say whether the time ``now`` is to be believed, judged as if the clock ticked at this moment. Never raises."""
    return tick(clock, now).doubt is Doubt.NONE


def to_text(clock: Clock) -> str:
    """Return the part that is kept over restarts: the mark in ISO 8601, empty if there is none. Never raises."""
    return "" if clock.high_water is None else clock.high_water.isoformat()


def from_text(text: str) -> Clock:
    """Return the clock at the start of a run. Never raises: a text that is no aware time is no mark."""
    try:
        mark = datetime.fromisoformat(text)
    except ValueError:
        return Clock()
    return Clock(high_water=mark) if mark.tzinfo is not None else Clock()


def _doubt(clock: Clock, now: datetime, step: timedelta) -> Doubt:
    """Judge one tick by itself, before asking how long the doubt has lasted."""
    if step > limits.CLOCK_JUMP:
        return Doubt.JUMPED
    if clock.high_water is None:
        return Doubt.NONE
    if now < clock.high_water - limits.CLOCK_TOLERANCE:
        return Doubt.BEHIND
    if clock.doubt is Doubt.JUMPED and not _taken_back(clock.high_water, now, step):
        return Doubt.JUMPED
    return Doubt.NONE


def _taken_back(high_water: datetime, now: datetime, step: timedelta) -> bool:
    """Say whether a jump was corrected: the clock stepped back to where it would be without the jump."""
    return step < -limits.CLOCK_TOLERANCE and now - high_water <= limits.CLOCK_JUMP


def _believe(clock: Clock, now: datetime) -> Clock:
    """Return the clock with its mark at ``now``, unless the mark is ahead within the tolerance."""
    mark = now if clock.high_water is None else max(clock.high_water, now)
    return Clock(high_water=mark, last_tick=now)


def _patience(doubt: Doubt) -> timedelta:
    """Return how long a clock must run steadily before it is believed again."""
    return limits.CLOCK_FORGIVE if doubt is Doubt.BEHIND else limits.CLOCK_SETTLE
