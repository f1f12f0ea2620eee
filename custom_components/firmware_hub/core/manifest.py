"""Which manifest may follow which: one function verifies and reads a feed's bytes, one judges what they say.

``read_manifest`` comes first: envelope (``signing``), then the document as a whole (the feed's source). ``judge`` then
holds the statement against what the feed has said before (``LedgerRow``), in this order, and names the attack that a
refusal suspects:

1. The sequence number never falls: ``ROLLBACK_DETECTED``.
2. One sequence number has one content: ``EQUIVOCATION``. Compared are digests of the payload, never envelopes.
3. It was not issued in the future: ``NOT_YET_VALID``. Either its maker's clock is wrong, or ours.
4. It has not expired: ``EXPIRED``; ``FREEZE_SUSPECTED`` if it is the very statement that was accepted before, so that a
   server may be holding back what came after it. An expired statement is never accepted, not even the newest one.
   Rollback and equivocation are judged first, because an old statement played again is usually expired as well, and the
   owner should read what really happened.
5. A version has one digest for each single device that it fits (maker, model, hardware, variant or image type):
   ``DIGEST_CHANGED``, within one manifest as well as over time. "All hardware" is each of them.
6. A higher version never has a lower counter: ``ROLLBACK_DETECTED``, an old image under a new name.

Feeds without sequence numbers and dates (trust level ``digest``) are held to 5 and 6 only. Nothing is judged while the
clock is not believed; the hub sees to that.

The ledger does not grow for ever: it keeps a line for each release of the present manifest, and the newest
``limits.MAX_LEDGER_TAIL`` lines of what is not named any more. A forgotten line is harmless: for a signed feed only the
vendor itself could name the version again, under a higher sequence number, and what somebody approved is pinned by the
approval's own digest.
"""

from __future__ import annotations

import hashlib
import itertools
import operator
from collections.abc import Iterator, Mapping
from datetime import datetime

from . import limits
from .effects import LedgerRow
from .errors import Reason, Refused
from .matching import ANY_HARDWARE
from .model import Feed, Manifest, Release, Trust, VersionScheme
from .ports import ManifestReader
from .signing import accept, verify
from .version import Order, compare

_KEY_DIGITS = 24
_HARDWARE = "/"
_ANY = "any"


def read_manifest(raw: bytes, feed: Feed, reader: ManifestReader) -> Manifest:
    """Verify a feed's bytes as its trust level demands, and only then read them. CPU heavy.

    Raises:
        BadInput: the envelope or the document cannot be understood; with the path of the fault.
        Refused: the signature is missing or not by a pinned key, or the document is forbidden.
    """
    verified = verify(raw, feed.keys) if feed.trust is Trust.SIGNED else accept(raw, feed.trust)
    return reader.read(verified, feed)


def judge(manifest: Manifest, ledger: LedgerRow, now: datetime) -> LedgerRow:
    """Decide whether a manifest may be accepted; return the feed's ledger as it is from then on.

    Raises:
        Refused: with the reason of the first rule that it breaks.
    """
    _check_sequence(manifest, ledger)
    _check_times(manifest, ledger, now)
    return LedgerRow(
        feed_id=manifest.feed_id,
        sequence=ledger.sequence if manifest.sequence is None else manifest.sequence,
        sequence_digest=manifest.digest,
        issued=manifest.issued or ledger.issued,
        digests=_digests(manifest, ledger.digests),
        counters=_counters(manifest, ledger.counters),
        keys=ledger.keys,
    )


def _check_sequence(manifest: Manifest, ledger: LedgerRow) -> None:
    if manifest.sequence is None or ledger.sequence is None:
        return
    if manifest.sequence < ledger.sequence:
        raise Refused(
            Reason.ROLLBACK_DETECTED, f"{manifest.sequence} after {ledger.sequence} was accepted", path="sequence"
        )
    if manifest.sequence == ledger.sequence and manifest.digest != ledger.sequence_digest:
        raise Refused(Reason.EQUIVOCATION, f"another content under {manifest.sequence}", path="sequence")


def _check_times(manifest: Manifest, ledger: LedgerRow, now: datetime) -> None:
    if manifest.issued is not None and manifest.issued > now + limits.CLOCK_TOLERANCE:
        raise Refused(Reason.NOT_YET_VALID, f"issued {manifest.issued.isoformat()}", path="issued")
    if manifest.expires is not None and manifest.expires <= now:
        seen_before = manifest.digest == ledger.sequence_digest
        reason = Reason.FREEZE_SUSPECTED if seen_before else Reason.EXPIRED
        raise Refused(reason, f"expired {manifest.expires.isoformat()}", path="expires")


