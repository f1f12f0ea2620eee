"""The nouns of the hub: devices, releases, offers, approvals and installs.

All are frozen: a change is a new value. Times are aware UTC. Everything here can be written to JSON and read back
(``core/records.py``), because the store keeps these very values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from .errors import Reason

DeviceId = str
"""Hardware identity, never a name or topic: ``mac:8CAAB5A1B2C3``, ``ieee:0x000d6f0000000002`` or ``<dialect>:<id>``."""


class Trust(StrEnum):
    """How far a feed is proven (design section 2)."""

    SIGNED = "signed"
    DIGEST = "digest"
    VENDOR = "vendor"


class VersionScheme(StrEnum):
    """How the versions of a release are ordered (design section 5.1)."""

    SEMVER = "semver"
    DOTTED = "dotted"
    INTEGER = "integer"


class Delivery(StrEnum):
    """How a release reaches the device."""

    OTA = "ota"
    MANUAL = "manual"


class ArtifactRole(StrEnum):
    """What an artifact is for: the image itself, or a helper image that a device needs on the way."""

    MAIN = "main"
    HELPER = "helper"


class ArtifactFormat(StrEnum):
    """Container of an artifact (design section 5.1)."""

    RAW = "raw"
    ESP = "esp"
    ESP_GZIP = "esp-gzip"
    ZIGBEE_OTA = "zigbee-ota"
    SHELLY_ZIP = "shelly-zip"


class InstallState(StrEnum):
    """Where an install stands. The values after ``ROLLING_BACK`` are ends: they are the verdicts."""

    AWAITING_APPROVAL = "awaiting_approval"
    APPROVED = "approved"
    DEFERRED = "deferred"
    DOWNLOADING = "downloading"
    DOWNLOADED = "downloaded"
    INSTALLING = "installing"
    REBOOTING = "rebooting"
    VERIFYING = "verifying"
    ROLLING_BACK = "rolling_back"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    REJECTED = "rejected"
    ROLLED_BACK = "rolled_back"
    ROLLBACK_FAILED = "rollback_failed"
    SKIPPED = "skipped"
    CANCELED = "canceled"
    ALREADY_INSTALLED = "already_installed"
    REMOVED = "removed"

    @property
    def is_end(self) -> bool:
        """Whether this state is a verdict."""
        return self in VERDICTS

    @property
    def is_waiting(self) -> bool:
        """Whether nothing of this install has been downloaded or sent yet."""
        return self in _WAITING

    @property
    def is_active(self) -> bool:
        """Whether something really runs: this is what a person sees as progress."""
        return self in _ACTIVE

    @property
    def is_commanded(self) -> bool:
        """Whether a command was written down, so that the device may be changing."""
        return self in _COMMANDED


VERDICTS = frozenset(
    {
        InstallState.SUCCEEDED,
        InstallState.FAILED,
        InstallState.TIMED_OUT,
        InstallState.REJECTED,
        InstallState.ROLLED_BACK,
        InstallState.ROLLBACK_FAILED,
        InstallState.SKIPPED,
        InstallState.CANCELED,
        InstallState.ALREADY_INSTALLED,
        InstallState.REMOVED,
    }
)
_WAITING = frozenset({InstallState.AWAITING_APPROVAL, InstallState.APPROVED, InstallState.DEFERRED})
_COMMANDED = frozenset(
    {InstallState.INSTALLING, InstallState.REBOOTING, InstallState.VERIFYING, InstallState.ROLLING_BACK}
)
_ACTIVE = _COMMANDED | {InstallState.DOWNLOADING, InstallState.DOWNLOADED}


class FitKey(NamedTuple):
    """All that decides which release fits: devices with one key share one offer."""

    dialect: str
    manufacturer: str
    model: str
    hardware: str
    variant: str
    version: str
    counter: int | None


class PilotKey(NamedTuple):
    """Invariant 8: the first device of each (model, hardware, variant, version) is installed alone."""

    manufacturer: str
    model: str
    hardware: str
    variant: str
    version: str


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
            self.dialect, self.manufacturer, self.model, self.hardware, self.variant, self.version, self.counter
        )


@dataclass(frozen=True, slots=True)
class Presence:
    """What a device is doing just now; never stored, because after a restart it must be seen again.

    Attributes:
        online: what the device or its last will says; ``None`` is not known.
        last_report: when the device itself last named its version in a message that was not retained.
        last_query: when it was last asked.
        battery_percent, rssi_dbm, self_test: the last health report, with its time in ``health_at``.
    """

    online: bool | None = None
    last_report: datetime | None = None
    last_query: datetime | None = None
    battery_percent: int | None = None
    rssi_dbm: int | None = None
    uptime_s: int | None = None
    self_test: str | None = None
    health_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Artifact:
    """A binary of a release: size in bytes, ``sha256`` as 64 lower-case hex digits (empty: the feed states none)."""

    role: ArtifactRole
    name: str
    url: str
    size: int
    sha256: str
    format: ArtifactFormat = ArtifactFormat.RAW


@dataclass(frozen=True, slots=True)
class Match:
    """For whom a release is. Empty tuples and texts match nothing unless the field's rule in ``matching`` says so."""

    manufacturer: str
    model: tuple[str, ...]
    hardware: tuple[str, ...] = ()
    variant: str = ""
    min_version: str = ""
    max_version: str = ""


