"""What lies in the store's file: one transaction of the hub in, a snapshot or a piece of the record out.

Contract: synchronous, called in the store's worker thread only. ``sqlite3.Error`` and ``BadInput`` escape.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from datetime import datetime

from .core.effects import AuditRow, FeedRow, LedgerRow, Save
from .core.model import Device, DeviceId, Install
from .core.records import Snapshot, from_json, to_json
from .store_schema import GENESIS


def read_snapshot(connection: sqlite3.Connection) -> Snapshot:
    """Read what the hub must know again: of the installs the unfinished ones and the last finished one per device.

    Of devices that were removed it reads the newest few: the command of one may still be at work.
    """
    return Snapshot(
        devices=tuple(from_json(Device, text) for text in _texts(connection, "SELECT record FROM devices")),
        installs=tuple(from_json(Install, text) for text in _texts(connection, _INSTALLS)),
        ledger=tuple(from_json(LedgerRow, text) for text in _texts(connection, "SELECT record FROM ledger")),
        feeds=tuple(
            FeedRow(feed_id, raw, etag, datetime.fromisoformat(at) if at else None, origin)
            for feed_id, raw, etag, at, origin in connection.execute(_FEEDS)
        ),
        meta=dict(connection.execute("SELECT key, value FROM meta")),
    )


_FEEDS = "SELECT feed_id, raw, etag, fetched_at, origin FROM feeds"
_INSTALLS = """
SELECT record FROM installs WHERE ended = 0
UNION ALL
SELECT i.record FROM devices AS d JOIN installs AS i
  ON i.rowid = (SELECT max(last.rowid) FROM installs AS last WHERE last.device_id = d.id AND last.ended = 1)
UNION ALL
SELECT record FROM installs WHERE rowid IN (
  SELECT max(rowid) FROM installs WHERE ended = 1 AND device_id NOT IN (SELECT id FROM devices)
  GROUP BY device_id ORDER BY max(rowid) DESC LIMIT 1000
)
"""


def _texts(connection: sqlite3.Connection, query: str) -> Iterator[str]:
    return (row[0] for row in connection.execute(query))


def write_saves(connection: sqlite3.Connection, saves: Iterable[Save], head: str) -> str:
    """Write transactions of the hub, inside a transaction of the database; return the new head of the record."""
    joined = _joined(saves)
    for statement, rows in _statements(joined):
        if rows:
            connection.executemany(statement, rows)
    return _append(connection, joined.audit, head)


def _joined(saves: Iterable[Save]) -> Save:
    """Return one transaction that leaves behind what these do one after the other: of each thing its last state."""
    devices: dict[DeviceId, Device | None] = {}
    installs: dict[str, Install] = {}
    ledger: dict[str, LedgerRow] = {}
    feeds: dict[str, FeedRow] = {}
    meta: dict[str, str] = {}
    audit: list[AuditRow] = []
    for save in saves:
        devices.update((device.id, device) for device in save.devices)
        devices.update(dict.fromkeys(save.forget))
        installs.update((install.id, install) for install in save.installs)
        ledger.update((row.feed_id, row) for row in save.ledger)
        feeds.update((row.feed_id, row) for row in save.feeds)
        meta.update(save.meta)
        audit += save.audit
    return Save(
        tuple(device for device in devices.values() if device is not None),
        tuple(device_id for device_id, device in devices.items() if device is None),
        tuple(installs.values()),
        tuple(ledger.values()),
        tuple(feeds.values()),
        meta,
        tuple(audit),
    )


def _statements(save: Save) -> Iterable[tuple[str, list[tuple[object, ...]]]]:
    return (
        (_DEVICE, [(device.id, to_json(device)) for device in save.devices]),
        ("DELETE FROM devices WHERE id = ?", [(device_id,) for device_id in save.forget]),
        (
            _INSTALL,
            [(install.id, install.device_id, install.state.is_end, to_json(install)) for install in save.installs],
        ),
        (_LEDGER, [(row.feed_id, to_json(row)) for row in save.ledger]),
        (
            _FEED,
            [
                (row.feed_id, row.etag, row.fetched_at and row.fetched_at.isoformat(), row.raw, row.origin)
                for row in save.feeds
            ],
        ),
        (_META, list(save.meta.items())),
    )


_DEVICE = "INSERT INTO devices (id, record) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET record = excluded.record"
_INSTALL = (
    "INSERT INTO installs (id, device_id, ended, record) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (id) DO UPDATE SET device_id = excluded.device_id, ended = excluded.ended, record = excluded.record"
)
_LEDGER = (
    "INSERT INTO ledger (feed_id, record) VALUES (?, ?) ON CONFLICT (feed_id) DO UPDATE SET record = excluded.record"
)
_FEED = (
    "INSERT INTO feeds (feed_id, etag, fetched_at, raw, origin) VALUES (?, ?, ?, ?, ?) ON CONFLICT (feed_id) DO UPDATE "
    "SET etag = excluded.etag, fetched_at = excluded.fetched_at, raw = excluded.raw, origin = excluded.origin"
)
_META = "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"


def _append(connection: sqlite3.Connection, rows: Iterable[AuditRow], head: str) -> str:
    chained: list[tuple[str, str]] = []
    for row in rows:
        record = to_json(row)
        head = _chained(head, record)
        chained.append((record, head))
    if chained:
        connection.executemany("INSERT INTO audit (record, hash) VALUES (?, ?)", chained)
    return head


def _chained(previous: str, record: str) -> str:
    return hashlib.sha256(f"{previous}{record}".encode()).hexdigest()


def read_head(connection: sqlite3.Connection) -> str:
    """Return the hash of the newest row of the record."""
    row = connection.execute("SELECT hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
    return GENESIS if row is None else str(row[0])


def is_chained(connection: sqlite3.Connection) -> bool:
    """Return whether every row of the record still follows from the one before it."""
    head = GENESIS
    for record, found in connection.execute("SELECT record, hash FROM audit ORDER BY seq"):
        head = _chained(head, record)
        if head != found:
            return False
    return True


def read_history(connection: sqlite3.Connection, subject: str | None, limit: int) -> list[dict[str, object]]:
    """Read the newest rows of the record, newest first: of one subject, or of all."""
    where = "" if subject is None else "WHERE subject = :subject"
    rows = connection.execute(
        f"SELECT seq, hash, record FROM audit {where} ORDER BY seq DESC LIMIT :limit",  # noqa: S608 - one of two texts
        {"subject": subject, "limit": limit},
    )
    return [{"seq": seq, "hash": digest, **json.loads(record)} for seq, digest, record in rows]
