"""Images of Espressif chips: whole ones are read, and everything that would brick a device is refused by its name."""

from __future__ import annotations

import contextlib
import gzip
import struct
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given, strategies as st

from custom_components.firmware_hub.core import chips, esp_image
from custom_components.firmware_hub.core.errors import HubError, Reason
from custom_components.firmware_hub.core.esp_image import check, read, unpack
from simulator.esp import CHIP_IDS, ESP8266_PROGRAM, esp32_image, esp8266_image

BODY = bytes(range(256)) * 20


def fault(call: Callable[[], object]) -> tuple[Reason, str]:
    with pytest.raises(HubError) as caught:
        call()
    return caught.value.reason, caught.value.path


def put(image: bytes, place: int, new: bytes) -> bytes:
    return image[:place] + new + image[place + len(new) :]


# --- whole ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("chip", "number"), CHIP_IDS.items())
def test_an_image_names_its_chip(chip: str, number: int) -> None:
    image = read(esp32_image(BODY, chip_id=number))
    assert (image.chip, image.chip_id, image.segments, image.trailing) == (chip, number, 2, 0)


def test_an_esp8266_image_is_known_by_its_entry_point() -> None:
    image = read(esp8266_image(BODY))
    assert (image.chip, image.chip_id, image.segments, image.packed) == ("ESP8266", None, 2, False)
    assert image.size == len(esp8266_image(BODY))


def test_an_esp8266_image_of_an_old_core_has_no_crc_and_is_read() -> None:
    old = esp8266_image(BODY, crc=False)
    assert read(old).size == len(old)


def test_the_crc_of_an_esp8266_image_is_the_one_that_its_builder_writes() -> None:
    # The check value of the algorithm's catalogue entry (CRC-32/MPEG-2).
    assert esp_image._crc(b"123456789") == 0x0376E6E7


def test_an_esp8266_image_with_a_crc_has_a_checksum_that_nobody_mended() -> None:
    image = esp8266_image(BODY)
    program = image[ESP8266_PROGRAM:]
    sums = 0xEF
    for segment in esp_image._segments(program, 8, 2):
        sums ^= esp_image._exclusive_or(segment)
    assert sums != program[-1]


def test_what_stands_behind_an_esp8266_image_is_not_part_of_its_crc() -> None:
    assert read(esp8266_image(BODY) + b"a signature").trailing == 11


def test_an_esp8266_image_without_a_boot_loader_is_read() -> None:
    program = esp8266_image(BODY, crc=False)[ESP8266_PROGRAM:]
    assert read(program).size == len(program)


def test_a_packed_image_is_looked_into() -> None:
    image = read(gzip.compress(esp8266_image(BODY)))
    assert image.packed
    assert image.size == len(esp8266_image(BODY))


def test_an_application_describes_itself() -> None:
    image = read(esp32_image(BODY, project="acme-plug", version="1.2.0", secure_version=17))
    assert (image.project, image.version, image.idf, image.secure_version) == ("acme-plug", "1.2.0", "v5.5.1", 17)


def test_a_description_is_cleaned_for_people() -> None:
    assert read(esp32_image(BODY, project="acme\x1b[2J\u202eplug")).project == "acme [2J plug"


def test_an_image_without_a_description_has_no_words() -> None:
    image = read(esp32_image(BODY))
    assert (image.project, image.version, image.secure_version) == ("", "", None)


def test_an_image_too_short_for_a_description_has_no_words() -> None:
    assert read(esp32_image(b"")).project == ""


def test_an_image_without_a_digest_is_read() -> None:
    image = esp32_image(BODY, hashed=False)
    assert read(image).size == len(image)


def test_what_stands_behind_the_image_is_counted_and_left_alone() -> None:
    assert read(esp32_image(BODY) + b"a signature").trailing == 11
    assert read(esp8266_image(BODY) + b"a signature").trailing == 11


def test_a_segment_may_be_empty() -> None:
    assert read(esp8266_image(b"")).segments == 2


@given(st.binary(max_size=200))
def test_a_checksum_is_the_exclusive_or_of_all_bytes(data: bytes) -> None:
    expected = 0
    for byte in data:
        expected ^= byte
    assert esp_image._exclusive_or(memoryview(data)) == expected


