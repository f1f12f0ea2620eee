"""Fetches feeds, and has their bytes verified and read away from the event loop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util

from .core import effects as e, inputs as i
from .core.errors import HubError, OutsideFailed
from .core.feeds import Feeds
from .core.manifest import read_manifest
from .core.model import Feed
from .core.signing import VerifiedBytes
from .download import Downloader
from .sources import BY_NAME as SOURCES
from .sources.tuf_repository import TufRepositorySource
from .tuf_client import TufClient


class FeedReader:
    """What the feeds say, reported as inputs; the last good bytes of each are kept for whoever checks them as well."""

    def __init__(
        self,
        hass: HomeAssistant,
        feeds: Feeds,
        downloader: Downloader,
        repositories: TufClient,
        report: Callable[[i.Input], None],
    ) -> None:
        self._hass = hass
        self._feeds = feeds
        self._downloader = downloader
        self._repositories = repositories
        self._report = report
        self._raw: dict[str, bytes] = {}

    def raw(self, feed_id: str) -> bytes:
        """Return the manifest of a feed as it was verified; nothing while none was."""
        return self._raw.get(feed_id, b"")

    async def async_fetch(self, feed_id: str) -> None:
        """Fetch a feed, and read it if it changed."""
        state = self._feeds.states.get(feed_id)
        if state is None:
            return
        source = SOURCES[state.feed.source]
        if isinstance(source, TufRepositorySource):
            await self._async_repository(state.feed, self._repositories.async_refresh)
            return
        etag = state.etag if state.manifest is not None else ""
        try:
            fetched = await self._downloader.async_fetch(source.request(state.feed), etag=etag, feed=state.feed)
        except OutsideFailed as failed:
            retry_after = getattr(failed, "retry_after_s", None)
            self._tell(state.feed, i.FetchFailed(feed_id, failed.reason, failed.detail, retry_after))
            return
        if fetched.status == "unchanged":
            self._tell(state.feed, i.ManifestUnchanged(feed_id))
        elif self._is_as_asked(state.feed):
            await self.async_read(feed_id, fetched.body, fetched.etag)

    async def async_read(self, feed_id: str, raw: bytes, etag: str, *, row: e.FeedRow | None = None) -> None:
        """Verify and read a feed's bytes in a worker thread: large manifests must not hold up the event loop."""
        state = self._feeds.states.get(feed_id)
        if state is None or (row is not None and not (raw and row.origin in {"", state.feed.origin})):
            return
        source = SOURCES[state.feed.source]
        if isinstance(source, TufRepositorySource):
            # What was stored is no proof; its client verifies its own files again.
            await self._async_repository(state.feed, self._repositories.async_reload, row=row)
            return
        try:
            manifest = await self._hass.async_add_executor_job(read_manifest, raw, state.trusted_feed, source)
        except HubError as refused:
            self._tell(state.feed, i.ManifestRefused(feed_id, refused.reason, refused.path, refused.detail))
            return
        if not self._is_as_asked(state.feed):
            return
        self._raw[feed_id] = raw
        fetched_at = row.fetched_at if row else dt_util.utcnow()
        self._report(i.ManifestRead(feed_id, manifest, raw, etag, fetched_at, from_store=row is not None))

    async def _async_repository(
        self, feed: Feed, verify: Callable[[Feed], Awaitable[VerifiedBytes]], *, row: e.FeedRow | None = None
    ) -> None:
        """Have a TUF repository verified by its client, and its targets read."""
        try:
            data = await verify(feed)
            manifest = await self._hass.async_add_executor_job(SOURCES[feed.source].read, data, feed)
        except HubError as refused:
            if row is not None:
                # It is being fetched anyway, and then the refusal is news.
                return
            if isinstance(refused, OutsideFailed):
                retry_after = getattr(refused, "retry_after_s", None)
                self._tell(feed, i.FetchFailed(feed.id, refused.reason, refused.detail, retry_after))
            else:
                self._tell(feed, i.ManifestRefused(feed.id, refused.reason, refused.path, refused.detail))
            return
        before = self._feeds.states[feed.id].manifest if feed.id in self._feeds.states else None
        if row is None and before is not None and before.digest == manifest.digest:
            self._tell(feed, i.ManifestUnchanged(feed.id))
            return
        fetched_at = row.fetched_at if row else dt_util.utcnow()
        self._tell(feed, i.ManifestRead(feed.id, manifest, data.payload, "", fetched_at, from_store=row is not None))

    def _tell(self, feed: Feed, item: i.Input) -> None:
        if self._is_as_asked(feed):
            self._report(item)

    def _is_as_asked(self, feed: Feed) -> bool:
        """Whether a feed is still what it was when it was asked; what another address answers is asked for anew."""
        state = self._feeds.states.get(feed.id)
        return state is not None and replace(state.feed, title=feed.title) == feed
