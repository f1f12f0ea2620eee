"""Artifacts on the disk under their digest, as many as fit.

Contract: synchronous, called in worker threads. ``OSError`` escapes. A file lies under its name only after all of it
was verified; it is verified again whenever it is asked for, because a disk forgets.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
import time
from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO, Final

_PART: Final = ".part"
_PART_LIFETIME: Final = 3_600  # seconds; longer than any download may take


class Part:
    """A file on its way into the cache: hashed while it is written, by a second algorithm as well if that is wanted."""

    def __init__(self, path: Path, file: BinaryIO, algorithm: str = "") -> None:
        self.path = path
        self._file = file
        self._hash = hashlib.sha256()
        self._other = hashlib.new(algorithm) if algorithm else None
        # A download that is called off discards the file while its last piece may still be on its way.
        self._lock = threading.Lock()

    @property
    def sha256(self) -> str:
        """The digest of all that was added so far."""
        return self._hash.hexdigest()

    @property
    def other(self) -> str:
        """The digest by the second algorithm; empty if there is none."""
        return self._other.hexdigest() if self._other is not None else ""

    def add(self, piece: bytes | bytearray) -> None:
        """Write and hash one more piece."""
        with self._lock:
            rest = memoryview(piece)
            while rest:
                rest = rest[self._file.write(rest) :]
            self._hash.update(piece)
            if self._other is not None:
                self._other.update(piece)

    def discard(self) -> None:
        """Leave nothing behind."""
        with self._lock:
            self._file.close()
        self.path.unlink(missing_ok=True)

    def keep(self, path: Path) -> None:
        """Give the file its name. It is on the disk before: a name never stands for less than the whole."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self.path.replace(path)


class ArtifactCache:
    """One folder, one limit in bytes."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes

    def find(self, sha256: str) -> Path | None:
        """Return the file with this digest if it is there and whole; a damaged one is removed."""
        path = self._folder / sha256
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            return None
        if found != sha256:
            path.unlink(missing_ok=True)
            return None
        os.utime(path)
        return path

    def begin(self, algorithm: str = "") -> Part:
        """Begin a new file, hashed by a second algorithm as well if one is named."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._folder / f"{secrets.token_hex(8)}{_PART}"
        # Unbuffered: the pieces are large.
        return Part(path, path.open("xb", buffering=0), algorithm)

    def keep(self, part: Part) -> Path:
        """Take a finished file into the cache."""
        path = self._folder / part.sha256
        part.keep(path)
        return path

    def put(self, content: bytes) -> Path:
        """Take bytes that are at hand into the cache."""
        part = self.begin()
        try:
            part.add(content)
            return self.keep(part)
        finally:
            part.discard()

    def shrink(self, in_use: Collection[str], *, max_bytes: int | None = None) -> None:
        """Remove what was not used for longest until the rest fits; what is in use stays, whatever the limit."""
        if not self._folder.is_dir():
            return
        limit = self._max_bytes if max_bytes is None else max_bytes
        whole: list[tuple[int, int, Path]] = []
        for path in self._folder.iterdir():
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue  # another download ended meanwhile
            if path.suffix != _PART:
                whole.append((stat.st_mtime_ns, stat.st_size, path))
            elif stat.st_mtime < time.time() - _PART_LIFETIME:
                path.unlink(missing_ok=True)
        total = sum(size for _, size, _ in whole)
        for _, size, path in sorted(whole):
            if total <= limit:
                return
            if path.name not in in_use:
                path.unlink(missing_ok=True)
                total -= size
