"""The record can only grow, and whoever changes it by hand is found out."""

import hashlib
import sqlite3
from pathlib import Path

import pytest

from custom_components.firmware_hub.core.effects import Save
from custom_components.firmware_hub.core.records import to_json
from custom_components.firmware_hub.store import Store
from custom_components.firmware_hub.store_records import _INSTALLS

from .make import audit


async def test_an_empty_record_has_no_head_and_is_whole(store: Store) -> None:
    assert await store.async_head() == ""
    assert await store.async_verify_audit()


async def test_each_row_is_chained_to_the_one_before_it(store: Store) -> None:
    rows = [audit(number=str(number)) for number in range(3)]
    head = ""
    for row in rows:
        await store.async_save(Save(audit=(row,)))
        head = hashlib.sha256((head + to_json(row)).encode()).hexdigest()
        assert await store.async_head() == head


async def test_the_chain_goes_on_after_opening_again(path: Path) -> None:
    for number in range(3):
        store = await Store.async_open(path)
        await store.async_save(Save(audit=(audit(number=str(number)), audit(number="again"))))
        await store.async_close()
    store = await Store.async_open(path)
    assert await store.async_verify_audit()
    assert len(await store.async_history()) == 6
    await store.async_close()


@pytest.mark.parametrize("statement", ["UPDATE audit SET record = '{}'", "DELETE FROM audit"])
async def test_the_database_itself_refuses_to_change_the_record(store: Store, path: Path, statement: str) -> None:
    await store.async_save(Save(audit=(audit(),)))
    with sqlite3.connect(path) as other, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        other.execute(statement)
    other.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET record = replace(record, 'no. 2', 'no. 7') WHERE seq = 2",
        "DELETE FROM audit WHERE seq = 2",
        "DELETE FROM audit WHERE seq = 1",
        "UPDATE audit SET hash = 'x' WHERE seq = 3",
    ],
)
async def test_a_record_changed_by_hand_is_found_out(store: Store, path: Path, statement: str) -> None:
    await store.async_save(Save(audit=tuple(audit(text=f"no. {number}") for number in (1, 2, 3))))
    assert await store.async_verify_audit()
    with sqlite3.connect(path) as other:
        other.execute("DROP TRIGGER audit_is_never_changed")
        other.execute("DROP TRIGGER audit_is_never_shortened")
        assert other.execute(statement).rowcount == 1
    other.close()
    assert not await store.async_verify_audit()


async def test_history_gives_the_newest_rows_first(store: Store) -> None:
    await store.async_save(Save(audit=tuple(audit(text=str(number)) for number in range(5))))
    found = await store.async_history(limit=2)
    assert [(row["seq"], row["values"]) for row in found] == [(5, {"text": "4"}), (4, {"text": "3"})]


async def test_history_of_one_subject_holds_only_that(store: Store) -> None:
    await store.async_save(Save(audit=(audit(subject="open:one"), audit(subject="open:two", text="mine"))))
    found = await store.async_history(subject="open:two")
    assert [(row["subject"], row["kind"], row["values"]) for row in found] == [
        ("open:two", "approved", {"text": "mine"})
    ]


async def test_history_is_bounded(store: Store) -> None:
    await store.async_save(Save(audit=tuple(audit() for _ in range(1_005))))
    assert len(await store.async_history(limit=10**9)) == 1_000


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("SELECT record FROM audit WHERE subject = 'x' ORDER BY seq DESC", "audit_by_subject"),
        ("DELETE FROM devices WHERE id = 'x'", "sqlite_autoindex_devices_1"),
        (_INSTALLS, "installs_unfinished"),
        (_INSTALLS, "installs_by_device"),
    ],
)
async def test_no_query_walks_through_what_it_does_not_want(store: Store, path: Path, query: str, index: str) -> None:
    with sqlite3.connect(path) as other:
        plan = " ".join(row[3] for row in other.execute(f"EXPLAIN QUERY PLAN {query}"))
    other.close()
    assert index in plan
