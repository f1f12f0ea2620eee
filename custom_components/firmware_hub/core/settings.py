"""What the owner can set. Applied in place, never by a reload (design section 4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, time, timedelta, tzinfo

from . import limits

EVERY_DAY = frozenset(range(7))


@dataclass(frozen=True, slots=True)
class Settings:
    """The owner's settings.

    Attributes:
        zone: Home Assistant's time zone, in which the window's wall times are meant.
        window_start, window_end: wall times; an end at or before the start lies on the next day.
        weekdays: days (0 is Monday) on which a window may open; the day of its start counts.
        parallel_installs: at most so many run at a time per network.
        pilot_settle: how long the first device of a release must stay well before the others follow.
        paused: nothing new starts.
        any_time: devices that may be installed at any hour, by their owner's word.
    """

    zone: tzinfo = UTC
    window_start: time = time(0, 0)
    window_end: time = time(5, 0)
    weekdays: frozenset[int] = EVERY_DAY
    parallel_installs: int = limits.PARALLEL_INSTALLS
    pilot_settle: timedelta = limits.PILOT_SETTLE
    paused: bool = False
    any_time: frozenset[str] = field(default_factory=frozenset)
