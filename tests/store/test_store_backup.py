"""A copy that is made while the hub works is a whole one, and the hub does not wait for it."""

import asyncio
import shutil
from pathlib import Path

import pytest

from custom_components.firmware_hub.core.effects import Save
from custom_components.firmware_hub.store import Store

from .make import audit, device


async def _save(store: Store, *numbers: int) -> None:
    await asyncio.gather(
        *(
            store.async_save(Save(devices=(device(str(number)),), audit=(audit(subject=f"open:{number}"),)))
            for number in numbers
        )
    )


async def _copy(path: Path, to: Path) -> Path:
    """Copy as a backup does: one file after the other, while the hub goes on."""
    to.mkdir()
    for suffix in ("", "-wal", "-shm"):
        await asyncio.to_thread(shutil.copy, f"{path}{suffix}", to / f"{path.name}{suffix}")
    return to / path.name


async def _devices(path: Path) -> int:
    store = await Store.async_open(path)
    found = len((await store.async_load()).devices)
    assert await store.async_verify_audit()
    assert len(await store.async_history(limit=1_000)) == found
    await store.async_close()
    return found


async def test_a_copy_holds_all_that_was_saved_before_it(store: Store, path: Path, tmp_path: Path) -> None:
    await _save(store, *range(50))
    await store.async_checkpoint_and_hold()
    assert await _devices(await _copy(path, tmp_path / "copy")) == 50


async def test_while_it_is_made_the_database_file_does_not_change(store: Store, path: Path) -> None:
    await _save(store, *range(50))
    await store.async_checkpoint_and_hold()
    before = path.read_bytes()
    # More than SQLite's own thousand pages, after which it would tidy up by itself.
    for start in range(0, 600, 50):
        await store.async_save(Save(devices=tuple(device(str(number)) for number in range(start, start + 50))))
        await store.async_save(Save(meta={str(start): "x" * 400_000}))
    assert path.read_bytes() == before
    await store.async_release()
    assert path.read_bytes() != before


async def test_a_copy_between_two_saves_is_whole(store: Store, path: Path, tmp_path: Path) -> None:
    await _save(store, *range(10))
    await store.async_checkpoint_and_hold()
    database = tmp_path / "copy" / path.name
    database.parent.mkdir()
    shutil.copy(path, database)
    await _save(store, *range(10, 20))
    shutil.copy(f"{path}-wal", f"{database}-wal")
    await _save(store, *range(20, 30))
    assert await _devices(database) == 20


async def test_a_log_that_was_copied_in_the_middle_of_a_save_counts_to_the_last_whole_one(
    store: Store, path: Path, tmp_path: Path
) -> None:
    await store.async_checkpoint_and_hold()
    database = tmp_path / "copy" / path.name
    database.parent.mkdir()
    shutil.copy(path, database)
    await _save(store, *range(10))
    whole = Path(f"{path}-wal").stat().st_size
    await _save(store, *range(10, 20))
    Path(f"{database}-wal").write_bytes(Path(f"{path}-wal").read_bytes()[: whole + 5_000])
    assert await _devices(database) >= 10


@pytest.mark.parametrize("held", [False, True])
async def test_a_store_that_closes_while_it_is_made_leaves_the_file_alone(path: Path, held: bool) -> None:
    store = await Store.async_open(path, held=held)
    if not held:
        await store.async_checkpoint_and_hold()
    before = path.read_bytes()
    await _save(store, *range(50))
    await store.async_close()
    assert path.read_bytes() == before
    assert Path(f"{path}-wal").exists()
    assert await _devices(path) == 50


async def test_a_second_release_does_no_harm(store: Store) -> None:
    await store.async_checkpoint_and_hold()
    await store.async_release()
    await store.async_release()
    await _save(store, 1)
