"""Whether a file that somebody downloaded by another way is one that a feed publishes, for which devices, and why not.

A file is known by its digest and by nothing else: who finds it in a manifest that was accepted has the maker's word for
every byte of it, as far as the feed's trust level goes. Under a name that a feed knows, another content is told apart
from a file of which no feed speaks. What is found may still be nothing to install, in this order:

1. its maker withdrew it: ``OFFER_WITHDRAWN``;
2. nobody knows whether the statement is still good: ``CLOCK_UNTRUSTED``;
3. the statement has run out: ``EXPIRED``;
4. the statement contradicts itself about the file's length: ``SIZE_MISMATCH``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from .errors import Reason
from .model import Artifact, Manifest, Release, Revoked, Trust
from .version import Order, compare

_RANK = {Trust.SIGNED: 0, Trust.DIGEST: 1, Trust.VENDOR: 2}


@dataclass(frozen=True, slots=True)
class Package:
    """A file, as it was measured.

    Attributes:
        size: bytes.
        sha256: lower-case hex.
        pins: all its digests, in every form in which a feed may state one (see ``Artifact.pin``).
    """

    name: str
    size: int
    sha256: str
    pins: Collection[str]


@dataclass(frozen=True, slots=True)
class Named:
    """A place where a feed names a file; ``fault``: why it is nothing to install all the same."""

    manifest: Manifest
    release: Release
    artifact: Artifact
    withdrawn: Revoked | None = None
    fault: Reason | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known of a file.

    Attributes:
        named: where it is named, the most trusted feed first, and the sound before the faulty.
        reason: why it should not be installed; ``None`` if it may be.
        alike: where another content is named under its name, if the file itself is nowhere.
    """

    named: tuple[Named, ...]
    reason: Reason | None
    alike: tuple[Named, ...] = ()


def identify(package: Package, manifests: Collection[Manifest], now: datetime, *, clock_trusted: bool) -> Answer:
    """Say where a file is named. Cost: the number of releases. Never raises."""
    places = [_judged(place, package, manifests, now, clock_trusted) for place in _places(manifests, package.pins)]
    if places:
        places.sort(key=lambda place: (place.fault is not None, _RANK[place.manifest.trust]))
        return Answer(tuple(places), places[0].fault)
    alike = tuple(place for place in _all(manifests) if place.artifact.name.casefold() == package.name.casefold())
    return Answer((), Reason.OTHER_CONTENT if alike else Reason.NOT_PUBLISHED, alike)


def _all(manifests: Iterable[Manifest]) -> Iterable[Named]:
    return (
        Named(manifest, release, artifact)
        for manifest in manifests
        for release in manifest.releases
        for artifact in release.artifacts
    )


def _places(manifests: Iterable[Manifest], pins: Collection[str]) -> list[Named]:
    return [place for place in _all(manifests) if place.artifact.pin in pins]


def _judged(place: Named, package: Package, manifests: Iterable[Manifest], now: datetime, clock_trusted: bool) -> Named:
    manifest, withdrawn = place.manifest, _withdrawal(place, manifests)
    fault: Reason | None = None
    if withdrawn is not None:
        fault = Reason.OFFER_WITHDRAWN
    elif manifest.expires is not None and not clock_trusted:
        fault = Reason.CLOCK_UNTRUSTED
    elif manifest.expires is not None and manifest.expires <= now:
        fault = Reason.EXPIRED
    elif place.artifact.size not in {0, package.size}:
        fault = Reason.SIZE_MISMATCH
    return Named(manifest, place.release, place.artifact, withdrawn, fault)


def _withdrawal(place: Named, manifests: Iterable[Manifest]) -> Revoked | None:
    """Return the word of its own feed, or of the signed feed of its maker, that withdrew a release."""
    release, maker = place.release, place.release.match.manufacturer.casefold()
    models = {model.casefold() for model in release.match.model}
    for manifest in manifests:
        signed = manifest.trust is Trust.SIGNED and manifest.vendor.casefold() == maker
        for revoked in manifest.revoked if signed or manifest is place.manifest else ():
            same = compare(revoked.version, release.version, release.version_scheme) is Order.SAME
            if same and revoked.model.casefold() in models:
                return revoked
    return None
