"""The store's file: tables and their migrations, who may read it, and what its errors mean.

Contract: synchronous, called in the store's worker thread only. Nothing here knows what the records hold.
"""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from .core.errors import OutsideFailed, Reason

GENESIS: Final = ""
"""What the first row of the record is chained to."""

META_REPLACED: Final = "store_replaced"
"""Key in ``meta``: where the unreadable database lies in whose place this one was begun; empty text once seen to."""

_AUTO_CHECKPOINT: Final = 1_000  # pages, SQLite's own default
_LEFT_ON_FULL_DISK: Final = 65_536  # bytes; SQLite reports a full disk as an I/O error when only its own files notice

_FIRST_SCHEMA: Final = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE devices (id TEXT PRIMARY KEY, record TEXT NOT NULL)",
    """CREATE TABLE installs (id TEXT PRIMARY KEY, device_id TEXT NOT NULL, ended INTEGER NOT NULL,
       record TEXT NOT NULL)""",
    # The row id, which every index ends with, is the order in which the installs began.
    "CREATE INDEX installs_by_device ON installs (device_id, ended)",
    "CREATE INDEX installs_unfinished ON installs (ended) WHERE ended = 0",
    "CREATE TABLE ledger (feed_id TEXT PRIMARY KEY, record TEXT NOT NULL)",
    "CREATE TABLE feeds (feed_id TEXT PRIMARY KEY, etag TEXT NOT NULL, fetched_at TEXT, raw BLOB NOT NULL)",
    """CREATE TABLE audit (seq INTEGER PRIMARY KEY, record TEXT NOT NULL, hash TEXT NOT NULL,
       subject TEXT GENERATED ALWAYS AS (json_extract(record, '$.subject')) VIRTUAL)""",
    "CREATE INDEX audit_by_subject ON audit (subject)",
    """CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
       BEGIN SELECT RAISE(ABORT, 'the audit table is append-only'); END""",
    """CREATE TRIGGER audit_is_never_shortened BEFORE DELETE ON audit
       BEGIN SELECT RAISE(ABORT, 'the audit table is append-only'); END""",
)

_ORIGINS: Final = ("ALTER TABLE feeds ADD COLUMN origin TEXT NOT NULL DEFAULT ''",)

_MIGRATIONS: Final = (_FIRST_SCHEMA, _ORIGINS)
"""One entry per schema version, each a list of statements that runs in one transaction. Entries are only ever added."""


class Unreadable(Exception):
    """This is not a database that this version can read: damaged, foreign or of a newer version."""


def open_database(path: Path) -> sqlite3.Connection:
    """Open the database, create or migrate it, and check that it is whole; checkpoints are held.

    Raises OutsideFailed (DISK_FULL, DISK_FAILED) or Unreadable.
    """
    kept = unreadable_ones(path)
    connection: sqlite3.Connection | None = None
    try:
        _touch(path)
        # No implicit transactions: they are written out where they matter.
        connection = sqlite3.connect(path, autocommit=True, cached_statements=64)
        hold_checkpoints(connection, held=True)
        _prepare(connection, str(kept[-1]) if kept else "")
    except (sqlite3.Error, OSError, Unreadable) as error:
        if connection is not None:
            connection.close()
        raise failure(error, path) from error
    return connection


def hold_checkpoints(connection: sqlite3.Connection, *, held: bool) -> None:
    """Keep SQLite from writing to the database file and from deleting its log, or let it again.

    What is saved while this is held goes into the log. An unreadable database must be kept with its log, and a backup
    must not read a file that changes under it.
    """
    connection.execute(f"PRAGMA wal_autocheckpoint = {0 if held else _AUTO_CHECKPOINT}").fetchone()
    connection.setconfig(sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, held)


def _touch(path: Path) -> None:
    """Make the file before SQLite does: the files that SQLite lays beside it inherit its mode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    path.chmod(0o600)


def _prepare(connection: sqlite3.Connection, kept: str) -> None:
    connection.execute("PRAGMA journal_mode = WAL").fetchone()
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA trusted_schema = OFF")
    if (found := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
        raise Unreadable(str(found))
    _migrate(connection, kept)


def _migrate(connection: sqlite3.Connection, kept: str) -> None:
    connection.execute("CREATE TABLE IF NOT EXISTS migrations (version INTEGER PRIMARY KEY, at TEXT NOT NULL)")
    done: int = connection.execute("SELECT coalesce(max(version), 0) FROM migrations").fetchone()[0]
    if done > len(_MIGRATIONS):
        raise Unreadable(f"schema {done} is newer than {len(_MIGRATIONS)}")
    for version, statements in enumerate(_MIGRATIONS[done:], start=done + 1):
        in_transaction(connection, lambda: _run_migration(connection, version, statements, kept))  # noqa: B023


def _run_migration(connection: sqlite3.Connection, version: int, statements: tuple[str, ...], kept: str) -> None:
    for statement in statements:
        connection.execute(statement)
    at = datetime.now(UTC).isoformat()
    connection.execute("INSERT INTO migrations (version, at) VALUES (?, ?)", (version, at))
    if version == 1 and kept:
        connection.execute("INSERT INTO meta (key, value) VALUES (?, ?)", (META_REPLACED, kept))


def in_transaction(connection: sqlite3.Connection, work: Callable[[], None]) -> None:
    """Do `work` in one transaction: all of it, or, when anything is raised, nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        work()
        connection.execute("COMMIT")
    finally:
        # After some errors, a full disk among them, SQLite has rolled back by itself.
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def failure(error: Exception, path: Path) -> OutsideFailed | Unreadable:
    """Say what an error of SQLite or of the file system means."""
    if isinstance(error, Unreadable):
        return error
    if isinstance(error, OSError):
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        return OutsideFailed(Reason.DISK_FULL if full else Reason.DISK_FAILED, str(error))
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return Unreadable(str(error))
    full = code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _is_full(path))
    return OutsideFailed(Reason.DISK_FULL if full else Reason.DISK_FAILED, str(error))


def _is_full(path: Path) -> bool:
    try:
        return shutil.disk_usage(path.parent).free < _LEFT_ON_FULL_DISK
    except OSError:
        return False


def set_aside(path: Path) -> Path:
    """Move an unreadable database out of the way, with the files that belong to it, and return where it is now."""
    kept = _free_name(path, f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    for suffix in ("-wal", "-shm", ""):
        # The database itself goes last: until then the next start finds it unreadable again.
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.replace(kept.with_name(kept.name + suffix))
    return kept


def _free_name(path: Path, stamp: str) -> Path:
    kept = path.with_name(f"{path.name}.unreadable-{stamp}")
    count = 1
    while kept.exists():
        count += 1
        kept = path.with_name(f"{path.name}.unreadable-{stamp}.{count}")
    return kept


def unreadable_ones(path: Path) -> list[Path]:
    """Return the databases that were set aside here, oldest first."""
    found = path.parent.glob(f"{path.name}.unreadable-*")
    return sorted(one for one in found if not one.name.endswith(("-wal", "-shm")))
