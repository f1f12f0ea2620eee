"""What the hub and OpenBeken say to each other (dialects.md 5.1).

What makes this family different from the others:

- Commands and their answers look like Tasmota's, on topics of the same shape; ``SDK`` ``obk`` tells the two apart.
- A device says who it is only when it is asked (``suspect``, ``probe``).
- It leaves the broker before it begins to load, and says nothing about it. It has worked when it names the new version.
- On some chips the command is accepted and nothing happens; they are not sent any. No image says for which chip it is,
  and the wrong one destroys the device: what a release is for has to name the chip.
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
    LastingOrderSeen,
)
from ..core.model import Artifact, Device, DeviceFacts, Release
from ..core.ports import AddressBook, Capabilities
from ..core.untrusted import ROOT, Object, read_object, read_text
from .base import InstallOrder, Message, Outgoing, PlainInstalls

_NAME = "openbeken"
_CLIENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
_STATUS = re.compile(r"stat/(?P<client>[A-Za-z0-9][A-Za-z0-9_.-]{0,63})/STATUS", re.ASCII)
_BUILD = re.compile(r"Open(?P<chip>[A-Za-z0-9-]{2,32})[_ ](?P<version>[0-9][0-9A-Za-z.+-]{0,63})(?: .*)?", re.ASCII)
_MAC = re.compile(r"(?:[0-9A-F]{2}:?){5}[0-9A-F]{2}", re.ASCII | re.IGNORECASE)
_URL = re.compile(r"http://[A-Za-z0-9.:\[\]/_-]{1,200}", re.ASCII)
# Where the update over HTTP is more than a word that is answered with "OK".
_CAN_LOAD = ("BK72", "ECR6600", "RTL872", "W600", "W800", "XR8")
_MAX_SECONDS = 2**40
_LOAD = "ota_http"
_IN_A_LIST = re.compile(r"(?:^|;)\s*ota_http\b", re.IGNORECASE)
# The groups in which devices are until their owner puts them into another one: one for each chip, and older ones.
_GROUPS = frozenset(
    {
        *("bekens", "bekens_n", "bekens_t", "ecr6600", "obks", "rtl8710b", "rtl8711am", "rtl8720d", "rtl87x0c"),
        *("w600s", "w800s", "xr806s", "xr809s", "xr872s"),
    }
)
# Parts of topics that are another family's root.
_NOT_THEIRS = ("cmnd", "esphome", "fwhub", "homeassistant", "shellies", "stat", "tasmota", "tele", "zigbee2mqtt")


class OpenBekenDialect(PlainInstalls):
    """OpenBeken on Beken, Winner Micro, XRadio and other chips."""

    name = _NAME
    capabilities = Capabilities(
        chooses_artifact=True,
        reports_progress=False,
        reports_failure=False,
        echoes_attempt=False,
        rolls_back=False,
        wakes_by_itself=True,
        # Its loader has no TLS.
        needs_plain_http=True,
        commits=False,
        # It says its build at every connection.
        announces_boot=False,
        # About a minute (dialects.md 6.3), and there is no sign of how far it is.
        default_minutes=3,
        max_deadline=timedelta(minutes=15),
    )
    filters: tuple[str, ...] = ("stat/+/STATUS", "+/connected", "+/build")

    # The filter that Tasmota's orders need as well: two that overlap would bring each command twice.
    order_filters: tuple[str, ...] = ("cmnd/+/+",)

    def lasting_order(self, message: Message, book: AddressBook) -> LastingOrderSeen | None:  # noqa: ARG002
        """Find an order to load an image, alone or in a list of commands; capitals are small letters. Never raises."""
        prefix, _, rest = message.topic.partition("/")
        client, _, word = rest.partition("/")
        word = word.lower()
        if prefix != "cmnd" or word not in (_LOAD, "backlog"):
            return None
        said = message.payload if isinstance(message.payload, str) else message.payload.decode(errors="replace")
        if not (said.strip() if word == _LOAD else _IN_A_LIST.search(said)):
            return None
        what = _LOAD if word == _LOAD else f"Backlog {_LOAD}"
        return LastingOrderSeen(_NAME, message.topic, what, to_all=client in _GROUPS)

    def filters_for(self, device: Device) -> tuple[str, ...]:  # noqa: ARG002 - the Protocol's
        """Return the same filters for every device; they are those that find one. Never raises."""
        return ("+/connected", "+/build")

    def read(self, message: Message, book: AddressBook) -> tuple[DeviceInput, ...]:
        """Read one message of a device.

        Raises:
            BadInput: with the path of the fault.
        """
        if status := _STATUS.fullmatch(message.topic):
            return _read_status(status["client"], message, book) if message.payload else ()
        client, _, word = message.topic.partition("/")
        reader = _READERS.get(word)
        device = book.at(_NAME, f"{client}/") if reader else None
        return reader(device, message) if reader and device else ()

    def suspect(self, message: Message, book: AddressBook) -> str:
        """Return the address of a stranger who says to be there, or what it runs; else empty. Never raises."""
        client, _, word = message.topic.partition("/")
        said = message.payload if isinstance(message.payload, str) else message.payload[:80].decode(errors="replace")
        wanted = (word == "connected" and said == "online") or (word == "build" and bool(_BUILD.match(said)))
        address = f"{client}/"
        return address if wanted and _is_address(address) and not book.is_claimed(_NAME, address) else ""

    def probe(self, address: str) -> tuple[Outgoing, ...]:
        """Ask a stranger for its whole state. Changes nothing, never raises."""
        return (Outgoing(f"cmnd/{address}STATUS", "0"),) if _is_address(address) else ()

    def query(self, device: Device) -> tuple[Outgoing, ...]:
        """Ask for the whole state. Never raises."""
        prefix = device.channel.get("command")
        return (Outgoing(f"{prefix}STATUS", "0"),) if prefix else ()

    def serve_as(self, release: Release) -> Mapping[str, Artifact]:
        """Name the file; the device goes by its content. Never raises."""
        return {"firmware.rbl": release.main}

    def install(self, order: InstallOrder) -> tuple[Outgoing, ...]:
        """Write the one install command.

        Raises:
            Refused: ``MANUAL_ONLY`` for a chip on which the command does nothing, and for the vendor's choice, which
                there is not; ``DEVICE_SILENT`` while it is not known where it listens; ``ADDRESS_UNREACHABLE`` for an
                address that is not plain HTTP.
        """
        if order.vendor_chooses or not order.device.model.startswith(_CAN_LOAD):
            raise Refused(Reason.MANUAL_ONLY, f"{order.device.model} loads nothing over MQTT")
        prefix = order.device.channel.get("command")
        if not prefix:
            raise Refused(Reason.DEVICE_SILENT, "the device has not said who it is")
        if not _URL.fullmatch(order.url):
            raise Refused(Reason.ADDRESS_UNREACHABLE, "no plain address")
        return (Outgoing(f"{prefix}{_LOAD}", order.url),)


def _is_address(address: str) -> bool:
    client = address.removesuffix("/")
    return address.endswith("/") and bool(_CLIENT.fullmatch(client)) and client not in _NOT_THEIRS


def _read_status(client: str, message: Message, book: AddressBook) -> tuple[DeviceInput, ...]:
    """Read the whole state, which is the only message that says who the device is."""
    found = read_object(message.payload)
    firmware, network = found.optional_object("StatusFWR"), found.optional_object("StatusNET")
    if firmware is None or network is None or firmware.text("SDK", "") != "obk" or not _is_address(f"{client}/"):
        return ()
    chip, version = _build(firmware.text("Version"), firmware.at("Version"))
    mac = _mac(network)
    status, running = found.optional_object("Status"), found.optional_object("StatusPRM")
    facts = DeviceFacts(
        name=(status.label("DeviceName") if status is not None else "") or client,
        manufacturer="OpenBeken",
        model=chip,
        hardware="",
        variant="",
        version=version,
        mac=mac,
        addresses=(f"{client}/", f"cmnd/{client}/"),
        channel={"command": f"cmnd/{client}/"},
    )
    told = DeviceReported(f"mac:{mac}", _NAME, facts, retained=message.retained)
    if running is None or book.get(f"mac:{mac}") is None:
        return (told,)
    uptime = running.optional_integer("Uptime", 0, _MAX_SECONDS)
    # How long it runs comes first: whether the version is one from after a restart depends on it.
    return (HealthReported(f"mac:{mac}", uptime_s=uptime, retained=message.retained), told)


def _mac(network: Object) -> str:
    mac = network.text("Mac")
    digits = mac.replace(":", "").upper()
    if not _MAC.fullmatch(mac) or int(digits[1], 16) & 1 or digits == "0" * 12:
        raise BadInput(Reason.MALFORMED, "no MAC of one device", path=network.at("Mac"))
    return digits


def _build(text: str, path: str) -> tuple[str, str]:
    """Split ``OpenBK7231T_1.18.150``, with whatever stands behind it, into chip and version."""
    found = _BUILD.fullmatch(text)
    if found is None:
        raise BadInput(Reason.MALFORMED, "no build of this family", path=path)
    return found["chip"], found["version"]


def _read_connected(device: Device, message: Message) -> tuple[DeviceInput, ...]:
    if not message.payload:
        return (DeviceWithdrawn(device.id),)
    word = read_text(message.payload)
    if word not in ("online", "offline"):
        raise BadInput(Reason.MALFORMED, f"neither online nor offline: {word}", path=ROOT)
    return (DeviceLinkChanged(device.id, online=word == "online", retained=message.retained),)


def _read_build(device: Device, message: Message) -> tuple[DeviceInput, ...]:
    """Read what it runs; another chip's image shows as another model."""
    if not message.payload:
        return ()
    chip, version = _build(read_text(message.payload), ROOT)
    return (DeviceReported(device.id, _NAME, DeviceFacts(model=chip, version=version), retained=message.retained),)


_READERS: dict[str, Callable[[Device, Message], tuple[DeviceInput, ...]]] = {
    "connected": _read_connected,
    "build": _read_build,
}
