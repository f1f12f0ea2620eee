"""The window in nights unlike the others: hours that are missing, that come twice, days that never were."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from custom_components.firmware_hub.core.settings import Settings
from custom_components.firmware_hub.core.window import Opening, Window


def window(
    zone: str, start: str = "00:00", end: str = "05:00", weekdays: frozenset[int] = frozenset(range(7))
) -> Window:
    return Window(Settings(ZoneInfo(zone), time.fromisoformat(start), time.fromisoformat(end), weekdays))


def local(text: str, zone: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)


def opening(zone: str, evening: str, start: str = "00:00", end: str = "05:00") -> Opening:
    """The first opening after noon of the day before."""
    found = window(zone, start, end).next_opening(local(evening, zone).astimezone(UTC))
    assert found is not None
    return found


def length(found: Opening) -> timedelta:
    return found.end - found.start


@pytest.mark.parametrize(
    ("zone", "evening"),
    [
        ("Europe/Berlin", "2027-03-27 12:00"),
        ("America/New_York", "2027-03-13 12:00"),
        ("Australia/Sydney", "2027-10-02 12:00"),
    ],
)
def test_a_night_with_a_missing_hour_has_four_hours(zone: str, evening: str) -> None:
    assert length(opening(zone, evening)) == timedelta(hours=4)


@pytest.mark.parametrize(
    ("zone", "evening"),
    [
        ("Europe/Berlin", "2027-10-30 12:00"),
        ("America/New_York", "2027-11-06 12:00"),
        ("America/Havana", "2027-11-06 12:00"),
        ("Atlantic/Azores", "2027-10-30 12:00"),
    ],
)
def test_a_night_with_a_repeated_hour_has_six_hours(zone: str, evening: str) -> None:
    assert length(opening(zone, evening)) == timedelta(hours=6)


def test_a_night_of_half_an_hour_less_is_that_much_shorter() -> None:
    assert length(opening("Australia/Lord_Howe", "2027-10-02 12:00")) == timedelta(hours=4, minutes=30)


def test_something_of_five_hours_does_not_fit_into_the_night_of_four() -> None:
    berlin = window("Europe/Berlin")
    midnight = local("2027-03-28 00:00", "Europe/Berlin").astimezone(UTC)
    assert berlin.outlook(midnight).fits(timedelta(hours=4))
    assert not berlin.outlook(midnight).fits(timedelta(hours=4, seconds=1))


def test_something_of_six_hours_fits_into_the_night_of_six() -> None:
    midnight = local("2027-10-31 00:00", "Europe/Berlin").astimezone(UTC)
    assert window("Europe/Berlin").outlook(midnight).fits(timedelta(hours=6))


@pytest.mark.parametrize(
    ("zone", "evening", "start"),
    [
        ("America/Santiago", "2027-09-04 12:00", "2027-09-05 01:00"),
        ("Africa/Cairo", "2027-04-29 12:00", "2027-04-30 01:00"),
        ("Asia/Beirut", "2027-03-27 12:00", "2027-03-28 01:00"),
        ("Atlantic/Azores", "2027-03-27 12:00", "2027-03-28 01:00"),
    ],
)
def test_a_missing_midnight_starts_the_window_at_one_o_clock(zone: str, evening: str, start: str) -> None:
    found = opening(zone, evening)
    assert found == Opening(local(start, zone).astimezone(UTC), found.end)
    assert length(found) == timedelta(hours=4)


def test_the_night_of_a_missing_midnight_belongs_to_its_own_day() -> None:
    sunday = window("America/Santiago", weekdays=frozenset({6}))
    found = sunday.next_opening(local("2027-09-04 12:00", "America/Santiago").astimezone(UTC))
    assert found == opening("America/Santiago", "2027-09-04 12:00")


def test_a_repeated_hour_before_midnight_does_not_open_the_window_early() -> None:
    zone = "America/Santiago"  # on 2027-04-04 the clocks go from 24:00 back to 23:00 of the Saturday
    repeated = local("2027-04-03 23:30", zone, fold=1).astimezone(UTC)
    assert window(zone).current(repeated) is None
    assert opening(zone, "2027-04-03 12:00").start == repeated + timedelta(minutes=30)


def test_a_start_that_comes_twice_is_the_first_one() -> None:
    found = opening("Europe/Berlin", "2027-10-30 12:00", "02:30", "04:00")
    assert found.start == datetime(2027, 10, 31, 0, 30, tzinfo=UTC)


def test_an_end_that_comes_twice_is_the_second_one() -> None:
    found = opening("Europe/Berlin", "2027-10-30 12:00", "00:00", "02:30")
    assert found.end == datetime(2027, 10, 31, 1, 30, tzinfo=UTC)


def test_a_window_inside_the_repeated_hour_opens_once() -> None:
    berlin = window("Europe/Berlin", "02:10", "02:50")
    first = berlin.next_opening(datetime(2027, 10, 30, 12, tzinfo=UTC))
    assert first == Opening(datetime(2027, 10, 31, 0, 10, tzinfo=UTC), datetime(2027, 10, 31, 1, 50, tzinfo=UTC))
    assert berlin.next_opening(first.start) == Opening(
        datetime(2027, 11, 1, 1, 10, tzinfo=UTC), datetime(2027, 11, 1, 1, 50, tzinfo=UTC)
    )


def test_a_start_that_is_missing_is_the_first_moment_after_the_gap() -> None:
    found = opening("Europe/Berlin", "2027-03-27 12:00", "02:30", "05:00")
    assert found.start == datetime(2027, 3, 28, 1, 0, tzinfo=UTC)


def test_an_end_that_is_missing_is_the_first_moment_after_the_gap() -> None:
    found = opening("Europe/Berlin", "2027-03-27 12:00", "00:00", "02:30")
    assert found.end == datetime(2027, 3, 28, 1, 0, tzinfo=UTC)


def test_a_window_inside_the_missing_hour_does_not_exist_that_night() -> None:
    found = opening("Europe/Berlin", "2027-03-27 12:00", "02:10", "02:50")
    assert found.start == datetime(2027, 3, 29, 0, 10, tzinfo=UTC)


def test_a_weekly_window_inside_the_missing_hour_opens_a_week_later() -> None:
    sunday = window("Europe/Berlin", "02:10", "02:50", frozenset({6}))
    found = sunday.next_opening(datetime(2027, 3, 27, 12, tzinfo=UTC))
    assert found == Opening(datetime(2027, 4, 4, 0, 10, tzinfo=UTC), datetime(2027, 4, 4, 0, 50, tzinfo=UTC))


def test_the_first_night_after_the_change_is_at_the_right_hour() -> None:
    found = opening("Europe/Berlin", "2027-03-28 12:00")
    assert found == Opening(datetime(2027, 3, 28, 22, tzinfo=UTC), datetime(2027, 3, 29, 3, tzinfo=UTC))


def test_an_end_asked_for_before_the_change_is_right_after_it() -> None:
    berlin = window("Europe/Berlin", "22:00", "04:00")
    before = berlin.current(datetime(2027, 3, 27, 22, tzinfo=UTC))
    after = berlin.current(datetime(2027, 3, 28, 1, 30, tzinfo=UTC))
    assert before == after == Opening(datetime(2027, 3, 27, 21, tzinfo=UTC), datetime(2027, 3, 28, 2, tzinfo=UTC))


def test_a_whole_day_with_a_repeated_hour_ends_where_the_next_one_starts() -> None:
    berlin = window("Europe/Berlin", "02:30", "02:30")
    found = berlin.current(datetime(2027, 10, 30, 12, tzinfo=UTC))
    assert found == Opening(datetime(2027, 10, 30, 0, 30, tzinfo=UTC), datetime(2027, 10, 31, 0, 30, tzinfo=UTC))
    assert length(opening("Europe/Berlin", "2027-10-30 12:00", "02:30", "02:30")) == timedelta(hours=25)


def test_an_end_that_comes_again_after_the_next_start_ends_at_that_start() -> None:
    berlin = window("Europe/Berlin", "02:45", "02:15")
    found = berlin.current(datetime(2027, 10, 30, 12, tzinfo=UTC))
    assert found == Opening(datetime(2027, 10, 30, 0, 45, tzinfo=UTC), datetime(2027, 10, 31, 0, 45, tzinfo=UTC))


def test_a_day_that_never_was_has_no_opening() -> None:
    zone = "Pacific/Apia"  # 2011-12-30 was left out
    found = opening(zone, "2011-12-29 12:00")
    assert found == Opening(
        local("2011-12-31 00:00", zone).astimezone(UTC), local("2011-12-31 05:00", zone).astimezone(UTC)
    )


def test_a_night_into_a_day_that_never_was_ends_with_the_last_real_day() -> None:
    zone = "Pacific/Apia"
    found = opening(zone, "2011-12-29 12:00", "22:00", "04:00")
    assert found.end == local("2011-12-31 00:00", zone).astimezone(UTC)


def test_midnight_that_came_a_minute_early_and_again_opens_at_the_first() -> None:
    zone = "America/St_Johns"  # until 2011 the clocks went back from 00:01 to 23:01
    found = opening(zone, "2010-11-06 12:00")
    assert found.start == local("2010-11-07 00:00", zone, fold=0).astimezone(UTC)
    assert window(zone).current(local("2010-11-06 23:30", zone, fold=1).astimezone(UTC)) == found
