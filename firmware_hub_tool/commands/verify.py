"""Check a manifest, or a package with its manifest, against the maker's public key, as the hub would.

Each check of the hub's is done in the hub's order and printed; it ends with 0 if a hub would take it, with 1 if not.

A manifest: signature, document, dates, history (--after: one that was accepted before), and then its artifacts: local
copies (--files) or those that are published (--fetch). A package, such as one that a technician is about to flash by
hand: give its manifest with --manifest, and the package is looked up in it. Both may be files or web addresses.

--key is what the vendor tells you by another way than the manifest: a file with one or more public keys, JWK or PEM.

Examples:
  firmware-hub verify releases/manifest.jws --key acme.pub.json --files releases
  firmware-hub verify https://fw.example.com/acme/manifest.jws --key acme.pub.json --vendor Acme --fetch
  firmware-hub verify plug.bin --manifest https://fw.example.com/acme/manifest.jws --key acme.pub.json
"""

from __future__ import annotations

import hashlib
from argparse import ArgumentParser, Namespace
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from .. import checks
from ..core import limits
from ..core.effects import LedgerRow
from ..core.errors import HubError, Reason
from ..core.manifest import judge, read_manifest
from ..core.model import Artifact, Feed, Manifest, Release
from ..faults import Exit, Fault, as_fault
from ..files import read_file, read_place
from ..history import READER, feed, in_words
from ..private_key import public_keys
from ..report import Outcome, Report

NAME, HELP = "verify", "check a manifest or a package against a key, as the hub would"


def add_arguments(parser: ArgumentParser) -> None:
    """Say what may stand on the command line."""
    parser.add_argument("thing", metavar="THING", help="a manifest, or with --manifest a package; file or web address")
    parser.add_argument(
        "--key", metavar="PUBLIC", type=Path, action="append", required=True, help="public keys; may be repeated"
    )
    parser.add_argument("--vendor", default="", help="who it must be by; default: whoever signed with the key")
    parser.add_argument("--manifest", metavar="PLACE", help="THING is a package, and this is its manifest")
    parser.add_argument("--after", metavar="PLACE", help="a manifest that was accepted before this one")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--files", metavar="FOLDER", type=Path, help="check the artifacts in this folder, too")
    how.add_argument("--fetch", action="store_true", help="fetch the artifacts and check them, too")


def run(args: Namespace, report: Report) -> Exit:
    """Do it."""
    keys = tuple(key.text for file in args.key for key in public_keys(file))
    wanted = feed(keys, args.vendor)
    now = args.now()
    manifest = _manifest(args, report, wanted, now)
    if manifest is not None:
        report.give(vendor=manifest.vendor, sequence=manifest.sequence, fingerprint=manifest.key_id)
        if manifest.expires:
            report.give(expires=in_words(manifest.expires))
        if args.manifest:
            _package(args, report, manifest)
        else:
            checks.releases(report, manifest, now)
        _artifacts(args, report, manifest)
    report.say()
    report.say("something is wrong: see above" if report.failed else "a hub takes this")
    return report.end(Exit.NOT_GOOD if report.failed else Exit.GOOD)


def _manifest(args: Namespace, report: Report, wanted: Feed, now: datetime) -> Manifest | None:
    raw = read_place(args.manifest or args.thing, limits.MAX_MANIFEST_BYTES)
    ledger = _accepted_before(args.after, wanted)
    verified = checks.signature(report, raw, wanted.keys)
    manifest = verified and checks.document(report, verified, wanted)
    if manifest:
        checks.statement(report, manifest, ledger, now)
    return manifest or None


def _accepted_before(place: str | None, wanted: Feed) -> LedgerRow:
    begin = LedgerRow(wanted.id)
    if place is None:
        return begin
    try:
        before = read_manifest(read_place(place, limits.MAX_MANIFEST_BYTES), wanted, READER)
        # As on the day on which it was accepted: by now it may have expired.
        return judge(before, begin, before.issued) if before.issued else begin
    except HubError as error:
        raise as_fault(error, where=place) from error


def _package(args: Namespace, report: Report, manifest: Manifest) -> None:
    data = read_place(args.thing, limits.MAX_ARTIFACT_BYTES)
    name = _name(args.thing)
    found = _find(manifest, hashlib.sha256(data).hexdigest(), name)
    if found is None:
        detail = f"neither these bytes nor a file of this name are in the manifest of {manifest.vendor}"
        report.check(name, Outcome.FAILED, detail, reason=Reason.DIGEST_MISMATCH)
        return
    release, stated = found
    report.check("listed", Outcome.OK, f"{checks.title(release)}, {stated.role} artifact {stated.name}")
    report.give(release=checks.title(release), version=release.version)
    checks.artifact(report, stated, data, name)
    reason = checks.withdrawn(manifest, release)
    if reason is not None:
        report.check("withdrawn", Outcome.FAILED, reason, reason=Reason.OFFER_WITHDRAWN)


def _find(manifest: Manifest, digest: str, name: str) -> tuple[Release, Artifact] | None:
    """Find an artifact by its bytes, else by its name: then these are not its bytes, and that is told."""
    listed = [(release, stated) for release in manifest.releases for stated in release.artifacts]
    same = [pair for pair in listed if pair[1].sha256 == digest]
    named = [pair for pair in listed if pair[1].name == name]
    return next(iter(same + named), None)


def _artifacts(args: Namespace, report: Report, manifest: Manifest) -> None:
    for stated in {stated.url: stated for release in manifest.releases for stated in release.artifacts}.values():
        if args.fetch:
            try:
                data = read_place(stated.url, stated.size + 1)
            except Fault as fault:
                report.check(stated.url, Outcome.FAILED, fault.detail, reason=fault.code)
            else:
                checks.artifact(report, stated, data, stated.url)
        elif args.files is not None:
            _local(report, args.files, stated)


def _local(report: Report, folder: Path, stated: Artifact) -> None:
    """Check the file in the folder that lies as deep in it as in its address, or less deep."""
    parts = [part for part in unquote(urlsplit(stated.url).path).split("/") if part not in {"", ".", ".."}]
    places = [folder.joinpath(*parts[start:]) for start in range(len(parts))]
    place = next((place for place in places if place.is_file()), None)
    if place is None:
        report.check(stated.name, Outcome.FAILED, f"not below {folder}", reason=Reason.NOT_FOUND)
    else:
        checks.artifact(report, stated, read_file(place, limits.MAX_ARTIFACT_BYTES), str(place))


def _name(place: str) -> str:
    return Path(unquote(urlsplit(place).path) if "://" in place else place).name
