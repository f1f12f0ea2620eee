"""Say what a file is, whom it fits, and what is wrong with it. Nothing is verified: see verify.

Known are signed manifests, every index that the hub reads, metadata of TUF repositories, images for Espressif chips
(also packed with gzip), Zigbee OTA files, Shelly packages, and keys. A file or a web address.

Examples:
  firmware-hub inspect plug.bin
  firmware-hub inspect releases/manifest.jws
  firmware-hub inspect https://api.github.com/repos/arendst/Tasmota/releases?per_page=3
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from ..core import limits
from ..core.errors import HubError, Reason
from ..core.keys import pinned_key, read_keys
from ..core.model import ArtifactFormat
from ..documents import INDEXES, SHOWN, View, show_index, show_signed
from ..faults import Exit
from ..files import read_place
from ..images import format_of, look
from ..report import Outcome, Report

NAME, HELP = "inspect", "say what an index, a manifest, an image or a key is, and what is wrong with it"


def add_arguments(parser: ArgumentParser) -> None:
    """Say what may stand on the command line."""
    parser.add_argument("thing", metavar="THING", help="a file or a web address")
    parser.add_argument("--source", choices=sorted(INDEXES), help="the index format; default: whichever reads it")
    parser.add_argument("--all", action="store_true", help=f"print all releases, not only the first {SHOWN}")


def run(args: Namespace, report: Report) -> Exit:
    """Do it."""
    data = read_place(args.thing, limits.MAX_ARTIFACT_BYTES)
    start = data[:4096].lstrip()
    view = View(report, args.thing, args.now(), args.source, whole=args.all)
    if b"-----BEGIN " in start or _is_jwk(data):
        _key(report, data)
    elif start.startswith((b"{", b"[")):
        show_index(view, data)
    elif start.startswith(b"eyJ") and data.count(b".") == 2:
        show_signed(view, data)
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
