"""What the hub and an ESPHome node with MQTT say to each other (dialects.md 4).

What makes this family different from the others:

- A node is compiled with the address of its manifest, and takes nothing else. Where that is its maker's, every install
  is of trust level ``vendor``; what the node itself found there is the offer, whether or not the hub reads the same
  manifest. Where it is the hub's, the node finds there what was approved, and nothing else.
- Nothing is said about an update, neither that it runs nor that it failed. It has worked when the node says so.
- The update belongs to an entity whose name its author chose: its state, or what Home Assistant is told, says it.
- Versions are whatever the author writes; only those that can be compared are offered.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import urldefrag, urljoin

from ..core import limits
from ..core.errors import BadInput, Reason, Refused
from ..core.inputs import DeviceInput, DeviceLinkChanged, DeviceReported, DeviceWithdrawn, LastingOrderSeen
from ..core.model import OFFERED, SUPPLIED, Artifact, Device, DeviceFacts, Release
from ..core.ports import AddressBook, Capabilities
from ..core.untrusted import ROOT, Object, read_object, read_text
from .base import InstallOrder, Message, Outgoing, PlainInstalls, offered

_NAME = "esphome"
_DISCOVER = "esphome/discover/"
_PING = "esphome/ping/"
_INSTALL = "INSTALL"
_ORDER = (_INSTALL, _INSTALL.encode())
_NODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)
_MAC = re.compile(r"[0-9a-f]{12}", re.ASCII)
_STATUS = re.compile(r"(?P<prefix>[^+#\x00]{1,128}/)status")
_STATE = re.compile(r"(?P<prefix>[^+#\x00]{1,128}/)update/(?P<entity>[A-Za-z0-9_-]{1,64})/state")
_COMMAND = re.compile(r"(?P<prefix>[A-Za-z0-9_][A-Za-z0-9_./ -]{0,127}/)update/[A-Za-z0-9_-]{1,64}/command", re.ASCII)
_CONFIG = re.compile(r"homeassistant/update/(?P<node>[A-Za-z0-9_-]{1,64})/[A-Za-z0-9_-]{1,64}/config")
# At the end of the address that a manifest of the hub's gives to be read: which install it is about.
_MARK = "#fwhub-"
_MARKED = re.compile(rf"[^#]*{_MARK}(?P<install>[A-Za-z0-9-]{{1,64}})", re.ASCII)
# What a node may compare itself with, by the platform that it names.
_CHIPS: Mapping[str, tuple[str, ...]] = {
    "ESP8266": ("ESP8266",),
    "ESP32": (
        *("ESP32", "ESP32-C2", "ESP32-C3", "ESP32-C5", "ESP32-C6", "ESP32-C61"),
        *("ESP32-H2", "ESP32-P4", "ESP32-S2", "ESP32-S3"),
    ),
}
# Where other families speak, and the broker itself.
_NOT_THEIRS = ("fwhub/", "homeassistant/", "shellies/", "tasmota/", "zigbee2mqtt/")


class EsphomeDialect(PlainInstalls):
    """ESPHome nodes that speak MQTT and have an update entity."""

    name = _NAME
    capabilities = Capabilities(
        # The address of the manifest is compiled in.
        chooses_artifact=False,
        vendor_chooses=True,
        offers_itself=True,
        reports_progress=False,
        reports_failure=False,
        echoes_attempt=False,
        # Its boot loader may go back by itself; nobody can tell it to.
        rolls_back=False,
        wakes_by_itself=True,
        needs_plain_http=False,
        commits=False,
        # It announces itself at every connection, not only after a boot.
        announces_boot=False,
        default_minutes=3,
        max_deadline=timedelta(minutes=15),
        looks_up=True,
    )
    filters: tuple[str, ...] = (f"{_DISCOVER}+", "homeassistant/update/+/+/config")

    # Whatever the prefix that its author chose, for those of one or two levels; nearly all have one.
    order_filters: tuple[str, ...] = ("+/update/+/command", "+/+/update/+/command")

    def lasting_order(self, message: Message, book: AddressBook) -> LastingOrderSeen | None:  # noqa: ARG002
        """Find the word that starts an update, which a node obeys whenever it connects. Never raises."""
        if message.payload not in _ORDER or not _COMMAND.fullmatch(message.topic):
            return None
        return LastingOrderSeen(_NAME, message.topic, _INSTALL)

    def filters_for(self, device: Device) -> tuple[str, ...]:
        """Return filters for the depth at which the node speaks: most nodes share them. Never raises."""
        here = "+/" * device.channel.get("prefix", "").count("/")
        return (f"{here}status", f"{here}update/+/state") if here else ()

    def read(self, message: Message, book: AddressBook) -> tuple[DeviceInput, ...]:
        """Read one message of a node.

        Raises:
            BadInput: with the path of the fault.
        """
        topic = message.topic
        if topic.startswith(_DISCOVER):
            return _read_discovery(topic.removeprefix(_DISCOVER), message, book)
        if config := _CONFIG.fullmatch(topic):
            device = book.at(_NAME, f"{_DISCOVER}{config['node']}/")
            return _read_config(device, message) if device is not None and message.payload else ()
        if not message.payload:
            return ()
        if status := _STATUS.fullmatch(topic):
            device = book.at(_NAME, status["prefix"])
            return _read_status(device, message) if device is not None else ()
        if state := _STATE.fullmatch(topic):
            device = book.at(_NAME, state["prefix"])
            return _read_state(device, f"{topic.removesuffix('state')}command", message) if device is not None else ()
        return ()

    def query(self, device: Device) -> tuple[Outgoing, ...]:
        """Ask a node to announce itself, which names its version. Never raises."""
        topic = device.channel.get("ask")
        return (Outgoing(topic, ""),) if topic else ()

    def serve_as(self, release: Release) -> Mapping[str, Artifact]:
        """Name the image; it is never fetched from us. Never raises."""
        return {"firmware.bin": release.main}

    def install(self, order: InstallOrder) -> tuple[Outgoing, ...]:
        """Write the one install command.

        Raises:
            Refused: ``DEVICE_SILENT`` while it is not known what its update entity is called; ``ADDRESS_UNREACHABLE``
                for an image of the hub's that is not served.
        """
        if not order.vendor_chooses and not order.url:
            raise Refused(Reason.ADDRESS_UNREACHABLE, "its image lies nowhere")
        topic = order.device.channel.get("command")
        if not topic:
            raise Refused(Reason.DEVICE_SILENT, "the node has not shown an update entity")
        return (Outgoing(topic, _INSTALL),)

    def announcement(self, device: Device, release: Release, url: str, md5: str, install_id: str) -> str:
        """Write the manifest that a node reads at its compiled address (dialects.md 8.3).

        A node says its platform and not which chip of that it is: all of them are named, with the one image there is.
        For which project that is, the release says; the loader of the chip refuses an image for another one. The
        address of the notes, the hub's own where there are none, ends with the install: a node repeats it
        (dialects.md 4.2).

        Raises:
            Refused: ``MANUAL_ONLY`` for a platform whose chips are not known.
        """
        if (chips := _CHIPS.get(device.hardware)) is None:
            raise Refused(Reason.MANUAL_ONLY, f"{device.hardware} takes no manifest of ours")
        mark, notes = f"{_MARK}{install_id}", urldefrag(release.notes_url).url
        if not notes or len(notes) + len(mark) > limits.MAX_TEXT:
            notes = urljoin(url, "/")
        image: dict[str, str] = {"path": url, "md5": md5, "release_url": f"{notes}{mark}"}
        if release.summary:
            image["summary"] = release.summary
        builds = [{"chipFamily": chip, "ota": image} for chip in chips]
        return json.dumps({"name": device.name, "version": release.version, "builds": builds})


def _read_discovery(node: str, message: Message, book: AddressBook) -> tuple[DeviceInput, ...]:
    """Read who is there. Where it speaks is its name, unless it has said something else to Home Assistant."""
    here = f"{_DISCOVER}{node}/"
    if not message.payload:
        known = book.at(_NAME, here)
        return () if known is None else (DeviceWithdrawn(known.id),)
    if not _NODE.fullmatch(node):
        raise BadInput(Reason.MALFORMED, "no name of a node", path="topic")
    found = read_object(message.payload)
    mac = found.text("mac")
    if not _MAC.fullmatch(mac) or int(mac[1], 16) & 1 or mac == "0" * 12:
        raise BadInput(Reason.MALFORMED, "no MAC of one node", path=found.at("mac"))
    identity = f"mac:{mac.upper()}"
    before = book.get(identity)
    is_new = before is None or before.dialect != _NAME or here not in before.addresses
    maker, _, project = found.label("project_name").rpartition(".")
    facts = DeviceFacts(
        name=found.label("friendly_name") or node,
        manufacturer=maker or "ESPHome",
        model=project or found.label("board"),
        hardware=found.text("platform"),
        variant="",
        version=found.text("project_version", "") or found.text("version"),
        mac=mac.upper(),
        addresses=(here, f"{node}/") if is_new else None,
        channel={"prefix": f"{node}/", "ask": f"{_PING}{node}"} if is_new else None,
    )
    return (DeviceReported(identity, _NAME, facts, retained=message.retained),)


def _read_config(device: Device, message: Message) -> tuple[DeviceInput, ...]:
    """Read what a node tells Home Assistant of its update: the only place where another prefix of topics is named."""
    found = read_object(message.payload)
    command = _either(found, "cmd_t", "command_topic")
    place = _COMMAND.fullmatch(command)
    if place is None or "//" in command or command.startswith(_NOT_THEIRS):
        raise BadInput(Reason.MALFORMED, "no command topic of a node", path=found.at("cmd_t"))
    here = tuple(address for address in device.addresses if address.startswith(_DISCOVER))
    facts = DeviceFacts(
        addresses=(*here, place["prefix"]),
        channel={**device.channel, "prefix": place["prefix"], "command": command},
    )
    return (DeviceReported(device.id, _NAME, facts, retained=message.retained),)


def _either(found: Object, short: str, long: str) -> str:
    return found.text(short, "") or found.text(long)


def _read_status(device: Device, message: Message) -> tuple[DeviceInput, ...]:
    word = read_text(message.payload)
    if word not in ("online", "offline"):
        raise BadInput(Reason.MALFORMED, f"neither online nor offline: {word}", path=ROOT)
    return (DeviceLinkChanged(device.id, online=word == "online", retained=message.retained),)


def _read_state(device: Device, command: str, message: Message) -> tuple[DeviceInput, ...]:
    """Read an update entity. A node may have several: its own firmware is the one that runs what the node runs."""
    state = read_object(message.payload)
    installed, latest = state.text("installed_version", ""), state.text("latest_version", "")
    known = device.channel.get("command")
    if known != command and (known or not installed or installed != device.version):
        return ()
    facts = DeviceFacts(
        version=installed or None,
        channel=None if known else {**device.channel, "command": command},
        settings=_offer("" if latest == installed else latest, state),
    )
    return (DeviceReported(device.id, _NAME, facts, retained=message.retained),)


def _offer(version: str, state: Object) -> dict[str, str]:
    """Return what a node found: with the install that it is about, if that was at the hub, else with its notes.

    What it found elsewhere is of no install, whatever it found before.
    """
    if marked := _MARKED.fullmatch(state.label("release_url", max_chars=limits.MAX_URL)):
        return {OFFERED: version, SUPPLIED: marked["install"]}
    said = offered(version, state)
    return {**said, SUPPLIED: ""} if version else said
