"""The nouns of the hub: devices, releases, offers, approvals and installs.

All are frozen: a change is a new value. Times are aware UTC. Everything here can be written to JSON and read back
(``core/records.py``), because the store keeps these very values.
"""

from __future__ import annotations

from .devices import (
    OFFERED,
    SUPPLIED,
    Device,
    DeviceFacts,
    DeviceId,
    FitKey,
    Identity,
    OfferedNotes,
    Presence,
)
from .installs import VERDICTS, Approval, Install, InstallState, PilotKey
from .publications import (
    DEVICE_ITSELF,
    Artifact,
    ArtifactFormat,
    ArtifactRole,
    Delivery,
    Feed,
    Manifest,
    Match,
    Offer,
    Product,
    Recovery,
    Release,
    Revoked,
    Support,
    Trust,
    VersionScheme,
)

__all__ = [
    "DEVICE_ITSELF",
    "OFFERED",
    "SUPPLIED",
    "VERDICTS",
    "Approval",
    "Artifact",
    "ArtifactFormat",
    "ArtifactRole",
    "Delivery",
    "Device",
    "DeviceFacts",
    "DeviceId",
    "Feed",
    "FitKey",
    "Identity",
    "Install",
    "InstallState",
    "Manifest",
    "Match",
    "Offer",
    "OfferedNotes",
    "PilotKey",
    "Presence",
    "Product",
    "Recovery",
    "Release",
    "Revoked",
    "Support",
    "Trust",
    "VersionScheme",
]
