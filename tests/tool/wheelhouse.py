"""Wheels to install the tool from without a network: its own, freshly built, and what it says that it needs.

What it needs is packed again out of this environment, so that an installer has to find it by what the wheels declare.
"""

import base64
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path
from zipfile import ZipFile

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).with_name("uv")


def build(folder: Path) -> Path:
    """Fill a folder with wheels; return the tool's own."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    with ZipFile(wheel) as archive:
        [metadata] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        lines = archive.read(metadata).decode().splitlines()
    asked = [line.removeprefix("Requires-Dist: ") for line in lines if line.startswith("Requires-Dist: ")]
    for needed in _closure(asked):
        _pack(needed, folder)
    return wheel


def offline(wheels: Path, cache: Path) -> dict[str, str]:
    """Return an environment in which an installer knows nothing but these wheels."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "UV_", "PIP_"))}
    only = {"UV_OFFLINE": "1", "UV_NO_INDEX": "1", "UV_FIND_LINKS": str(wheels), "UV_CACHE_DIR": str(cache)}
    return clean | only | {"UV_PYTHON": sys.executable}


def _closure(asked: list[str]) -> Iterator[Distribution]:
    waiting, seen = list(asked), set[str]()
    while waiting:
        requirement = Requirement(waiting.pop())
        name = canonicalize_name(requirement.name)
        if name in seen or not (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
            continue
        seen.add(name)
        found = distribution(name)
        waiting += found.requires or []
        yield found


def _pack(found: Distribution, folder: Path) -> None:
    tags = [line.removeprefix("Tag: ") for line in (found.read_text("WHEEL") or "").splitlines() if "Tag: " in line]
    names = [path for path in found.files or () if ".." not in path.parts and path.suffix != ".pyc"]
    [info] = {path.parts[0] for path in names if path.parts[0].endswith(".dist-info")}
    record: list[str] = []
    with ZipFile(folder / f"{info.removesuffix('.dist-info')}-{tags[0]}.whl", "w") as archive:
        for path in names:
            if path.name not in {"RECORD", "INSTALLER", "direct_url.json"} or path.parts[0] != info:
                data = Path(path.locate()).read_bytes()
                digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
                record.append(f"{path},sha256={digest},{len(data)}")
                archive.writestr(str(path), data)
        archive.writestr(f"{info}/RECORD", "\n".join([*record, f"{info}/RECORD,,", ""]))
