"""The window on ordinary days: open or closed, weekdays, over midnight, whole days, what fits."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from custom_components.firmware_hub.core.settings import Settings
from custom_components.firmware_hub.core.window import Opening, Window

MONDAY, TUESDAY, SATURDAY, SUNDAY = 0, 1, 5, 6


def utc(day: int, hour: int = 0, minute: int = 0) -> datetime:
    """A time in June 2027; the first is a Tuesday."""
    return datetime(2027, 6, day, hour, minute, tzinfo=UTC)


def window(start: int = 0, end: int = 5, *weekdays: int, zone: str = "UTC") -> Window:
    days = frozenset(weekdays or range(7))
    return Window(Settings(zone=ZoneInfo(zone), window_start=time(start), window_end=time(end), weekdays=days))


def test_the_window_is_open_at_its_start() -> None:
    assert window().current(utc(2)) == Opening(utc(2), utc(2, 5))


def test_the_window_is_closed_at_its_end() -> None:
    assert window().current(utc(2, 5)) is None


def test_the_window_is_open_until_just_before_its_end() -> None:
    assert window().current(utc(2, 5) - timedelta(microseconds=1)) == Opening(utc(2), utc(2, 5))


def test_the_window_is_closed_just_before_its_start() -> None:
    assert window().current(utc(2) - timedelta(microseconds=1)) is None


def test_the_next_opening_is_the_one_of_the_coming_night() -> None:
    assert window().next_opening(utc(2, 12)) == Opening(utc(3), utc(3, 5))


def test_the_next_opening_while_open_is_not_the_present_one() -> None:
    assert window().next_opening(utc(2)) == Opening(utc(3), utc(3, 5))


def test_a_window_found_open_late_is_still_used() -> None:
    assert window().current(utc(2, 1)) == Opening(utc(2), utc(2, 5))


def test_the_wall_times_are_those_of_the_zone() -> None:
    assert window(zone="Asia/Tokyo").current(utc(2, 16)) == Opening(utc(2, 15), utc(2, 20))


def test_the_weekday_is_the_local_one() -> None:
    assert window(0, 5, TUESDAY, zone="Asia/Tokyo").next_opening(utc(5)) == Opening(utc(7, 15), utc(7, 20))


def test_a_day_that_is_not_chosen_has_no_opening() -> None:
    assert window(0, 5, MONDAY).current(utc(2, 1)) is None


def test_the_next_opening_may_be_a_week_away() -> None:
    assert window(0, 5, TUESDAY).next_opening(utc(1)) == Opening(utc(8), utc(8, 5))


def test_without_weekdays_the_window_never_opens() -> None:
    never = Window(Settings(weekdays=frozenset()))
    assert never.current(utc(2)) is None
    assert never.next_opening(utc(2)) is None


def test_without_weekdays_nothing_fits() -> None:
    assert not Window(Settings(weekdays=frozenset())).could_ever_fit(timedelta(minutes=1), utc(2))


def test_a_window_over_midnight_ends_on_the_next_day() -> None:
    assert window(22, 4).current(utc(2, 1)) == Opening(utc(1, 22), utc(2, 4))


def test_a_window_over_midnight_belongs_to_the_day_of_its_start() -> None:
    saturday_night = window(22, 4, SATURDAY)
    assert saturday_night.current(utc(6, 1)) == Opening(utc(5, 22), utc(6, 4))
    assert saturday_night.current(utc(5, 1)) is None


def test_an_end_at_the_start_makes_a_whole_day() -> None:
    assert window(3, 3).current(utc(2, 1)) == Opening(utc(1, 3), utc(2, 3))


def test_a_whole_day_opens_again_at_once() -> None:
    assert window(3, 3).next_opening(utc(2, 1)) == Opening(utc(2, 3), utc(3, 3))


def test_something_that_ends_exactly_with_the_window_fits() -> None:
    assert window().outlook(utc(2, 4)).fits(timedelta(hours=1))


def test_something_that_ends_after_the_window_does_not_fit() -> None:
    assert not window().outlook(utc(2, 4)).fits(timedelta(hours=1, seconds=1))


def test_nothing_fits_while_the_window_is_closed() -> None:
    assert not window().outlook(utc(2, 12)).fits(timedelta())


def test_whole_days_that_touch_are_one_stretch() -> None:
    assert window(0, 0).outlook(utc(2, 23)).fits(timedelta(hours=30))


def test_a_stretch_of_whole_days_ends_with_the_last_chosen_day() -> None:
    weekend = window(0, 0, SATURDAY, SUNDAY)
    assert weekend.outlook(utc(5, 12)).fits(timedelta(hours=36))
    assert not weekend.outlook(utc(5, 12)).fits(timedelta(hours=36, seconds=1))


def test_the_last_day_of_a_stretch_is_not_longer_than_itself() -> None:
    assert not window(0, 0, SATURDAY, SUNDAY).outlook(utc(6, 12)).fits(timedelta(hours=13))


@pytest.mark.parametrize(("hours", "expected"), [(5, True), (6, False)])
def test_what_is_longer_than_every_opening_never_fits(hours: int, expected: bool) -> None:
    assert window().could_ever_fit(timedelta(hours=hours), utc(2, 12)) is expected


def test_the_longest_stretch_of_a_weekend_is_two_days() -> None:
    assert window(0, 0, SATURDAY, SUNDAY).longest(utc(2)) == timedelta(hours=48)


def test_the_longest_stretch_looks_one_week_ahead() -> None:
    assert window(0, 5, TUESDAY).longest(utc(1)) == timedelta(hours=5)


def test_a_change_of_the_zone_inside_the_window_closes_it() -> None:
    now = utc(2, 1)
    assert window(zone="UTC").current(now) is not None
    assert window(zone="Asia/Tokyo").current(now) is None
