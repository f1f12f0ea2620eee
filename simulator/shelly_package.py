"""Shelly's packages and indexes: the ZIP that a device loads, and the pages on which its vendor says where it is."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

from simulator.images import Image, NotAnImage, read_image

MANIFEST = "manifest.json"
_DAY = (2026, 1, 27, 9, 30, 0)


class BadPackage(ValueError):
    """A device cannot use this; the text is what it would say."""


def build_id(image: Image, *, first_generation: bool = False) -> str:
    """Return the name of a build, as either generation writes it."""
    stamp = "20230913-112003" if first_generation else "20260127-093000"
    return f"{stamp}/{'v' if first_generation else ''}{image.version}-gcb84623"


def package(image: Image, *, name: str = "", version: str = "", first_generation: bool = False) -> bytes:
    """Return the package of an image; the same one always gives the same bytes.

    ``name`` and ``version`` make its manifest lie about the app and the version inside.
    """
    parts = {
        "boot": ("bootloader.bin", b"boot" * 64),
        "app": (f"{image.model}.bin", image.build("esp")),
        "fs": ("fs.img", b"files" * 64),
    }
    manifest = {
        "name": name or image.model,
        "platform": "esp32",
        "version": "1.0" if first_generation else version or image.version,
        "build_id": build_id(image, first_generation=first_generation),
        "build_timestamp": "2026-01-27T09:30:00Z",
        "parts": {
            key: {"type": key, "src": source, "size": len(data), "cs_sha256": hashlib.sha256(data).hexdigest()}
            for key, (source, data) in parts.items()
        }
        | {"nvs": {"type": "nvs", "fill": 255, "size": 16384}},
    }
    return _zip({MANIFEST: json.dumps(manifest).encode()} | dict(parts.values()))


def read_package(data: bytes, *, wanted: str = "") -> Image:
    """Read a package as a device does: its manifest, for whom it is, its parts, and what boots.

    Raises:
        BadPackage: it is broken, or for another app than ``wanted`` (empty: any).
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as opened:
            manifest = json.loads(opened.read(MANIFEST))
            if wanted and manifest["name"] != wanted:
                raise BadPackage(f"INVALID_ARGUMENT: app name mismatch, want {wanted}, got {manifest['name']}")
            files = {key: opened.read(part["src"]) for key, part in manifest["parts"].items() if "src" in part}
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError) as error:
        if isinstance(error, BadPackage):
            raise
        raise BadPackage("INVALID_ARGUMENT: not a firmware package") from error
    for key, content in files.items():
        if hashlib.sha256(content).hexdigest() != manifest["parts"][key]["cs_sha256"]:
            raise BadPackage(f"DATA_LOSS: digest mismatch in {key}")
    try:
        return read_image(files["app"])
    except (KeyError, NotAnImage) as error:
        raise BadPackage("INVALID_ARGUMENT: no application") from error


def index_of_app(image: Image, data: bytes, base: str, *, alt: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the page of one app: its package lies below ``base`` under its SHA-256."""
    address = f"{base}/{image.model}/{hashlib.sha256(data).hexdigest()}"
    stable = {"version": image.version, "build_id": build_id(image), "url": address}
    return {"stable": stable, "name": image.model, "time": 1784000000} | ({"alt": dict(alt)} if alt else {})


def index_of_models(images: Mapping[str, Image]) -> dict[str, Any]:
    """Return the page of the first generation: for each address of a package the image in it."""
    return {
        "isok": True,
        "data": {
            image.model: {"url": address, "version": build_id(image, first_generation=True)}
            for address, image in images.items()
        },
    }


def _zip(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as written:
        for name, content in files.items():
            written.writestr(zipfile.ZipInfo(name, _DAY), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
