"""The row of the families: what a device of each costs the hub when it announces itself, and when it says it again."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import zip_longest
from statistics import median
from time import process_time

from custom_components.firmware_hub.core import inputs as i
from custom_components.firmware_hub.core.hub import Hub
from custom_components.firmware_hub.core.model import Artifact, ArtifactRole, Feed, Manifest, Match, Release, Trust
from custom_components.firmware_hub.core.records import Snapshot
from custom_components.firmware_hub.core.settings import Settings
from custom_components.firmware_hub.dialects import DIALECTS
from custom_components.firmware_hub.dialects.base import Message
from custom_components.firmware_hub.hearing import hear
from simulator.families import FAMILIES
from simulator.link import Publication
from tests.bench.conversations import Conversation, conversations, shares
from tests.bench.core import DAY
from tests.bench.figures import Figure, Run

TOGETHER = 20
"""Devices that speak in turn before another family does: a clock is looked at once for all of them."""


@dataclass(slots=True)
class _Spent:
    """Microseconds of one round for each device and each message."""

    first: dict[str, float] = field(default_factory=dict)
    again: dict[str, float] = field(default_factory=dict)


class Mixed:
    """A hub without anything around it that hears all families, and has a vendor's release for each."""

    def __init__(self) -> None:
        self.now = DAY
        capabilities = {dialect.name: dialect.capabilities for dialect in DIALECTS}
        self.hub = Hub(capabilities, new_id=lambda: secrets.token_hex(8))
        self.hub.restore(Snapshot(), self.now)
        manifests = [_manifest(name) for name in FAMILIES]
        feeds = tuple(
            Feed(m.feed_id, "signed_manifest", m.vendor, "https://acme.example/", Trust.SIGNED, m.vendor)
            for m in manifests
        )
        for item in (i.SettingsChanged(Settings()), i.LinkChanged(True), i.FeedsChanged(feeds)):
            self.take(item)
        for manifest in manifests:
            self.take(i.ManifestRead(manifest.feed_id, manifest, b"", "", self.now))

    def take(self, item: i.Input) -> None:
        """Tell the hub something; what it wants done is nobody's business here."""
        self.now += timedelta(microseconds=100)
        self.hub.receive(item, self.now)

    def hear(self, messages: Iterable[Message]) -> float:
        """Hear messages; return the processor seconds that they cost."""
        began = process_time()
        for message in messages:
            hear(message, self.hub, self.take)
        return process_time() - began

    def known(self) -> dict[str, int]:
        """Return how many devices of each family are known."""
        return dict(self.hub.fleet.by_dialect)


def _manifest(family: str) -> Manifest:
    old, new = FAMILIES[family].old, FAMILIES[family].new
    image = Artifact(ArtifactRole.MAIN, "image.bin", "https://acme.example/image.bin", 800_000, "ab" * 32)
    release = Release(Match(old.manufacturer, (old.model,)), new, (image,), summary="better")
    expires = DAY + timedelta(days=30)
    return Manifest(
        family, old.manufacturer, Trust.SIGNED, "cd" * 32, (release,), sequence=1, issued=DAY, expires=expires
    )


async def families(run: Run) -> list[Figure]:
    """Announce a mixed fleet, and let all of it say the same again."""
    figures = []
    for devices in run.devices:
        said = await conversations(devices)
        rounds = []
        for number in run.rounds(5):
            run.say(f"families: {devices} devices, round {number + 1}")
            rounds.append(_round(said, devices))
        for family in FAMILIES:
            count = sum(each.devices for each in said if each.family == family)
            messages = sum(len(each.messages) for each in said if each.family == family)
            first, again = [each.first[family] for each in rounds], [each.again[family] for each in rounds]
            medians = {"messages": messages / count, "each_us": median(first) * count / messages}
            figures += [
                Figure(
                    "families", f"{family}: a device announces itself", devices, "µs", tuple(first), medians=medians
                ),
                Figure("families", f"{family}: a message said again", devices, "µs", tuple(again)),
            ]
    return figures


def _round(said: list[Conversation], devices: int) -> _Spent:
    mixed = Mixed()
    spent = _Spent()
    first: dict[str, float] = dict.fromkeys(FAMILIES, 0.0)
    again = dict(first)
    counts = shares(devices)
    for family, messages in _in_turn(said):
        first[family] += mixed.hear(messages)
    if mixed.known() != {family: count for family, count in counts.items() if count}:
        raise RuntimeError(f"not all devices were found: {mixed.known()} of {counts}")
    # Half an hour later: what a start brings with it is over.
    mixed.now += timedelta(minutes=30)
    mixed.take(i.WokenUp())
    heard = dict.fromkeys(FAMILIES, 0)
    for family, messages in _in_turn(said):
        repeated = [replace(each, retained=False) for each in messages]
        heard[family] += len(repeated)
        again[family] += mixed.hear(repeated)
    spent.first = {family: first[family] / max(counts[family], 1) * 1e6 for family in FAMILIES}
    spent.again = {family: again[family] / max(heard[family], 1) * 1e6 for family in FAMILIES}
    return spent


def _in_turn(said: list[Conversation]) -> Iterator[tuple[str, list[Message]]]:
    """Return what is said, a few devices of each family after a few of another."""
    by_family = {family: [each for each in said if each.family == family] for family in FAMILIES}
    slices = [
        [each[first : first + TOGETHER] for first in range(0, len(each), TOGETHER)] for each in by_family.values()
    ]
    for together in zip_longest(*slices):
        for some in together:
            if some:
                yield some[0].family, [_heard(each, retained=each.retain) for one in some for each in one.messages]


def _heard(said: Publication, *, retained: bool) -> Message:
    """Return a message as Home Assistant's client hands it over, in bytes."""
    payload = said.payload.encode() if isinstance(said.payload, str) else said.payload
    return Message(said.topic, payload, retained)
