"""What is saved is there again; what is not asked for is not read."""

import asyncio
import random
import sqlite3
import stat
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from custom_components.firmware_hub.core.effects import FeedRow, LedgerRow, Save
from custom_components.firmware_hub.core.model import InstallState
from custom_components.firmware_hub.core.records import Snapshot
from custom_components.firmware_hub.store import Store

from .make import NOW, audit, device, ended, everything, install


async def test_a_new_store_is_empty(store: Store) -> None:
    assert await store.async_load() == Snapshot()


async def test_everything_that_was_saved_is_there_after_opening_again(path: Path) -> None:
    save = everything()
    store = await Store.async_open(path)
    await store.async_save(save)
    await store.async_close()

    again = await Store.async_open(path)
    found = await again.async_load()
    await again.async_close()
    assert found == Snapshot(save.devices, save.installs, save.ledger, save.feeds, save.meta)


async def test_what_an_earlier_version_saved_is_there(path: Path) -> None:
    save = everything()
    store = await Store.async_open(path)
    await store.async_save(save)
    await store.async_close()
    with closing(sqlite3.connect(path, autocommit=True)) as connection:
        connection.execute("ALTER TABLE feeds DROP COLUMN origin")
        connection.execute("DELETE FROM migrations WHERE version = 2")

    again = await Store.async_open(path)
    found = await again.async_load()
    await again.async_close()
    feeds = tuple(replace(row, origin="") for row in save.feeds)
    assert found == Snapshot(save.devices, save.installs, save.ledger, feeds, save.meta)


async def test_a_later_save_replaces_an_earlier_one(store: Store) -> None:
    await store.async_save(everything())
    await store.async_save(Save(devices=(device(version="1.1.0"),), ledger=(LedgerRow("acme", 43),), meta={"a": "b"}))
    found = await store.async_load()
    found = await store.async_load()
    assert found.devices == (device(version="1.1.0"),)
    assert found.ledger == (LedgerRow("acme", 43),)
    assert found.meta == {"last_seen": NOW.isoformat(), "a": "b"}


@pytest.mark.parametrize("seed", range(5))
async def test_what_is_written_together_leaves_what_it_leaves_one_by_one(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)

    def some() -> Save:
        name, state = chance.choice("abc"), chance.choice(tuple(InstallState))
        known = chance.random() < 0.7
        return Save(
            devices=(device(name, version=str(chance.random())),) if known else (),
            forget=() if known else (f"open:{name}",),
            installs=(install(chance.randrange(3), of=name, state=state),) if chance.random() < 0.5 else (),
            ledger=(LedgerRow(name, chance.randrange(9)),) if chance.random() < 0.3 else (),
            feeds=(FeedRow(name, chance.randbytes(2)),) if chance.random() < 0.3 else (),
            meta={name: str(chance.random())} if chance.random() < 0.3 else {},
            audit=(audit(subject=name, number=str(chance.random())),) if chance.random() < 0.5 else (),
        )

    saves = [some() for _ in range(60)]
    one_by_one, together = [await Store.async_open(tmp_path / f"{name}.db") for name in ("one", "together")]
    await asyncio.gather(one_by_one.async_load(), together.async_load())
    for save in saves:
        await one_by_one.async_save(save)
    await asyncio.gather(*map(together.save, saves))
    assert await together.async_history(limit=100) == await one_by_one.async_history(limit=100)
    found, expected = await together.async_load(), await one_by_one.async_load()
    assert found.installs == expected.installs != ()
    assert found.meta == expected.meta != {}
    for kind in ("devices", "ledger", "feeds"):
        assert sorted(getattr(found, kind), key=repr) == sorted(getattr(expected, kind), key=repr)
    await asyncio.gather(one_by_one.async_close(), together.async_close())


async def test_a_forgotten_device_is_gone_and_its_record_stays(store: Store) -> None:
    await store.async_load()
    await store.async_save(everything())
    await store.async_save(Save(forget=("open:one",), audit=(audit("removed"),)))
    assert (await store.async_load()).devices == ()
    assert [row["kind"] for row in await store.async_history(subject="open:one")] == ["removed", "approved"]


async def test_a_snapshot_holds_every_unfinished_install(store: Store) -> None:
    await store.async_load()
    waiting = [install(state=state, of=state) for state in InstallState if not state.is_end]
    await store.async_save(Save(installs=tuple(waiting)))
    assert list((await store.async_load()).installs) == waiting


