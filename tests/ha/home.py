"""A home with a hub in it: real core, real vendor, MQTT messages as devices send them."""

import asyncio
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import MagicMock

from homeassistant.const import Platform
from homeassistant.core import Context, HomeAssistant, State
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_mqtt_message

from custom_components.firmware_hub.const import DOMAIN
from custom_components.firmware_hub.coordinator import FirmwareHubCoordinator
from simulator.images import Image
from simulator.vendor import Vendor

MAC = "8CAAB5A1B2C3"
PLUG = Image("Acme", "PLUG-S1", "1.0.0")
NOWHERE = "http://127.0.0.1:9/"
"""An address of this machine at which nobody answers."""


def zone_where_it_is(hour: int) -> str:
    """Return a time zone in which it is that hour now, so that a test can be by day or by night at any time."""
    offset = hour - dt_util.utcnow().hour
    offset = offset - 24 if offset > 12 else offset + 24 if offset < -12 else offset
    return f"Etc/GMT{-offset:+d}" if offset else "Etc/GMT"


async def until(condition: Callable[[], object], seconds: float = 15) -> None:
    """Wait until something has happened; fail if it does not."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.01)


@dataclass
class Home:
    """What a test sees and does."""

    hass: HomeAssistant
    entry: MockConfigEntry
    vendor: Vendor
    mqtt: MagicMock
    zone: str = ""
    known: list[str] = field(default_factory=list)

    @property
    def hub(self) -> FirmwareHubCoordinator:
        """The coordinator of the loaded entry."""
        coordinator: FirmwareHubCoordinator = self.entry.runtime_data
        return coordinator

    # --- devices -----------------------------------------------------------------------------------------------------

    async def announce(self, name: str, *, retain: bool = True, **facts: Any) -> None:
        """Let a device of the open protocol say who it is."""
        info = {"protocol": 1, "manufacturer": "Acme", "model": "PLUG-S1", "version": "1.0.0", "name": name} | facts
        async_fire_mqtt_message(self.hass, f"fwhub/device/{name}/info", json.dumps(info), 0, retain)
        await self.hass.async_block_till_done()

    async def say(self, name: str, word: str, message: dict[str, Any] | str) -> None:
        """Let a device say something else."""
        payload = message if isinstance(message, str) else json.dumps(message)
        async_fire_mqtt_message(self.hass, f"fwhub/device/{name}/{word}", payload)
        await self.hass.async_block_till_done()

    async def find(self, name: str = "plug-1", **facts: Any) -> str:
        """Announce a device; return its update entity once it is there."""
        await self.announce(name, **facts)
        await until(lambda: self.entity_id(f"open:{name}") is not None)
        entity_id = self.entity_id(f"open:{name}")
        assert entity_id is not None
        await until(lambda: self.hass.states.get(entity_id) is not None)
        return entity_id

    async def offered(self, name: str = "plug-1", **facts: Any) -> str:
        """Announce a device for which the vendor has a release; return its update entity once it says so."""
        entity_id = await self.find(name, **facts)
        await until(lambda: self.state(entity_id).state == "on")
        return entity_id

    def commands(self, name: str, command: str) -> list[dict[str, Any]]:
        """Return the commands of a kind that were published to a device."""
        topic = f"fwhub/device/{name}/command"
        sent = [json.loads(call.args[1]) for call in self.mqtt.async_publish.call_args_list if call.args[0] == topic]
        return [item for item in sent if item["command"] == command]

    # --- the vendor --------------------------------------------------------------------------------------------------

    async def publish(self, version: str = "1.1.0", **fields: Any) -> None:
        """Let the vendor publish a release for the plug, and the hub read it."""
        self.vendor.add_release(Image("Acme", "PLUG-S1", version), **fields)
        await self.reread()

    async def reread(self) -> None:
        """Let the hub read the vendor's feed anew."""
        self.vendor.publish_again()
        (feed_id,) = self.entry.subentries
        wanted = self.vendor.sequence
        await self.act("check")
        await until(
            lambda: any(feed.sequence == wanted for feed in self.hub.hub_view().feeds if feed.feed_id == feed_id)
        )

    def feed_sequence(self, feed_id: str) -> int | None:
        """Return the sequence of the manifest that the hub goes by."""
        return next(feed.sequence for feed in self.hub.hub_view().feeds if feed.feed_id == feed_id)

    # --- Home Assistant ----------------------------------------------------------------------------------------------

    def entity_id(self, device_id: str, key: str = "firmware", platform: Platform = Platform.UPDATE) -> str | None:
        """Return an entity of one of the hub's devices."""
        unique_id = f"{self.entry.entry_id}_{device_id}_{key}"
        return er.async_get(self.hass).async_get_entity_id(platform, DOMAIN, unique_id)

    def state(self, entity_id: str) -> State:
        """Return a state that must be there."""
        state = self.hass.states.get(entity_id)
        assert state is not None, entity_id
        return state

    def device_of(self, entity_id: str) -> dr.DeviceEntry:
        """Return the device that an entity sits on."""
        entity = er.async_get(self.hass).async_get(entity_id)
        assert entity is not None
        assert entity.device_id is not None
        device = dr.async_get(self.hass).async_get(entity.device_id)
        assert isinstance(device, dr.DeviceEntry)
        return device

    async def act(self, action: str, context: Context | None = None, **data: Any) -> Any:
        """Call one of the hub's actions and return its answer."""
        answers = action != "check"
        return await self.hass.services.async_call(
            DOMAIN, action, data, blocking=True, context=context, return_response=answers
        )

    async def call(self, service: str, context: Context | None = None, **data: Any) -> None:
        """Call any action, such as ``update.install``."""
        domain, _, name = service.partition(".")
        await self.hass.services.async_call(domain, name, data, blocking=True, context=context)

    async def set_up(self) -> None:
        """Set the entry up."""
        assert await self.hass.config_entries.async_setup(self.entry.entry_id)
        await self.hass.async_block_till_done()


