"""A Shelly of the first generation: it announces itself, and loads what its vendor offers it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any, override

from simulator.devices.base import DeviceState, Download, SimulatedDevice
from simulator.images import Image
from simulator.link import Incoming, Link, Publication
from simulator.shelly_package import BadPackage, build_id, read_package

ROOT = "shellies"
MAX_PACKAGE = 1_000_000


class ShellyGen1Misbehaviour(StrEnum):
    """Ways in which a device of this family can go wrong, or be different."""

    COMES_BACK_OLD = "comes_back_old"
    """It restarts and runs the old build."""
    FAILS = "fails"
    """It cannot fetch anything; the update is pending again, without a word."""
    DOES_NOTHING = "does_nothing"
    """Its vendor offers it nothing any more: it does not react to the order."""
    NEVER_RETURNS = "never_returns"
    """It restarts and is never heard of again."""
    BOOTS_OTHER_BUILD = "boots_other_build"
    """Its vendor put another build there meanwhile: it comes back with ``other_image``, by default a later version."""
    BOOTS_OTHER_MODEL = "boots_other_model"
    """It comes back as another model."""
    TRANSFER_BREAKS = "transfer_breaks"
    """Its download ends in the middle; nothing is said about it."""
    LOSES_SETTINGS = "loses_settings"
    """It comes back under its factory name."""
    ONLY_ANNOUNCES_TO_ALL = "only_announces_to_all"
    """It announces itself on the topic of all and nowhere else."""
    SLOW = "slow"
    """Everything takes four times as long."""


class ShellyGen1Device(SimulatedDevice):
    """A first-generation Shelly.

    ``name`` is its id in topics. ``offered`` is the version that its vendor offers it and ``offered_url`` where the
    package lies, which it fetches over plain HTTP.
    """

    dialect = "shelly_gen1"

    def __init__(  # noqa: PLR0913  every option is named at the call
        self,
        *,
        name: str,
        mac: str,
        image: Image,
        link: Link,
        speed: float = 1.0,
        misbehaviours: Iterable[ShellyGen1Misbehaviour | str] = (),
        battery_percent: int | None = None,
        offered: str = "",
        offered_url: str = "",
        other_image: Image | None = None,
    ) -> None:
        """Lie on the shelf."""
        super().__init__(name=name, mac=mac, image=image, link=link, speed=speed)
        self.mac12 = mac.replace(":", "").upper()
        self.speaks_as = name
        self.misbehaviours = {ShellyGen1Misbehaviour(word) for word in misbehaviours}
        self.battery_percent = battery_percent
        self.offered = offered
        self.offered_url = offered_url
        self.other_image = other_image
        self.update_status = "pending" if offered else "idle"
        if self._does(ShellyGen1Misbehaviour.SLOW):
            self.speed /= 4

    # --- what it says ------------------------------------------------------------------------------------------------

    @property
    def build(self) -> str:
        """The name of the build that it runs."""
        return build_id(self.image, first_generation=True)

    def topic(self, what: str) -> str:
        """Return one of its topics."""
        return f"{ROOT}/{self.speaks_as}/{what}"

    @override
    def will(self) -> Publication | None:
        return Publication(self.topic("online"), "false", retain=True)

    @override
    def filters(self) -> Sequence[str]:
        return (self.topic("command"), f"{ROOT}/command")

    @override
    async def _announce(self) -> None:
        await self._say(self.topic("online"), "true", retain=True)
        await self.say_announcement()
        await self.say_info()

    async def say_announcement(self) -> None:
        """Say who it is, to all and on its own topic."""
        text = json.dumps(self.announcement())
        await self._say(f"{ROOT}/announce", text)
        if not self._does(ShellyGen1Misbehaviour.ONLY_ANNOUNCES_TO_ALL):
            await self._say(self.topic("announce"), text)

    async def say_info(self) -> None:
        """Say how it is."""
        await self._say(self.topic("info"), json.dumps(self.info()))

    def announcement(self) -> dict[str, Any]:
        """Return who it is."""
        return {
            "id": self.speaks_as,
            "model": self.image.model,
            "mac": self.mac12,
            "ip": "127.0.0.1",
            "new_fw": bool(self.offered),
            "fw_ver": self.build,
        }

    def info(self) -> dict[str, Any]:
        """Return its whole state."""
        offered = build_id(replace(self.image, version=self.offered or self.version), first_generation=True)
        state: dict[str, Any] = {
            "wifi_sta": {"connected": True, "ssid": "home", "ip": "127.0.0.1", "rssi": -61},
            "mqtt": {"connected": True},
            "mac": self.mac12,
            "has_update": bool(self.offered),
            "update": {
                "status": self.update_status,
                "has_update": bool(self.offered),
                "new_version": offered,
                "old_version": self.build,
            },
            "ram_free": 39_164,
            "uptime": self.uptime_s,
        }
        if self.battery_percent is not None:
            state["bat"] = {"value": self.battery_percent, "voltage": 2.9}
        return state

    # --- commands ----------------------------------------------------------------------------------------------------

    @override
    def _hear(self, message: Incoming) -> None:
        match message.text:
            case "announce":
                self._spawn(self.say_announcement())
            case "update":
                self._spawn(self.say_info())
            case "update_fw":
                self._note_command(self.offered, retain=message.retain)
                idle = not self.offered_url or self._does(ShellyGen1Misbehaviour.DOES_NOTHING)
                if not idle and self.update_status != "updating":
                    self.update_status = "updating"
                    self._spawn(self._update())

    async def become(self, image: Image) -> None:
        """Be changed by somebody else than the hub: restart into this image."""
        await self._restart(image)

    # --- the update --------------------------------------------------------------------------------------------------

    async def _update(self) -> None:
        await self._pause(1)
        self._set(DeviceState.DOWNLOADING)
        await self.say_info()
        new = _judge(await self._load())
        await self._pause(19)
        if new is None or self._does(ShellyGen1Misbehaviour.FAILS):
            self.update_status = "pending"
            self._set(DeviceState.ONLINE)
            await self.say_info()
            return
        self._set(DeviceState.FLASHING)
        if self._does(ShellyGen1Misbehaviour.NEVER_RETURNS):
            await self._vanish()
            self._set(DeviceState.DEAD)
            return
        await self._restart(self._what_boots(new))

    async def _load(self) -> Download:
        async def break_off(received: int) -> None:
            if self._does(ShellyGen1Misbehaviour.TRANSFER_BREAKS):
                raise ConnectionError(received)

        return await self._download(self.offered_url, limit=MAX_PACKAGE, on_chunk=break_off)

    def _what_boots(self, new: Image) -> Image:
        if self._does(ShellyGen1Misbehaviour.COMES_BACK_OLD):
            return self.image
        if self._does(ShellyGen1Misbehaviour.BOOTS_OTHER_BUILD):
            return self.other_image or replace(new, version="1.99.0")
        if self._does(ShellyGen1Misbehaviour.BOOTS_OTHER_MODEL):
            return self.other_image or replace(new, model=f"{new.model}-X")
        return new

    async def _restart(self, image: Image) -> None:
        await self._vanish()
        await self._pause(15)
        if self._does(ShellyGen1Misbehaviour.LOSES_SETTINGS):
            self.speaks_as = f"shelly-{self.mac12[-6:]}"
        if image.version == self.offered:
            self.offered = ""
        self.image = image
        self.update_status = "pending" if self.offered else "idle"
        await self._boot()

    def _does(self, what: ShellyGen1Misbehaviour) -> bool:
        return what in self.misbehaviours


def _judge(download: Download) -> Image | None:
    """Return what boots; ``None`` if the download is no whole package."""
    if download.status != 200 or download.error:
        return None
    try:
        return read_package(download.body)
    except BadPackage:
        return None
