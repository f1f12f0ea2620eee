"""A figure with its spread, held against its budget; the table of all, and the same as JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

type Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Figure:
    """What several runs measured.

    Attributes:
        row: the name by which the row is asked for.
        what: what was measured, against whom.
        unit: ``x`` is a ratio to the peer in the same round.
        budget: what is allowed; ``None``: a figure to know, not to keep.
        at_least: the budget is a lower bound.
        medians: what the ratio was made of, in the units that their names end with.
    """

    row: str
    what: str
    devices: int | None
    unit: str
    samples: tuple[float, ...]
    budget: float | None = None
    at_least: bool = False
    medians: dict[str, float] = field(default_factory=dict)

    @property
    def median(self) -> float:
        """The middle one: a single run on a machine that others use says little."""
        return median(self.samples)

    @property
    def is_kept(self) -> bool | None:
        """Whether the budget is kept; ``None`` if there is none."""
        if self.budget is None:
            return None
        return self.median >= self.budget if self.at_least else self.median <= self.budget


@dataclass(slots=True)
class Run:
    """How much is to be measured, and whom to tell."""

    devices: tuple[int, ...]
    quick: bool
    say: Say

    def rounds(self, wanted: int) -> range:
        """Return the rounds to make; ``--quick`` makes one."""
        return range(1 if self.quick else wanted)


def ratio(
    row: str, what: str, devices: int | None, ours: Iterable[float], theirs: Iterable[float], **rest: Any
) -> Figure:
    """Return ours over theirs, round by round: what slows the machine down in one round slows both."""
    ours, theirs = tuple(ours), tuple(theirs)
    medians = {"hub_s": median(ours), "peer_s": median(theirs)}
    return Figure(
        row, what, devices, "x", tuple(a / b for a, b in zip(ours, theirs, strict=True)), medians=medians, **rest
    )


def speed(
    row: str, what: str, devices: int | None, ours: Iterable[float], theirs: Iterable[float], **rest: Any
) -> Figure:
    """Return how many times as fast as theirs ours is, round by round."""
    ours, theirs = tuple(ours), tuple(theirs)
    medians = {"hub_s": median(ours), "peer_s": median(theirs)}
    samples = tuple(b / a for a, b in zip(ours, theirs, strict=True))
    return Figure(row, what, devices, "x", samples, at_least=True, medians=medians, **rest)


def machine(broker: str) -> dict[str, Any]:
    """Describe what the figures were measured on."""
    return {
        "processors": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "home_assistant": version("homeassistant"),
        "broker": broker,
    }


def as_json(figures: Iterable[Figure], about: dict[str, Any]) -> str:
    """Write everything as one line."""
    rows = [asdict(figure) | {"median": figure.median, "is_kept": figure.is_kept} for figure in figures]
    return json.dumps({"machine": about, "figures": rows}, separators=(",", ":"))


def show(figures: Iterable[Figure], about: dict[str, Any]) -> None:
    """Print the table."""
    table = Table(title=", ".join(f"{name.replace('_', ' ')} {value}" for name, value in about.items()))
    for name in ("row", "what", "devices"):
        table.add_column(name)
    for name in ("median", "spread", "budget", "kept", "of which"):
        table.add_column(name, justify="right")
    for figure in figures:
        table.add_row(
            figure.row,
            figure.what,
            f"{figure.devices:,}" if figure.devices else "",
            f"{_number(figure.median)} {figure.unit}",
            f"{_number(min(figure.samples))} - {_number(max(figure.samples))} ({len(figure.samples)})",
            "" if figure.budget is None else f"{'>=' if figure.at_least else '<='} {_number(figure.budget)}",
            {True: "yes", False: "[bold red]no[/]", None: ""}[figure.is_kept],
            ", ".join(f"{name} {_number(value)}" for name, value in figure.medians.items()),
        )
    Console(width=160).print(table)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
