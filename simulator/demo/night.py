"""What happens in the demo: everything is approved, the sleeper wakes, and every verdict is waited for and judged."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from zoneinfo import ZoneInfo

from simulator.demo.api import Json
from simulator.demo.cast import ONE_OF_MANY, Part, repairs_of
from simulator.demo.shown import Shown, ShownDevice
from simulator.demo.stage import Say, Stage
from simulator.devices.base import DeviceState
from simulator.devices.open import OpenDevice

FOUND_WITHIN = 90.0
"""Real seconds. Some families say who they are only now and then: a gateway every two minutes of its own time."""
OFFERED_WITHIN = 60.0
WAKES_WITHIN = 60.0
LONGEST = 230.0
"""Real seconds that the whole night may last, so that the demo is over after four minutes, however it ends."""
MORE_EACH = 45.0
"""Real seconds more for each device beyond the cast: those of one radio are installed one after the other."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How one device ended, as read back, beside how it had to end."""

    part: Part
    shown: ShownDevice | None
    reason: str
    commands: int
    runs: str
    answers: bool

    @property
    def verdict(self) -> str:
        """In Home Assistant's words; empty if nothing was installed."""
        return self.shown.verdict if self.shown else ""

    @property
    def as_scripted(self) -> bool:
        """Whether everything about it is as its script says."""
        script = self.part.script
        return (
            self.shown is not None
            and (self.verdict, self.reason) == (script.verdict, script.reason)
            and (self.commands, self.runs, self.answers) == (script.commands, self.part.version, script.answers)
        )


@dataclass(frozen=True, slots=True)
class Result:
    """The whole night, read back from Home Assistant, from the devices and from the broker's traffic."""

    summary: Json
    endings: tuple[Ending, ...]
    lasting_commands: int

    @property
    def as_scripted(self) -> bool:
        """Whether every device ended as its script says and no promise was broken."""
        broken = self.summary["commands_outside_window"] + self.summary["duplicate_commands"] + self.lasting_commands
        repairs = sorted(repairs_of(ending.part for ending in self.endings).elements())
        counted = (self.summary["devices"], self.summary["repairs"]) == (len(self.endings), repairs)
        return not broken and counted and all(ending.as_scripted for ending in self.endings)

    @property
    def line(self) -> str:
        """The summary as one line of JSON."""
        return json.dumps(self.summary)


async def approve_everything(stage: Stage, say: Say) -> None:
    """Wait until every offer is there, and press "Update all"."""
    shown, cast = stage.shown, stage.cast
    await shown.wait_for(lambda now: all(part.device_id in now.devices for part in cast), FOUND_WITHIN)
    say(f"Home Assistant shows {len(shown.devices)} devices")
    wanted = {part.device_id for part in cast if part.is_offered}
    # Those behind one bridge are asked one after the other.
    await shown.wait_for(lambda now: wanted <= _offered(now), OFFERED_WITHIN + MORE_EACH * more_than_the_cast(cast))
    await shown.wait_for(refusals, OFFERED_WITHIN)
    offered = [device.entity_id for device in shown.devices.values() if device.offered]
    say(f"refused manifests: {', '.join(refusals(shown))}; offers: {len(offered)}; approving all of them")
    await stage.home_assistant.api.call("update", "install", entity_id=offered)


async def wake_the_sleepers(stage: Stage, say: Say, *, within: float | None = None) -> None:
    """Wake who sleeps, after Home Assistant has shown that its install waits, and that the others went on."""
    if within is None:
        within = WAKES_WITHIN + MORE_EACH * more_than_the_cast(stage.cast)
    for part in stage.cast:
        if isinstance(part.device, OpenDevice) and part.device.state is DeviceState.ASLEEP:
            await stage.shown.wait_for(partial(_waits, device_id=part.device_id), within)
            await stage.shown.wait_for(Shown.verdicts, within)
            say(f"{part.device.name} wakes up")
            await part.device.wake()


async def wait_for_verdicts(stage: Stage, began: float) -> None:
    """Return when every install of the scripts has ended and been told; ``began`` is of ``time.monotonic``."""
    rest = LONGEST + MORE_EACH * more_than_the_cast(stage.cast) - (time.monotonic() - began)
    wanted = {part.device_id for part in stage.cast if part.is_offered}
    repairs = repairs_of(stage.cast)
    await stage.shown.wait_for(lambda now: _has_ended(now, wanted) and repairs <= _repairs(now), rest)
    await stage.tap.settle()


def judge(stage: Stage, began: float) -> Result:
    """Read everything back. ``began`` is of ``time.monotonic``."""
    zone = ZoneInfo(stage.zone)
    endings = tuple(_ending(stage, part) for part in stage.cast)
    summary: Json = {
        "home_assistant": stage.home_assistant.api.version,
        "broker": stage.broker.name,
        "devices": len(stage.shown.devices),
        "verdicts": dict(Counter(device.verdict for device in stage.shown.devices.values() if device.verdict)),
        "refused_manifests": refusals(stage.shown),
        "commands_outside_window": len(stage.tap.outside(lambda at: _in_the_window(at, zone))),
        "duplicate_commands": len(stage.tap.duplicates()) + _taken_twice(stage),
        "repairs": sorted(_repairs(stage.shown).elements()),
        "seconds": round(time.monotonic() - began, 1),
    }
    return Result(summary, endings, len(stage.tap.lasting_commands()))


def more_than_the_cast(cast: Sequence[Part]) -> int:
    """Return how many devices there are only because somebody asked for more."""
    return sum(part.script is ONE_OF_MANY for part in cast)


def refusals(shown: Shown) -> list[str]:
    """Return the reason of each feed whose manifest was refused, as the hub announced it."""
    refused = (event for event in shown.events if event["type"] == "manifest_refused")
    return sorted({event["feed_id"]: event["reason"] for event in refused}.values())


def _ending(stage: Stage, part: Part) -> Ending:
    event = stage.shown.verdicts().get(part.device_id, {})
    device = part.device
    return Ending(
        part=part,
        shown=stage.shown.devices.get(part.device_id),
        reason=event.get("reason") or "",
        commands=len(stage.tap.install_commands(part.called)),
        runs=device.version,
        answers=device.online,
    )


def _waits(shown: Shown, device_id: str) -> bool:
    """Whether an approved install is shown as waiting for something."""
    device = shown.devices.get(device_id)
    return device is not None and device.state == "deferred"


def _offered(shown: Shown) -> set[str]:
    return {device.device_id for device in shown.devices.values() if device.offered}


def _has_ended(shown: Shown, wanted: set[str]) -> bool:
    """Whether all have a verdict, and states and events say the same: they come one after the other."""
    verdicts = shown.verdicts()
    return wanted <= verdicts.keys() and all(
        shown.devices[device_id].verdict == verdicts[device_id]["state"] for device_id in wanted
    )


def _repairs(shown: Shown) -> Counter[str]:
    return Counter(issue["translation_key"] for issue in shown.issues.values())


def _in_the_window(at: datetime, zone: ZoneInfo) -> bool:
    """Whether this is in the default window, 00:00-05:00. The demo's zones have no summer time."""
    return at.astimezone(zone).hour < 5


def _taken_twice(stage: Stage) -> int:
    """How many commands the devices themselves took more than once."""
    return sum(len(part.device.record.duplicate_commands) for part in stage.cast)
