"""Images as Espressif's tools build them, around any bytes: header, segments, checksum, digest, description.

The layout is that of "Firmware Image Format" in the documentation of esptool; what the hub reads is what this writes,
written apart from it.
"""

from __future__ import annotations

import functools
import hashlib
import operator
import struct

CHIP_IDS = {
    "ESP32": 0,
    "ESP32-S2": 2,
    "ESP32-C3": 5,
    "ESP32-S3": 9,
    "ESP32-C2": 12,
    "ESP32-C6": 13,
    "ESP32-C5": 23,
}
ESP8266_PROGRAM = 0x1000
"""Where the program of an ESP8266 image begins, behind its boot loader."""

_MAGIC = 0xE9
_ESP8266_BOOT = 0x4010F000
_ESP8266_ENTRY = 0x401000BC
_ESP32_ENTRY = 0x40081234
_SHA256_BYTES = 32
_WORDS = ESP8266_PROGRAM + 16
_PLACEHOLDER = b"\xde\xad\xbe\xef\x01\x02\x03\x04"


def esp8266_image(body: bytes, *, boot_loader: bytes = b"\x00" * 64, crc: bool = True) -> bytes:
    """Build an image of the Arduino core for the ESP8266: boot loader, filler, program.

    With ``crc``, as in later cores, length and CRC take the place of two words of the program whose checksum was
    made before.
    """
    boot = _esp8266_part(_ESP8266_BOOT, [(_ESP8266_BOOT, boot_loader)])
    words = _PLACEHOLDER if crc else b""
    program = _esp8266_part(_ESP8266_ENTRY, [(0x40201010, words + body), (0x40100000, b"\x12\x34\x56\x78")])
    image = boot.ljust(ESP8266_PROGRAM, b"\xaa") + program
    if not crc:
        return image
    front, rest = image[:_WORDS], image[_WORDS + len(words) :]
    return front + struct.pack("<II", len(image), _crc(front + bytes(len(words)) + rest)) + rest


def _crc(data: bytes) -> int:
    value = 0xFFFFFFFF
    for byte in data:
        value = value << 8 & 0xFFFFFFFF ^ _CRC_TABLE[value >> 24 ^ byte]
    return value


def _crc_entry(byte: int) -> int:
    value = byte << 24
    for _ in range(8):
        value = (value << 1 ^ (0x04C11DB7 if value & 0x80000000 else 0)) & 0xFFFFFFFF
    return value


def esp32_image(
    body: bytes,
    *,
    chip_id: int = 0,
    entry: int = _ESP32_ENTRY,
    project: str = "",
    version: str = "",
    secure_version: int = 0,
    hashed: bool = True,
) -> bytes:
    """Build an application for any of the other chips; with ``project`` it describes itself."""
    described = _description(project, version, secure_version) if project else b""
    segments = [(0x3F400020, described + body), (0x40080000, b"\x01\x02\x03\x04" * 4)]
    extension = struct.pack("<4sHBHH4sB", b"\xee\x00\x00\x00", chip_id, 0, 0, 0xFFFF, b"", hashed)
    image = _with_sum(_header(len(segments), entry) + extension, segments)
    return image + (hashlib.sha256(image).digest() if hashed else b"")


def _description(project: str, version: str, secure_version: int) -> bytes:
    texts = (version.encode(), project.encode(), b"02:30:00", b"Nov 23 2026", b"v5.5.1", b"")
    return struct.pack("<II8s32s32s16s16s32s32s", 0xABCD5432, secure_version, b"", *texts).ljust(256, b"\0")


def _esp8266_part(entry: int, segments: list[tuple[int, bytes]]) -> bytes:
    return _with_sum(_header(len(segments), entry), segments)


def _header(segments: int, entry: int) -> bytes:
    return struct.pack("<BBBBI", _MAGIC, segments, 0, 0x20, entry)


def _with_sum(front: bytes, segments: list[tuple[int, bytes]]) -> bytes:
    image, total = front, 0xEF
    for address, data in segments:
        image += struct.pack("<II", address, len(data)) + data
        total = functools.reduce(operator.xor, data, total)
    return image + b"\0" * (15 - len(image) % 16) + bytes([total])


_CRC_TABLE = [_crc_entry(byte) for byte in range(256)]
