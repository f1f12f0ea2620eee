"""Fetches one artifact as the integration does, and says how long it took and how much memory."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from time import perf_counter

import aiohttp

from custom_components.firmware_hub.core.model import Artifact, ArtifactRole
from custom_components.firmware_hub.download import Downloader
from tests.bench.apart import Peak


async def _fetch(url: str, digest: str, size: int, cache: Path) -> dict[str, float]:
    artifact = Artifact(ArtifactRole.MAIN, "image.bin", url, size, digest)
    async with aiohttp.ClientSession() as session:
        downloader = Downloader(session, cache, 1 << 30, asyncio.to_thread)
        await asyncio.to_thread(int)  # a thread is there, as it is in Home Assistant
        with Peak() as peak:
            began = perf_counter()
            path = await downloader.async_artifact(artifact)
            seconds = perf_counter() - began
        if path.stat().st_size != size:
            raise RuntimeError("not all of it is there")
        return {"seconds": seconds, "bytes": peak.bytes}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_fetch(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])))))
