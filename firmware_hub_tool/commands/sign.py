"""Sign a manifest: from a folder of releases, or from one YAML description.

A folder has manifest.yaml (vendor, base_url), and a release.yaml with its files, and perhaps notes.md, in any folder
below. Sizes, digests, formats and addresses are computed; images of known formats are looked into as the hub does.

  manifest.yaml                        release.yaml
    vendor: Acme                         match: {manufacturer: Acme, model: PLUG-S1, hardware: rev2}
    base_url: https://fw.example.com     version: 1.2.0
                                         counter: 17
                                         file: plug.bin

What else may stand in them: docs/schemas/firmware-manifest-1.schema.json.

The sequence number rises by one each time, and never falls: hubs take a lower one for an attack. What was signed before
is remembered beside the manifest in *.state.json; keep that file. Owners can install nothing once the manifest has
expired: sign again in time, even if nothing has changed.

Examples:
  firmware-hub sign releases --key acme.pem
  firmware-hub sign acme.yaml --key acme.pem --out public/manifest.jws --days 60
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from datetime import timedelta
from pathlib import Path

from .. import checks
from ..core.model import Revoked
from ..description import read_description
from ..faults import Exit
from ..history import History
from ..report import Report
from ..signer import DEFAULT_DAYS, Draft, publish
from ..signing_options import add_key, add_state, desk, lifetime, tell

NAME, HELP = "sign", "sign a manifest from a folder of releases or a YAML description"


def add_arguments(parser: ArgumentParser) -> None:
    """Say what may stand on the command line."""
    parser.add_argument("releases", metavar="RELEASES", type=Path, help="a folder with manifest.yaml, or a YAML file")
    add_key(parser)
    parser.add_argument(
        "--out", metavar="FILE", type=Path, help="the manifest to write; default: manifest.jws in the folder"
    )
    parser.add_argument(
        "--base-url", metavar="URL", default="", help="where the folder will be served; wins over the YAML"
    )
    parser.add_argument(
        "--sequence", metavar="N", type=int, help="the sequence number; default: one more than the last"
    )
    parser.add_argument(
        "--new-key", action="store_true", help="sign although no owner's hub accepts this key: all must pin it anew"
    )
    add_state(parser)


def run(args: Namespace, report: Report) -> Exit:
    """Do it."""
    place: Path = args.releases
    described = read_description(place, args.base_url)
    folder = place if place.is_dir() else place.parent
    where = desk(args, report, args.out or folder / "manifest.jws", new_key=args.new_key)

    def draw(history: History) -> Draft:
        return Draft(
            described.members,
            lifetime(args, timedelta(days=described.valid_days or DEFAULT_DAYS)),
            revoked=_together(described.revoked, history.revoked),
            next_keys=history.next_keys,
            origins=described.origins,
            sequence=args.sequence,
        )

    now = args.now()
    manifest = publish(where, draw, now)
    checks.releases(report, manifest, now)
    return tell(report, where, manifest)


def _together(written: tuple[Revoked, ...], before: tuple[Revoked, ...]) -> tuple[Revoked, ...]:
    """Return what is withdrawn now and what ever was: a hub that reads only this manifest must know it too."""
    named = {(item.model, item.version) for item in written}
    return written + tuple(item for item in before if (item.model, item.version) not in named)
