"""Withdraw a release: hubs install it no more, cancel approvals of it, and warn owners who run it.

The manifest is signed again, and every later one goes on naming the release as withdrawn.

Examples:
  firmware-hub revoke releases/manifest.jws --key acme.pem --model PLUG-S1 --release 1.1.0 --reason "loses its settings"
  firmware-hub revoke releases/manifest.jws --key acme.pem --model PLUG-S1 --release 1.1.0 --undo
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from ..core.model import Revoked
from ..faults import Code, Exit, Fault
from ..history import History
from ..report import Report
from ..signer import Draft, publish, published
from ..signing_options import add_key, add_state, desk, lifetime, tell

NAME, HELP = "revoke", "withdraw a release"


def add_arguments(parser: ArgumentParser) -> None:
    """Say what may stand on the command line."""
    parser.add_argument("manifest", metavar="MANIFEST", type=Path, help="the manifest that was signed last")
    add_key(parser)
    parser.add_argument("--model", required=True, help="the model, as in match.model")
    parser.add_argument("--release", metavar="VERSION", required=True, help="the version to withdraw")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--reason", help="one line for owners")
    what.add_argument("--undo", action="store_true", help="withdraw it no more")
    add_state(parser)


def run(args: Namespace, report: Report) -> Exit:
    """Do it."""
    where = desk(args, report, args.manifest)
    named = (args.model, args.release)

    def draw(history: History) -> Draft:
        members, before = published(where, history)
        others = tuple(item for item in history.revoked if (item.model, item.version) != named)
        if args.undo and len(others) == len(history.revoked):
            raise Fault(Exit.FORBIDDEN, Code.NOTHING_TO_DO, "it is not withdrawn", path=" ".join(named))
        if not args.undo and not _knows(members, *named):
            report.warn(f"no release of the last manifest is {args.model} {args.release}")
        revoked = others if args.undo else (*others, Revoked(*named, args.reason))
        return Draft(members, lifetime(args, before), revoked=revoked, next_keys=history.next_keys)

    return tell(report, where, publish(where, draw, args.now()))


def _knows(members: dict[str, Any], model: str, version: str) -> bool:
    """Say whether the payload, which was read by the hub's reader before, has such a release."""
    models = [[name.casefold() for name in release["match"]["model"]] for release in members.get("releases") or ()]
    versions = [release["version"] for release in members.get("releases") or ()]
    return any(model.casefold() in names and version == number for names, number in zip(models, versions, strict=True))
