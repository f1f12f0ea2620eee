"""Matches devices with Zigbee-OTA's list, by the hub and by zigpy in turn; says how long each took.

For the environment of the tests, which has zigpy. Who is asked for what is what the tests ask that hold the hub's
answers against zigpy's; here too the two must agree.
"""

from __future__ import annotations

import asyncio
import json
import sys
from time import perf_counter
from typing import Any

from tests.bench.zigbee_list import listed
from tests.sources.test_zigpy_agrees import Hub, Query, queries, zigpy_answers, zigpy_of


def _devices(entries: list[dict[str, Any]], count: int) -> list[Query]:
    """Return so many kinds of device, from all over the list."""
    every = list(queries(entries))
    return [every[number * len(every) // count] for number in range(count)]


async def _match(count: int, rounds: int) -> dict[str, Any]:
    entries: list[dict[str, Any]] = json.loads(listed()[1])
    devices = _devices(entries, count)
    hub, manager = Hub(entries), zigpy_of(entries)
    # What zigpy loads of each image when it first comes across it is no part of matching; it keeps that.
    theirs = [await zigpy_answers(manager, device) for device in devices]
    spent: dict[str, list[float]] = {"hub": [], "zigpy": []}
    for _ in range(rounds):
        began = perf_counter()
        ours = [hub.answer(device) for device in devices]
        spent["hub"].append(perf_counter() - began)
        began = perf_counter()
        for device in devices:
            await zigpy_answers(manager, device)
        spent["zigpy"].append(perf_counter() - began)
        if ours != theirs:
            raise RuntimeError("the hub and zigpy disagree")
    return {**spent, "offers": sum(answer is not None for answer in theirs)}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_match(int(sys.argv[1]), int(sys.argv[2])))))
