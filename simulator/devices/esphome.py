"""An ESPHome node with MQTT and an update entity: it takes what its manifest names and says nothing about it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any, override

from simulator.devices.base import Download
from simulator.devices.loading import LoadingDevice
from simulator.link import Incoming, Publication

ENTITY = "firmware"


class EsphomeMisbehaviour(StrEnum):
    """Ways in which a node can go wrong, or be different."""

    FAILS = "fails"
    """It cannot write the image; the unchanged state again is all that is said."""
    TRANSFER_BREAKS = "transfer_breaks"
    """Its download ends in the middle; the same."""
    DOES_NOTHING = "does_nothing"
    """It does not react to the order."""
    COMES_BACK_OLD = "comes_back_old"
    """Its boot loader goes back to the old image."""
    NEVER_RETURNS = "never_returns"
    """It restarts and is never heard of again."""
    BOOTS_OTHER_VERSION = "boots_other_version"
    """Its manifest named another file than it said."""
    BOOTS_OTHER_MODEL = "boots_other_model"
    """It comes back as another project."""
    SPEAKS_ELSEWHERE = "speaks_elsewhere"
    """Its author gave it a prefix of topics; only Home Assistant is told."""
    SLOW = "slow"
    """Everything takes four times as long."""


class EsphomeDevice(LoadingDevice):
    """An ESPHome node; its image's maker and model are its project."""

    dialect = "esphome"
    words = EsphomeMisbehaviour

    def __init__(self, *, source: str = "", **options: Any) -> None:
        """Lie on the shelf; ``source`` is the address of the manifest that was compiled in."""
        super().__init__(**options)
        self.source = source
        self._md5 = ""
        self._notes_url = "https://maker.example/notes"

    @property
    def prefix(self) -> str:
        """Where it speaks."""
        return f"home/{self.name}" if self._does("speaks_elsewhere") else self.name

    def topic(self, what: str) -> str:
        """Return one of its topics."""
        return f"{self.prefix}/update/{ENTITY}/{what}"

    @override
    def will(self) -> Publication | None:
        return Publication(f"{self.prefix}/status", "offline", retain=True)

    @override
    def filters(self) -> Sequence[str]:
        return (self.topic("command"), f"esphome/ping/{self.name}")

    @override
    async def say_everything(self) -> None:
        await self.say_discovery()
        await self._say(f"{self.prefix}/status", "online", retain=True)
        config = f"homeassistant/update/{self.name}/{ENTITY}/config"
        await self._say(config, json.dumps(self.config()), retain=True)
        await self._pause(1)
        await self.say_state()

    async def say_discovery(self) -> None:
        """Say who it is."""
        await self._say(f"esphome/discover/{self.name}", json.dumps(self.discovery()), retain=True)

    async def say_state(self) -> None:
        """Say what is installed and what its manifest names."""
        await self._say(self.topic("state"), json.dumps(self.state_of_update()), retain=True)

    async def look(self) -> bool:
        """Look at its manifest, as it does every six hours, and say what it found; whether there was one."""

        async def received(_count: int) -> None: ...

        found = await self._download(self.source, limit=16_000, on_chunk=received)
        if found.status == 200 and not found.error:
            manifest = json.loads(found.body)
            image = next(build["ota"] for build in manifest["builds"] if build["chipFamily"] == self.image.hardware)
            same = manifest["version"] == self.version
            self.offered, self.offered_url = ("", "") if same else (manifest["version"], image["path"])
            self._md5 = image["md5"]
            self._notes_url = image.get("release_url", self._notes_url)
            await self.say_state()
        return found.status == 200

    @override
    async def _load(self, url: str) -> Download:
        found = await super()._load(url)
        is_wrong = self._md5 and hashlib.md5(found.body, usedforsecurity=False).hexdigest() != self._md5
        return replace(found, error="MD5 mismatch") if is_wrong else found

    def discovery(self) -> dict[str, Any]:
        """Return who it is."""
        return {
            "ip": "127.0.0.1",
            "name": self.name,
            "friendly_name": self.name.title(),
            "version": "2026.10.0",
            "mac": self.mac12.lower(),
            "platform": self.image.hardware,
            "board": "esp32dev",
            "network": "wifi",
            "project_name": f"{self.image.manufacturer}.{self.image.model}",
            "project_version": self.version,
        }

    def config(self) -> dict[str, Any]:
        """Return what Home Assistant is told of its update."""
        return {
            "name": "Firmware",
            "dev_cla": "firmware",
            "pl_inst": "INSTALL",
            "stat_t": self.topic("state"),
            "cmd_t": self.topic("command"),
            "avty_t": f"{self.prefix}/status",
            "uniq_id": f"{self.mac12.lower()}-update-{ENTITY}",
            "dev": {
                "ids": self.mac12.lower(),
                "name": self.name,
                "sw": f"{self.version} (ESPHome 2026.10.0)",
                "mdl": self.image.model,
                "mf": self.image.manufacturer,
            },
        }

    def state_of_update(self) -> dict[str, Any]:
        """Return the state of its update entity."""
        return {
            "installed_version": self.version,
            "latest_version": self.latest,
            "title": self.name,
            "release_summary": "Fewer restarts",
            "release_url": self._notes_url,
        }

    @override
    def _hear(self, message: Incoming) -> None:
        if message.topic.startswith("esphome/ping/"):
            self._spawn(self.say_discovery())
        elif message.text == "INSTALL":
            # Ignored unless something else is offered than what runs.
            self._order(self.offered, self.offered_url if self.offered else "", retain=message.retain)

    @override
    async def _vanish(self) -> None:
        if not self._does("never_returns"):
            await self._say(f"{self.prefix}/status", "offline", retain=True)
        await super()._vanish()
