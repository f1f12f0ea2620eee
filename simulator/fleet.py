"""Many simulated devices at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Self, override

import aiohttp

from simulator.devices.base import SimulatedDevice
from simulator.devices.esphome import EsphomeDevice
from simulator.devices.ha_update import HaUpdateDevice
from simulator.devices.open import OpenDevice
from simulator.devices.openbeken import OpenBekenDevice
from simulator.devices.openmqttgateway import OpenMqttGatewayDevice
from simulator.devices.shelly import ShellyDevice
from simulator.devices.shelly_gen1 import ShellyGen1Device
from simulator.devices.tasmota import TasmotaDevice
from simulator.devices.zigbee2mqtt import ZigbeeDevice
from simulator.devices.zigbee2mqtt_bridge import Zigbee2MqttBridge
from simulator.images import Image
from simulator.link import Link, OwnLink, Publication, Switchboard
from simulator.watched import Watched

type Call = Callable[[], Awaitable[None]]

COMMANDS = (
    "fwhub/device/+/command",
    "cmnd/#",
    "+/rpc",
    "shellies/+/rpc",
    "+/command",
    "shellies/+/command",
    "zigbee2mqtt/bridge/request/#",
    "esphome/ping/+",
    "+/update/firmware/command",
    "home/+/commands/#",
    "maker/+/install",
)
"""Where all families hear, as filters of which no two select one topic."""
ZIGBEE2MQTT = "zigbee2mqtt"
"""Where a Zigbee2MQTT is if nothing else was chosen."""
AT_ONCE = 50
"""Devices that are switched on at the same time."""
PLUG = Image("Acme", "PLUG-S1", "1.0.0", hardware="rev2")
TASMOTA = Image("Tasmota", "ESP32", "14.6.0", variant="tasmota32")
SHELLY = Image("Shelly", "Plus1", "1.3.3")
SHELLY_GEN1 = Image("Shelly", "SHSW-1", "1.11.8")
ESPHOME = Image("acme", "garage", "1.2.0", hardware="ESP32")
OPENBEKEN = Image("OpenBeken", "BK7231T", "1.18.150")
OPENMQTTGATEWAY = Image("OpenMQTTGateway", "esp32dev-ble", "1.8.0")
HA_UPDATE = Image("Maker", "GATE-1", "2.4.1", hardware="rev2")
ZIGBEE = Image("IKEA of Sweden", "TRADFRI bulb E27", "268435456")


class Fleet(Watched):
    """Devices of all families on one broker, started and stopped together.

    By default each has a connection of its own with a real last will. ``shared`` puts all of them on one connection,
    which is what thousands need; the wills are then published by the fleet. Everything else stays the same, down to
    the downloads.
    """

    def __init__(self, host: str, port: int, *, speed: float = 1.0, shared: bool = False) -> None:
        """Remember where the broker is; no device exists yet."""
        super().__init__()
        self.devices: dict[str, SimulatedDevice] = {}
        self.speed = speed
        self.index: list[dict[str, Any]] = []
        self.bridges: dict[str, Zigbee2MqttBridge] = {}
        self._host, self._port = host, port
        self._board = Switchboard(host, port, filters=COMMANDS) if shared else None
        self._session: aiohttp.ClientSession | None = None

    @override
    def __repr__(self) -> str:
        return f"<Fleet of {len(self.devices)}: {dict(self.states())}>"

    # --- making devices ----------------------------------------------------------------------------------------------

    def open(self, name: str, image: Image = PLUG, **options: Any) -> OpenDevice:
        """Add a device of the open protocol; ``options`` are those of ``OpenDevice``. It is started with the fleet."""
        defaults: dict[str, Any] = {"mac": _mac(len(self.devices)), "speed": self.speed}
        device = OpenDevice(name=name, image=image, link=self._link(), **defaults | options)
        self._add(device)
        return device

    def tasmota(self, name: str, image: Image = TASMOTA, **options: Any) -> TasmotaDevice:
        """Add a Tasmota device; ``options`` are those of ``TasmotaDevice``. It is started with the fleet."""
        defaults: dict[str, Any] = {"mac": _mac(len(self.devices)), "speed": self.speed}
        device = TasmotaDevice(name=name, image=image, link=self._link(), **defaults | options)
        self._add(device)
        return device

    def shelly(self, name: str, image: Image = SHELLY, **options: Any) -> ShellyDevice:
        """Add a later Shelly; ``options`` are those of ``ShellyDevice``. It is started with the fleet."""
        defaults: dict[str, Any] = {"mac": _mac(len(self.devices)), "speed": self.speed}
        device = ShellyDevice(name=name, image=image, link=self._link(), **defaults | options)
        self._add(device)
        return device

    def shelly_gen1(self, name: str, image: Image = SHELLY_GEN1, **options: Any) -> ShellyGen1Device:
        """Add a Shelly of the first generation; ``options`` are its own. It is started with the fleet."""
        defaults: dict[str, Any] = {"mac": _mac(len(self.devices)), "speed": self.speed}
        device = ShellyGen1Device(name=name, image=image, link=self._link(), **defaults | options)
        self._add(device)
        return device

    def esphome(self, name: str, image: Image = ESPHOME, **options: Any) -> EsphomeDevice:
        """Add an ESPHome node; ``options`` are those of ``EsphomeDevice``. It is started with the fleet."""
        defaults: dict[str, Any] = {"mac": _mac(len(self.devices)), "speed": self.speed}
        device = EsphomeDevice(name=name, image=image, link=self._link(), **defaults | options)
        self._add(device)
        return device

    def openbeken(self, name: str, image: Image = OPENBEKEN, **options: Any) -> OpenBekenDevice:
        """Add an OpenBeken device; ``options`` are those of ``OpenBekenDevice``. It is started with the fleet."""
        defaults: dict[str, Any] = {"mac": _mac(len(self.devices)), "speed": self.speed}
        device = OpenBekenDevice(name=name, image=image, link=self._link(), **defaults | options)
        self._add(device)
        return device

    def openmqttgateway(self, name: str, image: Image = OPENMQTTGATEWAY, **options: Any) -> OpenMqttGatewayDevice:
        """Add an OpenMQTTGateway; ``options`` are those of ``OpenMqttGatewayDevice``. It is started with the fleet."""
        defaults: dict[str, Any] = {"mac": _mac(len(self.devices)), "speed": self.speed}
        device = OpenMqttGatewayDevice(name=name, image=image, link=self._link(), **defaults | options)
        self._add(device)
        return device

    def ha_update(self, name: str, image: Image = HA_UPDATE, **options: Any) -> HaUpdateDevice:
        """Add a device that announces its update to Home Assistant; ``options`` are those of ``HaUpdateDevice``.

        It is started with the fleet.
        """
        defaults: dict[str, Any] = {"mac": _mac(len(self.devices)), "speed": self.speed}
        device = HaUpdateDevice(name=name, image=image, link=self._link(), **defaults | options)
        self._add(device)
        return device

    def zigbee2mqtt(self, name: str, image: Image = ZIGBEE, *, base: str = ZIGBEE2MQTT, **options: Any) -> ZigbeeDevice:
        """Add a device behind the fleet's Zigbee2MQTT at ``base``; ``options`` are those of ``ZigbeeDevice``.

        A bridge knows the images of ``index`` and is switched on with the fleet: no device is added to it later.

        Raises:
            ValueError: a second bridge in a fleet with one connection, which hears the first one's requests only.
        """
        if self._board is not None and base != ZIGBEE2MQTT:
            raise ValueError(f"one connection for all hears nothing at {base}")
        if base not in self.bridges:
            self.bridges[base] = Zigbee2MqttBridge(link=self._link(), base=base, speed=self.speed)
        bridge = self.bridges[base]
        numbers = (list(self.bridges).index(base), len(bridge.devices) + 2)
        defaults: dict[str, Any] = {"ieee": f"0x000d6f{numbers[0]:02x}{numbers[1]:08x}"}
        device = bridge.add(name, image, **defaults | options)
        self._add(device)
        return device

    def __getitem__(self, name: str) -> SimulatedDevice:
        """Return a device by its name."""
        return self.devices[name]

    def _add(self, device: SimulatedDevice) -> None:
        if device.name in self.devices:
            raise ValueError(f"there is a {device.name} already")
        self.devices[device.name] = device

        def noticed() -> None:
            self.crash = self.crash or device.crash
            self._changed()

        device.on_change(noticed)

    def _link(self) -> Link:
        return self._board.link() if self._board else OwnLink(self._host, self._port)

    # --- being switched on and off -----------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Switch everything on that was added so far."""
        self._session = aiohttp.ClientSession()
        if self._board is not None:
            await self._board.__aenter__()
        await self.start(device for device in self.devices.values() if not isinstance(device, ZigbeeDevice))
        for bridge in self.bridges.values():
            bridge.index = self.index
            await bridge.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Switch everything off."""
        try:
            behind = [bridge.stop for bridge in self.bridges.values()]
            others = [one.stop for one in self.devices.values() if not isinstance(one, ZigbeeDevice)]
            await _in_parallel([*behind, *others])
        finally:
            if self._board is not None:
                await self._board.__aexit__(kind, error, trace)
            if self._session is not None:
                await self._session.close()

    async def start(self, devices: Iterable[SimulatedDevice]) -> None:
        """Switch on devices that were added later."""
        chosen = list(devices)
        for device in chosen:
            device.session = self._session
        await _in_parallel([device.start for device in chosen])

    async def publish(self, publications: Sequence[Publication]) -> None:
        """Say many things, in order and as fast as the broker takes them, over the shared connection.

        Raises:
            RuntimeError: this fleet has no shared connection.
        """
        if self._board is None:
            raise RuntimeError("only a shared fleet has one connection for all")
        await self._board.publish_all(publications)
        await self._board.round_trip()

    # --- counting ----------------------------------------------------------------------------------------------------

    def states(self) -> Counter[str]:
        """How many devices are in which state."""
        return Counter(str(device.state) for device in self.devices.values())

    def versions(self) -> Counter[str]:
        """How many devices run which version."""
        return Counter(device.version for device in self.devices.values())

    def commands(self) -> dict[str, list[str]]:
        """The attempts that each device was ordered, in order; devices that got none are left out."""
        return {
            name: [command.attempt for command in device.record.commands]
            for name, device in self.devices.items()
            if device.record.commands
        }

    def late_commands(self) -> list[str]:
        """Names of the devices that got a command after its ``not_after``, once for each."""
        return [name for name, device in self.devices.items() for _ in device.record.late_commands]

    def duplicate_commands(self) -> list[str]:
        """Names of the devices that got one attempt more than once, once for each repetition."""
        return [name for name, device in self.devices.items() for _ in device.record.duplicate_commands]


def _mac(number: int) -> str:
    digits = f"02005E{number:06X}"
    return ":".join(digits[start : start + 2] for start in range(0, 12, 2))


async def _in_parallel(calls: Sequence[Call]) -> None:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(call: Call) -> None:
        async with gate:
            await call()

    results = await asyncio.gather(*(one(call) for call in calls), return_exceptions=True)
    if faults := [result for result in results if isinstance(result, BaseException)]:
        raise faults[0]
