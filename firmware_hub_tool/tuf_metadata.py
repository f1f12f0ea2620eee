"""Metadata of a TUF repository (The Update Framework 1.0, section 4), looked at and not verified.

A client verifies the whole chain; here one file is read for a person: which role it is, until when, by which keys.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from .core import limits
from .core.errors import BadInput, Reason
from .core.model import Trust
from .core.signing import VerifiedBytes, accept
from .core.untrusted import Object, read_object
from .history import in_words
from .sources.tuf_repository import SPEC

ROLES = ("root", "timestamp", "snapshot", "targets")
_MAX_ROLES = 100


@dataclass(frozen=True, slots=True)
class Metadata:
    """What one file says.

    Attributes:
        signed_by: key ids that the file says it is signed by.
        roles: of a root: each role with its threshold and its number of keys.
        targets: of a ``targets`` file: what it says of each path.
    """

    role: str
    version: int
    expires: datetime
    signed_by: tuple[str, ...]
    roles: tuple[tuple[str, int, int], ...]
    targets: Mapping[str, Any]


def read(data: bytes) -> Metadata | None:
    """Read a file; ``None`` if it is no metadata of a TUF repository.

    Raises:
        BadInput: it is, and makes no sense.
    """
    try:
        document = read_object(data, max_bytes=limits.MAX_INDEX_BYTES)
    except BadInput:
        return None
    if "signed" not in document or "signatures" not in document:
        return None
    signed = document.object("signed")
    role = signed.text("_type")
    if role not in ROLES:
        raise BadInput(Reason.MALFORMED, f"no role {role}", path="signed._type")
    return Metadata(
        role=role,
        version=signed.integer("version", 1, 2**63 - 1),
        expires=signed.time("expires"),
        signed_by=tuple(item.text("keyid") for item in document.objects("signatures") if item.text("sig", "")),
        roles=tuple(_roles(signed)) if role == "root" else (),
        targets=_targets(data, signed) if role == "targets" else {},
    )


def as_targets(metadata: Metadata, address: str) -> VerifiedBytes:
    """Write a ``targets`` file as the document that the hub's own reader takes; ``address``: where the targets lie."""
    items = [
        {**target, "path": path, "url": address + quote(path), "delegated": False}
        for path, target in metadata.targets.items()
        if isinstance(target, dict)
    ]
    document = {"spec": SPEC, "expires": in_words(metadata.expires), "targets": items}
    return accept(json.dumps(document).encode(), Trust.DIGEST)


def _targets(data: bytes, signed: Object) -> Mapping[str, Any]:
    signed.object("targets").keys(max_items=limits.MAX_RELEASES, max_chars=limits.MAX_URL)
    targets: Mapping[str, Any] = json.loads(data)["signed"]["targets"]
    return targets


def _roles(signed: Object) -> Iterator[tuple[str, int, int]]:
    roles = signed.object("roles")
    for name in roles.keys(max_items=_MAX_ROLES):
        role = roles.object(name)
        yield name, role.integer("threshold", 1, _MAX_ROLES), len(role.texts("keyids"))
