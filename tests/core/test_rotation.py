"""Keys that follow one another: seven days in which the owner can say no, and what a thief can and cannot do."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, strategies as st

from custom_components.firmware_hub.core import limits
from custom_components.firmware_hub.core.errors import BadInput
from custom_components.firmware_hub.core.keys import pinned_key
from custom_components.firmware_hub.core.model import Trust
from custom_components.firmware_hub.core.rotation import (
    Change,
    Notice,
    Rotation,
    changes,
    from_text,
    next_change,
    notice,
    observe,
    refuse,
    to_text,
    trusted,
)

from .jws import ec_key, ed_key, name, pin
from .statements import DAY, NOW, manifest

OLD, NEXT, THIEF = (pinned_key(pin(ec_key(who))).text for who in ("old", "next", "thief"))
OLD_NAME, NEXT_NAME, THIEF_NAME = (name(ec_key(who)) for who in ("old", "next", "thief"))
PINS = (OLD,)
WEEK = limits.KEY_ROTATION_DELAY
SECOND = timedelta(seconds=1)


def seen(before: Rotation, *next_keys: str, at: datetime = NOW, by: str = OLD_NAME) -> Rotation:
    """What is known after a manifest by this key that names these next keys."""
    return observe(before, PINS, manifest(key_id=by, next_keys=next_keys), at)


def announced() -> Rotation:
    return seen(Rotation(), NEXT)


def adopted() -> Rotation:
    return seen(announced(), at=NOW + WEEK, by=NEXT_NAME)


# --- nothing happens --------------------------------------------------------------------------------------------------


def test_without_a_word_about_keys_the_owners_are_trusted() -> None:
    rotation = seen(Rotation())
    assert trusted(rotation, PINS, NOW + 9 * WEEK) == PINS
    assert notice(rotation, NOW) is None
    assert next_change(rotation, NOW) is None


def test_a_key_that_is_pinned_is_not_announced() -> None:
    assert seen(Rotation(), OLD).announced == ()


def test_a_feed_that_is_not_signed_names_no_keys() -> None:
    unsigned = manifest(trust=Trust.DIGEST, key_id="", next_keys=(THIEF,))
    assert observe(Rotation(), PINS, unsigned, NOW).announced == ()


# --- the seven days ---------------------------------------------------------------------------------------------------


def test_the_owner_sees_both_fingerprints_at_once() -> None:
    assert notice(announced(), NOW) == Notice((OLD_NAME,), (NEXT_NAME,), NOW + WEEK)


def test_before_seven_days_the_next_key_is_not_trusted() -> None:
    assert trusted(announced(), PINS, NOW + WEEK - SECOND) == PINS


def test_after_seven_days_both_keys_are_trusted() -> None:
    assert trusted(announced(), PINS, NOW + WEEK) == (OLD, NEXT)


def test_the_notice_ends_when_the_key_is_trusted() -> None:
    assert notice(announced(), NOW + WEEK - SECOND) is not None
    assert notice(announced(), NOW + WEEK) is None


def test_the_hub_is_told_when_to_look_again() -> None:
    assert next_change(announced(), NOW) == NOW + WEEK
    assert next_change(announced(), NOW + WEEK) is None


def test_a_key_named_every_day_keeps_its_first_day() -> None:
    rotation = announced()
    for day in range(1, 7):
        rotation = seen(rotation, NEXT, at=NOW + day * DAY)
    assert trusted(rotation, PINS, NOW + WEEK) == (OLD, NEXT)


def test_two_keys_have_a_time_each() -> None:
    backup = pinned_key(pin(ed_key())).text
    rotation = seen(announced(), NEXT, backup, at=NOW + DAY)
    assert trusted(rotation, PINS, NOW + WEEK) == (OLD, NEXT)
    assert trusted(rotation, PINS, NOW + WEEK + DAY) == (OLD, NEXT, backup)
    assert next_change(rotation, NOW + WEEK) == NOW + WEEK + DAY


def test_a_feed_cannot_name_keys_without_end() -> None:
    many = tuple(pinned_key(pin(ec_key(f"key {number}"))).text for number in range(limits.MAX_KEYS + 1))
    assert len(seen(Rotation(), *many).announced) == limits.MAX_KEYS


# --- the old keys go --------------------------------------------------------------------------------------------------


def test_the_first_statement_by_the_next_key_drops_the_old_one() -> None:
    assert trusted(adopted(), PINS, NOW + WEEK) == (NEXT,)


def test_the_old_key_stays_until_the_next_one_has_signed() -> None:
    rotation = seen(announced(), NEXT, at=NOW + 2 * WEEK, by=OLD_NAME)
    assert trusted(rotation, PINS, NOW + 9 * WEEK) == (OLD, NEXT)


def test_a_key_that_is_named_beside_the_one_that_signs_is_adopted_with_it() -> None:
    backup = pinned_key(pin(ed_key())).text
    rotation = seen(seen(Rotation(), NEXT, backup), at=NOW + WEEK, by=NEXT_NAME)
    assert trusted(rotation, PINS, NOW + WEEK) == (NEXT, backup)


def test_a_key_that_is_still_named_after_it_was_adopted_is_not_announced_again() -> None:
    rotation = seen(announced(), NEXT, at=NOW + WEEK, by=NEXT_NAME)
    assert rotation.announced == ()
    assert notice(rotation, NOW + WEEK) is None


def test_an_adopted_key_can_be_followed_by_another() -> None:
    third = pinned_key(pin(ed_key())).text
    rotation = seen(adopted(), third, at=NOW + 2 * WEEK, by=NEXT_NAME)
    assert notice(rotation, NOW + 2 * WEEK) == Notice((NEXT_NAME,), (name(ed_key()),), NOW + 3 * WEEK)
    assert trusted(rotation, PINS, NOW + 3 * WEEK) == (NEXT, third)


def test_the_owner_has_the_last_word_about_keys() -> None:
    assert trusted(adopted(), (THIEF,), NOW + WEEK) == (THIEF,)
    assert observe(adopted(), (THIEF,), manifest(key_id=THIEF_NAME), NOW).adopted == ()


def test_the_order_in_which_the_owner_lists_keys_means_nothing() -> None:
    two = (OLD, pinned_key(pin(ed_key())).text)
    rotation = observe(Rotation(), two, manifest(key_id=OLD_NAME, next_keys=(NEXT,)), NOW)
    assert trusted(rotation, two[::-1], NOW + WEEK)[-1] == NEXT


def test_an_owners_key_that_is_none_is_named() -> None:
    with pytest.raises(BadInput):
        trusted(Rotation(), ("{}",), NOW)


# --- a thief with the old key -----------------------------------------------------------------------------------------


def test_a_vendor_who_does_not_name_a_strangers_key_takes_it_back() -> None:
    rotation = seen(seen(Rotation(), THIEF), at=NOW + 6 * DAY)
    assert rotation.announced == ()
    assert trusted(rotation, PINS, NOW + 9 * WEEK) == PINS


def test_a_key_that_was_taken_back_begins_anew() -> None:
    rotation = seen(seen(seen(Rotation(), THIEF), at=NOW + 5 * DAY), THIEF, at=NOW + 6 * DAY)
    assert trusted(rotation, PINS, NOW + WEEK) == PINS
    assert trusted(rotation, PINS, NOW + 6 * DAY + WEEK) == (OLD, THIEF)


def test_a_key_is_taken_back_even_when_it_is_trusted_as_long_as_it_has_not_signed() -> None:
    rotation = seen(seen(Rotation(), THIEF), at=NOW + 2 * WEEK)
    assert trusted(rotation, PINS, NOW + 2 * WEEK) == PINS


def test_a_key_cannot_sign_for_its_own_early_adoption() -> None:
    rotation = seen(seen(Rotation(), THIEF), THIEF, at=NOW + DAY, by=THIEF_NAME)
    assert rotation.adopted == ()


def test_a_refused_key_is_never_trusted() -> None:
    rotation = refuse(seen(Rotation(), THIEF))
    assert notice(rotation, NOW) is None
    again = seen(rotation, THIEF, at=NOW + DAY)
    assert again.announced == ()
    assert trusted(again, PINS, NOW + 9 * WEEK) == PINS


def test_after_a_refusal_another_key_is_a_new_question() -> None:
    rotation = seen(refuse(seen(Rotation(), THIEF)), NEXT, at=NOW + DAY)
    shown = notice(rotation, NOW + DAY)
    assert shown is not None
    assert shown.new == (NEXT_NAME,)


def test_refusals_do_not_grow_without_end() -> None:
    rotation = replace(announced(), refused=tuple(f"{number}" for number in range(64)))
    assert len(refuse(rotation).refused) == 64
    assert refuse(rotation).refused[-1] == NEXT_NAME


# --- for the record ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (Rotation(), announced(), (Change.ANNOUNCED, NEXT_NAME)),
        (announced(), seen(announced()), (Change.TAKEN_BACK, NEXT_NAME)),
        (announced(), adopted(), (Change.ADOPTED, NEXT_NAME)),
        (announced(), refuse(announced()), (Change.REFUSED, NEXT_NAME)),
    ],
)
def test_each_change_is_said_once(before: Rotation, after: Rotation, expected: tuple[Change, str]) -> None:
    assert changes(before, after) == (expected,)


def test_where_nothing_changed_nothing_is_said() -> None:
    assert changes(announced(), seen(announced(), NEXT, at=NOW + DAY)) == ()


# --- over restarts ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rotation", [announced(), adopted(), refuse(announced())])
def test_a_restart_changes_nothing(rotation: Rotation) -> None:
    assert from_text(to_text(rotation)) == rotation


def test_a_feed_without_a_rotation_takes_no_room() -> None:
    assert to_text(seen(Rotation())) == ""
    assert from_text("") == Rotation()


@pytest.mark.parametrize(
    "change",
    [
        {"adopted": ["no key"]},
        {"announced": [{"key": NEXT}]},
        {"announced": [{"key": "{}"}]},
        {"pinned": 7},
        {"refused": ""},
    ],
)
def test_a_damaged_state_is_the_beginning(change: dict[str, object]) -> None:
    assert from_text(json.dumps(json.loads(to_text(announced())) | change)) == Rotation()


@given(st.text(max_size=60))
def test_any_text_is_read(text: str) -> None:
    assert isinstance(from_text(text), Rotation)