async def test_a_snapshot_holds_only_the_last_finished_install_of_a_device(store: Store) -> None:
    await store.async_load()
    installs = [ended(install(number)) for number in (1, 2, 3)]
    await store.async_save(Save(devices=(device(),), installs=tuple(installs)))
    assert (await store.async_load()).installs == (installs[-1],)


async def test_a_snapshot_holds_the_last_finished_install_of_a_removed_device(store: Store) -> None:
    await store.async_load()
    installs = [ended(install(number)) for number in (1, 2)]
    await store.async_save(Save(devices=(device(),), installs=tuple(installs)))
    await store.async_save(Save(forget=(device().id,)))
    assert (await store.async_load()).installs == (installs[-1],)


async def test_an_install_that_ends_late_does_not_hide_the_one_that_began_after_it(store: Store) -> None:
    await store.async_load()
    await store.async_save(Save(devices=(device(),), installs=(install(1), install(2))))
    await store.async_save(Save(installs=(ended(install(2)),)))
    await store.async_save(Save(installs=(ended(install(1)),)))
    assert (await store.async_load()).installs == (ended(install(2)),)


async def test_only_the_owner_can_read_the_files(store: Store, path: Path) -> None:
    await store.async_save(everything())
    modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in path.parent.glob(f"{path.name}*")}
    assert modes == dict.fromkeys([path.name, f"{path.name}-wal", f"{path.name}-shm"], 0o600)


async def test_a_file_that_others_could_read_is_closed_to_them(path: Path) -> None:
    await (await Store.async_open(path)).async_close()
    path.chmod(0o644)
    await (await Store.async_open(path)).async_close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_commits_wait_for_the_disk(store: Store) -> None:
    connection = store._worker._connection
    run = asyncio.get_running_loop().run_in_executor
    modes = await run(store._pool, lambda: [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in _DURABLE])
    assert modes == ["wal", 2]


_DURABLE = ("journal_mode", "synchronous")


async def test_closing_ends_the_thread_and_leaves_one_file(path: Path) -> None:
    store = await Store.async_open(path)
    await store.async_save(everything())
    assert any(thread.name.startswith("firmware_hub_store") for thread in threading.enumerate())
    await store.async_close()
    await store.async_close()
    assert not any(thread.name.startswith("firmware_hub_store") for thread in threading.enumerate())
    assert [one.name for one in path.parent.iterdir()] == [path.name]


async def test_saves_that_wait_while_the_store_closes_are_written(path: Path) -> None:
    store = await Store.async_open(path)
    saves = [asyncio.ensure_future(store.async_save(Save(meta={str(number): "x"}))) for number in range(600)]
    await asyncio.sleep(0)
    await store.async_close()
    await asyncio.gather(*saves)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM meta").fetchone() == (600,)
    connection.close()


async def test_a_closed_store_refuses_work(path: Path) -> None:
    store = await Store.async_open(path)
    await store.async_close()
    with pytest.raises(RuntimeError):
        await store.async_save(Save())
    with pytest.raises(RuntimeError):
        await store.async_load()


async def test_saves_that_arrive_together_are_committed_together(store: Store, path: Path) -> None:
    await store.async_save(Save())
    with sqlite3.connect(path) as watcher:
        before = _commits(watcher)
        await asyncio.gather(*(store.async_save(Save(meta={str(number): "x"})) for number in range(101)))
        commits = _commits(watcher) - before
    watcher.close()
    assert commits == 2  # the first at once, the hundred that came meanwhile in one


def _commits(watcher: sqlite3.Connection) -> int:
    """Count the commit marks in the log: a frame header says after how many pages a transaction is whole."""
    name = watcher.execute("PRAGMA database_list").fetchone()[2]
    log = Path(f"{name}-wal").read_bytes()
    size = 24 + int.from_bytes(log[8:12])
    return sum(log[at + 4 : at + 8] != b"\0\0\0\0" for at in range(32, len(log), size))


async def test_a_caller_that_gives_up_does_not_disturb_the_others(store: Store) -> None:
    first = asyncio.ensure_future(store.async_save(Save(meta={"a": "1"})))
    second = asyncio.ensure_future(store.async_save(Save(meta={"b": "2"})))
    await asyncio.sleep(0)
    first.cancel()
    await second
    await store.async_load()
    assert (await store.async_load()).meta == {"a": "1", "b": "2"}
