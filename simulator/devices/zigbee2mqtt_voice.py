"""What a simulated Zigbee2MQTT publishes: itself, its list of devices, their states, and Home Assistant's discovery."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from typing import Any, override

from simulator.devices.zigbee2mqtt import ZigbeeDevice
from simulator.link import Link, Publication
from simulator.watched import Watched

VERSION, OLD_VERSION = "2.14.1", "2.7.2"
COORDINATOR = "0x00124b0000000001"
DATE_CODE = "20260101"
LOGO = "https://github.com/Koenkk/zigbee2mqtt/raw/master/images/logo.png"
TEMPLATE = (
    "{\"latest_version\":\"{{ value_json['update']['latest_version'] }}\","
    "\"installed_version\":\"{{ value_json['update']['installed_version'] }}\","
    "\"update_percentage\":{{ value_json['update'].get('progress', 'null') }},"
    "\"in_progress\":{{ (value_json['update']['state'] == 'updating')|lower }}}"
)


class BridgeVoice(Watched):
    """A bridge as far as it speaks.

    Attributes:
        shown: by device, what it shows of versions; it remembers that over ``die``.
        words: by device, the state that it said last; it remembers that as well, but for an update that ran.
        requests: every request that reached it, as (topic below the base, body).
    """

    def __init__(self, *, link: Link, base: str, speed: float, availability: bool, takes_url: bool) -> None:
        """Be set up, with no devices yet."""
        super().__init__()
        self.link = link
        self.base = base
        self.speed = speed
        self.availability = availability
        self.takes_url = takes_url
        self.devices: dict[str, ZigbeeDevice] = {}
        self.shown: dict[str, dict[str, Any]] = {}
        self.words: dict[str, str] = {}
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @override
    def __repr__(self) -> str:
        """Say who it is and whom it knows."""
        return f"<{type(self).__name__} {self.base}: {list(self.devices.values())}>"

    # --- as a client of the broker -----------------------------------------------------------------------------------

    def will(self) -> Publication:
        """Return what the broker is to say when the connection is lost."""
        return Publication(f"{self.base}/bridge/state", '{"state":"offline"}', retain=True)

    async def on_connected(self) -> None:
        """Say everything that it knows."""
        await self.say("bridge/state", {"state": "online"}, retain=True)
        await self.say("bridge/info", self.info(), retain=True)
        await self.say_devices()
        for device in self.devices.values():
            await self.say_discovery(device)
            await self.say_availability(device, online=device.online)
            if device.ieee in self.shown or device.ieee in self.words:
                await self._say_again(device)

    def on_announced(self) -> None:
        """Have been understood by the broker."""
        self._changed()

    async def publish(self, publication: Publication) -> None:
        """See ``Radio``."""
        await self.link.publish(publication)

    async def say(self, topic: str, payload: object, *, retain: bool = False) -> None:
        """Publish JSON below the base."""
        text = json.dumps(payload, sort_keys=True, separators=(",", ":"))
        await self.link.publish(Publication(f"{self.base}/{topic}", text, retain))
        self._changed()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside listening; a bug in it is told to whoever waits on this bridge."""
        task = asyncio.create_task(self._guard(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # One that is cancelled before it began never awaits its work.
        task.add_done_callback(lambda _: work.close())

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001
            self.crash = error
        self._changed()

    async def _pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.speed)

    # --- the bridge --------------------------------------------------------------------------------------------------

    def find(self, name: str) -> ZigbeeDevice | None:
        """Return a device by address or by name."""
        by_name = (device for device in self.devices.values() if device.name == name)
        return self.devices.get(name) or next(by_name, None)

    def info(self) -> dict[str, Any]:
        """Return what it says of itself."""
        return {
            "version": VERSION if self.takes_url else OLD_VERSION,
            "commit": "3c3d8c1a",
            "coordinator": {"ieee_address": COORDINATOR, "meta": {"revision": "simulated"}, "type": "Simulated"},
            "network": {"channel": 11, "extended_pan_id": "0xdddddddddddddddd", "pan_id": 6754},
            "zigbee_herdsman": {"version": "10.9.2"},
            "zigbee_herdsman_converters": {"version": "26.105.0"},
            "log_level": "info",
            "permit_join": False,
            "restart_required": False,
            "mqtt": {"server": "mqtt://127.0.0.1", "version": 4},
            "config": {
                "availability": {"enabled": self.availability},
                "homeassistant": {"discovery_topic": "homeassistant", "enabled": True},
                "mqtt": {"base_topic": self.base},
            },
        }

    async def say_devices(self) -> None:
        """Say the whole list."""
        coordinator = {
            "ieee_address": COORDINATOR,
            "type": "Coordinator",
            "friendly_name": "Coordinator",
            "network_address": 0,
            "supported": True,
            "disabled": False,
            "interviewing": False,
            "interview_completed": True,
            "interview_state": "SUCCESSFUL",
            "endpoints": {},
        }
        await self.say("bridge/devices", [coordinator, *map(_entry, self.devices.values())], retain=True)

    async def say_event(self, kind: str, device: ZigbeeDevice, **more: str) -> None:
        """Say that something happened to a device."""
        data = {"friendly_name": device.name, "ieee_address": device.ieee, **more}
        await self.say("bridge/event", {"type": kind, "data": data})

    async def respond(
        self, kind: str, request: dict[str, Any], data: dict[str, Any] | None = None, *, error: str = ""
    ) -> None:
        """Answer a request; a refusal names no device."""
        answer: dict[str, Any] = {"status": "error" if error else "ok", "data": data or {}}
        if error:
            answer["error"] = error
        if "transaction" in request:
            answer["transaction"] = request["transaction"]
        await self.say(f"bridge/response/device/ota_update/{kind}", answer)

    # --- devices -----------------------------------------------------------------------------------------------------

    async def say_availability(self, device: ZigbeeDevice, *, online: bool) -> None:
        """Say whether a device is there, where that is switched on."""
        if self.availability:
            await self.say(f"{device.name}/availability", {"state": "online" if online else "offline"}, retain=True)

    async def say_update(self, device: ZigbeeDevice, state: str, **more: float) -> None:
        """Say a device's state, with what is remembered of its versions."""
        self.words[device.ieee] = state
        unknown = {"installed_version": -1, "latest_version": -1}
        update = unknown | self.shown.get(device.ieee, {}) | {"state": state} | more
        extra = {} if device.battery_percent is None else {"battery": device.battery_percent}
        await self.say(device.name, {"linkquality": 120, "state": None, **extra, "update": update})

    async def _say_again(self, device: ZigbeeDevice) -> None:
        word = self.words.get(device.ieee, "idle")
        await self.say_update(device, "idle" if word == "updating" else word)

    async def say_checked(self, device: ZigbeeDevice, entry: dict[str, Any] | None) -> None:
        """Say what the device itself answered, and what there is for it."""
        own = int(device.version)
        self._show(device, own, entry or {})
        await self.say_update(device, "available" if entry else "idle")

    async def say_installed(self, device: ZigbeeDevice, version: int) -> None:
        """Say that an update went well: the version is the file's, not the device's."""
        self._show(device, version, {})
        await self.say_update(device, "idle")

    def _show(self, device: ZigbeeDevice, version: int, entry: dict[str, Any]) -> None:
        shown = {"installed_version": version, "latest_version": entry.get("fileVersion", version)}
        if self.takes_url:
            shown |= {"latest_source": entry.get("url"), "latest_release_notes": entry.get("releaseNotes")}
        self.shown[device.ieee] = shown

    async def rename(self, device: ZigbeeDevice, name: str) -> None:
        """Give a device another name; what was retained under the old one is cleared."""
        await self.link.publish(Publication(f"{self.base}/{device.name}/availability", "", retain=True))
        device.name = name
        await self.say_devices()
        await self.say_availability(device, online=device.online)
        await self.say_discovery(device)
        await self._say_again(device)

    async def remove(self, device: ZigbeeDevice) -> None:
        """Let a device leave for good."""
        del self.devices[device.ieee]
        await self.say_event("device_leave", device)
        for topic in (f"{self.base}/{device.name}/availability", _discovery_topic(device)):
            await self.link.publish(Publication(topic, "", retain=True))
        await self.say_devices()
        await device.stop()

    async def say_discovery(self, device: ZigbeeDevice) -> None:
        """Say to Home Assistant what it needs for an update entity of its own, which never asks the hub."""
        places = [f"{self.base}/bridge/state", f"{self.base}/{device.name}/availability"]
        config = {
            "availability": [{"topic": place, "value_template": "{{ value_json.state }}"} for place in places],
            "availability_mode": "all",
            "command_topic": f"{self.base}/bridge/request/device/ota_update/update",
            "default_entity_id": f"update.{device.name}",
            "device": {
                "hw_version": 1,
                "identifiers": [f"zigbee2mqtt_{device.ieee}"],
                "manufacturer": device.image.manufacturer,
                "model": device.image.model,
                "model_id": device.image.model,
                "name": device.name,
                "sw_version": device.build,
                "via_device": f"zigbee2mqtt_bridge_{COORDINATOR}",
            },
            "device_class": "firmware",
            "entity_category": "config",
            "entity_picture": LOGO,
            "name": None,
            "object_id": device.name,
            "origin": {"name": "Zigbee2MQTT", "sw": VERSION, "url": "https://www.zigbee2mqtt.io"},
            "payload_install": f'{{"id": "{device.ieee}"}}',
            "state_topic": f"{self.base}/{device.name}",
            "unique_id": f"{device.ieee}_update_{self.base}",
            "value_template": TEMPLATE,
        }
        await self.link.publish(Publication(_discovery_topic(device), json.dumps(config), retain=True))


def _discovery_topic(device: ZigbeeDevice) -> str:
    return f"homeassistant/update/{device.ieee}/update/config"


def _entry(device: ZigbeeDevice) -> dict[str, Any]:
    """Return a device as it stands in the list."""
    battery = device.battery_percent is not None
    return {
        "ieee_address": device.ieee,
        "type": "EndDevice" if battery else "Router",
        "friendly_name": device.name,
        "network_address": int(device.ieee, 16) & 0xFFFF,
        "supported": True,
        "disabled": False,
        "interviewing": False,
        "interview_completed": True,
        "interview_state": "SUCCESSFUL",
        "manufacturer": device.image.manufacturer,
        "model_id": device.image.model,
        "power_source": "Battery" if battery else "Mains (single phase)",
        "software_build_id": device.build,
        "date_code": DATE_CODE,
        "definition": {
            "description": "A simulated device",
            "exposes": [],
            "model": device.image.model,
            "options": [],
            "source": "native",
            "supports_ota": True,
            "vendor": device.image.manufacturer,
            "version": "0.0.0",
        },
        "endpoints": {
            "1": {
                "bindings": [],
                "clusters": {"input": ["genBasic"], "output": ["genOta"]},
                "configured_reportings": [],
                "scenes": [],
            }
        },
    }
