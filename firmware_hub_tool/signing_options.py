"""What the three commands that sign have in common: the key, the file, and what they say at the end."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from datetime import timedelta
from pathlib import Path

from . import private_key
from .core.model import Manifest
from .faults import Exit
from .history import in_words
from .report import Report
from .signer import Desk

MAX_DAYS = 3650


def add_key(parser: ArgumentParser) -> None:
    """Add the options of the key that signs."""
    parser.add_argument("--key", metavar="KEY", type=Path, required=True, help="your secret key (see keygen)")
    parser.add_argument(
        "--passphrase-file", metavar="FILE", help="its passphrase, in the first line; - is standard input"
    )
    parser.add_argument(
        "--algorithm", choices=private_key.ALGORITHMS, default="", help="for a key that was not made by keygen"
    )


def add_state(parser: ArgumentParser) -> None:
    """Add the options of what is remembered, and for how long a manifest is good."""
    parser.add_argument(
        "--state", metavar="FILE", type=Path, help="what was signed before; default: beside the manifest, *.state.json"
    )
    parser.add_argument(
        "--days", type=_days, help="how long it is good: publish a fresh one before; default: as the last one, or 30"
    )


def desk(args: Namespace, report: Report, manifest: Path, *, new_key: bool = False) -> Desk:
    """Read the key and return with what and where is signed.

    Raises:
        Fault: as ``private_key.load``.
    """
    key = private_key.load(args.key, private_key.passphrase_from(args.passphrase_file), algorithm=args.algorithm)
    if private_key.read_by_others(args.key):
        report.warn(f"others on this machine can read {args.key}: chmod 600 {args.key}")
    return Desk(key, manifest, args.state or manifest.with_suffix(".state.json"), new_key)


def lifetime(args: Namespace, default: timedelta) -> timedelta:
    """Return for how long the manifest is to be good."""
    return default if args.days is None else timedelta(days=args.days)


def tell(report: Report, where: Desk, manifest: Manifest) -> Exit:
    """Say what was signed."""
    expires = in_words(manifest.expires) if manifest.expires else ""
    report.say(f"signed       {where.manifest}")
    report.say(f"sequence     {manifest.sequence}")
    report.say(f"releases     {len(manifest.releases)}")
    report.say(f"withdrawn    {len(manifest.revoked)}")
    report.say(f"good until   {expires}")
    report.say(f"signed by    {manifest.key_id} ({where.key.public.algorithm})")
    report.give(
        manifest=str(where.manifest),
        sequence=manifest.sequence,
        releases=len(manifest.releases),
        revoked=len(manifest.revoked),
        expires=expires,
        fingerprint=manifest.key_id,
        next_keys=list(manifest.next_keys),
    )
    return report.end(Exit.NOT_GOOD if report.failed else Exit.GOOD)


def _days(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= MAX_DAYS:
        raise ArgumentTypeError(f"not a number of days from 1 to {MAX_DAYS}")
    return int(text)
