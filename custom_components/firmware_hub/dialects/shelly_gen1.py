"""What the hub and a Shelly of the first generation say to each other (dialects.md 3.2).

What makes this family different from the others:

- Over MQTT a device can only be told to update, never to what: it takes the newest build that its vendor offers it. So
  every install needs an approval of trust level ``vendor``, and an order for an image of our own is refused.
- Nothing is said about an update but that one runs. It has worked when the device names the new build.
- A device says who it is when it connects and when it is asked, and that is never retained. What is retained shows only
  that there is somebody (``suspect``, ``probe``).
- Devices of later generations speak on some of the same topics; what they announce has a ``gen``, and is not read here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta

from ..core.errors import BadInput, Reason, Refused
from ..core.inputs import (
    DeviceInput,
    DeviceLinkChanged,
    DeviceReported,
    DeviceWithdrawn,
    HealthReported,
    InstallReported,
    LastingOrderSeen,
    Stage,
)
from ..core.model import OFFERED, Artifact, Device, DeviceFacts, Release
from ..core.ports import AddressBook, Capabilities
from ..core.shelly_builds import MANUFACTURER, version_of_build
from ..core.untrusted import ROOT, Object, clean_label, read_object, read_text
from .base import InstallOrder, Message, Outgoing, PlainInstalls

_NAME = "shelly_gen1"
_ROOT = "shellies/"
_ANNOUNCE = "announce"
# A device's own id, or one that its owner chose.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
_MAC = re.compile(r"[0-9A-F]{12}", re.ASCII)
_MAX_SECONDS = 2**40
_TRUE = ("true", b"true")
_UPDATE = ("update_fw", b"update_fw")
# Devices with a battery that are on line all the time: motion sensors and radiator valves. All others sleep.
_AWAKE_ON_BATTERY = ("SHMOS-", "SHTRV-")


class ShellyGen1Dialect(PlainInstalls):
    """The Shelly devices of the first generation: ESP8266 and relatives, with topics below ``shellies/``."""

    name = _NAME
    capabilities = Capabilities(
        # Only over HTTP could it be told what to load.
        chooses_artifact=False,
        vendor_chooses=True,
        reports_progress=False,
        reports_failure=False,
        echoes_attempt=False,
        rolls_back=False,
        wakes_by_itself=True,
        # Its vendor's images come over plain HTTP; from us it loads nothing.
        needs_plain_http=True,
        commits=False,
        # It announces itself at every connection, not only after a boot.
        announces_boot=False,
        # An update takes about half a minute (dialects.md 6.3), and there is no sign of how far it is.
        default_minutes=3,
        max_deadline=timedelta(minutes=15),
        tells=(OFFERED,),
    )
    filters: tuple[str, ...] = (f"{_ROOT}{_ANNOUNCE}", f"{_ROOT}+/{_ANNOUNCE}", f"{_ROOT}+/online")

    # The first reaches every device of the family at once.
    order_filters: tuple[str, ...] = (f"{_ROOT}command", f"{_ROOT}+/command")

    def lasting_order(self, message: Message, book: AddressBook) -> LastingOrderSeen | None:  # noqa: ARG002
        """Find the word that starts an update. Never raises."""
        if message.payload not in _UPDATE or not message.topic.startswith(_ROOT):
            return None
        return LastingOrderSeen(_NAME, message.topic, "update_fw", to_all=message.topic == f"{_ROOT}command")

    def filters_for(self, device: Device) -> tuple[str, ...]:  # noqa: ARG002 - the Protocol's
        """Return the same filter for every device. Never raises."""
        return (f"{_ROOT}+/info",)

    def read(self, message: Message, book: AddressBook) -> tuple[DeviceInput, ...]:
        """Read one message of a device.

        Raises:
            BadInput: with the path of the fault.
        """
        device_name, slash, word = message.topic.removeprefix(_ROOT).partition("/")
        if not message.topic.startswith(_ROOT):
            return ()
        if word == _ANNOUNCE or (device_name == _ANNOUNCE and not slash):
            return _read_announcement(device_name if slash else None, message)
        reader = _READERS.get(word)
        device = book.at(_NAME, f"{_ROOT}{device_name}/") if reader else None
        return reader(device, message) if reader and device else ()

    def suspect(self, message: Message, book: AddressBook) -> str:
        """Return the address of a stranger who says to be there and may be of this family; empty if there is none.

        Never raises.
        """
        address = message.topic.removesuffix("online")
        wanted = message.payload in _TRUE and address != message.topic and _is_address(address)
        return address if wanted and not book.is_claimed(_NAME, address) else ""

    def probe(self, address: str) -> tuple[Outgoing, ...]:
        """Ask a stranger to announce itself. Changes nothing, never raises."""
        return (Outgoing(f"{address}command", _ANNOUNCE),) if _is_address(address) else ()

    def query(self, device: Device) -> tuple[Outgoing, ...]:
        """Ask for the state, and where that costs no battery, for the announcement. Never raises.

        The state names version and offer as well. ``update`` means "publish your state"; it updates nothing.
        """
        topic = device.channel.get("command")
        words = ("update",) if device.battery_powered else ("update", _ANNOUNCE)
        return tuple(Outgoing(topic, word) for word in words) if topic else ()

    def serve_as(self, release: Release) -> Mapping[str, Artifact]:
        """Name the package; it is never fetched from us. Never raises."""
        return {"fw.zip": release.main}

    def install(self, order: InstallOrder) -> tuple[Outgoing, ...]:
        """Write the one install command.

        Raises:
            Refused: ``MANUAL_ONLY`` for anything but the vendor's choice: it would install that all the same;
                ``DEVICE_SILENT`` while it is not known where the device listens.
        """
        if not order.vendor_chooses:
            raise Refused(Reason.MANUAL_ONLY, "this family takes nothing but its vendor's choice")
        topic = order.device.channel.get("command")
        if not topic:
            raise Refused(Reason.DEVICE_SILENT, "the device has not said who it is")
        return (Outgoing(topic, "update_fw"),)


def _is_address(address: str) -> bool:
    return address.startswith(_ROOT) and bool(_ID.fullmatch(address.removeprefix(_ROOT).removesuffix("/")))


def _read_announcement(device_name: str | None, message: Message) -> tuple[DeviceInput, ...]:
    """Read who is there. On the topic of all, the payload says where it speaks: always below the family's root."""
    if not message.payload:
        return ()
    found = read_object(message.payload)
    if "gen" in found:
        return ()
    speaks_as = found.text("id") if device_name is None else device_name
    if not _ID.fullmatch(speaks_as):
        path = found.at("id") if device_name is None else "topic"
        raise BadInput(Reason.MALFORMED, f"no device id: {clean_label(speaks_as, 80)}", path=path)
    mac = _mac(found)
    facts = DeviceFacts(
        name=speaks_as,
        manufacturer=MANUFACTURER,
        model=found.text("model"),
        hardware="",
        variant="",
        version=version_of_build(found.text("fw_ver")),
        mac=mac,
        addresses=(f"{_ROOT}{speaks_as}/",),
        channel={"command": f"{_ROOT}{speaks_as}/command"},
    )
    return (DeviceReported(f"mac:{mac}", _NAME, facts, retained=message.retained),)


