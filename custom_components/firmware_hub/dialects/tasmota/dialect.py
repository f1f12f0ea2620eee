"""What the hub and a Tasmota device say to each other (dialects.md section 2; Tasmota source, release 15).

What makes this family different from the others:

- Nothing echoes an attempt, nothing reports progress, and while it flashes a device is deaf and mute.
- A large image goes through a helper image (``minimal`` on ESP8266, ``safeboot`` on ESP32) that speaks the same topics,
  has no discovery of its own, and says "Successful" as well. A report of a helper is never a result.
- The address of the image is a setting of the device (``OtaUrl``), which an install changes and gives back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import override

from ...core.errors import BadInput, Reason, Refused
from ...core.inputs import (
    DeviceInput,
    DeviceLinkChanged,
    DeviceReported,
    DeviceWithdrawn,
    HealthReported,
    InstallReported,
    LastingOrderSeen,
)
from ...core.model import Artifact, ArtifactRole, Device, DeviceFacts, Release
from ...core.ports import AddressBook, Capabilities
from ...core.untrusted import Object, clean_label, read_object, read_text
from ..base import InstallOrder, Message, Outgoing, PlainInstalls
from . import answers, orders
from .topics import STAT_WORDS, TELE_WORDS, Topics, is_below_another, read_topics, speaks_as

_DISCOVERY = "tasmota/discovery/"
_MAC = re.compile(r"[0-9A-F]{12}", re.ASCII)
_MAX_URL = 100  # characters; longer answers do not fit the device's buffer (dialects.md 2.4)
# What may stand in an address inside a Backlog: no white space and no ";", which end a command, no brackets, which
# group commands, no "%", which the firmware fills in.
_URL = re.compile(r"http://[A-Za-z0-9._~:/\-]+", re.ASCII)
# Settings, memory, version. The order matters: the version comes last, because it is what the hub waits for before it
# sends an install. A battery is asked for only where there is one.
_QUESTIONS = ("1", "4", "2")
_QUESTIONS_WITH_BATTERY = ("1", "4", "11", "2")
_BUILD_DEFAULT = "1"  # "OtaUrl 1" goes back to the address that the image was built with
_NAME = "tasmota"


class TasmotaDialect(PlainInstalls):
    """Tasmota on ESP8266 and ESP32."""

    name = _NAME
    capabilities = Capabilities(
        chooses_artifact=True,
        reports_progress=False,
        # "Failed ..." is said in prose, not always, and on the way through a helper image by the helper.
        reports_failure=False,
        echoes_attempt=False,
        # One application slot on ESP8266 and with safeboot; the old two-slot layout has no command to switch.
        rolls_back=False,
        wakes_by_itself=True,
        # ESP8266 builds have no TLS for updates, and whether ESP32 builds check certificates is not known.
        needs_plain_http=True,
        commits=False,
        # INFO1 comes after every boot but the one out of deep sleep.
        announces_boot=True,
        # One stage takes half a minute, two stages with their reboots below two minutes; 15 minutes is the outer bound
        # for two stages with four tries each over a weak network (dialects.md 6.2).
        default_minutes=3,
        max_deadline=timedelta(minutes=15),
        borrows=(answers.OTA_URL,),
    )
    # Everything else is subscribed per device: answers come on topics that each device chooses.
    filters: tuple[str, ...] = (f"{_DISCOVERY}+/config",)
    order_filters: tuple[str, ...] = orders.FILTERS

    def lasting_order(self, message: Message, book: AddressBook) -> LastingOrderSeen | None:  # noqa: ARG002
        """Find an order to install, or one about the address that the next install begins with. Never raises."""
        what = orders.what(message)
        to_all = orders.is_to_all(message)
        # A command without a value asks for the present one.
        return LastingOrderSeen(_NAME, message.topic, what, to_all=to_all, empty_asks=True) if what else None

    def filters_for(self, device: Device) -> tuple[str, ...]:
        """Return the filters of the device's topic pattern; devices with one pattern share them. Never raises.

        ``SENSOR`` and ``STATE``, which devices send every few minutes, are left out on purpose.
        """
        stat, tele = device.channel.get("stat_filter"), device.channel.get("tele_filter")
        if not stat or not tele:
            return ()
        return (*(f"{stat}{word}" for word in STAT_WORDS), *(f"{tele}{word}" for word in TELE_WORDS))

    def read(self, message: Message, book: AddressBook) -> tuple[DeviceInput, ...]:
        """Read one message of a device, or its announcement.

        Raises:
            BadInput: with the path of the fault.
        """
        if message.topic.startswith(_DISCOVERY):
            return _read_discovery(message, book)
        end = message.topic.rfind("/") + 1
        reader = _READERS.get(message.topic[end:])
        if reader is None or not message.payload:
            return ()
        address = message.topic[:end]
        device = book.at(_NAME, address)
        return reader(_Heard(message, device, address, book)) if device else ()

    def query(self, device: Device) -> tuple[Outgoing, ...]:
        """Ask for settings, memory, battery and version: a short message and an answer each. Never raises."""
        questions = _QUESTIONS_WITH_BATTERY if device.battery_powered else _QUESTIONS
        prefixes = [device.channel.get(key) for key in ("command", "other_command")]
        return tuple(Outgoing(f"{prefix}STATUS", number) for prefix in prefixes if prefix for number in questions)

    def serve_as(self, release: Release) -> Mapping[str, Artifact]:
        """Name the files so that a device finds the helper by itself. Never raises.

        A device without room asks for ``<name>-minimal`` (ESP8266) or ``<name>-safeboot`` (ESP32) with the same ending
        in the same folder; what follows the last ``-`` in the name it drops first, so ours has none. The ESP8266
        unpacks by content and not by name, and from its third try on asks for ``.gz``, so it gets that ending at once.
        """
        small = "ESP8266" in release.match.model
        stem, ending, helper = ("t", ".bin.gz", "minimal") if small else ("t32", ".bin", "safeboot")
        helpers = [artifact for artifact in release.artifacts if artifact.role is ArtifactRole.HELPER]
        return {f"{stem}{ending}": release.main} | {f"{stem}-{helper}{ending}": artifact for artifact in helpers[:1]}

    def install(self, order: InstallOrder) -> tuple[Outgoing, ...]:
        """Write the one install command: address and start in one message, so that no other can come between them.

        Raises:
            Refused: ``DEVICE_SILENT`` while it is not known where the device listens, ``NO_SETTINGS_KNOWN`` while its
                old address is not known, ``TOO_LARGE`` or ``MALFORMED`` for an address that it would not take.
        """
        channel = order.device.channel
        if "command" not in channel or "other_command" in channel:
            raise Refused(Reason.DEVICE_SILENT, "the device has not answered yet")
        if answers.OTA_URL not in order.device.borrowed:
            self.borrows(order.device)
        if len(order.url) > _MAX_URL:
            raise Refused(
                Reason.TOO_LARGE, f"an address of {len(order.url)} characters, at most {_MAX_URL}", path="url"
            )
        if not _URL.fullmatch(order.url):
            raise Refused(Reason.MALFORMED, "an address that a Backlog cannot hold", path="url")
        return (Outgoing(f"{channel['command']}Backlog", f"{answers.OTA_URL} {order.url}; Upgrade 1"),)

    @override
    def borrows(self, device: Device) -> Mapping[str, str]:
        """Return the address of updates as the device last named it.

        Raises:
            Refused: ``NO_SETTINGS_KNOWN``: the device has not named it yet, so it could not be put back.
        """
        if answers.OTA_URL not in device.settings:
            raise Refused(Reason.NO_SETTINGS_KNOWN, answers.OTA_URL)
        return {answers.OTA_URL: device.settings[answers.OTA_URL]}

    @override
    def restore(self, device: Device, settings: Mapping[str, str]) -> tuple[Outgoing, ...]:
        """Put the address of updates back. Never raises.

        A device takes no empty address; it has one only if its image was built so, and that is what it goes back to.
        """
        prefix, address = device.channel.get("command"), settings.get(answers.OTA_URL)
        if not prefix or address is None:
            return ()
        return (Outgoing(f"{prefix}{answers.OTA_URL}", address or _BUILD_DEFAULT),)


@dataclass(frozen=True, slots=True)
class _Heard:
    """A message of a known device, and the address at which it came."""

    message: Message
    device: Device
    address: str
    book: AddressBook

    def reported(self, facts: DeviceFacts, *, rebooted: bool = False) -> DeviceReported:
        """Make a report, with what the address tells about the device's topics."""
        channel = speaks_as(self.device, self.address)
        told = replace(facts, channel=channel) if channel else facts
        return DeviceReported(self.device.id, _NAME, told, retained=self.message.retained, rebooted=rebooted)

    def check_place(self) -> None:
        """Refuse to take a word for a version from topics on which another device obeys.

        Raises:
            BadInput: ``MALFORMED``.
        """
        if is_below_another(self.device.id, self.device.addresses, self.book):
            raise BadInput(Reason.MALFORMED, _BELOW, path="topic")


