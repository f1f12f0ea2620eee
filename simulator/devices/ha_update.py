"""A device of some maker that announces its update to Home Assistant over MQTT."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, override

from simulator.devices.loading import LoadingDevice
from simulator.link import Incoming, Publication

ROOT = "maker"


class HaUpdateMisbehaviour(StrEnum):
    """Ways in which such a device can go wrong, or be different."""

    DOES_NOTHING = "does_nothing"
    """It does not react to the order."""
    FAILS = "fails"
    """It cannot write the image; its state is the old one again."""
    TRANSFER_BREAKS = "transfer_breaks"
    """Its download ends in the middle; the same."""
    FORGETS_ITSELF = "forgets_itself"
    """It fails, and goes on to say that it is at work."""
    COMES_BACK_OLD = "comes_back_old"
    """It restarts and runs the old version."""
    NEVER_RETURNS = "never_returns"
    """It restarts and is never heard of again."""
    BOOTS_OTHER_VERSION = "boots_other_version"
    """Its vendor put something else there meanwhile."""
    BOOTS_OTHER_MODEL = "boots_other_model"
    """It comes back as another model."""
    ANNOUNCES_WHOLE = "announces_whole"
    """It announces itself as a device with components, in full words."""
    SAYS_ONLY_VERSIONS = "says_only_versions"
    """Its state is a bare version, and so is its offer on a topic of its own."""
    SLOW = "slow"
    """Everything takes four times as long."""


class HaUpdateDevice(LoadingDevice):
    """A device with a maker's own firmware."""

    dialect = "ha_update"
    words = HaUpdateMisbehaviour

    def topic(self, what: str) -> str:
        """Return one of its topics."""
        return f"{ROOT}/{self.name}/{what}"

    @override
    def will(self) -> Publication | None:
        return Publication(self.topic("there"), "offline", retain=True)

    @override
    def filters(self) -> Sequence[str]:
        return (self.topic("install"),)

    @override
    async def say_everything(self) -> None:
        whole = self._does("announces_whole")
        config = f"homeassistant/{'device' if whole else 'update'}/{self.name}/config"
        await self._say(config, json.dumps(self.whole() if whole else self.component()), retain=True)
        await self._say(self.topic("there"), "online", retain=True)
        await self.say_state()

    async def say_state(self, percent: int | None = None) -> None:
        """Say what is installed, what is offered, and how far it is."""
        if self._does("says_only_versions"):
            await self._say(self.topic("latest"), self.latest, retain=True)
            await self._say(self.topic("state"), self.version, retain=True)
            return
        await self._say(self.topic("state"), json.dumps(self.state_of_update(percent)), retain=True)

    def state_of_update(self, percent: int | None = None) -> dict[str, Any]:
        """Return the state of its update."""
        stuck = self._does("forgets_itself") and self.updating
        return {
            "installed_version": self.version,
            "latest_version": self.latest,
            "title": self.image.model,
            "release_summary": "Fewer restarts",
            "release_url": "https://maker.example/notes",
            "in_progress": percent is not None or stuck,
            "update_percentage": percent,
        }

    def component(self) -> dict[str, Any]:
        """Return its announcement as one component, in abbreviations."""
        bare = {"l_ver_t": "~/latest"} if self._does("says_only_versions") else {}
        return {
            "~": f"{ROOT}/{self.name}",
            "name": "Firmware",
            "uniq_id": f"{self.name}-firmware",
            "dev_cla": "firmware",
            "stat_t": "~/state",
            "cmd_t": "~/install",
            "pl_inst": "INSTALL",
            "avty_t": "~/there",
            "dev": {
                "ids": [self.name],
                "cns": [["mac", self.mac]],
                "name": self.name,
                "mf": self.image.manufacturer,
                "mdl": self.image.model,
                "hw": self.image.hardware,
            },
            "o": {"name": "maker"},
            **bare,
        }

    def whole(self) -> dict[str, Any]:
        """Return its announcement as a device with its components, in full words."""
        return {
            "device": {
                "identifiers": [self.name],
                "connections": [["mac", self.mac]],
                "name": self.name,
                "manufacturer": self.image.manufacturer,
                "model": self.image.model,
                "hw_version": self.image.hardware,
            },
            "origin": {"name": "maker", "sw_version": "1.0", "support_url": "https://maker.example"},
            "availability": [{"topic": self.topic("there")}],
            "components": {
                "firmware": {
                    "platform": "update",
                    "unique_id": f"{self.name}-firmware",
                    "device_class": "firmware",
                    "state_topic": self.topic("state"),
                    "command_topic": self.topic("install"),
                    "payload_install": "INSTALL",
                },
                "restart": {
                    "platform": "button",
                    "unique_id": f"{self.name}-restart",
                    "command_topic": self.topic("restart"),
                },
            },
        }

    @override
    def _hear(self, message: Incoming) -> None:
        if message.text == "INSTALL":
            self._order(self.offered, self.offered_url if self.offered else "", retain=message.retain)

    @override
    async def _begins(self) -> None:
        await super()._begins()
        await self.say_state(0)

    @override
    async def _progressed(self, percent: int) -> None:
        await self.say_state(percent)

    @override
    async def _failed(self) -> None:
        if self._does("forgets_itself"):
            self.updating = True
        await super()._failed()
