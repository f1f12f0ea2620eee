"""From what a maker writes to what is signed: a YAML description, or a folder of releases, becomes a payload.

A description is a manifest without what can be computed. A folder has its description in ``manifest.yaml``, and a
release in each ``release.yaml`` below it, with its files and its ``notes.md`` beside it. A name that is not known is a
mistake: the hub would pass over it, and the maker would believe that it counts.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .core import limits
from .core.errors import HubError
from .core.model import ArtifactFormat, Revoked
from .core.untrusted import Object
from .faults import Code, Exit, Fault, as_fault
from .files import read_file
from .images import format_of, look
from .sources.signed_manifest import SPEC
from .yaml_text import read_mapping

MANIFEST_FILE, RELEASE_FILE, NOTES_FILE = "manifest.yaml", "release.yaml", "notes.md"

_TOP = {"vendor", "base_url", "valid_days", "revoked", "support", "releases"}
_COMPUTED = {"spec", "sequence", "issued", "expires", "next_keys"}
_RELEASE = {
    "match",
    "version",
    "version_scheme",
    "counter",
    "channel",
    "published",
    "kind",
    "severity",
    "cves",
    "summary",
    "notes",
    "notes_url",
    "delivery",
    "revertible",
    "rollback_to",
    "dual_bank",
    "regulated",
    "install_minutes",
    "min_battery_percent",
    "recovery",
    "artifacts",
}
_ARTIFACT = {"role", "name", "url", "size", "sha256", "format"}
_MATCH = {"manufacturer", "model", "hardware", "variant", "min_version", "max_version"}
# Words that a number must not stand in for: 1.10 is text already, 12 is not.
_TEXTS = {"version", "min_version", "max_version", "variant", "vendor", "manufacturer", "name", "until"}


@dataclass(frozen=True, slots=True)
class Description:
    """What a maker wrote, with sizes and digests.

    Attributes:
        members: the payload, but for what is known only when it is signed.
        revoked: releases that it withdraws.
        origins: for each release the file and the place in it where it was written.
        valid_days: how long the statement is to be good for; ``None``: not said.
    """

    members: dict[str, Any]
    revoked: tuple[Revoked, ...]
    origins: tuple[str, ...]
    valid_days: int | None


@dataclass(frozen=True, slots=True)
class _Written:
    """A release as it was written: the file, the place in it, and the folder that its files are in."""

    members: dict[str, Any]
    origin: str
    folder: Path


def read_description(place: Path, base_url: str = "") -> Description:
    """Read a description or a folder of releases; ``base_url`` counts more than the one in it.

    Raises:
        Fault: with the file and the path of what is at fault.
    """
    file = place / MANIFEST_FILE if place.is_dir() else place
    top = read_mapping(read_file(file, limits.MAX_MANIFEST_BYTES), str(file))
    _known(top, _TOP, str(file))
    _plain(top, str(file))
    days = top.get("valid_days")
    if days is not None and (not isinstance(days, int) or isinstance(days, bool) or not 1 <= days <= 3650):
        raise Fault(Exit.BAD_INPUT, "malformed", "not a number of days from 1 to 3650", path=f"{file}: valid_days")
    base = base_url or top.get("base_url") or ""
    if not isinstance(base, str):
        raise Fault(Exit.BAD_INPUT, "malformed", "no web address", path=f"{file}: base_url")
    root = file.parent.resolve()
    written = [*_inline(top, file), *(_below(place) if place.is_dir() else ())]
    releases = [_release(one, root, base) for one in written]
    support = {"support": top["support"]} if top.get("support") else {}
    members = {"spec": SPEC, "vendor": top.get("vendor"), **support, "releases": releases}
    return Description(members, _revoked(top, str(file)), tuple(one.origin for one in written), days)


def _revoked(top: dict[str, Any], origin: str) -> tuple[Revoked, ...]:
    try:
        return tuple(
            Revoked(item.text("model"), item.text("version"), item.label("reason"))
            for item in Object(top).objects("revoked")
        )
    except HubError as error:
        raise as_fault(error, where=origin) from error


def _inline(top: Mapping[str, Any], file: Path) -> Iterable[_Written]:
    releases = top.get("releases") or []
    if not isinstance(releases, list):
        raise Fault(Exit.BAD_INPUT, "malformed", "no list", path=f"{file}: releases")
    for number, release in enumerate(releases):
        origin = f"{file}: releases[{number}]"
        if not isinstance(release, dict):
            raise Fault(Exit.BAD_INPUT, "malformed", "no mapping of names", path=origin)
        yield _Written(release, origin, file.parent)


def _below(folder: Path) -> Iterable[_Written]:
    for file in sorted(folder.rglob(RELEASE_FILE)):
        release = read_mapping(read_file(file, limits.MAX_MANIFEST_BYTES), str(file))
        notes = file.parent / NOTES_FILE
        if "notes" not in release and notes.is_file():
            release["notes"] = _text(notes)
        yield _Written(release, str(file), file.parent)


def _text(file: Path) -> str:
    try:
        return read_file(file, limits.MAX_MANIFEST_BYTES).decode()
    except UnicodeDecodeError as error:
        raise Fault(Exit.BAD_INPUT, "malformed", "no UTF-8", path=str(file)) from error


def _release(written: _Written, root: Path, base: str) -> dict[str, Any]:
    members, origin = dict(written.members), written.origin
    _known(members, _RELEASE | {"file"}, origin)
    _plain(members, origin)
    if isinstance(match := members.get("match"), dict):
        members["match"] = _match(match, f"{origin}.match")
    file = members.pop("file", None)
    artifacts = members.get("artifacts") or []
    if file is not None:
        artifacts = [{"file": file}, *artifacts] if isinstance(artifacts, list) else artifacts
    if not isinstance(artifacts, list):
        raise Fault(Exit.BAD_INPUT, "malformed", "no list", path=f"{origin}.artifacts")
    members["artifacts"] = [
        _artifact(artifact, f"{origin}.artifacts[{number}]", written.folder, root, base)
        for number, artifact in enumerate(artifacts)
    ]
    return members


def _match(match: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """Let one model, or one hardware, be written without the brackets of a list."""
    _known(match, _MATCH, origin)
    _plain(match, origin)
    lists = {name: [match[name]] for name in ("model", "hardware") if isinstance(match.get(name), str)}
    return {**match, **lists}


def _artifact(artifact: object, origin: str, folder: Path, root: Path, base: str) -> dict[str, Any]:
    if not isinstance(artifact, dict):
        raise Fault(Exit.BAD_INPUT, "malformed", "no mapping of names", path=origin)
    _known(artifact, _ARTIFACT | {"file"}, origin)
    _plain(artifact, origin)
    members = {"role": "main", **artifact}
    name = members.pop("file", None)
    if name is None:
        return members
    if not isinstance(name, str) or not name:
        raise Fault(Exit.BAD_INPUT, "malformed", "no name of a file", path=f"{origin}.file")
    path = (folder / name).resolve()
    if not path.is_relative_to(root):
        raise Fault(Exit.BAD_INPUT, Code.OUTSIDE_THE_FOLDER, f"{path} is not below {root}", path=f"{origin}.file")
    data = read_file(path, limits.MAX_ARTIFACT_BYTES)
    computed = {"name": path.name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    for key in ("size", "sha256"):
        if key in members and members[key] != computed[key]:
            raise Fault(Exit.BAD_INPUT, f"{key}_mismatch", f"the file has {computed[key]}", path=f"{origin}.{key}")
    members = computed | {"format": format_of(data).value} | members
    if members["format"] in set(ArtifactFormat):
        _check(data, ArtifactFormat(members["format"]), f"{origin}.file ({path})")
    if "url" not in members:
        members["url"] = _address(base, path.relative_to(root), origin)
    return members


def _check(data: bytes, form: ArtifactFormat, origin: str) -> None:
    """A file that looks like a known format must be a good one; the maker can say that it only looks like it."""
    try:
        look(data, form)
    except HubError as error:
        fault = as_fault(error, where=origin)
        detail = f'{fault.detail}; if this is no {form} at all, write "format: raw"'
        raise Fault(Exit.BAD_INPUT, fault.code, detail, path=fault.path) from error


def _address(base: str, path: Path, origin: str) -> str:
    if not base:
        detail = "say base_url once, or url here: devices' hubs must know where the file is"
        raise Fault(Exit.BAD_INPUT, Code.NO_ADDRESS, detail, path=f"{origin}.url")
    return f"{base.rstrip('/')}/{quote(path.as_posix())}"


def _known(members: Mapping[str, Any], names: set[str], origin: str) -> None:
    for name in members:
        if name in names:
            continue
        path = f"{origin}{'.' if ': ' in origin else ': '}{name}"
        if name in _COMPUTED:
            raise Fault(Exit.BAD_INPUT, Code.UNKNOWN_NAME, "this is computed when it is signed", path=path)
        close = difflib.get_close_matches(name, names, 1)
        hint = f"unknown; did you mean {close[0]}?" if close else f"unknown; known are {', '.join(sorted(names))}"
        raise Fault(Exit.BAD_INPUT, Code.UNKNOWN_NAME, hint, path=path)


def _plain(members: Mapping[str, Any], origin: str) -> None:
    for name in _TEXTS & members.keys():
        if isinstance(members[name], int):
            path = f"{origin}{'.' if ': ' in origin else ': '}{name}"
            raise Fault(Exit.BAD_INPUT, Code.NEEDS_QUOTES, f'write "{members[name]}", it is a text', path=path)
