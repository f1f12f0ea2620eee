"""One heap for all deadlines."""

from __future__ import annotations

from custom_components.firmware_hub.core.agenda import Agenda, Due

from .builders import DAY, MINUTE, NIGHT, SECOND


def test_nothing_is_due_in_an_empty_agenda() -> None:
    agenda = Agenda()
    assert agenda.next() is None
    assert list(agenda.take(NIGHT)) == []


def test_what_is_due_comes_in_its_order_and_is_forgotten() -> None:
    agenda = Agenda()
    agenda.set("b", "late", NIGHT)
    agenda.set("a", "early", NIGHT - MINUTE)
    agenda.set("a", "later", NIGHT + SECOND)
    assert list(agenda.take(NIGHT)) == [Due("a", "early"), Due("b", "late")]
    assert list(agenda.take(NIGHT)) == []
    assert agenda.next() == NIGHT + SECOND


def test_one_entry_has_one_time() -> None:
    agenda = Agenda()
    for at in (NIGHT, NIGHT + MINUTE, NIGHT - MINUTE, NIGHT - MINUTE):
        agenda.set("a", "x", at)
    assert agenda.next() == NIGHT - MINUTE
    assert list(agenda.take(NIGHT + MINUTE)) == [Due("a", "x")]


def test_an_entry_that_was_put_off_is_not_due_at_its_old_time() -> None:
    agenda = Agenda()
    agenda.set("a", "x", NIGHT)
    agenda.set("a", "x", NIGHT + MINUTE)
    assert list(agenda.take(NIGHT)) == []
    assert agenda.next() == NIGHT + MINUTE


def test_an_entry_that_was_taken_away_is_never_due() -> None:
    agenda = Agenda()
    agenda.set("a", "x", NIGHT)
    agenda.set("a", "x", None)
    agenda.set("a", "nobody", None)
    assert agenda.next() is None


def test_an_entry_may_be_set_again_for_the_same_time_after_it_was_due() -> None:
    agenda = Agenda()
    agenda.set("a", "x", NIGHT)
    assert list(agenda.take(NIGHT)) == [Due("a", "x")]
    agenda.set("a", "x", NIGHT)
    assert list(agenda.take(NIGHT)) == [Due("a", "x")]


def test_what_is_set_while_it_iterates_and_is_due_already_comes_as_well() -> None:
    agenda = Agenda()
    agenda.set("a", "1", NIGHT)
    seen = []
    for due in agenda.take(NIGHT):
        seen.append(due.subject)
        if due.subject == "1":
            agenda.set("a", "2", NIGHT - MINUTE)
            agenda.set("a", "3", NIGHT + MINUTE)
    assert seen == ["1", "2"]


def test_an_entry_that_is_moved_for_ever_takes_no_more_room() -> None:
    agenda = Agenda()
    agenda.set("a", "early", NIGHT)
    for number in range(10_000):
        agenda.set("a", "moved", NIGHT + number * MINUTE)
        agenda.set("a", f"gone{number}", NIGHT + DAY)
        agenda.set("a", f"gone{number}", None)
    assert len(agenda._heap) < 100
    assert [due.subject for due in agenda.take(NIGHT + 9_999 * MINUTE)] == ["early", "moved"]
    assert agenda.next() is None
