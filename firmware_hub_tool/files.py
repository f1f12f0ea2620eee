"""Reading within bounds, and writing so that nothing is lost: new files never overwrite, others change in one step."""

from __future__ import annotations

import contextlib
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path

from .core.untrusted import is_web_address
from .faults import Code, Exit, Fault

_FETCH_SECONDS = 30
_PIECE = 1 << 20


def read_file(path: Path, max_bytes: int) -> bytes:
    """Read a file.

    Raises:
        Fault: not there, no file, not readable, or larger than ``max_bytes``.
    """
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except FileNotFoundError as error:
        raise Fault(Exit.BAD_INPUT, Code.FILE_NOT_FOUND, "there is no such file", path=str(path)) from error
    except IsADirectoryError as error:
        raise Fault(Exit.BAD_INPUT, Code.FILE_NOT_FOUND, "this is a folder", path=str(path)) from error
    except OSError as error:
        raise Fault(Exit.OUTSIDE, Code.DISK_FAILED, str(error), path=str(path)) from error
    return _bounded(data, max_bytes, str(path))


def read_place(place: str, max_bytes: int) -> bytes:
    """Read a file, or fetch it where ``place`` is a web address.

    Raises:
        Fault: as ``read_file``; the server did not answer, or with an error.
    """
    if not is_web_address(place):
        return read_file(Path(place), max_bytes)
    request = urllib.request.Request(place, headers={"Accept": "application/jose, */*;q=0.1"})  # noqa: S310
    data = b""
    try:
        with urllib.request.urlopen(request, timeout=_FETCH_SECONDS) as answer:  # noqa: S310
            while len(data) <= max_bytes and (piece := answer.read(_PIECE)):
                data += piece
    except (urllib.error.URLError, HTTPException, OSError, ValueError) as error:
        raise Fault(Exit.OUTSIDE, Code.FETCH_FAILED, str(error), path=place) from error
    return _bounded(data, max_bytes, place)


def write_new(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write a file that does not exist yet, readable by its owner alone from the first moment if ``mode`` says so.

    Raises:
        Fault: ``file_exists``, whatever is there, a dangling link included; or the disk failed.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError as error:
        raise Fault(Exit.FORBIDDEN, Code.FILE_EXISTS, "there is a file, and it stays", path=str(path)) from error
    except OSError as error:
        raise Fault(Exit.OUTSIDE, Code.DISK_FAILED, str(error), path=str(path)) from error


def replace(path: Path, data: bytes) -> None:
    """Write a file in one step: whoever reads it sees the old one or the new one, also after a power cut.

    Raises:
        Fault: the disk failed.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise Fault(Exit.OUTSIDE, Code.DISK_FAILED, str(error), path=str(path)) from error


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold a lock file, so that two runs never put two contents under one sequence number.

    Raises:
        Fault: ``other_run``: the file is there; or the disk failed.
    """
    try:
        write_new(path, f"{os.getpid()}\n".encode())
    except Fault as fault:
        if fault.code != Code.FILE_EXISTS:
            raise
        detail = "another run is signing, or one was killed; if none runs, delete this file"
        raise Fault(Exit.FORBIDDEN, Code.OTHER_RUN, detail, path=str(path)) from fault
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _bounded(data: bytes, max_bytes: int, path: str) -> bytes:
    if len(data) > max_bytes:
        raise Fault(Exit.BAD_INPUT, Code.TOO_LARGE, f"more than {max_bytes} bytes", path=path)
    return data
