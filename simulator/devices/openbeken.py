"""OpenBeken: it looks like Tasmota, and leaves the broker while it loads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, override

from simulator.devices.base import DeviceState
from simulator.devices.loading import LoadingDevice
from simulator.link import Incoming, Publication


class OpenBekenMisbehaviour(StrEnum):
    """Ways in which a device of this family can go wrong, or be different."""

    DOES_NOTHING = "does_nothing"
    """Its chip cannot: the answer is OK, and nothing happens."""
    FAILS = "fails"
    """It cannot write the image and comes back as it was."""
    TRANSFER_BREAKS = "transfer_breaks"
    """Its download ends in the middle; it comes back as it was."""
    COMES_BACK_OLD = "comes_back_old"
    """It restarts and runs the old build."""
    NEVER_RETURNS = "never_returns"
    """It is never heard of again: an image for another chip."""
    BOOTS_OTHER_VERSION = "boots_other_version"
    """The file was another build than its name said."""
    BOOTS_OTHER_MODEL = "boots_other_model"
    """It comes back as another chip's build."""
    SLOW = "slow"
    """Everything takes four times as long."""


class OpenBekenDevice(LoadingDevice):
    """OpenBeken on the chip that is its image's model."""

    dialect = "openbeken"
    words = OpenBekenMisbehaviour
    seconds_to_load = 50.0

    @override
    def will(self) -> Publication | None:
        return Publication(f"{self.name}/connected", "offline", retain=True)

    @override
    def filters(self) -> Sequence[str]:
        return (f"cmnd/{self.name}/STATUS", f"cmnd/{self.name}/ota_http")

    @override
    async def say_everything(self) -> None:
        await self._say(f"{self.name}/connected", "online", retain=True)
        await self._say(f"{self.name}/build", f"Open{self.image.model} {self.version} Jul 24 2026 10:20:00")
        await self._say(f"{self.name}/mac", self.mac)

    async def say_status(self) -> None:
        """Answer with its whole state."""
        await self._say(f"stat/{self.name}/STATUS", json.dumps(self.status()))

    def status(self) -> dict[str, Any]:
        """Return its whole state, in the form of Tasmota's."""
        return {
            "Status": {"Module": 0, "DeviceName": self.name, "FriendlyName": [self.name], "Topic": self.name},
            "StatusPRM": {"GroupTopic": "bekens", "RestartReason": "Software", "Uptime": self.uptime_s},
            "StatusFWR": {
                "Version": f"Open{self.image.model}_{self.version}",
                "BuildDateTime": "Jul 24 2026 10:20:00",
                "SDK": "obk",
                "Hardware": self.image.model,
            },
            "StatusNET": {"Hostname": self.name, "IPAddress": "127.0.0.1", "Mac": self.mac},
        }

    @override
    def _hear(self, message: Incoming) -> None:
        if message.topic.endswith("/STATUS"):
            self._spawn(self.say_status())
            return
        self._spawn(self._say(f"stat/{self.name}/RESULT", json.dumps({"ota_http": "OK"})))
        self._order(message.text, message.text, retain=message.retain)

    @override
    async def _begins(self) -> None:
        await self._pause(1)
        await super()._begins()
        await self.link.drop()

    @override
    async def _failed(self) -> None:
        await self._restart(self.image)

    @override
    async def _vanish(self) -> None:
        # It has left the broker already.
        self._set(DeviceState.REBOOTING)
        await self.link.drop()
