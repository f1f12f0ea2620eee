"""Who is next: the queue per network, the pilot of each release, stopped models, learnt durations.

Rules (design section 3):

* Invariant 8: the first device of each (model, hardware, variant, version) is installed alone; the others wait for its
  verdict and its settling time. The pilot is chosen on purpose: mains before battery, on line before unknown.
* A pilot that fails stops its release, and so do two devices that refuse its image; a device that is not recovered
  stops its model. Nothing else is held up.
* A person may try the device again that caused a stop; if it comes through, the stop is taken back.
* At most ``parallel_installs`` run per network, and fewer where the family says so (dialects.md section 7.12).
* An install that cannot start for a reason of its own is parked and costs nothing until that reason may be gone, so
  that looking for the next one does not depend on how many wait.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from . import limits
from .errors import Reason
from .model import Install, InstallState, PilotKey

ModelKey = tuple[str, str]
"""Manufacturer and model."""

_SAMPLES = 20
_ENOUGH_SAMPLES = 5

_DARK = frozenset({InstallState.TIMED_OUT, InstallState.ROLLBACK_FAILED})
_UNRECOVERED = frozenset(
    {
        Reason.WRONG_IMAGE,
        Reason.SETTINGS_LOST,
        Reason.STUCK_IN_HELPER,
        Reason.CAME_BACK_OTHER,
        Reason.UNHEALTHY,
    }
)
OF_THE_RELEASE = frozenset({Reason.MODEL_STOPPED, Reason.WAITS_FOR_PILOT, Reason.PILOT_SETTLING})
"""Why an install does not go on because of others of its release or model."""
_FAILED = frozenset({InstallState.FAILED, InstallState.REJECTED, InstallState.ROLLED_BACK}) | _DARK


class PilotState(StrEnum):
    """How far the first install of a release is."""

    RUNNING = "running"
    SETTLING = "settling"
    PROVEN = "proven"


@dataclass(frozen=True, slots=True)
class Pilot:
    """The first install of a release."""

    install: Install
    state: PilotState


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a model (``version`` empty) or one release of it does not go on."""

    manufacturer: str
    model: str
    version: str
    device_id: str
    verdict: InstallState
    reason: Reason | None


class _Lane(NamedTuple):
    """Installs that the same things hold up: all of a release, but for its own pilot and those that try again."""

    key: PilotKey
    alone: bool


def recovers(install: Install) -> bool:
    """Whether the device of an ended install works again or still: what the notice says first."""
    return install.state not in _DARK and install.reason not in _UNRECOVERED


def has_failed(install: Install) -> bool:
    """Whether the verdict is one that a person should hear of."""
    return install.state in _FAILED


def model_of(install: Install) -> ModelKey:
    """The model that was approved, whatever the device says that it is by now."""
    return (install.identity.manufacturer, install.identity.model)


