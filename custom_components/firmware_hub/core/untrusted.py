"""Strict readers for foreign JSON: what a device, a vendor or a stranger sent.

- A document is bounded before it is parsed: bytes, depth, number of containers. So parsing needs bounded memory, and
  the interpreter's stack is never at the mercy of a message.
- What Python's parser lets through and JSON does not mean is refused: a name twice in one object, ``NaN`` and
  ``Infinity``, numbers beyond 64 bits, halves of surrogate pairs.
- Nothing is converted: ``"1"`` is not 1, 1 is not ``true``, and a list of one is not its element.
- Every value is read by name with its type and its bound, and every fault says where it is
  (``releases[2].artifacts[0].size``; ``$`` is the document itself).
- ``null`` counts as absent: that is how half of the world's firmware says that it does not know.

Two kinds of text: identifiers (``text``), which are compared and stored and may hold no control or direction character
at all, and words for people (``label``, ``prose``), from which such characters are taken out. Escaping for a certain
display is that display's work.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

from . import limits
from .errors import BadInput, Reason

EnumT = TypeVar("EnumT", bound=StrEnum)
ROOT = "$"  # the path of the document itself

# A closing quote is optional, so that a broken string is passed once and not tried again from each of its quotes.
_STRINGS = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_BRACKETS = re.compile(r"[\[\]{}]")
# C0 and C1 controls, line and paragraph separators, and the characters that turn the direction of what follows.
_UNWANTED = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_UNWANTED_IN_PROSE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_TIME = re.compile(r"2[01]\d{2}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|\+00:00)", re.ASCII)
_DAY = re.compile(r"2[01]\d{2}-\d{2}-\d{2}", re.ASCII)  # two centuries: an end of the calendar is in no other zone
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_INT64 = 2**63


def read_object(raw: str | bytes, *, max_bytes: int = limits.MAX_PAYLOAD_BYTES) -> Object:
    """Read a document that is one object.

    Raises:
        BadInput: ``TOO_LARGE`` above a bound, ``MALFORMED`` for anything else.
    """
    return _object(_parse(raw, max_bytes), ROOT)


def read_objects(raw: str | bytes, *, max_items: int, max_bytes: int = limits.MAX_PAYLOAD_BYTES) -> tuple[Object, ...]:
    """Read a document that is a list of objects.

    Raises:
        BadInput: ``TOO_LARGE`` above a bound, ``MALFORMED`` for anything else.
    """
    return tuple(_object(item, path) for item, path in _list(_parse(raw, max_bytes), "", max_items))


def read_text(raw: str | bytes, *, max_chars: int = limits.MAX_TEXT) -> str:
    """Read a payload that is plain text, such as ``Online``.

    Raises:
        BadInput: no UTF-8, too long, or control characters in it.
    """
    return _text(_decode(raw, 4 * max_chars), ROOT, max_chars)


def clean_label(text: str, max_chars: int = limits.MAX_TEXT) -> str:
    """Make one line for people out of foreign text: control and direction characters become spaces. Never raises."""
    words = text if text.isprintable() else _SURROGATES.sub("", _UNWANTED.sub(" ", text))
    return " ".join(words.split())[:max_chars]


def clean_prose(text: str, max_chars: int = limits.MAX_NOTES) -> str:
    """Take control and direction characters out of foreign text, and keep its lines. Never raises."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return _SURROGATES.sub("", _UNWANTED_IN_PROSE.sub("", lines)).strip()[:max_chars].rstrip()


