"""The schemas of the open device protocol say the same as the dialect, the fixtures and the specification."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from custom_components.firmware_hub.core.errors import BadInput
from custom_components.firmware_hub.core.fleet import Fleet
from custom_components.firmware_hub.core.model import Device
from custom_components.firmware_hub.dialects.base import Message
from custom_components.firmware_hub.dialects.open import OpenDialect

from .talk import every_fixture, fleet_of, message, order

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "device-protocol.md").read_text()
OPEN = OpenDialect()
D = "fwhub/device/plug-0a1b/"
WORDS = ("info", "health", "command", "status")
SCHEMAS = {word: json.loads((DOCS / "schemas" / f"open-{word}.schema.json").read_text()) for word in WORDS}
INFO = {"protocol": 1, "manufacturer": "Acme", "model": "PLUG-S1", "version": "1.1.0"}
STATUS = {"id": "a-7", "state": "trial"}


def is_valid(word: str, document: Any) -> bool:
    return Draft202012Validator(SCHEMAS[word]).is_valid(document)


def is_read(word: str, document: Any) -> bool:
    """Whether the dialect takes the document from a device that is known."""
    fleet = fleet_of(OPEN, message(f"{D}info", INFO))
    try:
        return bool(OPEN.read(message(f"{D}{word}", document), fleet))
    except BadInput:
        return False


def trace() -> Iterator[tuple[str, str, str]]:
    """The lines of the worked trace: direction, word, payload."""
    for line in PAGE.splitlines():
        found = re.fullmatch(r" *\d+\.\d ([<>]) (\w+) +(?:\(\w+\) +)?(\S.*)", line)
        if found:
            yield found[1], found[2], found[3]


def examples() -> list[tuple[str, Any]]:
    """Every JSON block of the page with the heading above it."""
    found = []
    for section in PAGE.split("\n### ")[1:]:
        word = section.split("\n", 1)[0]
        found += [(word, json.loads(block)) for block in re.findall(r"```json\n(.*?)```", section, re.DOTALL)]
    return found


@pytest.mark.parametrize("word", WORDS)
def test_the_schema_is_a_schema(word: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[word])


@pytest.mark.parametrize("told", [each for each in every_fixture("open") if not each.topic.endswith("availability")])
def test_what_devices_say_in_the_fixtures_is_valid(told: Message) -> None:
    assert is_valid(told.topic.rsplit("/", 1)[1], json.loads(told.payload))


def _device() -> Device:
    fleet = fleet_of(OPEN, message(f"{D}info", INFO))
    return fleet.devices["open:plug-0a1b"]


@pytest.mark.parametrize(
    "commands",
    [
        OPEN.query(_device()),
        OPEN.commit(_device(), "a-7"),
        OPEN.rollback(_device(), "a-7"),
        OPEN.install(order(_device())),
        OPEN.install(
            order(
                _device(),
                not_after=datetime(2026, 11, 24, 4, 58, tzinfo=UTC),
                manifest_url="http://192.168.1.2:8127/f/9f2c61/manifest.jws",
            )
        ),
    ],
    ids=["report", "commit", "rollback", "install", "install with everything"],
)
def test_what_the_hub_sends_is_valid(commands: tuple[Any, ...]) -> None:
    (command,) = commands
    assert is_valid("command", json.loads(command.payload))


@pytest.mark.parametrize(("word", "document"), examples())
def test_every_example_of_the_specification_is_valid(word: str, document: Any) -> None:
    assert is_valid(word, document)


@pytest.mark.parametrize(("direction", "word", "payload"), [line for line in trace() if line[1] != "availability"])
def test_every_line_of_the_worked_trace_is_valid(direction: str, word: str, payload: str) -> None:
    assert is_valid(word, json.loads(payload))
    assert (direction == ">") == (word == "command")


def test_the_worked_trace_is_read_from_its_beginning_to_its_end() -> None:
    fleet = Fleet()
    told = [message(f"{D}{word}", payload) for direction, word, payload in trace() if direction == "<"]
    heard = [item for each in told for item in _read(fleet, each)]
    assert len(heard) == len(told) == 18


def _read(fleet: Fleet, told: Message) -> list[Any]:
    from .talk import hear

    return hear(OPEN, fleet, told)


@pytest.mark.parametrize(
    ("word", "document"),
    [
        ("info", INFO),
        ("info", {**INFO, "slots": 2, "counter": 0, "mac": "8C-AA-B5-A1-B2-C3", "sleeps": True, "extra": [1]}),
        ("info", {**INFO, "protocol": 2}),
        ("info", {**INFO, "version": ""}),
        ("info", {**INFO, "model": "x" * 256}),
        ("info", {**INFO, "slots": 0}),
        ("info", {**INFO, "slots": 9}),
        ("info", {**INFO, "counter": -1}),
        ("info", {**INFO, "counter": 2**53}),
        ("info", {**INFO, "battery_powered": "no"}),
        ("info", {key: INFO[key] for key in INFO if key != "manufacturer"}),
        ("info", []),
        ("health", {}),
        ("health", {"battery_percent": 0, "rssi_dbm": -200, "uptime_s": 0, "free_bytes": 0, "self_test": "failed"}),
        ("health", {"battery_percent": 101}),
        ("health", {"rssi_dbm": -201}),
        ("health", {"uptime_s": "12"}),
        ("health", {"self_test": "running"}),
        ("status", STATUS),
        ("status", {**STATUS, "progress_percent": 100, "reason": "", "extra": {}}),
        ("status", {"state": "trial"}),
        ("status", {"id": "a-7"}),
        ("status", {**STATUS, "id": "a b"}),
        ("status", {**STATUS, "state": "done"}),
        ("status", {**STATUS, "progress_percent": -1}),
    ],
)
def test_schema_and_dialect_agree(word: str, document: Any) -> None:
    assert is_valid(word, document) == is_read(word, document)
