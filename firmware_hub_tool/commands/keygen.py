"""Make a signing key: KEY for you alone, and the public half beside it for those who pin it.

The public half is written as KEY.pub.json (a JWK, without .pem): owners paste it into Firmware Hub as the key of your
vendor feed. Keep KEY off line, and a copy in another place: whoever has it can sign for you; without it, you cannot.

Examples:
  firmware-hub keygen acme.pem
  firmware-hub keygen acme.pem --passphrase
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from .. import private_key
from ..faults import Code, Exit, Fault
from ..files import write_new
from ..report import Report

NAME, HELP = "keygen", "make a signing key"


def add_arguments(parser: ArgumentParser) -> None:
    """Say what may stand on the command line."""
    parser.add_argument(
        "key", metavar="KEY", type=Path, help="file to write; it must not exist, and only you can read it"
    )
    parser.add_argument(
        "--algorithm",
        choices=private_key.ALGORITHMS,
        default=private_key.ALGORITHMS[0],
        help=f"default %(default)s; RSA keys have {private_key.RSA_BITS} bits",
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--passphrase", action="store_true", help="ask for a passphrase that locks the file")
    how.add_argument(
        "--passphrase-file", metavar="FILE", help="take it from the first line of a file; - is standard input"
    )


def run(args: Namespace, report: Report) -> Exit:
    """Do it."""
    path: Path = args.key
    beside = public_path(path)
    for file in (path, beside):
        if file.exists():
            raise Fault(Exit.FORBIDDEN, Code.FILE_EXISTS, "there is a file, and it stays", path=str(file))
    passphrase = private_key.passphrase_from(args.passphrase_file, ask_new=args.passphrase)
    key = private_key.make(args.algorithm)
    private_key.write(key, path, passphrase)
    write_new(beside, key.public.text.encode() + b"\n")
    report.say(f"secret key   {path} ({'locked with a passphrase' if passphrase else 'no passphrase'}, mode 0600)")
    report.say(f"public key   {beside}")
    report.say(f"algorithm    {key.public.algorithm}")
    report.say(f"fingerprint  {key.public.fingerprint}")
    report.say()
    report.say("Owners paste this as the key of your feed:")
    report.say(key.public.text)
    report.give(
        key=str(path),
        public_key=str(beside),
        jwk=key.public.text,
        algorithm=key.public.algorithm,
        fingerprint=key.public.fingerprint,
        passphrase=passphrase is not None,
    )
    return report.end(Exit.GOOD)


def public_path(key: Path) -> Path:
    """Return where the public half of a key goes."""
    return key.with_suffix(".pub.json") if key.suffix == ".pem" else key.with_name(f"{key.name}.pub.json")
