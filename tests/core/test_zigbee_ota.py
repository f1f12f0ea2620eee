"""Zigbee OTA files: read, and refused for the first thing that is wrong."""

from __future__ import annotations

import contextlib
import hashlib
import struct
from dataclasses import replace
from typing import Any
from zlib import crc32

import pytest
from hypothesis import given, strategies as st

from custom_components.firmware_hub.core.errors import BadInput, HubError, Reason, Refused
from custom_components.firmware_hub.core.zigbee_ota import (
    ANY,
    ANY_VERSION,
    Expected,
    Header,
    Oddity,
    check,
    read_header,
)

MAKER, KIND, VERSION = 0x117C, 0x2101, 536870912
FITS = Expected(manufacturer_code=MAKER, image_type=KIND, file_version=VERSION, installed=268435456)
IEEE = "0x000d6f0000000002"


def element(tag: int = 0, data: bytes = b"firmware", extra: bytes = b"") -> bytes:
    return struct.pack("<HI", tag, len(data)) + extra + data


def ota(
    body: bytes | None = None,
    *,
    maker: int = MAKER,
    kind: int = KIND,
    version: int = VERSION,
    control: int = 0,
    options: bytes = b"",
    length: int | None = None,
    total: int | None = None,
) -> bytes:
    """A file; every field can be made wrong."""
    body = element() if body is None else body
    header = 56 + len(options)
    fields = (0x0100, header if length is None else length, control, maker, kind, version, 2, b"acme plug\0\0junk")
    size = header + len(body) if total is None else total
    return b"\x1e\xf1\xee\x0b" + struct.pack("<HHHHHIH32sI", *fields, size) + options + body


def refused(data: bytes, expected: Expected = FITS) -> tuple[Reason, str]:
    with pytest.raises((Refused, BadInput)) as caught:
        check(data, expected)
    return caught.value.reason, caught.value.path


# --- the header ------------------------------------------------------------------------------------------------------


def test_a_header_says_for_whom_the_file_is() -> None:
    assert read_header(ota()) == Header(0, 56, MAKER, KIND, VERSION, 2, "acme plug", 56 + 14)


def test_a_header_may_stand_behind_a_wrapper() -> None:
    assert read_header(b"NGIS" + b"\0" * 708 + ota()).offset == 712


def test_a_header_beyond_the_first_kilobyte_is_not_looked_for() -> None:
    assert read_header(b"\0" * 1024 + ota()).offset == 1024
    assert refused(b"\0" * 1025 + ota()) == (Reason.NOT_FIRMWARE, "header")


def test_all_options_are_read_in_their_order() -> None:
    options = b"\x01" + struct.pack("<QHH", 0x000D6F0000000002, 0x0100, 0x0203)
    header = read_header(ota(control=7, options=options))
    assert (header.length, header.destination, header.min_hardware, header.max_hardware) == (69, IEEE, 0x0100, 0x0203)


def test_hardware_versions_alone_are_read() -> None:
    header = read_header(ota(control=4, options=struct.pack("<HH", 1, 3)))
    assert (header.destination, header.min_hardware, header.max_hardware) == ("", 1, 3)


def test_text_of_the_maker_is_one_clean_line() -> None:
    data = bytearray(ota())
    data[20:52] = b"a\x1b[31m\xff\n".ljust(32)
    assert read_header(bytes(data)).text == "a [31m\ufffd"


@pytest.mark.parametrize("data", [b"", b"{}", b"<html>", b"\xe9" * 2000, ota()[1:]])
def test_what_is_no_ota_file_is_no_firmware(data: bytes) -> None:
    assert refused(data) == (Reason.NOT_FIRMWARE, "header")


@pytest.mark.parametrize("length", [4, 55])
def test_a_file_that_ends_in_its_header_is_too_short(length: int) -> None:
    assert refused(ota()[:length]) == (Reason.SIZE_MISMATCH, "header")


def test_a_file_that_is_cut_off_is_too_short() -> None:
    assert refused(ota()[:-1]) == (Reason.SIZE_MISMATCH, "header.size")


