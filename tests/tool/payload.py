"""Reading what was signed, without the tool."""

import base64
import json
from pathlib import Path
from typing import Any


def payload_of(manifest: Path) -> dict[str, Any]:
    """Return a manifest's payload, whoever signed it."""
    return _part(manifest, 1)


def header_of(manifest: Path) -> dict[str, Any]:
    """Return a manifest's protected header."""
    return _part(manifest, 0)


def _part(manifest: Path, number: int) -> dict[str, Any]:
    text = manifest.read_text().strip().split(".")[number]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return found