_BELOW = "its topics lie below another device's"


def _read_discovery(message: Message, book: AddressBook) -> tuple[DeviceInput, ...]:
    mac, _, rest = message.topic.removeprefix(_DISCOVERY).partition("/")
    if rest != "config":
        return ()
    if not _MAC.fullmatch(mac):
        raise BadInput(Reason.MALFORMED, f"no MAC: {clean_label(mac, 80)}", path="topic")
    device_id = f"mac:{mac}"
    known = book.get(device_id)
    if not message.payload:
        return (DeviceWithdrawn(device_id),) if known else ()
    config = read_object(message.payload)
    if config.text("mac") != mac:
        raise BadInput(Reason.MALFORMED, "another device's MAC", path="mac")
    topics = read_topics(config, mac)
    if is_below_another(device_id, topics.addresses, book):
        raise BadInput(Reason.MALFORMED, _BELOW, path="ft")
    facts = DeviceFacts(
        name=config.label("dn") or mac,
        version=answers.bare_version(config),
        mac=mac,
        battery_powered=config.optional_integer("bat", 0, 1) == 1,
        sleeps=config.optional_integer("dslp", 0, 1) == 1,
        # Helper images have no discovery: one that comes live comes from the whole image.
        helper=None if message.retained else False,
        addresses=topics.addresses,
        channel=_channel(config, topics, known),
    )
    return (DeviceReported(device_id, _NAME, facts, retained=message.retained),)


