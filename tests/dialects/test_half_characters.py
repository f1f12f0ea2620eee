"""Half of a surrogate pair, in any text that a device sends: nothing that is stored or shown may hold it.

JSON can spell one, UTF-8 has no bytes for it: a text that holds one cannot be written down later.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from custom_components.firmware_hub.core.errors import BadInput
from custom_components.firmware_hub.dialects import DIALECTS
from custom_components.firmware_hub.dialects.base import Dialect, Message

from .talk import as_text, fixture, fixture_names, fleet_of, hear

HALF = "\ud800"
CONVERSATIONS = [
    pytest.param(dialect, name, id=f"{dialect.name}-{name}")
    for dialect in DIALECTS
    for name in fixture_names(dialect.name)
]


def spoilt(value: Any) -> Iterator[Any]:
    """The document with one text or name after the other spoilt."""
    match value:
        case str():
            yield value + HALF
        case list():
            for number, item in enumerate(value):
                yield from ([*value[:number], other, *value[number + 1 :]] for other in spoilt(item))
        case dict():
            for key, item in value.items():
                yield {**{name: old for name, old in value.items() if name != key}, key + HALF: item}
                yield from (value | {key: other} for other in spoilt(item))


def spoilt_messages(told: Message) -> Iterator[Message]:
    yield replace(told, payload=as_text(told) + HALF)
    with suppress(ValueError):
        yield from (replace(told, payload=json.dumps(each).encode()) for each in spoilt(json.loads(told.payload)))


@pytest.mark.parametrize(("dialect", "name"), CONVERSATIONS)
def test_no_half_character_gets_past_a_dialect(dialect: Dialect, name: str) -> None:
    conversation = fixture(dialect.name, name)
    fleet = fleet_of(dialect, *conversation)
    for told in conversation:
        for other in spoilt_messages(told):
            with suppress(BadInput):
                assert repr(HALF)[1:-1] not in repr(hear(dialect, fleet, other))
