"""Refreshes one TUF repository, as the hub does or by python-tuf's own client; says what time and memory it took.

Called with who refreshes, the repository's address, its trusted root, a folder for what is kept, and, for the bare
client, a file that names the targets to ask for: the hub finds them by itself.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import perf_counter

import aiohttp
from tuf.ngclient import Updater

from custom_components.firmware_hub.core.model import Feed, Trust
from custom_components.firmware_hub.sources.tuf_repository import TufRepositorySource
from tests.bench.apart import Peak

type Refresh = Callable[[str], Awaitable[int]]
"""Refresh in a folder of this name; return how many targets there are."""


def _hub(session: aiohttp.ClientSession, url: str, root: str, folder: Path) -> Refresh:
    # They import some of Home Assistant, which the bare client knows nothing of.
    from custom_components.firmware_hub.download import Downloader
    from custom_components.firmware_hub.tuf_client import TufClient

    feed = Feed("makers", "tuf_repository", "Makers", url, Trust.SIGNED, root=root)

    async def refresh(name: str) -> int:
        downloader = Downloader(session, folder / f"{name} cache", 1 << 30, asyncio.to_thread)
        client = TufClient(downloader, folder / name, asyncio.to_thread)
        return len(TufRepositorySource().read(await client.async_refresh(feed), feed).releases)

    return refresh


def _bare(url: str, root: str, folder: Path, targets: list[str]) -> Refresh:
    def refresh_now(name: str) -> int:
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        updater = Updater(str(place), url, bootstrap=root.encode())
        updater.refresh()
        return sum(updater.get_targetinfo(path) is not None for path in targets)

    async def refresh(name: str) -> int:
        return await asyncio.to_thread(refresh_now, name)

    return refresh


async def _main(who: str, url: str, root: Path, folder: Path, targets: Path) -> dict[str, float]:
    async with aiohttp.ClientSession() as session:
        wanted: list[str] = json.loads(targets.read_bytes())
        text = root.read_text("utf-8")
        refresh = _hub(session, url, text, folder) if who == "hub" else _bare(url, text, folder, wanted)
        await asyncio.to_thread(int)  # a thread is there, as it is in Home Assistant
        with Peak() as peak:
            found = [await refresh("first")]
        spent = []
        for name in ("second", "second"):
            began = perf_counter()
            found.append(await refresh(name))
            spent.append(perf_counter() - began)
        if found != [len(wanted)] * 3:
            raise RuntimeError(f"{found} of {len(wanted)} targets were found")
        return {"cold": spent[0], "warm": spent[1], "bytes": peak.bytes}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_main(sys.argv[1], sys.argv[2], *map(Path, sys.argv[3:6])))))
