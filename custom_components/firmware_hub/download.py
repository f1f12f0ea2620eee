"""Bounded downloads: a feed into memory, an artifact into the cache, hashed on the way.

Contract: only ``OutsideFailed`` (often as ``FetchFailed``) and, for artifacts, ``Refused`` escape. Nothing is believed
about a body but its bytes: its length is counted, its digest is computed, and its end is waited for no longer than the
time limits say.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Protocol

import aiohttp
from aiohttp import hdrs

from .authorities import tls_context
from .core import limits
from .core.errors import OutsideFailed, Reason, Refused
from .core.model import Artifact, Feed, Trust
from .download_body import bounded, check_length, looked_at
from .download_cache import ArtifactCache, Part
from .download_route import (
    FetchFailed,
    Timeouts,
    check_status,
    etag_of,
    is_web_page,
    may_be_outside,
    open_url,
    translated_errors,
)
from .sources.base import FeedRequest

_PIECE: Final = 1 << 20  # bytes that are handed to the disk at a time
_NOBODYS: Final = Feed("", "", "", "", Trust.DIGEST)
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_CHECKSUM: Final = re.compile(r"sha512:[0-9a-f]{128}|sha3-256:[0-9a-f]{64}")


class RunBlocking(Protocol):
    """Runs a call in a worker thread, like ``hass.async_add_executor_job``."""

    def __call__[*Ts, T](self, target: Callable[[*Ts], T], /, *args: *Ts) -> Awaitable[T]:
        """Run it."""
        ...


@dataclass(frozen=True, slots=True)
class Fetched:
    """The answer of a feed. `unchanged` has no body: what the caller has is current."""

    status: Literal["new", "unchanged"]
    body: bytes
    etag: str


@dataclass(slots=True)
class _Turn:
    """Who fetches a digest now, and how many want it."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0