def _digests(manifest: Manifest, known: Mapping[str, str]) -> Mapping[str, str]:
    named: dict[str, str] = {}
    everything: dict[str, dict[str, None]] = {}
    for key, digest in known.items():
        everything.setdefault(key.partition(_HARDWARE)[0], {})[digest] = None
    for number, release in enumerate(manifest.releases):
        digest = _complete_digest(release)
        for key in _keys(release, release.version):
            model, _, hardware = key.partition(_HARDWARE)
            said = everything.setdefault(model, {})
            same = (key, f"{model}{_HARDWARE}{_ANY}")
            before = said if hardware == _ANY else [named.get(name, known.get(name, digest)) for name in same]
            if any(other != digest for other in before):
                raise Refused(
                    Reason.DIGEST_CHANGED,
                    f"another content under {release.version}",
                    path=f"releases[{number}].artifacts",
                )
            if digest:
                named[key] = digest
                said[digest] = None
        _bound(named)
    return _with_tail(named, known)


def _bound(named: Mapping[str, object]) -> None:
    """Stop before a short document becomes a long ledger: a release may name many models, each with many revisions."""
    if len(named) > limits.MAX_LEDGER_LINES:
        raise Refused(Reason.TOO_LARGE, f"more than {limits.MAX_LEDGER_LINES} models and versions", path="releases")


def _counters(manifest: Manifest, known: Mapping[str, int]) -> Mapping[str, int]:
    """Check the counters of each match on its own; the ledger keeps the highest one of each, with its version."""
    seen = {line.partition(" ")[0]: (counter, line.partition(" ")[2]) for line, counter in known.items()}
    by_match: dict[str, list[Release]] = {}
    for release in manifest.releases:
        for key in _keys(release) if release.counter is not None else ():
            by_match.setdefault(key, []).append(release)
        _bound(by_match)
    named: dict[str, tuple[int, str]] = {}
    for key, releases in by_match.items():
        counted = [(release.counter or 0, release.version) for release in releases]
        counted.extend(seen[key] for key in (key,) if key in seen)
        named[key] = _highest(counted, releases[0].version_scheme)
    return {f"{key} {version}": counter for key, (counter, version) in _with_tail(named, seen).items()}


def _highest(counted: list[tuple[int, str]], scheme: VersionScheme) -> tuple[int, str]:
    """Return the highest counter and the newest version up to it, or refuse a newer version that counts lower."""
    highest, newest = 0, ""
    for counter, group in itertools.groupby(sorted(counted), key=operator.itemgetter(0)):
        versions = [version for _, version in group]
        for version in versions:
            if compare(newest, version, scheme) is Order.NEWER:
                detail = f"{newest} counts {highest} or less, the older {version} counts {counter}"
                raise Refused(Reason.ROLLBACK_DETECTED, detail, path="releases")
        for version in versions:
            newest = version if not newest or compare(version, newest, scheme) is Order.NEWER else newest
        highest = counter
    return highest, newest


def _complete_digest(release: Release) -> str:
    """Return the digest that an approval pins; empty if one of the artifacts has none, so that nothing is pinned."""
    return release.digest if all(artifact.pin for artifact in release.artifacts) else ""


def _keys(release: Release, version: str = "") -> Iterator[str]:
    """Name each single device that a match fits, or a version of it, in few characters: model first, then hardware.

    What only bounds the running version does not count, and neither does what else the release is for: one more model
    in a match would otherwise make all of it new.
    """
    match = release.match
    image = ("", match.image_type, match.min_hardware, match.max_hardware) if match.image_type else ()
    for model in match.model or ("",):
        about = _short("\x00".join((match.manufacturer, model, match.variant, *image)).casefold() + f"\x00{version}")
        for hardware in match.hardware or ("",):
            yield f"{about}{_HARDWARE}{_ANY if hardware == ANY_HARDWARE else _short(hardware.casefold())}"


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_KEY_DIGITS]


def _with_tail[Line](named: dict[str, Line], known: Mapping[str, Line]) -> dict[str, Line]:
    """Return the lines to keep, oldest first: a bounded tail of what is not named any more, then what is."""
    gone = [(key, line) for key, line in known.items() if key not in named]
    return dict(gone[-limits.MAX_LEDGER_TAIL :]) | named
