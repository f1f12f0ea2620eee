"""``script/demo``: the first night of a simulated home, with a real Home Assistant."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from functools import partial
from typing import Any

from rich.console import Console
from rich.live import Live

from simulator.broker import BrokerFailed
from simulator.demo import night, view
from simulator.demo.api import ApiError, ConnectionLost
from simulator.demo.home_assistant import OWNER, PASSWORD, HomeAssistantFailed
from simulator.demo.night import Result
from simulator.demo.shown import Shown
from simulator.demo.stage import LOG, Say, Stage, stage
from simulator.families import FAMILIES, parse

AS_SCRIPTED, NOT_AS_SCRIPTED, FAILED, INTERRUPTED = 0, 1, 2, 130
A_DAY = 86_400.0
WIDTH = 120
"""Columns where the output goes into a file."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        result = asyncio.run(_run(options))
    except (KeyboardInterrupt, asyncio.CancelledError):
        _complain("stopped before its end; everything that it started has ended")
        return INTERRUPTED
    except (ApiError, BrokerFailed, ConnectionLost, HomeAssistantFailed, TimeoutError) as error:
        _complain(f"{error}\nHome Assistant's own words are in {LOG}")
        return FAILED
    if result is None:
        return AS_SCRIPTED
    print(result.line, flush=True)
    return AS_SCRIPTED if result.as_scripted else NOT_AS_SCRIPTED


def _complain(text: str) -> None:
    print(f"demo: {text}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="script/demo",
        description="A real Home Assistant keeps a simulated home current: nine devices, three vendors, one night.",
    )
    parser.add_argument(
        "--headless", action="store_true", help="approve everything, wait for the verdicts, print one line of JSON last"
    )
    parser.add_argument(
        "--approve", action="store_true", help='press "Update all" by itself, and go on until Ctrl-C (not headless)'
    )
    parser.add_argument("--keep", action="store_true", help="with --headless: leave everything running until Ctrl-C")
    parser.add_argument(
        "--fleet",
        type=_fleet,
        default={},
        metavar="shelly=3,zigbee2mqtt=5",
        help=f"more devices beside the nine, all of which succeed: {', '.join(FAMILIES)}",
    )
    parser.add_argument("--broker", choices=["mosquitto", "amqtt"], help="default: Mosquitto if there is one")
    parser.add_argument("--port", type=int, help="port of Home Assistant; default: a free one")
    return parser


def _fleet(text: str) -> dict[str, int]:
    try:
        return parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


async def _run(options: argparse.Namespace) -> Result | None:
    began = time.monotonic()
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    task = asyncio.current_task()
    if task is not None:
        for number in (signal.SIGINT, signal.SIGTERM):  # a job in the background ignores SIGINT unless it is asked for
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)

    def say(text: str) -> None:
        line = f"[{time.monotonic() - began:5.1f} s] {text}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    async with stage(say, kind=options.broker, port=options.port, counts=options.fleet) as running:
        if not options.headless:
            await _interactive(running, console, approve=options.approve)
            return None
        async with _beside(_report(running, say)):
            await night.approve_everything(running, say)
            await night.wake_the_sleepers(running, say)
            await night.wait_for_verdicts(running, began)
        result = night.judge(running, began)
        console.print(view.final(result))
        if options.keep:
            say(f"{running.home_assistant.url}, user {OWNER}, password {PASSWORD}; Ctrl-C ends everything")
            await _until_interrupted()
        return result


async def _interactive(running: Stage, console: Console, *, approve: bool) -> None:
    """Show the night until Ctrl-C; the person approves in the browser, unless asked otherwise."""
    picture = Live(console=console, get_renderable=lambda: view.live(running), refresh_per_second=4)
    async with _beside(_play(running, approve=approve)):
        with picture:
            await _until_interrupted()


async def _play(running: Stage, *, approve: bool) -> None:
    """Do beside the live picture what no person at the screen can do."""
    if approve:
        await night.approve_everything(running, _quiet)
    await night.wake_the_sleepers(running, _quiet, within=A_DAY)


async def _until_interrupted() -> None:
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.Event().wait()


@contextlib.asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do something while the body runs; what goes wrong in it is told at the end."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _report(running: Stage, say: Say) -> None:
    """Say every change of what Home Assistant shows, one line each."""
    told: dict[str, str] = {}
    while True:
        words = view.in_words(running.shown)
        for device_id, line in words.items():
            if told.get(device_id) != line:
                say(line)
        told = words
        await running.shown.wait_for(partial(_differs, told=told), A_DAY)


def _differs(shown: Shown, told: dict[str, str]) -> bool:
    return view.in_words(shown) != told


def _quiet(text: str) -> None:
    """Say nothing: the live picture shows it."""


if __name__ == "__main__":
    sys.exit(main())
