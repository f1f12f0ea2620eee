"""Values that the tests of manifests and matching are made of: small, valid, and changed by keyword."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from custom_components.firmware_hub.core.model import (
    Artifact,
    ArtifactRole,
    FitKey,
    Manifest,
    Match,
    Release,
    Trust,
    VersionScheme,
)

NOW = datetime(2026, 11, 23, 2, 30, tzinfo=UTC)
DAY = timedelta(days=1)


def artifact(content: str = "", **changes: Any) -> Artifact:
    values: dict[str, Any] = {
        "role": ArtifactRole.MAIN,
        "name": "plug.bin",
        "url": "https://acme.example/plug.bin",
        "size": 1000,
        "sha256": (content.encode().hex() + "0" * 64)[:64] if content else "",
    }
    return Artifact(**values | changes)


def release(version: str = "1.2.0", content: str | None = None, **changes: Any) -> Release:
    """Make a release for a PLUG-S1; its bytes are named by ``content``, else by its version."""
    match = {"manufacturer": "Acme", "model": ("PLUG-S1",)}
    names = ("manufacturer", "model", "hardware", "variant", "min_version", "max_version")
    match.update({name: changes.pop(name) for name in names if name in changes})
    values: dict[str, Any] = {
        "match": Match(**match),  # type: ignore[arg-type]
        "version": version,
        "artifacts": (artifact(version if content is None else content),),
        "version_scheme": VersionScheme.SEMVER,
    }
    return Release(**values | changes)


def manifest(*releases: Release, **changes: Any) -> Manifest:
    values: dict[str, Any] = {
        "feed_id": "acme",
        "vendor": "Acme",
        "trust": Trust.SIGNED,
        "digest": "d1",
        "releases": releases,
        "sequence": 42,
        "issued": NOW - DAY,
        "expires": NOW + 29 * DAY,
        "key_id": "key",
    }
    return Manifest(**values | changes)


def device(version: str = "1.0.0", **changes: Any) -> FitKey:
    values: dict[str, Any] = {
        "dialect": "open",
        "manufacturer": "Acme",
        "model": "PLUG-S1",
        "hardware": "",
        "variant": "",
        "version": version,
        "counter": None,
    }
    return FitKey(**values | changes)
