"""What a mixed fleet says when it is switched on and asked who it is, taken down without a broker.

Who speaks are the simulated devices of all families, and the questions are those of each family's own dialect. Bridges
of Zigbee2MQTT have a hundred devices each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from custom_components.firmware_hub.core.fleet import Fleet
from custom_components.firmware_hub.core.inputs import DeviceReported
from custom_components.firmware_hub.dialects import BY_NAME, PROBERS
from custom_components.firmware_hub.dialects.base import Message, Outgoing
from simulator.devices.base import SimulatedDevice
from simulator.devices.esphome import EsphomeDevice
from simulator.devices.ha_update import HaUpdateDevice
from simulator.devices.open import OpenDevice
from simulator.devices.openbeken import OpenBekenDevice
from simulator.devices.openmqttgateway import OpenMqttGatewayDevice
from simulator.devices.shelly import ShellyDevice
from simulator.devices.shelly_gen1 import ShellyGen1Device
from simulator.devices.tasmota import TasmotaDevice
from simulator.devices.zigbee2mqtt_bridge import Zigbee2MqttBridge
from simulator.families import FAMILIES, OFFERED_BY_VENDOR
from simulator.link import Incoming, Publication, Speaker

BEHIND_ONE_BRIDGE = 100
_SPEED = 1e6
"""Nobody waits for anything."""
_NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
_MAKERS: Mapping[str, Callable[..., SimulatedDevice]] = {
    "open": OpenDevice,
    "tasmota": TasmotaDevice,
    "shelly": ShellyDevice,
    "shelly_gen1": ShellyGen1Device,
    "esphome": EsphomeDevice,
    "openbeken": OpenBekenDevice,
    "openmqttgateway": OpenMqttGatewayDevice,
    "ha_update": HaUpdateDevice,
}


@dataclass(frozen=True, slots=True)
class Conversation:
    """All that one device says, or one bridge for its devices."""

    family: str
    devices: int
    messages: tuple[Publication, ...]


class Tape:
    """A link that leads nowhere and keeps what is said."""

    def __init__(self) -> None:
        self.said: list[Publication] = []

    async def open(self, speaker: Speaker) -> None:
        """See ``Link``."""
        await speaker.on_connected()

    async def publish(self, publication: Publication) -> None:
        """See ``Link``."""
        self.said.append(publication)

    async def close(self) -> None:
        """See ``Link``."""

    async def drop(self) -> None:
        """See ``Link``."""


def shares(devices: int) -> dict[str, int]:
    """Return how many devices each family has, out of so many: about the same."""
    names = list(FAMILIES)
    return {name: devices // len(names) + (place < devices % len(names)) for place, name in enumerate(names)}


async def conversations(devices: int) -> list[Conversation]:
    """Return what so many devices of all families say."""
    found = []
    for number, (family, count) in enumerate(shares(devices).items()):
        if family == "zigbee2mqtt":
            found += [await _bridge(first, min(BEHIND_ONE_BRIDGE, count - first)) for first in _steps(count)]
        else:
            found += [await _device(family, index, number) for index in range(count)]
    return found


def _steps(count: int) -> Iterator[int]:
    return iter(range(0, count, BEHIND_ONE_BRIDGE))


async def _device(family: str, index: int, number: int) -> Conversation:
    tape = Tape()
    offer: dict[str, Any] = {"offered": FAMILIES[family].new} if family in OFFERED_BY_VENDOR else {}
    mac = f"02:5E:{number:02X}:{index >> 16:02X}:{index >> 8 & 255:02X}:{index & 255:02X}"
    name = f"{family.replace('_', '-')}-{index}"
    device = _MAKERS[family](name=name, mac=mac, image=FAMILIES[family].old, link=tape, speed=_SPEED, **offer)
    await device.start()
    if isinstance(device, TasmotaDevice):
        await device.say_discovery()
    # What would follow by itself, every few minutes.
    await device._cancel_tasks()
    await _answer(family, tape, device, device._tasks)
    return Conversation(family, 1, tuple(tape.said))


async def _bridge(first: int, count: int) -> Conversation:
    tape = Tape()
    bridge = Zigbee2MqttBridge(link=tape, base=f"zigbee2mqtt-{first}", speed=_SPEED)
    for index in range(first, first + count):
        bridge.add(f"zigbee-{index}", FAMILIES["zigbee2mqtt"].old, ieee=f"0x000d6f00{index:08x}")
    await bridge.start()
    await _answer("zigbee2mqtt", tape, bridge, bridge._tasks)
    return Conversation("zigbee2mqtt", count, tuple(tape.said))


async def _answer(family: str, tape: Tape, speaker: Speaker, tasks: set[asyncio.Task[None]]) -> None:
    """Read what was said so far as the hub does, ask what it asks, and let it be answered."""
    book = Fleet()
    book.expect_burst(_NOW)
    for question in _strangers(family, tape.said, book):
        await _ask(question, speaker, tasks)
    _read(family, tape.said, book)
    for device in tuple(book.devices.values()):
        for question in BY_NAME[family].query(device):
            await _ask(question, speaker, tasks)


def _strangers(family: str, said: Iterable[Publication], book: Fleet) -> list[Outgoing]:
    if family not in PROBERS:
        return []
    prober = PROBERS[family]
    addresses = {prober.suspect(_message(each), book): None for each in said}
    return [question for address in addresses if address for question in prober.probe(address)]


def _read(family: str, said: Iterable[Publication], book: Fleet) -> None:
    for each in said:
        for item in BY_NAME[family].read(_message(each), book):
            if isinstance(item, DeviceReported):
                book.merge(item, _NOW)


def _message(said: Publication) -> Message:
    return Message(said.topic, said.payload, said.retain)


async def _ask(question: Outgoing, speaker: Speaker, tasks: set[asyncio.Task[None]]) -> None:
    speaker.on_message(Incoming(question.topic, question.payload.encode(), retain=False))
    while tasks:
        with suppress(asyncio.CancelledError):
            await asyncio.wait(set(tasks))
