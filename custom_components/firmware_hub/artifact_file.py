"""A file that was verified and stays open, so that nothing else can be read under its name."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path
from typing import Final

from .core.errors import Reason, Refused

_PIECE: Final = 65_536  # bytes read at a time


class VerifiedFile:
    """A verified file that stays open: whatever happens to its name, these are the bytes that were verified."""

    def __init__(self, path: Path) -> None:
        """Open a file whose name is its SHA-256. Raises OSError; Refused: DIGEST_MISMATCH."""
        self.sha256 = path.name
        self._lock = threading.Lock()
        self._open: int | None = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        self.size = os.fstat(self._open).st_size
        with os.fdopen(self._open, "rb", closefd=False) as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != self.sha256:
            self.close()
            raise Refused(Reason.DIGEST_MISMATCH, f"{found}, not {self.sha256}")

    def read_at(self, offset: int) -> bytes:
        """Read a piece; nothing at the end, and nothing once it is closed."""
        with self._lock:
            return b"" if self._open is None else os.pread(self._open, _PIECE, offset)

    def close(self) -> None:
        """Let go of the file; a read in another thread ends first."""
        with self._lock:
            if self._open is not None:
                os.close(self._open)
            self._open = None