@pytest.mark.parametrize(
    "wrong",
    [
        {"length": 55},
        {"length": 60},
        {"length": 0},
        {"control": 4},
        {"control": 8},
        {"control": 0xFFFF},
        {"total": 55},
        {"control": 1, "options": b"\x01\x02"},
    ],
    ids=str,
)
def test_a_header_that_contradicts_itself_is_malformed(wrong: dict[str, Any]) -> None:
    assert refused(ota(**wrong)) == (Reason.MALFORMED, "header.length")


def test_options_that_are_cut_off_make_the_file_too_short() -> None:
    assert refused(ota(b"", control=4, length=60, total=60)) == (Reason.SIZE_MISMATCH, "header.size")


# --- for whom --------------------------------------------------------------------------------------------------------


def test_a_file_that_fits_passes_without_a_word() -> None:
    checked = check(ota(), FITS)
    assert (checked.header, checked.oddities) == (read_header(ota()), ())


@pytest.mark.parametrize(
    ("wrong", "path"), [({"maker": 0x1234}, "header.manufacturer_code"), ({"kind": 1}, "header.image_type")]
)
def test_a_file_of_another_maker_or_type_is_for_other_hardware(wrong: dict[str, Any], path: str) -> None:
    assert refused(ota(**wrong)) == (Reason.WRONG_HARDWARE, path)


def test_a_file_for_all_makers_and_types_fits() -> None:
    assert check(ota(maker=ANY, kind=ANY), FITS).oddities == ()


def test_what_is_not_known_is_not_compared() -> None:
    assert check(ota(), Expected()).header.manufacturer_code == MAKER


@pytest.mark.parametrize("kind", [0xFFC0, 0xFFC1, 0xFFC2, 0xFFFE])
def test_credentials_configuration_and_logs_are_no_firmware(kind: int) -> None:
    assert refused(ota(kind=kind), Expected()) == (Reason.NOT_FIRMWARE, "header.image_type")


FOR_ONE = ota(control=2, options=struct.pack("<Q", 0x000D6F0000000002))


@pytest.mark.parametrize("ieee", [IEEE, "0x000D6F0000000002"])
def test_a_file_for_one_device_fits_that_one(ieee: str) -> None:
    assert check(FOR_ONE, replace(FITS, ieee=ieee)).header.destination == IEEE


@pytest.mark.parametrize("ieee", ["0x000d6f0000000003", ""])
def test_a_file_for_one_device_fits_no_other(ieee: str) -> None:
    assert refused(FOR_ONE, replace(FITS, ieee=ieee)) == (Reason.WRONG_HARDWARE, "header.destination")


@pytest.mark.parametrize("hardware", [1, 2, 3])
def test_a_file_for_certain_hardware_fits_those(hardware: int) -> None:
    data = ota(control=4, options=struct.pack("<HH", 1, 3))
    assert check(data, replace(FITS, hardware=hardware)).oddities == ()


@pytest.mark.parametrize("hardware", [None, 0, 4])
def test_a_file_for_certain_hardware_fits_no_other_and_nobody_unknown(hardware: int | None) -> None:
    data = ota(control=4, options=struct.pack("<HH", 1, 3))
    assert refused(data, replace(FITS, hardware=hardware)) == (Reason.WRONG_HARDWARE, "header.hardware")


# --- which version ---------------------------------------------------------------------------------------------------


def test_a_file_with_another_version_than_its_release_is_another_image() -> None:
    assert refused(ota(version=VERSION + 1)) == (Reason.WRONG_IMAGE, "header.file_version")


@pytest.mark.parametrize("installed", [VERSION, VERSION + 1])
def test_a_file_that_is_not_newer_is_a_rollback(installed: int) -> None:
    assert refused(ota(), replace(FITS, installed=installed)) == (Reason.ROLLBACK_DETECTED, "header.file_version")


def test_an_older_file_passes_where_that_is_wanted() -> None:
    assert check(ota(), replace(FITS, installed=VERSION + 1, downgrade=True)).oddities == ()


