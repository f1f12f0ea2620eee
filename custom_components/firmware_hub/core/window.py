"""The quiet window: is it open now, when does it open next, does something fit into it (design section 4, "Time").

Rules:
- Everything is asked and answered in UTC; wall times become instants through the zone's rules at each question. No
  answer depends on an earlier one or on a timer that fired.
- An opening belongs to the local day of its start; ``weekdays`` judges that day. An end at or before the start lies on
  the next day; an end equal to the start makes an opening of one whole day.
- A start that the clocks skip is the first real instant after it, and so is an end: a window of 00:00-05:00 lasts four
  hours when 02:00-03:00 is missing, and starts at 01:00 where midnight is missing.
- A start that comes twice is the first one, an end that comes twice is the second one: the same window lasts six hours
  when 02:00-03:00 comes twice, and it opens once.
- Openings never overlap: each ends at the latest where the next day's would start. One that a skipped hour leaves
  without any length does not exist.
- Openings that touch are one stretch for the question whether something fits, so that a window of all hours on all
  days never turns anything away.
- The start belongs to the opening, the end does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache

from .settings import Settings

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_WEEK = timedelta(days=7)
_DAYS_BACK = 1  # an opening ends before the next day's begins, so no earlier day's can reach into today
_DAYS_AHEAD = 30  # a weekly opening can be swallowed by a skipped hour, but not four weeks running
_LONGEST_STRETCH = 8  # openings; a week of whole days that touch repeats for ever


@dataclass(frozen=True, slots=True)
class Opening:
    """One night of the window: from ``start`` (aware UTC, included) to ``end`` (aware UTC, not included)."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the window says at one moment: the same for all installs that ask at it, so it is worked out once for all.

    Attributes:
        closes: when the stretch that ``now`` lies in is over; ``None`` while the window is closed.
        opens: when it opens next; ``None`` only if no weekday is chosen.
    """

    now: datetime
    closes: datetime | None
    opens: datetime | None

    def fits(self, duration: timedelta) -> bool:
        """Say whether the window is open and stays open for ``duration``; ending exactly at its end fits."""
        return self.closes is not None and self.now + duration <= self.closes


@dataclass(frozen=True, slots=True)
class Window:
    """The window of these settings. Never raises for times between the years 2 and 9998."""

    settings: Settings

    def current(self, now: datetime) -> Opening | None:
        """Return the opening that ``now`` lies in; ``None`` while the window is closed."""
        for opening in self._openings_around(now):
            if opening.start > now:
                return None
            if now < opening.end:
                return opening
        return None

    def next_opening(self, now: datetime) -> Opening | None:
        """Return the first opening that begins after ``now``; ``None`` only if no weekday is chosen."""
        return next((opening for opening in self._openings_around(now) if opening.start > now), None)

    def outlook(self, now: datetime) -> Outlook:
        """Return what there is to say at ``now``."""
        following = self.next_opening(now)
        return Outlook(now, self.closes(now), following.start if following else None)

    def closes(self, now: datetime) -> datetime | None:
        """Return when the stretch that ``now`` lies in is over; ``None`` while the window is closed."""
        opening = self.current(now)
        return None if opening is None else self._end_of_stretch(opening)

    def longest(self, now: datetime) -> timedelta:
        """Return the length of the longest stretch that begins within a week after ``now``; zero if there is none."""
        longest = timedelta()
        for opening in self._openings_around(now):
            if opening.start > now + _WEEK:
                break
            if opening.start > now:
                longest = max(longest, self._end_of_stretch(opening) - opening.start)
        return longest

    def could_ever_fit(self, duration: timedelta, now: datetime) -> bool:
        """Say whether any stretch that begins within a week after ``now`` is as long as ``duration``."""
        return duration <= self.longest(now)

    def _openings_around(self, now: datetime) -> Iterator[Opening]:
        """Yield openings in their order, beginning with one that may hold ``now``."""
        settings = self.settings
        today = now.astimezone(settings.zone).date()
        for days in range(-_DAYS_BACK, _DAYS_AHEAD):
            day = today + timedelta(days=days)
            if day.weekday() in settings.weekdays:
                opening = _opening_of(day, settings.window_start, settings.window_end, settings.zone)
                if opening is not None:
                    yield opening

    def _end_of_stretch(self, opening: Opening) -> datetime:
        """Return the end of the last of the openings that touch, beginning with this one."""
        end = opening.end
        for _ in range(_LONGEST_STRETCH):
            following = self.next_opening(opening.start)
            if following is None or following.start != end:
                break
            opening, end = following, following.end
        return end


@lru_cache(maxsize=256)
def _opening_of(day: date, start: time, end: time, zone: tzinfo) -> Opening | None:
    """Return the opening that belongs to a local day; ``None`` if the clocks skip all of it.

    The answer for a day cannot change while a zone object lives; a change of the zone is another object.
    """
    last_day = day if end > start else day + _DAY
    first = _instant(datetime.combine(day, start), zone, repeated=0)
    last = _instant(datetime.combine(last_day, end), zone, repeated=1)
    last = min(last, _instant(datetime.combine(day + _DAY, start), zone, repeated=0))
    return Opening(first, last) if first < last else None


def _instant(wall: datetime, zone: tzinfo, *, repeated: int) -> datetime:
    """Return the UTC instant of a wall time: the first (0) or second (1) of two, the next real one if it is skipped."""
    first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if second < first:  # PEP 495: read with fold=1 a skipped wall time lies before the jump, with fold=0 behind it
        return _end_of_gap(wall, zone, second, first)
    return second if repeated else first


def _end_of_gap(wall: datetime, zone: tzinfo, before: datetime, after: datetime) -> datetime:
    """Return the instant, to the second, at which the clocks jumped over ``wall``, between the two given ones."""
    while after - before > _SECOND:
        middle = (before + (after - before) / 2).replace(microsecond=0)
        if middle.astimezone(zone).replace(tzinfo=None) < wall:
            before = middle
        else:
            after = middle
    return after
