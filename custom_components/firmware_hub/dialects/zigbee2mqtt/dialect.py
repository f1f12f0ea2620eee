"""What the hub and Zigbee2MQTT say to each other (dialects.md section 1; Zigbee2MQTT 2.14.1).

What makes this family different from the others:

- One bridge speaks for all its devices. It transfers the image over its radio, so few updates may run at a time.
- The bridge, not the device, fetches the image, and it checks neither digest nor model: what the hub serves is sent.
- Its success is no evidence. It takes the new version from the file's header, and it calls an update done when the
  device has not come back after two minutes. Only a check asks the device itself.
- It forgets a running update when it restarts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import timedelta

from ...core import limits
from ...core.errors import BadInput, Reason, Refused
from ...core.inputs import (
    DeviceInput,
    DeviceLinkChanged,
    DeviceWithdrawn,
    InstallReported,
    LastingOrderSeen,
    NetworkReported,
    Stage,
)
from ...core.model import Artifact, Device, Release
from ...core.ports import AddressBook, Capabilities
from ...core.untrusted import read_object
from ...core.version import Order, compare
from ..base import InstallOrder, Message, Outgoing, PlainInstalls
from . import answers
from .devices import TAKES_URL, WAITS, read_devices
from .states import read_availability, read_online, read_state
from .topics import (
    ANSWERS,
    BRIDGE,
    COMMANDS,
    FILTERS,
    NAME,
    ORDER_FILTERS,
    ORDERS,
    device_id_of,
    filters_for,
    ieee_of,
    is_base,
)

_OLDEST = (2, 8)  # the first whose update requests take an address
_VERSION = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})\..{0,80}", re.ASCII)
# Printable, without a query or a fragment: "index.json?t=1" is read as an image, and ".json" at the end as an index.
_URL = re.compile(r"https?://[!-~]+", re.ASCII)
_DOWNGRADE = "/downgrade"


class Zigbee2MqttDialect(PlainInstalls):
    """Devices behind Zigbee2MQTT, of any number of bridges on one broker."""

    name = NAME
    capabilities = Capabilities(
        chooses_artifact=True,
        reports_progress=True,
        reports_failure=True,
        # Answers carry the attempt, progress does not; what carries another attempt is not about ours.
        echoes_attempt=False,
        # An older image is an install of its own, and many devices refuse it.
        rolls_back=False,
        # A sleeping device does not hear that there is an update. Its bridge waits until it asks.
        wakes_by_itself=False,
        needs_plain_http=False,
        commits=False,
        announces_boot=False,
        # 240 kB, the median of all public images, take 4 minutes at 50 bytes each 50 ms, and 20 at 250 ms. Eight hours
        # are what a battery device may take (dialects.md 6.2).
        default_minutes=30,
        max_deadline=timedelta(hours=8),
        # The radio is shared by the whole mesh, and Zigbee2MQTT sets no limit itself (dialects.md 1.9).
        parallel=1,
        # A check waits a minute for its device (dialects.md 1.6), and one for each device at once would crowd the mesh.
        answer_time=timedelta(seconds=75),
        asks_apart=timedelta(seconds=10),
        schedules=True,
    )
    # What the devices say is subscribed when they are known: a state or an answer is about a device that was listed.
    filters: tuple[str, ...] = FILTERS
    order_filters: tuple[str, ...] = ORDER_FILTERS

    def lasting_order(self, message: Message, book: AddressBook) -> LastingOrderSeen | None:  # noqa: ARG002
        """Find a request for an update, now or when the device next asks. Never raises."""
        base, found, word = message.topic.partition(f"/{COMMANDS}")
        if not found or word not in ORDERS or not message.payload or not is_base(base):
            return None
        return LastingOrderSeen(NAME, message.topic, f"ota_update/{word}")

    def filters_for(self, device: Device) -> tuple[str, ...]:
        """Return the filters of the device's bridge and of the folder of its name; devices share them. Never raises."""
        return filters_for(device)

    def read(self, message: Message, book: AddressBook) -> tuple[DeviceInput, ...]:
        """Read one message of a bridge or of a device. Only the list of devices costs what the list is long.

        Raises:
            BadInput: with the path of the fault; ``UNSUPPORTED_SPEC`` for a bridge that is too old.
        """
        base, bridge, word = message.topic.rpartition(BRIDGE)
        if bridge:
            reader = _OF_BRIDGES.get(word)
            says_something = message.payload or reader is read_devices
            return reader(base, message, book) if reader and says_something and is_base(base) else ()
        if not message.payload:
            return ()
        place = message.topic.removesuffix("/availability")
        if place != message.topic and (device := book.at(NAME, f"{place}/")):
            return read_availability(device, message)
        device = book.at(NAME, f"{message.topic}/")
        return read_state(device, message) if device else ()

    def query(self, device: Device) -> tuple[Outgoing, ...]:
        """Let the bridge ask the device for its version, which is what a check does first. Never raises.

        A check needs the device awake, and the bridge's index reachable: without it the bridge keeps what it heard to
        itself (zigbee-herdsman 10.9, ``checkOta``). It changes nothing on the device.

        Nothing is asked while the bridge waits for the device to wake: the question would meet a sleeper, or take the
        very moment away in which it asks for its image.
        """
        if device.sleeps and WAITS in device.channel:
            return ()
        return _request(device, "check", answers.transaction(device, answers.CHECK))

    def serve_as(self, release: Release) -> Mapping[str, Artifact]:
        """Serve the image under a name of our own. Never raises."""
        return {"image.ota": release.main}

    def install(self, order: InstallOrder) -> tuple[Outgoing, ...]:
        """Write the one install command.

        Raises:
            Refused: ``DEVICE_SILENT`` while it is not known where its bridge listens, ``UNSUPPORTED_SPEC`` for a bridge
                that was not seen to take addresses, ``TOO_LARGE`` or ``MALFORMED`` for an address that it misreads.
        """
        return _order(order, f"update{self._way(order)}")

    def schedule(self, order: InstallOrder) -> tuple[Outgoing, ...]:
        """Write the command for a sleeping device: the bridge begins when the device next asks, at whatever hour.

        It must be taken back at the window's end (``unschedule``), and the address must be good until then.

        Raises:
            Refused: as ``install``.
        """
        return _order(order, f"schedule{self._way(order)}")

    def unschedule(self, device: Device, attempt_id: str) -> tuple[Outgoing, ...]:
        """Take a scheduled update back; one that runs already goes on. Never raises."""
        transaction = f"{answers.transaction(device, attempt_id)}{answers.UNSCHEDULE}"
        return _request(device, "unschedule", transaction)

    def abort(self, device: Device, attempt_id: str) -> tuple[Outgoing, ...]:
        """Stop a transfer that runs, whoever began it; the device keeps what it runs. Never raises.

        For an emergency only: what runs is never cut off because a window closes (invariant 2).
        """
        # One that comes too late is refused on the topic of updates: it must not look like the update's own answer.
        return _request(device, "update/abort", f"{answers.transaction(device, attempt_id)}/abort")

    @staticmethod
    def _way(order: InstallOrder) -> str:
        """Return what makes a request one for an older image, without which the bridge says that there is none."""
        release = order.release
        older = compare(release.version, order.device.version, release.version_scheme) is Order.OLDER
        return _DOWNGRADE if older else ""


