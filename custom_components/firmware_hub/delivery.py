"""Brings the artifacts of an install into the cache and serves them to its device."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from .artifact_server import ArtifactServer
from .core.artifact_check import check_artifact, is_looked_into
from .core.errors import OutsideFailed, Reason, Refused
from .core.model import Artifact, Device, DeviceId, Feed, Install
from .dialects import BY_NAME
from .dialects.base import Announcer
from .download import Downloader, RunBlocking

MANIFEST_NAME: Final = "manifest.jws"
"""File name of the signed manifest beside the artifacts, for a device that has a root of trust of its own."""


ANNOUNCEMENT_NAME: Final = "manifest.json"
"""File name of what a device looks up by itself; it ends the address that is compiled into the device."""


class Delivery:
    """The way of an artifact from its vendor to the device; it is held in the cache for as long as its install runs."""

    def __init__(
        self,
        downloader: Downloader,
        server: ArtifactServer,
        run_blocking: RunBlocking,
        place: Callable[[], tuple[str, str]],
    ) -> None:
        """Take the parts; ``place`` tells the IP address that the owner gave, if any, and the id of the hub's entry."""
        self._downloader = downloader
        self._server = server
        self._place = place
        self._blocking = run_blocking
        self._files: dict[str, dict[str, Path]] = {}

    async def async_bring(
        self, install: Install, device: Device, artifacts: Iterable[Artifact], feed: Feed | None
    ) -> None:
        """Fetch and verify, or find in the cache. Raises BadInput, Refused or OutsideFailed.

        Without the feed that named them nobody knows from where they may come: then what is not here stays away.
        """
        paths = self._files.setdefault(install.id, {})
        for artifact in artifacts:
            path = await self._async_find(artifact, install.id, feed)
            if is_looked_into(artifact, device):
                await self._blocking(_check, path, artifact, install, device)
            paths[artifact.pin] = path

    async def _async_find(self, artifact: Artifact, holder: str, feed: Feed | None) -> Path:
        if feed is not None:
            return await self._downloader.async_artifact(artifact, holder, feed=feed)
        found = await self._downloader.async_cached(artifact, holder)
        if found is None:
            raise Refused(Reason.OFFER_WITHDRAWN, "the feed that named it is not there any more")
        return found

    async def async_serve(self, install_id: str, names: Mapping[str, Artifact], manifest: bytes) -> Mapping[str, str]:
        """Serve what was brought under these names; return the address of each. Raises OutsideFailed."""
        paths = self._files.get(install_id, {})
        if any(artifact.pin not in paths for artifact in names.values()):
            raise OutsideFailed(Reason.UNREACHABLE, "the artifacts are not in the cache")
        files = {name: paths[artifact.pin] for name, artifact in names.items()}
        if manifest:
            files[MANIFEST_NAME] = await self._downloader.async_keep(manifest, install_id)
        return await self._server.async_serve(install_id, files, *self._place())

    async def async_supply(self, install: Install, device: Device, announcer: Announcer) -> None:
        """Lay out what a device looks up, at an address that is always the same for it; its image comes later.

        Raises Refused or OutsideFailed.
        """
        release = install.offer.release
        image = self._files[install.id][release.main.pin]
        name = next(iter(BY_NAME[device.dialect].serve_as(release)))
        given, owner = self._place()
        url = await self._server.async_address(install.id, name, given)
        digest = await self._blocking(_md5, image)
        said = announcer.announcement(device, release, url, digest, install.id)
        path = await self._downloader.async_keep(said.encode(), install.id)
        place = device_place(owner, device.id)
        await self._server.async_serve(install.id, {ANNOUNCEMENT_NAME: path}, given, owner, place)

    async def async_device_address(self, device_id: DeviceId) -> str:
        """Return the address at which a device looks up what to install. Raises OutsideFailed."""
        given, owner = self._place()
        return await self._server.async_address(device_place(owner, device_id), ANNOUNCEMENT_NAME, given)

    async def async_check_address(self) -> tuple[bool, str]:
        """Return whether devices can reach the address that they would be given, and the address."""
        return await self._server.async_check_address(self._place()[0])

    async def async_stop(self, install_id: str) -> None:
        """The install ended: its addresses are gone, and the cache may forget its artifacts."""
        await self._server.async_stop_serving(install_id)
        self._downloader.release(install_id)
        self._files.pop(install_id, None)


def device_place(owner: str, device_id: DeviceId) -> str:
    """Return what stands for a device among all that is served, whatever is installed on it."""
    return f"{owner} {device_id}"


def _md5(path: Path) -> str:
    """Return what such devices compare an image with; what protects it is the hub's own check of its digest."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    except OSError as error:
        raise OutsideFailed(Reason.DISK_FAILED, str(error)) from error


def _check(path: Path, artifact: Artifact, install: Install, device: Device) -> None:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise OutsideFailed(Reason.DISK_FAILED, str(error)) from error
    check_artifact(data, artifact, install.offer.release, device)
