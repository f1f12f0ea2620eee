"""Who is in the demo, what each of them does, and how it must end.

Three vendors: one signs honestly, one has its manifest forged on the way, one is the mirror of Tasmota's releases.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from simulator.broker import Broker
from simulator.devices.base import SimulatedDevice
from simulator.devices.open import OpenDevice, OpenMisbehaviour
from simulator.devices.tasmota import TasmotaDevice
from simulator.devices.zigbee2mqtt import ZigbeeDevice
from simulator.families import FAMILIES, family_of, populate, publish_indexes
from simulator.fleet import Fleet
from simulator.images import Image
from simulator.link import OwnLink
from simulator.tricks import Trick
from simulator.vendor import MANIFEST_PATH, Vendor

MAKER, FORGED_MAKER = "Acme", "Northwind"
OLD, NEW, HARDWARE = "1.0.0", "1.1.0", "rev2"
TASMOTA_OLD, TASMOTA_NEW = "14.6.0", "15.1.0"
SPEED = 2.0
"""How much faster than in life the devices flash."""
ZIGBEE_SECONDS = 6.0
"""How long an image takes by radio, where a real one takes twenty minutes."""


@dataclass(frozen=True, slots=True)
class Script:
    """How a device must end.

    Attributes:
        verdict, reason: of its install, in the hub's words; both empty for one that is never offered anything.
        commands: how many install commands it must get, all in all.
        moves_on: it runs the new version in the end.
        answers: it still answers in the end.
        repairs: translation keys of the repairs that it must leave open.
    """

    story: str
    verdict: str = "succeeded"
    reason: str = ""
    commands: int = 1
    moves_on: bool = True
    answers: bool = True
    repairs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """One device and its script; ``device_id`` is the hub's name for it, ``version`` what it must run in the end."""

    script: Script
    device: SimulatedDevice
    device_id: str
    version: str

    @property
    def called(self) -> str:
        """How the device is called where it is sent commands."""
        return self.device.ieee if isinstance(self.device, ZigbeeDevice) else self.device.name

    @property
    def is_offered(self) -> bool:
        """Whether there is anything that a person could approve."""
        return bool(self.script.verdict)


@dataclass(frozen=True, slots=True)
class Vendors:
    """Who publishes."""

    honest: Vendor
    forged: Vendor
    mirror: Vendor

    def __iter__(self) -> Iterator[Vendor]:
        """Yield all of them."""
        return iter((self.honest, self.forged, self.mirror))


def make_vendors() -> Vendors:
    """Return the vendors, not yet listening."""
    return Vendors(Vendor(MAKER, tls=True), Vendor(FORGED_MAKER, tls=True), Vendor("Tasmota", tls=True))


def make_fleet(broker: Broker, vendors: Vendors, counts: Mapping[str, int]) -> tuple[Fleet, tuple[Part, ...]]:
    """Return as many devices of each family as are wanted beside the cast; all of them are to succeed."""
    fleet = Fleet(broker.host, broker.port, speed=SPEED)
    publish_indexes(vendors.mirror, vendors.honest)
    devices = populate(fleet, vendors.mirror, counts, {})
    for device in devices:
        if isinstance(device, ZigbeeDevice):
            device.transfer_seconds = ZIGBEE_SECONDS
    return fleet, tuple(Part(ONE_OF_MANY, device, _hub_id(device), _newest(device)) for device in devices)


def _hub_id(device: SimulatedDevice) -> str:
    return f"ieee:{device.ieee}" if isinstance(device, ZigbeeDevice) else _device_id(device.mac)


def _newest(device: SimulatedDevice) -> str:
    return FAMILIES[family_of(device.name)].new


def publish(vendors: Vendors) -> None:
    """Let every vendor publish; they must listen already."""
    for model, options in MODELS.items():
        vendors.honest.add_release(Image(MAKER, model, NEW, hardware=HARDWARE), **options)
    vendors.forged.add_release(Image(FORGED_MAKER, "LOCK-F6", NEW, hardware=HARDWARE))
    vendors.forged.misbehave(MANIFEST_PATH, Trick.FORGED)
    vendors.mirror.add_tasmota_release(TASMOTA_NEW)


MODELS: dict[str, dict[str, Any]] = {
    "PLUG-S1": {"kind": "security", "severity": "high", "cves": ["CVE-2026-0001"]},
    "LIGHT-D2": {"dual_bank": True, "revertible": True},
    "SWITCH-C3": {},
    "VALVE-N4": {},
    "SENSOR-Z5": {"min_battery_percent": 30},
}


