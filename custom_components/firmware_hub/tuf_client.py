"""Refreshes TUF repositories: python-tuf verifies; this brings it bytes, bounds its time, and names the attack.

Contract: only ``HubError`` escapes. What was verified once stays on the disk of the hub, so that an older statement is
recognised after a restart, and the last one can be read again without a network.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import time
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, override
from urllib.parse import quote, unquote, urlsplit

from tuf.api import exceptions
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp
from tuf.ngclient import Updater, UpdaterConfig
from tuf.ngclient.fetcher import FetcherInterface

from .core import limits
from .core.errors import BadInput, HubError, OutsideFailed, Reason, Refused
from .core.model import Feed, Trust
from .core.signing import VerifiedBytes
from .download import Downloader, RunBlocking
from .sources.base import FeedRequest
from .sources.tuf_repository import SPEC
from .tuf_targets import check_patterns, find_targets

_DEADLINE: Final = 240.0  # seconds for one refresh with all that it fetches
_CONFIG: Final = UpdaterConfig(max_root_rotations=64, targets_max_length=limits.MAX_MANIFEST_BYTES)
_MISSING: Final = frozenset({Reason.NOT_FOUND})


class TufClient:
    """All TUF repositories of one hub; each has a folder of its own."""

    def __init__(self, downloader: Downloader, folder: Path, run_blocking: RunBlocking) -> None:
        self._downloader = downloader
        self._folder = folder
        self._blocking = run_blocking
        self._locks: dict[str, asyncio.Lock] = {}

    async def async_refresh(self, feed: Feed) -> VerifiedBytes:
        """Fetch and verify what is new. Raises BadInput, Refused, OutsideFailed."""
        loop = asyncio.get_running_loop()
        async with self._locks.setdefault(feed.id, asyncio.Lock()):
            return await self._blocking(self._run, feed, _Remote(self._downloader, loop, feed))

    async def async_reload(self, feed: Feed) -> VerifiedBytes:
        """Verify again what was last fetched, without a network. Raises BadInput, Refused, OutsideFailed."""
        async with self._locks.setdefault(feed.id, asyncio.Lock()):
            return await self._blocking(self._run, feed, _Local(self._place(feed)))

    def _place(self, feed: Feed) -> Path:
        """Return the folder of a feed under one root: another root is another trust, which knows no past."""
        return self._folder / _name(feed.id) / _name(feed.root)

    def _run(self, feed: Feed, fetcher: _Fetcher) -> VerifiedBytes:
        place = self._place(feed)
        try:
            for other in place.parent.glob("*"):
                if other != place:
                    shutil.rmtree(other, ignore_errors=True)
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
            before = _version(place, Timestamp)
            try:
                updater = Updater(str(place), feed.url, fetcher=fetcher, config=_CONFIG, bootstrap=feed.root.encode())
                updater.refresh()
                return _verified(find_targets(updater, place, feed, fetcher.until), _root(place))
            except (exceptions.RepositoryError, exceptions.DownloadError) as error:
                raise _named(error, fetcher, place, before) from error
        except OSError as error:
            raise OutsideFailed(Reason.DISK_FAILED, str(error)) from error


class _Fetcher(FetcherInterface):
    """What was asked for last is what a refusal is about."""

    def __init__(self) -> None:
        self.role = Root.type
        self.body = b""
        self.until = time.monotonic() + _DEADLINE
        self._bound = limits.MAX_MANIFEST_BYTES

    @override
    def download_bytes(self, url: str, max_length: int) -> bytes:
        name = unquote(urlsplit(url).path.rpartition("/")[2]).removesuffix(".json")
        number, dot, rest = name.partition(".")
        self.role = rest if dot and number.isdecimal() else name
        # The length that the snapshot states is the vendor's own wish.
        self._bound = min(max_length, limits.MAX_MANIFEST_BYTES)
        return super().download_bytes(url, max_length)

    @override
    def _fetch(self, url: str) -> Iterator[bytes]:
        self.body = self._bring(url)
        check_patterns(self.body)
        return iter((self.body,))

    @abstractmethod
    def _bring(self, url: str) -> bytes:
        """Return the whole file. Raises DownloadHTTPError, OutsideFailed."""


class _Remote(_Fetcher):
    """Fetches as every feed is fetched, from a worker thread through the event loop."""

    def __init__(self, downloader: Downloader, loop: asyncio.AbstractEventLoop, feed: Feed) -> None:
        super().__init__()
        self._downloader = downloader
        self._loop = loop
        self._feed = feed

    @override
    def _bring(self, url: str) -> bytes:
        request = FeedRequest(url, {"Accept": "application/json"}, self._bound)
        fetching = self._downloader.async_fetch(request, feed=self._feed)
        future = asyncio.run_coroutine_threadsafe(fetching, self._loop)
        try:
            return future.result(max(self.until - time.monotonic(), 0)).body
        except TimeoutError as error:
            future.cancel()
            raise exceptions.SlowRetrievalError(url) from error
        except OutsideFailed as failed:
            if failed.reason in _MISSING:
                raise exceptions.DownloadHTTPError(str(failed), 404) from failed
            raise


class _Local(_Fetcher):
    """Has what is on the disk: the timestamp, which is asked for every time, and no later root."""

    def __init__(self, place: Path) -> None:
        super().__init__()
        self._place = place

    @override
    def _bring(self, url: str) -> bytes:
        if self.role == Timestamp.type:
            return (self._place / f"{Timestamp.type}.json").read_bytes()
        raise exceptions.DownloadHTTPError("not on the disk", 404)


def _verified(found: Mapping[str, Any], root: Root) -> VerifiedBytes:
    payload = json.dumps({"spec": SPEC, **found}, sort_keys=True).encode()
    first, *others = sorted(root.roles[Root.type].keyids)
    key_id = f"{first} +{len(others)}" if others else first
    return VerifiedBytes(payload, Trust.SIGNED, key_id, hashlib.sha256(payload).hexdigest())


def _root(place: Path) -> Root:
    return Metadata[Root].from_bytes((place / f"{Root.type}.json").read_bytes()).signed


def _name(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _version(place: Path, kind: type[Timestamp | Snapshot | Targets]) -> int | None:
    """Return the version of a role that was verified before; nothing if there is none."""
    try:
        data = (place / f"{quote(kind.type, '')}.json").read_bytes()
        return Metadata.from_bytes(data).signed.version
    except FileNotFoundError, exceptions.RepositoryError:
        return None


# --- which attack it looks like ---------------------------------------------------------------------------------------


def _named(
    error: exceptions.RepositoryError | exceptions.DownloadError, fetcher: _Fetcher, place: Path, before: int | None
) -> HubError:
    role, detail = fetcher.role, str(error)
    match error:
        case exceptions.DownloadError():
            return _of_download(error, role)
        case exceptions.ExpiredMetadataError():
            frozen = before is not None and _version(place, Timestamp) == before
            return Refused(Reason.FREEZE_SUSPECTED if frozen else Reason.EXPIRED, detail, path=role)
        case exceptions.UnsignedMetadataError():
            return Refused(Reason.BAD_SIGNATURE, detail, path=role)
        case exceptions.LengthOrHashMismatchError():
            return Refused(Reason.MIXED_METADATA, detail, path=role)
        case exceptions.BadVersionNumberError():
            return Refused(_of_version(fetcher, place), detail, path=role)
    return BadInput(Reason.MALFORMED, detail, path=role)


def _of_download(error: exceptions.DownloadError, role: str) -> HubError:
    cause = error.__cause__
    if isinstance(cause, BadInput):
        return BadInput(cause.reason, cause.detail, path=role)
    if isinstance(cause, OutsideFailed):
        # A body without an end is an attack, and no outage.
        return BadInput(Reason.TOO_LARGE, cause.detail, path=role) if cause.reason is Reason.TOO_LARGE else cause
    slow = isinstance(error, exceptions.SlowRetrievalError)
    return OutsideFailed(Reason.FETCH_TIMEOUT if slow else Reason.UNREACHABLE, str(error))


def _of_version(fetcher: _Fetcher, place: Path) -> Reason:
    """Tell an older statement from one that does not belong to the others."""
    if fetcher.role in {Root.type, Timestamp.type}:
        return Reason.ROLLBACK_DETECTED
    if fetcher.role != Snapshot.type:
        return Reason.MIXED_METADATA
    wanted = (
        Metadata[Timestamp].from_bytes((place / f"{Timestamp.type}.json").read_bytes()).signed.snapshot_meta.version
    )
    found = Metadata[Snapshot].from_bytes(fetcher.body).signed.version
    # The right one, which names older targets than the one before it did.
    return Reason.ROLLBACK_DETECTED if found == wanted else Reason.MIXED_METADATA