class Downloader:
    """Fetches feeds and artifacts over one session."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        cache_dir: Path,
        max_cache_bytes: int,
        run_blocking: RunBlocking,
        *,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen
    ) -> None:
        self._session = session
        self._cache = ArtifactCache(cache_dir, max_cache_bytes)
        self._blocking = run_blocking
        self._timeouts = timeouts
        self._held: dict[str, set[str]] = {}
        self._turns: dict[str, _Turn] = {}
        self._found: dict[str, str] = {}
        self._from_outside: dict[str, bool] = {}
        self._looking = asyncio.Lock()

    async def async_fetch(self, request: FeedRequest, *, etag: str = "", feed: Feed = _NOBODYS) -> Fetched:
        """Fetch a feed. Give `etag` only while the body that it belongs to is in hand. Raises OutsideFailed.

        From where it really came is remembered for the feed's artifacts. Its authority and its hosts count.
        """
        bound = request.max_bytes or limits.MAX_MANIFEST_BYTES
        headers = dict(request.headers)
        if etag:
            headers[hdrs.IF_NONE_MATCH] = etag
        with translated_errors():
            tls = await self._tls(feed)
            async with (
                asyncio.timeout(self._timeouts.feed),
                open_url(self._session, request.url, headers, self._timeouts, tls=tls, hosts=feed.hosts) as opened,
            ):
                response = opened.response
                if response.status == 304 and etag:
                    self._came(feed, opened.from_outside or self._from_outside.get(feed.url, False))
                    return Fetched("unchanged", b"", etag)
                check_status(response)
                if response.headers.get(hdrs.CONTENT_ENCODING, "identity") != "identity":
                    raise FetchFailed(Reason.HTTP_ERROR, "compressed, though it was not asked for")
                body = await bounded(response, bound)
                found = etag_of(response)
                self._came(feed, opened.from_outside)
        if is_web_page(body):
            raise FetchFailed(Reason.NOT_FIRMWARE, "a web page")
        return Fetched("new", body, found)

    async def async_artifact(self, artifact: Artifact, holder: str = "", *, feed: Feed = _NOBODYS) -> Path:
        """Return the artifact's verified file, from the cache or from its address; its name is its SHA-256.

        It stays in the cache until `release(holder)`. `feed` is the one that names it: a public feed may not point
        into the local network, and its authority and its hosts count as for itself. Where the feed states no size,
        only the bound on all artifacts holds.
        Raises OutsideFailed; Refused: NO_DIGEST, TOO_LARGE, SIZE_MISMATCH, DIGEST_MISMATCH.
        """
        if not (_SHA256.fullmatch(artifact.sha256) or (not artifact.sha256 and _CHECKSUM.fullmatch(artifact.checksum))):
            raise Refused(Reason.NO_DIGEST, artifact.name)
        if artifact.size > limits.MAX_ARTIFACT_BYTES:
            raise Refused(Reason.TOO_LARGE, f"{artifact.size} bytes")
        async with self._alone(artifact.pin):
            found = await self._cached(artifact, holder)
            return found or await self._download(artifact, holder, feed)

    async def async_cached(self, artifact: Artifact, holder: str = "") -> Path | None:
        """Return the artifact's verified file if it is in the cache. Raises OutsideFailed; Refused: SIZE_MISMATCH."""
        async with self._alone(artifact.pin):
            return await self._cached(artifact, holder)

    async def async_keep(self, data: bytes, holder: str) -> Path:
        """Put bytes that are at hand beside the artifacts, until `release(holder)`. Raises OutsideFailed."""
        self._held.setdefault(holder, set()).add(hashlib.sha256(data).hexdigest())
        return await self._disk(self._blocking(self._cache.put, data))

    def release(self, holder: str) -> None:
        """Let the cache remove what this holder kept."""
        self._held.pop(holder, None)

    def _hold(self, holder: str, sha256: str) -> None:
        if holder and sha256:
            self._held.setdefault(holder, set()).add(sha256)

    @asynccontextmanager
    async def _alone(self, pin: str) -> AsyncIterator[None]:
        """Fetch one digest once: whoever wants it meanwhile waits and finds it in the cache."""
        turn = self._turns.setdefault(pin, _Turn())
        turn.users += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.users -= 1
            if not turn.users:
                del self._turns[pin]

    async def _cached(self, artifact: Artifact, holder: str) -> Path | None:
        name = artifact.sha256 or self._found.get(artifact.checksum, "")
        if not _SHA256.fullmatch(name):
            return None
        self._hold(holder, name)
        return await self._disk(self._find(artifact, name))

    async def _find(self, artifact: Artifact, sha256: str) -> Path | None:
        async with self._looking:
            path = await self._blocking(self._cache.find, sha256)
        if path is None:
            return None
        size = (await self._blocking(path.stat)).st_size
        if artifact.size not in {0, size}:
            raise Refused(Reason.SIZE_MISMATCH, f"{size} bytes, not {artifact.size}")
        return path

    async def _download(self, artifact: Artifact, holder: str, feed: Feed) -> Path:
        algorithm, _, other = ("", "", "") if artifact.sha256 else artifact.checksum.partition(":")
        part = await self._disk(self._blocking(self._cache.begin, algorithm.replace("-", "_")))
        try:
            await self._fill(part, artifact, feed)
            if part.sha256 != (artifact.sha256 or part.sha256) or part.other != other:
                raise Refused(Reason.DIGEST_MISMATCH, f"{part.other or part.sha256}, not {artifact.pin}")
            path = await self._disk(self._blocking(self._cache.keep, part))
        finally:
            await self._disk(self._blocking(part.discard))
        self._found[artifact.pin] = path.name
        self._hold(holder, path.name)
        await self._disk(self._shrink())
        return path

    async def _fill(self, part: Part, artifact: Artifact, feed: Feed) -> None:
        outside, tls, hosts = await self._is_outside(feed.url), await self._tls(feed), feed.hosts
        with translated_errors():
            opening = open_url(
                self._session, artifact.url, {}, self._timeouts, from_outside=outside, tls=tls, hosts=hosts
            )
            async with asyncio.timeout(self._timeouts.artifact), opening as opened:
                check_status(opened.response)
                await self._stream(opened.response, part, artifact)

    async def _tls(self, feed: Feed) -> ssl.SSLContext | None:
        try:
            return await self._blocking(tls_context, feed.authority) if feed.authority else None
        except (ssl.SSLError, TypeError, ValueError) as error:
            raise FetchFailed(Reason.TLS_FAILED, str(error)) from error

    def _came(self, feed: Feed, from_outside: bool) -> None:
        if feed.url:
            self._from_outside[feed.url] = from_outside

    async def _is_outside(self, origin: str) -> bool:
        """Judge a feed by where it was fetched from, and only before its first answer by what its name says."""
        known = self._from_outside.get(origin)
        return known if known is not None else bool(origin) and await may_be_outside(self._session, origin)

    async def _stream(self, response: aiohttp.ClientResponse, part: Part, artifact: Artifact) -> None:
        """Hand the body to the disk in large pieces, each written while the next one is read."""
        piece, received = bytearray(), 0
        writing: asyncio.Future[None] | None = None
        try:
            async for some in looked_at(response, artifact):
                piece += some
                received += len(some)
                check_length(received, artifact)
                if len(piece) >= _PIECE or received == artifact.size:
                    writing, piece = await self._write(part, piece, writing), bytearray()
            if piece:
                writing = await self._write(part, piece, writing)
        finally:
            if writing is not None:
                await asyncio.wait([writing])
        if writing is not None:
            writing.result()
        if artifact.size not in {0, received}:
            raise Refused(Reason.SIZE_MISMATCH, f"{received} bytes, not {artifact.size}")

    async def _write(self, part: Part, piece: bytearray, writing: asyncio.Future[None] | None) -> asyncio.Future[None]:
        if writing is not None:
            await asyncio.wait([writing])
            writing.result()
        return asyncio.ensure_future(self._disk(self._blocking(part.add, piece)))

    async def _shrink(self, max_bytes: int | None = None) -> None:
        async with self._looking:
            in_use = frozenset().union(*self._held.values(), self._turns)
            await self._blocking(lambda: self._cache.shrink(in_use, max_bytes=max_bytes))

    async def _disk[T](self, work: Awaitable[T]) -> T:
        try:
            return await work
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                raise OutsideFailed(Reason.DISK_FAILED, str(error)) from error
            # Whatever nobody holds makes room for the next try.
            with suppress(OSError):
                await self._shrink(0)
            raise OutsideFailed(Reason.DISK_FULL, str(error)) from error
