"""What a device's own topics say: the ``update`` part of its state, its battery, and its availability.

The version in a state is what Zigbee2MQTT remembers, not what the device just said: after an update it is copied from
the file's header, and it is repeated with every lamp that is switched (dialects.md 1.7; Zigbee2MQTT 2.14.1,
``otaUpdate.ts``). So it is kept in the channel as *shown*, and told as an old word, like a retained one. It becomes
the device's own word when a check is answered (``answers.py``).

How an update ends that waited for its device to wake, no answer says (dialects.md 1.7). Only the state does: it was
``scheduled``, then ``updating``, and is ``idle`` with another version, or ``scheduled`` again because the try failed.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...core import limits
from ...core.errors import BadInput, Reason
from ...core.inputs import DeviceInput, DeviceLinkChanged, DeviceReported, HealthReported, InstallReported, Stage
from ...core.model import Device, DeviceFacts
from ...core.untrusted import ROOT, Object, is_web_address, read_object, read_text
from ..base import Message
from .devices import SHOWN, TAKES_URL, WAITS
from .topics import NAME

_NO_VERSION = 0xFFFFFFFF  # how Zigbee devices say "none"
_MAX_SECONDS = 10**9
# What is said of a failure, where Zigbee2MQTT itself says nothing.
_TRY_FAILED = "try_failed: Zigbee2MQTT waits for the next try, and does not say why this one failed"
_GIVEN_UP = "given_up_waiting: Zigbee2MQTT does not wait for the device any more, or had no use for the image"


def read_online(message: Message) -> bool:
    """Read ``{"state":"online"}``, or the bare word of old settings.

    Raises:
        BadInput: it is neither ``online`` nor ``offline``.
    """
    first = message.payload.lstrip()[:1]
    bare = first not in ("{", b"{")
    word = read_text(message.payload) if bare else read_object(message.payload).text("state")
    if word not in ("online", "offline"):
        raise BadInput(Reason.MALFORMED, f"neither online nor offline: {word}", path=ROOT if bare else "state")
    return word == "online"


def read_availability(device: Device, message: Message) -> tuple[DeviceInput, ...]:
    """Read whether a device is there. Whether its bridge is there as well, the bridge says.

    Raises:
        BadInput: it says something else.
    """
    return (DeviceLinkChanged(device.id, online=read_online(message), retained=message.retained),)


def read_state(device: Device, message: Message) -> tuple[DeviceInput, ...]:
    """Read the state of a device, of which only updates and batteries are of interest.

    Raises:
        BadInput: it is no object, or its ``update`` makes no sense.
    """
    state = read_object(message.payload)
    update = state.optional_object("update")
    found: tuple[DeviceInput, ...] = _update(device, update, message) if update is not None else ()
    percent = _battery(state) if device.battery_powered else None
    if percent is not None:
        found += (HealthReported(device.id, battery_percent=percent, retained=message.retained),)
    return found


def without_shown(device: Device) -> DeviceFacts:
    """Forget the version that is shown, because it comes from a file. Never raises."""
    return DeviceFacts(channel={key: value for key, value in device.channel.items() if key != SHOWN})


def _update(device: Device, update: Object, message: Message) -> tuple[DeviceInput, ...]:
    shown, word = _version(update), update.label("state")
    found: tuple[DeviceInput, ...] = ()
    channel, image = _waits(_learnt(device, update, shown), word), _image(update)
    ended = WAITS in device.channel and WAITS not in channel
    claimed = ended and shown not in ("", device.channel.get(SHOWN))
    if claimed:
        # It comes from the file. Only a check asks the device.
        channel = {key: value for key, value in channel.items() if key != SHOWN}
    if channel != device.channel or image not in ("", device.image):
        facts = DeviceFacts(channel=channel, image=image or None)
        found = (DeviceReported(device.id, NAME, facts, retained=message.retained),)
    if word == "updating":
        return (*found, _progress(device, update, message))
    if word == "scheduled":
        found += (InstallReported(device.id, Stage.SCHEDULED, detail=_TRY_FAILED, retained=message.retained),)
    elif claimed:
        found += tuple(
            InstallReported(device.id, stage, percent=100, retained=message.retained)
            for stage in (Stage.INSTALLING, Stage.RESTARTED)
        )
    elif ended:
        found += (InstallReported(device.id, Stage.NOT_BEGUN, detail=_GIVEN_UP, retained=message.retained),)
    if shown and shown != device.version:
        # Second-hand, so it counts as retained: good enough to look for an offer, never a result (invariant 7).
        found += (DeviceReported(device.id, NAME, DeviceFacts(version=shown), retained=True),)
    return found


def _waits(channel: Mapping[str, str], word: str) -> Mapping[str, str]:
    """Note whether the bridge waits for the device; while it transfers, it goes on to wait for the next try."""
    if word == "scheduled":
        return channel if WAITS in channel else {**channel, WAITS: "yes"}
    if word == "updating" or WAITS not in channel:
        return channel
    return {key: value for key, value in channel.items() if key != WAITS}


def _learnt(device: Device, update: Object, shown: str) -> Mapping[str, str]:
    """Return the channel with what a state teaches; one without a version was never filled, and teaches nothing."""
    if not shown:
        return device.channel
    channel = {key: value for key, value in device.channel.items() if key != TAKES_URL} | {SHOWN: shown}
    # The member came with 2.8.0, together with addresses in requests; it is null where no newer image is known.
    return channel | {TAKES_URL: "yes"} if "latest_source" in update.keys() else channel  # noqa: SIM118


def _image(update: Object) -> str:
    """Return the address of the file that the bridge found for this device, whose codes the bridge alone knows.

    It stays known when nothing newer is left to find. A path on the bridge's own disk says nothing to us.
    """
    address = update.label("latest_source", max_chars=limits.MAX_URL)
    return address if is_web_address(address) else ""


def _progress(device: Device, update: Object, message: Message) -> InstallReported:
    progress = update.optional_number("progress", 0, 100)
    remaining = update.optional_integer("remaining", 0, _MAX_SECONDS)
    percent = None if progress is None else int(progress)
    return InstallReported(
        device.id,
        # At 100 the device has the whole image and said so; it checks, writes and restarts.
        stage=Stage.INSTALLING if percent == 100 else Stage.DOWNLOADING,
        percent=percent,
        detail="" if remaining is None else f"{remaining} s left",
        retained=message.retained,
    )


def _version(update: Object) -> str:
    """Return the version of the file that runs; empty for -1, ``null``, ``"None"`` and none at all, which all occur."""
    key = "installed_version"
    try:
        number = update.optional_integer(key, -1, _NO_VERSION)
    except BadInput:
        if update.label(key) != "None":
            raise
        return ""
    return "" if number is None or number in (-1, _NO_VERSION) else str(number)


def _battery(state: Object) -> int | None:
    """Return the per cent of a battery; some devices put other things there, which is no reason to drop the message."""
    try:
        percent = state.optional_number("battery", 0, 100)
    except BadInput:
        return None
    return None if percent is None else int(percent)
