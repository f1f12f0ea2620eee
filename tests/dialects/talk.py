"""Words for the dialects' tests: messages, fixtures, and an address book with devices that announced themselves."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from custom_components.firmware_hub.core.errors import BadInput
from custom_components.firmware_hub.core.fleet import Fleet
from custom_components.firmware_hub.core.inputs import DeviceInput, DeviceReported
from custom_components.firmware_hub.core.model import (
    Artifact,
    ArtifactFormat,
    ArtifactRole,
    Device,
    Match,
    Release,
)
from custom_components.firmware_hub.dialects.base import Dialect, InstallOrder, Message

FIXTURES = Path(__file__).parent / "fixtures"
NOW = datetime(2026, 11, 24, 0, 30, tzinfo=UTC)
URL = "http://192.168.1.2:8127/f/9f2c61/image.bin"


def message(topic: str, payload: Any, *, retained: bool = False) -> Message:
    """A message with its payload as Home Assistant hands it over: bytes, JSON for anything that is no text."""
    if isinstance(payload, bytes):
        return Message(topic, payload, retained)
    text = payload if isinstance(payload, str) else json.dumps(payload)
    return Message(topic, text.encode(), retained)


def as_text(told: Message) -> str:
    return told.payload if isinstance(told.payload, str) else told.payload.decode()


def fixture_names(dialect: str) -> list[str]:
    return sorted(path.stem for path in (FIXTURES / dialect).glob("*.json"))


def fixture(dialect: str, name: str) -> list[Message]:
    told = json.loads((FIXTURES / dialect / f"{name}.json").read_text())
    return [message(each["topic"], each["payload"], retained=each["retained"]) for each in told]


def every_fixture(dialect: str) -> list[Message]:
    return [each for name in fixture_names(dialect) for each in fixture(dialect, name)]


def hear(dialect: Dialect, fleet: Fleet, *messages: Message) -> list[DeviceInput]:
    """Read messages one after the other, and keep what devices say of themselves."""
    heard: list[DeviceInput] = []
    for each in messages:
        for item in dialect.read(each, fleet):
            heard.append(item)
            if isinstance(item, DeviceReported):
                fleet.merge(item, NOW)
    return heard


def fleet_of(dialect: Dialect, *messages: Message) -> Fleet:
    fleet = Fleet()
    fleet.expect_burst(NOW)
    hear(dialect, fleet, *messages)
    return fleet


def only_device(fleet: Fleet) -> Device:
    (device,) = fleet.devices.values()
    return device


@dataclass(frozen=True)
class Fault:
    """What a refused message was refused for."""

    reason: str
    path: str


def fault(dialect: Dialect, fleet: Fleet, told: Message) -> Fault | None:
    """The reason and path with which a message is refused; ``None`` if it is read."""
    try:
        dialect.read(told, fleet)
    except BadInput as error:
        return Fault(error.reason.value, error.path)
    return None


def artifact(role: ArtifactRole = ArtifactRole.MAIN, digest: str = "ab") -> Artifact:
    return Artifact(role, "../x y.bin", "https://vendor.example/x.bin", 812345, digest * 32, ArtifactFormat.ESP)


def release(*artifacts: Artifact, model: str = "PLUG-S1", version: str = "1.2.0") -> Release:
    return Release(Match("Acme", (model,)), version, artifacts or (artifact(),))


def order(device: Device, url: str = URL, **changes: Any) -> InstallOrder:
    return replace(InstallOrder("a-7", device, release(), url), **changes)


def matches(topic_filter: str, topic: str) -> bool:
    """Whether an MQTT filter selects a topic (MQTT 3.1.1, 4.7)."""
    wanted, levels = topic_filter.split("/"), topic.split("/")
    if wanted[-1] == "#":
        wanted, levels = wanted[:-1], levels[: len(wanted) - 1]
    return len(wanted) == len(levels) and all(want in ("+", level) for want, level in zip(wanted, levels, strict=True))
