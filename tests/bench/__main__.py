"""``script/bench``: chooses the rows, runs them, prints what they say."""

from __future__ import annotations

import argparse
import asyncio
import inspect
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import monotonic

from custom_components.firmware_hub.core import limits
from simulator.broker import Broker
from tests.bench import core, disk, families, feeds, homes, hostile, repositories
from tests.bench.figures import Figure, Run, as_json, machine, show

type Row = Callable[[Run], list[Figure] | Awaitable[list[Figure]]]

ROWS: dict[str, Row] = {
    "announce": homes.announce,
    "messages": homes.messages,
    "receive": core.receive,
    "write": disk.write,
    "artifact": disk.artifact,
    "plan": core.plan,
    "approve": homes.approve,
    "cold_start": homes.cold_start,
    "manifest": feeds.manifest,
    "tasmota": feeds.tasmota,
    "zigbee": feeds.zigbee,
    "tuf": repositories.tuf,
    "families": families.families,
    "hostile": hostile.hostile,
}
DEVICES = (1_000, limits.MAX_DEVICES)


def _say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


async def _measure(names: list[str], run: Run) -> list[Figure]:
    figures: list[Figure] = []
    for name in names:
        began = monotonic()
        found = ROWS[name](run)
        figures += await found if inspect.isawaitable(found) else found
        _say(f"{name}: {monotonic() - began:.0f} s")
    return figures


def main() -> None:
    """Run the rows; the exit code says only whether they ran."""
    parser = argparse.ArgumentParser(prog="script/bench", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="row", help=f"one of {', '.join(ROWS)}; all of them by default")
    parser.add_argument("--devices", type=int, action="append", help="how many; may be given more than once")
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    parser.add_argument("--quick", action="store_true", help="one round of everything: to see that it runs")
    chosen = parser.parse_args()
    if unknown := [name for name in chosen.rows if name not in ROWS]:
        parser.error(f"no such row: {', '.join(unknown)}; there are {', '.join(ROWS)}")
    if any(not 0 < count <= limits.MAX_DEVICES for count in chosen.devices or ()):
        parser.error(f"--devices goes from 1 to {limits.MAX_DEVICES}")
    run = Run(tuple(chosen.devices or (DEVICES[:1] if chosen.quick else DEVICES)), chosen.quick, _say)
    figures = asyncio.run(_measure(chosen.rows or list(ROWS), run))
    about = machine(Broker().name)
    show(figures, about)
    line = as_json(figures, about)
    if chosen.json is not None:
        chosen.json.write_text(line + "\n", "utf-8")
    print(line)


if __name__ == "__main__":
    main()
