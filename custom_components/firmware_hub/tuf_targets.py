"""All targets of a TUF repository that was refreshed, each as its client answers for it.

The client is asked for one target at a time and has no list of them. So the list is put together from the metadata
files that it keeps, which only say what to ask for; what counts is its answer.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import DelegatedRole, Metadata, Root, Snapshot, Targets, Timestamp
from tuf.ngclient import TargetFile, Updater

from .core import limits
from .core.errors import BadInput, OutsideFailed, Reason, Refused
from .core.model import Feed

_MAX_ROLES: Final = 200
_MAX_PATTERNS: Final = 1_000  # of all roles; each costs a walk of the client past all of them
_FILLING: Final = "firmware-hub-asks"
_WILD: Final = re.compile(r"\[!?(.)[^]]*\]|[*?]")


@dataclass(slots=True)
class _Walk:
    """What was found so far."""

    expires: list[datetime]
    roles: dict[str, Targets] = field(default_factory=dict)
    paths: dict[str, bool] = field(default_factory=dict)
    """Each path, and whether it is known from a delegated role only."""
    patterns: int = 0


@dataclass(frozen=True, slots=True)
class _Client:
    """The client, which is asked until its time is over."""

    updater: Updater
    until: float

    def ask(self, path: str) -> TargetFile | None:
        if time.monotonic() > self.until:
            raise OutsideFailed(Reason.FETCH_TIMEOUT, "too much to walk through")
        return self.updater.get_targetinfo(path)


def check_patterns(body: bytes) -> None:
    """Bound what a file of metadata delegates, before the client matches a path with it. Raises BadInput: TOO_LARGE.

    Its matching takes the square of a pattern's length, and so does the walk through many. Nothing else is judged here.
    """
    try:
        signed: object = Metadata.from_bytes(body).signed
    except RepositoryError:
        # No metadata: the client says why.
        return
    if not isinstance(signed, Targets) or signed.delegations is None:
        return
    patterns = [each for role in (signed.delegations.roles or {}).values() for each in role.paths or ()]
    if len(patterns) > _MAX_PATTERNS:
        raise BadInput(Reason.TOO_LARGE, f"more than {_MAX_PATTERNS} patterns")
    if any(len(pattern) > limits.MAX_TEXT for pattern in patterns):
        raise BadInput(Reason.TOO_LARGE, f"a pattern of more than {limits.MAX_TEXT} characters")


def find_targets(updater: Updater, place: Path, feed: Feed, until: float) -> dict[str, Any]:
    """Return the document of ``tuf-targets/1``, by `until` at the latest.

    Raises Refused, BadInput, OutsideFailed: FETCH_TIMEOUT, and what the client raises.
    """
    client = _Client(updater, until)
    root, timestamp, snapshot = (_load(place, kind) for kind in (Root.type, Timestamp.type, Snapshot.type))
    walk = _Walk([root.expires, timestamp.expires, snapshot.expires])
    todo = [Targets.type]
    while todo:
        name = todo.pop(0)
        role = _role(place, name, snapshot)
        if role is None or name in walk.roles:
            continue
        if len(walk.roles) >= _MAX_ROLES:
            raise BadInput(Reason.TOO_LARGE, f"more than {_MAX_ROLES} roles", path=name)
        walk.roles[name] = role
        walk.expires.append(role.expires)
        for path in role.targets:
            walk.paths.setdefault(path, name != Targets.type)
        todo.extend(_open_delegations(client, role, name, walk))
    if len(walk.paths) > limits.MAX_RELEASES:
        raise BadInput(Reason.TOO_LARGE, f"more than {limits.MAX_RELEASES} targets", path=Targets.type)
    base = _with_slash(feed.files_url or feed.url)
    found = ((client.ask(path), delegated) for path, delegated in walk.paths.items())
    prefixed = bool(root.consistent_snapshot)
    return {
        "expires": f"{min(walk.expires):%Y-%m-%dT%H:%M:%SZ}",
        "targets": [_described(info, base, prefixed, delegated) for info, delegated in found if info is not None],
    }


def _open_delegations(client: _Client, role: Targets, name: str, walk: _Walk) -> Iterator[str]:
    """Have the client load the roles below this one: it loads what may know a target, so it is asked for one."""
    if role.delegations is None:
        return
    if role.delegations.roles is None:
        raise Refused(Reason.UNSUPPORTED_SPEC, "succinct delegations", path=name)
    walk.patterns += sum(len(below.paths or ()) for below in role.delegations.roles.values())
    if walk.patterns > _MAX_PATTERNS:
        raise BadInput(Reason.TOO_LARGE, f"more than {_MAX_PATTERNS} patterns", path=name)
    for below in role.delegations.roles.values():
        for pattern in below.paths or ():
            client.ask(_probe(pattern, below))
        if below.paths is None:
            raise Refused(Reason.UNSUPPORTED_SPEC, "delegation by hash prefixes", path=below.name)
        yield below.name


def _probe(pattern: str, role: DelegatedRole) -> str:
    """Return a path that a role may speak for and that nobody uses."""
    path = _WILD.sub(lambda found: found[1] or (_FILLING if found[0] == "*" else "x"), pattern)
    if not role.is_delegated_path(path):
        raise Refused(Reason.UNSUPPORTED_SPEC, f"delegation by the pattern {pattern}", path=role.name)
    return path


def _load(place: Path, name: str) -> Any:  # noqa: ANN401 - one of the library's four kinds
    return Metadata.from_bytes((place / f"{quote(name, '')}.json").read_bytes()).signed


def _role(place: Path, name: str, snapshot: Snapshot) -> Targets | None:
    """Return the file of a role if it is the present one; another one is a leftover that the client did not load."""
    try:
        role: Targets = _load(place, name)
    except FileNotFoundError:
        return None
    present = snapshot.meta.get(f"{name}.json")
    return role if present is not None and present.version == role.version else None


def _described(info: TargetFile, base: str, prefixed: bool, delegated: bool) -> dict[str, Any]:
    folder, slash, name = info.path.rpartition("/")
    first = f"{next(iter(info.hashes.values()))}." if prefixed else ""
    return {
        "path": info.path,
        "delegated": delegated,
        "url": f"{base}{folder}{slash}{first}{name}",
        "length": info.length,
        "hashes": dict(info.hashes),
        "custom": info.custom,
    }


def _with_slash(address: str) -> str:
    return address if address.endswith("/") else f"{address}/"
