"""What the hub and a Shelly of the second generation or later say to each other (dialects.md 3.1).

What makes this family different from the others:

- Nothing announces who it is. A device shows that it is there, and says who it is when it is asked (``suspect``,
  ``probe``). Topic and id of an answer are what we chose in the question, and say what it answers.
- Progress and failures come as notifications, which an owner can switch off (``rpc_ntf``), and which name no attempt.
  The answer to the command itself does.
- The command takes an address of ours, or a word for whatever the vendor offers just then (``stage``). The word is
  written only for an approval that says so (trust level ``vendor``).
- MQTT is exempt from a device's password (vendor's documentation, "Authentication"), and the hub never sends one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ...core.errors import BadInput, Reason, Refused
from ...core.inputs import DeviceInput, DeviceLinkChanged, DeviceReported, DeviceWithdrawn, LastingOrderSeen
from ...core.model import OFFERED, Artifact, Device, Release
from ...core.ports import AddressBook, Capabilities
from ...core.untrusted import ROOT, Object, read_object, read_text
from ..base import InstallOrder, Message, Outgoing, PlainInstalls
from . import answers
from .topics import (
    ANSWERS,
    EVENTS,
    FILTERS,
    NAME,
    ONLINE,
    RPC,
    address_of,
    asked_at,
    filters_for,
    is_address,
    sender_for,
)

# The ids of our questions: answers name no method.
_INFO, _STATUS, _SCHEDULE, _INSTALL = "info", "status", "schedule", "install-"
# The version comes last, because it is what the hub waits for before it sends an install.
_QUESTIONS = {_STATUS: "Shelly.GetStatus", _SCHEDULE: "Schedule.List", _INFO: "Shelly.GetDeviceInfo"}
_ATTEMPT = re.compile(r"[A-Za-z0-9_.:-]{1,64}", re.ASCII)
_UPDATE = "Shelly.Update"
_URL = re.compile(r"http://[A-Za-z0-9._~:/\-]{1,200}", re.ASCII)
_TRUE = ("true", b"true")
# Words without which a notification is of no interest; meters send others every second.
_NEWS = ("NotifyEvent", "NotifyFullStatus", "available_updates")


class ShellyDialect(PlainInstalls):
    """Shelly Gen2, Gen3 and Gen4: Plus, Pro, Mini, sensors, plugs."""

    name = NAME
    capabilities = Capabilities(
        chooses_artifact=True,
        vendor_chooses=True,
        # Unless the owner switched notifications off; then the verdict comes by version and time alone.
        reports_progress=True,
        reports_failure=True,
        # Only the answer to the command does; notifications do not.
        echoes_attempt=False,
        # There are two slots, but no documented command to change them, and whether the boot loader goes back by itself
        # was never verified.
        rolls_back=False,
        wakes_by_itself=True,
        # It fetches over TLS only from servers whose certificate it knows, which are not ours.
        needs_plain_http=True,
        commits=False,
        # A full status also follows a reconnection.
        announces_boot=False,
        # One observed update took 145 seconds; ten minutes of download and five of reboot are the outer bound
        # (dialects.md 3.1, 6.2).
        default_minutes=5,
        max_deadline=timedelta(minutes=15),
        tells=(OFFERED,),
    )
    filters: tuple[str, ...] = FILTERS
    # A longer prefix would bring the notifications of all devices with it.
    order_filters: tuple[str, ...] = (f"+/{RPC}",)

    def lasting_order(self, message: Message, book: AddressBook) -> LastingOrderSeen | None:  # noqa: ARG002
        """Find a call that starts an update. Never raises."""
        if address_of(message.topic, RPC) is None:
            return None
        try:
            method = read_object(message.payload).label("method")
        except BadInput:
            return None
        # The firmware does not tell capitals from small letters in the names of methods.
        if method.casefold() != _UPDATE.casefold():
            return None
        return LastingOrderSeen(NAME, message.topic, _UPDATE)

    def filters_for(self, device: Device) -> tuple[str, ...]:
        """Return the filters for presence and notifications. Never raises."""
        return tuple(each for address in device.addresses for each in filters_for(address))

    def read(self, message: Message, book: AddressBook) -> tuple[DeviceInput, ...]:
        """Read an answer to a question of ours, or what a known device says by itself.

        Raises:
            BadInput: with the path of the fault.
        """
        if message.topic.startswith(ANSWERS):
            return _read_answer(message, book)
        for ending, reader in _READERS.items():
            address = address_of(message.topic, ending)
            device = book.at(NAME, address) if address is not None else None
            if device is not None:
                return reader(device, message)
        return ()

    def suspect(self, message: Message, book: AddressBook) -> str:
        """Return the address of a stranger who says to be there and may be a Shelly; empty if there is none.

        Never raises.
        """
        address = address_of(message.topic, ONLINE) if message.payload in _TRUE else None
        return "" if address is None or book.is_claimed(NAME, address) else address

    def probe(self, address: str) -> tuple[Outgoing, ...]:
        """Ask a stranger who it is; whoever is no Shelly does not understand. Changes nothing, never raises."""
        return (_call(f"{address}{RPC}", _INFO, _QUESTIONS[_INFO]),) if is_address(address) else ()

    def query(self, device: Device) -> tuple[Outgoing, ...]:
        """Ask for state, schedule and version; only for the version where more needs a password. Never raises."""
        topic = device.channel.get("command")
        questions = (_INFO,) if device.settings.get(answers.LOCKED) == "yes" else tuple(_QUESTIONS)
        return tuple(_call(topic, question, _QUESTIONS[question]) for question in questions) if topic else ()

    def serve_as(self, release: Release) -> Mapping[str, Artifact]:
        """Serve the package under a name of our own; there are no helper images. Never raises."""
        return {"fw.zip": release.main}

    def install(self, order: InstallOrder) -> tuple[Outgoing, ...]:
        """Write the one install command: by our address, or by the vendor's choice if that is what was approved.

        Raises:
            Refused: ``DEVICE_SILENT`` while it is not known where the device listens, ``MALFORMED`` for an attempt or
                an address that it would not take.
        """
        topic = order.device.channel.get("command")
        if not topic:
            raise Refused(Reason.DEVICE_SILENT, "the device has not said who it is")
        if not _ATTEMPT.fullmatch(order.attempt_id):
            raise Refused(Reason.MALFORMED, "an attempt id that no answer could carry", path="attempt_id")
        if not order.vendor_chooses and not _URL.fullmatch(order.url):
            raise Refused(Reason.MALFORMED, "no plain address", path="url")
        wanted = {"stage": "stable"} if order.vendor_chooses else {"url": order.url}
        return (_call(topic, f"{_INSTALL}{order.attempt_id}", _UPDATE, wanted),)


def _call(topic: str, question: str, method: str, params: Mapping[str, str] | None = None) -> Outgoing:
    frame: dict[str, Any] = {"id": question, "src": sender_for(topic.removesuffix(RPC)), "method": method}
    if params is not None:
        frame["params"] = params
    return Outgoing(topic, json.dumps(frame, separators=(",", ":")))


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer of a known device."""

    frame: Object
    device: Device
    retained: bool