def _mac(found: Object) -> str:
    mac = found.text("mac")
    if not _MAC.fullmatch(mac) or int(mac[1], 16) & 1 or mac == "0" * 12:
        raise BadInput(Reason.MALFORMED, "no MAC of one device", path=found.at("mac"))
    return mac


def _read_online(device: Device, message: Message) -> tuple[DeviceInput, ...]:
    if not message.payload:
        return (DeviceWithdrawn(device.id),)
    word = read_text(message.payload)
    if word not in ("true", "false"):
        raise BadInput(Reason.MALFORMED, f"neither true nor false: {word}", path=ROOT)
    return (DeviceLinkChanged(device.id, online=word == "true", retained=message.retained),)


def _read_info(device: Device, message: Message) -> tuple[DeviceInput, ...]:
    """Read a device's whole state, of which version, offer and battery matter."""
    if not message.payload:
        return ()
    state = read_object(message.payload)
    if state.text("mac", device.mac) != device.mac:
        raise BadInput(Reason.MALFORMED, "another device's MAC", path="mac")
    update, battery = state.optional_object("update"), state.optional_object("bat")
    on_battery = battery is not None and not state.flag("charger", default=False)
    facts = DeviceFacts(
        version=_version(update),
        battery_powered=on_battery,
        sleeps=battery is not None and not device.model.startswith(_AWAKE_ON_BATTERY),
        settings=_offer(update),
    )
    wifi = state.optional_object("wifi_sta")
    health = HealthReported(
        device.id,
        battery_percent=battery.optional_integer("value", 0, 100) if battery is not None else None,
        rssi_dbm=wifi.optional_integer("rssi", -200, 50) if wifi is not None else None,
        uptime_s=state.optional_integer("uptime", 0, _MAX_SECONDS),
        retained=message.retained,
    )
    told = DeviceReported(device.id, _NAME, facts, retained=message.retained)
    # How long it runs comes first: whether the version is one from after a restart depends on it.
    return (health, told, *_stage(update, device, message))


def _version(update: Object | None) -> str | None:
    running = update.text("old_version", "") if update is not None else ""
    return version_of_build(running) if running else None


def _offer(update: Object | None) -> dict[str, str] | None:
    if update is None:
        return None
    offered = update.text("new_version", "") if update.flag("has_update", default=False) else ""
    return {OFFERED: version_of_build(offered)}


def _stage(update: Object | None, device: Device, message: Message) -> tuple[InstallReported, ...]:
    """``updating`` is all that is ever said; after a failure the old build and ``pending`` stand there again."""
    if update is None or update.label("status") != "updating":
        return ()
    return (InstallReported(device.id, Stage.DOWNLOADING, retained=message.retained),)


_READERS: dict[str, Callable[[Device, Message], tuple[DeviceInput, ...]]] = {
    "online": _read_online,
    "info": _read_info,
}
