"""Where Zigbee2MQTT speaks: a base topic per bridge, and below it the bridge's own topics and one per device.

Rules, from Zigbee2MQTT 2.14 (``lib/util/settings.ts``, ``lib/util/utils.ts`` ``validateFriendlyName``):

- The base may have several levels. It is found by what lies below it (``<base>/bridge/devices``), never assumed.
- A device's topic is ``<base>/<friendly name>``, and a name may hold slashes. Names change; they are only an address.
- ``<base>/bridge/`` is the bridge's own, so a name that would lead there is no address.
"""

from __future__ import annotations

import re

from ...core import limits
from ...core.model import Device, DeviceId

NAME = "zigbee2mqtt"
BRIDGE = "/bridge/"
COMMANDS = "bridge/request/device/ota_update/"
ANSWERS = "response/device/ota_update/"
# How deep a base may lie and still be found. Anything deeper would need a filter with "#", which means every message.
_MAX_BASE_LEVELS = 4
_MAX_BASE = limits.MAX_TEXT - len(COMMANDS) - 1
_NEVER_IN_A_TOPIC = re.compile(r"[+#\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# Topics of other families and of Home Assistant: nothing that is announced there may lead commands there.
_NOT_A_BASE = ("$", "fwhub", "homeassistant", "tasmota/discovery")
_IEEE = re.compile(r"0x[0-9a-f]{16}")
_NOBODY = ("0x0000000000000000", "0xffffffffffffffff")

FILTERS = tuple(
    f"{'+/' * levels}bridge/{word}" for levels in range(1, _MAX_BASE_LEVELS + 1) for word in ("info", "devices")
)
"""What finds a bridge."""

ORDERS = ("update", "update/downgrade", "schedule", "schedule/downgrade")
ORDER_FILTERS = (f"+/{COMMANDS}#", f"+/+/{COMMANDS}#")
"""What finds requests for updates, of a bridge whose base has one level or two, as nearly all have."""


def is_base(base: str) -> bool:
    """Decide whether a text can be a bridge's base topic. Never raises."""
    return (
        len(base) <= _MAX_BASE
        and base.count("/") < _MAX_BASE_LEVELS
        and not base.startswith(_NOT_A_BASE)
        and _is_path(base)
    )


def address_of(base: str, name: str) -> tuple[str, ...]:
    """Return the address of a device of this name; none if that leads nowhere, or to the bridge. Never raises."""
    address = f"{base}/{name}/"
    leads = _is_path(name) and BRIDGE not in f"/{name}/" and len(address) <= limits.MAX_TEXT
    return (address,) if leads else ()


def device_id_of(ieee: str) -> DeviceId | None:
    """Return the identity behind an IEEE address; ``None`` if it is none, or not one device's own. Never raises."""
    lower = ieee.lower()
    return f"ieee:{lower}" if _IEEE.fullmatch(lower) and lower not in _NOBODY else None


def ieee_of(device: Device) -> str:
    """Return the IEEE address of a device, which is what the bridge is told. Never raises."""
    return device.id.removeprefix("ieee:")


def filters_for(device: Device) -> tuple[str, ...]:
    """Return what a bridge and the devices beside this one speak on. Never raises.

    A name with slashes lies in a folder: its neighbours share its filters. Filters for whole levels below the base
    would bring the bridge's own log with them.
    """
    base = device.network
    if not base:
        return ()
    folders = [address.rsplit("/", 2)[0] for address in device.addresses]
    of_devices = [f"{folder}/{rest}" for folder in folders for rest in ("+", "+/availability")]
    of_bridge = ["state", "event", *(f"{ANSWERS}{word}" for word in ("check", "update", "schedule", "unschedule"))]
    return (*of_devices, *(f"{base}{BRIDGE}{word}" for word in of_bridge))


def _is_path(path: str) -> bool:
    return bool(path) and all(path.split("/")) and not _NEVER_IN_A_TOPIC.search(path)