def _read_answer(message: Message, book: AddressBook) -> tuple[DeviceInput, ...]:
    sender, slash, word = message.topic.rpartition("/")
    if f"{slash}{word}" != f"/{RPC}" or not message.payload:
        return ()
    address = asked_at(sender)
    if address is None:
        raise BadInput(Reason.MALFORMED, "nobody who asks", path="topic")
    frame = read_object(message.payload)
    question = frame.text("id")
    if frame.text("dst", sender) != sender:
        raise BadInput(Reason.MALFORMED, "an answer to somebody else", path="dst")
    device = book.at(NAME, address)
    if question == _INFO:
        return _read_info(frame, address, device, message)
    if device is None:
        return ()
    return _read_known(_Answer(frame, device, message.retained), question)


def _read_info(frame: Object, address: str, device: Device | None, message: Message) -> tuple[DeviceInput, ...]:
    if "error" in frame:
        # Somebody else with the same way of calling (Mongoose OS) has no such method.
        return ()
    device_id, facts = answers.identity(frame.object("result"), address, device)
    return (DeviceReported(device_id, NAME, facts, retained=message.retained),)


def _read_known(answer: _Answer, question: str) -> tuple[DeviceInput, ...]:
    frame, device, retained = answer.frame, answer.device, answer.retained
    if question.startswith(_INSTALL):
        attempt_id = question.removeprefix(_INSTALL)
        if not _ATTEMPT.fullmatch(attempt_id):
            raise BadInput(Reason.MALFORMED, "no attempt id", path="id")
        return answers.install(frame, device, attempt_id, retained=retained)
    if question not in _QUESTIONS:
        raise BadInput(Reason.MALFORMED, "an answer to a question that was not asked", path="id")
    error = frame.optional_object("error")
    if error is not None:
        return answers.refusal(error, device, retained=retained)
    if question == _SCHEDULE:
        return answers.schedule(frame.object("result"), device, retained=retained)
    return answers.status(frame.object("result"), device, whole=True, retained=retained)


def _read_online(device: Device, message: Message) -> tuple[DeviceInput, ...]:
    if not message.payload:
        return (DeviceWithdrawn(device.id),)
    word = read_text(message.payload)
    if word not in ("true", "false"):
        raise BadInput(Reason.MALFORMED, f"neither true nor false: {word}", path=ROOT)
    return (DeviceLinkChanged(device.id, online=word == "true", retained=message.retained),)


def _read_events(device: Device, message: Message) -> tuple[DeviceInput, ...]:
    """Read a notification; nearly all are about relays and meters, and are passed over unread."""
    payload = message.payload
    text = payload if isinstance(payload, str) else payload.decode(errors="replace")
    if not any(word in text for word in _NEWS):
        return ()
    frame = read_object(payload)
    method, params = frame.text("method"), frame.object("params")
    if method == "NotifyEvent":
        return answers.events(params, device, retained=message.retained)
    whole = method == "NotifyFullStatus"
    if whole or method == "NotifyStatus":
        return answers.status(params, device, whole=whole, retained=message.retained)
    return ()


_READERS: dict[str, Callable[[Device, Message], tuple[DeviceInput, ...]]] = {
    ONLINE: _read_online,
    EVENTS: _read_events,
}
