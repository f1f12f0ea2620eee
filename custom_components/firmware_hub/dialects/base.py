"""What every dialect is: the messages it moves and the questions it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from ..core import limits
from ..core.inputs import DeviceInput, LastingOrderSeen
from ..core.model import OFFERED, Artifact, Device, OfferedNotes, Release
from ..core.ports import AddressBook, Capabilities
from ..core.untrusted import Object, is_web_address


@dataclass(frozen=True, slots=True)
class Message:
    """A message from the broker. ``payload`` may be text or bytes: Home Assistant's client does not promise which."""

    topic: str
    payload: str | bytes
    retained: bool = False


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to the broker. It has no QoS and no retain flag: both are always 0 and off (invariant 6)."""

    topic: str
    payload: str


@dataclass(frozen=True, slots=True)
class InstallOrder:
    """All that an install command may hold.

    Attributes:
        attempt_id: travels in the command where the family allows.
        url: plain address of the main artifact on the hub, good for this install only.
        manifest_url: address of the signed manifest as the hub verified it; empty if there is none.
        not_after: a device that knows the time ignores the command later than this; ``None``: no limit.
        vendor_chooses: trust level ``vendor`` was approved: the device takes what its vendor offers; ``url`` is empty.
    """

    attempt_id: str
    device: Device
    release: Release
    url: str
    manifest_url: str = ""
    not_after: datetime | None = None
    vendor_chooses: bool = False


@runtime_checkable
class Prober(Protocol):
    """What a dialect is besides, if its devices do not say who they are until they are asked.

    A stranger is nobody's device yet, so nothing is read out of what it says: it is only suspected, and asked. How
    often and how many may be asked is not the dialect's to decide.
    """

    def suspect(self, message: Message, book: AddressBook) -> str:
        """Return the address of a stranger who says to be there; empty if there is none. Never raises."""
        ...

    def probe(self, address: str) -> tuple[Outgoing, ...]:
        """Ask a stranger who it is. Changes nothing on it, whatever it is. Never raises."""
        ...


@runtime_checkable
class Announcer(Protocol):
    """What a dialect is besides, if its devices look at an address that is compiled into them for what to install."""

    def announcement(self, device: Device, release: Release, url: str, md5: str, install_id: str) -> str:
        """Write what such a device reads there: this release, whose image has this address and MD5.

        It names the install in a way that the device repeats: that is how it proves that it read this itself.

        Raises:
            Refused: it is not known how to tell this device.
        """
        ...


class Dialect(Protocol):
    """One firmware family's way of speaking MQTT."""

    @property
    def name(self) -> str:
        """The family's name: module name, first part of its fixtures and of its documentation page."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What the family can do."""
        ...

    @property
    def filters(self) -> tuple[str, ...]:
        """Topic filters that find devices of this family."""
        ...

    @property
    def order_filters(self) -> tuple[str, ...]:
        """Topic filters of the orders to install that devices of this family obey, to find those that the broker keeps.

        Few, because Home Assistant's client holds each topic that it meets against each filter; none that matches what
        devices say; none at all where devices listen wherever they like: there each device's own is in ``filters_for``.
        """
        ...

    def lasting_order(self, message: Message, book: AddressBook) -> LastingOrderSeen | None:
        """Say what a message that the broker keeps orders a device to install; ``None``: nothing. Never raises.

        The order's ``what`` is a word of the family and nothing out of the message, which may hold a password. One
        look-up in ``book`` at most: most families tell an order by its topic.
        """
        ...

    def filters_for(self, device: Device) -> tuple[str, ...]:
        """Return the topic filters under which this device answers; few different ones over a whole fleet."""
        ...

    def read(self, message: Message, book: AddressBook) -> tuple[DeviceInput, ...]:
        """Read one message; empty if it is not this family's or says nothing of interest.

        Raises:
            BadInput: it is this family's message and cannot be understood.
        """
        ...

    def query(self, device: Device) -> tuple[Outgoing, ...]:
        """Ask a device for its version and state; changes nothing on it."""
        ...

    def serve_as(self, release: Release) -> Mapping[str, Artifact]:
        """Name the files under which the artifacts are served, the main one first."""
        ...

    def install(self, order: InstallOrder) -> tuple[Outgoing, ...]:
        """Write the one install command.

        Raises:
            Refused: the device cannot take it (no channel known, address too long for the family).
        """
        ...

    def borrows(self, device: Device) -> Mapping[str, str]:
        """Return the settings that an install changes, with the values to put back; empty for most families."""
        ...

    def restore(self, device: Device, settings: Mapping[str, str]) -> tuple[Outgoing, ...]:
        """Put settings back after an install."""
        ...

    def commit(self, device: Device, attempt_id: str) -> tuple[Outgoing, ...]:
        """Tell a device on trial to keep the new image; empty where the family has no trial."""
        ...

    def rollback(self, device: Device, attempt_id: str) -> tuple[Outgoing, ...]:
        """Tell a device to go back to its other slot; empty where the family cannot."""
        ...


class PlainInstalls:
    """What most families are: an install borrows no setting, and there is neither a trial nor a way back by command."""

    def borrows(self, device: Device) -> Mapping[str, str]:  # noqa: ARG002 - the Protocol's
        """Return nothing. Never raises."""
        return {}

    def restore(self, device: Device, settings: Mapping[str, str]) -> tuple[Outgoing, ...]:  # noqa: ARG002
        """Write nothing. Never raises."""
        return ()

    def commit(self, device: Device, attempt_id: str) -> tuple[Outgoing, ...]:  # noqa: ARG002 - the Protocol's
        """Write nothing. Never raises."""
        return ()

    def rollback(self, device: Device, attempt_id: str) -> tuple[Outgoing, ...]:  # noqa: ARG002 - the Protocol's
        """Write nothing. Never raises."""
        return ()


def offered(version: str, said: Object) -> dict[str, str]:
    """Return as settings what a device says that its vendor offers it: the version, and what there is to read about it.

    The words for that are those of Home Assistant's own update entities (dialects.md 5.5), which most families use.

    Raises:
        BadInput: a note that is no text.
    """
    url, summary = said.label("release_url", max_chars=limits.MAX_URL), said.label("release_summary")
    notes = OfferedNotes(version, url if is_web_address(url) and len(url) <= limits.MAX_TEXT else "", summary)
    has_notes = version and (notes.url or notes.summary)
    return {OFFERED: version, **(notes.to_settings() if has_notes else {})}
