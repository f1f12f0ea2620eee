"""The image of an Espressif chip: for which chip it is, and whether it is whole.

An ESP8266 that is sent a wrong image looks at its first byte and at the flash size, and dies of the rest (Tasmota
documentation, "Upgrading"); so the hub looks first.

- The layout is that of Espressif's "Firmware Image Format" (esptool documentation): little endian, a header of 8 bytes,
  on all chips but the ESP8266 16 more with the chip's number, then segments of address, length and data, then zeros up
  to a last byte that is the exclusive-or of all data, then, if the header says so, a SHA-256 of everything before.
- The ESP8266 is told apart by its entry point: it lies in instruction memory, which each chip has at another place.
- An ESP8266 image of the Arduino core, Tasmota's among them, is two: the boot loader, and at 0x1000 the program. The
  builder of later cores (``elf2bin.py``) writes the length of the whole and a CRC-32 over it into the program's first
  two words, after the checksum was made and in its disregard: then the CRC counts, which is taken with zeros in their
  place. Nothing on the chip looks at either.
- An image for serial flashing ("factory") begins like any other on some chips; its partition table at 0x8000 tells.
- An application of the other chips begins its first segment with a description (ESP-IDF, ``esp_app_desc_t``); it is
  shown to people and decides nothing.
- ESP8266 devices also take the image packed with gzip. It is unpacked only to look at it, and within a bound.

What stands behind the image is left alone: some makers append a signature of their own.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from .errors import BadInput, Reason, Refused
from .untrusted import clean_label

GZIP_MAGIC = b"\x1f\x8b"
MAGIC = 0xE9
ESP8266 = "ESP8266"
MAX_UNPACKED = 32 * 1024 * 1024  # bytes; the largest flash that these chips are sold with

CHIPS = {
    0: "ESP32",
    2: "ESP32-S2",
    5: "ESP32-C3",
    9: "ESP32-S3",
    12: "ESP32-C2",
    13: "ESP32-C6",
    16: "ESP32-H2",
    18: "ESP32-P4",
    20: "ESP32-C61",
    23: "ESP32-C5",
    25: "ESP32-H21",
    28: "ESP32-H4",
}
"""Names of the chips by the number in the header (ESP-IDF, ``esp_chip_id_t``)."""

_SAME_CHIP = {"ESP32-SOLO1": "ESP32"}
_HEADER = struct.Struct("<BBBBI")
_EXTENSION = struct.Struct("<4sHBHH4sB")
_SEGMENT = struct.Struct("<II")
_MAX_SEGMENTS = 16
_ALIGNMENT = 16
_SUM_START = 0xEF
_SHA256_BYTES = 32
_ESP8266_CODE = range(0x40100000, 0x40110000)  # its instruction memory
_ESP8266_PROGRAM = 0x1000
_LENGTH_AND_CRC = struct.Struct("<II")
_LENGTH_PLACE = _ESP8266_PROGRAM + 16
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_TABLE, _TABLE_MAGIC = 0x8000, b"\xaa\x50"
_DESCRIPTION = struct.Struct("<II8s32s32s16s16s32s")
_DESCRIPTION_MAGIC = 0xABCD5432


@dataclass(frozen=True, slots=True)
class EspImage:
    """What an image says of itself.

    Attributes:
        chip: a name of ``CHIPS``, or ``ESP8266``; empty for a number that is not in the table.
        chip_id: the number in the header; ``None`` on the ESP8266, which has none.
        segments: of the program.
        size: bytes of the image, unpacked, without what stands behind it.
        trailing: bytes behind it.
        packed: it came as gzip.
        project, version, idf: the application's own description, cleaned; empty if it has none.
        secure_version: the application's counter against going back; ``None`` if it has no description.
    """

    chip: str
    chip_id: int | None
    segments: int
    size: int
    trailing: int = 0
    packed: bool = False
    project: str = ""
    version: str = ""
    idf: str = ""
    secure_version: int | None = None


def check(data: bytes, *, chip: str = "") -> EspImage:
    """Decide whether an image may be served to a device with this chip. CPU heavy; memory is bounded.

    ``chip`` is a chip's name as ``core/chips.py`` and ESPHome's manifests write it; empty: not known, and then only the
    image itself is looked at.

    Raises:
        BadInput, Refused: as ``read``.
        Refused: ``WRONG_HARDWARE``: for another chip, or for one that is not known, or packed for a chip that cannot
            unpack it.
    """
    image = read(data)
    wanted = _SAME_CHIP.get(chip.upper(), chip.upper())
    if wanted and image.chip != wanted:
        found = image.chip or f"chip {image.chip_id}"
        raise Refused(Reason.WRONG_HARDWARE, f"for {found}, the device has {chip}", path="header.chip_id")
    if image.packed and image.chip != ESP8266:
        raise Refused(Reason.WRONG_HARDWARE, f"packed, and {image.chip} cannot unpack it", path="$")
    return image


def read(data: bytes) -> EspImage:
    """Read an image, packed or not, and check that it is whole. CPU heavy; memory is bounded.

    Raises:
        Refused: ``NOT_FIRMWARE``: something else, or an image that is only for serial flashing; ``SIZE_MISMATCH``: its
            end is missing; ``DIGEST_MISMATCH``: its own sums are others; ``TOO_LARGE``: it unpacks to more than any
            chip can hold.
        BadInput: ``MALFORMED``: the header makes no sense.
    """
    packed = data.startswith(GZIP_MAGIC)
    body = unpack(data) if packed else data
    code, count, _, _, entry = _header(body, 0)
    if code != MAGIC:
        raise Refused(Reason.NOT_FIRMWARE, "no Espressif image", path="header.magic")
    if entry in _ESP8266_CODE:
        return _read_esp8266(body, count, packed=packed)
    return _read_esp32(body, count, packed=packed)


def unpack(data: bytes) -> bytes:
    """Undo gzip (RFC 1952), one member and nothing behind it, up to ``MAX_UNPACKED`` bytes.

    Raises:
        Refused: ``TOO_LARGE``; ``NOT_FIRMWARE``: broken; ``SIZE_MISMATCH``: its end is missing.
    """
    unpacker = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        body = unpacker.decompress(data, MAX_UNPACKED + 1)
    except zlib.error as error:
        raise Refused(Reason.NOT_FIRMWARE, f"broken gzip: {error}", path="gzip") from error
    if len(body) > MAX_UNPACKED:
        raise Refused(Reason.TOO_LARGE, f"unpacks to more than {MAX_UNPACKED} bytes", path="gzip")
    if not unpacker.eof:
        raise Refused(Reason.SIZE_MISMATCH, "the gzip ends too early", path="gzip")
    if unpacker.unused_data:
        raise Refused(Reason.NOT_FIRMWARE, f"{len(unpacker.unused_data)} bytes behind the gzip", path="gzip")
    return body


def _read_esp8266(body: bytes, count: int, *, packed: bool) -> EspImage:
    end, total = _walk(body, 0, _HEADER.size, count)
    _check_sum(body, end, total)
    if end <= _ESP8266_PROGRAM < len(body):
        code, count, _, _, entry = _header(body, _ESP8266_PROGRAM)
        if code != MAGIC or entry not in _ESP8266_CODE:
            raise Refused(Reason.NOT_FIRMWARE, "a boot loader without a program", path="program.magic")
        end, total = _walk(body, _ESP8266_PROGRAM, _HEADER.size, count)
        length, crc = _LENGTH_AND_CRC.unpack_from(body, _LENGTH_PLACE)
        if length != end:
            _check_sum(body, end, total)
        elif crc != _crc(body[:_LENGTH_PLACE] + bytes(8) + body[_LENGTH_PLACE + 8 : end]):
            raise Refused(Reason.DIGEST_MISMATCH, "its own CRC is another", path="crc")
    return EspImage(ESP8266, None, count, end, len(body) - end, packed)


def _read_esp32(body: bytes, count: int, *, packed: bool) -> EspImage:
    first = _HEADER.size + _EXTENSION.size
    if len(body) < first:
        raise Refused(Reason.SIZE_MISMATCH, "it ends in its header", path="header")
    _, chip_id, _, _, _, _, hashed = _EXTENSION.unpack_from(body, _HEADER.size)
    if hashed not in (0, 1):
        raise BadInput(Reason.MALFORMED, "neither with nor without a digest", path="header.hash_appended")
    end, total = _walk(body, 0, first, count)
    _check_sum(body, end, total)
    if hashed:
        digest = hashlib.sha256(memoryview(body)[:end]).digest()
        if len(body) < end + _SHA256_BYTES:
            raise Refused(Reason.SIZE_MISMATCH, "its digest is missing", path="digest")
        if body[end : end + _SHA256_BYTES] != digest:
            raise Refused(Reason.DIGEST_MISMATCH, "its own digest is another", path="digest")
        end += _SHA256_BYTES
    if end <= _TABLE and body.startswith(_TABLE_MAGIC, _TABLE):
        raise Refused(Reason.NOT_FIRMWARE, "a factory image, for serial flashing only", path="$")
    described = _description(body, first + _SEGMENT.size)
    return EspImage(CHIPS.get(chip_id, ""), chip_id, count, end, len(body) - end, packed, *described)


def _header(body: bytes, place: int) -> tuple[int, int, int, int, int]:
    if len(body) < place + _HEADER.size:
        raise Refused(Reason.NOT_FIRMWARE, "too short for an image", path="header")
    code, count, mode, flash, entry = _HEADER.unpack_from(body, place)
    return code, count, mode, flash, entry


def _walk(body: bytes, start: int, first: int, count: int) -> tuple[int, int]:
    """Walk the segments of the image at ``start``; return where it ends, and what its checksum has to be."""
    if not 1 <= count <= _MAX_SEGMENTS:
        raise BadInput(Reason.MALFORMED, f"{count} segments", path="header.segments")
    total, place = _SUM_START, start + first
    for data in _segments(body, place, count):
        total ^= _exclusive_or(data)
        place += _SEGMENT.size + len(data)
    # The sum is the last byte of the 16 in which the segments end, or of the next ones.
    place = start + (place - start) // _ALIGNMENT * _ALIGNMENT + _ALIGNMENT
    if len(body) < place:
        raise Refused(Reason.SIZE_MISMATCH, "its checksum is missing", path="checksum")
    return place, total


def _check_sum(body: bytes, end: int, total: int) -> None:
    if body[end - 1] != total:
        raise Refused(Reason.DIGEST_MISMATCH, "its own checksum is another", path="checksum")


def _crc(data: bytes) -> int:
    """Return the CRC-32 that takes the highest bit of each byte first and inverts nothing at the end."""
    return int(f"{zlib.crc32(data.translate(_MIRRORED)) ^ 0xFFFFFFFF:032b}"[::-1], 2)


def _segments(body: bytes, place: int, count: int) -> Iterator[memoryview]:
    view = memoryview(body)
    for number in range(count):
        if len(body) < place + _SEGMENT.size:
            raise Refused(Reason.SIZE_MISMATCH, "its end is missing", path=f"segments[{number}]")
        _, length = _SEGMENT.unpack_from(body, place)
        place += _SEGMENT.size
        if length > len(body) - place:
            detail = f"{length} bytes promised, {len(body) - place} there"
            raise Refused(Reason.SIZE_MISMATCH, detail, path=f"segments[{number}].length")
        yield view[place : place + length]
        place += length


def _exclusive_or(data: memoryview) -> int:
    """Combine all bytes into one by folding the whole in half, which is a few steps instead of a million."""
    value, length = int.from_bytes(data, "little"), len(data)
    while length > 1:
        length = (length + 1) // 2
        value = (value >> 8 * length) ^ (value & ((1 << 8 * length) - 1))
    return value


def _description(body: bytes, place: int) -> tuple[str, str, str, int | None]:
    """Return project, version, framework and counter of the application, if it begins with its description."""
    if len(body) < place + _DESCRIPTION.size:
        return "", "", "", None
    magic, secure, _, version, project, _, _, idf = _DESCRIPTION.unpack_from(body, place)
    if magic != _DESCRIPTION_MAGIC:
        return "", "", "", None
    return _text(project), _text(version), _text(idf), secure


def _text(raw: bytes) -> str:
    return clean_label(raw.partition(b"\0")[0].decode("utf-8", "replace"))
