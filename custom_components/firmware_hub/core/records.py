"""What the store keeps: the hub's snapshot, and the model's values as JSON text and back.

The JSON is the dataclasses' own shape, field by field, written out whole: a default that changes later must not change
the meaning of what is already stored. Reading back is forgiving in the two ways in which versions differ (an unknown
field is ignored, an absent one takes its default) and strict in all others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeVar, override

from mashumaro.codecs.json import JSONDecoder, JSONEncoder
from mashumaro.dialect import Dialect
from mashumaro.exceptions import InvalidFieldValue, MissingField
from mashumaro.types import SerializationStrategy

from .effects import AuditRow, FeedRow, LedgerRow
from .errors import BadInput, Reason
from .model import Device, Install, Offer

_MAX_NESTING = 8


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that the hub must know again after a restart.

    Attributes:
        installs: the unfinished ones, and the last finished one of each device.
        feeds: the last good answers, to be verified and read again: a stored answer is trusted no more than a sent one.
        meta: small values of the hub itself.
    """

    devices: tuple[Device, ...] = ()
    installs: tuple[Install, ...] = ()
    ledger: tuple[LedgerRow, ...] = ()
    feeds: tuple[FeedRow, ...] = ()
    meta: Mapping[str, str] = field(default_factory=dict)


Record = Device | Install | LedgerRow | AuditRow
"""What is kept as JSON. A feed's answer is kept as the bytes that were fetched."""

RecordT = TypeVar("RecordT", Device, Install, LedgerRow, AuditRow)


class _AwareTime(SerializationStrategy):
    """Times are aware UTC: one without a zone is a fault of whoever wrote it, not a time in some zone."""

    @override
    def serialize(self, value: datetime) -> str:
        if value.tzinfo is None:
            raise RuntimeError("a time without a zone reached the store")
        return value.astimezone(UTC).isoformat()

    @override
    def deserialize(self, value: str) -> datetime:
        time = datetime.fromisoformat(value)
        if time.tzinfo is None:
            raise ValueError(f"{value} has no zone")
        return time.astimezone(UTC)


class _Dialect(Dialect):
    serialization_strategy = {datetime: _AwareTime()}  # noqa: RUF012 - the library reads a plain class attribute


def _put_in_later(_offer: Offer) -> None:
    return None


class _InstallDialect(Dialect):
    serialization_strategy = {datetime: _AwareTime(), Offer: {"serialize": _put_in_later}}  # noqa: RUF012


_NO_OFFER = '"offer":null'
_JSON = json.JSONEncoder(separators=(",", ":"))


def _dumps(value: object) -> str:
    return _JSON.encode(value)


_SHAPES: tuple[type[Record], ...] = (Device, Install, LedgerRow, AuditRow)
_ENCODERS: dict[type[Record], JSONEncoder[Any]] = {
    shape: JSONEncoder(
        shape, default_dialect=_InstallDialect if shape is Install else _Dialect, post_encoder_func=_dumps
    )
    for shape in _SHAPES
}
_DECODERS: dict[type[Record], JSONDecoder[Any]] = {
    shape: JSONDecoder(shape, default_dialect=_Dialect) for shape in _SHAPES
}


# All installs of a release carry the same offer, and that is nearly all of their text.
_offer_to_json = lru_cache(maxsize=16)(JSONEncoder(Offer, default_dialect=_Dialect, post_encoder_func=_dumps).encode)


def to_json(value: Record) -> str:
    """Write a value as one line of ASCII JSON. Mappings keep their order: a ledger forgets its oldest lines first.

    Raises:
        RuntimeError: a time without a zone, which is our own fault.
    """
    text: str = _ENCODERS[type(value)].encode(value)
    if isinstance(value, Install):
        # Only the member itself can read like this: within a text of somebody else's its quotes are escaped.
        return text.replace(_NO_OFFER, f'"offer":{_offer_to_json(value.offer)}', 1)
    return text


def from_json(shape: type[RecordT], text: str) -> RecordT:  # noqa: UP047 - constrained, the older form says it shorter
    """Read a value back.

    Raises:
        BadInput: ``MALFORMED`` with the path of the field, when this is no such value (a damaged or a newer database).
    """
    try:
        value: RecordT = _DECODERS[shape].decode(text)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise BadInput(Reason.MALFORMED, f"no {shape.__name__}: {error}", path=_path(error)) from error
    return value


def _path(error: BaseException | None) -> str:
    """Join the fields that the library's chain of errors names, from the outside in."""
    names: list[str] = []
    while error is not None and len(names) < _MAX_NESTING:
        if isinstance(error, InvalidFieldValue | MissingField):
            names.append(error.field_name)
        error = error.__context__
    return ".".join(names)
