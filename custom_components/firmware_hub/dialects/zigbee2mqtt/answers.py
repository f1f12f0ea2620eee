"""What a bridge answers to the hub's requests. Only the transaction says whose answer it is.

A refusal carries no device (``"data":{}``, dialects.md 1.5), so the hub's transactions name it: ``<attempt>@<ieee>``.
Answers to others' requests, and requests of other hubs, have other transactions and are passed over.

Zigbee2MQTT says in prose why something failed. What is matched are the parts of its sentences that have no name in them
(2.14.1, ``otaUpdate.ts``; zigbee-herdsman 10.9, ``device.ts`` and ``ota.ts``).
"""

from __future__ import annotations

import re
from enum import StrEnum

from ...core.errors import BadInput, Reason
from ...core.inputs import DeviceInput, DeviceReported, InstallReported, Stage
from ...core.model import Device, DeviceFacts
from ...core.ports import AddressBook
from ...core.untrusted import Object, clean_label, read_object
from ..base import Message
from .devices import SHOWN, TAKES_URL
from .states import without_shown
from .topics import NAME, ieee_of

CHECK = "check"
UNSCHEDULE = "/unschedule"  # at the end of the transaction that takes an attempt back
_TRANSACTION = re.compile(r"(?P<attempt>[A-Za-z0-9_.:-]{1,64})@(?P<ieee>0x[0-9a-f]{16})", re.ASCII)
_TEXT = 200  # characters of a sentence that a person reads


class Failure(StrEnum):
    """Why an update failed: the first word of ``InstallReported.detail``, followed by Zigbee2MQTT's own sentence."""

    BUSY = "busy"
    """Another check or update of this device runs at the bridge, so ours was not begun."""
    ASLEEP = "asleep"
    """The device did not answer within a minute, so nothing was begun."""
    STALLED = "stalled"
    """The device did not ask for the image, or stopped asking in the middle."""
    INVALID_IMAGE = "invalid_image"
    """The device itself refused the image after it had all of it."""
    GIVEN_UP = "given_up"
    """The device ended the transfer for a reason of its own."""
    ABORTED = "aborted"
    """Somebody told the bridge to stop."""
    NO_IMAGE = "no_image"
    """The bridge could not use what the hub served: not reachable, no such image, or no newer one."""
    UNKNOWN_DEVICE = "unknown_device"
    """The bridge does not know the device (any more)."""
    UNSUPPORTED = "unsupported"
    """The bridge knows no way to update this device."""
    NO_GOODBYE = "no_goodbye"
    """The device took the image, and the bridge could not tell it to go on."""
    BRIDGE_DIED = "bridge_died"
    """The bridge went away, and forgets what it was transferring."""
    OTHER = "other"
    """A sentence that is not known."""


# In this order: the sentence about a failed update quotes the sentence about its cause.
_SENTENCES = (
    ("already in progress", Failure.BUSY),
    ("didn't respond to OTA request", Failure.ASLEEP),
    ("did not start/finish firmware download", Failure.STALLED),
    ("failed with reason: INVALID_IMAGE", Failure.INVALID_IMAGE),
    ("failed with reason:", Failure.GIVEN_UP),
    ("was aborted", Failure.ABORTED),
    ("No image currently available", Failure.NO_IMAGE),
    ("does not exist", Failure.UNKNOWN_DEVICE),
    ("does not support OTA", Failure.UNSUPPORTED),
    ("No endpoint found with OTA", Failure.UNSUPPORTED),
    ("upgrade end response failed", Failure.NO_GOODBYE),
)


_STAGES = {
    Failure.BUSY: Stage.NOT_BEGUN,
    Failure.ASLEEP: Stage.NOT_BEGUN,
    Failure.INVALID_IMAGE: Stage.REJECTED,
}


def transaction(device: Device, attempt: str) -> str:
    """Return the words by which the hub knows its own answers again. Never raises."""
    return f"{attempt}@{ieee_of(device)}"


def failure(sentence: str) -> tuple[Failure, str]:
    """Decide what a sentence about a failure means, and return it with what a person reads. Never raises."""
    words = clean_label(sentence, _TEXT)
    kind = next((kind for part, kind in _SENTENCES if part in words), Failure.OTHER)
    return kind, f"{kind}: {words}"


