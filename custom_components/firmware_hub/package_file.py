"""Measures a file that somebody downloaded by another way."""

import hashlib
import os
import stat
from pathlib import Path
from typing import Final

from .core import limits
from .core.errors import Reason, Refused
from .core.packages import Package

_PIECE: Final = 1_048_576  # bytes read at a time


def measure(path: Path) -> Package:
    """Read a file once and return its name, size and digests. Raises OSError; Refused: TOO_LARGE."""
    # A pipe or a device would be waited for, a link could lead out of the folder that was allowed.
    opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(opened, "rb") as file:
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            raise FileNotFoundError(f"{path} is no file")
        digests = {"": hashlib.sha256(), "sha512:": hashlib.sha512(), "sha3-256:": hashlib.sha3_256()}
        size = 0
        while piece := file.read(_PIECE):
            size += len(piece)
            if size > limits.MAX_ARTIFACT_BYTES:
                raise Refused(Reason.TOO_LARGE, f"more than {limits.MAX_ARTIFACT_BYTES} bytes")
            for digest in digests.values():
                digest.update(piece)
    pins = tuple(f"{prefix}{digest.hexdigest()}" for prefix, digest in digests.items())
    return Package(path.name, size, pins[0], pins)
