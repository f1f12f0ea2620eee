"""What every source is, and the release object, which two signed formats share (design sections 5.1 and 5.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ..core import limits
from ..core.errors import BadInput, Reason
from ..core.model import (
    Artifact,
    Delivery,
    Feed,
    Manifest,
    Match,
    Recovery,
    Release,
    Trust,
    VersionScheme,
)
from ..core.signing import VerifiedBytes
from ..core.untrusted import Object

MAX_COUNT = 2**63 - 1
"""The highest counter and sequence number."""

_MATCH_KEYS = frozenset({"manufacturer", "model", "hardware", "variant", "min_version", "max_version"})


@dataclass(frozen=True, slots=True)
class FeedRequest:
    """How a feed is asked for. ``max_bytes`` bounds the body while it streams."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    max_bytes: int = 0


class Source(Protocol):
    """One published format."""

    @property
    def name(self) -> str:
        """The format's name, as kept in a feed."""
        ...

    @property
    def trust(self) -> Trust:
        """The highest trust level that this format can give."""
        ...

    def request(self, feed: Feed) -> FeedRequest:
        """Say how the feed is fetched."""
        ...

    def read(self, data: VerifiedBytes, feed: Feed) -> Manifest:
        """Read the whole document.

        Raises:
            BadInput: with the path of the fault.
            Refused: the document is understood and forbidden.
        """
        ...


def read_release(item: Object, artifacts: tuple[Artifact, ...]) -> Release:
    """Read a release object, but for its artifacts.

    Unknown members are ignored, so that a later edition can add to it, but never inside ``match``: what narrows a
    release there and is not understood would widen it (invariant 4). For the same reason nothing there may be empty.

    Raises:
        BadInput: with the path of the fault; ``UNKNOWN_MATCH_KEY`` for an unknown member of ``match``.
    """
    recovery = item.optional_object("recovery")
    return Release(
        match=_match(item.object("match")),
        version=item.text("version"),
        artifacts=artifacts,
        version_scheme=item.choice("version_scheme", VersionScheme, VersionScheme.SEMVER),
        counter=item.optional_integer("counter", 0, MAX_COUNT),
        channel=item.text("channel", "stable"),
        published=item.optional_time("published"),
        kind=item.text("kind", ""),
        severity=item.text("severity", ""),
        cves=item.texts("cves"),
        summary=item.label("summary", max_chars=limits.MAX_SUMMARY),
        notes=item.prose("notes"),
        notes_url=item.url("notes_url", ""),
        delivery=item.choice("delivery", Delivery, Delivery.OTA),
        revertible=item.flag("revertible", default=False),
        rollback_to=item.texts("rollback_to"),
        dual_bank=item.flag("dual_bank", default=False),
        regulated=item.flag("regulated", default=False),
        install_minutes=item.optional_integer("install_minutes", 1, limits.MAX_INSTALL_MINUTES),
        min_battery_percent=item.optional_integer("min_battery_percent", 0, 100),
        recovery=Recovery() if recovery is None else Recovery(recovery.prose("notes"), recovery.url("url", "")),
    )


def _match(item: Object) -> Match:
    item.only(_MATCH_KEYS, Reason.UNKNOWN_MATCH_KEY)
    return Match(
        manufacturer=item.text("manufacturer"),
        model=_some(item, "model"),
        hardware=_some(item, "hardware") if "hardware" in item else (),
        variant=_stated(item, "variant"),
        min_version=_stated(item, "min_version"),
        max_version=_stated(item, "max_version"),
    )


def _some(item: Object, key: str) -> tuple[str, ...]:
    texts = item.texts(key, max_items=limits.MAX_MODELS)
    if not texts:
        raise BadInput(Reason.MALFORMED, "empty", path=item.at(key))
    return texts


def _stated(item: Object, key: str) -> str:
    return item.text(key) if key in item else ""
