"""The Zigbee OTA file: for whom it is, which version it holds, and whether it is whole.

Zigbee2MQTT sends a file that it is given by address without a look at maker, type or digest, so the hub looks first.

- The layout is that of the ZCL OTA Upgrade cluster, section 11.4 (ZigBee document 07-5123): little endian, a header of
  56 bytes and up to 13 optional ones, then elements of tag, length and data.
- Some vendors put a wrapper in front, or bytes behind; the header's total size counts from the header (of 1,236 public
  images, 7 have a wrapper and 58 another length than their index says: dialects.md 8.1, 8.10).
- The checks run in the order of dialects.md 8.10, cheap ones first. What decides is refused; that the elements do not
  add up is only a warning, because vendors disagree about one tag.
- Signature elements are rare (4 of 897), and nobody holds the keys: what vouches for a file is the feed's digest.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from enum import StrEnum
from zlib import crc32

from .errors import BadInput, Reason, Refused
from .untrusted import clean_label

ANY = 0xFFFF
"""A manufacturer code or image type that stands for all of them."""
ANY_VERSION = 0xFFFFFFFF

_MAGIC = b"\x1e\xf1\xee\x0b"
_MAGIC_WITHIN = 1024  # bytes; the longest wrapper known has 712
_FIXED = struct.Struct("<4sHHHHHIH32sI")
_CREDENTIAL, _ONE_DEVICE, _HARDWARE = 1, 2, 4
_LENGTHS = {_CREDENTIAL: 1, _ONE_DEVICE: 8, _HARDWARE: 4}
_NO_FIRMWARE = range(0xFFC0, 0xFFFF)  # image types for credentials, configuration and logs
_ELEMENT = struct.Struct("<HI")
_TELINK, _TELINK_EXTRA = 0xF000, 2
_MAX_PARTS = 10_000  # elements of a file, tags of a container; real ones have some dozens

# First bytes of a container: how its tags are written (tag, length), and the tag that ends it.
_CONTAINERS = {
    b"\xeb\x17\xa6\x03": (struct.Struct("<II"), 0xFC0404FC),  # Gecko bootloader
    b"\x00\x00\x00\x8c": (struct.Struct(">HH"), 0xFC04),  # Ember bootloader
}
_GOOD_CRC = 0x2144DF1C  # what CRC-32 gives over data that ends with its own CRC-32, little endian


class Oddity(StrEnum):
    """What is worth a word about a file that passed."""

    ELEMENTS_DO_NOT_ADD_UP = "elements_do_not_add_up"
    WRAPPED = "wrapped"
    TRAILING_BYTES = "trailing_bytes"


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of itself.

    Attributes:
        offset: bytes of the vendor's wrapper before it.
        length: bytes of the header.
        text: the maker's own words, cleaned; often empty or junk.
        total_size: bytes from the header's start to the end of the last element.
        destination: IEEE address of the only device that it is for; empty if it is for all of its kind.
        min_hardware, max_hardware: the hardware versions that it is for; ``None`` if it does not say.
    """

    offset: int
    length: int
    manufacturer_code: int
    image_type: int
    file_version: int
    stack_version: int
    text: str
    total_size: int
    destination: str = ""
    min_hardware: int | None = None
    max_hardware: int | None = None


@dataclass(frozen=True, slots=True)
class Expected:
    """What a file must be. ``None`` and empty: not known, and then not compared, except where it says otherwise.

    Attributes:
        file_version: the release's own version.
        installed: the version that the device runs: the file must be newer, with ``downgrade`` older.
        hardware: the device's hardware version. A file for certain ones is refused for a device that does not say.
        ieee: the device's IEEE address. A file for one device is refused for all others.
        sha256, sha512: hex digits, of the whole file as it was fetched.
    """

    manufacturer_code: int | None = None
    image_type: int | None = None
    file_version: int | None = None
    installed: int | None = None
    downgrade: bool = False
    hardware: int | None = None
    ieee: str = ""
    sha256: str = ""
    sha512: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """A file that may be served."""

    header: Header
    oddities: tuple[Oddity, ...] = ()


def read_header(data: bytes) -> Header:
    """Read the header of a file.

    Raises:
        Refused: ``NOT_FIRMWARE``: none within the first kilobyte; ``SIZE_MISMATCH``: it promises more than there is.
        BadInput: ``MALFORMED``: its length does not fit its contents.
    """
    offset = data.find(_MAGIC, 0, _MAGIC_WITHIN + len(_MAGIC))
    if offset < 0:
        raise Refused(Reason.NOT_FIRMWARE, "no Zigbee OTA header", path="header")
    if len(data) - offset < _FIXED.size:
        raise Refused(Reason.SIZE_MISMATCH, "it ends in its header", path="header")
    _, _, length, control, maker, kind, version, stack, text, total = _FIXED.unpack_from(data, offset)
    expected = _FIXED.size + sum(size for bit, size in _LENGTHS.items() if control & bit)
    if control & ~sum(_LENGTHS) or length != expected or total < length:
        raise BadInput(Reason.MALFORMED, f"{length} bytes, fields {control:#x}, total {total}", path="header.length")
    if total > len(data) - offset:
        raise Refused(Reason.SIZE_MISMATCH, f"{total} bytes promised, {len(data) - offset} there", path="header.size")
    options = _options(data, offset + _FIXED.size, control)
    return Header(offset, length, maker, kind, version, stack, _text(text), total, *options)


