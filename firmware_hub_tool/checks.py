"""The hub's own checks one by one, in the hub's order, each of them told as it is done."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from .core import limits
from .core.effects import LedgerRow
from .core.errors import HubError, Reason
from .core.manifest import judge
from .core.matching import ANY_HARDWARE, STABLE
from .core.model import Artifact, Delivery, Feed, Manifest, Release, Trust, VersionScheme
from .core.signing import VerifiedBytes, verify
from .core.version import Order, compare
from .history import READER, in_words
from .images import look
from .report import Outcome, Report

_SOON = timedelta(days=7)
_ZERO = {VersionScheme.SEMVER: "0.0.0", VersionScheme.DOTTED: "0", VersionScheme.INTEGER: "0"}


def signature(report: Report, raw: bytes, keys: tuple[str, ...]) -> VerifiedBytes | None:
    """Check who signed."""
    try:
        verified = verify(raw, keys)
    except HubError as error:
        report.refused("signature", error)
        return None
    report.check("signature", Outcome.OK, f"by {verified.key_id}")
    return verified


def document(report: Report, verified: VerifiedBytes, feed: Feed) -> Manifest | None:
    """Check that the whole document makes sense, and that it is the vendor's."""
    try:
        manifest = READER.read(verified, feed)
    except HubError as error:
        report.refused("document", error)
        return None
    report.check("document", Outcome.OK, f"{manifest.vendor}, number {manifest.sequence}, {_count(manifest)}")
    return manifest


def statement(report: Report, manifest: Manifest, ledger: LedgerRow, now: datetime) -> LedgerRow | None:
    """Check dates, and what was said before: expiry, rollback, two contents under one number or one version."""
    try:
        after = judge(manifest, ledger, now)
    except HubError as error:
        report.refused("dates and history", error)
        return None
    if manifest.expires is None:
        report.check("dates and history", Outcome.OK, "no dates are stated")
    else:
        expiry(report, manifest.expires, now, "dates and history")
    return after


def expiry(report: Report, expires: datetime, now: datetime, name: str = "dates") -> None:
    """Tell until when something is good."""
    if expires <= now:
        report.check(name, Outcome.FAILED, f"expired {in_words(expires)}", reason=Reason.EXPIRED)
    else:
        soon = expires - now < _SOON
        report.check(name, Outcome.WARNING if soon else Outcome.OK, f"good until {in_words(expires)}")


def releases(report: Report, manifest: Manifest, now: datetime) -> None:
    """Tell what is allowed in each release and perhaps not meant, and which ones no hub will ever offer."""
    for number, release in enumerate(manifest.releases):
        for outcome, reason, detail in _doubts(release, manifest.trust):
            report.check(title(release), outcome, detail, reason=reason, path=f"releases[{number}]")
    for item in manifest.revoked:
        report.check(f"{item.model} {item.version}", Outcome.OK, f"withdrawn: {item.reason or 'no reason is given'}")
    for support in manifest.support:
        if support.until <= now:
            report.check(support.model, Outcome.WARNING, f"support has ended {in_words(support.until)}")
    if manifest.next_keys:
        report.check("keys", Outcome.WARNING, f"{len(manifest.next_keys)} will follow: owners are asked about them")


def artifact(report: Report, stated: Artifact, data: bytes, name: str) -> None:
    """Check the bytes of a signed release's artifact against what is stated of it, and only then look into it."""
    digest = hashlib.sha256(data).hexdigest()
    if len(data) != stated.size:
        detail = f"{len(data)} bytes, stated are {stated.size}"
        report.check(name, Outcome.FAILED, detail, reason=Reason.SIZE_MISMATCH)
        return
    if digest != stated.sha256:
        report.check(name, Outcome.FAILED, f"the file has {digest}", reason=Reason.DIGEST_MISMATCH)
        return
    report.check(name, Outcome.OK, f"{len(data)} bytes, sha256 {digest}")
    inside = f"{name} inside"
    try:
        seen = look(data, stated.format)
    except HubError as error:
        report.refused(inside, error)
        return
    fits = ", ".join(f"{key} {value}" for key, value in seen.fits.items())
    report.check(inside, Outcome.OK, f"{seen.kind}{f', for {fits}' if fits else ''}")
    for oddity in seen.oddities:
        report.check(inside, Outcome.WARNING, oddity)


def withdrawn(manifest: Manifest, release: Release) -> str | None:
    """Return why a release was withdrawn; ``None`` if it was not."""
    models = {model.casefold() for model in release.match.model}
    for item in manifest.revoked:
        if item.model.casefold() in models and item.version == release.version:
            return item.reason
    return None


def title(release: Release) -> str:
    """Name a release in one line."""
    match = release.match
    words = [match.manufacturer, "/".join(match.model), match.image_type, "/".join(match.hardware), match.variant]
    return " ".join([word for word in words if word] + [release.version])


def _count(manifest: Manifest) -> str:
    number = len(manifest.releases)
    return f"{number} release{'' if number == 1 else 's'}"


def _doubts(release: Release, trust: Trust) -> Iterator[tuple[Outcome, str, str]]:
    scheme, window = release.version_scheme, release.match
    for version in (release.version, window.min_version, window.max_version):
        counted = version == release.version and release.counter is not None
        if version and not counted and compare(version, _ZERO[scheme], scheme) is Order.UNKNOWN:
            detail = f"{version} is no {scheme} version: the release is never offered"
            # A maker can mend its own statement; who looks at a public index can only know.
            yield Outcome.FAILED if trust is Trust.SIGNED else Outcome.WARNING, Reason.VERSION_UNKNOWN, detail
    if release.channel != STABLE:
        yield Outcome.WARNING, "", f"channel {release.channel}: only {STABLE} is offered"
    if release.delivery is Delivery.MANUAL:
        yield Outcome.OK, Reason.MANUAL_ONLY, "shown to owners, and installed by hand"
    if ANY_HARDWARE in window.hardware and trust is Trust.SIGNED:
        yield Outcome.WARNING, "", "for all hardware of these models"
    for one in release.artifacts:
        yield from _doubts_about(one)


def _doubts_about(one: Artifact) -> Iterator[tuple[Outcome, str, str]]:
    if not one.pin:
        yield Outcome.WARNING, Reason.NO_DIGEST, f"{one.name}: shown, and installed only by the vendor's own way"
    if urlsplit(one.url).scheme == "http":
        yield Outcome.WARNING, Reason.INSECURE_URL, f"{one.url}: hubs fetch http from the local network only"
    if one.size > limits.MAX_ARTIFACT_BYTES:
        yield Outcome.FAILED, Reason.TOO_LARGE, f"{one.name}: {one.size} bytes"
