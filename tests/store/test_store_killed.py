"""Killed without a warning: what was acknowledged is there, what was not is there whole or not at all."""

import signal
import subprocess
from pathlib import Path

import pytest

from custom_components.firmware_hub.store import Store

from .child import ROOT, command

_WRITER = """
import asyncio, sys
from pathlib import Path
from custom_components.firmware_hub.core.effects import Save
from custom_components.firmware_hub.store import Store
from tests.store.make import audit, device

async def main():
    store = await Store.async_open(Path(sys.argv[1]))
    together = int(sys.argv[2])
    number = 0
    async def one(number):
        await store.async_save(Save(devices=(device(str(number)),), audit=(audit(subject=str(number)),)))
        print(number, flush=True)
    while True:
        await asyncio.gather(*(one(number + more) for more in range(together)))
        number += together

asyncio.run(main())
"""


@pytest.mark.parametrize(("together", "acknowledged"), [(1, 1), (1, 40), (20, 90), (300, 700)])
async def test_every_acknowledged_save_is_there_after_a_kill(path: Path, together: int, acknowledged: int) -> None:
    told = _killed_after(path, together, acknowledged)

    store = await Store.async_open(path)
    found = {device.id for device in (await store.async_load()).devices}
    rows = {f"open:{row['subject']}" for row in await store.async_history(limit=1_000)}
    assert {f"open:{number}" for number in told} <= found
    assert await store.async_verify_audit()
    assert len(found) >= 1_000 or rows == found
    await store.async_close()


def _killed_after(path: Path, together: int, acknowledged: int) -> list[int]:
    started = command(_WRITER, path, together)
    with subprocess.Popen(started, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        told = [int(writer.stdout.readline()) for _ in range(acknowledged)]
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read()
    return told + [int(line) for line in rest.splitlines(keepends=True) if line.endswith("\n")]
