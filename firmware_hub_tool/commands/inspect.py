"""Say what a file is, whom it fits, and what is wrong with it. Nothing is verified: see verify.

Known are signed manifests, every index that the hub reads, images for Espressif chips (also packed with gzip), Zigbee
OTA files, Shelly packages, and keys. A file or a web address.

Examples:
  firmware-hub inspect plug.bin
  firmware-hub inspect releases/manifest.jws
  firmware-hub inspect https://api.github.com/repos/arendst/Tasmota/releases?per_page=3
"""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from datetime import datetime

from .. import checks
from ..core import limits
from ..core.effects import LedgerRow
from ..core.errors import BadInput, HubError, Reason
from ..core.keys import decode_base64url, pinned_key, read_keys
from ..core.model import ArtifactFormat, Feed, Manifest, Release, Trust
from ..core.signing import accept
from ..faults import Exit
from ..files import read_place
from ..history import READER, in_words
from ..images import format_of, look
from ..report import Outcome, Report
from ..sources import BY_NAME, SOURCES
from ..sources.base import Source

NAME, HELP = "inspect", "say what an index, a manifest, an image or a key is, and what is wrong with it"
_SHOWN = 20
_INDEXES = tuple(source for source in SOURCES if source.trust is not Trust.SIGNED)


def add_arguments(parser: ArgumentParser) -> None:
    """Say what may stand on the command line."""
    parser.add_argument("thing", metavar="THING", help="a file or a web address")
    parser.add_argument(
        "--source", choices=[source.name for source in _INDEXES], help="the index format; default: whichever reads it"
    )
    parser.add_argument("--all", action="store_true", help=f"print all releases, not only the first {_SHOWN}")


def run(args: Namespace, report: Report) -> Exit:
    """Do it."""
    data = read_place(args.thing, limits.MAX_ARTIFACT_BYTES)
    start = data[:4096].lstrip()
    if b"-----BEGIN " in start or _is_jwk(data):
        _key(report, data)
    elif start.startswith((b"{", b"[")):
        _index(args, report, data)
    elif start.startswith(b"eyJ") and data.count(b".") == 2:
        _signed(args, report, data)
    else:
        _image(report, data)
    return report.end(Exit.NOT_GOOD if report.failed else Exit.GOOD)


def _is_jwk(data: bytes) -> bool:
    if len(data) > limits.MAX_KEY_TEXT or not data.lstrip().startswith((b"{", b"[")):
        return False
    try:
        return bool(read_keys(data.decode()))
    except UnicodeDecodeError:
        return False
    except HubError as error:
        return error.reason in {Reason.WEAK_KEY, Reason.PRIVATE_KEY}


def _key(report: Report, data: bytes) -> None:
    try:
        keys = [pinned_key(text) for text in read_keys(data.decode(errors="replace"))]
    except HubError as error:
        report.give(kind="key")
        report.refused("public key", error)
        return
    report.give(kind="public key", keys=[{"fingerprint": key.fingerprint, "algorithm": key.algorithm} for key in keys])
    for key in keys:
        report.check("public key", Outcome.OK, f"{key.algorithm}, fingerprint {key.fingerprint}")


def _image(report: Report, data: bytes) -> None:
    form = format_of(data)
    report.give(kind=form.value, size=len(data))
    try:
        seen = look(data, form)
    except HubError as error:
        report.say(f"looks like {form}")
        report.refused("image", error)
        return
    report.give(kind=form.value, fits=seen.fits, facts=seen.facts)
    report.check("image", Outcome.OK if form is not ArtifactFormat.RAW else Outcome.WARNING, seen.kind)
    for name, value in seen.fits.items():
        report.say(f"  fits {name.replace('_', ' ')}: {value}")
    for name, value in {"size": len(data), **seen.facts}.items():
        report.say(f"  {name.replace('_', ' ')}: {value}")
    for oddity in seen.oddities:
        report.check("image", Outcome.WARNING, oddity)


def _signed(args: Namespace, report: Report, data: bytes) -> None:
    header, payload, _ = data.decode(errors="replace").strip().split(".")
    try:
        names: dict[str, object] = json.loads(decode_base64url(header, "header"))
        statement = accept(decode_base64url(payload, "payload"), Trust.DIGEST)
        manifest = READER.read(statement, Feed("inspect", READER.name, "", "", Trust.DIGEST))
    except (ValueError, HubError) as error:
        wrong = error if isinstance(error, HubError) else BadInput(Reason.MALFORMED, str(error), path="header")
        report.give(kind="signed envelope")
        report.refused("manifest", wrong)
        return
    report.give(kind="signed manifest", algorithm=str(names.get("alg")), fingerprint=str(names.get("kid", "")))
    report.check(
        "signature", Outcome.SKIPPED, f"{names.get('alg')}, says it is by {names.get('kid')}: verify checks it"
    )
    _releases(args, report, manifest, args.now())


def _index(args: Namespace, report: Report, data: bytes) -> None:
    found: list[tuple[Source, Manifest]] = []
    refusals: list[tuple[str, HubError]] = []
    for source in [BY_NAME[args.source]] if args.source else _INDEXES:
        feed = Feed("inspect", source.name, "", args.thing if "://" in args.thing else "", source.trust)
        try:
            found.append((source, source.read(accept(data, source.trust), feed)))
        except HubError as error:
            refusals.append((source.name, error))
    if not found:
        _no_index(report, data, refusals)
        return
    source, manifest = max(found, key=lambda pair: len(pair[1].releases))
    report.give(kind=source.name)
    report.check("index", Outcome.OK if manifest.releases else Outcome.WARNING, f"{source.name}, by {manifest.vendor}")
    _releases(args, report, manifest, args.now())


def _no_index(report: Report, data: bytes, refusals: list[tuple[str, HubError]]) -> None:
    try:
        unsigned = READER.read(accept(data, Trust.DIGEST), Feed("inspect", READER.name, "", "", Trust.DIGEST))
    except HubError as error:
        refusals.append((READER.name, error))
        report.give(kind="unknown")
        for name, refusal in refusals:
            report.refused(f"as {name}", refusal)
        return
    report.give(kind="unsigned manifest")
    detail = f"a manifest of {unsigned.vendor} without a signature"
    report.check("signature", Outcome.FAILED, detail, reason=Reason.UNSIGNED)


def _releases(args: Namespace, report: Report, manifest: Manifest, now: datetime) -> None:
    shown = manifest.releases if args.all else manifest.releases[:_SHOWN]
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
    checks.statement(report, manifest, LedgerRow("inspect"), now)
    checks.releases(report, manifest, now)


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
