"""Which device of Home Assistant an entity of ours sits on: the one that another integration made, or one of ours."""

import re
from collections.abc import Iterable
from typing import Final, TypedDict

from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr

from .const import DOMAIN
from .core.model import Device, DeviceId

type DeviceKey = tuple[str, str]
"""A connection or an identifier of Home Assistant's device registry."""

# Integrations that make a device for the very thing that the hub updates. A router that knows the same MAC is none.
_OWNERS: Final = ("tasmota", "shelly", "esphome", "openbeken", "mqtt")
_MAC_LENGTH: Final = 12
_MAC: Final = re.compile(r"[0-9a-f]{12}", re.ASCII)


class _OwnFields(TypedDict):
    identifiers: set[tuple[str, str]]
    connections: set[tuple[str, str]]
    name: str
    manufacturer: str | None
    model: str | None
    hw_version: str | None
    sw_version: str | None


def foreign_device(hass: HomeAssistant, device: Device, *, without: str | None = None) -> dr.DeviceEntry | None:
    """Return the device that another integration made for the same thing: its own family's first, then the others'."""
    keys = link_keys(device)
    found = [
        (rank, entry.id, entry)
        for entry in dr.async_get(hass).async_get_devices(
            identifiers={key for key in keys if key[0] != dr.CONNECTION_NETWORK_MAC},
            connections={key for key in keys if key[0] == dr.CONNECTION_NETWORK_MAC},
        )
        if entry.id != without and (rank := owner_rank(hass, entry, device.dialect)) is not None
    ]
    return min(found)[2] if found else None


def link_keys(device: Device) -> frozenset[DeviceKey]:
    """Return everything under which another integration may have registered this device."""
    kind, _, value = device.id.partition(":")
    macs = [mac for mac in (device.mac, value if kind == "mac" else "") if mac]
    keys: set[DeviceKey] = set()
    for mac in macs:
        formatted = dr.format_mac(mac)
        bare = formatted.replace(":", "")
        keys.add((dr.CONNECTION_NETWORK_MAC, formatted))
        keys |= {("mqtt", name) for name in (formatted, formatted.upper(), bare, bare.upper())}
    if kind == "ieee":
        keys |= {("mqtt", value), ("mqtt", f"zigbee2mqtt_{value}")}
    elif kind != "mac":
        keys.add(("mqtt", value))
    return frozenset(keys)


def index_keys(device: Device) -> frozenset[DeviceKey]:
    """Return the few keys under which this device is found again by what `registry_keys` says of others' devices."""
    return frozenset(map(_index_key, link_keys(device)))


def registry_keys(connections: Iterable[DeviceKey], identifiers: Iterable[DeviceKey]) -> frozenset[DeviceKey]:
    """Return the connections and identifiers of a registered device, in the form in which `index_keys` has them."""
    return frozenset(_index_key((str(key[0]), str(key[1]))) for key in (*connections, *identifiers))


def _index_key(key: DeviceKey) -> DeviceKey:
    """Write a MAC address in one way, whatever it stands in: ten thousand devices are kept in mind by these keys."""
    bare = key[1].replace(":", "").lower()
    is_mac = key[0] in (dr.CONNECTION_NETWORK_MAC, "mqtt") and _MAC.fullmatch(bare)
    return (dr.CONNECTION_NETWORK_MAC, bare) if is_mac else key


def owner_rank(hass: HomeAssistant, entry: dr.DeviceEntry, dialect: str) -> int | None:
    """Return how well a device's owner suits: 0 is the firmware family's own integration, None is not at all."""
    owner = hass.config_entries.async_get_entry(entry.config_entry_id)
    if owner is None or owner.domain not in _OWNERS:
        return None
    return 0 if owner.domain == dialect else 1 + _OWNERS.index(owner.domain)


def own_device_info(device: Device) -> dr.DeviceInfo:
    """Return our own device for a thing that nobody else registered."""
    fields = _own_fields(device)
    return dr.DeviceInfo(
        identifiers=fields["identifiers"],
        connections=fields["connections"],
        name=fields["name"],
        manufacturer=fields["manufacturer"],
        model=fields["model"],
        hw_version=fields["hw_version"],
        sw_version=fields["sw_version"],
    )


def own_device(hass: HomeAssistant, entry_id: str, device: Device) -> dr.DeviceEntry:
    """Return our own device for a thing, registered if it was not."""
    return dr.async_get(hass).async_get_or_create(config_entry_id=entry_id, **_own_fields(device))


def own_device_id(device: dr.DeviceEntry) -> DeviceId | None:
    """Return which of the hub's devices a device of ours is; None for the hub itself."""
    found = [value for domain, value in device.identifiers if domain == DOMAIN and value != device.config_entry_id]
    return found[0] if found else None


def _own_fields(device: Device) -> _OwnFields:
    has_mac = len(device.mac.replace(":", "")) == _MAC_LENGTH
    return _OwnFields(
        identifiers={(DOMAIN, device.id)},
        connections={(dr.CONNECTION_NETWORK_MAC, dr.format_mac(device.mac))} if has_mac else set(),
        name=device.name or f"{device.manufacturer} {device.model}".strip() or device.id,
        manufacturer=device.manufacturer or None,
        model=device.model or None,
        hw_version=device.hardware or None,
        sw_version=device.version or None,
    )