ONE_OF_MANY = Script("one of a fleet")
TWIN = Script("one of two: the second waits until the first has settled")
PUBLIC = Script("one image, from the public mirror")
IN_TWO_STEPS = Script("through its minimal image")
ILL = Script(
    "is ill on trial: the hub sends it back",
    "rolled_back",
    "rolled_back_unhealthy",
    moves_on=False,
    repairs=("install_failed",),
)
UNCHANGED = Script(
    "comes back on the old version",
    "failed",
    "came_back_old",
    moves_on=False,
    repairs=("install_failed",),
)
LOST = Script(
    "never comes back",
    "timed_out",
    "no_return",
    moves_on=False,
    answers=False,
    repairs=("device_dark",),
)
ASLEEP = Script("sleeps, and is installed when it wakes")
FORGED = Script("its vendor's manifest is forged", "", commands=0, moves_on=False, repairs=("manifest_refused",))


SHOWN_BY_MQTT = frozenset({"zigbee2mqtt", "esphome", "openmqttgateway", "ha_update"})
"""Families whose updates Home Assistant's own MQTT integration shows as well."""


def repairs_of(cast: Iterable[Part]) -> Counter[str]:
    """Return how many repairs of each kind the scripts leave open, and one that asks about a second update entity."""
    parts = tuple(cast)
    repairs = Counter(chain.from_iterable(part.script.repairs for part in parts))
    if any(part.device.dialect in SHOWN_BY_MQTT for part in parts):
        repairs["other_updater"] = 1
    return repairs


def make_cast(broker: Broker) -> tuple[Part, ...]:
    """Return the cast, not yet switched on."""
    ill, old = [OpenMisbehaviour.FAILS_SELF_TEST], [OpenMisbehaviour.COMES_BACK_OLD]
    dead, asleep = [OpenMisbehaviour.NEVER_RETURNS], [OpenMisbehaviour.ASLEEP_AT_FIRST]
    until_woken: dict[str, Any] = {"misbehaviours": asleep, "sleep_seconds": 86_400.0, "battery_percent": 81}
    return (
        _open(broker, TWIN, "kitchen-plug", "PLUG-S1"),
        _open(broker, TWIN, "hall-plug", "PLUG-S1"),
        _tasmota(broker, PUBLIC, "desk-lamp", "ESP32", "tasmota32"),
        _tasmota(broker, IN_TWO_STEPS, "heater-plug", "ESP8266", "tasmota"),
        _open(broker, ILL, "stairs-light", "LIGHT-D2", misbehaviours=ill, slots=2),
        _open(broker, UNCHANGED, "attic-switch", "SWITCH-C3", misbehaviours=old),
        _open(broker, LOST, "garden-valve", "VALVE-N4", misbehaviours=dead),
        _open(broker, ASLEEP, "door-sensor", "SENSOR-Z5", **until_woken),
        _open(broker, FORGED, "front-lock", "LOCK-F6", maker=FORGED_MAKER),
    )


def _open(broker: Broker, script: Script, name: str, model: str, *, maker: str = MAKER, **options: Any) -> Part:
    mac = _mac(name)
    image = Image(maker, model, OLD, hardware=HARDWARE)
    device = OpenDevice(name=name, mac=mac, image=image, link=_link(broker), speed=SPEED, **options)
    return Part(script, device, _device_id(mac), NEW if script.moves_on else OLD)


def _tasmota(broker: Broker, script: Script, name: str, chip: str, variant: str) -> Part:
    mac = _mac(name)
    image = Image("Tasmota", chip, TASMOTA_OLD, variant=variant)
    device = TasmotaDevice(name=name, mac=mac, image=image, link=_link(broker), speed=SPEED)
    return Part(script, device, _device_id(mac), TASMOTA_NEW if script.moves_on else TASMOTA_OLD)


def _link(broker: Broker) -> OwnLink:
    return OwnLink(broker.host, broker.port)


def _mac(name: str) -> str:
    """Return an address of its own for each name, from the range that nobody owns."""
    digits = hashlib.sha256(name.encode()).hexdigest()[:10].upper()
    return ":".join(["02", *(digits[at : at + 2] for at in range(0, 10, 2))])


def _device_id(mac: str) -> str:
    return f"mac:{mac.replace(':', '')}"
