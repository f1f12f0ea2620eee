"""The open device protocol, specified in ``docs/device-protocol.md`` (design section 5.4).

What makes this family different from the others: a device with two slots boots a new image on trial and goes back by
itself unless the hub commits it, every message about an install carries the id of the attempt, and a ``report`` command
makes a device repeat its retained ``info`` live, which is the fresh evidence that invariant 7 asks for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, timedelta
from enum import StrEnum
from typing import override

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
from ..core.model import Artifact, Device, DeviceFacts, DeviceId, Release
from ..core.ports import AddressBook, Capabilities
from ..core.untrusted import ROOT, Object, clean_label, read_object, read_text
from .base import InstallOrder, Message, Outgoing, PlainInstalls

PROTOCOL = 1
_ROOT = "fwhub/device/"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}", re.ASCII)
_MAC = re.compile(r"[0-9A-F]{12}", re.ASCII)
_MAX_COUNT = 2**53 - 1  # the largest whole number that every JSON library keeps exactly
_MAX_SLOTS = 8
_COMMAND = "command"
_ORDERS = ("install", "commit", "rollback")
_SILENT_WORDS = ("availability", "health", "status")


class _State(StrEnum):
    """The states of the protocol, as devices write them."""

    DOWNLOADING = "downloading"
    VERIFYING = "verifying"
    INSTALLING = "installing"
    REBOOTING = "rebooting"
    SELF_TEST = "self_test"
    TRIAL = "trial"
    COMMITTED = "committed"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"
    REJECTED = "rejected"


class _SelfTest(StrEnum):
    """Results of a device's own test; a running test has none."""

    PASSED = "passed"
    FAILED = "failed"


# A device that verifies has the whole image; one that tests itself is back from its reboot, trial or not.
_STAGES = {
    _State.DOWNLOADING: Stage.DOWNLOADING,
    _State.VERIFYING: Stage.INSTALLING,
    _State.INSTALLING: Stage.INSTALLING,
    _State.REBOOTING: Stage.REBOOTING,
    _State.SELF_TEST: Stage.REBOOTING,
    _State.TRIAL: Stage.TRIAL,
    _State.COMMITTED: Stage.COMMITTED,
    _State.ROLLED_BACK: Stage.ROLLED_BACK,
    _State.FAILED: Stage.FAILED,
    _State.REJECTED: Stage.REJECTED,
}


class OpenDialect(PlainInstalls):
    """Devices whose makers follow our own specification."""

    name = "open"
    capabilities = Capabilities(
        chooses_artifact=True,
        reports_progress=True,
        reports_failure=True,
        echoes_attempt=True,
        # The trial of a device with two slots; whether this device has two, its ``slots`` say.
        rolls_back=True,
        wakes_by_itself=True,
        # TLS is the device's choice: the digest in the command protects the image on any way.
        needs_plain_http=False,
        commits=True,
        # ``info`` also comes on request and on changes, so it is no sign of a boot.
        announces_boot=False,
        # Twice this is the usual deadline: a small image, a reboot and a self-test. An hour is for slow radios.
        default_minutes=5,
        max_deadline=timedelta(minutes=60),
    )
    # The other topics are subscribed when the first device is known: what a broker has retained there would otherwise
    # arrive before the ``info`` that says whose it is.
    filters: tuple[str, ...] = (f"{_ROOT}+/info",)
    order_filters: tuple[str, ...] = (f"{_ROOT}+/{_COMMAND}",)

    def lasting_order(self, message: Message, book: AddressBook) -> LastingOrderSeen | None:  # noqa: ARG002
        """Find an install, or a judgement, which a device would take for one on its next trial. Never raises."""
        if not message.topic.startswith(_ROOT) or not message.topic.endswith(f"/{_COMMAND}"):
            return None
        try:
            word = read_object(message.payload).label("command")
        except BadInput:
            return None
        return LastingOrderSeen(self.name, message.topic, word) if word in _ORDERS else None

    def filters_for(self, device: Device) -> tuple[str, ...]:  # noqa: ARG002 - the Protocol's
        """Return the same three filters for every device. Never raises."""
        return tuple(f"{_ROOT}+/{word}" for word in _SILENT_WORDS)

    def read(self, message: Message, book: AddressBook) -> tuple[DeviceInput, ...]:
        """Read one message of a device.

        Raises:
            BadInput: with the path of the fault; ``UNSUPPORTED_SPEC`` for another protocol version.
        """
        device_name, slash, word = message.topic.removeprefix(_ROOT).partition("/")
        if not message.topic.startswith(_ROOT) or not slash:
            return ()
        if word == "info":
            return _read_info(device_name, message, book)
        reader = _READERS.get(word)
        device = book.at(self.name, f"{_ROOT}{device_name}/") if reader else None
        if reader is None or device is None or not message.payload:
            return ()
        return reader(device, message)

    def query(self, device: Device) -> tuple[Outgoing, ...]:
        """Ask for ``info`` and ``health``; nothing if no channel is known. Never raises."""
        return _command(device, {"command": "report"})

    def serve_as(self, release: Release) -> Mapping[str, Artifact]:
        """Serve the main image under a name of our own; the protocol has no helper images. Never raises."""
        return {"image.bin": release.main}

    def install(self, order: InstallOrder) -> tuple[Outgoing, ...]:
        """Write the one install command.

        Raises:
            Refused: ``DEVICE_SILENT``: no message of the device was read yet.
        """
        image = order.release.main
        body: dict[str, str | int] = {
            "command": "install",
            "id": order.attempt_id,
            "url": order.url,
            "version": order.release.version,
            "size": image.size,
            "sha256": image.sha256,
        }
        if order.not_after is not None:
            body["not_after"] = order.not_after.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        if order.manifest_url:
            body["manifest_url"] = order.manifest_url
        command = _command(order.device, body)
        if not command:
            raise Refused(Reason.DEVICE_SILENT, "the device has not said where it listens")
        return command

    @override
    def commit(self, device: Device, attempt_id: str) -> tuple[Outgoing, ...]:
        """Tell a device on trial to keep the new image. Never raises."""
        return _command(device, {"command": "commit", "id": attempt_id})

    @override
    def rollback(self, device: Device, attempt_id: str) -> tuple[Outgoing, ...]:
        """Tell a device to boot its other slot. Never raises."""
        return _command(device, {"command": "rollback", "id": attempt_id})


