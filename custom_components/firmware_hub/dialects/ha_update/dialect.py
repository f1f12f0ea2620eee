"""Any device that announces an ``update`` to Home Assistant over MQTT (dialects.md 5.5, home_assistant.md 2.4 and 2.5).

What makes this family different from the others:

- It is no family: whoever follows Home Assistant's discovery is in it. So it is generic: where a family of its own
  knows the device, that family takes its place, and what is announced here is not read any more.
- All that can be said is "install": the device takes what its vendor offers it. So every install is of trust level
  ``vendor``, and what the device itself says of its offer is the offer.
- It cannot be asked anything: it speaks when something changes, and the broker keeps the last word.
- Templates are programs. Only those that are a path into the message are understood; all others are refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta

from ...core import limits
from ...core.errors import Reason, Refused
from ...core.inputs import DeviceInput, LastingOrderSeen
from ...core.model import Artifact, Device, Release
from ...core.ports import AddressBook, Capabilities
from ..base import InstallOrder, Message, Outgoing, PlainInstalls
from .announcements import order_address, read_config
from .states import NAME, read_word

_CONFIG = re.compile(r"homeassistant/(update|device)/(?:[A-Za-z0-9_-]{1,128}/)?[A-Za-z0-9_-]{1,128}/config")
_LONGEST_ORDER = 4 * limits.MAX_TEXT  # bytes of the longest text that an announcement may hold


class HaUpdateDialect(PlainInstalls):
    """Whatever shows an update entity in Home Assistant through its MQTT discovery."""

    name = NAME
    capabilities = Capabilities(
        # The announced payload is all that it understands.
        chooses_artifact=False,
        vendor_chooses=True,
        offers_itself=True,
        generic=True,
        # Where its maker took the trouble.
        reports_progress=True,
        reports_failure=False,
        echoes_attempt=False,
        rolls_back=False,
        # Nothing says whether such a device sleeps.
        wakes_by_itself=False,
        needs_plain_http=False,
        commits=False,
        announces_boot=False,
        answers=False,
        default_minutes=10,
        max_deadline=timedelta(hours=1),
    )
    filters: tuple[str, ...] = (
        "homeassistant/update/+/config",
        "homeassistant/update/+/+/config",
        "homeassistant/device/+/config",
        "homeassistant/device/+/+/config",
    )

    # Each device announces its own topic for commands.
    order_filters: tuple[str, ...] = ()

    def lasting_order(self, message: Message, book: AddressBook) -> LastingOrderSeen | None:
        """Find what a device announced as its order, where it announced it. Never raises."""
        said = message.payload if isinstance(message.payload, bytes) else message.payload.encode(errors="replace")
        if len(said) > _LONGEST_ORDER or not book.is_claimed(NAME, order_address(message.topic, said)):
            return None
        return LastingOrderSeen(NAME, message.topic, "payload_install")

    def filters_for(self, device: Device) -> tuple[str, ...]:
        """Return the topics that it announced: they follow no pattern. Never raises.

        Where it listens is one of them, for orders that were left there; Home Assistant itself leaves them there, if
        the device asks for it with ``retain``.
        """
        topics = (device.channel.get(word) for word in ("state", "latest", "availability", "command"))
        return tuple(dict.fromkeys(topic for topic in topics if topic))

    def read(self, message: Message, book: AddressBook) -> tuple[DeviceInput, ...]:
        """Read an announcement, or a message on one of the topics that were announced.

        Raises:
            BadInput: with the path of the fault; ``UNSUPPORTED_SPEC`` for templates that are more than a path, and for
                a second update of one device.
        """
        device = book.at(NAME, f"{message.topic}/")
        if kind := _CONFIG.fullmatch(message.topic):
            return read_config(kind[1], message, device, book)
        return read_word(device, message) if device is not None and message.payload else ()

    def query(self, device: Device) -> tuple[Outgoing, ...]:  # noqa: ARG002 - the Protocol's
        """Ask nothing: there is no question in this protocol. Never raises."""
        return ()

    def serve_as(self, release: Release) -> Mapping[str, Artifact]:
        """Name the image; it is never fetched from us. Never raises."""
        return {"image.bin": release.main}

    def install(self, order: InstallOrder) -> tuple[Outgoing, ...]:
        """Write the one install command.

        Raises:
            Refused: ``MANUAL_ONLY`` for anything but the vendor's choice; ``DEVICE_SILENT`` while it is not known where
                the device listens.
        """
        if not order.vendor_chooses:
            raise Refused(Reason.MANUAL_ONLY, "it takes nothing but its vendor's choice")
        channel = order.device.channel
        if "command" not in channel:
            raise Refused(Reason.DEVICE_SILENT, "the device has not said where it listens")
        return (Outgoing(channel["command"], channel.get("install", "")),)
