"""A clock that is behind, that jumps, that is corrected, and that was right all along."""

from datetime import UTC, datetime, timedelta

import pytest

from custom_components.firmware_hub.core import limits
from custom_components.firmware_hub.core.clock import Clock, Doubt, from_text, tick, to_text, trusted

NOON = datetime(2027, 6, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def run(clock: Clock, start: datetime, duration: timedelta, step: timedelta = MINUTE) -> Clock:
    """Tick from ``start`` to ``start + duration``, both included."""
    for number in range(duration // step + 1):
        clock = tick(clock, start + number * step)
    return clock


def test_a_clock_that_was_never_seen_is_believed() -> None:
    assert trusted(Clock(), NOON)


def test_a_clock_that_runs_on_is_believed_and_raises_the_mark() -> None:
    clock = run(Clock(), NOON, HOUR)
    assert clock == Clock(high_water=NOON + HOUR, last_tick=NOON + HOUR)


def test_a_long_gap_before_the_first_tick_is_natural() -> None:
    clock = tick(Clock(high_water=NOON), NOON + timedelta(days=90))
    assert clock.doubt is Doubt.NONE
    assert clock.high_water == NOON + timedelta(days=90)


def test_a_clock_behind_the_mark_after_a_start_is_not_believed() -> None:
    clock = tick(Clock(high_water=NOON), NOON - HOUR)
    assert clock.doubt is Doubt.BEHIND
    assert clock.high_water == NOON


@pytest.mark.parametrize(("beyond", "expected"), [(timedelta(), True), (SECOND, False)])
def test_a_clock_may_be_behind_by_the_tolerance(beyond: timedelta, expected: bool) -> None:
    assert trusted(Clock(high_water=NOON), NOON - limits.CLOCK_TOLERANCE - beyond) is expected


def test_a_clock_within_the_tolerance_does_not_lower_the_mark() -> None:
    assert tick(Clock(high_water=NOON), NOON - SECOND).high_water == NOON


def test_a_clock_behind_is_believed_as_soon_as_it_has_caught_up() -> None:
    clock = run(Clock(high_water=NOON), NOON - HOUR, HOUR)
    assert clock == Clock(high_water=NOON, last_tick=NOON)


def test_a_clock_set_right_by_a_small_step_is_believed_at_once() -> None:
    clock = tick(tick(Clock(high_water=NOON), NOON - HOUR), NOON + MINUTE)
    assert clock.doubt is Doubt.NONE


def test_a_clock_that_woke_up_in_the_past_must_settle_after_it_was_set_right() -> None:
    clock = tick(Clock(high_water=NOON), datetime(1970, 1, 1, tzinfo=UTC))
    clock = tick(clock, NOON + HOUR)
    assert clock.doubt is Doubt.JUMPED
    assert run(clock, NOON + HOUR + MINUTE, limits.CLOCK_SETTLE).doubt is Doubt.NONE


def test_a_clock_that_goes_back_while_running_is_not_believed() -> None:
    clock = run(Clock(), NOON, HOUR)
    assert not trusted(clock, NOON)


@pytest.mark.parametrize(("beyond", "expected"), [(timedelta(), True), (SECOND, False)])
def test_a_step_forward_may_be_as_long_as_the_limit(beyond: timedelta, expected: bool) -> None:
    assert trusted(tick(Clock(), NOON), NOON + limits.CLOCK_JUMP + beyond) is expected


def test_a_jump_forward_does_not_raise_the_mark() -> None:
    clock = run(tick(Clock(), NOON), NOON + 24 * HOUR, limits.CLOCK_SETTLE - MINUTE)
    assert clock.doubt is Doubt.JUMPED
    assert clock.high_water == NOON


def test_a_jump_is_believed_after_the_clock_ran_steadily() -> None:
    clock = run(tick(Clock(), NOON), NOON + 24 * HOUR, limits.CLOCK_SETTLE)
    assert clock.doubt is Doubt.NONE
    assert clock.high_water == NOON + 24 * HOUR + limits.CLOCK_SETTLE


def test_a_second_jump_starts_the_settling_again() -> None:
    clock = run(tick(Clock(), NOON), NOON + 24 * HOUR, limits.CLOCK_SETTLE - MINUTE)
    clock = tick(clock, NOON + 48 * HOUR)
    assert run(clock, NOON + 48 * HOUR, limits.CLOCK_SETTLE - MINUTE).doubt is Doubt.JUMPED
    assert run(clock, NOON + 48 * HOUR, limits.CLOCK_SETTLE).doubt is Doubt.NONE


def test_a_jump_that_is_taken_back_leaves_no_trace() -> None:
    clock = tick(tick(Clock(), NOON), NOON + 24 * HOUR)
    assert tick(clock, NOON + MINUTE) == Clock(high_water=NOON + MINUTE, last_tick=NOON + MINUTE)


def test_a_jump_taken_back_only_in_part_must_settle_again() -> None:
    clock = run(tick(Clock(), NOON), NOON + 24 * HOUR, limits.CLOCK_SETTLE - MINUTE)
    clock = tick(clock, NOON + 12 * HOUR)
    assert clock.doubt is Doubt.JUMPED
    assert clock.since == NOON + 12 * HOUR


def test_a_jump_taken_back_too_far_is_behind() -> None:
    clock = tick(tick(Clock(), NOON), NOON + 24 * HOUR)
    clock = tick(clock, NOON - HOUR)
    assert clock.doubt is Doubt.BEHIND
    assert clock.since == NOON - HOUR


def test_a_clock_that_stays_behind_was_right_in_the_end() -> None:
    start = NOON - timedelta(days=100)
    clock = run(Clock(high_water=NOON), start, limits.CLOCK_FORGIVE)
    assert clock == Clock(high_water=start + limits.CLOCK_FORGIVE, last_tick=start + limits.CLOCK_FORGIVE)


def test_a_clock_that_stays_behind_is_not_believed_a_minute_earlier() -> None:
    clock = run(Clock(high_water=NOON), NOON - timedelta(days=100), limits.CLOCK_FORGIVE - MINUTE)
    assert clock.doubt is Doubt.BEHIND
    assert clock.high_water == NOON


def test_a_step_back_while_behind_starts_the_waiting_again() -> None:
    start = NOON - timedelta(days=100)
    clock = run(Clock(high_water=NOON), start, limits.CLOCK_FORGIVE - MINUTE)
    assert tick(clock, start).since == start


def test_asking_does_not_wait_for_the_next_tick() -> None:
    clock = tick(Clock(), NOON)
    assert not trusted(clock, NOON + 3 * HOUR)


def test_the_mark_survives_a_restart() -> None:
    assert from_text(to_text(tick(Clock(), NOON))) == Clock(high_water=NOON)


def test_a_clock_without_a_mark_survives_a_restart() -> None:
    assert from_text(to_text(Clock())) == Clock()


@pytest.mark.parametrize("text", ["", "yesterday", "2027-06-01T12:00:00"])
def test_a_text_that_is_no_aware_time_is_no_mark(text: str) -> None:
    assert from_text(text) == Clock()


def test_doubt_does_not_survive_a_restart_but_the_old_mark_does() -> None:
    clock = tick(tick(Clock(), NOON), NOON + 24 * HOUR)
    assert from_text(to_text(clock)) == Clock(high_water=NOON)
