"""Who is next: the queue per network, the pilot of each release, stopped models, learnt durations.

Rules (design section 3):

* Invariant 8: the first device of each (model, hardware, variant, version) is installed alone; the others wait for its
  verdict and its settling time. The pilot is chosen on purpose: mains before battery, on line before unknown.
* A pilot that fails stops its release; a device that is not recovered stops its model. Nothing else is held up.
* At most ``parallel_installs`` run per network, and fewer where the family says so (dialects.md section 7.12).
* An install that cannot start for a reason of its own is parked and costs nothing until that reason may be gone, so
  that looking for the next one does not depend on how many wait.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
import math

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
    }
)
_FAILED = frozenset({InstallState.FAILED, InstallState.REJECTED, InstallState.ROLLED_BACK}) | _DARK


class PilotState(StrEnum):
    """How far the first install of a release is."""

    RUNNING = "running"
    SETTLING = "settling"
    PROVEN = "proven"


@dataclass(frozen=True, slots=True)
class Pilot:
    """The first install of a release; ``until`` is the end of its settling time."""

    install_id: str
    device_id: str
    state: PilotState
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a model (``version`` empty) or one release of it does not go on."""

    device_id: str
    version: str
    verdict: InstallState
    reason: Reason | None


def recovers(install: Install) -> bool:
    """Whether the device of an ended install works again or still: what the notice says first."""
    return install.state not in _DARK and install.reason not in _UNRECOVERED


def has_failed(install: Install) -> bool:
    """Whether the verdict is one that a person should hear of."""
    return install.state in _FAILED