def _command(device: Device, body: Mapping[str, str | int]) -> tuple[Outgoing, ...]:
    topic = device.channel.get("command")
    return (Outgoing(topic, json.dumps(body, separators=(",", ":"))),) if topic else ()


def _read_info(device_name: str, message: Message, book: AddressBook) -> tuple[DeviceInput, ...]:
    address = f"{_ROOT}{device_name}/"
    if not message.payload:
        device = book.at(OpenDialect.name, address)
        return (DeviceWithdrawn(device.id),) if device else ()
    if not _ID.fullmatch(device_name):
        raise BadInput(Reason.MALFORMED, f"no device id: {clean_label(device_name, 80)}", path="topic")
    info = read_object(message.payload)
    protocol = info.integer("protocol", 0, _MAX_COUNT)
    if protocol != PROTOCOL:
        raise BadInput(Reason.UNSUPPORTED_SPEC, f"protocol {protocol}", path="protocol")
    mac = _mac(info)
    facts = DeviceFacts(
        name=info.label("name") or device_name,
        manufacturer=info.text("manufacturer"),
        model=info.text("model"),
        hardware=info.text("hardware", ""),
        variant=info.text("variant", ""),
        version=info.text("version"),
        counter=info.optional_integer("counter", 0, _MAX_COUNT),
        slots=info.optional_integer("slots", 1, _MAX_SLOTS) or 1,
        mac=mac,
        battery_powered=info.flag("battery_powered", default=False),
        sleeps=info.flag("sleeps", default=False),
        addresses=(address,),
        # Never taken out of a payload: a device can only name the topic under which it announced itself.
        channel={"command": f"{address}command"},
    )
    identity: DeviceId = f"mac:{mac}" if mac else f"open:{device_name}"
    return (DeviceReported(identity, OpenDialect.name, facts, retained=message.retained),)


def _mac(info: Object) -> str:
    """Return 12 upper-case digits; empty for none and for addresses that are not one device's own."""
    digits = info.text("mac", "").replace(":", "").replace("-", "").upper()
    if not _MAC.fullmatch(digits) or digits == "0" * 12:
        return ""
    # The lowest bit of the first byte marks group addresses, all ones among them (IEEE 802).
    return "" if int(digits[1], 16) & 1 else digits


def _read_availability(device: Device, message: Message) -> tuple[DeviceInput, ...]:
    word = read_text(message.payload)
    if word not in ("online", "offline"):
        raise BadInput(Reason.MALFORMED, f"neither online nor offline: {word}", path=ROOT)
    return (DeviceLinkChanged(device.id, online=word == "online", retained=message.retained),)


def _read_health(device: Device, message: Message) -> tuple[DeviceInput, ...]:
    health = read_object(message.payload)
    reported = HealthReported(
        device.id,
        battery_percent=health.optional_integer("battery_percent", 0, 100),
        rssi_dbm=health.optional_integer("rssi_dbm", -200, 50),
        uptime_s=health.optional_integer("uptime_s", 0, _MAX_COUNT),
        free_bytes=health.optional_integer("free_bytes", 0, _MAX_COUNT),
        self_test=health.choice("self_test", _SelfTest).value if "self_test" in health else None,
        retained=message.retained,
    )
    return (reported,)


def _read_status(device: Device, message: Message) -> tuple[DeviceInput, ...]:
    status = read_object(message.payload)
    attempt_id = status.text("id")
    if not _ID.fullmatch(attempt_id):
        raise BadInput(Reason.MALFORMED, "no attempt id", path="id")
    reported = InstallReported(
        device.id,
        stage=_STAGES[status.choice("state", _State)],
        percent=status.optional_integer("progress_percent", 0, 100),
        attempt_id=attempt_id,
        detail=status.label("reason"),
        retained=message.retained,
    )
    return (reported,)


_READERS: dict[str, Callable[[Device, Message], tuple[DeviceInput, ...]]] = {
    "availability": _read_availability,
    "health": _read_health,
    "status": _read_status,
}