@dataclass(frozen=True, slots=True)
class Recovery:
    """What a person can do when the device does not come back, in the maker's words."""

    notes: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Release:
    """One version of one model in a manifest (design section 5.1)."""

    match: Match
    version: str
    artifacts: tuple[Artifact, ...]
    version_scheme: VersionScheme = VersionScheme.SEMVER
    counter: int | None = None
    channel: str = "stable"
    published: datetime | None = None
    kind: str = ""
    severity: str = ""
    cves: tuple[str, ...] = ()
    summary: str = ""
    notes: str = ""
    notes_url: str = ""
    delivery: Delivery = Delivery.OTA
    revertible: bool = False
    rollback_to: tuple[str, ...] = ()
    dual_bank: bool = False
    regulated: bool = False
    install_minutes: int | None = None
    min_battery_percent: int | None = None
    recovery: Recovery = Recovery()

    @property
    def main(self) -> Artifact:
        """The image itself. A reader refuses a release without exactly one."""
        return next(artifact for artifact in self.artifacts if artifact.role is ArtifactRole.MAIN)

    @property
    def digest(self) -> str:
        """What an approval pins: the main image's SHA-256, or with helpers the SHA-256 over all of them in order."""
        if len(self.artifacts) == 1:
            return self.artifacts[0].sha256
        lines = "\n".join(f"{artifact.role} {artifact.sha256}" for artifact in self.artifacts)
        return hashlib.sha256(lines.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Revoked:
    """A release that its vendor withdrew."""

    model: str
    version: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Support:
    """Until when the vendor maintains a model."""

    model: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Manifest:
    """A feed's statement after its bytes were verified and read.

    Attributes:
        digest: SHA-256 (hex) of the verified payload: two contents under one sequence number are equivocation.
        key_id: fingerprint of the key that signed it, empty below trust level ``signed``.
        sequence: ``None`` where the format has none.
    """

    feed_id: str
    vendor: str
    trust: Trust
    digest: str
    releases: tuple[Release, ...]
    sequence: int | None = None
    issued: datetime | None = None
    expires: datetime | None = None
    key_id: str = ""
    next_keys: tuple[str, ...] = ()
    revoked: tuple[Revoked, ...] = ()
    support: tuple[Support, ...] = ()


@dataclass(frozen=True, slots=True)
class Feed:
    """Where a vendor publishes: address, format, trust.

    Attributes:
        source: name of the source that reads it (``signed_manifest``, ``github_releases``, ...).
        keys: pinned public keys as JWK JSON texts; empty below trust level ``signed``.
        dialect: built-in public feeds are fetched only while a device of this dialect exists; empty: always.
    """

    id: str
    source: str
    title: str
    url: str
    trust: Trust
    vendor: str = ""
    keys: tuple[str, ...] = ()
    dialect: str = ""
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Offer:
    """A release that fits a device, with the proof behind it."""

    release: Release
    feed_id: str
    trust: Trust
    vendor: str
    key_id: str = ""
    issued: datetime | None = None
    expires: datetime | None = None
    notes: tuple[tuple[str, str], ...] = ()
    """(version, notes) of all releases between the running version and this one, newest first."""

    @property
    def version(self) -> str:
        """The offered version."""
        return self.release.version

    @property
    def digest(self) -> str:
        """The digest that an approval pins."""
        return self.release.digest


@dataclass(frozen=True, slots=True)
class Approval:
    """Somebody's yes, pinned to version and digest (invariant 1). ``by`` is a user id or ``policy:<name>``."""

    by: str
    at: datetime
    expires: datetime
    at_once: bool = False


@dataclass(frozen=True, slots=True)
class Install:
    """One device's run from approval to verdict. It carries its release, so that a later manifest cannot change it.

    Attributes:
        id: of the install; it never changes. ``attempt_id`` is new for each attempt and travels in the command.
        deadline: when the present state is over, whatever happens; ``None`` only while it waits for its turn.
        not_before: a deferred install is not looked at earlier.
        fetched: its artifacts were brought into the cache and verified once.
        command_deadline: no new attempt may start before this (invariant 6); a later install of the device inherits it.
        reacted: the device said or did something that only the command explains.
        failure, failure_detail: what the device itself said about a failure; its version decides what is believed.
        asked_last: the last question before a verdict was put.
        helper_seen: the device was seen in a helper image during this attempt.
        old_seen: the device itself named the old version after the command.
        went_away: the device left after the command, so that its return is a return.
        says_restart: it said that it is about to restart; ``restarted``: it did, by its own word or its uptime.
        healthy: its own self-test after the return; ``None`` while it has said nothing.
        returned_at: when it came back on the wanted version.
        verify_until: until when it must have proved itself.
        percent: 0 to 100, never falling within one attempt; ``None`` where the family reports none.
        windows_closed: the hub's count of closed windows when this install began to wait.
        settle_until: until when the first device of a release must stay well.
        retry: a person wants it although this very device failed with this release: the stop that its failure caused
            does not hold it up.
    """

    id: str
    device_id: DeviceId
    offer: Offer
    approval: Approval
    identity: Identity
    from_version: str
    state: InstallState = InstallState.AWAITING_APPROVAL
    reason: Reason | None = None
    reason_values: Mapping[str, str] = field(default_factory=dict)
    attempt: int = 0
    attempt_id: str = ""
    deadline: datetime | None = None
    not_before: datetime | None = None
    fetched: bool = False
    fetch_failures: int = 0
    command_at: datetime | None = None
    command_deadline: datetime | None = None
    reacted: bool = False
    failure: Reason | None = None
    failure_detail: str = ""
    asked_last: bool = False
    helper_seen: bool = False
    old_seen: bool = False
    went_away: bool = False
    says_restart: bool = False
    restarted: bool = False
    healthy: bool | None = None
    returned_at: datetime | None = None
    verify_until: datetime | None = None
    commits_sent: int = 0
    percent: int | None = None
    windows_closed: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    settle_until: datetime | None = None
    retry: bool = False

    @property
    def pilot_key(self) -> PilotKey:
        """The key under which the first install goes alone (invariant 8)."""
        return PilotKey(
            self.identity.manufacturer,
            self.identity.model,
            self.identity.hardware,
            self.identity.variant,
            self.offer.version,
        )
