"""Devices of every family by number: what they run at first, what is published for them, how they are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from simulator.devices.base import SimulatedDevice
from simulator.devices.esphome import EsphomeMisbehaviour
from simulator.devices.ha_update import HaUpdateMisbehaviour
from simulator.devices.open import OpenMisbehaviour
from simulator.devices.openbeken import OpenBekenMisbehaviour
from simulator.devices.openmqttgateway import OpenMqttGatewayMisbehaviour
from simulator.devices.shelly import ShellyMisbehaviour
from simulator.devices.shelly_gen1 import ShellyGen1Misbehaviour
from simulator.devices.tasmota import TasmotaMisbehaviour
from simulator.devices.zigbee2mqtt import ZigbeeMisbehaviour
from simulator.fleet import (
    ESPHOME,
    HA_UPDATE,
    OPENBEKEN,
    OPENMQTTGATEWAY,
    PLUG,
    SHELLY,
    SHELLY_GEN1,
    TASMOTA,
    ZIGBEE,
    Fleet,
)
from simulator.github import FILES as TASMOTA_FILES
from simulator.images import Image
from simulator.vendor import ZIGBEE_PATH, Vendor

SMALL = Image("Tasmota", "ESP8266", TASMOTA.version, variant="tasmota")


@dataclass(frozen=True, slots=True)
class Family:
    """What a device of a family runs at first and in the end, and the ways in which it can misbehave."""

    old: Image
    new: str
    misbehaviours: type[StrEnum]


FAMILIES: Mapping[str, Family] = {
    "open": Family(PLUG, "1.1.0", OpenMisbehaviour),
    "tasmota": Family(TASMOTA, "15.1.0", TasmotaMisbehaviour),
    "shelly": Family(SHELLY, "1.7.5", ShellyMisbehaviour),
    "shelly_gen1": Family(SHELLY_GEN1, "1.14.0", ShellyGen1Misbehaviour),
    "zigbee2mqtt": Family(ZIGBEE, "536870912", ZigbeeMisbehaviour),
    "esphome": Family(ESPHOME, "1.3.0", EsphomeMisbehaviour),
    "openbeken": Family(OPENBEKEN, "1.18.160", OpenBekenMisbehaviour),
    "openmqttgateway": Family(OPENMQTTGATEWAY, "1.8.1", OpenMqttGatewayMisbehaviour),
    "ha_update": Family(HA_UPDATE, "2.5.0", HaUpdateMisbehaviour),
}


OFFERED_BY_VENDOR = ("esphome", "openmqttgateway", "ha_update")
"""Families whose devices take what their vendors offer and nothing else, from a plain address."""
TOLD_BY_VENDOR = (*OFFERED_BY_VENDOR, "shelly_gen1")
"""Families whose devices are told by their vendors what there is for them."""


def parse(text: str) -> dict[str, int]:
    """Read ``open=3,shelly=2``.

    Raises:
        ValueError: a family that does not exist, or no number.
    """
    counts = {family: int(count) for family, _, count in (part.partition("=") for part in text.split(","))}
    if unknown := set(counts) - set(FAMILIES):
        raise ValueError(f"no family is called {', '.join(sorted(unknown))}; there are {', '.join(FAMILIES)}")
    return counts


def family_of(name: str) -> str:
    """Return the family of a device that ``populate`` named."""
    return name.rpartition("-")[0]


def publish_indexes(vendor: Vendor, maker: Vendor) -> None:
    """Publish the new versions of the families whose vendors have indexes of their own, and what only ``maker`` lists.

    Tasmota's releases and the maker's own models are published by whoever says how large they are.
    """
    for family, kind in FAMILIES.items():
        if family not in {"open", "tasmota"}:
            # Nobody but its owner says which file is for an OpenBeken chip: it is on the maker's own list.
            publish(maker if family == "openbeken" else vendor, family, replace(kind.old, version=kind.new))


def publish(vendor: Vendor, family: str, image: Image, **options: Any) -> None:
    """Publish an image where devices of its family, or the hub for them, look for it.

    ``options`` are those of ``Vendor.add_release`` for what is in the maker's manifest, and those of
    ``Vendor.add_zigbee_release``.
    """
    match family:
        case "tasmota":
            releases = [release for release in vendor.tasmota if release.version == image.version]
            release = releases[0] if releases else vendor.add_tasmota_release(image.version)
            release.assets.setdefault(f"{TASMOTA_FILES[image.model]}.bin", image.build("esp"))
        case "shelly":
            vendor.add_shelly_release(image)
        case "shelly_gen1":
            vendor.add_shelly_gen1_release(image)
        case "zigbee2mqtt":
            vendor.add_zigbee_release(image, **options)
        case _ if family in OFFERED_BY_VENDOR:
            vendor.add_file(_file(family, image), image.build("esp"))
        case _:
            vendor.add_release(image, **options)


def offered(vendor: Vendor, family: str, image: Image) -> dict[str, str]:
    """Return what a device knows of an image that its vendor offers it; nothing in families where a caller chooses."""
    if family not in TOLD_BY_VENDOR:
        return {}
    # These devices fetch from their vendor, over plain HTTP.
    return {"offered": image.version, "offered_url": vendor.plain_url(_file(family, image))}


def _file(family: str, image: Image) -> str:
    return f"{image.model}.zip" if family == "shelly_gen1" else f"{family}-{image.model}.bin"


def populate(
    fleet: Fleet, vendor: Vendor, counts: Mapping[str, int], misbehaviours: Mapping[str, Sequence[str]]
) -> list[SimulatedDevice]:
    """Add so many devices of each family, called ``shelly-1`` and so on; ``misbehaviours`` are by these names."""
    fleet.index = vendor.pages.get(ZIGBEE_PATH, [])
    return [
        _add(fleet, vendor, family, number, misbehaviours.get(f"{family}-{number}", ()))
        for family, count in counts.items()
        for number in range(1, count + 1)
    ]


def _add(fleet: Fleet, vendor: Vendor, family: str, number: int, wrong: Sequence[str]) -> SimulatedDevice:
    kind, even = FAMILIES[family], number % 2 == 0
    options: dict[str, Any] = {"misbehaviours": wrong}
    options |= offered(vendor, family, replace(kind.old, version=kind.new))
    if family == "open":
        options["slots"] = 2 if even else 1
    elif family == "tasmota":
        options["image"] = SMALL if even else TASMOTA
    made: SimulatedDevice = getattr(fleet, family)(f"{family}-{number}", **options)
    return made
