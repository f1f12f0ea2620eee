"""What devices have in common that load one image over HTTP and restart into it, saying little about it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import replace
from enum import StrEnum
from typing import ClassVar, override

from simulator.devices.base import DeviceState, Download, SimulatedDevice
from simulator.images import Image, NotAnImage, read_image
from simulator.link import Link

MAX_IMAGE = 4_000_000


class LoadingDevice(SimulatedDevice):
    """A device of a family whose update is: load, restart.

    ``offered`` is the version that its vendor offers it and ``offered_url`` where that lies; a family whose caller
    names the image leaves both empty. All of these families know the words ``does_nothing``, ``comes_back_old``,
    ``never_returns``, ``fails``, ``boots_other_version``, ``boots_other_model``, ``transfer_breaks`` and ``slow``.
    """

    words: ClassVar[type[StrEnum]]
    seconds_to_load = 20.0
    seconds_to_boot = 10.0

    def __init__(
        self,
        *,
        name: str,
        mac: str,
        image: Image,
        link: Link,
        speed: float = 1.0,
        misbehaviours: Iterable[StrEnum | str] = (),
        offered: str = "",
        offered_url: str = "",
    ) -> None:
        """Lie on the shelf."""
        super().__init__(name=name, mac=mac, image=image, link=link, speed=speed)
        self.mac12 = mac.replace(":", "").upper()
        self.misbehaviours = {str(self.words(word)) for word in misbehaviours}
        self.offered = offered
        self.offered_url = offered_url
        self.updating = False
        if self._does("slow"):
            self.speed /= 4

    @property
    def latest(self) -> str:
        """The version that its vendor offers, or the one that runs."""
        return self.offered or self.version

    @abstractmethod
    async def say_everything(self) -> None:
        """Say who it is, where and how."""

    @override
    async def _announce(self) -> None:
        await self.say_everything()

    async def become(self, image: Image) -> None:
        """Be changed by somebody else than the hub: restart into this image."""
        await self._restart(image)

    # --- the update --------------------------------------------------------------------------------------------------

    def _order(self, attempt: str, url: str, *, retain: bool) -> None:
        """Take an order to install what lies at an address."""
        self._note_command(attempt, retain=retain)
        if url and not self.updating and not self._does("does_nothing"):
            self.updating = True
            self._spawn(self._update(url))

    async def _update(self, url: str) -> None:
        await self._begins()
        new = _judge(await self._load(url))
        await self._pause(self.seconds_to_load)
        if new is None or self._does("fails") or self._does("forgets_itself"):
            self.updating = False
            await self._failed()
            return
        await self._loaded()
        self._set(DeviceState.FLASHING)
        if self._does("never_returns"):
            await self._vanish()
            self._set(DeviceState.DEAD)
            return
        await self._restart(self._what_boots(new))

    async def _begins(self) -> None:
        """Say that it loads, if its family does."""
        self._set(DeviceState.DOWNLOADING)

    async def _progressed(self, percent: int) -> None:
        """Say how far it is, if its family does."""

    async def _loaded(self) -> None:
        """Say that it has the image, if its family does."""

    async def _failed(self) -> None:
        """Go on as before."""
        self._set(DeviceState.ONLINE)
        await self.say_everything()

    async def _load(self, url: str) -> Download:
        async def received(count: int) -> None:
            if self._does("transfer_breaks"):
                raise ConnectionError(count)
            await self._progressed(min(100, 100 * count // (self._announced_bytes or count)))

        return await self._download(url, limit=MAX_IMAGE, on_chunk=received)

    def _what_boots(self, new: Image) -> Image:
        if self._does("comes_back_old"):
            return self.image
        if self._does("boots_other_version"):
            return replace(new, version="99.0.0")
        if self._does("boots_other_model"):
            return replace(new, model=f"{new.model}X")
        return new

    async def _restart(self, image: Image) -> None:
        await self._vanish()
        await self._pause(self.seconds_to_boot)
        if image.version == self.offered:
            self.offered = ""
        self.image = image
        self.updating = False
        await self._boot()

    def _does(self, what: str) -> bool:
        return what in self.misbehaviours


def _judge(download: Download) -> Image | None:
    """Return what boots; ``None`` if the download is no whole image."""
    if download.status != 200 or download.error or download.length != len(download.body):
        return None
    try:
        return read_image(download.body)
    except NotAnImage:
        return None