@pytest.mark.parametrize("installed", [VERSION, VERSION - 1])
def test_a_file_that_is_not_older_is_no_way_back(installed: int) -> None:
    expected = replace(FITS, installed=installed, downgrade=True)
    assert refused(ota(), expected) == (Reason.WRONG_IMAGE, "header.file_version")


def test_a_file_without_a_version_is_refused() -> None:
    assert refused(ota(version=ANY_VERSION), Expected()) == (Reason.VERSION_UNKNOWN, "header.file_version")


# --- whether it is whole ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sha256", "sha512"])
def test_digests_are_of_the_whole_file_as_it_was_fetched(name: str) -> None:
    data = b"NGIS" + ota() + b"behind"
    digest = hashlib.new(name, data).hexdigest()
    expected = replace(FITS, sha256=digest.upper()) if name == "sha256" else replace(FITS, sha512=digest.upper())
    assert check(data, expected).header.offset == 4
    assert refused(data + b"x", expected) == (Reason.DIGEST_MISMATCH, name)


def gbl(crc: int | None = None) -> bytes:
    head = struct.pack("<IIII", 0x03A617EB, 8, 0x03000000, 0) + struct.pack("<II4s", 0xFD0303FD, 4, b"code")
    front = head + struct.pack("<II", 0xFC0404FC, 4)
    return front + struct.pack("<I", crc32(front) if crc is None else crc)


def ebl(crc: int | None = None) -> bytes:
    front = struct.pack(">HH140s", 0, 140, b"head") + struct.pack(">HH4s", 0xFD03, 4, b"code") + b"\xfc\x04\x00\x04"
    return front + struct.pack("<I", crc32(front) if crc is None else crc)


@pytest.mark.parametrize("container", [gbl(), ebl(), gbl() + b"\xff" * 20, ebl() + b"\xff" * 60])
def test_a_container_with_its_checksum_passes(container: bytes) -> None:
    assert check(ota(element(data=container)), FITS).oddities == ()


@pytest.mark.parametrize(
    "container", [gbl(1), ebl(1), gbl().replace(b"code", b"cod3"), ebl().replace(b"code", b"cod3")]
)
def test_a_container_with_another_checksum_is_damaged(container: bytes) -> None:
    assert refused(ota(element(data=container))) == (Reason.DIGEST_MISMATCH, "payload")


@pytest.mark.parametrize("container", [gbl()[:-1], gbl()[:-12], ebl()[:-1], ebl()[:-8], gbl()[:8] + b"\0" * 200_000])
def test_a_container_without_an_end_is_malformed(container: bytes) -> None:
    assert refused(ota(element(data=container))) == (Reason.MALFORMED, "payload")


def test_a_header_without_any_element_has_nothing_to_check() -> None:
    assert check(ota(b""), FITS).oddities == ()


# --- what is only worth a word ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "oddities"),
    [
        (b"NGIS" + ota(), (Oddity.WRAPPED,)),
        (ota() + b"behind", (Oddity.TRAILING_BYTES,)),
        (ota(element() + b"xxxx"), (Oddity.ELEMENTS_DO_NOT_ADD_UP,)),
        (ota(element(0xF000, extra=b"\0\1")), ()),
        (ota(element(0xF000)), ()),
        (ota(element() + element(1, b"signature") * 3), ()),
        (ota(element(data=b"") * 10_001), (Oddity.ELEMENTS_DO_NOT_ADD_UP,)),
    ],
    ids=["wrapped", "trailing", "odd end", "one vendor's tag", "the others' tag", "signatures", "far too many"],
)
def test_what_is_odd_is_told_and_passes(data: bytes, oddities: tuple[Oddity, ...]) -> None:
    assert check(data, FITS).oddities == oddities


# --- hostile ---------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=200), st.integers(0, 80))
def test_no_bytes_raise_anything_but_our_own(noise: bytes, keep: int) -> None:
    for data in (noise, ota()[:keep] + noise, b"\x1e\xf1\xee\x0b" + noise):
        with contextlib.suppress(HubError):
            assert check(data, FITS).header.total_size <= len(data)
