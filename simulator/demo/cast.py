"""Who is in the demo, what each of them does, and how it must end.

Three vendors: one signs honestly, one has its manifest forged on the way, one is the mirror of Tasmota's releases.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from simulator.broker import Broker
from simulator.devices.base import SimulatedDevice
from simulator.devices.open import OpenDevice, OpenMisbehaviour
from simulator.devices.tasmota import TasmotaDevice
from simulator.images import Image
from simulator.link import OwnLink
from simulator.tricks import Trick
from simulator.vendor import MANIFEST_PATH, Vendor

MAKER, FORGED_MAKER = "Acme", "Northwind"
OLD, NEW = "1.0.0", "1.1.0"
TASMOTA_OLD, TASMOTA_NEW = "14.6.0", "15.1.0"
SPEED = 2.0
"""How much faster than in life the devices flash."""


@dataclass(frozen=True, slots=True)
class Part:
    """One device and its script.

    Attributes:
        device_id: as the hub knows it.
        verdict, reason: how its install must end, in the hub's words; empty for one that must never be offered anything.
        commands: how many install commands it must get, all in all.
        version: what it must run in the end.
        answers: whether it still answers in the end.
    """

    story: str
    device: SimulatedDevice
    device_id: str
    old_version: str
    version: str
    verdict: str = "succeeded"
    reason: str = ""
    commands: int = 1
    answers: bool = True

    @property
    def is_offered(self) -> bool:
        """Whether there is anything that a person could approve."""
        return bool(self.verdict)


@dataclass(frozen=True, slots=True)
class Vendors:
    """Who publishes."""

    honest: Vendor
    forged: Vendor
    mirror: Vendor

    def __iter__(self) -> Any:  # noqa: ANN401
        """Yield all of them."""
        return iter((self.honest, self.forged, self.mirror))


def make_vendors() -> Vendors:
    """Return the vendors, not yet listening."""
    return Vendors(Vendor(MAKER, tls=True), Vendor(FORGED_MAKER, tls=True), Vendor("Tasmota", tls=True))


def publish(vendors: Vendors) -> None:
    """Let every vendor publish; they must listen already."""
    for model, options in MODELS.items():
        vendors.honest.add_release(Image(MAKER, model, NEW, hardware="rev2"), **options)
    vendors.forged.add_release(Image(FORGED_MAKER, "LOCK-F6", NEW, hardware="rev2"))
    vendors.forged.misbehave(MANIFEST_PATH, Trick.FORGED)
    vendors.mirror.add_tasmota_release(TASMOTA_NEW)


MODELS: dict[str, dict[str, Any]] = {
    "PLUG-S1": {"kind": "security", "severity": "high", "cves": ["CVE-2026-0001"]},
    "LIGHT-D2": {"dual_bank": True, "revertible": True},
    "SWITCH-C3": {},
    "VALVE-N4": {},
    "SENSOR-Z5": {"min_battery_percent": 30},
}


def make_cast(broker: Broker) -> tuple[Part, ...]:
    """Return the cast, not yet switched on."""
    return (
        _open(broker, 1, "kitchen-plug", "PLUG-S1", "the first of its kind goes alone"),
        _open(broker, 2, "hall-plug", "PLUG-S1", "waits until the first has settled"),
        _tasmota(broker, 3, "desk-lamp", "ESP32", "tasmota32", "one image, from the public mirror"),
        _tasmota(broker, 4, "heater-plug", "ESP8266", "tasmota", "through its minimal image"),
        _open(
            broker,
            5,
            "stairs-light",
            "LIGHT-D2",
            "is ill on trial: the hub sends it back",
            [OpenMisbehaviour.FAILS_SELF_TEST],
            slots=2,
            verdict="rolled_back",
            reason="rolled_back_unhealthy",
            version=OLD,
        ),
        _open(
            broker,
            6,
            "attic-switch",
            "SWITCH-C3",
            "comes back on the old version",
            [OpenMisbehaviour.COMES_BACK_OLD],
            verdict="failed",
            reason="came_back_old",
            version=OLD,
        ),
        _open(
            broker,
            7,
            "garden-valve",
            "VALVE-N4",
            "never comes back",
            [OpenMisbehaviour.NEVER_RETURNS],
            verdict="timed_out",
            reason="no_return",
            version=OLD,
            answers=False,
        ),
        _open(
            broker,
            8,
            "door-sensor",
            "SENSOR-Z5",
            "sleeps, and is installed when it wakes",
            [OpenMisbehaviour.ASLEEP_AT_FIRST],
            battery_percent=81,
            sleep_seconds=3600.0,
        ),
        _open(
            broker,
            9,
            "front-lock",
            "LOCK-F6",
            "its vendor's manifest is forged",
            maker=FORGED_MAKER,
            verdict="",
            commands=0,
            version=OLD,
        ),
    )


def _open(
    broker: Broker,
    number: int,
    name: str,
    model: str,
    story: str,
    misbehaviours: Iterable[OpenMisbehaviour] = (),
    *,
    maker: str = MAKER,
    version: str = NEW,
    verdict: str = "succeeded",
    reason: str = "",
    commands: int = 1,
    answers: bool = True,
    **options: Any,  # noqa: ANN401
) -> Part:
    mac = f"02:00:5E:00:53:{number:02X}"
    device = OpenDevice(
        name=name,
        mac=mac,
        image=Image(maker, model, OLD, hardware="rev2"),
        link=OwnLink(broker.host, broker.port),
        speed=SPEED,
        misbehaviours=misbehaviours,
        **options,
    )
    return Part(story, device, _device_id(mac), OLD, version, verdict, reason, commands, answers)


def _tasmota(broker: Broker, number: int, name: str, chip: str, variant: str, story: str) -> Part:
    mac = f"02:00:5E:00:53:{number:02X}"
    device = TasmotaDevice(
        name=name,
        mac=mac,
        image=Image("Tasmota", chip, TASMOTA_OLD, variant=variant),
        link=OwnLink(broker.host, broker.port),
        speed=SPEED,
    )
    return Part(story, device, _device_id(mac), TASMOTA_OLD, TASMOTA_NEW)


def _device_id(mac: str) -> str:
    return f"mac:{mac.replace(':', '')}"
