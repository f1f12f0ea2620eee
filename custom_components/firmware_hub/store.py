"""What must survive: devices, installs, feeds and the append-only record, in one SQLite file behind one thread.

Contract: a save is durable when ``async_save`` returns and has left nothing behind when it raises. Saves that arrive
while another one is written go into one common transaction (group commit). Decision: docs/decisions/0002.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Final

from .core.effects import Save
from .core.errors import BadInput, OutsideFailed, Reason
from .core.records import Snapshot
from .store_records import is_chained, read_head, read_history, read_snapshot, write_saves
from .store_schema import META_REPLACED, Unreadable, failure, hold_checkpoints, in_transaction, open_database, set_aside

_SAVES_PER_COMMIT: Final = 256  # bounds how long one transaction keeps the others waiting
_MAX_HISTORY: Final = 1_000


class _Worker:
    """The database as its own thread sees it."""

    def __init__(self, path: Path, *, held: bool) -> None:
        self._path = path
        self._connection = open_database(path)
        try:
            self._head = read_head(self._connection)
            self._first: Snapshot | None = read_snapshot(self._connection)
            hold_checkpoints(self._connection, held=held)
        except (sqlite3.Error, BadInput, ValueError) as error:
            self._connection.close()
            raise _why_unreadable(error, path) from error

    def load(self) -> Snapshot:
        """Return what opening the file found; later calls read again."""
        found, self._first = self._first, None
        return read_snapshot(self._connection) if found is None else found

    def commit(self, saves: list[Save]) -> list[Exception | None]:
        """Write all in one transaction; when that fails, each in its own, so that none takes the others along."""
        outcome = self._try(saves)
        if outcome is None or len(saves) == 1:
            return [outcome] * len(saves)
        return [self._try([save]) for save in saves]

    def _try(self, saves: list[Save]) -> Exception | None:
        head = self._head

        def work() -> None:
            nonlocal head
            head = write_saves(self._connection, saves, head)

        try:
            in_transaction(self._connection, work)
        except sqlite3.Error as error:
            return _told(failure(error, self._path))
        except (RuntimeError, ValueError) as error:
            # A value that cannot be written is the fault of whoever made it, and only his.
            return error
        self._head = head
        return None

    def head(self) -> str:
        """Return the hash of the newest row of the record."""
        return self._head

    def history(self, subject: str | None, limit: int) -> list[dict[str, object]]:
        """Read a piece of the record."""
        return read_history(self._connection, subject, limit)

    def checkpoint_and_hold(self) -> None:
        """Bring the database file up to date and then leave it alone: what is written goes into the log beside it."""
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        hold_checkpoints(self._connection, held=True)

    def release(self) -> None:
        """Let the log flow back into the database file again."""
        hold_checkpoints(self._connection, held=False)
        self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()


def _why_unreadable(error: Exception, path: Path) -> OutsideFailed | Unreadable:
    return failure(error, path) if isinstance(error, sqlite3.Error) else Unreadable(str(error))


def _told(error: OutsideFailed | Unreadable) -> OutsideFailed:
    """Damage found while working is a failed disk; at the next start it is found again and set aside."""
    return OutsideFailed(Reason.DISK_FAILED, str(error)) if isinstance(error, Unreadable) else error


def _open(path: Path, replace_unreadable: bool, held: bool) -> _Worker:
    try:
        return _Worker(path, held=held)
    except Unreadable as error:
        kept = _keep(path)
        if not replace_unreadable:
            raise OutsideFailed(Reason.STORE_UNREADABLE, str(kept)) from error
    try:
        return _Worker(path, held=held)
    except Unreadable as error:
        raise OutsideFailed(Reason.DISK_FAILED, str(error)) from error


def _keep(path: Path) -> Path:
    try:
        return set_aside(path)
    except OSError as error:
        raise _told(failure(error, path)) from error


def _verify(path: Path) -> bool:
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, autocommit=True)) as connection:
        return is_chained(connection)


class Store:
    """The hub's memory."""

    def __init__(self, path: Path, worker: _Worker, pool: ThreadPoolExecutor) -> None:
        self.path = path
        self._worker = worker
        self._pool = pool
        self._loop = asyncio.get_running_loop()
        self._queue: deque[tuple[Save, asyncio.Future[None]]] = deque()
        self._writing: asyncio.Future[list[Exception | None]] | None = None
        self._closed = False

    @classmethod
    async def async_open(cls, path: Path, *, replace_unreadable: bool = False, held: bool = False) -> Store:
        """Open the store, or make it.

        An unreadable one is moved aside, never deleted. That is told once, as STORE_UNREADABLE with its new place in
        the detail, and the next call begins an empty one; with `replace_unreadable` this call does. In both cases the
        place stands in the snapshot's ``meta`` under META_REPLACED until somebody saves an empty text there. While a
        backup runs, open it `held`.

        Raises OutsideFailed: STORE_UNREADABLE, DISK_FULL, DISK_FAILED.
        """
        pool = ThreadPoolExecutor(1, thread_name_prefix="firmware_hub_store")
        loop = asyncio.get_running_loop()
        try:
            worker = await loop.run_in_executor(pool, _open, path, replace_unreadable, held)
        except OutsideFailed:
            pool.shutdown()
            raise
        return cls(path, worker, pool)

    async def async_load(self) -> Snapshot:
        """Read what the hub must know again. Raises OutsideFailed."""
        return await self._run(self._worker.load)

    async def async_save(self, save: Save) -> None:
        """Write one transaction; it is on the disk when this returns. Raises OutsideFailed: DISK_FULL, DISK_FAILED."""
        await self.save(save)

    def save(self, save: Save) -> asyncio.Future[None]:
        """Begin to write one transaction. The future holds what ``async_save`` raises."""
        written = self._loop.create_future()
        if self._closed:
            written.set_exception(RuntimeError("the store is closed"))
            return written
        self._queue.append((save, written))
        if self._writing is None:
            self._write_next()
        return written

    def _write_next(self) -> None:
        batch = [self._queue.popleft() for _ in range(min(len(self._queue), _SAVES_PER_COMMIT))]
        self._writing = self._loop.run_in_executor(self._pool, self._worker.commit, [save for save, _ in batch])
        self._writing.add_done_callback(lambda done: self._written([written for _, written in batch], done))

    def _written(self, waiting: list[asyncio.Future[None]], done: asyncio.Future[list[Exception | None]]) -> None:
        self._writing = None
        if self._queue:
            self._write_next()
        fault = done.exception()
        outcomes = done.result() if fault is None else [fault] * len(waiting)
        for written, outcome in zip(waiting, outcomes, strict=True):
            if written.done():
                continue
            if outcome is None:
                written.set_result(None)
            else:
                written.set_exception(outcome)

    async def async_history(self, *, subject: str | None = None, limit: int = 100) -> list[dict[str, object]]:
        """Read the newest rows of the record, newest first. Raises OutsideFailed."""
        return await self._run(lambda: self._worker.history(subject, min(limit, _MAX_HISTORY)))

    async def async_head(self) -> str:
        """Return the hash of the newest row of the record; empty text while it has none."""
        return await self._run(self._worker.head)

    async def async_verify_audit(self) -> bool:
        """Check the whole record, beside the writing thread. Raises OutsideFailed."""
        try:
            return await self._loop.run_in_executor(None, _verify, self.path)
        except sqlite3.Error as error:
            raise _told(failure(error, self.path)) from error

    async def async_checkpoint_and_hold(self) -> None:
        """Before a backup: nothing touches the database file from now on, though saves go on. Raises OutsideFailed."""
        await self._run(self._worker.checkpoint_and_hold)

    async def async_release(self) -> None:
        """After a backup. Raises OutsideFailed."""
        await self._run(self._worker.release)

    async def _run[T](self, job: Callable[[], T]) -> T:
        if self._closed:
            raise RuntimeError("the store is closed")
        try:
            return await self._loop.run_in_executor(self._pool, job)
        except sqlite3.Error as error:
            raise _told(failure(error, self.path)) from error

    async def async_close(self) -> None:
        """Write what is waiting, let go of the file and end the thread. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        while self._writing is not None:
            await asyncio.wait([self._writing])
        await self._loop.run_in_executor(self._pool, self._worker.close)
        # The thread is idle, so that joining it does not hold the loop up.
        self._pool.shutdown()


__all__ = ["META_REPLACED", "Store"]
