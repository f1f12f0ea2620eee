"""OpenMQTTGateway: it measures itself every two minutes, and what it says of an update is not to be believed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, override

from simulator.devices.loading import LoadingDevice
from simulator.link import Incoming, Publication

BASE = "home"
EVERY = 120
"""Seconds between two measurements."""


class OpenMqttGatewayMisbehaviour(StrEnum):
    """Ways in which a gateway can go wrong, or be different."""

    DOES_NOTHING = "does_nothing"
    """It does not react to the order, as to one with a wrong password."""
    FAILS = "fails"
    """It cannot write the image; it restarts as it was, without a word."""
    TRANSFER_BREAKS = "transfer_breaks"
    """Its download ends in the middle; the same."""
    COMES_BACK_OLD = "comes_back_old"
    """It says that it has succeeded, and restarts as it was."""
    NEVER_RETURNS = "never_returns"
    """It restarts and is never heard of again."""
    BOOTS_OTHER_VERSION = "boots_other_version"
    """It says that it has succeeded, and runs something else."""
    BOOTS_OTHER_MODEL = "boots_other_model"
    """It comes back as a build for another environment."""
    SLOW = "slow"
    """Everything takes four times as long."""


class OpenMqttGatewayDevice(LoadingDevice):
    """A gateway; its image's model is its environment."""

    dialect = "openmqttgateway"
    words = OpenMqttGatewayMisbehaviour
    seconds_to_load = 40.0
    seconds_to_boot = 15.0

    def topic(self, what: str) -> str:
        """Return one of its topics."""
        return f"{BASE}/{self.name}/{what}"

    @override
    def will(self) -> Publication | None:
        return Publication(self.topic("LWT"), "offline", retain=True)

    @override
    def filters(self) -> Sequence[str]:
        return (self.topic("commands/MQTTtoSYS/firmware_update"),)

    @override
    async def say_everything(self) -> None:
        await self._say(self.topic("LWT"), "online", retain=True)
        await self._say(f"homeassistant/update/{self.mac12}/update/config", json.dumps(self.config()), retain=True)
        await self.say_measurements()
        await self.say_release()
        self._spawn(self._measure_on(self.record.boots))

    async def _measure_on(self, boot: int) -> None:
        while True:
            await self._pause(EVERY)
            if self.record.boots != boot or not self.online:
                return
            if not self.updating:
                await self.say_measurements()

    async def say_measurements(self) -> None:
        """Say who and how it is."""
        await self._say(self.topic("SYStoMQTT"), json.dumps(self.measurements()))

    async def say_release(self) -> None:
        """Say what its project offers."""
        await self._say(self.topic("RLStoMQTT"), json.dumps(self.release()), retain=True)

    def measurements(self) -> dict[str, Any]:
        """Return what it measures of itself."""
        return {
            "uptime": self.uptime_s,
            "version": f"v{self.version}",
            "env": self.image.model,
            "freemem": 104_800,
            "mqttp": "1883",
            "mqtts": False,
            "rssi": -60,
            "SSID": "home",
            "ip": "127.0.0.1",
            "mac": self.mac,
            "modules": ["BT"],
        }

    def release(self) -> dict[str, Any]:
        """Return what its project offers."""
        return {
            "latest_version": f"v{self.latest}",
            "title": f"v{self.latest}",
            "release_url": "https://gateway.example/notes",
            "release_summary": "Fixes",
            "installed_version": f"v{self.version}",
        }

    def config(self) -> dict[str, Any]:
        """Return what Home Assistant is told of its update."""
        return {
            "name": "Firmware Update",
            "dev_cla": "firmware",
            "uniq_id": f"{self.mac12}update",
            "stat_t": self.topic("RLStoMQTT"),
            "cmd_t": self.topic("commands/MQTTtoSYS/firmware_update"),
            "pl_inst": '{"version":"latest"}',
            "avty_t": self.topic("LWT"),
            "dev": {"ids": [self.mac12], "name": self.name, "mf": "OMG_community", "mdl": "[]", "sw": self.version},
        }

    @override
    def _hear(self, message: Incoming) -> None:
        wanted = str(json.loads(message.text).get("version", ""))
        known = wanted in {f"v{self.offered}", "latest"} and bool(self.offered)
        self._order(wanted, self.offered_url if known else "", retain=message.retain)

    @override
    async def _begins(self) -> None:
        await self._pause(1)
        await super()._begins()
        await self._say(self.topic("RLStoMQTT"), json.dumps({"release_summary": "Update in progress ..."}), retain=True)

    @override
    async def _loaded(self) -> None:
        told = {"release_summary": "Update success !", "installed_version": f"v{self.offered}"}
        await self._say(self.topic("RLStoMQTT"), json.dumps(told), retain=True)

    @override
    async def _failed(self) -> None:
        await self._restart(self.image)