def check(data: bytes, expected: Expected) -> Checked:
    """Decide whether a file may be served to a device.

    Raises:
        Refused: what ``read_header`` raises; ``NOT_FIRMWARE``: it holds no firmware; ``WRONG_HARDWARE``: it is for
            others; ``VERSION_UNKNOWN``, ``WRONG_IMAGE``: not the version it should be; ``ROLLBACK_DETECTED``: not newer
            than what runs; ``DIGEST_MISMATCH``: not the bytes that were published, or damaged before that.
        BadInput: ``MALFORMED``: the header or the container inside cannot be read.
    """
    header = read_header(data)
    _check_kind(header, expected)
    _check_version(header, expected)
    _check_hardware(header, expected)
    _check_digests(data, expected)
    body = memoryview(data)[header.offset : header.offset + header.total_size]
    _check_container(body, header)
    return Checked(header, _oddities(data, body, header))


def _text(raw: bytes) -> str:
    return clean_label(raw.partition(b"\0")[0].decode("ascii", "replace"))


def _options(data: bytes, place: int, control: int) -> tuple[str, int | None, int | None]:
    """Return destination and hardware versions; they follow one another in the order of their bits."""
    destination, lowest, highest = "", None, None
    if control & _CREDENTIAL:
        place += _LENGTHS[_CREDENTIAL]
    if control & _ONE_DEVICE:
        destination = f"0x{struct.unpack_from('<Q', data, place)[0]:016x}"
        place += _LENGTHS[_ONE_DEVICE]
    if control & _HARDWARE:
        lowest, highest = struct.unpack_from("<HH", data, place)
    return destination, lowest, highest


def _check_kind(header: Header, expected: Expected) -> None:
    if header.image_type in _NO_FIRMWARE:
        raise Refused(Reason.NOT_FIRMWARE, f"image type {header.image_type:#x}", path="header.image_type")
    for name in ("manufacturer_code", "image_type"):
        is_, wanted = getattr(header, name), getattr(expected, name)
        if is_ != ANY and wanted is not None and is_ != wanted:
            raise Refused(Reason.WRONG_HARDWARE, f"{is_:#06x}, the device has {wanted:#06x}", path=f"header.{name}")
    if header.destination and header.destination != expected.ieee.lower():
        raise Refused(Reason.WRONG_HARDWARE, f"for {header.destination} alone", path="header.destination")


def _check_version(header: Header, expected: Expected) -> None:
    version, installed, path = header.file_version, expected.installed, "header.file_version"
    if version == ANY_VERSION:
        raise Refused(Reason.VERSION_UNKNOWN, "it states none", path=path)
    if expected.file_version is not None and version != expected.file_version:
        raise Refused(Reason.WRONG_IMAGE, f"{version}, not {expected.file_version}", path=path)
    if installed is None:
        return
    if expected.downgrade and version >= installed:
        raise Refused(Reason.WRONG_IMAGE, f"{version} is not older than {installed}", path=path)
    if not expected.downgrade and version <= installed:
        raise Refused(Reason.ROLLBACK_DETECTED, f"{version} is not newer than {installed}", path=path)


def _check_hardware(header: Header, expected: Expected) -> None:
    """Refuse a file for certain hardware versions, unless the device is known to have one of them (invariant 4)."""
    lowest, highest, hardware = header.min_hardware, header.max_hardware, expected.hardware
    if lowest is None or highest is None:
        return
    if hardware is None or not lowest <= hardware <= highest:
        known = "not known" if hardware is None else str(hardware)
        detail = f"for {lowest} to {highest}, the device's is {known}"
        raise Refused(Reason.WRONG_HARDWARE, detail, path="header.hardware")


def _check_digests(data: bytes, expected: Expected) -> None:
    for name, wanted in (("sha256", expected.sha256), ("sha512", expected.sha512)):
        if wanted and hashlib.new(name, data).hexdigest() != wanted.lower():
            raise Refused(Reason.DIGEST_MISMATCH, f"{name} is another", path=name)


def _check_container(body: memoryview, header: Header) -> None:
    """Check the sum that Silicon Labs' two containers carry inside; other payloads have none that is known."""
    start = header.length + _ELEMENT.size
    if len(body) < start:
        return
    _, length = _ELEMENT.unpack_from(body, header.length)
    payload = body[start : start + length]
    container = _CONTAINERS.get(bytes(payload[:4]))
    if container is not None:
        _check_sum(payload, *container)


def _check_sum(payload: memoryview, tag: struct.Struct, end: int) -> None:
    place = 0
    for _ in range(_MAX_PARTS):
        if place + tag.size > len(payload):
            break
        name, length = tag.unpack_from(payload, place)
        place += tag.size + length
        if name == end and place <= len(payload):
            if crc32(payload[:place]) != _GOOD_CRC:
                raise Refused(Reason.DIGEST_MISMATCH, "its own checksum is another", path="payload")
            return
    raise BadInput(Reason.MALFORMED, "a container without an end", path="payload")


def _oddities(data: bytes, body: memoryview, header: Header) -> tuple[Oddity, ...]:
    found: list[Oddity] = []
    if header.offset:
        found.append(Oddity.WRAPPED)
    if header.offset + header.total_size < len(data):
        found.append(Oddity.TRAILING_BYTES)
    if not any(_adds_up(body, header.length, extra) for extra in (0, _TELINK_EXTRA)):
        found.append(Oddity.ELEMENTS_DO_NOT_ADD_UP)
    return tuple(found)


def _adds_up(body: memoryview, place: int, extra: int) -> bool:
    """Walk the elements; ``extra`` is what one vendor puts between length and data under a tag that others use too."""
    for _ in range(_MAX_PARTS):
        if place + _ELEMENT.size > len(body):
            break
        tag, length = _ELEMENT.unpack_from(body, place)
        place += _ELEMENT.size + length + (extra if tag == _TELINK else 0)
    return place == len(body)
