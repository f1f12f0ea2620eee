"""What a command tells: lines for people as it goes, or one JSON object for machines at its end."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from .core.errors import HubError
from .core.untrusted import clean_label
from .faults import Exit, Fault

_MAX_DETAIL = 500
_MAX_LINE = 20_000  # characters; the text of a large public key is one line


class Outcome(StrEnum):
    """How one check ended."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


_SIGNS = {Outcome.OK: "ok      ", Outcome.WARNING: "warning ", Outcome.FAILED: "FAILED  ", Outcome.SKIPPED: "skipped "}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. ``reason`` is a code, ``path`` where in the document the fault is."""

    name: str
    outcome: Outcome
    detail: str = ""
    reason: str = ""
    path: str = ""

    @property
    def line(self) -> str:
        """The check as people read it."""
        words = ": ".join(part for part in (self.reason, self.path, self.detail) if part)
        return f"{_SIGNS[self.outcome]}{self.name}{'  ' if words else ''}{words}"


@dataclass(slots=True)
class Report:
    """Gathers what a command found; prints it as it comes, unless a machine listens."""

    command: str
    as_json: bool
    out: Callable[[str], None]
    checks: list[Check] = field(default_factory=list)
    values: dict[str, object] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def say(self, line: str = "") -> None:
        """Tell a person something."""
        if not self.as_json:
            self.out(_printable(line))

    def give(self, **values: object) -> None:
        """Tell a machine something."""
        self.values.update(values)

    def warn(self, text: str) -> None:
        """Say what is allowed and perhaps not meant."""
        self.warnings.append(clean_label(text, _MAX_DETAIL))
        self.say(f"warning: {text}")

    def check(self, name: str, outcome: Outcome, detail: str = "", *, reason: str = "", path: str = "") -> None:
        """Tell how one check ended."""
        check = Check(name, outcome, clean_label(detail, _MAX_DETAIL), reason, clean_label(path, _MAX_DETAIL))
        self.checks.append(check)
        self.say(check.line)

    def refused(self, name: str, error: HubError) -> None:
        """Tell that the hub would refuse, in its own words."""
        self.check(name, Outcome.FAILED, error.detail, reason=error.reason, path=error.path)

    @property
    def failed(self) -> bool:
        """Whether a check failed."""
        return any(check.outcome is Outcome.FAILED for check in self.checks)

    def end(self, exit_code: Exit) -> Exit:
        """Close the report: for a machine this prints all of it."""
        if self.as_json:
            self.out(self._json(exit_code))
        return exit_code

    def fault(self, fault: Fault) -> Exit:
        """Close the report because the command could not go on. People are told elsewhere, on standard error."""
        self.values["error"] = {"code": str(fault.code), "path": fault.path, "detail": fault.detail}
        return self.end(fault.exit_code)

    def _json(self, exit_code: Exit) -> str:
        document: dict[str, object] = {"command": self.command, "ok": exit_code is Exit.GOOD, "exit": int(exit_code)}
        document |= self.values
        if self.checks:
            names = ("name", "outcome", "reason", "path", "detail")
            document["checks"] = [{name: str(getattr(check, name)) for name in names} for check in self.checks]
        if self.warnings:
            document["warnings"] = self.warnings
        return json.dumps(document, ensure_ascii=True)


def _printable(line: str) -> str:
    """Keep one line one line: a terminal obeys control characters, and foreign text must not look like ours."""
    return "".join(sign if sign.isprintable() else " " for sign in line)[:_MAX_LINE].rstrip()
