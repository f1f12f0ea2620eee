"""Devices of every family by number: what they run at first, what is published for them, how they are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

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


def publish_indexes(vendor: Vendor) -> None:
    """Publish the new versions of the families whose vendors have indexes of their own."""
    vendor.add_shelly_release(replace(SHELLY, version=FAMILIES["shelly"].new))
    vendor.add_shelly_gen1_release(replace(SHELLY_GEN1, version=FAMILIES["shelly_gen1"].new))
    vendor.add_zigbee_release(replace(ZIGBEE, version=FAMILIES["zigbee2mqtt"].new))
    for name in OFFERED_BY_VENDOR:
        vendor.add_file(f"{name}.bin", replace(FAMILIES[name].old, version=FAMILIES[name].new).build("esp"))
    # Nobody but its owner says which file is for which chip: it is on the maker's own list.
    vendor.add_release(replace(OPENBEKEN, version=FAMILIES["openbeken"].new))


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
    name, even = f"{family}-{number}", number % 2 == 0
    if family in OFFERED_BY_VENDOR:
        offer = {"offered": FAMILIES[family].new, "offered_url": vendor.plain_url(f"{family}.bin")}
        made: SimulatedDevice = getattr(fleet, family)(name, misbehaviours=wrong, **offer)
        return made
    match family:
        case "open":
            return fleet.open(name, misbehaviours=wrong, slots=2 if even else 1)
        case "tasmota":
            return fleet.tasmota(name, SMALL if even else TASMOTA, misbehaviours=wrong)
        case "shelly":
            return fleet.shelly(name, misbehaviours=wrong)
        case "shelly_gen1":
            # These devices fetch over plain HTTP from their vendor.
            offered = vendor.plain_url(f"{SHELLY_GEN1.model}.zip")
            return fleet.shelly_gen1(
                name, misbehaviours=wrong, offered=FAMILIES["shelly_gen1"].new, offered_url=offered
            )
        case "openbeken":
            return fleet.openbeken(name, misbehaviours=wrong)
        case _:
            return fleet.zigbee2mqtt(name, misbehaviours=wrong)
