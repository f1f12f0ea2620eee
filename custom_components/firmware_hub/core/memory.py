"""What the hub itself remembers over a restart, as small texts: the clock's mark, stopped models, learnt durations."""

from __future__ import annotations

from collections.abc import Mapping
import json
from typing import Any

from .errors import Reason
from .model import InstallState
from .rollout import ModelKey, Rollout, Stop
from .turn import Turn

CLOCK = "clock"
WINDOWS_CLOSED = "windows_closed"
_STOPS = "stops"
_DURATIONS = "durations"


def number(text: str) -> int:
    """Read a stored count; 0 if there is none. Never raises."""
    return int(text) if text.isdecimal() else 0


def keep_rollout(rollout: Rollout, turn: Turn) -> None:
    """Write the stops and durations of a rollout when they changed. Never raises."""
    if not rollout.changed:
        return
    rollout.changed = False
    stops = [[*key, *_stop_to_list(stop)] for key, stop in rollout.stops.items()]
    durations = [[*key, *samples] for key, samples in rollout.durations.items()]
    turn.save_meta(_STOPS, json.dumps(stops))
    turn.save_meta(_DURATIONS, json.dumps(durations))


def recall_rollout(rollout: Rollout, meta: Mapping[str, str]) -> None:
    """Take over what ``keep_rollout`` wrote.

    Raises:
        ValueError: the store holds something that this module did not write.
    """
    for manufacturer, model, *rest in _rows(meta.get(_STOPS)):
        rollout.stops[_key(manufacturer, model)] = _stop_from_list(rest)
    for manufacturer, model, *samples in _rows(meta.get(_DURATIONS)):
        rollout.durations[_key(manufacturer, model)] = tuple(float(sample) for sample in samples)


def _rows(text: str | None) -> list[list[Any]]:
    rows: list[list[Any]] = json.loads(text or "[]")
    return rows


def _key(manufacturer: str, model: str) -> ModelKey:
    return (manufacturer, model)


def _stop_to_list(stop: Stop) -> list[str | None]:
    return [stop.device_id, stop.version, stop.verdict.value, stop.reason.value if stop.reason else None]


def _stop_from_list(row: list[Any]) -> Stop:
    device_id, version, verdict, reason = row
    return Stop(device_id, version, InstallState(verdict), Reason(reason) if reason else None)
