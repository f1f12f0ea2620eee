"""What the hub and OpenMQTTGateway (Theengs bridge) say to each other (dialects.md 5.3).

What makes this family different from the others:

- It could be given an address, but only together with a password that travels in clear text. The hub does not know it
  and does not ask for it: the gateway loads a release of its project, named by its version. Trust level ``vendor``.
- What it says about an update is not to be believed: it names its vendor's newest version as installed whatever it
  loaded, and after a failure it restarts without a word. Only its own measurements say what runs.
- It restarts either way, and says for how long it has been running.
"""

from __future__ import annotations

import json
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
from ..core.model import Artifact, Device, DeviceFacts, Release
from ..core.ports import AddressBook, Capabilities
from ..core.untrusted import ROOT, Object, read_object, read_text
from .base import InstallOrder, Message, Outgoing, PlainInstalls, offered

_NAME = "openmqttgateway"
_TOPIC = re.compile(r"(?P<place>[A-Za-z0-9][\w.-]{0,63}/(?P<gateway>[A-Za-z0-9][\w.-]{0,63})/)(?P<word>\w+)", re.ASCII)
_MAC = re.compile(r"(?:[0-9A-F]{2}:?){5}[0-9A-F]{2}", re.ASCII | re.IGNORECASE)
_MAX_SECONDS = 2**40
_ORDERS = "commands/MQTTtoSYS/"
_NOT_THEIRS = ("cmnd/", "esphome/", "fwhub/", "homeassistant/", "shellies/", "stat/", "tasmota/", "tele/")
_STAGES = {"Update in progress": Stage.ACCEPTED, "Update success": Stage.CLAIMS_DONE}


class OpenMqttGatewayDialect(PlainInstalls):
    """OpenMQTTGateway and the Theengs bridge."""

    name = _NAME
    capabilities = Capabilities(
        # Only with its password, in clear text.
        chooses_artifact=False,
        vendor_chooses=True,
        offers_itself=True,
        reports_progress=False,
        reports_failure=False,
        echoes_attempt=False,
        rolls_back=False,
        wakes_by_itself=True,
        needs_plain_http=False,
        commits=False,
        announces_boot=False,
        # About a minute (dialects.md 6.3); there is no sign of how far it is.
        default_minutes=4,
        max_deadline=timedelta(minutes=15),
        # It measures itself every two minutes, and cannot be asked in between.
        answer_time=timedelta(seconds=150),
    )
    filters: tuple[str, ...] = ("+/+/SYStoMQTT",)

    order_filters: tuple[str, ...] = (f"+/+/{_ORDERS}firmware_update",)

    def lasting_order(self, message: Message, book: AddressBook) -> LastingOrderSeen | None:  # noqa: ARG002
        """Find an order to load a release, or any image at all. Never raises."""
        place, orders, word = message.topic.partition(_ORDERS)
        if not orders or word != "firmware_update" or place.count("/") != 2:
            return None
        try:
            names_something = "version" in read_object(message.payload)
        except BadInput:
            return None
        return LastingOrderSeen(_NAME, message.topic, word) if names_something else None

    def filters_for(self, device: Device) -> tuple[str, ...]:  # noqa: ARG002 - the Protocol's
        """Return the same filters for every gateway. Never raises."""
        return ("+/+/LWT", "+/+/RLStoMQTT")

    def read(self, message: Message, book: AddressBook) -> tuple[DeviceInput, ...]:
        """Read one message of a gateway.

        Raises:
            BadInput: with the path of the fault.
        """
        topic = _TOPIC.fullmatch(message.topic)
        if topic is None or message.topic.startswith(_NOT_THEIRS):
            return ()
        if topic["word"] == "SYStoMQTT":
            return _read_measurements(topic["place"], topic["gateway"], message, book) if message.payload else ()
        reader = _READERS.get(topic["word"])
        device = book.at(_NAME, topic["place"]) if reader else None
        return reader(device, message) if reader and device else ()

    def query(self, device: Device) -> tuple[Outgoing, ...]:  # noqa: ARG002 - the Protocol's
        """Ask nothing: it tells by itself every two minutes. Never raises."""
        return ()

    def serve_as(self, release: Release) -> Mapping[str, Artifact]:
        """Name the image; it is never fetched from us. Never raises."""
        return {"firmware.bin": release.main}

    def install(self, order: InstallOrder) -> tuple[Outgoing, ...]:
        """Write the one install command: it names the very version that was approved.

        Raises:
            Refused: ``MANUAL_ONLY`` for anything but a release of its project; ``DEVICE_SILENT`` while it is not known
                where it listens.
        """
        if not order.vendor_chooses:
            raise Refused(Reason.MANUAL_ONLY, "it takes nothing but a release of its own project")
        prefix = order.device.channel.get("command")
        if not prefix:
            raise Refused(Reason.DEVICE_SILENT, "the gateway has not said who it is")
        return (Outgoing(f"{prefix}firmware_update", json.dumps({"version": f"v{order.release.version}"})),)


