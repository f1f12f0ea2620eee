"""Zigbee OTA files with simulated firmware inside, written and read without the code that they are to test."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

from simulator.images import Image, NotAnImage, read_image

MAGIC = 0x0BEEF11E
IKEA, BULB = 0x117C, 0x2101
_HEADER = struct.Struct("<IHHHHHIH32sI")
_ELEMENT = struct.Struct("<HI")


@dataclass(frozen=True, slots=True)
class OtaFile:
    """What a bridge reads in a file; ``build`` is the version that people read."""

    manufacturer_code: int
    image_type: int
    file_version: int
    build: str
    size: int
    payload: bytes

    @property
    def image(self) -> Image | None:
        """The firmware inside; ``None`` if a device that boots it is dead."""
        try:
            return read_image(self.payload)
        except NotAnImage:
            return None


def build_ota(image: Image, *, manufacturer_code: int = IKEA, image_type: int = BULB, build: str = "") -> bytes:
    """Return the file of an image whose version is a whole number."""
    payload = image.build()
    text = (build or build_of(image.version)).encode()
    size = _HEADER.size + _ELEMENT.size + len(payload)
    header = _HEADER.pack(
        MAGIC, 0x0100, _HEADER.size, 0, manufacturer_code, image_type, int(image.version), 2, text, size
    )
    return header + _ELEMENT.pack(0, len(payload)) + payload


def index_entry(data: bytes, url: str) -> dict[str, object]:
    """Return how an index of Zigbee images names a file."""
    file = read_ota(data)
    return {
        "fileName": url.rpartition("/")[2],
        "fileVersion": file.file_version,
        "fileSize": file.size,
        "url": url,
        "imageType": file.image_type,
        "manufacturerCode": file.manufacturer_code,
        "sha512": hashlib.sha512(data).hexdigest(),
        "otaHeaderString": file.build,
        "releaseNotes": f"What is new in {file.build}",
    }


def build_of(version: str) -> str:
    """Return a version for people out of the device's own number, as most makers form it."""
    number = int(version)
    return f"{number >> 28}.{number >> 20 & 0xFF}.{number & 0xFFFFF}"


def read_ota(data: bytes) -> OtaFile:
    """Read a file the way Zigbee2MQTT does: the header wherever it stands, and elements that must add up.

    Raises:
        NotAnImage: it is none.
    """
    start = data.find(MAGIC.to_bytes(4, "little"))
    if start < 0 or len(data) < start + _HEADER.size:
        raise NotAnImage("Not a valid OTA file")
    _, _, length, _, maker, kind, version, _, text, size = _HEADER.unpack_from(data, start)
    body = data[start : start + size]
    payload, place = b"", length
    while place + _ELEMENT.size <= len(body):
        tag, count = _ELEMENT.unpack_from(body, place)
        place += _ELEMENT.size
        data = body[place : place + count]
        payload = payload if tag else data
        place += len(data)
    if place != size:
        raise NotAnImage("Size mismatch")
    return OtaFile(maker, kind, version, text.rstrip(b"\0").decode(errors="replace"), size, payload)