# --- for whom ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chip", ["ESP32-C3", "esp32-c3", ""])
def test_an_image_for_the_devices_chip_passes(chip: str) -> None:
    assert check(esp32_image(BODY, chip_id=5), chip=chip).chip == "ESP32-C3"


def test_the_single_core_esp32_has_the_number_of_the_other_one() -> None:
    assert check(esp32_image(BODY), chip="ESP32-SOLO1").chip == "ESP32"


@pytest.mark.parametrize("image", [esp32_image(BODY, chip_id=2), esp8266_image(BODY), esp32_image(BODY, chip_id=999)])
def test_an_image_for_another_chip_is_refused(image: bytes) -> None:
    assert fault(lambda: check(image, chip="ESP32-C3")) == (Reason.WRONG_HARDWARE, "header.chip_id")


def test_a_chip_that_nobody_knows_is_no_chip_at_all() -> None:
    image = read(esp32_image(BODY, chip_id=999))
    assert (image.chip, image.chip_id) == ("", 999)


def test_a_packed_image_is_only_for_the_chip_that_unpacks_it() -> None:
    packed = gzip.compress(esp32_image(BODY, chip_id=5))
    assert fault(lambda: check(packed, chip="ESP32-C3")) == (Reason.WRONG_HARDWARE, "$")
    assert check(gzip.compress(esp8266_image(BODY)), chip="ESP8266").packed


def test_every_chip_that_tasmota_is_built_for_is_in_the_table() -> None:
    known = {*esp_image.CHIPS.values(), esp_image.ESP8266, *esp_image._SAME_CHIP}
    assert {chip.name for chip in chips.CHIPS} <= known


# --- not whole --------------------------------------------------------------------------------------------------------

ESP32 = esp32_image(BODY)
ESP8266 = esp8266_image(BODY)
OLD_ESP8266 = esp8266_image(BODY, crc=False)


@pytest.mark.parametrize(
    "data", [b"", b"\xe9", b"\xe9" * 7, b"<html>404</html>" * 9, b"PK\x03\x04" * 20, b"\x7fELF" * 9]
)
def test_something_else_is_no_firmware(data: bytes) -> None:
    assert fault(lambda: read(data))[0] is Reason.NOT_FIRMWARE


def test_an_image_cut_anywhere_is_refused() -> None:
    reasons = {fault(lambda: read(ESP32[:length]))[0] for length in range(8, len(ESP32), 7)}  # noqa: B023
    assert reasons == {Reason.SIZE_MISMATCH}


@pytest.mark.parametrize(
    ("length", "path"),
    [
        (12, "header"),
        (30, "segments[0]"),
        (100, "segments[0].length"),
        (len(ESP32) - 60, "segments[1]"),
        (len(ESP32) - 33, "checksum"),
        (len(ESP32) - 1, "digest"),
    ],
)
def test_where_an_image_ends_too_early_is_named(length: int, path: str) -> None:
    assert fault(lambda: read(ESP32[:length])) == (Reason.SIZE_MISMATCH, path)


def test_an_esp8266_image_cut_after_its_boot_loader_lacks_its_program() -> None:
    assert fault(lambda: read(ESP8266[: ESP8266_PROGRAM + 4])) == (Reason.NOT_FIRMWARE, "header")


def test_an_esp8266_boot_loader_before_something_else_is_no_firmware() -> None:
    for place, junk in ((ESP8266_PROGRAM, b"\x00"), (ESP8266_PROGRAM + 4, struct.pack("<I", 0x40080000))):
        assert fault(lambda: read(put(ESP8266, place, junk))) == (Reason.NOT_FIRMWARE, "program.magic")  # noqa: B023


