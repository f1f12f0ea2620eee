"""The feeds: which are active, when each is fetched, what each has said, and what it refused.

Rules:

* A built-in public feed is fetched only while a device of its family exists (design section 5.3).
* A feed whose address has a place for a model is one feed per model that there is (``feed_for``).
* One failing feed never delays another: each has its own time and its own back-off.
* An outage keeps the last good manifest. A refused one never replaces a good one (invariant 5).
* A feed vouches for its releases as long as it has an accepted manifest; after a restart that is when the stored one
  was verified and read again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType

from . import limits
from .effects import FeedRow, LedgerRow
from .errors import BadInput, Reason
from .inputs import ManifestRead
from .manifest import judge
from .matching import Catalogue, ModelKey
from .model import DEVICE_ITSELF, Feed, Manifest
from .ports import Capabilities
from .view import FeedView

MODEL = "{model}"
"""Stands in the address of a feed of which there is one for each model."""

_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


def feed_for(template: Feed, model: str) -> Feed:
    """Return the feed of one model, out of one whose address has a place for it; any other feed as it is.

    The model comes from a device, and is refused if it could lead anywhere but to its own page.

    Raises:
        BadInput: ``MALFORMED``.
    """
    if MODEL not in template.url:
        return template
    if not _MODEL.fullmatch(model):
        raise BadInput(Reason.MALFORMED, "no name of a model", path="model")
    return replace(
        template,
        id=f"{template.id}/{model}",
        title=f"{template.title} {model}",
        url=template.url.replace(MODEL, model),
        model=model,
    )


def _by_chance(feed_id: str, now: datetime) -> float:
    """Return a number from 0 to 1 that differs from home to home: no two notice an outage in one microsecond."""
    return int.from_bytes(hashlib.sha256(f"{feed_id} {now.isoformat()}".encode()).digest()[:4]) / 2**32


@dataclass(frozen=True, slots=True)
class FeedState:
    """What is known of a feed.

    Attributes:
        fetched_at: when the server last said what is current; ``accepted_at``: when the manifest itself was fetched.
        fetching_since: when it was last ordered; ``None`` after an answer.
        keys: JWK texts with which it is verified now; empty: those of the feed.
    """

    feed: Feed
    manifest: Manifest | None = None
    fetched_at: datetime | None = None
    accepted_at: datetime | None = None
    etag: str = ""
    failures: int = 0
    last_error: Reason | None = None
    fetching_since: datetime | None = None
    keys: tuple[str, ...] = ()

    @property
    def trusted_feed(self) -> Feed:
        """The feed, with the keys that are trusted now."""
        return replace(self.feed, keys=self.keys or self.feed.keys)


class Feeds:
    """All feeds of one hub."""

    def __init__(
        self,
        has_dialect: Callable[[str], bool],
        models_of: Callable[[str], Collection[str]] = lambda _dialect: (),
        families: Mapping[str, Capabilities] = MappingProxyType({}),
    ) -> None:
        """Begin with no feeds; the callables say whether a device of a family exists, and which models of it."""
        self.catalogue = Catalogue(families)
        self.states: dict[str, FeedState] = {}
        self.ledger: dict[str, LedgerRow] = {}
        self._has_dialect = has_dialect
        self._models_of = models_of
        self._templates: list[Feed] = []

    def unpin(self, feeds: Iterable[Feed]) -> list[LedgerRow]:
        """Forget how far a feed counted under a key that its owner does not trust any more; return what changed.

        Whoever had the key could have counted to the end, and the vendor could never follow. Which content a version
        has is not forgotten.
        """
        rows = []
        for feed in feeds:
            state, row = self.states.get(feed.id), self.ledger.get(feed.id)
            if state is None or row is None or state.feed.keys == feed.keys:
                continue
            if not (state.feed.keys and set(state.feed.keys) <= set(feed.keys)):
                self.ledger[feed.id] = replace(row, sequence=None, sequence_digest="", counters={})
                rows.append(self.ledger[feed.id])
        return rows

    def set(self, feeds: Iterable[Feed]) -> tuple[list[str], list[str]]:
        """Take over all feeds as they are from now on; return the ids to fetch now and those that are gone.

        A changed address or key forgets the manifest but not the ledger: a mirror cannot roll a feed back. Another
        title changes nothing else.
        """
        enabled = [feed for feed in feeds if feed.enabled]
        self._templates = [feed for feed in enabled if MODEL in feed.url]
        wanted = {feed.id: feed for feed in enabled if MODEL not in feed.url}
        for dialect in {feed.dialect for feed in self._templates}:
            models = sorted(self._models_of(dialect))[: limits.MAX_MODEL_FEEDS]
            wanted |= {feed.id: feed for feed in self._made(models, dialect)}
        gone = [feed_id for feed_id in self.states if feed_id not in wanted]
        for feed_id in gone:
            del self.states[feed_id]
            self.catalogue.remove(feed_id)
        fresh = []
        for feed in wanted.values():
            state = self.states.get(feed.id)
            if state is not None and replace(state.feed, title=feed.title) == feed:
                self.states[feed.id] = replace(state, feed=feed)
            else:
                self.states[feed.id] = FeedState(feed)
                self.catalogue.remove(feed.id)
                fresh.append(feed.id)
        return fresh, gone

    def of_model(self, dialect: str, model: str) -> tuple[list[str], list[str]]:
        """Make the feeds of a model that have not been made yet; return their ids, and those that are gone for them."""
        fresh = [feed for feed in self._made([model], dialect) if feed.id not in self.states]
        gone = self._make_room() if fresh else []
        if fresh and sum(bool(state.feed.model) for state in self.states.values()) >= limits.MAX_MODEL_FEEDS:
            return [], gone
        self.states.update((feed.id, FeedState(feed)) for feed in fresh)
        return [feed.id for feed in fresh], gone

    def _make_room(self) -> list[str]:
        """Drop the feeds of models that nobody names any more, if there is no room for others; return their ids."""
        of_models = [feed_id for feed_id, state in self.states.items() if state.feed.model]
        if len(of_models) < limits.MAX_MODEL_FEEDS:
            return []
        gone = [feed_id for feed_id in of_models if not self.is_active(feed_id)]
        for feed_id in gone:
            del self.states[feed_id]
            self.catalogue.remove(feed_id)
        return gone

    def _made(self, models: Iterable[str], dialect: str) -> Iterator[Feed]:
        for template in self._templates:
            for model in models if template.dialect == dialect else ():
                with suppress(BadInput):  # whoever calls itself that has no page
                    yield feed_for(template, model)

    def restore(self, ledger: Iterable[LedgerRow]) -> None:
        """Take over what the feeds said before a restart."""
        self.ledger = {row.feed_id: row for row in ledger}

    def is_active(self, feed_id: str) -> bool:
        """Whether a feed is to be fetched at all."""
        state = self.states.get(feed_id)
        if state is None:
            return False
        if state.feed.model:
            return state.feed.model in self._models_of(state.feed.dialect)
        return not state.feed.dialect or self._has_dialect(state.feed.dialect)

    def is_gone(self, feed_id: str) -> bool:
        """Whether a feed out of which there was an offer is not one of ours any more."""
        return feed_id != DEVICE_ITSELF and feed_id not in self.states

    def fault(self, feed_id: str) -> Reason | None:
        """Say why a feed does not vouch for its releases just now; ``None`` if it does."""
        if feed_id == DEVICE_ITSELF:
            return None
        state = self.states.get(feed_id)
        if state is None:
            return Reason.OFFER_WITHDRAWN
        return None if state.manifest is not None else state.last_error or Reason.UNREACHABLE

    def fetching(self, feed_id: str, now: datetime) -> bool:
        """Note that a fetch begins; ``False`` if one is on its way or the feed is not active."""
        if not self.is_active(feed_id):
            return False
        since = self.states[feed_id].fetching_since
        if since is not None and timedelta() <= now - since < limits.FEED_DEADLINE:
            return False
        self.states[feed_id] = replace(self.states[feed_id], fetching_since=now)
        return True

    def accept(self, item: ManifestRead, now: datetime) -> tuple[LedgerRow, FeedRow | None, frozenset[ModelKey]]:
        """Judge and take over a manifest; return the ledger, the row to keep, and the models that it touches.

        Raises:
            Refused: by the rules of ``manifest.judge``; what was good before stays.
        """
        before = self.ledger.get(item.feed_id, LedgerRow(item.feed_id))
        row = judge(item.manifest, before, now)
        state = self.states[item.feed_id]
        fetched_at = item.fetched_at or now
        self.ledger[item.feed_id] = row
        self.states[item.feed_id] = replace(
            state,
            manifest=item.manifest,
            fetched_at=fetched_at,
            accepted_at=fetched_at,
            etag=item.etag,
            failures=0,
            last_error=None,
            fetching_since=state.fetching_since if item.from_store else None,
        )
        touched = self.catalogue.replace(item.manifest)
        keep = None if item.from_store else FeedRow(item.feed_id, item.raw, item.etag, fetched_at, state.feed.origin)
        return row, keep, touched

    def is_newest(self, row: FeedRow) -> bool:
        """Whether this answer is the one that is valid now."""
        state = self.states.get(row.feed_id)
        return state is not None and state.accepted_at == row.fetched_at

    def unchanged(self, feed_id: str, now: datetime) -> None:
        """Note that the server says that what we have is current."""
        self.states[feed_id] = replace(
            self.states[feed_id], fetched_at=now, failures=0, last_error=None, fetching_since=None
        )

    def failed(self, feed_id: str, reason: Reason, retry_after_s: int | None, now: datetime) -> timedelta:
        """Note a failure; return after how long to try again: the server's wish, but never sooner than the back-off."""
        state = self.states[feed_id]
        backoff = limits.FETCH_BACKOFF[min(state.failures, len(limits.FETCH_BACKOFF) - 1)]
        backoff *= 1 - limits.FETCH_JITTER * _by_chance(feed_id, now)
        self.states[feed_id] = replace(state, failures=state.failures + 1, last_error=reason, fetching_since=None)
        asked = timedelta(seconds=min(max(retry_after_s or 0, 0), limits.MAX_RETRY_AFTER.total_seconds()))
        return max(backoff, asked)

    def stored_refused(self, feed_id: str, reason: Reason) -> None:
        """Note that the stored manifest is not good any more; a new one is being fetched anyway."""
        self.states[feed_id] = replace(self.states[feed_id], last_error=reason)

    def views(self) -> tuple[FeedView, ...]:
        """Describe all feeds."""
        return tuple(self._view(state) for state in self.states.values())

    def _view(self, state: FeedState) -> FeedView:
        manifest = state.manifest
        return FeedView(
            state.feed.id,
            state.feed.title,
            state.feed.trust,
            state.feed.url,
            state.fetched_at,
            manifest.expires if manifest else None,
            manifest.sequence if manifest else None,
            len(manifest.releases) if manifest else 0,
            state.last_error,
            self.is_active(state.feed.id),
        )
