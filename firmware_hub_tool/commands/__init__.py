"""The commands, one module each: its docstring is its ``--help``, the first line and what follows the options."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Protocol

from ..faults import Exit
from ..report import Report
from . import inspect, keygen, revoke, rotate, sign, try_device, verify


class Command(Protocol):
    """What each module is."""

    NAME: str
    HELP: str

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Say what may stand on the command line."""
        ...

    def run(self, args: Namespace, report: Report) -> Exit:
        """Do it."""
        ...


COMMANDS: tuple[Command, ...] = (keygen, sign, verify, inspect, rotate, revoke, try_device)
"""In the order in which ``--help`` lists them."""
