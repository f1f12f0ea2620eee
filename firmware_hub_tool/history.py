"""What was signed before, in a file beside the manifest: so that no hub is ever told something that it must refuse.

It is what a hub keeps of a feed (``core.effects.LedgerRow``, ``core.rotation``), and the withdrawn releases that every
later manifest must go on naming. It holds nothing secret. Where it is lost, the manifest itself stands in for it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from .core import limits, rotation as rotations
from .core.effects import LedgerRow
from .core.errors import HubError
from .core.keys import pinned_key
from .core.manifest import judge, read_manifest
from .core.model import Feed, Manifest, Revoked, Trust
from .core.records import from_json, to_json
from .core.rotation import Rotation
from .core.untrusted import read_object
from .faults import Code, Exit, Fault
from .files import read_file, replace as replace_file
from .private_key import SigningKey
from .sources.signed_manifest import SignedManifestSource

SPEC = "firmware-hub-state/1"
READER = SignedManifestSource()
_MAX_STATE = 4 * limits.MAX_MANIFEST_BYTES
_CLOCK_SLACK = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class History:
    """All of it. ``keys`` are the JWK texts that owners pinned; none: nothing was signed yet."""

    ledger: LedgerRow = field(default_factory=lambda: LedgerRow("maker"))
    keys: tuple[str, ...] = ()
    rotation: Rotation = field(default_factory=Rotation)
    revoked: tuple[Revoked, ...] = ()

    @property
    def sequence(self) -> int:
        """The sequence number that was signed last; 0 before the first one."""
        return self.ledger.sequence or 0

    @property
    def next_keys(self) -> tuple[str, ...]:
        """The keys that were announced and have not signed yet."""
        return tuple(key.key for key in self.rotation.announced)

    def trusted(self, now: datetime) -> tuple[str, ...]:
        """The keys whose signature hubs accept now, if they saw all that was published."""
        return rotations.trusted(self.rotation, self.keys, now)


def feed(keys: Sequence[str], vendor: str = "") -> Feed:
    """Return the feed that an owner who pinned these keys has."""
    return Feed("maker", READER.name, "", "", Trust.SIGNED, vendor=vendor, keys=tuple(keys))


def load(state: Path, manifest: Path, key: SigningKey) -> History:
    """Read what was signed before.

    Raises:
        Fault: ``bad_state``; ``unknown_history``: a manifest is there that this state, or this key, knows nothing of.
    """
    if state.exists():
        history = _read(read_file(state, _MAX_STATE), state)
        if manifest.exists():
            _check_not_behind(history, manifest)
        return history
    if not manifest.exists():
        return History()
    raw = read_file(manifest, limits.MAX_MANIFEST_BYTES)
    begin = History(keys=(key.public.text,))
    try:
        found = read_manifest(raw, feed(begin.keys), READER)
        # It is judged as on the day it was signed: an expired one has its place in history too.
        return observe(begin, found, found.issued or datetime.now(UTC))
    except HubError as error:
        detail = f"{state} is gone, and this manifest cannot stand in for it: {error}"
        raise Fault(Exit.FORBIDDEN, Code.UNKNOWN_HISTORY, detail, path=str(manifest)) from error


def observe(history: History, manifest: Manifest, now: datetime) -> History:
    """Return the history with one more manifest, judged as every hub will judge it.

    Raises:
        Refused: a hub that saw what was signed before would refuse it.
    """
    return replace(
        history,
        ledger=judge(manifest, history.ledger, now),
        rotation=rotations.observe(history.rotation, history.keys, manifest, now),
        revoked=manifest.revoked,
    )


def save(history: History, state: Path) -> None:
    """Write it, in one step.

    Raises:
        Fault: the disk failed.
    """
    rotation = rotations.to_text(history.rotation)
    document = {
        "spec": SPEC,
        "keys": history.keys,
        "rotation": rotation,
        "revoked": [{"model": item.model, "version": item.version, "reason": item.reason} for item in history.revoked],
        "ledger": json.loads(to_json(history.ledger)),
    }
    replace_file(state, json.dumps(document, indent=1).encode() + b"\n")


def check_key(history: History, key: SigningKey, now: datetime, *, force: bool) -> History:
    """Decide whether this key may sign next; with ``force`` a history of its own begins for one that may not.

    Raises:
        Fault: hubs would not accept it yet, or never.
    """
    text = key.public.text
    if not history.keys or (force and text not in history.trusted(now)):
        return replace(history, keys=(text,), rotation=Rotation())
    if text in history.trusted(now):
        return history
    for announced in history.rotation.announced:
        if announced.fingerprint == key.public.fingerprint:
            detail = f"no hub accepts this key before {in_words(announced.trusted_from)}"
            raise Fault(Exit.FORBIDDEN, Code.KEY_TOO_NEW, detail, path=announced.fingerprint)
    detail = "no hub trusts this key; announce it with rotate first (--new-key signs all the same)"
    raise Fault(Exit.FORBIDDEN, Code.KEY_NOT_ANNOUNCED, detail, path=key.public.fingerprint)


def check_clock(history: History, now: datetime) -> None:
    """Refuse to sign before what was signed last.

    Raises:
        Fault: this machine's clock is wrong, or the last one's was.
    """
    issued = history.ledger.issued
    if issued is not None and now < issued - _CLOCK_SLACK:
        detail = f"it is {in_words(now)}, the last one was issued {in_words(issued)}"
        raise Fault(Exit.FORBIDDEN, Code.CLOCK_BEHIND, detail)


def in_words(moment: datetime) -> str:
    """Write a time as manifests do."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _check_not_behind(history: History, manifest: Path) -> None:
    """Refuse a state that is older than the manifest beside it, as after a checkout of only one of the two."""
    try:
        raw = read_file(manifest, limits.MAX_MANIFEST_BYTES)
        keys = (*history.keys, *history.rotation.adopted, *history.next_keys)
        found = read_manifest(raw, feed(keys), READER)
    except HubError as error:
        detail = f"it is not what was signed last: {error}"
        raise Fault(Exit.FORBIDDEN, Code.UNKNOWN_HISTORY, detail, path=str(manifest)) from error
    if (found.sequence or 0) > history.sequence:
        detail = f"it is number {found.sequence}, and the state knows only up to {history.sequence}"
        raise Fault(Exit.FORBIDDEN, Code.UNKNOWN_HISTORY, detail, path=str(manifest))


def _read(data: bytes, path: Path) -> History:
    try:
        document = read_object(data, max_bytes=_MAX_STATE)
        if document.text("spec") != SPEC:
            raise Fault(Exit.BAD_INPUT, Code.BAD_STATE, f"not {SPEC}", path=f"{path}: spec")
        document.object("ledger")
        return History(
            ledger=from_json(LedgerRow, json.dumps(json.loads(data)["ledger"])),
            keys=tuple(pinned_key(key).text for key in document.texts("keys", max_chars=limits.MAX_JWS_HEADER)),
            rotation=rotations.from_text(document.text("rotation", "", max_chars=_MAX_STATE)),
            revoked=tuple(
                Revoked(item.text("model"), item.text("version"), item.label("reason"))
                for item in document.objects("revoked")
            ),
        )
    except HubError as error:
        raise Fault(Exit.BAD_INPUT, Code.BAD_STATE, error.detail, path=f"{path}: {error.path}") from error
