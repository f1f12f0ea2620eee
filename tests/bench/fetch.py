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

_STATUS = Path("/proc/self/status")
_RESET_PEAK = "5"  # proc(5), clear_refs


def _bytes(name: str) -> int:
    line = next(line for line in _STATUS.read_text("ascii").splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


async def _fetch(url: str, digest: str, size: int, cache: Path) -> dict[str, float]:
    artifact = Artifact(ArtifactRole.MAIN, "image.bin", url, size, digest)
    async with aiohttp.ClientSession() as session:
        downloader = Downloader(session, cache, 1 << 30, asyncio.to_thread)
        await asyncio.to_thread(int)  # a thread is there, as it is in Home Assistant
        Path("/proc/self/clear_refs").write_text(_RESET_PEAK, "ascii")
        base = _bytes("VmRSS:")
        began = perf_counter()
        path = await downloader.async_artifact(artifact)
        seconds = perf_counter() - began
        if path.stat().st_size != size:
            raise RuntimeError("not all of it is there")
        return {"seconds": seconds, "bytes": float(_bytes("VmHWM:") - base)}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_fetch(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])))))