def _read_measurements(place: str, gateway: str, message: Message, book: AddressBook) -> tuple[DeviceInput, ...]:
    """Read what it measures of itself: who it is, what it runs, how it is."""
    found = read_object(message.payload)
    if "env" not in found or "version" not in found:
        return ()
    mac = _mac(found)
    identity = f"mac:{mac}"
    facts = DeviceFacts(
        name=gateway,
        manufacturer="OpenMQTTGateway",
        model=found.label("env"),
        hardware="",
        variant="",
        version=_version(found.text("version")),
        mac=mac,
        addresses=(place, f"{place}{_ORDERS}"),
        channel={"command": f"{place}{_ORDERS}"},
    )
    told = DeviceReported(identity, _NAME, facts, retained=message.retained)
    if book.get(identity) is None:
        return (told,)
    health = HealthReported(
        identity,
        rssi_dbm=found.optional_integer("rssi", -200, 50),
        uptime_s=found.optional_integer("uptime", 0, _MAX_SECONDS),
        retained=message.retained,
    )
    # How long it runs comes first: whether the version is one from after a restart depends on it.
    return (health, told)


def _mac(found: Object) -> str:
    mac = found.text("mac")
    digits = mac.replace(":", "").upper()
    if not _MAC.fullmatch(mac) or int(digits[1], 16) & 1 or digits == "0" * 12:
        raise BadInput(Reason.MALFORMED, "no MAC of one gateway", path=found.at("mac"))
    return digits


def _version(text: str) -> str:
    return re.sub(r"^v(?=[0-9])", "", text)


def _read_will(device: Device, message: Message) -> tuple[DeviceInput, ...]:
    if not message.payload:
        return (DeviceWithdrawn(device.id),)
    word = read_text(message.payload).lower()
    if word not in ("online", "offline"):
        raise BadInput(Reason.MALFORMED, f"neither online nor offline: {word}", path=ROOT)
    return (DeviceLinkChanged(device.id, online=word == "online", retained=message.retained),)


def _read_release(device: Device, message: Message) -> tuple[DeviceInput, ...]:
    """Read what its project offers, and what it says of an update. What it says that it runs is left out on purpose."""
    if not message.payload:
        return ()
    found = read_object(message.payload)
    heard: list[DeviceInput] = []
    if "latest_version" in found:
        facts = DeviceFacts(settings=offered(_version(found.text("latest_version", "")), found))
        heard.append(DeviceReported(device.id, _NAME, facts, retained=message.retained))
    said = found.label("release_summary")
    heard += [
        InstallReported(device.id, stage, detail=said, retained=message.retained)
        for words, stage in _STAGES.items()
        if said.startswith(words)
    ]
    return tuple(heard)


_READERS: dict[str, Callable[[Device, Message], tuple[DeviceInput, ...]]] = {
    "LWT": _read_will,
    "RLStoMQTT": _read_release,
}
