"""Announce the key that will follow yours: the old key signs the new one.

A rotation in three steps. 1. keygen a new key, and rotate with the old one: the manifest is signed again and names the
new key. 2. Go on signing with the old key. Owners see both fingerprints and have seven days, from when their hub first
saw it, to say no. 3. After that, sign with the new key; from then on hubs refuse the old one. A hub that was switched
off all the time never saw the announcement, and its owner has to pin the new key by hand: so wait a month rather than a
week, unless the old key is in wrong hands.

If a key is named that is not yours, sign with --take-back at once.

Examples:
  firmware-hub rotate releases/manifest.jws --key acme.pem --next acme-2027.pub.json
  firmware-hub rotate releases/manifest.jws --key acme.pem --take-back
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from ..core import limits
from ..faults import Code, Exit, Fault
from ..history import History, in_words
from ..private_key import public_keys
from ..report import Report
from ..signer import Draft, publish, published
from ..signing_options import add_key, add_state, desk, lifetime, tell

NAME, HELP = "rotate", "announce the key that will follow yours"


def add_arguments(parser: ArgumentParser) -> None:
    """Say what may stand on the command line."""
    parser.add_argument("manifest", metavar="MANIFEST", type=Path, help="the manifest that was signed last")
    add_key(parser)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--next", metavar="PUBLIC", type=Path, help="the public half of the new key (JWK or PEM)")
    what.add_argument("--take-back", action="store_true", help="name no key any more")
    add_state(parser)


def run(args: Namespace, report: Report) -> Exit:
    """Do it."""
    where = desk(args, report, args.manifest)
    following = public_keys(args.next) if args.next else ()
    now = args.now()
    if where.key.public.fingerprint in {key.fingerprint for key in following}:
        raise Fault(Exit.FORBIDDEN, Code.SAME_KEY, "this is the key that signs now", path=str(args.next))

    def draw(history: History) -> Draft:
        members, before = published(where, history)
        announced = dict.fromkeys((*history.next_keys, *(key.text for key in following))) if following else ()
        if tuple(announced) == history.next_keys:
            raise Fault(Exit.FORBIDDEN, Code.NOTHING_TO_DO, "the last manifest says the same", path=str(args.manifest))
        return Draft(members, lifetime(args, before), revoked=history.revoked, next_keys=tuple(announced))

    manifest = publish(where, draw, now)
    for key in following:
        report.say(f"next key     {key.fingerprint} ({key.algorithm})")
        report.say(f"accepted     from {in_words(now + limits.KEY_ROTATION_DELAY)} on, the earliest")
    return tell(report, where, manifest)