class Object:
    """One JSON object and where it stands. Each method reads one member, and raises ``BadInput`` with its path.

    A method whose ``default`` is given, and those called ``optional``, take an absent member or ``null`` for no value.
    """

    __slots__ = ("_members", "path")

    def __init__(self, members: dict[str, Any], path: str = ROOT) -> None:
        self._members = members
        self.path = path

    def __contains__(self, key: str) -> bool:
        """Say whether the member is there and not ``null``."""
        return self._members.get(key) is not None

    def at(self, key: str) -> str:
        """Return the path of a member."""
        return key if self.path == ROOT else f"{self.path}.{key}"

    def only(self, known: frozenset[str], reason: Reason) -> None:
        """Refuse members that are not known, and known ones without a value: here silence could widen a meaning.

        Raises:
            BadInput: with ``reason`` for an unknown name, ``MALFORMED`` for ``null``.
        """
        for key, value in self._members.items():
            if key not in known:
                raise BadInput(reason, "unknown name", path=self.at(clean_label(key)))
            if value is None:
                _refuse(self.at(key), "null says nothing")

    def keys(self, *, max_items: int = limits.MAX_LIST, max_chars: int = limits.MAX_TEXT) -> tuple[str, ...]:
        """Return the names of the members, checked as texts."""
        if len(self._members) > max_items:
            _too_large(self.path, f"more than {max_items} names")
        return tuple(_text(key, self.path, max_chars) for key in self._members)

    def text(self, key: str, default: str | None = None, *, max_chars: int = limits.MAX_TEXT) -> str:
        """Read an identifier. One without a default must not be empty."""
        value = self._members.get(key)
        if isinstance(value, str) and 0 < len(value) <= max_chars and value.isprintable():
            return value  # nearly all texts are: nothing printable is a control or direction character
        if default is not None and value is None:
            return default
        return _text(self._member(key), self.at(key), max_chars, empty=default is not None)

    def label(self, key: str, default: str = "", *, max_chars: int = limits.MAX_TEXT) -> str:
        """Read one line for people, cleaned and cut."""
        return clean_label(_string(self._members[key], self.at(key)), max_chars) if key in self else default

    def prose(self, key: str, *, max_chars: int = limits.MAX_NOTES) -> str:
        """Read text of several lines for people, cleaned and cut; empty if absent."""
        return clean_prose(_string(self._members[key], self.at(key)), max_chars) if key in self else ""

    def flag(self, key: str, default: bool | None = None) -> bool:
        """Read ``true`` or ``false``."""
        if default is not None and key not in self:
            return default
        value = self._member(key)
        if not isinstance(value, bool):
            _refuse(self.at(key), "neither true nor false")
        return value

    def integer(self, key: str, low: int, high: int) -> int:
        """Read a whole number within two bounds."""
        value = self._member(key)
        if not isinstance(value, int) or isinstance(value, bool):
            _refuse(self.at(key), "no whole number")
        if not low <= value <= high:
            _refuse(self.at(key), f"not within {low} and {high}")
        return value

    def optional_integer(self, key: str, low: int, high: int) -> int | None:
        """Read a whole number within two bounds, if it is there."""
        return self.integer(key, low, high) if key in self else None

    def optional_number(self, key: str, low: float, high: float) -> float | None:
        """Read a number within two bounds, if it is there."""
        if key not in self:
            return None
        value = self._members[key]
        if not isinstance(value, int | float) or isinstance(value, bool):
            _refuse(self.at(key), "no number")
        if not low <= value <= high:
            _refuse(self.at(key), f"not within {low} and {high}")
        return float(value)

    def choice(self, key: str, kind: type[EnumT], default: EnumT | None = None) -> EnumT:
        """Read one word out of an enumeration."""
        if default is not None and key not in self:
            return default
        word = self.text(key)
        if word not in kind:
            _refuse(self.at(key), f"none of {', '.join(kind)}")
        return kind(word)

    def time(self, key: str) -> datetime:
        """Read an RFC 3339 time in UTC, such as ``2026-11-20T10:00:00Z``."""
        return self._time(key, _TIME, "no RFC 3339 time in UTC")

    def optional_time(self, key: str) -> datetime | None:
        """Read an RFC 3339 time in UTC, if it is there."""
        return self.time(key) if key in self else None

    def day(self, key: str) -> datetime:
        """Read an RFC 3339 full date; the answer is its first moment in UTC."""
        return self._time(key, _DAY, "no date such as 2029-01-01")

    def sha256(self, key: str) -> str:
        """Read 64 hex digits; the answer is in lower case."""
        digits = self.text(key)
        if not _SHA256.fullmatch(digits):
            _refuse(self.at(key), "not 64 hex digits")
        return digits.lower()

    def url(self, key: str, default: str | None = None) -> str:
        """Read an absolute ``http`` or ``https`` address without user name. Whether it may be fetched: ``download``."""
        address = self.text(key, default, max_chars=limits.MAX_URL)
        if address and not is_web_address(address):
            _refuse(self.at(key), "no web address")
        return address

    def texts(self, key: str, *, max_items: int = limits.MAX_LIST, max_chars: int = limits.MAX_TEXT) -> tuple[str, ...]:
        """Read a list of identifiers, none of them empty; an absent one is empty."""
        return tuple(_text(item, path, max_chars, empty=False) for item, path in self._items(key, max_items))

    def objects(self, key: str, *, max_items: int = limits.MAX_LIST) -> tuple[Object, ...]:
        """Read a list of objects; an absent one is empty."""
        return tuple(_object(item, path) for item, path in self._items(key, max_items))

    def object(self, key: str) -> Object:
        """Read an object."""
        return _object(self._member(key), self.at(key))

    def optional_object(self, key: str) -> Object | None:
        """Read an object, if it is there."""
        return self.object(key) if key in self else None

    def _member(self, key: str) -> Any:  # noqa: ANN401 - foreign by definition
        if key not in self:
            _refuse(self.at(key), "absent")
        return self._members[key]

    def _items(self, key: str, max_items: int) -> Iterator[tuple[Any, str]]:
        return _list(self._members[key], self.at(key), max_items) if key in self else iter(())

    def _time(self, key: str, form: re.Pattern[str], complaint: str) -> datetime:
        text, time = self.text(key), None
        with suppress(ValueError):
            time = datetime.fromisoformat(text) if form.fullmatch(text) else None
        if time is None:
            _refuse(self.at(key), complaint)
        return time.replace(tzinfo=UTC)


