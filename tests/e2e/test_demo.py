"""The demo as people start it: one command, and what it prints at the end."""

import asyncio
import json
import os
import re
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from typing import Any

import pytest

from simulator.demo.home_assistant import ROOT

SCRIPT = ROOT / "script" / "demo"
LONGEST = 4 * 60
VERDICTS = {"succeeded": 5, "rolled_back": 1, "failed": 1, "timed_out": 1}
REPAIRS = ["device_dark", *["install_failed"] * 2, "manifest_refused"]


async def run_demo(*arguments: str) -> Process:
    return await asyncio.create_subprocess_exec(SCRIPT, *arguments, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, cwd="/")


async def output_until(process: Process, wanted: str) -> str:
    """Read lines until one matches; returns what was read."""
    assert process.stdout is not None
    read = ""
    async for line in process.stdout:
        read += line.decode()
        if re.search(wanted, read):
            return read
    raise AssertionError(f"the demo ended without {wanted!r}: {read}")


async def nobody_listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return True
    writer.close()
    return False


@pytest.mark.timeout(LONGEST + 60)
async def test_every_device_ends_as_its_script_says() -> None:
    process = await run_demo("--headless")
    output, errors = await process.communicate()
    assert process.returncode == 0, f"{output.decode()}\n{errors.decode()}"
    summary: dict[str, Any] = json.loads(output.decode().splitlines()[-1])
    seconds = summary.pop("seconds")
    assert 0 < seconds <= LONGEST
    assert summary.pop("broker").startswith("mosquitto 2.")
    assert summary == {
        "home_assistant": "2026.11.0",
        "devices": 9,
        "verdicts": VERDICTS,
        "refused_manifests": ["bad_signature"],
        "commands_outside_window": 0,
        "duplicate_commands": 0,
        "repairs": REPAIRS,
    }


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_an_interrupted_demo_leaves_nothing_running(number: signal.Signals) -> None:
    process = await run_demo("--headless")
    output = await output_until(process, r"Home Assistant \S+ at http")
    ports = [int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", output)]
    os.kill(process.pid, number)
    await process.communicate()
    assert process.returncode == 130
    assert len(ports) == 5
    assert [port for port in ports if not await nobody_listens(port)] == []
