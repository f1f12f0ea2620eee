"""The row of the families: what a device of each costs the hub when it announces itself, and when it says it again."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import cycle, islice, zip_longest
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
from tests.bench.figures import Figure, Run, ratio

FEW = 18
TOGETHER = 20
"""Devices that speak in turn before another family does: a clock is looked at once for all of them."""


type Costs = dict[str, float]
"""By family, in microseconds."""


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

    def announce(self, said: list[Conversation]) -> Costs:
        """Hear for the first time what devices say; return what all of a family cost."""
        costs = dict.fromkeys(FAMILIES, 0.0)
        for family, messages in _in_turn(said):
            costs[family] += self.hear(messages) * 1e6
        counts = {family: sum(each.devices for each in said if each.family == family) for family in FAMILIES}
        if dict(self.hub.fleet.by_dialect) != counts:
            raise RuntimeError(f"not all were found: {self.hub.fleet.by_dialect} of {counts}")
        # Half an hour later: what a start brings with it is over.
        self.now += timedelta(minutes=30)
        self.take(i.WokenUp())
        return costs


def _manifest(family: str) -> Manifest:
    old, new = FAMILIES[family].old, FAMILIES[family].new
    image = Artifact(ArtifactRole.MAIN, "image.bin", "https://acme.example/image.bin", 800_000, "ab" * 32)
    release = Release(Match(old.manufacturer, (old.model,)), new, (image,), summary="better")
    expires = DAY + timedelta(days=30)
    return Manifest(
        family, old.manufacturer, Trust.SIGNED, "cd" * 32, (release,), sequence=1, issued=DAY, expires=expires
    )


async def families(run: Run) -> list[Figure]:
    """Announce a mixed fleet, and let all of it say the same again, against a fleet of a few."""
    figures = []
    few_said = await conversations(FEW)
    few = Mixed()
    few.announce(few_said)
    for devices in run.devices:
        said = await conversations(devices)
        first, again = [], []
        for number in run.rounds(5):
            run.say(f"families: {devices} devices, round {number + 1}")
            many = Mixed()
            first.append(many.announce(said))
            again.append(_say_again((many, said), (few, few_said)))
        for family, share in shares(devices).items():
            messages = sum(len(each.messages) for each in said if each.family == family) / share
            costs = tuple(each[family] / share for each in first)
            medians = {"messages": messages, "each_us": median(costs) / messages}
            what = f"{family}: a device announces itself"
            figures.append(Figure("families", what, devices, "µs", costs, medians=medians))
            ours, theirs = ([each[family] for each in which] for which in zip(*again, strict=True))
            what = f"{family}: a message said again, against {FEW} devices"
            figure = ratio("families", what, devices, ours, theirs, budget=1.3)
            figure.medians.clear()
            figure.medians.update({"many_us": median(ours), "few_us": median(theirs)})
            figures.append(figure)
    return figures


def _say_again(many: tuple[Mixed, list[Conversation]], few: tuple[Mixed, list[Conversation]]) -> tuple[Costs, Costs]:
    """Let all of many devices say the same again, in turn with as many messages of few; return what each message cost.

    In turn, so that what else this machine does meanwhile is the same for both.
    """
    costs = [dict.fromkeys(FAMILIES, 0.0) for _ in range(2)]
    counts = dict.fromkeys(FAMILIES, 0)
    theirs = {family: cycle(messages) for family, messages in _in_turn(few[1])}
    for family, messages in _in_turn(many[1]):
        counts[family] += len(messages)
        for (hub, _), said, cost in zip((many, few), (messages, theirs[family]), costs, strict=True):
            repeated = [replace(each, retained=False) for each in islice(said, len(messages))]
            cost[family] += hub.hear(repeated) * 1e6
    ours, others = ({family: cost[family] / counts[family] for family in FAMILIES} for cost in costs)
    return ours, others


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
