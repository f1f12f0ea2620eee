"""The row of TUF: a repository of many makers refreshed for the first time, and again with nothing new in it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import median

from aiohttp import web

from simulator.broker import HOST
from tests.bench.apart import apart
from tests.bench.figures import Figure, Run, ratio
from tests.bench.homes import folder
from tests.tuf.repository import Repository, release

MAKERS = 10
EACH = 20
"""Targets of each maker, all in a role of its own."""


async def tuf(run: Run) -> list[Figure]:
    """Refresh cold and warm, against python-tuf's own client that is asked for the same targets."""
    repository, targets = _repository()
    found: dict[str, list[dict[str, float]]] = {"hub": [], "bare": []}
    async with _served(repository) as url:
        for number in run.rounds(7):
            for who, done in found.items():
                with folder() as place:
                    (place / "root.json").write_text(repository.first_root, "utf-8")
                    (place / "targets.json").write_text(json.dumps(targets), "utf-8")
                    given = [str(place / name) for name in ("root.json", "kept", "targets.json")]
                    done.append(await apart("tuf_refresh", who, url, *given))
            run.say(f"tuf: round {number + 1}")
    size = f"{len(targets)} targets of {MAKERS} makers"
    figures = [
        ratio(
            "tuf",
            f"refresh {what}, {size}, against python-tuf's own client",
            None,
            [done[key] for done in found["hub"]],
            [done[key] for done in found["bare"]],
        )
        for key, what in (("cold", "for the first time"), ("warm", "with nothing new"))
    ]
    memory = {who: [done["bytes"] / 1e6 for done in each] for who, each in found.items()}
    medians = {"peer_mb": median(memory["bare"])}
    what = "memory of the first refresh, beside python-tuf's own client"
    return [*figures, Figure("tuf", what, None, "MB", tuple(memory["hub"]), medians=medians)]


def _repository() -> tuple[Repository, list[str]]:
    repository = Repository()
    paths = []
    for maker in range(MAKERS):
        name = f"maker{maker}"
        repository.delegate(name, [f"{name}/*/*/*"])
        for number in range(EACH):
            path = f"{name}/plug-{number}/1.2.0/plug.bin"
            described = release(name, notes="- something is better\n" * 20)
            described["match"]["model"] = [f"PLUG-{number}"]
            repository.add(path, f"{path} ".encode() * 100, role=name, custom=described)
            paths.append(path)
    repository.publish()
    return repository, paths


@asynccontextmanager
async def _served(repository: Repository) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/tuf/{name:.*}", repository.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.05)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, 0).start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}/tuf"
    finally:
        await runner.cleanup()
