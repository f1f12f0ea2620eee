"""Tasmota's releases in the shape of GitHub's interface: lists, one release, assets with digests, downloads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from simulator.images import Image
from simulator.tricks import Answer

OWNER = "arendst/Tasmota"
API = f"/repos/{OWNER}"
DOWNLOADS = f"/{OWNER}/releases/download"
PUBLISHED = "2026-11-01T10:00:00Z"

FILES = {
    "ESP8266": "tasmota",
    "ESP32": "tasmota32",
    "ESP32-SOLO1": "tasmota32solo1",
    "ESP32-C2": "tasmota32c2",
    "ESP32-C3": "tasmota32c3",
    "ESP32-C6": "tasmota32c6",
    "ESP32-S2": "tasmota32s2",
    "ESP32-S3": "tasmota32s3",
}
"""By chip how the file of its plain image is called, without the ending."""
USUAL = (
    ("tasmota", "ESP8266", "tasmota", 24_000),
    ("tasmota-lite", "ESP8266", "lite", 18_000),
    ("tasmota-sensors", "ESP8266", "sensors", 24_000),
    ("tasmota-DE", "ESP8266", "DE", 24_000),
    ("tasmota-minimal", "ESP8266", "minimal", 10_000),
    ("tasmota32", "ESP32", "tasmota32", 40_000),
    ("tasmota32c3", "ESP32-C3", "tasmota32", 40_000),
    ("tasmota32s3", "ESP32-S3", "tasmota32", 40_000),
    ("tasmota32-safeboot", "ESP32", "safeboot", 16_000),
    ("tasmota32c3-safeboot", "ESP32-C3", "safeboot", 16_000),
)


@dataclass(slots=True)
class TasmotaRelease:
    """One release: its assets by file name, and GitHub's members that a test may want to change.

    ``digests`` overrides what GitHub says of an asset; ``None`` is what it says of old uploads.
    """

    version: str
    assets: dict[str, bytes]
    notes: str = ""
    prerelease: bool = False
    draft: bool = False
    published: str = PUBLISHED
    digests: dict[str, str | None] = field(default_factory=dict)

    @classmethod
    def usual(
        cls, version: str, *, only: Iterable[str] = (), sizes: Mapping[str, int] | None = None, **rest: Any
    ) -> Self:
        """Make a release with the usual binaries, or only those of these image names.

        ``sizes`` overrides the bytes of an image; ESP8266 images are there as ``.bin`` and ``.bin.gz``.
        """
        wanted = set(only)
        assets: dict[str, bytes] = {}
        for name, chip, variant, size in USUAL:
            if wanted and name not in wanted:
                continue
            image = Image("Tasmota", chip, version, variant=variant, size=(sizes or {}).get(name, size))
            assets[f"{name}.bin"] = image.build("esp")
            if chip == "ESP8266":
                assets[f"{name}.bin.gz"] = image.build("esp-gzip")
            elif variant != "safeboot":
                assets[f"{name}.factory.bin"] = image.build("esp") + b"factory"
        return cls(version, assets, notes=f"## Changelog {version}\n\n- Many things", **rest)

    @property
    def tag(self) -> str:
        """The tag, with the ``v`` that Tasmota's tags have."""
        return f"v{self.version}"

    def as_json(self, base: str) -> dict[str, Any]:
        """Return GitHub's description of this release."""
        return {
            "url": f"{base}{API}/releases/{self._number}",
            "html_url": f"https://github.com/{OWNER}/releases/tag/{self.tag}",
            "id": self._number,
            "tag_name": self.tag,
            "name": f"Tasmota {self.tag}",
            "draft": self.draft,
            "prerelease": self.prerelease,
            "created_at": self.published,
            "published_at": self.published,
            "body": self.notes,
            "assets": [self._asset(base, name, data) for name, data in self.assets.items()],
        }

    def _asset(self, base: str, name: str, data: bytes) -> dict[str, Any]:
        digest: str | None = f"sha256:{hashlib.sha256(data).hexdigest()}"
        number = int.from_bytes(hashlib.sha256(f"{self.tag}/{name}".encode()).digest()[:4])
        return {
            "url": f"{base}{API}/releases/assets/{number}",
            "id": number,
            "name": name,
            "label": "",
            "content_type": "application/octet-stream",
            "state": "uploaded",
            "size": len(data),
            "digest": self.digests.get(name, digest),
            "download_count": 1,
            "created_at": self.published,
            "updated_at": self.published,
            "browser_download_url": f"{base}{DOWNLOADS}/{self.tag}/{name}",
        }

    @property
    def _number(self) -> int:
        return int.from_bytes(hashlib.sha256(self.tag.encode()).digest()[:4])


def answer(releases: Sequence[TasmotaRelease], path: str, query: Mapping[str, str], base: str) -> Answer | None:
    """Answer a request for releases or assets; ``None`` if the path is neither.

    ``latest`` leaves out drafts and pre-releases, the list leaves out drafts.
    """
    if path.startswith(f"{DOWNLOADS}/"):
        tag, _, name = path.removeprefix(f"{DOWNLOADS}/").partition("/")
        data = next((r.assets[name] for r in releases if r.tag == tag and name in r.assets), None)
        return None if data is None else Answer(data)
    if not path.startswith(f"{API}/releases"):
        return None
    public = [release for release in releases if not release.draft]
    rest = path.removeprefix(f"{API}/releases").strip("/")
    if not rest:
        count = int(query.get("per_page", "30"))
        return _json([release.as_json(base) for release in public[:count]])
    if rest == "latest":
        public = [release for release in public if not release.prerelease]
    else:
        public = [release for release in public if rest == f"tags/{release.tag}"]
    return _json(public[0].as_json(base)) if public else _json({"message": "Not Found"}, 404)


def _json(value: object, status: int = 200) -> Answer:
    return Answer(json.dumps(value).encode(), status, "application/json")
