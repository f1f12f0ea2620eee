"""Simulated firmware: a small recognisable header in front of filler bytes.

A device that flashes an image becomes what the header says. So a wrong file has the consequence that it has in life.
``raw`` begins with the magic, ``esp`` with the byte 0xE9 before it, ``esp-gzip`` is gzip of that.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

MAGIC = b"SIMULATED-FIRMWARE\x00"
ESP_FIRST_BYTE = b"\xe9"
GZIP_MAGIC = b"\x1f\x8b"

type Format = Literal["raw", "esp", "esp-gzip"]


class NotAnImage(ValueError):
    """These bytes are no simulated firmware."""


@dataclass(frozen=True, slots=True)
class Image:
    """What a binary makes of the device that boots it; ``size`` is in bytes, before compression.

    For Tasmota, ``manufacturer`` is ``Tasmota``, ``model`` the chip family (``ESP8266``, ``ESP32``, ``ESP32-C3`` ...)
    and ``variant`` the image's name as it stands in the version's brackets.
    """

    manufacturer: str
    model: str
    version: str
    hardware: str = ""
    variant: str = ""
    counter: int | None = None
    size: int = 16_384

    def build(self, form: Format = "raw") -> bytes:
        """Return the binary. The same image always gives the same bytes, and its filler does not compress."""
        header = json.dumps(asdict(self), sort_keys=True).encode()
        front = MAGIC + len(header).to_bytes(2) + header
        if form != "raw":
            front = ESP_FIRST_BYTE + front
        filler = hashlib.shake_256(front).digest(max(0, self.size - len(front)))
        return gzip.compress(front + filler, mtime=0) if form == "esp-gzip" else front + filler


def unpack(data: bytes) -> bytes:
    """Return the bytes that end up in flash: gzip is undone.

    Raises:
        NotAnImage: broken gzip.
    """
    if not data.startswith(GZIP_MAGIC):
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError) as error:
        raise NotAnImage(f"broken gzip: {error}") from error


def read_image(data: bytes) -> Image:
    """Read the header of a binary in any of the three formats.

    Raises:
        NotAnImage: it has none, so a device that boots it is dead.
    """
    body = unpack(data).removeprefix(ESP_FIRST_BYTE)
    if not body.startswith(MAGIC):
        raise NotAnImage("no header")
    start = len(MAGIC) + 2
    length = int.from_bytes(body[len(MAGIC) : start])
    try:
        fields: dict[str, Any] = json.loads(body[start : start + length])
        return Image(**fields)
    except (ValueError, TypeError) as error:
        raise NotAnImage(f"broken header: {error}") from error