@pytest.mark.parametrize(
    ("image", "place", "path"),
    [
        (ESP32, 500, "checksum"),
        (ESP8266, 16, "checksum"),
        (OLD_ESP8266, ESP8266_PROGRAM + 500, "checksum"),
        (ESP8266, ESP8266_PROGRAM - 1, "crc"),
        (ESP8266, ESP8266_PROGRAM + 16, "checksum"),
        (ESP8266, ESP8266_PROGRAM + 20, "crc"),
        (ESP8266, ESP8266_PROGRAM + 500, "crc"),
        (ESP8266, len(ESP8266) - 1, "crc"),
    ],
)
def test_a_changed_byte_is_found(image: bytes, place: int, path: str) -> None:
    changed = put(image, place, bytes([image[place] ^ 1]))
    assert fault(lambda: read(changed)) == (Reason.DIGEST_MISMATCH, path)


def test_a_change_that_the_checksum_does_not_see_is_found_by_the_digest() -> None:
    changed = put(ESP32, 500, ESP32[500:502][::-1])
    assert fault(lambda: read(changed)) == (Reason.DIGEST_MISMATCH, "digest")


@pytest.mark.parametrize("count", [0, 17, 255])
def test_a_count_of_segments_that_no_image_has_is_malformed(count: int) -> None:
    assert fault(lambda: read(put(ESP32, 1, bytes([count])))) == (Reason.MALFORMED, "header.segments")


def test_a_segment_longer_than_the_file_is_refused() -> None:
    changed = put(ESP32, 28, b"\xff\xff\xff\xff")
    assert fault(lambda: read(changed)) == (Reason.SIZE_MISMATCH, "segments[0].length")


def test_a_header_that_is_neither_with_nor_without_a_digest_is_malformed() -> None:
    assert fault(lambda: read(put(ESP32, 23, b"\x02"))) == (Reason.MALFORMED, "header.hash_appended")


def test_an_image_for_serial_flashing_is_refused() -> None:
    factory = esp32_image(BODY, chip_id=5).ljust(0x8000, b"\xff") + b"\xaa\x50" + b"\xff" * 100
    assert fault(lambda: read(factory)) == (Reason.NOT_FIRMWARE, "$")


def test_bytes_of_an_application_that_look_like_a_table_are_no_table() -> None:
    body = put(bytes(0x9000), 0x8000 - 32, b"\xaa\x50")
    image = esp32_image(body)
    assert image[0x8000:0x8002] == b"\xaa\x50"
    assert read(image).trailing == 0


# --- gzip -------------------------------------------------------------------------------------------------------------


def test_unpacking_gives_what_was_packed() -> None:
    assert unpack(gzip.compress(BODY)) == BODY


def test_a_bomb_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(esp_image, "MAX_UNPACKED", 1000)
    assert fault(lambda: unpack(gzip.compress(bytes(1001)))) == (Reason.TOO_LARGE, "gzip")
    assert len(unpack(gzip.compress(bytes(1000)))) == 1000


def test_a_bomb_of_a_gigabyte_is_put_out_before_it_fills_the_memory() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(64)) + packer.flush()
    assert fault(lambda: unpack(bomb)) == (Reason.TOO_LARGE, "gzip")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x1f\x8b", Reason.SIZE_MISMATCH),
        (gzip.compress(BODY)[:-1], Reason.SIZE_MISMATCH),
        (b"\x1f\x8b\x08" + b"\xff" * 40, Reason.NOT_FIRMWARE),
        (gzip.compress(BODY)[:-8] + bytes(8), Reason.NOT_FIRMWARE),
        (gzip.compress(BODY) + b"x", Reason.NOT_FIRMWARE),
        (gzip.compress(BODY) * 2, Reason.NOT_FIRMWARE),
        (gzip.compress(gzip.compress(ESP8266)), Reason.NOT_FIRMWARE),
    ],
)
def test_a_gzip_that_no_device_takes_is_refused(data: bytes, reason: Reason) -> None:
    assert fault(lambda: read(data))[0] is reason


# --- whatever comes ---------------------------------------------------------------------------------------------------


def _survives(data: bytes) -> None:
    with contextlib.suppress(HubError):
        read(data)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    _survives(b"\xe9" + data)
    _survives(b"\x1f\x8b" + data)


@given(st.integers(0, len(ESP32) - 1), st.binary(min_size=1, max_size=8))
def test_any_change_of_an_image_is_read_or_refused(place: int, new: bytes) -> None:
    _survives(put(ESP32, place, new))
    _survives(put(ESP8266, place, new))
