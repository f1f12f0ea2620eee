"""What holds for every zone, every window and every moment."""

from datetime import UTC, datetime, time, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import assume, given, settings, strategies as st

from custom_components.firmware_hub.core.settings import Settings
from custom_components.firmware_hub.core.window import Opening, Window

ZONES = st.sampled_from(sorted(available_timezones() - {"localtime", "posixrules", "Factory"})).map(ZoneInfo)
WALL_TIMES = st.integers(0, 24 * 60 - 1).map(lambda minute: time(minute // 60, minute % 60))
WEEKDAYS = st.frozensets(st.integers(0, 6), min_size=1)
MOMENTS = st.integers(0, 33 * 366 * 86_400).map(lambda second: datetime(2005, 1, 1, tzinfo=UTC) + timedelta(0, second))
WINDOWS = st.builds(
    lambda zone, start, end, days: Window(Settings(zone, start, end, days)), ZONES, WALL_TIMES, WALL_TIMES, WEEKDAYS
)
EXAMPLES = settings(max_examples=300)


def following(window: Window, moment: datetime, count: int) -> list[Opening]:
    found = []
    for _ in range(count):
        opening = window.next_opening(moment)
        assert opening is not None
        found.append(opening)
        moment = opening.start
    return found


@EXAMPLES
@given(WINDOWS, MOMENTS)
def test_every_opening_ends_after_it_starts(window: Window, moment: datetime) -> None:
    assert all(opening.start < opening.end for opening in following(window, moment, 9))


@EXAMPLES
@given(WINDOWS, MOMENTS)
def test_openings_never_overlap(window: Window, moment: datetime) -> None:
    assert all(left.end <= right.start for left, right in pairwise(following(window, moment, 9)))


@EXAMPLES
@given(WINDOWS, MOMENTS)
def test_the_next_opening_is_the_current_one_once_it_has_begun(window: Window, moment: datetime) -> None:
    opening = window.next_opening(moment)
    assert opening is not None
    assert opening.start > moment
    assert window.current(opening.start) == opening
    assert window.current(opening.end - timedelta(microseconds=1)) == opening
    assert window.current(opening.end) != opening


@EXAMPLES
@given(WINDOWS, MOMENTS)
def test_between_now_and_the_next_opening_only_the_current_one_is_open(window: Window, moment: datetime) -> None:
    current, coming = window.current(moment), window.next_opening(moment)
    assert coming is not None
    assert current is None or current.start <= moment < current.end <= coming.start
    assert window.current(coming.start - timedelta(microseconds=1)) in {None, current}


@EXAMPLES
@given(WINDOWS, MOMENTS)
def test_an_opening_found_at_any_moment_is_the_same(window: Window, moment: datetime) -> None:
    opening = window.next_opening(moment)
    assert opening is not None
    assert window.current(opening.start + (opening.end - opening.start) / 2) == opening
    assert window.next_opening(opening.start - timedelta(microseconds=1)) == opening


@EXAMPLES
@given(WINDOWS, MOMENTS, st.timedeltas(timedelta(), timedelta(days=3)))
def test_what_fits_at_the_start_of_a_coming_opening_can_ever_fit(
    window: Window, moment: datetime, duration: timedelta
) -> None:
    opening = window.next_opening(moment)
    assert opening is not None
    assume(window.outlook(opening.start).fits(duration))
    assert window.could_ever_fit(duration, opening.start - timedelta(microseconds=1))


@EXAMPLES
@given(st.integers(-12, 14), WALL_TIMES, WALL_TIMES, MOMENTS)
def test_in_a_zone_without_changes_the_wall_clock_alone_decides(
    hours: int, start: time, end: time, moment: datetime
) -> None:
    zone = timezone(timedelta(hours=hours))
    wall = moment.astimezone(zone).time()
    between = start <= wall < end if start < end else wall >= start or wall < end
    assert (Window(Settings(zone, start, end)).current(moment) is not None) is between
