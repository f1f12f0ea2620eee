"""The command ``firmware-hub``: reads the command line, runs one command, ends with its exit code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from .commands import COMMANDS
from .core.errors import HubError
from .faults import Exit, Fault, as_fault
from .report import Report

_INTERRUPTED = 130
_ABOUT = "Sign firmware manifests, and check them, packages and devices as Firmware Hub does. Needs no Home Assistant."
EXIT_CODES = """\
exit codes:
  0  done, and all is well
  1  done, and something is wrong: a check failed
  2  the command line makes no sense
  3  what was given makes no sense: a file, a key, a description
  4  refused: it must not be done, such as lowering a sequence number or overwriting a key
  5  the outside failed: the disk, a server, the broker
"""
_FIRST_STEPS = """\
first steps:
  firmware-hub keygen acme.pem
  firmware-hub sign releases --key acme.pem
  firmware-hub verify releases/manifest.jws --key acme.pub.json --files releases

Each command explains itself: firmware-hub COMMAND --help
"""


def main(argv: Sequence[str] | None = None, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> int:
    """Run one command; ``clock`` is the time of day that it works with."""
    args = parser().parse_args(argv)
    args.now = clock
    report = Report(args.command, args.json, lambda line: print(line, flush=True))
    try:
        return int(args.run(args, report))
    except (Fault, HubError) as error:
        fault = error if isinstance(error, Fault) else as_fault(error)
        if not args.json:
            print(f"firmware-hub {args.command}: {fault}", file=sys.stderr)
        return int(report.fault(fault))
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # Nobody reads any more; what is still buffered must not fail again when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(Exit.OUTSIDE)


def parser() -> argparse.ArgumentParser:
    """Return the whole command line."""
    form = argparse.RawDescriptionHelpFormatter
    top = argparse.ArgumentParser(
        prog="firmware-hub", description=_ABOUT, epilog=f"{_FIRST_STEPS}\n{EXIT_CODES}", formatter_class=form
    )
    top.add_argument("--version", action="version", version=f"%(prog)s {_version()}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        about, _, example = (command.__doc__ or "").partition("\n")
        one = commands.add_parser(
            command.NAME,
            help=command.HELP,
            description=about,
            epilog=f"{example.strip()}\n\n{EXIT_CODES}",
            formatter_class=form,
        )
        command.add_arguments(one)
        one.add_argument("--json", action="store_true", help="print one JSON object for machines instead of lines")
        one.set_defaults(run=command.run)
    return top


def _version() -> str:
    try:
        return version("firmware-hub-tool")
    except PackageNotFoundError:
        return "(not installed)"
