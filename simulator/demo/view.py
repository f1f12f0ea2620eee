"""How the night looks in a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from simulator.demo.cast import Part
from simulator.demo.home_assistant import OWNER, PASSWORD
from simulator.demo.night import Ending, Result
from simulator.demo.shown import Shown, ShownDevice
from simulator.demo.stage import Stage

GOOD = frozenset({"succeeded", "already_installed"})
HANDLED = frozenset({"rolled_back", "canceled", "skipped"})
LAST_EVENTS = 6
PROGRESS_WIDTH = 12


def live(stage: Stage) -> RenderableType:
    """Return the picture of this moment: where to look, every device, and the latest events."""
    where = Text.assemble(
        ("Home Assistant  ", "bold"),
        (f"{stage.home_assistant.url}/config/updates", "cyan underline"),
        f"   user {OWNER}   password {PASSWORD}\n",
        ("Zone            ", "bold"),
        f"{stage.zone}, so that the window 00:00-05:00 is open.   Ctrl-C ends everything.",
    )
    return Group(Panel(where), _devices(stage), _events(stage))


def final(result: Result) -> RenderableType:
    """Return the table of the endings."""
    table = Table(title="How the night ended")
    table.add_column("Device", no_wrap=True)
    for name in ("Script", "Verdict", "Reason", "Runs", "Commands", "As scripted"):
        table.add_column(name)
    for ending in result.endings:
        table.add_row(*_ending(ending))
    return table


def in_words(shown: Shown) -> dict[str, str]:
    """Return one line for each device, without the numbers that change all the time."""

    def line(device: ShownDevice) -> str:
        name = device.entity_id.removeprefix("update.").removesuffix("_firmware").replace("_", "-")
        return f"{name}: {device.title} [{' '.join(filter(None, (device.state, device.reason, device.verdict)))}]"

    return {device.device_id: line(device) for device in shown.devices.values()}


def _devices(stage: Stage) -> Table:
    table = Table(expand=True)
    table.add_column("Device", no_wrap=True)
    for name in ("Family", "Script", "Version", "What Home Assistant shows"):
        table.add_column(name)
    table.add_column("Progress", min_width=PROGRESS_WIDTH)
    for part in stage.cast:
        table.add_row(*_row(stage, part))
    return table


def _row(stage: Stage, part: Part) -> tuple[RenderableType, ...]:
    name, family = Text(part.device.name, "bold"), Text(part.device.dialect)
    shown = stage.shown.devices.get(part.device_id)
    if shown is None:
        return name, family, Text(part.script.story, "dim"), Text("-"), Text("not found yet", "dim"), Text("")
    moves = shown.latest != shown.installed and (shown.offered or shown.busy)
    version = f"{shown.installed} → {shown.latest}" if moves else shown.installed
    if shown.verdict and not shown.busy:
        words = _verdict(shown.verdict, stage.shown.verdicts().get(part.device_id, {}).get("reason") or "")
    else:
        words = Text(shown.title.rpartition(" · ")[0] or _plain(shown.state))
    bar: RenderableType = Text("")
    if shown.busy:
        bar = ProgressBar(total=100, completed=shown.percent or 0, pulse=shown.percent is None)
    return name, family, Text(part.script.story, "dim"), Text(version), words, bar


def _events(stage: Stage) -> Panel:
    lines = [
        " ".join(str(event.get(key)) for key in ("type", "name", "state", "reason") if event.get(key))
        for event in stage.shown.events[-LAST_EVENTS:]
    ]
    return Panel(Text("\n".join(lines) or "-"), title="Events of the hub", title_align="left")


def _ending(ending: Ending) -> tuple[RenderableType, ...]:
    return (
        Text(ending.part.device.name, "bold"),
        Text(ending.part.script.story, "dim"),
        _verdict(ending.verdict, ""),
        Text(_plain(ending.reason)),
        Text(ending.runs if ending.answers else "silent"),
        Text(str(ending.commands)),
        Text("yes", "green") if ending.as_scripted else Text("NO", "bold red"),
    )


def _verdict(verdict: str, reason: str) -> Text:
    if not verdict:
        return Text("never offered", "cyan")
    colour = "green" if verdict in GOOD else "yellow" if verdict in HANDLED else "red"
    return Text(_plain(verdict) + (f": {_plain(reason)}" if reason else ""), colour)


def _plain(word: str) -> str:
    return word.replace("_", " ")