def _channel(config: Object, topics: Topics, known: Device | None) -> Mapping[str, str]:
    commands = [each.command for each in topics.readings]
    if known is not None and known.addresses == topics.addresses and "other_command" not in known.channel:
        # It has answered before, under one of the two readings of "%id%".
        commands = [command for command in commands if command == known.channel.get("command")]
    return {
        **dict(zip(("command", "other_command"), commands, strict=False)),
        "topic": config.text("t"),
        "online": config.text("onln", "Online"),
        "offline": config.text("ofln", "Offline"),
        "stat_filter": topics.stat_filter,
        "tele_filter": topics.tele_filter,
    }


def _read_lwt(heard: _Heard) -> tuple[DeviceInput, ...]:
    word, channel = read_text(heard.message.payload), heard.device.channel
    online = word == channel.get("online")
    # A device in deep sleep is off line most of the time, which is how it is meant to be (dialects.md 2.3).
    if not online and (word != channel.get("offline") or heard.device.sleeps):
        return ()
    return (DeviceLinkChanged(heard.device.id, online=online, retained=heard.message.retained),)


def _read_info1(heard: _Heard) -> tuple[DeviceInput, ...]:
    info = read_object(heard.message.payload)
    heard.check_place()
    # Older firmware sends the members without the wrapper.
    facts = answers.running(info.optional_object("Info1") or info, heard.device)
    return (heard.reported(facts, rebooted=True),)


def _read_status1(heard: _Heard) -> tuple[DeviceInput, ...]:
    parameters = read_object(heard.message.payload).object("StatusPRM")
    facts = answers.settings(parameters, heard.device)
    health = HealthReported(heard.device.id, uptime_s=answers.uptime(parameters), retained=heard.message.retained)
    return (heard.reported(facts), health) if facts else (health,)


def _read_status2(heard: _Heard) -> tuple[DeviceInput, ...]:
    status = read_object(heard.message.payload).object("StatusFWR")
    heard.check_place()
    facts = answers.firmware(status)
    return (heard.reported(facts),) if facts else ()


def _read_status4(heard: _Heard) -> tuple[DeviceInput, ...]:
    facts = answers.free_space(read_object(heard.message.payload).object("StatusMEM"), heard.device)
    return (heard.reported(facts),) if facts else ()


def _read_status11(heard: _Heard) -> tuple[DeviceInput, ...]:
    status = read_object(heard.message.payload).object("StatusSTS")
    wifi = status.optional_object("Wifi")
    health = HealthReported(
        heard.device.id,
        battery_percent=answers.battery(status),
        rssi_dbm=wifi.optional_integer("Signal", -200, 50) if wifi else None,
        uptime_s=answers.uptime(status),
        retained=heard.message.retained,
    )
    return (health,)


def _read_result(heard: _Heard) -> tuple[DeviceInput, ...]:
    """Read an answer to a command; nearly all are about relays and lamps, and are passed over unread."""
    payload = heard.message.payload
    text = payload if isinstance(payload, str) else payload.decode(errors="replace")
    if "Upgrade" not in text and answers.OTA_URL not in text:
        return ()
    return _read_answer(heard, read_object(payload))


def _read_upgrade(heard: _Heard) -> tuple[DeviceInput, ...]:
    """Read what becomes of an upgrade: JSON, or plain words from old firmware; with SetOption4 also the answer."""
    payload = heard.message.payload
    first = payload.lstrip()[:1]
    if first in ("{", b"{"):
        return _read_answer(heard, read_object(payload))
    return _upgrade(heard, read_text(payload))


def _read_otaurl(heard: _Heard) -> tuple[DeviceInput, ...]:
    return _read_answer(heard, read_object(heard.message.payload))


def _read_answer(heard: _Heard, answer: Object) -> tuple[DeviceInput, ...]:
    found: tuple[DeviceInput, ...] = ()
    if answers.OTA_URL in answer:
        found = (heard.reported(DeviceFacts(settings={answers.OTA_URL: answer.text(answers.OTA_URL, "")})),)
    return found + _upgrade(heard, answer.label("Upgrade"))


def _upgrade(heard: _Heard, text: str) -> tuple[DeviceInput, ...]:
    meant = answers.upgrade_words(text)
    if meant is None:
        return ()
    stage, detail = meant
    return (InstallReported(heard.device.id, stage, detail=detail, retained=heard.message.retained),)


_READERS: dict[str, Callable[[_Heard], tuple[DeviceInput, ...]]] = {
    "LWT": _read_lwt,
    "INFO1": _read_info1,
    "STATUS1": _read_status1,
    "STATUS2": _read_status2,
    "STATUS4": _read_status4,
    "STATUS11": _read_status11,
    "RESULT": _read_result,
    "OTAURL": _read_otaurl,
    "UPGRADE": _read_upgrade,
}
