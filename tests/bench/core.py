"""The rows of the core alone: one message with many devices and with few, and the plan of a night."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from statistics import median
from time import perf_counter

from custom_components.firmware_hub.core import effects as e, inputs as i
from custom_components.firmware_hub.core.hub import Hub as CoreHub
from custom_components.firmware_hub.core.model import (
    Artifact,
    ArtifactRole,
    Feed,
    Manifest,
    Match,
    Release,
    Trust,
)
from custom_components.firmware_hub.core.records import Snapshot
from custom_components.firmware_hub.core.settings import Settings
from custom_components.firmware_hub.dialects import DIALECTS
from custom_components.firmware_hub.dialects.base import Message
from custom_components.firmware_hub.dialects.open import OpenDialect
from tests.bench.figures import Figure, Run, ratio
from tests.bench.messages import LATEST, MAKER, MODEL, Hub

FEW = 10
MESSAGES = 5_000
DAY = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
"""Noon: what is approved waits for the night."""

_OPEN = OpenDialect()


class Core:
    """A hub without anything around it."""

    def __init__(self, devices: int) -> None:
        """Let it know so many devices and a release for all of them."""
        self.now = DAY
        capabilities = {dialect.name: dialect.capabilities for dialect in DIALECTS}
        self.hub = CoreHub(capabilities, new_id=lambda: secrets.token_hex(8))
        self.hub.restore(Snapshot(), self.now)
        feed = Feed("acme", "signed_manifest", "Acme", "https://acme.example/", Trust.SIGNED, MAKER)
        for item in (i.SettingsChanged(Settings()), i.LinkChanged(True), i.FeedsChanged((feed,))):
            self.hub.receive(item, self.now)
        self.hub.receive(i.ManifestRead(feed.id, _manifest(), b"", "", self.now), self.now)
        self.read(Hub.announcements(devices))

    def read(self, messages: Iterable[tuple[str, str]]) -> list[e.Effect]:
        """Read messages as the coordinator does."""
        effects: list[e.Effect] = []
        for topic, payload in messages:
            self.now += timedelta(milliseconds=1)
            for item in _OPEN.read(Message(topic, payload, False), self.hub):
                effects = self.hub.receive(item, self.now)
        return effects

    def approve_all(self) -> list[e.Save]:
        """Let somebody say yes to everything; return what has to be written."""
        saves: list[e.Save] = []
        for device_id in tuple(self.hub.device_ids()):
            self.now += timedelta(milliseconds=1)
            effects = self.hub.receive(i.ApproveRequested(device_id, "bench"), self.now)
            saves += [effect for effect in effects if isinstance(effect, e.Save)]
        return saves


def _manifest() -> Manifest:
    image = Artifact(ArtifactRole.MAIN, "plug.bin", "https://acme.example/plug.bin", 800_000, "ab" * 32)
    notes = "- something is better\n" * 20
    release = Release(
        Match(MAKER, (MODEL,), hardware=("rev2",)), LATEST, (image,), summary="better", notes=notes, install_minutes=2
    )
    return Manifest(
        "acme", MAKER, Trust.SIGNED, "cd" * 32, (release,), sequence=1, issued=DAY, expires=DAY + timedelta(days=30)
    )


def receive(run: Run) -> list[Figure]:
    """One message, read and taken in, with many devices against with few."""
    few = Core(FEW)
    count = MESSAGES // 10 if run.quick else MESSAGES
    figures = []
    for devices in run.devices:
        many = Core(devices)
        for what, number in (("that change nothing", 0), ("that say another version", 1)):
            ours, theirs = [], []
            for turn in run.rounds(7):
                ours.append(_reading(many, number, count, devices, turn))
                theirs.append(_reading(few, number, count, FEW, turn))
            each = {"many_us": median(ours) / count * 1e6, "few_us": median(theirs) / count * 1e6}
            figure = ratio("receive", f"messages {what}, against {FEW} devices", devices, ours, theirs, budget=1.3)
            figure.medians.clear()
            figure.medians.update(each)
            figures.append(figure)
    return figures


def _reading(core: Core, kind: int, count: int, devices: int, turn: int) -> float:
    base = f"5.{turn}."
    core.read(Hub.changes(devices, devices, base))
    messages = list(Hub.changes(count, devices, f"6.{turn}.") if kind else Hub.noise(count, devices, f"{base}0"))
    began = perf_counter()
    core.read(messages)
    return perf_counter() - began


def plan(run: Run) -> list[Figure]:
    """The plan of a night in which every device wants to be updated."""
    figures = []
    for devices in run.devices:
        core = Core(devices)
        core.approve_all()
        took = []
        for _ in run.rounds(7):
            began = perf_counter()
            planned = core.hub.plan(core.now)
            took.append((perf_counter() - began) * 1000)
            if len(planned) != devices:
                raise RuntimeError(f"{len(planned)} of {devices} devices were planned")
        figures.append(Figure("plan", "plan of a night, every device approved", devices, "ms", tuple(took), budget=100))
    return figures