def read_check(base: str, message: Message, book: AddressBook) -> tuple[DeviceInput, ...]:
    """Read the answer to our question for the version: the version shown just before is the device's own word.

    The bridge asks the device, shows what it says, and answers, in this order. A check that failed says nothing, not
    even that the device is away: the bridge could not reach its index, or the device was busy.

    Raises:
        BadInput: it is no answer, or the bridge is too old to be given an address (``UNSUPPORTED_SPEC``).
    """
    answered = _answered(base, message, book)
    if answered is None or answered[1] != CHECK or answered[2] is not None:
        return ()
    device = answered[0]
    shown = device.channel.get(SHOWN)
    if shown is None:
        return ()
    if TAKES_URL not in device.channel:
        raise BadInput(Reason.UNSUPPORTED_SPEC, TOO_OLD, path="update.latest_source")
    return (DeviceReported(device.id, NAME, DeviceFacts(version=shown), retained=message.retained),)


TOO_OLD = "Zigbee2MQTT 2.8.0 or newer is needed: older ones install what they like"


def read_update(base: str, message: Message, book: AddressBook) -> tuple[DeviceInput, ...]:
    """Read how our update ended. Success is a claim: its version comes from the file (dialects.md 1.7).

    Raises:
        BadInput: it is no answer.
    """
    answered = _answered(base, message, book)
    if answered is None or answered[1] == CHECK:
        return ()
    device, attempt, sentence = answered
    if sentence is not None:
        return (_failed(device, attempt, sentence, message),)
    # Said after the device announced itself, or two minutes after it was told to restart: time to ask.
    done = InstallReported(device.id, Stage.RESTARTED, attempt_id=attempt, retained=message.retained)
    return (DeviceReported(device.id, NAME, without_shown(device), retained=message.retained), done)


def read_schedule(base: str, message: Message, book: AddressBook) -> tuple[DeviceInput, ...]:
    """Read whether an update waits for its device to wake. How it ends is never answered (dialects.md 1.7).

    Raises:
        BadInput: it is no answer.
    """
    answered = _answered(base, message, book)
    if answered is None:
        return ()
    device, attempt, sentence = answered
    if sentence is not None:
        return (_failed(device, attempt, sentence, message),)
    return (InstallReported(device.id, Stage.ACCEPTED, attempt_id=attempt, retained=message.retained),)


def read_unschedule(base: str, message: Message, book: AddressBook) -> tuple[DeviceInput, ...]:
    """Read that the bridge does not wait for a device any more.

    A refusal says that a check or an update is under way, which may or may not be ours: it says nothing. Of a device
    that the bridge does not know it holds nothing.

    Raises:
        BadInput: it is no answer.
    """
    answered = _answered(base, message, book, UNSCHEDULE)
    if answered is None:
        return ()
    device, attempt, sentence = answered
    if sentence is not None and failure(sentence)[0] is not Failure.UNKNOWN_DEVICE:
        return ()
    return (InstallReported(device.id, Stage.TAKEN_BACK, attempt_id=attempt, retained=message.retained),)


def _failed(device: Device, attempt: str, sentence: str, message: Message) -> InstallReported:
    kind, detail = failure(sentence)
    return InstallReported(
        device.id, _STAGES.get(kind, Stage.FAILED), attempt_id=attempt, detail=detail, retained=message.retained
    )


def _answered(
    base: str, message: Message, book: AddressBook, suffix: str = ""
) -> tuple[Device, str, str | None] | None:
    """Return the device, the attempt and the sentence of a refusal; ``None`` if it is no answer to this hub."""
    answer = read_object(message.payload)
    words = _transaction(answer)
    found = _TRANSACTION.fullmatch(words.removesuffix(suffix)) if words.endswith(suffix) else None
    device = book.get(f"ieee:{found['ieee']}") if found else None
    if found is None or device is None or device.network != base:
        return None
    status = answer.text("status")
    if status not in ("ok", "error"):
        raise BadInput(Reason.MALFORMED, f"neither ok nor error: {status}", path="status")
    return device, found["attempt"], answer.label("error") if status == "error" else None


def _transaction(answer: Object) -> str:
    """Return the transaction; others put what they like there, numbers for example."""
    try:
        return answer.text("transaction", "")
    except BadInput:
        return ""
