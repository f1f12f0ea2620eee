"""Shelly packages: what is accepted, what is refused, and that none of it can hurt."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import struct
import tracemalloc
import warnings
import zipfile
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, strategies as st

from custom_components.firmware_hub.core import shelly_zip
from custom_components.firmware_hub.core.errors import Reason, Refused
from custom_components.firmware_hub.core.shelly_zip import ShellyPackage, check_package, read_package

APP = b"\xe9" + bytes(range(256)) * 40
FILES: Mapping[str, bytes] = {"Plus1.bin": APP, "fs.img": b"files", "bootloader.bin": b"boot"}


def part(source: str, content: bytes, **changes: Any) -> dict[str, Any]:
    stated = {"src": source, "size": len(content), "cs_sha256": hashlib.sha256(content).hexdigest()}
    return {**stated, **changes}


def manifest(**changes: Any) -> dict[str, Any]:
    stated = {
        "name": "Plus1",
        "platform": "esp32",
        "version": "1.7.5",
        "build_id": "20260127-093000/1.7.5-g2b0f4f8",
        "build_timestamp": "2026-01-27T09:30:00Z",
        "parts": {
            "boot": part("bootloader.bin", b"boot", type="boot", addr=4096),
            "app": part("Plus1.bin", APP, type="app", ptn="app_0"),
            "fs": part("fs.img", b"files", type="fs", ptn="fs_0"),
            "nvs": {"type": "nvs", "ptn": "nvs", "fill": 255, "size": 16384},
        },
    }
    return {**stated, **changes}


def with_part(name: str, **changes: Any) -> dict[str, Any]:
    stated = manifest()
    stated["parts"][name] |= changes
    return stated


def package(
    stated: object = None, files: Mapping[str, bytes] = FILES, *, folder: str = "", method: int = zipfile.ZIP_DEFLATED
) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as written:
        written.writestr(f"{folder}manifest.json", json.dumps(stated or manifest()))
        for name, content in files.items():
            written.writestr(f"{folder}{name}", content)
    return buffer.getvalue()


def refusal(data: bytes, app: str = "Plus1", version: str = "1.7.5") -> Refused:
    with pytest.raises(Refused) as caught:
        check_package(data, app=app, version=version)
    return caught.value


# --- what is accepted ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["", "Plus1-1.7.5/"])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_package_says_what_it_is(folder: str, method: int) -> None:
    found = check_package(package(folder=folder, method=method), app="Plus1", version="1.7.5")
    assert found == ShellyPackage(
        app="Plus1",
        version="1.7.5",
        build="20260127-093000/1.7.5-g2b0f4f8",
        platform="esp32",
        parts=("boot", "app", "fs", "nvs"),
    )


def test_the_case_of_an_app_does_not_matter() -> None:
    assert check_package(package(), app="plus1", version="1.7.5").app == "Plus1"


def test_older_packages_state_an_older_kind_of_digest() -> None:
    sha1 = hashlib.sha1(APP).hexdigest().upper()
    stated = with_part("app", cs_sha256=None, cs_sha1=sha1)
    assert "app" in check_package(package(stated), app="Plus1", version="1.7.5").parts


def test_a_part_need_not_state_its_size() -> None:
    found = check_package(package(with_part("app", size=None)), app="Plus1", version="1.7.5")
    assert found.version == "1.7.5"


def test_a_package_is_read_without_a_device_to_compare_it_with() -> None:
    assert read_package(package()) == check_package(package(), app="Plus1", version="1.7.5")


# --- what is refused -------------------------------------------------------------------------------------------------


def test_a_package_for_another_app_is_for_other_hardware() -> None:
    refused = refusal(package(), app="Plus1ZB")
    assert (refused.reason, refused.detail) == (Reason.WRONG_HARDWARE, "for Plus1, not for Plus1ZB")


def test_a_package_of_another_version_is_not_what_was_approved() -> None:
    refused = refusal(package(), version="1.7.6")
    assert (refused.reason, refused.detail) == (Reason.DIGEST_MISMATCH, "version 1.7.5, not 1.7.6")


@pytest.mark.parametrize("digest", [{"cs_sha256": "0" * 64}, {"cs_sha256": None, "cs_sha1": "0" * 40}])
def test_a_part_that_is_not_what_the_manifest_says_is_refused(digest: dict[str, Any]) -> None:
    refused = refusal(package(with_part("app", **digest)))
    assert (refused.reason, refused.detail) == (Reason.DIGEST_MISMATCH, "Plus1.bin")


def test_a_part_of_another_size_is_refused() -> None:
    refused = refusal(package(with_part("fs", size=6)))
    assert (refused.reason, refused.path) == (Reason.SIZE_MISMATCH, "parts.fs.size")


@pytest.mark.parametrize(
    ("stated", "detail"),
    [
        (manifest(name=None), "name: absent"),
        (manifest(version=7), "version: no text"),
        (manifest(parts=None), "parts: absent"),
        (manifest(parts=[]), "parts: no object"),
        (manifest(parts={}), "no part named app"),
        (manifest(parts={"app": 1}), "parts.app: no object"),
        (with_part("app", src="other.bin"), "parts.app: its file is not there"),
        (with_part("app", src="../Plus1.bin"), "parts.app: its file is not there"),
        (with_part("app", cs_sha256=None), "parts.app: no digest"),
        (with_part("app", cs_sha256=5), "parts.app.cs_sha256: no text"),
        (with_part("app", size="5"), "parts.app.size: no whole number"),
        (with_part("fs", src="Plus1.bin"), "two parts in one file"),
        ([], "$: no object"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(stated: object, detail: str) -> None:
    refused = refusal(package(stated) if stated else raw_package(b"[]"))
    assert (refused.reason, refused.detail) == (Reason.NOT_FIRMWARE, detail)


def raw_package(raw_manifest: bytes) -> bytes:
    return zipped({"manifest.json": raw_manifest, **FILES})


def zipped(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as written:
        for name, content in files.items():
            written.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"\xff", b'{"name":1,"name":2}', b"[" * 60_000],
    ids=["nothing", "open", "no UTF-8", "a name twice", "deep"],
)
def test_a_manifest_that_is_no_json_is_refused(raw: bytes) -> None:
    assert refusal(raw_package(raw)).reason is Reason.NOT_FIRMWARE


@pytest.mark.parametrize(
    "files", [FILES, {"a/manifest.json": b"{}", "b/manifest.json": b"{}"}, {"amanifest.json": b"{}"}]
)
def test_there_is_one_manifest(files: Mapping[str, bytes]) -> None:
    assert refusal(zipped(files)).detail == "not one manifest.json"


def test_a_name_twice_is_refused() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as written, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        written.writestr("manifest.json", "{}")
        written.writestr("manifest.json", json.dumps(manifest()))
    assert refusal(buffer.getvalue()).detail == "one name twice"


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_ways_of_packing_that_no_device_knows_are_refused(method: int) -> None:
    assert refusal(package(method=method)).detail == "packed in a way that no device understands"


def test_an_encrypted_file_is_refused() -> None:
    data = bytearray(package())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    assert refusal(bytes(data)).detail == "packed in a way that no device understands"


@pytest.mark.parametrize(
    "data",
    [b"", b"PK", b"PK\x05\x06" + bytes(17), b"<html>" * 100, APP],
    ids=["nothing", "two letters", "half an end", "a page", "a bare image"],
)
def test_what_is_no_package_is_refused(data: bytes) -> None:
    assert refusal(data).reason is Reason.NOT_FIRMWARE


def test_a_package_with_something_behind_it_is_refused() -> None:
    assert refusal(package() + b"\x00").detail == "no package"


def test_a_package_with_a_comment_is_refused() -> None:
    data = bytearray(package())
    data[-2:] = b"\x04\x00"
    assert refusal(bytes(data)).detail == "no package"


def test_an_empty_package_is_refused() -> None:
    assert refusal(zipped({})).detail == "not one manifest.json"


def test_a_package_of_64_bits_is_refused() -> None:
    whole = package()
    end = whole[-22:]
    assert refusal(whole[:-22] + b"PK\x06\x07" + bytes(16) + end).detail == "a package of 64 bits"


# --- bombs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "bound"), [("_MAX_PACKAGE", 100), ("_MAX_CONTENTS", 100), ("_MAX_UNPACKED", 100)])
def test_a_package_over_a_bound_is_refused_before_it_is_unpacked(
    monkeypatch: pytest.MonkeyPatch, name: str, bound: int
) -> None:
    monkeypatch.setattr(shelly_zip, name, bound)
    assert refusal(package()).reason is Reason.TOO_LARGE


def test_a_large_manifest_is_refused_before_it_is_unpacked() -> None:
    refused = refusal(raw_package(b" " * 70_000))
    assert (refused.reason, refused.detail) == (Reason.TOO_LARGE, "a manifest.json of 70000 bytes")


def test_a_large_part_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelly_zip, "_MAX_PART", 100)
    refused = refusal(package(with_part("boot", size=None)))
    assert (refused.reason, refused.path) == (Reason.TOO_LARGE, "parts.app")


def test_a_table_of_contents_that_claims_to_be_huge_is_not_read() -> None:
    data = bytearray(package())
    data[-10:-6] = struct.pack("<L", 2**31)
    assert refusal(bytes(data)).reason is Reason.TOO_LARGE


def test_a_file_that_unpacks_to_more_than_it_says_is_refused() -> None:
    bomb = bytearray(package({**manifest(), "parts": {"app": part("z", b"0" * 100)}}, {"z": bytes(5_000_000)}))
    place = bomb.rindex(b"PK\x01\x02")
    bomb[place + 24 : place + 28] = struct.pack("<L", 100)
    refused = refusal(bytes(bomb))
    assert refused.reason is Reason.NOT_FIRMWARE


def test_unpacking_takes_no_more_memory_than_a_piece() -> None:
    content = bytes(30_000_000)
    data = package(manifest(parts={"app": part("z", content)}), {"z": content})
    tracemalloc.start()
    check_package(data, app="Plus1", version="1.7.5")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8_000_000


# --- broken in every way ---------------------------------------------------------------------------------------------

WHOLE = package()


@given(place=st.integers(0, len(WHOLE) - 1), byte=st.integers(0, 255))
def test_a_package_with_a_changed_byte_is_read_or_refused(place: int, byte: int) -> None:
    data = bytearray(WHOLE)
    data[place] = byte
    with contextlib.suppress(Refused):
        check_package(bytes(data), app="Plus1", version="1.7.5")


@given(keep=st.integers(0, len(WHOLE) - 23))
def test_a_package_with_a_gap_is_refused(keep: int) -> None:
    assert refusal(WHOLE[:keep] + WHOLE[-22:]).reason


@given(st.binary(max_size=400))
def test_any_bytes_before_the_end_are_refused(noise: bytes) -> None:
    assert refusal(noise + WHOLE[-22:]).reason


@given(st.binary(max_size=200), st.integers(0, 2**16 - 1), st.integers(0, 2**17), st.integers(0, 2**32 - 1))
def test_any_end_is_refused(noise: bytes, count: int, size: int, place: int) -> None:
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, size, place, 0)
    assert refusal(noise + end).reason
