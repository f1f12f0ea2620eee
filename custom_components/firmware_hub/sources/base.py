"""What every source is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ..core.model import Feed, Manifest, Trust
from ..core.signing import VerifiedBytes


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
