"""What is inside a Shelly firmware package, looked at before a device gets it (dialects.md 8.4).

The package is a ZIP with a ``manifest.json`` that names the app it is for, its version, and its parts with their
digests. The hub compares app and version with what was approved: a device may take any package of its platform, and the
builds of one device for Zigbee, Matter and add-ons differ in nothing but the app.

The bytes come from the network. So the table of contents is bounded before it is read, what is unpacked is bounded by
what the table states, and nothing is written anywhere.
"""

from __future__ import annotations

import hashlib
import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn

from .errors import BadInput, Reason, Refused
from .untrusted import Object, read_object

MANIFEST = "manifest.json"
_MAX_PACKAGE = 64 * 1024 * 1024  # bytes; packages are 2 to 4 MB, those of wall displays up to 40 MB
_MAX_UNPACKED = 2 * _MAX_PACKAGE  # bytes of all files together: firmware hardly compresses to less than half
_MAX_CONTENTS = 64 * 1024  # bytes of the table of contents: room for some hundred files with long names
_MAX_MANIFEST = 64 * 1024  # bytes
_MAX_PARTS = 32
_MAX_PART = 32 * 1024 * 1024  # bytes
_PIECE = 1024 * 1024
# The last record of a ZIP without a comment (APPNOTE.TXT, 4.3.16): signature, four counts, size and place of the table
# of contents, length of the comment. A table of 64 bits announces itself right before it (4.3.15).
_END = struct.Struct("<4s4H2LH")
_END_SIGNATURE = b"PK\x05\x06"
_LONG_END_SIGNATURE = b"PK\x06\x07"
_LONG_END_BYTES = 20
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED = 0x1
# All that the library is known to raise for broken archives.
_BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, ValueError)
_DIGESTS = {"cs_sha256": "sha256", "cs_sha1": "sha1"}


@dataclass(frozen=True, slots=True)
class ShellyPackage:
    """What a package says of itself, after its parts were found to be what it says."""

    app: str
    version: str
    build: str
    platform: str
    parts: tuple[str, ...]


def check_package(data: bytes, *, app: str, version: str) -> ShellyPackage:
    """Decide whether a package is what was approved for a device with this app. CPU heavy; memory is bounded.

    Raises:
        Refused: ``NOT_FIRMWARE``: no package; ``TOO_LARGE``: it would unpack to more than any genuine one;
            ``WRONG_HARDWARE``: for another app; ``DIGEST_MISMATCH``: another version, or a part that is not what the
            package's own manifest says; ``SIZE_MISMATCH``: a part of another size.
    """

    def compare(found: ShellyPackage) -> None:
        if found.app.casefold() != app.casefold():
            raise Refused(Reason.WRONG_HARDWARE, f"for {found.app}, not for {app}", path=MANIFEST)
        if found.version != version:
            raise Refused(Reason.DIGEST_MISMATCH, f"version {found.version}, not {version}", path=MANIFEST)

    return _open(data, compare)


def read_package(data: bytes) -> ShellyPackage:
    """Read a package for whoever wants to know what it is, and check that it is whole. CPU heavy; memory is bounded.

    Raises:
        Refused: as ``check_package``, but for what compares it with a device.
    """
    return _open(data, lambda _found: None)


def _open(data: bytes, compare: Callable[[ShellyPackage], None]) -> ShellyPackage:
    _check_contents(data)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            return _check(package, compare)
    except _BROKEN as error:
        raise Refused(Reason.NOT_FIRMWARE, f"a broken package: {error}") from error


def _check_contents(data: bytes) -> None:
    """Bound the table of contents, which the library reads as a whole."""
    if len(data) > _MAX_PACKAGE:
        raise Refused(Reason.TOO_LARGE, f"{len(data)} bytes")
    if len(data) < _END.size:
        _no_package("too short for a package")
    signature, *_, size, _place, comment = _END.unpack_from(data, len(data) - _END.size)
    if signature != _END_SIGNATURE or comment:
        _no_package("no package")
    long_end = len(data) - _END.size - _LONG_END_BYTES
    if data[max(0, long_end) :].startswith(_LONG_END_SIGNATURE):
        _no_package("a package of 64 bits")
    if size > _MAX_CONTENTS:
        raise Refused(Reason.TOO_LARGE, f"a table of contents of {size} bytes")