class Rollout:
    """The order of a night. Never raises."""

    def __init__(self) -> None:
        """Begin with nobody waiting."""
        self._ready: dict[str, dict[PilotKey, OrderedDict[str, Install]]] = defaultdict(dict)
        self._where: dict[str, tuple[str, PilotKey]] = {}
        self._running: dict[str, set[str]] = defaultdict(set)
        self._most: dict[str, int] = {}
        self.pilots: dict[PilotKey, Pilot] = {}
        self.stops: dict[ModelKey, Stop] = {}
        self.durations: dict[ModelKey, tuple[float, ...]] = {}
        self.changed = False

    # --- the queue -----------------------------------------------------------------------------------------------------

    def add(self, install: Install, network: str, *, first: bool = False) -> None:
        """Let an install wait for its turn, ahead of its equals if it is a good pilot (``first``)."""
        self.drop(install.id)
        group = self._ready[network].setdefault(install.pilot_key, OrderedDict())
        group[install.id] = install
        if first:
            group.move_to_end(install.id, last=False)
        self._where[install.id] = (network, install.pilot_key)

    def drop(self, install_id: str) -> None:
        """Take an install out of the queue; it may be parked, running, ended or unknown."""
        where = self._where.pop(install_id, None)
        if where is None:
            return
        network, key = where
        group = self._ready[network][key]
        del group[install_id]
        if not group:
            del self._ready[network][key]

    def is_ready(self, install_id: str) -> bool:
        """Whether an install waits for its turn only."""
        return install_id in self._where

    def began(self, install: Install, network: str) -> None:
        """Count an install as running, and as the pilot if its release has none."""
        self.drop(install.id)
        self._running[network].add(install.id)
        if install.pilot_key not in self.pilots:
            self.pilots[install.pilot_key] = Pilot(install.id, install.device_id, PilotState.RUNNING)

    def rests(self, install: Install, network: str) -> None:
        """Stop counting an install as running; a pilot that never got its command leaves the place to another."""
        self._running[network].discard(install.id)
        pilot = self.pilots.get(install.pilot_key)
        if pilot is not None and pilot.install_id == install.id and pilot.state is PilotState.RUNNING:
            del self.pilots[install.pilot_key]

    def running(self, network: str) -> int:
        """How many installs run in a network."""
        return len(self._running[network])

    def limit(self, network: str, most: int | None) -> None:
        """Note how many may run in a network at most, whatever the owner says; ``None``: as the owner says."""
        if most is not None:
            self._most[network] = most

    def has_place(self, network: str, parallel: int) -> bool:
        """Whether one more may run in a network, where its owner allows ``parallel``."""
        return self.running(network) < min(parallel, self._most.get(network, parallel))

    def candidates(self, parallel: int) -> Iterator[Install]:
        """Yield installs whose turn it is, network by network; look at each and begin, park or drop it.

        One that the caller leaves as it was is not yielded again in this call.
        """
        for network in [name for name, groups in self._ready.items() if groups]:
            for key in list(self._ready[network]):
                yield from self._group(network, key, parallel)

    def _group(self, network: str, key: PilotKey, parallel: int) -> Iterator[Install]:
        looked: set[str] = set()
        while self.has_place(network, parallel) and self.blocked(key) is None:
            group = self._ready[network].get(key, OrderedDict())
            install = next((item for name, item in group.items() if name not in looked), None)
            if install is None:
                return
            looked.add(install.id)
            yield install

    def may_start(self, install: Install, network: str, parallel: int) -> bool:
        """Whether a waiting install has a free place and nothing of its release or model in its way."""
        ready = self.is_ready(install.id) and self.has_place(network, parallel)
        return ready and self.blocked(install.pilot_key) is None

    # --- pilots and stops ------------------------------------------------------------------------------------------------

    def blocked(self, key: PilotKey) -> Reason | None:
        """Why no further install of this release may start now; ``None`` if one may."""
        stop = self.stops.get((key.manufacturer, key.model))
        if stop is not None and stop.version in {"", key.version}:
            return Reason.MODEL_STOPPED
        pilot = self.pilots.get(key)
        if pilot is None or pilot.state is PilotState.PROVEN:
            return None
        return Reason.WAITS_FOR_PILOT if pilot.state is PilotState.RUNNING else Reason.PILOT_SETTLING

    def ended(self, install: Install, network: str, settle: timedelta, now: datetime) -> Stop | None:
        """Take in a verdict: free the place, settle or withdraw the pilot; return the stop that it causes."""
        is_pilot = self._is_pilot(install)
        self._running[network].discard(install.id)
        self.drop(install.id)
        if install.state is InstallState.SUCCEEDED:
            self._learn(install)
            if is_pilot:
                settling = Pilot(install.id, install.device_id, PilotState.SETTLING, now + settle)
                self.pilots[install.pilot_key] = settling
            return None
        if is_pilot:
            del self.pilots[install.pilot_key]
        if not has_failed(install) or install.command_at is None:
            return None
        return self._stop(install, is_pilot=is_pilot)

    def _stop(self, install: Install, *, is_pilot: bool) -> Stop | None:
        if recovers(install) and not is_pilot:
            return None
        version = install.offer.version if recovers(install) else ""
        return self.stop(install, version)

    def stop(self, install: Install, version: str) -> Stop:
        """Stop a model (empty version) or one of its releases because of what happened to an install."""
        key = (install.identity.manufacturer, install.identity.model)
        before = self.stops.get(key)
        if before is not None and not before.version:
            return before
        self.changed = True
        self.stops[key] = Stop(install.device_id, version, install.state, install.reason)
        return self.stops[key]

    def remember(self, install: Install) -> None:
        """Take over a success from before a restart: its release needs no other pilot."""
        state = PilotState.PROVEN if install.settle_until is None else PilotState.SETTLING
        known = self.pilots.get(install.pilot_key)
        if known is None or known.state is not PilotState.PROVEN:
            self.pilots[install.pilot_key] = Pilot(install.id, install.device_id, state, install.settle_until)

    def _is_pilot(self, install: Install) -> bool:
        pilot = self.pilots.get(install.pilot_key)
        return pilot is not None and pilot.install_id == install.id and pilot.state is PilotState.RUNNING

    def settled(self, key: PilotKey) -> None:
        """End a pilot's settling time well."""
        pilot = self.pilots[key]
        self.pilots[key] = Pilot(pilot.install_id, pilot.device_id, PilotState.PROVEN)

    def release(self, model: ModelKey) -> bool:
        """Let a stopped model go on, by a person's word; whether it was stopped."""
        self.changed = True
        return self.stops.pop(model, None) is not None

    # --- durations -----------------------------------------------------------------------------------------------------

    def _learn(self, install: Install) -> None:
        if install.command_at is None or install.ended_at is None:
            return
        key = (install.identity.manufacturer, install.identity.model)
        seconds = (install.ended_at - install.command_at).total_seconds()
        self.changed = True
        self.durations[key] = (*self.durations.get(key, ()), seconds)[-_SAMPLES:]

    def expected(self, install: Install, default_minutes: int) -> timedelta:
        """How long an install takes: learnt 95th percentile of the model, else the manifest's word, else the family's."""
        key = (install.identity.manufacturer, install.identity.model)
        samples = sorted(self.durations.get(key, ()))
        if len(samples) >= _ENOUGH_SAMPLES:
            return timedelta(seconds=samples[math.ceil(0.95 * len(samples)) - 1])
        return timedelta(minutes=install.offer.release.install_minutes or default_minutes)