def is_web_address(address: str) -> bool:
    """Decide whether a text is an absolute ``http`` or ``https`` address without user name. Never raises."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return False
    web = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc and port != 0
    return web and address.isascii() and address.isprintable() and not {" ", "\\"} & set(address)


def _refuse(path: str, detail: str) -> NoReturn:
    raise BadInput(Reason.MALFORMED, detail, path=path)


def _too_large(path: str, detail: str) -> NoReturn:
    raise BadInput(Reason.TOO_LARGE, detail, path=path)


def _string(value: object, path: str) -> str:
    if not isinstance(value, str):
        _refuse(path, "no text")
    return value


def _text(value: object, path: str, max_chars: int, *, empty: bool = True) -> str:
    text = _string(value, path)
    if not (text or empty):
        _refuse(path, "empty")
    if len(text) > max_chars:
        _too_large(path, f"more than {max_chars} characters")
    if _UNWANTED.search(text) or _SURROGATES.search(text):
        _refuse(path, "control or direction characters")
    return text


def _object(value: object, path: str) -> Object:
    if not isinstance(value, dict):
        _refuse(path, "no object")
    return Object(value, path)


def _list(value: object, path: str, max_items: int) -> Iterator[tuple[Any, str]]:
    if not isinstance(value, list):
        _refuse(path or ROOT, "no list")
    if len(value) > max_items:
        _too_large(path or ROOT, f"more than {max_items} items")
    return ((item, f"{path}[{number}]") for number, item in enumerate(value))


def _decode(raw: str | bytes, max_bytes: int) -> str:
    if len(raw) > max_bytes:
        _too_large(ROOT, f"more than {max_bytes} bytes")
    try:
        return raw if isinstance(raw, str) else raw.decode()
    except UnicodeDecodeError:
        _refuse(ROOT, "no UTF-8")


def _parse(raw: str | bytes, max_bytes: int) -> Any:  # noqa: ANN401 - foreign by definition
    text = _decode(raw, max_bytes)
    _check_shape(text)
    try:
        return _STRICT.decode(text)  # made once: to make one costs as much as to read a short document
    except json.JSONDecodeError as error:
        _refuse(ROOT, f"no JSON: {error}")
    except _Fault as fault:
        # The parser does not say where it is; the rare faulty document is read a second time to find out.
        _refuse(_locate(text), str(fault))


def _check_shape(text: str) -> None:
    """Bound depth and containers before the parser runs; small documents, the usual case, are only counted."""
    if text.count("[") + text.count("{") <= limits.MAX_JSON_DEPTH:
        return
    steps = [1 if bracket in "[{" else -1 for bracket in _BRACKETS.findall(_STRINGS.sub("", text))]
    if max(itertools.accumulate(steps), default=0) > limits.MAX_JSON_DEPTH:
        _too_large(ROOT, f"deeper than {limits.MAX_JSON_DEPTH} levels")
    if steps.count(1) > limits.MAX_JSON_CONTAINERS:
        _too_large(ROOT, f"more than {limits.MAX_JSON_CONTAINERS} objects and lists")


class _Fault(Exception):
    """Something that the parser accepts and JSON does not mean."""


class _Marker:
    """Stands where a faulty value stood, while its place is looked for."""


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Fault("a name twice in one object")
    return members


def _constant(_word: str) -> NoReturn:
    raise _Fault("NaN or Infinity")


def _int(digits: str) -> int:
    # Twenty characters hold every 64-bit number with its sign; longer ones are not even converted.
    value = int(digits) if len(digits) <= 20 else _INT64
    if not -_INT64 <= value < _INT64:
        raise _Fault("a number beyond 64 bits")
    return value


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise _Fault("a number beyond 64 bits")
    return value


_STRICT = json.JSONDecoder(object_pairs_hook=_members, parse_constant=_constant, parse_int=_int, parse_float=_float)


def _marking(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def mark(value: Any) -> Any:  # noqa: ANN401 - foreign by definition
        try:
            return read(value)
        except _Fault:
            return _Marker()

    return mark


def _mark_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        found[key] = _Marker() if key in found else value
    return found


def _locate(text: str) -> str:
    """Return the path of the first marked place; the document's own if it is no JSON behind that place."""
    try:
        document = json.loads(
            text,
            object_pairs_hook=_mark_twice,
            parse_constant=_marking(_constant),
            parse_int=_marking(_int),
            parse_float=_marking(_float),
        )
    except json.JSONDecodeError:
        return ROOT
    path, value, waiting = "", document, deque[tuple[str, Any]]()
    while not isinstance(value, _Marker):
        if isinstance(value, dict):
            waiting.extend((f"{path}.{clean_label(key)}".removeprefix("."), item) for key, item in value.items())
        elif isinstance(value, list):
            waiting.extend((f"{path}[{number}]", item) for number, item in enumerate(value))
        path, value = waiting.popleft()
    return path or ROOT
