"""What the hub itself remembers: small texts over a restart, and what could not be written yet.

The clock's mark, the count of windows, stopped models and learnt durations are kept as texts beside the records.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .effects import AuditRow, FeedRow, ListenTo, Save
from .errors import BadInput, Reason
from .feeds import Feeds
from .fleet import Fleet
from .installer import Installer
from .model import DeviceId, Install, InstallState
from .rollout import Rollout, Stop
from .turn import Turn

CLOCK = "clock"
WINDOWS_CLOSED = "windows_closed"
_STOPS = "stops"
_DURATIONS = "durations"


def number(text: str) -> int:
    """Read a stored count; 0 if there is none. Never raises."""
    return int(text) if text.isascii() and text.isdecimal() else 0


def keep_rollout(rollout: Rollout, turn: Turn) -> None:
    """Write the stops and durations of a rollout when they changed. Never raises."""
    if not rollout.changed:
        return
    rollout.changed = False
    turn.save_meta(_STOPS, json.dumps([_stop_to_list(stop) for stop in rollout.stops.values()]))
    turn.save_meta(_DURATIONS, json.dumps([[*key, *samples] for key, samples in rollout.durations.items()]))


def recall_rollout(rollout: Rollout, meta: Mapping[str, str]) -> None:
    """Take over what ``keep_rollout`` wrote.

    Raises:
        BadInput: ``MALFORMED``: the store holds something that this module did not write.
    """
    try:
        for row in json.loads(meta.get(_STOPS, "[]")):
            stop = _stop_from_list(row)
            rollout.stops[stop.manufacturer, stop.model, stop.version] = stop
        for manufacturer, model, *samples in json.loads(meta.get(_DURATIONS, "[]")):
            rollout.durations[manufacturer, model] = tuple(float(sample) for sample in samples)
    except (ValueError, TypeError) as error:
        raise BadInput(Reason.MALFORMED, str(error), path="meta") from error


def _stop_to_list(stop: Stop) -> list[str | None]:
    reason = stop.reason.value if stop.reason else None
    return [stop.manufacturer, stop.model, stop.version, stop.device_id, stop.verdict.value, reason]


def _stop_from_list(row: list[Any]) -> Stop:
    manufacturer, model, version, device_id, verdict, reason = row
    return Stop(manufacturer, model, version, device_id, InstallState(verdict), Reason(reason) if reason else None)


class Unsaved:
    """What could not be written, until it can.

    Only what changed is remembered, not what it was: meanwhile something newer may have been written, and an older
    state of an install must never come back over it (invariant 6). Rows of the record never change: they are kept.
    """

    def __init__(self) -> None:
        """Begin with everything written."""
        self._devices: set[DeviceId] = set()
        self._installs: dict[str, Install] = {}
        self._ledger: set[str] = set()
        self._feeds: dict[str, FeedRow] = {}
        self._meta = False
        self._audit: list[AuditRow] = []

    def note(self, save: Save) -> None:
        """Remember what a failed transaction was about."""
        self._devices.update(device.id for device in save.devices)
        self._devices.update(save.forget)
        self._installs.update((install.id, install) for install in save.installs)
        self._ledger.update(row.feed_id for row in save.ledger)
        self._feeds.update((row.feed_id, row) for row in save.feeds)
        self._meta = self._meta or bool(save.meta)
        self._audit.extend(save.audit)

    def __bool__(self) -> bool:
        """Whether anything waits to be written."""
        return any((self._devices, self._installs, self._ledger, self._feeds, self._meta, self._audit))

    def write(self, turn: Turn, fleet: Fleet, feeds: Feeds, installer: Installer, meta: Mapping[str, str]) -> None:
        """Let a turn write it all, as it is now, and do again what was dropped with it and must not be missing."""
        turn.audit_again(self._audit)
        self._write_devices(turn, fleet)
        self._write_installs(turn, installer)
        for feed_id in self._ledger:
            turn.save_ledger(feeds.ledger[feed_id])
        for row in self._feeds.values():
            if feeds.is_newest(row):
                turn.save_feed(row)
        if self._meta:
            installer.rollout.changed = True
            for key, value in meta.items():
                turn.save_meta(key, value)

    def _write_devices(self, turn: Turn, fleet: Fleet) -> None:
        for device_id in self._devices:
            device = fleet.get(device_id)
            if device is None:
                turn.forget(device_id)
            else:
                turn.save_device(device)
                turn.do(ListenTo(device_id))

    def _write_installs(self, turn: Turn, installer: Installer) -> None:
        for stale in self._installs.values():
            install = _newest(stale, installer)
            if install is None:
                continue
            turn.save_install(install)
            if installer.last.get(install.device_id) is install:
                installer.tell_again(install, turn)


def _newest(stale: Install, installer: Installer) -> Install | None:
    """Return an install as it is now. One that another has followed was written since, unless this is its end."""
    for install in (installer.current.get(stale.device_id), installer.last.get(stale.device_id)):
        if install is not None and install.id == stale.id:
            return install
    return stale if stale.state.is_end else None
