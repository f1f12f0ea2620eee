"""How two versions stand to each other, by the scheme that a release states. "Cannot tell" is an answer.

A version is compared only when both sides are well-formed in the scheme: a guess would offer a downgrade as an update
(invariant 5), and Home Assistant's own comparison takes what it cannot compare for an update.

- ``semver``: Semantic Versioning 2.0.0, section 11; build metadata does not count.
- ``dotted``: numbers between dots, as many as there are; absent ones are 0 (``14.5`` is ``14.5.0``).
- ``integer``: a whole number. 0xFFFFFFFF is how Zigbee devices say "none" and compares with nothing.
"""

from __future__ import annotations

import re
from enum import StrEnum

from .model import VersionScheme

_NUMBER = r"0|[1-9][0-9]{0,17}"
_IDENTIFIER = rf"(?:{_NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_SEMVER = re.compile(
    rf"(?P<core>(?:{_NUMBER})\.(?:{_NUMBER})\.(?:{_NUMBER}))"
    rf"(?:-(?P<early>{_IDENTIFIER}(?:\.{_IDENTIFIER})*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
_DOTTED = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,18}){0,7}")
_INTEGER = re.compile(r"[0-9]{1,18}")
_NO_INTEGER = 0xFFFFFFFF

# Numbers stand before words, and no identifier at all (a final version) stands after every identifier.
type _Key = tuple[tuple[int, ...], tuple[tuple[int, int, str], ...]]
_FINAL = ((2, 0, ""),)


class Order(StrEnum):
    """How the left version stands to the right one."""

    OLDER = "older"
    SAME = "same"
    NEWER = "newer"
    UNKNOWN = "unknown"


def compare(left: str, right: str, scheme: VersionScheme) -> Order:
    """Decide how ``left`` stands to ``right``; two equal texts are the same version in every scheme. Never raises."""
    if left and left == right:
        return Order.SAME
    key = _KEYS[scheme]
    a, b = key(left), key(right)
    if a is None or b is None:
        return Order.UNKNOWN
    if a == b:
        return Order.SAME
    return Order.NEWER if a > b else Order.OLDER


def sort_key(version: str, scheme: VersionScheme) -> _Key | None:
    """Return what is equal for two texts of one version; ``None`` if it is none of the scheme. Never raises."""
    return _KEYS[scheme](version)


def scheme_of(version: str) -> VersionScheme:
    """Decide how a version is compared where nobody says it: as Semantic Versioning, or else by its numbers.

    Never raises.
    """
    semantic = compare(version, "0.0.0", VersionScheme.SEMVER) is not Order.UNKNOWN
    return VersionScheme.SEMVER if semantic else VersionScheme.DOTTED


def _semver(version: str) -> _Key | None:
    found = _SEMVER.fullmatch(version)
    if found is None:
        return None
    numbers = tuple(int(part) for part in found["core"].split("."))
    return numbers, _FINAL if found["early"] is None else tuple(_rank(part) for part in found["early"].split("."))


def _rank(identifier: str) -> tuple[int, int, str]:
    return (0, int(identifier), "") if identifier.isdigit() else (1, 0, identifier)


def _dotted(version: str) -> _Key | None:
    if not _DOTTED.fullmatch(version):
        return None
    numbers = [int(part) for part in version.split(".")]
    while numbers[-1:] == [0]:
        numbers.pop()
    return tuple(numbers), ()


def _integer(version: str) -> _Key | None:
    if not _INTEGER.fullmatch(version) or int(version) == _NO_INTEGER:
        return None
    return (int(version),), ()


_KEYS = {VersionScheme.SEMVER: _semver, VersionScheme.DOTTED: _dotted, VersionScheme.INTEGER: _integer}
