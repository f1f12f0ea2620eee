"""How a feed's keys change: a statement by a trusted key names the next ones, and the owner has seven days to say no.

Whoever steals a key can name a key of his own, and would own the feed for ever. So (design section 5.1):

- A key that an accepted manifest names in ``next_keys`` is **announced**. The owner sees both fingerprints at once.
- It is trusted beside the old ones ``limits.KEY_ROTATION_DELAY`` after it was first seen, if every manifest accepted in
  between named it too. One that does not takes it back, and if it is named again its time begins anew: so a vendor who
  finds a stranger's key in its feed puts an end to it with its next statement.
- Until the first manifest signed by a next key is accepted the old ones go on: hubs that were switched off must be able
  to see the announcement. With that manifest the old keys are **dropped**; what they sign from then on is refused.
- A key that the owner **refused** is never trusted, however often it is named.
- The keys that the owner pins are the owner's: when they change, all of this is forgotten.

The hub calls ``observe`` for each manifest that ``manifest.judge`` accepted, and verifies with what ``trusted`` says.
Both only while the clock is believed. A key is known by its fingerprint, so its algorithm does not change by itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from . import limits
from .errors import HubError
from .keys import fingerprint, pinned_key
from .model import Manifest, Trust
from .untrusted import Object, read_object

_MAX_REFUSED = 4 * limits.MAX_KEYS


@dataclass(frozen=True, slots=True)
class Announced:
    """A key that the last accepted manifest named: its JWK text, and since when it was named without a break."""

    key: str
    fingerprint: str
    first_seen: datetime

    @property
    def trusted_from(self) -> datetime:
        """When it is trusted, unless something happens before."""
        return self.first_seen + limits.KEY_ROTATION_DELAY


@dataclass(frozen=True, slots=True)
class Rotation:
    """What is kept of the keys of one feed.

    Attributes:
        pinned: fingerprints of the owner's keys that this belongs to.
        adopted: JWK texts that are trusted instead of the owner's; empty as long as no rotation was finished.
        announced: keys that may follow.
        refused: fingerprints that the owner said no to, the newest last.
    """

    pinned: tuple[str, ...] = ()
    adopted: tuple[str, ...] = ()
    announced: tuple[Announced, ...] = ()
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Notice:
    """What the owner is shown while a key waits: fingerprints, and when the first of the new ones will be trusted."""

    old: tuple[str, ...]
    new: tuple[str, ...]
    trusted_from: datetime


class Change(StrEnum):
    """What happened to a key; for the record."""

    ANNOUNCED = "key_announced"
    TAKEN_BACK = "key_taken_back"
    ADOPTED = "key_adopted"
    REFUSED = "key_refused"


def belonging(rotation: Rotation, keys: tuple[str, ...]) -> Rotation:
    """Return the state if it belongs to these keys of the owner, else the beginning.

    Raises:
        BadInput, Refused: as ``signing.fingerprint``, for an owner's key that is none.
    """
    pinned = tuple(sorted({fingerprint(key) for key in keys}))
    return rotation if rotation.pinned == pinned else Rotation(pinned)


def trusted(rotation: Rotation, keys: tuple[str, ...], now: datetime) -> tuple[str, ...]:
    """Return the JWK texts with which the feed is verified now; ``keys`` are the owner's.

    Raises:
        BadInput, Refused: as ``signing.fingerprint``, for an owner's key that is none.
    """
    rotation = belonging(rotation, keys)
    return (rotation.adopted or keys) + tuple(key.key for key in _due(rotation, now))


def observe(rotation: Rotation, keys: tuple[str, ...], manifest: Manifest, now: datetime) -> Rotation:
    """Return what is known after a manifest was accepted; ``keys`` are the owner's.

    Raises:
        BadInput, Refused: as ``signing.fingerprint``, for an owner's key that is none.
    """
    rotation = belonging(rotation, keys)
    if manifest.trust is not Trust.SIGNED:
        return rotation
    due = _due(rotation, now)
    if manifest.key_id in {key.fingerprint for key in due} - _current(rotation):
        rotation = replace(rotation, adopted=tuple(key.key for key in due))
    return replace(rotation, announced=_announced(rotation, manifest.next_keys, now))


def refuse(rotation: Rotation) -> Rotation:
    """Return what is known after the owner said no to all keys that are announced. Never raises."""
    no = tuple(key.fingerprint for key in rotation.announced)
    return replace(rotation, announced=(), refused=(rotation.refused + no)[-_MAX_REFUSED:])


def notice(rotation: Rotation, now: datetime) -> Notice | None:
    """Say what the owner should be shown; ``None`` if no key waits. Never raises."""
    waiting = [key for key in rotation.announced if key.trusted_from > now]
    if not waiting:
        return None
    new = tuple(key.fingerprint for key in waiting)
    return Notice(tuple(sorted(_current(rotation))), new, min(key.trusted_from for key in waiting))


def next_change(rotation: Rotation, now: datetime) -> datetime | None:
    """Return when ``trusted`` and ``notice`` will answer differently by themselves; ``None``: never. Never raises."""
    return min((key.trusted_from for key in rotation.announced if key.trusted_from > now), default=None)


def changes(before: Rotation, after: Rotation) -> tuple[tuple[Change, str], ...]:
    """Say what happened between two states, with the fingerprint of each key. Never raises."""
    was, is_ = ({key.fingerprint for key in rotation.announced} for rotation in (before, after))
    adopted = {fingerprint(key) for key in after.adopted} - {fingerprint(key) for key in before.adopted}
    refused = set(after.refused) - set(before.refused)
    found = {
        Change.ANNOUNCED: is_ - was,
        Change.ADOPTED: adopted,
        Change.REFUSED: refused,
        Change.TAKEN_BACK: was - is_ - adopted - refused,
    }
    return tuple((change, key) for change, keys in found.items() for key in sorted(keys))


def _current(rotation: Rotation) -> frozenset[str]:
    return frozenset(fingerprint(key) for key in rotation.adopted) or frozenset(rotation.pinned)


def _due(rotation: Rotation, now: datetime) -> tuple[Announced, ...]:
    return tuple(key for key in rotation.announced if key.trusted_from <= now)


def _announced(rotation: Rotation, next_keys: tuple[str, ...], now: datetime) -> tuple[Announced, ...]:
    """Keep the time of those that are still named, and begin that of the new ones."""
    known = {key.fingerprint: key for key in rotation.announced}
    settled = _current(rotation) | set(rotation.refused)
    named = {fingerprint(key): key for key in next_keys}
    waiting = [known.get(name, Announced(key, name, now)) for name, key in named.items() if name not in settled]
    return tuple(waiting[: limits.MAX_KEYS])


# --- what is kept over restarts ---------------------------------------------------------------------------------------


def to_text(rotation: Rotation) -> str:
    """Write the state as one line of JSON; empty if there is nothing to keep. Never raises."""
    if not (rotation.adopted or rotation.announced or rotation.refused):
        return ""
    announced = [{"key": key.key, "first_seen": _time(key.first_seen)} for key in rotation.announced]
    lists = {"pinned": rotation.pinned, "adopted": rotation.adopted, "refused": rotation.refused}
    return json.dumps({**lists, "announced": announced}, separators=(",", ":"))


def from_text(text: str) -> Rotation:
    """Read the state back. Never raises: a text that is none is the beginning, which trusts less and asks again."""
    if not text:
        return Rotation()
    try:
        kept = read_object(text)
        adopted = kept.texts("adopted", max_chars=limits.MAX_JWS_HEADER)
        return Rotation(
            pinned=kept.texts("pinned"),
            adopted=tuple(pinned_key(key).text for key in adopted),
            announced=tuple(_read_announced(kept)),
            refused=kept.texts("refused"),
        )
    except HubError:
        return Rotation()


def _read_announced(kept: Object) -> Iterator[Announced]:
    for item in kept.objects("announced", max_items=limits.MAX_KEYS):
        key = item.text("key", max_chars=limits.MAX_JWS_HEADER)
        yield Announced(key, fingerprint(key), item.time("first_seen"))


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
