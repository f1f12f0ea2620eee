"""Published documents, shown to a person and not verified: what each is, whom it fits, what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from . import checks
from .core import limits
from .core.effects import LedgerRow
from .core.errors import BadInput, HubError, Reason
from .core.keys import decode_base64url
from .core.model import Feed, Manifest, Release, Trust
from .core.signing import accept
from .core.untrusted import is_web_address, read_object
from .history import READER, in_words
from .report import Outcome, Report
from .sources import SOURCES
from .sources.base import Source
from .sources.tuf_repository import TufRepositorySource
from .tuf_metadata import Metadata, as_targets, read as read_tuf

SHOWN = 20
INDEXES = {source.name: source for source in SOURCES if source.trust is not Trust.SIGNED}
_TUF_READER = TufRepositorySource()
_NOWHERE = "https://where-it-is-served.invalid/index.json"


@dataclass(frozen=True, slots=True)
class View:
    """What is looked at, and how: ``source`` is the only index format to try, ``whole`` shows people all releases."""

    report: Report
    place: str
    now: datetime
    source: str | None = None
    whole: bool = False

    @property
    def address(self) -> str:
        """Where the document is; in a file here, what it says beside itself leads nowhere."""
        return self.place if is_web_address(self.place) else _NOWHERE

    def feed(self, source: Source) -> Feed:
        """Return a feed for which nobody vouches."""
        return Feed("inspect", source.name, "", self.address, Trust.DIGEST)


def show_signed(view: View, data: bytes) -> None:
    """Show a signed manifest."""
    report = view.report
    header, payload, _ = data.decode(errors="replace").strip().split(".")
    try:
        names = read_object(decode_base64url(header, "header"), max_bytes=limits.MAX_JWS_HEADER)
        algorithm, claimed = names.label("alg"), names.label("kid", "nobody")
        statement = accept(decode_base64url(payload, "payload"), Trust.DIGEST)
        manifest = READER.read(statement, view.feed(READER))
    except HubError as error:
        report.give(kind="signed envelope")
        report.refused("manifest", error)
        return
    report.give(kind="signed manifest", algorithm=algorithm, fingerprint=claimed)
    report.check("signature", Outcome.SKIPPED, f"{algorithm}, says it is by {claimed}; verify checks it")
    _releases(view, manifest)


def _tuf(view: View, metadata: Metadata) -> None:
    report = view.report
    report.give(kind=f"TUF {metadata.role}", version=metadata.version, expires=in_words(metadata.expires))
    report.check("metadata", Outcome.OK, f"TUF {metadata.role}, version {metadata.version}")
    claims = ", ".join(key[:12] for key in metadata.signed_by) or "nobody"
    report.check("signatures", Outcome.SKIPPED, f"says it is by {claims}; a client verifies the chain")
    for name, threshold, keys in metadata.roles:
        enough = Outcome.OK if threshold <= keys else Outcome.FAILED
        report.check(f"role {name}", enough, f"{threshold} of {keys} keys sign")
    if metadata.role != "targets":
        checks.expiry(report, metadata.expires, view.now)
        return
    folder = view.address.rpartition("/metadata/")[0] or view.address.rpartition("/")[0]
    try:
        manifest = _TUF_READER.read(as_targets(metadata, f"{folder}/targets/"), view.feed(_TUF_READER))
    except HubError as error:
        report.refused("targets", error)
        return
    _releases(view, manifest)


def show_index(view: View, data: bytes) -> None:
    """Show an index, whichever it is, or metadata of a TUF repository."""
    report = view.report
    try:
        metadata = read_tuf(data)
    except BadInput as error:
        report.give(kind="TUF metadata")
        report.refused("metadata", error)
        return
    if metadata is not None:
        _tuf(view, metadata)
        return
    found: list[tuple[Source, Manifest]] = []
    refusals: list[tuple[str, HubError]] = []
    for source in [INDEXES[view.source]] if view.source else INDEXES.values():
        try:
            found.append((source, source.read(accept(data, source.trust), view.feed(source))))
        except HubError as error:
            refusals.append((source.name, error))
    if not found:
        _no_index(view, data, refusals)
        return
    source, manifest = max(found, key=lambda pair: len(pair[1].releases))
    report.give(kind=source.name)
    report.check("index", Outcome.OK if manifest.releases else Outcome.WARNING, f"{source.name}, by {manifest.vendor}")
    _releases(view, manifest)


def _no_index(view: View, data: bytes, refusals: list[tuple[str, HubError]]) -> None:
    report = view.report
    try:
        unsigned = READER.read(accept(data, Trust.DIGEST), view.feed(READER))
    except HubError as error:
        refusals.append((READER.name, error))
        report.give(kind="unknown")
        for name, refusal in refusals:
            report.refused(f"as {name}", refusal)
        return
    report.give(kind="unsigned manifest")
    detail = f"a manifest of {unsigned.vendor} without a signature"
    report.check("signature", Outcome.FAILED, detail, reason=Reason.UNSIGNED)


def _releases(view: View, manifest: Manifest) -> None:
    report = view.report
    shown = manifest.releases if view.whole else manifest.releases[:SHOWN]
    for release in shown:
        report.say(f"  {checks.title(release)}  {_summary(release)}")
    if len(shown) < len(manifest.releases):
        report.say(f"  and {len(manifest.releases) - len(shown)} more (--all)")
    report.give(
        vendor=manifest.vendor,
        sequence=manifest.sequence,
        expires=in_words(manifest.expires) if manifest.expires else None,
        releases=[_as_json(release) for release in manifest.releases],
    )
    checks.statement(report, manifest, LedgerRow("inspect"), view.now)
    checks.releases(report, manifest, view.now)


def _summary(release: Release) -> str:
    size = f"{release.main.size} bytes" if release.main.size else "size not stated"
    return f"{release.main.format}, {size}, {'digest' if release.main.pin else 'no digest'}"


def _as_json(release: Release) -> dict[str, object]:
    match = release.match
    fits = {
        "manufacturer": match.manufacturer,
        "model": list(match.model),
        "hardware": list(match.hardware),
        "variant": match.variant,
        "image_type": match.image_type,
        "min_version": match.min_version,
        "max_version": match.max_version,
    }
    artifacts = [
        {"name": one.name, "url": one.url, "size": one.size, "digest": one.pin, "format": one.format.value}
        for one in release.artifacts
    ]
    return {"version": release.version, "fits": {k: v for k, v in fits.items() if v}, "artifacts": artifacts}