def tasmota_config(**changes: Any) -> str:
    """Return what a Tasmota plug retains about itself."""
    config: dict[str, Any] = {
        "ip": "192.168.1.50",
        "dn": "Boiler",
        "fn": ["Boiler", None],
        "hn": "tasmota-A1B2C3-4803",
        "mac": MAC,
        "md": "Sonoff Basic",
        "ty": 0,
        "if": 0,
        "ofln": "Offline",
        "onln": "Online",
        "state": ["OFF", "ON", "TOGGLE", "HOLD"],
        "sw": "14.5.0",
        "t": "tasmota_A1B2C3",
        "ft": "%prefix%/%topic%/",
        "tp": ["cmnd", "stat", "tele"],
        "rl": [1, 0, 0, 0, 0, 0, 0, 0],
        "swc": [-1] * 28,
        "swn": [None] * 28,
        "btn": [0] * 32,
        "so": {"4": 0, "11": 0, "13": 0, "17": 0, "20": 0, "30": 0, "68": 0, "73": 0, "82": 0, "114": 0, "117": 0},
        "lk": 0,
        "lt_st": 0,
        "bat": 0,
        "dslp": 0,
        "sho": [0, 0, 0, 0],
        "sht": [[0, 0, 0]] * 4,
        "ver": 1,
    }
    return json.dumps(config | changes)


async def fire_tasmota(hass: HomeAssistant, payload: str) -> None:
    """Let the plug announce itself, or clear its announcement with an empty payload."""
    async_fire_mqtt_message(hass, f"tasmota/discovery/{MAC}/config", payload)
    await hass.async_block_till_done()


async def fire_mqtt_discovery(hass: HomeAssistant, component: str, payload: dict[str, Any] | None) -> None:
    """Announce an entity of the device ``plug-1`` to Home Assistant's own MQTT discovery, or clear it."""
    text = json.dumps(payload) if payload else ""
    async_fire_mqtt_message(hass, f"homeassistant/{component}/plug-1/config", text)
    await hass.async_block_till_done()


def discovered(kind: str) -> dict[str, Any]:
    """Return the discovery payload of one entity of ``plug-1``."""
    return {
        "name": kind,
        "unique_id": f"plug-1-{kind}",
        "state_topic": f"plug-1/{kind}",
        "command_topic": f"plug-1/{kind}/set",
        "device": {"identifiers": ["plug-1"], "name": "Plug in the hall"},
    }


async def spoil(home: Home) -> None:
    """Take the record's table away while the hub has its database open: nothing can be written down any more."""
    path = home.hass.config.path(".storage", f"{DOMAIN}.{home.entry.entry_id}.db")

    def rename() -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("ALTER TABLE audit RENAME TO lost")

    await home.hass.async_add_executor_job(rename)
