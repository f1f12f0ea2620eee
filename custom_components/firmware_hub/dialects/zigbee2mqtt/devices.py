"""The list of devices of a bridge: ``<base>/bridge/devices``, retained, whole at every change (dialects.md 1.1).

What makes a device one of ours: it is a router or an end device, it is not disabled, and Zigbee2MQTT says that it
knows how to update it. One entry that cannot be read is passed over, so that one device with a broken name does not
hide its neighbours; the list itself must be one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from ...core import limits
from ...core.errors import BadInput, Reason
from ...core.inputs import DeviceInput, DeviceReported, NetworkReported
from ...core.model import Device, DeviceFacts, DeviceId
from ...core.ports import AddressBook
from ...core.untrusted import ROOT, Object, read_objects
from ..base import Message
from .topics import COMMANDS, NAME, address_of, device_id_of

SHOWN = "shown"
"""In the channel: the version that Zigbee2MQTT shows of the device, which is not always the device's own word."""
TAKES_URL = "takes_url"
"""In the channel: this bridge was seen to understand an address in an update request (Zigbee2MQTT 2.8.0)."""
WAITS = "waits"
"""In the channel: the bridge waits for this device to wake, or to end what it then began."""

_COORDINATOR = "Coordinator"
_KINDS = ("Router", "EndDevice")
_BATTERY = "Battery"
_COPIED = tuple(field.name for field in fields(DeviceFacts))


def read_devices(base: str, message: Message, book: AddressBook) -> tuple[DeviceInput, ...]:
    """Read the whole list: who is there, then what is new about whom. It costs what the list is long.

    Raises:
        BadInput: it is no list, or it has no coordinator, so that it is no bridge's.
    """
    if not message.payload:
        return (NetworkReported(NAME, base, device_ids=frozenset(), retained=message.retained),)
    entries = read_objects(message.payload, max_items=limits.MAX_LIST)
    known: dict[DeviceId, DeviceReported | None] = {}
    bridge = False
    for entry in entries:
        try:
            bridge = bridge or entry.label("type") == _COORDINATOR
            device_id = _identity(entry)
            if device_id is not None:
                # Kept before the rest is read: a device whose entry is garbled is still there.
                known[device_id] = None
                known[device_id] = _report(base, entry, book.get(device_id), device_id, message)
        except BadInput:
            continue
    if not bridge:
        raise BadInput(Reason.MALFORMED, "no coordinator in the list", path=ROOT)
    here = NetworkReported(NAME, base, device_ids=frozenset(known), retained=message.retained)
    return (here, *(report for report in known.values() if report is not None))


def _identity(entry: Object) -> DeviceId | None:
    """Return who an entry is about; ``None`` if it is not one that can be updated."""
    if entry.label("type") not in _KINDS or entry.flag("disabled", default=False):
        return None
    definition = entry.optional_object("definition")
    if definition is None or not definition.flag("supports_ota", default=False):
        return None
    return device_id_of(entry.text("ieee_address"))


def _report(
    base: str, entry: Object, known: Device | None, device_id: DeviceId, message: Message
) -> DeviceReported | None:
    """Return what is new about a device; ``None`` if nothing is, which is what most entries of most lists say."""
    power = entry.label("power_source")
    name = entry.label("friendly_name")
    battery = power == _BATTERY
    facts = DeviceFacts(
        name=name or device_id,
        # The device's own words (Basic cluster). Zigbee2MQTT's "vendor" and "model" are its own and change with it.
        manufacturer=entry.label("manufacturer"),
        model=entry.label("model_id"),
        battery_powered=battery,
        sleeps=battery and entry.label("type") == "EndDevice",
        network=base,
        addresses=_addresses(base, entry),
        channel=_channel(base, entry, known),
    )
    if known is not None and not _is_news(facts, known):
        return None
    return DeviceReported(device_id, NAME, facts, retained=message.retained)


def _addresses(base: str, entry: Object) -> tuple[str, ...]:
    """Return where a device speaks; nowhere for a name that is no topic: a cleaned one would be somebody else's."""
    try:
        return address_of(base, entry.text("friendly_name"))
    except BadInput:
        return ()


def _channel(base: str, entry: Object, known: Device | None) -> Mapping[str, str]:
    learnt = known.channel if known is not None and known.network == base else {}
    return {
        "command": f"{base}/{COMMANDS}",
        "build": entry.label("software_build_id"),
        "build_date": entry.label("date_code"),
        **{key: learnt[key] for key in (SHOWN, TAKES_URL, WAITS) if key in learnt},
    }


def _is_news(facts: DeviceFacts, known: Device) -> bool:
    said = ((name, getattr(facts, name)) for name in _COPIED)
    return any(value is not None and value != getattr(known, name) for name, value in said)
