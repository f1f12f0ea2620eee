"""What a Shelly of a later generation says: presence, notifications, and answers to questions."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any, override

from simulator.devices.base import SimulatedDevice
from simulator.images import Image
from simulator.link import Link, Publication
from simulator.shelly_package import build_id

MODELS = {"Plus1": "SNSW-001X16EU", "HTG3": "S3SN-0U12A", "Mini1PMG3": "S3SW-001P8EU", "PowerStrip": "S4PL-00416EU"}
AUTO_UPDATE_TIME = "0 0 3 * * *"
NO_HANDLER = 404


class RpcError(Exception):
    """The device refuses a request."""

    def __init__(self, code: int, message: str) -> None:
        """Keep what is answered."""
        super().__init__(message)
        self.code = code
        self.message = message


class ShellyVoice(SimulatedDevice):
    """A Shelly as far as it speaks. ``prefix`` is where; by default that is its id."""

    dialect = "shelly"

    def __init__(self, *, name: str, mac: str, image: Image, link: Link, speed: float, prefix: str) -> None:
        """Have the factory's settings."""
        super().__init__(name=name, mac=mac, image=image, link=link, speed=speed)
        self.mac12 = mac.replace(":", "").upper()
        self.prefix = prefix or name
        self.title: str | None = None
        self.generation = 2
        self.slot = 0
        self.notifies = True
        self.password = False
        self.battery_percent: int | None = None
        self.wakeup_period = 0
        self.auto_update = ""
        self.offered = ""
        self.alternatives: dict[str, Any] = {}

    # --- topics ------------------------------------------------------------------------------------------------------

    def topic(self, what: str) -> str:
        """Return one of its topics."""
        return f"{self.prefix}/{what}"

    @override
    def will(self) -> Publication | None:
        return Publication(self.topic("online"), "false", retain=True)

    @override
    def filters(self) -> Sequence[str]:
        return (self.topic("rpc"), self.topic("command"))

    # --- by itself ---------------------------------------------------------------------------------------------------

    @override
    async def _announce(self) -> None:
        await self._say(self.topic("online"), "true", retain=True)
        await self.notify("NotifyFullStatus", self.status())

    async def notify(self, method: str, params: dict[str, Any]) -> None:
        """Send a notification, unless its owner does not want any."""
        if self.notifies:
            frame = {"src": self.name, "dst": f"{self.name}/events", "method": method}
            await self._say(self.topic("events/rpc"), json.dumps(frame | {"params": {"ts": time.time()} | params}))

    async def tell(self, event: str, component: str = "sys", **members: object) -> None:
        """Send one event."""
        told = {"component": component, "event": event} | members | {"ts": time.time()}
        await self.notify("NotifyEvent", {"events": [told]})

    # --- answers -----------------------------------------------------------------------------------------------------

    async def answer(self, request: dict[str, Any], **outcome: object) -> None:
        """Answer a request on the topic that its sender chose."""
        frame = {"id": request["id"], "src": self.name, "dst": request["src"]}
        await self._say(f"{request['src']}/rpc", json.dumps(frame | outcome))

    def look_up(self, method: str) -> dict[str, Any]:
        """Return the answer to a question that changes nothing.

        Raises:
            RpcError: there is no such question.
        """
        questions = {
            "Shelly.GetDeviceInfo": self.info,
            "Shelly.GetStatus": self.status,
            "Sys.GetStatus": lambda: self.status()["sys"],
            "Schedule.List": self.schedule,
            "Shelly.CheckForUpdate": self.updates,
        }
        if method not in questions or (method == "Schedule.List" and self.wakeup_period):
            raise RpcError(NO_HANDLER, f"No handler for {method}")
        found: dict[str, Any] = questions[method]()
        return found

    def info(self) -> dict[str, Any]:
        """Return who it is."""
        image = self.image
        return {
            "name": self.title,
            "id": self.name,
            "mac": self.mac12,
            "slot": self.slot,
            "model": image.hardware or MODELS.get(image.model, "SNSW-001X16EU"),
            "gen": self.generation,
            "fw_id": build_id(image),
            "ver": image.version,
            "app": image.model,
            "auth_en": self.password,
            "auth_domain": self.name if self.password else None,
        }

    def updates(self) -> dict[str, Any]:
        """Return what its vendor offers it."""
        return {"stable": {"version": self.offered}} if self.offered else {}

    def status(self) -> dict[str, Any]:
        """Return how it is."""
        system: dict[str, Any] = {
            "mac": self.mac12,
            "restart_required": False,
            "unixtime": int(time.time()),
            "uptime": self.uptime_s,
            "ram_free": 138_600,
            "available_updates": self.updates(),
            "reset_reason": 3,
        }
        if self.wakeup_period:
            system |= {"wakeup_reason": {"boot": "deepsleep_wake", "cause": "status_update"}}
            system |= {"wakeup_period": self.wakeup_period}
        if self.alternatives:
            system["alt"] = self.alternatives
        whole: dict[str, Any] = {"ble": {}, "cloud": {"connected": False}, "mqtt": {"connected": True}, "sys": system}
        if self.battery_percent is not None:
            battery = {"V": 6.0, "percent": self.battery_percent}
            whole["devicepower:0"] = {"id": 0, "battery": battery, "external": {"present": False}}
        return whole | {"wifi": {"sta_ip": "127.0.0.1", "status": "got ip", "ssid": "home", "rssi": -58}}

    def schedule(self) -> dict[str, Any]:
        """Return its schedule, in which its own updates stand like any other job."""
        if not self.auto_update:
            return {"jobs": [], "rev": 0}
        call = {"method": "Shelly.Update", "params": {"stage": self.auto_update}, "origin": "shelly_service"}
        return {"jobs": [{"id": 1, "enable": True, "timespec": AUTO_UPDATE_TIME, "calls": [call]}], "rev": 1}
