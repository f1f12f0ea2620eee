"""The rows of the disk: what it costs to write down before acting, and to verify and keep an artifact."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from statistics import median
from time import perf_counter

from custom_components.firmware_hub.core import effects as e
from custom_components.firmware_hub.core.records import to_json
from custom_components.firmware_hub.store import Store
from simulator.vendor import Vendor
from tests.bench.apart import apart
from tests.bench.core import Core
from tests.bench.figures import Figure, Run, ratio
from tests.bench.homes import folder

TOGETHER = 256
"""Transitions in one commit: what the store takes at most."""
COMMITS = 10
ALONE = 100
SIZE = 50_000_000

type Row = tuple[str, str]


async def write(run: Run) -> list[Figure]:
    """A durable transition against a bare insert of the same text, in commits of the same size."""
    saves = Core(TOGETHER * COMMITS).approve_all()
    figures = []
    for what, size, count in (
        (f"a durable transition in commits of {TOGETHER}", TOGETHER, TOGETHER * COMMITS),
        ("a durable transition by itself", 1, ALONE),
    ):
        ours: list[float] = []
        theirs: list[float] = []
        for _ in run.rounds(7):
            with folder() as place:
                store = await Store.async_open(place / "hub.db")
                began = perf_counter()
                # What arrives while one commit is written goes into the next one together.
                step = count if size > 1 else 1
                for first in range(0, count, step):
                    await asyncio.gather(*map(store.save, saves[first : first + step]))
                ours.append((perf_counter() - began) / count)
                await store.async_close()
                theirs.append(await asyncio.to_thread(_bare, place / "bare.db", saves[:count], size))
        each = {"hub_us": median(ours) * 1e6, "peer_us": median(theirs) * 1e6}
        figure = ratio("write", f"{what}, against a bare insert", None, ours, theirs, budget=2.0)
        figure.medians.clear()
        figure.medians.update(each)
        figures.append(figure)
    return figures


def _bare(path: Path, saves: list[e.Save], size: int) -> float:
    """Insert the same texts into one table, as durably."""
    rows: list[Row] = [(save.installs[0].id, _text(save)) for save in saves]
    with closing(sqlite3.connect(path, autocommit=True)) as connection:
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE bare (id TEXT PRIMARY KEY, record TEXT NOT NULL)")
        began = perf_counter()
        for first in range(0, len(rows), size):
            connection.execute("BEGIN IMMEDIATE")
            for row in rows[first : first + size]:
                connection.execute("INSERT INTO bare VALUES (?, ?)", row)
            connection.execute("COMMIT")
        return (perf_counter() - began) / len(rows)


def _text(save: e.Save) -> str:
    return "".join([*map(to_json, save.installs), *map(to_json, save.audit)])


async def artifact(run: Run) -> list[Figure]:
    """Fetch, verify and store a large artifact, against the two commands that verify and copy a file."""
    ours: list[float] = []
    theirs: list[float] = []
    memory: list[float] = []
    with folder() as place:
        image = place / "image.bin"
        image.write_bytes(secrets.token_bytes(SIZE))
        digest = hashlib.sha256(image.read_bytes()).hexdigest()
        async with Vendor() as vendor:
            vendor.files["image.bin"] = image.read_bytes()
            for number in run.rounds(7):
                answer = await _fetch(vendor.file_url("image.bin"), digest, place / f"cache{number}")
                ours.append(answer["seconds"])
                memory.append(answer["bytes"] / 1e6)
                theirs.append(await asyncio.to_thread(_two_commands, image, place / "copy.bin"))
    return [
        ratio("artifact", "fetch, verify and store 50 MB, against sha256sum and cp", None, ours, theirs, budget=1.5),
        Figure("artifact", "memory above base", None, "MB", tuple(memory), budget=16),
    ]


async def _fetch(url: str, digest: str, cache: Path) -> dict[str, float]:
    """Fetch it in a process of its own, whose memory is nobody else's."""
    answer: dict[str, float] = await apart("fetch", url, digest, str(SIZE), str(cache))
    return answer


def _two_commands(image: Path, copy: Path) -> float:
    copy.unlink(missing_ok=True)
    began = perf_counter()
    subprocess.run(["sha256sum", image], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cp", image, copy], check=True)
    return perf_counter() - began