class Rollout:
    """The order of a night. Never raises."""

    def __init__(self) -> None:
        """Begin with nobody waiting."""
        self._ready: dict[str, dict[_Lane, OrderedDict[str, Install]]] = defaultdict(dict)
        self._where: dict[str, tuple[str, _Lane]] = {}
        self._running: Counter[str] = Counter()
        self._runs_in: dict[str, tuple[str, Install]] = {}
        self._most: dict[str, int] = {}
        self._refused: Counter[PilotKey] = Counter()
        self.pilots: dict[PilotKey, Pilot] = {}
        self.stops: dict[tuple[str, str, str], Stop] = {}
        self.durations: dict[ModelKey, tuple[float, ...]] = {}
        self.changed = False

    # --- the queue ---------------------------------------------------------------------------------------------------

    def add(self, install: Install, network: str, *, first: bool = False) -> None:
        """Let an install wait for its turn, ahead of its equals if it is a good pilot (``first``)."""
        self.drop(install.id)
        lane = _Lane(install.pilot_key, install.retry or self._is_pilot(install))
        group = self._ready[network].setdefault(lane, OrderedDict())
        group[install.id] = install
        if first:
            group.move_to_end(install.id, last=False)
        self._where[install.id] = (network, lane)

    def drop(self, install_id: str) -> None:
        """Take an install out of the queue; it may be parked, running, ended or unknown."""
        where = self._where.pop(install_id, None)
        if where is None:
            return
        network, lane = where
        group = self._ready[network][lane]
        del group[install_id]
        if not group:
            del self._ready[network][lane]

    def is_ready(self, install_id: str) -> bool:
        """Whether an install waits for its turn only."""
        return install_id in self._where

    def began(self, install: Install, network: str) -> None:
        """Count an install as running, and as the pilot if its release has none."""
        self.drop(install.id)
        self._leave(install)
        self._runs_in[install.id] = (network, install)
        self._running[network] += 1
        self.pilots.setdefault(install.pilot_key, Pilot(install, PilotState.RUNNING))

    def rests(self, install: Install) -> None:
        """Stop counting an install as running; a pilot leaves its place to another.

        One that could not be fetched keeps it: for the others the same file would not be there either.
        """
        self._leave(install)
        if self._is_pilot(install) and install.fetched:
            self._vacate(install.pilot_key)

    def yields(self, install: Install) -> bool:
        """Stop counting an install as running, because nothing is transferred to it; whether it was counted.

        A pilot keeps its place: it may begin, or may have begun, at any time.
        """
        was_counted = install.id in self._runs_in
        self._leave(install)
        return was_counted

    def _leave(self, install: Install) -> None:
        where = self._runs_in.pop(install.id, None)
        if where is not None:
            self._running[where[0]] -= 1

    def _vacate(self, key: PilotKey) -> None:
        """Give a pilot's place to one of its release that runs as well, after all: the next one would not be alone."""
        del self.pilots[key]
        for _, install in self._runs_in.values():
            if install.pilot_key == key:
                self.pilots[key] = Pilot(install, PilotState.RUNNING)

    def running(self, network: str) -> int:
        """How many installs run in a network."""
        return self._running[network]

    def limit(self, network: str, most: int | None) -> None:
        """Note how many may run in a network at most, whatever the owner says; ``None``: as the owner says."""
        if most is not None:
            self._most[network] = most

    def has_place(self, network: str, parallel: int) -> bool:
        """Whether one more may run in a network, where its owner allows ``parallel``."""
        return self.running(network) < self.places(network, parallel)

    def places(self, network: str, parallel: int) -> int:
        """How many may run in a network at a time, where its owner allows ``parallel``."""
        return min(parallel, self._most.get(network, parallel))

    def candidates(self, parallel: int) -> Iterator[Install]:
        """Yield installs whose turn it is, network by network; look at each and begin, park or drop it.

        One that the caller leaves as it was is not yielded again in this call. Cost: the number of different releases
        that wait, and of the installs that are yielded.
        """
        for network in [name for name, lanes in self._ready.items() if lanes]:
            for lane in list(self._ready[network]):
                yield from self._lane(network, lane, parallel)

    def _lane(self, network: str, lane: _Lane, parallel: int) -> Iterator[Install]:
        looked: set[str] = set()
        while self.has_place(network, parallel):
            group = self._ready[network].get(lane, OrderedDict())
            install = next((item for name, item in group.items() if name not in looked), None)
            if install is None:
                return
            looked.add(install.id)
            if self.blocked(install) is None:
                yield install
            elif not lane.alone:
                return  # what blocks one of them blocks all of them

    def may_start(self, install: Install, network: str, parallel: int) -> bool:
        """Whether a waiting install has a free place and nothing of its release or model in its way."""
        ready = self.is_ready(install.id) and self.has_place(network, parallel)
        return ready and self.blocked(install) is None

    # --- pilots and stops --------------------------------------------------------------------------------------------

    def blocked(self, install: Install) -> Reason | None:
        """Why an install may not start now because of others of its release or model; ``None`` if it may."""
        for version in ("", install.offer.version):
            stop = self.stops.get((*model_of(install), version))
            if stop is not None and not (install.retry and stop.device_id == install.device_id):
                return Reason.MODEL_STOPPED
        pilot = self.pilots.get(install.pilot_key)
        if pilot is None or pilot.state is PilotState.PROVEN or self._is_pilot(install):
            return None
        return Reason.WAITS_FOR_PILOT if pilot.state is PilotState.RUNNING else Reason.PILOT_SETTLING

    def ended(self, install: Install, settle: timedelta, now: datetime) -> Stop | None:
        """Take in a verdict: free the place, settle or withdraw the pilot; return the stop that it causes."""
        is_pilot = self._is_pilot(install)
        self._leave(install)
        self.drop(install.id)
        if install.state is InstallState.SUCCEEDED:
            self._learn(install)
            if is_pilot:
                settling = replace(install, settle_until=now + settle)
                self.pilots[install.pilot_key] = Pilot(settling, PilotState.SETTLING)
            return None
        if is_pilot:
            self._vacate(install.pilot_key)
        return self._stop(install, is_pilot=is_pilot) if has_failed(install) else None

    def _stop(self, install: Install, *, is_pilot: bool) -> Stop | None:
        if not recovers(install):
            return self.stop(install, "", install.reason)
        if install.state is InstallState.REJECTED:
            self._refused[install.pilot_key] += 1
        whole = self.stops.get((*model_of(install), ""))
        if whole is not None and whole.device_id == install.device_id:
            del self.stops[*model_of(install), ""]  # the device that was lost is found: only its release stays stopped
            is_pilot = True
        if is_pilot or self._refused[install.pilot_key] >= limits.REFUSALS_BEFORE_HOLD:
            return self.stop(install, install.offer.version, install.reason)
        return None

    def stop(self, install: Install, version: str, reason: Reason | None) -> Stop | None:
        """Stop a model (empty version) or one of its releases because of an install; ``None`` if it stands already."""
        model = model_of(install)
        if (*model, "") in self.stops or (*model, version) in self.stops:
            return None
        self.changed = True
        self.stops[*model, version] = Stop(*model, version, install.device_id, install.state, reason)
        return self.stops[*model, version]

    def settling(self, install_id: str) -> Install | None:
        """Return the pilot with this id if it is in its settling time."""
        # One per release that was ever installed, looked at once per release.
        held = (pilot.install for pilot in self.pilots.values() if pilot.state is PilotState.SETTLING)
        return next((install for install in held if install.id == install_id), None)

    def settled(self, install: Install, *, well: bool) -> None:
        """End a pilot's settling time, well or not."""
        if well:
            self.pilots[install.pilot_key] = Pilot(install, PilotState.PROVEN)
        else:
            self._vacate(install.pilot_key)

    def remember(self, install: Install) -> None:
        """Take over a success from before a restart: its release needs no other pilot, unless it did not stay well."""
        if install.healthy is False:
            return
        state = PilotState.PROVEN if install.settle_until is None else PilotState.SETTLING
        known = self.pilots.get(install.pilot_key)
        if known is None or known.state is not PilotState.PROVEN:
            self.pilots[install.pilot_key] = Pilot(install, state)

    def forget(self, device_id: str) -> None:
        """Let releases go whose pilot was removed before it had settled: the next device is the first one then."""
        gone = [key for key, pilot in self.pilots.items() if pilot.install.device_id == device_id]
        for key in gone:
            if self.pilots[key].state is not PilotState.PROVEN:
                self._vacate(key)

    def _is_pilot(self, install: Install) -> bool:
        pilot = self.pilots.get(install.pilot_key)
        return pilot is not None and pilot.install.id == install.id and pilot.state is PilotState.RUNNING

    def stopped(self, model: ModelKey) -> list[Stop]:
        """Return what is stopped of a model. Cost: the number of stops, which are few."""
        return [stop for stop in self.stops.values() if (stop.manufacturer, stop.model) == model]

    def caused_by(self, device_id: str) -> list[Stop]:
        """Return the stops that a device caused. Cost: the number of stops, which are few."""
        return [stop for stop in self.stops.values() if stop.device_id == device_id]

    def release(self, stop: Stop) -> None:
        """Let a stopped release or model go on, with a clean count of refusals."""
        self.changed = True
        self.stops.pop((stop.manufacturer, stop.model, stop.version), None)
        model = (stop.manufacturer, stop.model)
        for key in [key for key in self._refused if (key.manufacturer, key.model) == model]:
            del self._refused[key]

    # --- durations ---------------------------------------------------------------------------------------------------

    def _learn(self, install: Install) -> None:
        if install.command_at is None or install.ended_at is None or install.command_deadline is None:
            return
        if install.hand_back_at is not None:
            return  # it could say only when it woke again what it runs
        if install.ended_at > install.command_deadline + limits.VERIFY_DEADLINE:
            return  # it was given up in between: how long it was dark says nothing about the next one
        seconds = (install.ended_at - install.command_at).total_seconds()
        self.changed = True
        self.durations[model_of(install)] = (*self.durations.get(model_of(install), ()), seconds)[-_SAMPLES:]

    def expected(self, install: Install, default_minutes: int) -> timedelta:
        """How long it takes: the model's learnt 95th percentile, else the manifest's word, else the family's."""
        samples = self.durations.get(model_of(install), ())
        if len(samples) >= _ENOUGH_SAMPLES:
            return timedelta(seconds=sorted(samples)[math.ceil(0.95 * len(samples)) - 1])
        return timedelta(minutes=install.offer.release.install_minutes or default_minutes)