def _order(order: InstallOrder, word: str) -> tuple[Outgoing, ...]:
    url, channel = order.url, order.device.channel
    if "command" not in channel:
        raise Refused(Reason.DEVICE_SILENT, "no bridge has listed the device")
    if TAKES_URL not in channel:
        raise Refused(Reason.UNSUPPORTED_SPEC, answers.TOO_OLD)
    if len(url) > limits.MAX_URL:
        raise Refused(Reason.TOO_LARGE, f"an address of {len(url)} characters", path="url")
    if not _URL.fullmatch(url) or "?" in url or "#" in url or url.lower().endswith(".json"):
        raise Refused(Reason.MALFORMED, "an address that Zigbee2MQTT reads as something else", path="url")
    return _request(order.device, word, answers.transaction(order.device, order.attempt_id), url=url)


def _request(device: Device, word: str, transaction: str, **more: str) -> tuple[Outgoing, ...]:
    prefix = device.channel.get("command")
    if not prefix:
        return ()
    body = {"id": ieee_of(device), **more, "transaction": transaction}
    return (Outgoing(f"{prefix}{word}", json.dumps(body, separators=(",", ":"))),)


def _read_info(_base: str, message: Message, _book: AddressBook) -> tuple[DeviceInput, ...]:
    """Refuse a bridge that would install an image of its own choice when it is asked for ours."""
    info = read_object(message.payload)
    if "zigbee_herdsman" not in info:
        return ()
    version = info.text("version")
    found = _VERSION.fullmatch(version)
    if found is None:
        raise BadInput(Reason.MALFORMED, "no Zigbee2MQTT version", path="version")
    if (int(found[1]), int(found[2])) < _OLDEST:
        raise BadInput(Reason.UNSUPPORTED_SPEC, f"{answers.TOO_OLD}, this is {version}", path="version")
    return ()


def _read_bridge_state(base: str, message: Message, _book: AddressBook) -> tuple[DeviceInput, ...]:
    online = read_online(message)
    lost = "" if online else f"{answers.Failure.BRIDGE_DIED}: Zigbee2MQTT went away, and forgets what it was doing"
    return (NetworkReported(NAME, base, online=online, lost=lost, retained=message.retained),)


def _read_event(base: str, message: Message, book: AddressBook) -> tuple[DeviceInput, ...]:
    """Read who came, went or restarted. A retained event is over."""
    if message.retained:
        return ()
    event = read_object(message.payload)
    kind, data = event.label("type"), event.optional_object("data")
    device_id = device_id_of(data.label("ieee_address")) if data is not None else None
    device = book.get(device_id) if device_id else None
    if data is None or device is None or device.network != base:
        return ()
    if kind == "device_leave":
        return (DeviceWithdrawn(device.id),)
    if kind == "device_announce":
        # Sent by a device that has just started, or has just found its way back into the mesh.
        return (DeviceLinkChanged(device.id, online=True), InstallReported(device.id, Stage.RESTARTED))
    interviewed = kind == "device_interview" and data.label("status") == "successful"
    return (DeviceLinkChanged(device.id, online=True),) if interviewed else ()


_OF_BRIDGES: dict[str, Callable[[str, Message, AddressBook], tuple[DeviceInput, ...]]] = {
    "info": _read_info,
    "devices": read_devices,
    "state": _read_bridge_state,
    "event": _read_event,
    f"{ANSWERS}check": answers.read_check,
    f"{ANSWERS}update": answers.read_update,
    f"{ANSWERS}schedule": answers.read_schedule,
    f"{ANSWERS}unschedule": answers.read_unschedule,
}
"""What a bridge says below its own topic; everything else there is passed over unread."""
