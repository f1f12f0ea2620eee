"""A database that cannot be read is kept, and nobody finds an empty one in its place without being told."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from custom_components.firmware_hub.core.effects import Save
from custom_components.firmware_hub.core.errors import OutsideFailed, Reason
from custom_components.firmware_hub.store import META_REPLACED, Store

from .make import device, everything


def _overwrite_the_start(path: Path) -> None:
    path.write_bytes(b"not a database, " * 64 + path.read_bytes()[1024:])


def _damage_a_page(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:8192] = b"\xa5" * 4096
    path.write_bytes(content)


def _come_from_the_future(path: Path) -> None:
    _change(path, "INSERT INTO migrations VALUES (99, 'tomorrow')")


def _hold_a_record_that_is_none(path: Path) -> None:
    _change(path, "UPDATE devices SET record = '{\"id\": 7'")


def _hold_a_time_that_is_none(path: Path) -> None:
    _change(path, "UPDATE feeds SET fetched_at = 'yesterday'")


def _change(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()


@pytest.fixture(
    params=[
        _overwrite_the_start,
        _damage_a_page,
        _come_from_the_future,
        _hold_a_record_that_is_none,
        _hold_a_time_that_is_none,
    ]
)
async def damaged(path: Path, request: pytest.FixtureRequest) -> bytes:
    store = await Store.async_open(path)
    await store.async_save(everything())
    await store.async_close()
    damage: Callable[[Path], None] = request.param
    damage(path)
    return path.read_bytes()


async def _refused(path: Path) -> OutsideFailed:
    with pytest.raises(OutsideFailed) as caught:
        await Store.async_open(path)
    return caught.value


async def test_it_is_told_once_and_kept_under_another_name(path: Path, damaged: bytes) -> None:
    error = await _refused(path)
    kept = Path(error.detail)
    assert error.reason is Reason.STORE_UNREADABLE
    assert kept.name.startswith(f"{path.name}.unreadable-20")
    assert kept.read_bytes() == damaged
    assert not path.exists()


async def test_the_next_start_is_empty_and_says_what_it_replaces(path: Path, damaged: bytes) -> None:
    kept = (await _refused(path)).detail
    store = await Store.async_open(path)
    found = await store.async_load()
    await store.async_close()
    assert (found.devices, found.meta) == ((), {META_REPLACED: kept})


async def test_asked_to_it_starts_empty_at_once(path: Path, damaged: bytes) -> None:
    store = await Store.async_open(path, replace_unreadable=True)
    found = await store.async_load()
    await store.async_close()
    assert Path(found.meta[META_REPLACED]).read_bytes() == damaged


async def test_the_word_about_it_stays_until_somebody_has_seen_to_it(path: Path, damaged: bytes) -> None:
    for _ in range(2):
        store = await Store.async_open(path, replace_unreadable=True)
        assert (await store.async_load()).meta[META_REPLACED]
        await store.async_close()
    store = await Store.async_open(path)
    await store.async_save(Save(meta={META_REPLACED: ""}))
    await store.async_close()
    store = await Store.async_open(path)
    assert (await store.async_load()).meta == {META_REPLACED: ""}
    await store.async_close()


async def test_two_of_them_within_a_second_are_both_kept(path: Path) -> None:
    kept = []
    for number in range(3):
        path.write_bytes(b"%d is not a database" % number)
        kept.append(Path((await _refused(path)).detail))
    assert [one.read_bytes()[:1] for one in kept] == [b"0", b"1", b"2"]


async def test_files_that_belong_to_it_go_with_it(path: Path) -> None:
    path.write_bytes(b"this is not a database, and long enough to be taken for one" * 100)
    log = path.with_name(f"{path.name}-wal")
    log.write_bytes(b"the log of it")
    kept = Path((await _refused(path)).detail)
    assert kept.with_name(f"{kept.name}-wal").read_bytes() == b"the log of it"
    assert not log.exists()


async def test_a_folder_that_cannot_be_made_is_a_failed_disk_and_no_unreadable_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    error = await _refused(tmp_path / "file" / "hub.db")
    assert error.reason is Reason.DISK_FAILED


async def test_a_folder_in_the_place_of_the_file_is_a_failed_disk(path: Path) -> None:
    path.mkdir()
    assert (await _refused(path)).reason is Reason.DISK_FAILED
    assert path.is_dir()


async def test_damage_that_shows_while_working_is_a_failed_disk_until_the_next_start(path: Path) -> None:
    store = await Store.async_open(path)
    await store.async_save(Save(devices=tuple(device(str(number)) for number in range(500))))
    await store.async_checkpoint_and_hold()
    await store.async_release()
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)
    await store.async_close()

    error = await _refused(path)
    assert error.reason is Reason.STORE_UNREADABLE