def _check(package: zipfile.ZipFile, compare: Callable[[ShellyPackage], None]) -> ShellyPackage:
    files = _files(package)
    folder = _folder(files)
    manifest = _manifest(package, files[f"{folder}{MANIFEST}"])
    try:
        found = ShellyPackage(
            app=manifest.text("name"),
            version=manifest.text("version"),
            build=manifest.text("build_id", ""),
            platform=manifest.text("platform", ""),
            parts=manifest.object("parts").keys(max_items=_MAX_PARTS),
        )
        compare(found)
        if "app" not in found.parts:
            _no_package("no part named app")
        parts = [manifest.object("parts").object(name) for name in found.parts]
        sources = [source for part in parts if (source := part.text("src", ""))]
        if len(set(sources)) != len(sources):
            # Otherwise a small package could keep the hub unpacking the same file over and over.
            _no_package("two parts in one file")
        for part in parts:
            _check_part(package, files, folder, part)
    except BadInput as bad:
        _no_package(f"{bad.path}: {bad.detail}")
    return found


def _files(package: zipfile.ZipFile) -> Mapping[str, zipfile.ZipInfo]:
    files: dict[str, zipfile.ZipInfo] = {}
    for info in package.infolist():
        if info.filename in files:
            _no_package("one name twice")
        if info.compress_type not in _METHODS or info.flag_bits & _ENCRYPTED:
            _no_package("packed in a way that no device understands")
        files[info.filename] = info
    unpacked = sum(info.file_size for info in files.values())
    if unpacked > _MAX_UNPACKED:
        raise Refused(Reason.TOO_LARGE, f"{unpacked} bytes when unpacked")
    return files


def _folder(files: Mapping[str, zipfile.ZipInfo]) -> str:
    """Return the folder of the manifest: some packages have everything in one."""
    folders = [name.removesuffix(MANIFEST) for name in files if f"/{name}".endswith(f"/{MANIFEST}")]
    if len(folders) != 1:
        _no_package(f"not one {MANIFEST}")
    return folders[0]


def _manifest(package: zipfile.ZipFile, info: zipfile.ZipInfo) -> Object:
    if info.file_size > _MAX_MANIFEST:
        raise Refused(Reason.TOO_LARGE, f"a {MANIFEST} of {info.file_size} bytes")
    raw = package.read(info)
    try:
        return read_object(raw, max_bytes=_MAX_MANIFEST)
    except BadInput as bad:
        _no_package(f"{bad.path}: {bad.detail}")


def _check_part(package: zipfile.ZipFile, files: Mapping[str, zipfile.ZipInfo], folder: str, part: Object) -> None:
    """Hold a part against its entry in the manifest; parts without a file are regions that a device fills itself."""
    source = part.text("src", "")
    if not source:
        return
    info = files.get(f"{folder}{source}")
    if info is None:
        _no_package(f"{part.path}: its file is not there")
    if info.file_size > _MAX_PART:
        raise Refused(Reason.TOO_LARGE, f"{info.file_size} bytes", path=part.path)
    if part.optional_integer("size", 0, _MAX_PART) not in (None, info.file_size):
        raise Refused(Reason.SIZE_MISMATCH, f"{info.file_size} bytes", path=part.at("size"))
    stated = [(key, name) for key, name in _DIGESTS.items() if key in part]
    if not stated:
        _no_package(f"{part.path}: no digest")
    key, algorithm = stated[0]
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with package.open(info) as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    if digest.hexdigest() != part.text(key).lower():
        raise Refused(Reason.DIGEST_MISMATCH, source, path=part.at(key))


def _no_package(detail: str) -> NoReturn:
    raise Refused(Reason.NOT_FIRMWARE, detail)
