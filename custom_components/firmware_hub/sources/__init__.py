"""Sources: one file per published index format, pure translation of verified bytes into a manifest.

Contract: a source keeps no state, fetches nothing and judges nothing about time or history: expiry and rollback are
the ledger's (``core/manifest.py``), fit is ``core/matching.py``'s. It reads a document whole or not at all.
"""

from __future__ import annotations

from .base import Source
from .esphome_manifest import EsphomeManifestSource
from .github_releases import GithubReleasesSource
from .shelly_index import ShellyIndexSource
from .signed_manifest import SignedManifestSource
from .tuf_repository import TufRepositorySource
from .zigbee_ota_index import ZigbeeOtaIndexSource
from .zigpy_index import ZigpyIndexSource

SOURCES: tuple[Source, ...] = (
    SignedManifestSource(),
    TufRepositorySource(),
    GithubReleasesSource(),
    ShellyIndexSource(),
    ZigbeeOtaIndexSource(),
    ZigpyIndexSource(),
    EsphomeManifestSource(),
)
"""All known sources."""

BY_NAME = {source.name: source for source in SOURCES}
