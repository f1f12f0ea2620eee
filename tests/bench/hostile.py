"""The row of hostile documents: the property of the tests of the sources, with as many examples as one likes.

What is fed to each source is made by those tests, from documents that vendors publish: tampered with, and with broken
bytes. They promise that each is read or refused with a reason; here is counted what came, and nothing is measured.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from custom_components.firmware_hub.core.errors import BadInput, HubError, Reason
from custom_components.firmware_hub.core.model import Feed, Manifest, Trust
from custom_components.firmware_hub.core.signing import VerifiedBytes
from custom_components.firmware_hub.sources import BY_NAME
from custom_components.firmware_hub.sources.base import FeedRequest, Source
from tests.bench.apart import apart, python_of_the_tests
from tests.bench.figures import Figure, Run

if TYPE_CHECKING:
    from hypothesis.strategies import DataObject

INPUTS = 100_000
"""For each source."""
QUICK_INPUTS = 50
BATCH = 2_500
"""Hypothesis keeps what it has tried, to try something else: about 12 kB for each document."""
KINDS = (
    "test_a_document_that_was_tampered_with_is_read_or_refused",
    "test_a_document_with_broken_bytes_is_read_or_refused",
)
_EXAMPLES = "tests.sources.test_every_source"


async def hostile(run: Run) -> list[Figure]:
    """Feed hostile documents to every source; the budget for anything but an answer or a typed refusal is none."""
    wanted = QUICK_INPUTS if run.quick else INPUTS
    # Nothing is timed: as many at once as there are processors.
    names, workers = list(BY_NAME), 1 if run.quick else min(os.cpu_count() or 1, len(BY_NAME))
    parts = await asyncio.gather(*(_part(wanted, names[start::workers]) for start in range(workers)))
    counted = {name: count for part in parts for name, count in part.items()}
    return [_figure(name, counted[name], wanted) for name in names]


async def _part(wanted: int, names: list[str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = await apart("hostile", str(wanted), *names, python=python_of_the_tests())
    return found


def _figure(name: str, counted: dict[str, Any], wanted: int) -> Figure:
    refused, odd = counted["refused"], counted["odd"]
    inputs = counted["read"] + sum(refused.values()) + sum(odd.values())
    if inputs < wanted:
        raise RuntimeError(f"{name} was given {inputs} documents of {wanted}")
    what = f"{name}, {inputs:,} documents: neither read nor refused with a reason"
    if odd:
        what += f" ({counted['example']})"
    order = dict(sorted(refused.items(), key=lambda each: -each[1]))
    return Figure("hostile", what, None, "", (sum(odd.values()),), budget=0, medians={"read": counted["read"], **order})


@dataclass(slots=True)
class Counting:
    """A source that counts its answers. What is neither an answer nor a typed refusal is counted and passed over."""

    source: Source
    read_whole: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    odd: Counter[str] = field(default_factory=Counter)
    example: str = ""

    @property
    def name(self) -> str:
        """The source's own."""
        return self.source.name

    @property
    def trust(self) -> Trust:
        """The source's own."""
        return self.source.trust

    def request(self, feed: Feed) -> FeedRequest:
        """Return the source's own."""
        return self.source.request(feed)

    def read(self, data: VerifiedBytes, feed: Feed) -> Manifest:
        """Read, and count what comes of it."""
        try:
            found = self.source.read(data, feed)
        except HubError as error:
            self.refused[error.reason.value] += 1
            raise
        except Exception as error:
            self.odd[type(error).__name__] += 1
            self.example = self.example or f"{error!r} of {data.payload[:200]!r}"
            raise BadInput(Reason.MALFORMED, repr(error), path="?") from error
        self.read_whole += 1
        return found


def feed_it(source: Source, wanted: int) -> Counting:
    """Feed so many documents to a source, as many of each kind; the same ones every time."""
    from hypothesis import HealthCheck, Phase, given, seed, settings, strategies as st

    tests = importlib.import_module(_EXAMPLES)
    counting = Counting(source)
    for kind, number in _batches(wanted):
        body = partial(getattr(tests, kind).hypothesis.inner_test, source=counting)

        def example(data: DataObject) -> None:
            body(data=data)  # noqa: B023 - it is over when the loop goes on

        settings(
            max_examples=min(BATCH, -(-wanted // len(KINDS))),
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )(seed(number)(given(data=st.data())(example)))()
    return counting


def _batches(wanted: int) -> Iterator[tuple[str, int]]:
    """Return a kind and a seed for each batch."""
    each = -(-wanted // len(KINDS))
    for kind in KINDS:
        for number in range(-(-each // BATCH)):
            yield kind, number


def _main(wanted: int, names: list[str]) -> dict[str, Any]:
    found = {}
    for name in names:
        counted = feed_it(BY_NAME[name], wanted)
        found[name] = {
            "read": counted.read_whole,
            "refused": counted.refused,
            "odd": counted.odd,
            "example": counted.example,
        }
    return found


if __name__ == "__main__":
    print(json.dumps(_main(int(sys.argv[1]), sys.argv[2:])))
