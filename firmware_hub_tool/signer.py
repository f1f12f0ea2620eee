"""From a payload to a signed manifest: numbered, dated, signed, read back as a hub reads it, and only then written."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from . import history as histories
from .core import limits
from .core.errors import HubError
from .core.manifest import read_manifest
from .core.model import Manifest, Revoked
from .core.signing import verify
from .faults import Code, Exit, Fault, as_fault
from .files import alone, read_file, replace
from .history import History, feed, in_words
from .private_key import SigningKey

DEFAULT_DAYS = 30
COMPUTED = ("sequence", "issued", "expires", "next_keys", "revoked")


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be signed.

    Attributes:
        members: the payload, but for number, dates, keys that follow and withdrawn releases.
        lifetime: how long it is to be good for.
        revoked: the withdrawn releases.
        next_keys: JWK texts of the keys that follow.
        origins: for each release where it was written, so that a refusal can name the place.
        sequence: a number that the maker wants; ``None``: the next one.
    """

    members: dict[str, Any]
    lifetime: timedelta
    revoked: tuple[Revoked, ...]
    next_keys: tuple[str, ...]
    origins: Sequence[str] = ()
    sequence: int | None = None


@dataclass(frozen=True, slots=True)
class Desk:
    """With what and where a maker signs; ``new_key``: although no hub that pinned the last key would accept it."""

    key: SigningKey
    manifest: Path
    state: Path
    new_key: bool = False


def publish(desk: Desk, draw: Callable[[History], Draft], now: datetime) -> Manifest:
    """Sign what ``draw`` makes of the history, and write it, after the history.

    Raises:
        Fault: it must not be signed, or could not be written; nothing has changed then.
    """
    now = now.replace(microsecond=0)
    with alone(desk.state.with_suffix(".lock")):
        history = histories.load(desk.state, desk.manifest, desk.key)
        histories.check_clock(history, now)
        history = histories.check_key(history, desk.key, now, force=desk.new_key)
        draft = draw(history)
        raw = desk.key.sign(_payload(draft, _sequence(history, draft), desk.key, now))
        try:
            manifest = read_manifest(raw, feed([desk.key.public.text]), histories.READER)
            after = histories.observe(history, manifest, now)
        except HubError as error:
            raise _placed(as_fault(error), draft.origins) from error
        # The history first: a number that was lost is harmless, a number that was used twice is not.
        histories.save(after, desk.state)
        replace(desk.manifest, raw)
    return manifest


def published(desk: Desk, history: History) -> tuple[dict[str, Any], timedelta]:
    """Return the payload of the manifest that was signed last, without what is computed, and its lifetime.

    Raises:
        Fault: there is none, or it is not by a key that the history knows.
    """
    raw = read_file(desk.manifest, limits.MAX_MANIFEST_BYTES)
    keys = (*history.keys, *history.rotation.adopted, *history.next_keys)
    try:
        verified = verify(raw, keys)
        found = histories.READER.read(verified, feed(keys))
    except HubError as error:
        raise as_fault(error, where=str(desk.manifest)) from error
    members: dict[str, Any] = json.loads(verified.payload)
    lifetime = found.expires - found.issued if found.expires and found.issued else timedelta(days=DEFAULT_DAYS)
    return {name: value for name, value in members.items() if name not in COMPUTED}, lifetime


def _sequence(history: History, draft: Draft) -> int:
    following = history.sequence + 1
    if draft.sequence is not None and draft.sequence < following:
        detail = f"{draft.sequence} after {history.sequence}: hubs take a lower one for an attack"
        raise Fault(Exit.FORBIDDEN, Code.SEQUENCE_TOO_LOW, detail, path="sequence")
    return draft.sequence if draft.sequence is not None else following


def _payload(draft: Draft, sequence: int, key: SigningKey, now: datetime) -> bytes:
    payload: dict[str, Any] = {**draft.members, "sequence": sequence}
    payload |= {"issued": in_words(now), "expires": in_words(now + draft.lifetime)}
    if next_keys := [text for text in draft.next_keys if text != key.public.text]:
        payload["next_keys"] = next_keys
    if draft.revoked:
        payload["revoked"] = [
            {"model": item.model, "version": item.version, "reason": item.reason} for item in draft.revoked
        ]
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


def _placed(fault: Fault, origins: Sequence[str]) -> Fault:
    """Name the place where a release was written instead of its number in the manifest."""
    for number, origin in enumerate(origins):
        start = f"releases[{number}]"
        if fault.path.startswith(start):
            rest = fault.path.removeprefix(start).lstrip(".")
            path = f"{origin}{'.' if ': ' in origin else ': '}{rest}"
            return Fault(fault.exit_code, fault.code, fault.detail, path=path)
    return fault
