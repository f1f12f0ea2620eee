"""Work in a process of its own, and how much memory something takes there, where it is nobody else's."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[2]
_STATUS = Path("/proc/self/status")
_RESET_PEAK = "5"  # proc(5), clear_refs


def python_of_the_tests() -> str:
    """Return the interpreter that has what only tests need: Hypothesis and zigpy."""
    return os.environ.get("FIRMWARE_HUB_TEST_PYTHON") or sys.executable


async def apart(module: str, *arguments: str, python: str = sys.executable) -> Any:
    """Run a module of this package in a process of its own; return what it prints, which is one line of JSON.

    Raises:
        RuntimeError: it failed; what it said about that is on standard error.
    """
    process = await asyncio.create_subprocess_exec(
        *(python, "-m", "tests.bench.rootless", module, *arguments), stdout=subprocess.PIPE, cwd=ROOT
    )
    try:
        out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError(f"{module} failed: {' '.join(arguments)}")
    return json.loads(out)


class Peak:
    """The memory that a block of code takes at its peak, above what the process had before."""

    def __init__(self) -> None:
        self.bytes = 0
        self._base = 0

    def __enter__(self) -> Self:
        """Begin."""
        gc.collect()
        Path("/proc/self/clear_refs").write_text(_RESET_PEAK, "ascii")
        self._base = _bytes("VmRSS:")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Look how high it went."""
        self.bytes = _bytes("VmHWM:") - self._base


def _bytes(name: str) -> int:
    line = next(line for line in _STATUS.read_text("ascii").splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024
