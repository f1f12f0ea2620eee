"""Devices: what identifies one, what one message says of it, and what is known and seen of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

DeviceId = str
"""Hardware identity, never a name or topic: ``mac:8CAAB5A1B2C3``, ``ieee:0x000d6f0000000002`` or ``<dialect>:<id>``."""


OFFERED = "offered"
"""In a device's settings: the version that its vendor offers this very device; empty: none. Rollouts differ."""

SUPPLIED = "supplied"
"""In a device's settings: the install whose particulars it says to have read; empty: what it found is not the hub's."""

_NOTES = ("offered_noted", "offered_url", "offered_summary")


class OfferedNotes(NamedTuple):
    """What a device says of the version that its vendor offers it: an address, and one line. Foreign text."""

    version: str
    url: str
    summary: str

    def to_settings(self) -> dict[str, str]:
        """Return them as settings of the device. Never raises."""
        return dict(zip(_NOTES, self, strict=True))

    @classmethod
    def of(cls, settings: Mapping[str, str]) -> OfferedNotes | None:
        """Return what was said of the version that is offered now; ``None``: nothing. Never raises."""
        notes = cls(*(settings.get(name, "") for name in _NOTES))
        return notes if notes.version and notes.version == settings.get(OFFERED) else None


class FitKey(NamedTuple):
    """All that decides which release fits: devices with one key share one offer."""

    dialect: str
    manufacturer: str
    model: str
    hardware: str
    variant: str
    version: str
    counter: int | None
    image: str = ""
    offered: str | None = None
    notes: OfferedNotes | None = None
    supplied: bool = False


@dataclass(frozen=True, slots=True)
class Identity:
    """What an approval remembers of the device; a difference later voids it (invariant 4)."""

    manufacturer: str
    model: str
    hardware: str
    variant: str


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """What one message says of a device. ``None`` means that the message does not say.

    Attributes:
        addresses: topic prefixes under which the device speaks, each with its last slash; one belongs to one device.
        channel: what the dialect needs to speak to the device (topics, words); opaque to the core.
        image: address of the file that whoever asked the device found for it; see ``core/matching.py``.
        network: what shares one radio or bridge: the limit of parallel installs counts per network.
        settings: values of the device that an install changes and that are put back afterwards.
        helper: the device runs a helper image (minimal, safeboot), which is never a result.
        free_bytes: space for a new image, if the device says.
    """

    name: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    hardware: str | None = None
    variant: str | None = None
    version: str | None = None
    counter: int | None = None
    slots: int | None = None
    mac: str | None = None
    battery_powered: bool | None = None
    sleeps: bool | None = None
    free_bytes: int | None = None
    helper: bool | None = None
    image: str | None = None
    network: str | None = None
    addresses: tuple[str, ...] | None = None
    channel: Mapping[str, str] | None = None
    settings: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """One physical thing that can be updated, as far as it is known. Empty text means unknown.

    Attributes:
        borrowed: settings changed by an install and not yet seen restored.
    """

    id: DeviceId
    dialect: str
    name: str = ""
    manufacturer: str = ""
    model: str = ""
    hardware: str = ""
    variant: str = ""
    version: str = ""
    counter: int | None = None
    slots: int = 1
    mac: str = ""
    battery_powered: bool = False
    sleeps: bool = False
    free_bytes: int | None = None
    helper: bool = False
    image: str = ""
    network: str = ""
    addresses: tuple[str, ...] = ()
    channel: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    borrowed: Mapping[str, str] = field(default_factory=dict)
    first_seen: datetime | None = None

    @property
    def identity(self) -> Identity:
        """The identity that an approval remembers."""
        return Identity(self.manufacturer, self.model, self.hardware, self.variant)

    @property
    def fit_key(self) -> FitKey:
        """The key under which offers are kept."""
        return FitKey(
            self.dialect,
            self.manufacturer,
            self.model,
            self.hardware,
            self.variant,
            self.version,
            self.counter,
            self.image,
            self.settings.get(OFFERED),
            OfferedNotes.of(self.settings) if self.settings else None,
            bool(self.settings.get(SUPPLIED)),
        )


@dataclass(frozen=True, slots=True)
class Presence:
    """What a device is doing just now; never stored, because after a restart it must be seen again.

    Attributes:
        online: what the device or its last will says; ``None`` is not known.
        heard: since the connection it, or the broker for it, named its version; see ``Capabilities.answers``.
        last_report: when the device itself last named its version in a message that was not retained.
        offered_at: when it last said, in such a message, what its vendor offers it.
        last_query: when it was last asked.
        battery_percent, rssi_dbm, self_test: the last health report, with its time in ``health_at``.
    """

    online: bool | None = None
    heard: bool = False
    last_report: datetime | None = None
    offered_at: datetime | None = None
    last_query: datetime | None = None
    battery_percent: int | None = None
    rssi_dbm: int | None = None
    uptime_s: int | None = None
    self_test: str | None = None
    health_at: datetime | None = None
