"""Simulated firmware: a small recognisable header in front of filler bytes.

A device that flashes an image becomes what the header says. So a wrong file has the consequence that it has in life.
``raw`` begins with the magic, ``esp`` is a whole Espressif image with that in its first segment, for the chip that the
model or the hardware names, else for an ESP32; ``esp-gzip`` is gzip of that.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from simulator.esp import CHIP_IDS, ESP8266_PROGRAM, esp32_image, esp8266_image

MAGIC = b"SIMULATED-FIRMWARE\x00"
ESP_FIRST_BYTE = b"\xe9"
GZIP_MAGIC = b"\x1f\x8b"

_ESP8266 = "ESP8266"
_ESP32 = "ESP32"
_AROUND = 128  # bytes of header, segments, checksum and digest, rounded up

type Format = Literal["raw", "esp", "esp-gzip"]


class NotAnImage(ValueError):
    """These bytes are no simulated firmware."""


@dataclass(frozen=True, slots=True)
class Image:
    """What a binary makes of the device that boots it; ``size`` is about so many bytes, before compression.

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
        if form == "raw":
            return _filled(front, self.size)
        image = self._for_chip(front)
        return gzip.compress(image, mtime=0) if form == "esp-gzip" else image

    @property
    def chip(self) -> str:
        """The Espressif chip that it is for, if it is for one at all."""
        named = [text for text in (self.model, self.hardware) if text in CHIP_IDS or text == _ESP8266]
        return named[0] if named else _ESP32

    def _for_chip(self, front: bytes) -> bytes:
        if self.chip == _ESP8266:
            return esp8266_image(_filled(front, self.size - _AROUND - ESP8266_PROGRAM))
        return esp32_image(_filled(front, self.size - _AROUND), chip_id=CHIP_IDS[self.chip])


def _filled(front: bytes, size: int) -> bytes:
    return front + hashlib.shake_256(front).digest(max(0, size - len(front)))


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
    """Read the header of a binary in any of the three formats, wherever its loader finds it.

    Raises:
        NotAnImage: it has none, so a device that boots it is dead.
    """
    body = unpack(data)
    place = body.find(MAGIC) if body.startswith(ESP_FIRST_BYTE) else 0
    if place < 0 or not body.startswith(MAGIC, place):
        raise NotAnImage("no header")
    start = place + len(MAGIC) + 2
    length = int.from_bytes(body[start - 2 : start])
    try:
        fields: dict[str, Any] = json.loads(body[start : start + length])
        return Image(**fields)
    except (ValueError, TypeError) as error:
        raise NotAnImage(f"broken header: {error}") from error
