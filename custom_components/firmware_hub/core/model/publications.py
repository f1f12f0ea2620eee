"""What vendors publish: feeds, manifests, releases and artifacts, and the offer that a release is to a device."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


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


@dataclass(frozen=True, slots=True)
class Artifact:
    """A binary of a release.

    Attributes:
        size: bytes; 0 where the feed states none, or another thing than the length of the file.
        sha256: 64 lower-case hex digits; empty where the feed states none.
        checksum: what the feed states instead of it: ``sha512:`` or ``sha3-256:`` and lower-case hex digits.
    """

    role: ArtifactRole
    name: str
    url: str
    size: int
    sha256: str
    format: ArtifactFormat = ArtifactFormat.RAW
    checksum: str = ""

    @property
    def pin(self) -> str:
        """What the bytes must be, in the feed's own words; empty where nobody says."""
        return self.sha256 or self.checksum


@dataclass(frozen=True, slots=True)
class Match:
    """For whom a release is. Empty tuples and texts match nothing unless the field's rule in ``matching`` says so.

    Attributes:
        image_type: of a Zigbee image: manufacturer code and image type, four hex digits each (``117c-2801``).
        min_hardware, max_hardware: of a Zigbee image: window of the hardware number, both ends within.
    """

    manufacturer: str
    model: tuple[str, ...]
    hardware: tuple[str, ...] = ()
    variant: str = ""
    min_version: str = ""
    max_version: str = ""
    image_type: str = ""
    min_hardware: str = ""
    max_hardware: str = ""


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
        """What an approval pins: the main image's ``pin``, or with helpers the SHA-256 over all of them in order."""
        if len(self.artifacts) == 1:
            return self.artifacts[0].pin
        lines = "\n".join(f"{artifact.role} {artifact.pin}" for artifact in self.artifacts)
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
class Product:
    """For whom the files of a feed are, in the owner's words, where its format does not say.

    Attributes:
        manufacturer, model, hardware, variant: as the devices report them; hardware ``*``: whatever they report.
        file: name of the file in each release; ``{version}`` and ``{tag}`` stand for the release's own.
        prereleases: whether what its maker calls a pre-release is wanted as well.
    """

    manufacturer: str
    model: str
    hardware: str = ""
    variant: str = ""
    file: str = ""
    prereleases: bool = False


@dataclass(frozen=True, slots=True)
class Feed:
    """Where a vendor publishes: address, format, trust.

    Attributes:
        source: name of the source that reads it (``signed_manifest``, ``github_releases``, ...).
        keys: pinned public keys as JWK JSON texts; empty below trust level ``signed``.
        dialect: built-in public feeds are fetched only while a device of this dialect exists; empty: always.
        model: the only model that it is about, made by ``feeds.feed_for``; then such a device must exist.
        product: what the owner says of it, for formats that do not say for whom their files are.
        root: trusted root metadata (JSON) of a TUF repository; empty for all others.
        files_url: where the targets of a TUF repository are; empty: where its metadata is.
        hosts: where it and its files may be, redirects included; with a dot in front: and whatever is below; empty:
            anywhere.
        authority: certificates (PEM) on whose word alone its servers are believed; empty: on that of the usual ones.
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
    model: str = ""
    product: Product | None = None
    root: str = ""
    files_url: str = ""
    hosts: tuple[str, ...] = ()
    authority: str = ""

    @property
    def origin(self) -> str:
        """A digest of its addresses and its authority: what was said under others is not its word."""
        return hashlib.sha256(repr((self.url, self.files_url, self.authority)).encode()).hexdigest()


DEVICE_ITSELF = ""
"""In the place of a feed: the offer is what the device itself says that its vendor offers it."""


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
    def vendor_chooses(self) -> bool:
        """Whether the device takes what its vendor offers it: then there is nothing to fetch, verify or serve."""
        return self.trust is Trust.VENDOR

    @property
    def digest(self) -> str:
        """The digest that an approval pins."""
        return self.release.digest
