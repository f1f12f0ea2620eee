"""What follows from a verdict: who is told, which repair is raised, what is stopped and what goes on.

Rules (design section 3, invariant 8; section 6, repairs):

* The notice says first whether the device works. A repair is raised only for what a person should hear of.
* A stop is told once, with the device that caused it; it is taken back when that device comes through after all, or by
  a person's word. It is a repair of its own only where it holds something up: as soon as another device of the model is
  known, or when the device itself is approved for a release that its own stop holds.
* A pilot's settling time ends well only if the device still runs the release, is not known to be gone and has not
  failed its self-test; missing counts as not passed.
* Its last word must be one since the connection. Otherwise it is asked, and its time goes on; whoever is there to be
  asked and does not answer is gone. One that sleeps, or cannot be asked, is waited for; of one that cannot be asked,
  what the broker keeps counts as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta

from . import limits
from .agenda import Agenda
from .effects import ClearIssue, IssueKind, LifecycleKind, QueryDevice, RaiseIssue, Severity, StopServing
from .errors import Reason
from .fleet import Fleet
from .install import Sighting
from .model import Device, Install, InstallState, Presence
from .ports import Capabilities
from .rollout import ModelKey, Rollout, Stop, has_failed, model_of, recovers
from .sighting import sight
from .turn import Turn


class Verdicts:
    """The consequences. Never raises."""

    def __init__(
        self, fleet: Fleet, agenda: Agenda, rollout: Rollout, capabilities: Mapping[str, Capabilities]
    ) -> None:
        """Speak about these devices."""
        self._fleet = fleet
        self._agenda = agenda
        self._rollout = rollout
        self._capabilities = capabilities
        self._questions: Counter[str] = Counter()

    def take(self, install: Install, settle: timedelta, turn: Turn) -> Install:
        """Write down a verdict and carry its consequences; return the install as it is kept."""
        device = self._fleet.devices[install.device_id]
        stop = self._rollout.ended(install, settle, turn.now)
        if (settling := self._rollout.settling(install.id)) is not None:
            install = settling
            self._agenda.set("pilot", install.id, install.settle_until)
        turn.save_install(install)
        why = {"reason": install.reason.value} if install.reason else {}
        turn.audit("install_ended", install.device_id, install=install.id, verdict=install.state.value, **why)
        self._repairs(install, device, turn)
        if stop is not None:
            self._stopped(stop, device, turn)
        elif install.state is InstallState.SUCCEEDED:
            self._healed(install, turn)
        # Told last: whoever reacts to the event finds the repairs that belong to it.
        turn.announce(LifecycleKind.INSTALL_ENDED, install.device_id, **event_values(install, device))
        return install

    def tell_again(self, install: Install, turn: Turn) -> None:
        """Tell what could not be told when it happened, because it could not be written."""
        turn.do(StopServing(install.id))
        device = self._fleet.get(install.device_id)
        if device is None:
            return
        self._repairs(install, device, turn)
        for stop in self._rollout.caused_by(device.id):
            self._stopped(stop, device, turn)
        turn.announce(LifecycleKind.INSTALL_ENDED, install.device_id, **event_values(install, device))

    def _repairs(self, install: Install, device: Device, turn: Turn) -> None:
        turn.do(ClearIssue(IssueKind.WINDOWS_MISSED, device.id))
        if not has_failed(install):
            turn.do(ClearIssue(IssueKind.INSTALL_FAILED, device.id), ClearIssue(IssueKind.DEVICE_DARK, device.id))
            return
        works = recovers(install)
        kind, other = IssueKind.INSTALL_FAILED, IssueKind.DEVICE_DARK
        if not works:
            kind, other = other, kind
        severity = Severity.ERROR if works else Severity.CRITICAL
        values = {
            "device": device.name or device.id,
            "version": install.offer.version,
            "from_version": install.from_version,
            "verdict": install.state.value,
            "detail": install.failure_detail or install.reason_values.get("detail", ""),
            "recovery": install.offer.release.recovery.notes,
            "recovery_url": install.offer.release.recovery.url,
        }
        turn.do(ClearIssue(other, device.id), RaiseIssue(kind, device.id, severity, True, install.reason, values))

    # --- stops -------------------------------------------------------------------------------------------------------

    def _stopped(self, stop: Stop, device: Device, turn: Turn) -> None:
        values = {
            "manufacturer": stop.manufacturer,
            "model": stop.model,
            "version": stop.version,
            "device": device.name or device.id,
            "verdict": stop.verdict.value,
        }
        model = (stop.manufacturer, stop.model)
        turn.audit("model_stopped", _subject(model), version=stop.version, device=device.id)
        turn.announce(LifecycleKind.MODEL_STOPPED, device.id, **values)
        if self._fleet.has_others(*model, device.id):
            turn.do(self._repair(stop))

    def joined(self, device: Device, turn: Turn) -> None:
        """Take in which model a device is of: what another one stopped holds this one up from now on."""
        stops = self._rollout.stopped((device.manufacturer, device.model))
        turn.do(*(self._repair(stop) for stop in stops if stop.device_id != device.id))

    def approved(self, install: Install, turn: Turn) -> None:
        """Take in an approval: the device's own stop may hold it up, and nobody was told how to let it go on."""
        if self._rollout.blocked(install) is Reason.MODEL_STOPPED:
            turn.do(*(self._repair(stop) for stop in self._rollout.caused_by(install.device_id)))

    def _repair(self, stop: Stop) -> RaiseIssue:
        device = self._fleet.get(stop.device_id)
        values = {
            "manufacturer": stop.manufacturer,
            "model": stop.model,
            "version": stop.version,
            "device": (device and device.name) or stop.device_id,
            "verdict": stop.verdict.value,
            "device_id": stop.device_id,
        }
        subject = _subject((stop.manufacturer, stop.model))
        return RaiseIssue(IssueKind.MODEL_STOPPED, subject, Severity.ERROR, True, stop.reason, values)

    def _healed(self, install: Install, turn: Turn) -> None:
        """Take back the stops that a device caused which then proved itself."""
        caused = self._rollout.caused_by(install.device_id)
        self.release([stop for stop in caused if (stop.manufacturer, stop.model) == model_of(install)], turn)

    def release(self, stops: Iterable[Stop], turn: Turn, **by: str) -> None:
        """Let stopped models go on."""
        models: dict[ModelKey, None] = {}
        for stop in stops:
            self._rollout.release(stop)
            models[stop.manufacturer, stop.model] = None
        for model in models:
            turn.audit("model_released", _subject(model), **by)
            if not self._rollout.stopped(model):
                turn.do(ClearIssue(IssueKind.MODEL_STOPPED, _subject(model)))

    # --- the first device of a release -------------------------------------------------------------------------------

    def remember(self, install: Install, turn: Turn) -> Install:
        """Take over a verdict from before a restart; a settling time ends only when its device had time to speak."""
        if install.state is not InstallState.SUCCEEDED:
            return install
        if install.settle_until is not None:
            install = replace(install, settle_until=max(install.settle_until, turn.now + limits.RESTART_GRACE))
            self._agenda.set("pilot", install.id, install.settle_until)
        self._rollout.remember(install)
        return install

    def settled(self, install_id: str, turn: Turn, *, connected: bool) -> Install | None:
        """End a pilot's settling time, or let it go on while nothing is known of the device.

        Return its install as it is kept, ``None`` if it was withdrawn meanwhile.
        """
        pilot = self._rollout.settling(install_id)
        if pilot is None:
            return None
        device = self._fleet.devices[pilot.device_id]
        presence = self._fleet.presence[device.id]
        fault = _unsettled(pilot, device, presence)
        if fault is None and not self._has_spoken(device, presence):
            if not connected or self._questions[install_id] < limits.SETTLE_QUESTIONS:
                return self._settle_on(pilot, device, turn, connected=connected)
            fault = Reason.NO_RETURN
        del self._questions[install_id]
        install = replace(pilot, settle_until=None, healthy=pilot.healthy if fault is None else False)
        self._rollout.settled(install, well=fault is None)
        if fault is None:
            turn.audit("pilot_settled", device.id, version=install.offer.version)
        elif (stop := self._rollout.stop(install, install.offer.version, fault)) is not None:
            self._stopped(stop, device, turn)
        return install

    def _has_spoken(self, device: Device, presence: Presence) -> bool:
        """Whether anything since the connection says what the device runs."""
        kept = presence.heard and not self._capabilities[device.dialect].answers
        return kept or presence.last_report is not None

    def _settle_on(self, pilot: Install, device: Device, turn: Turn, *, connected: bool) -> Install:
        """Ask the device if that is possible, and look again later."""
        family = self._capabilities[device.dialect]
        wait = max(limits.RESTART_GRACE, family.answer_time or limits.RESTART_GRACE)
        if connected and (device.sleeps or not family.answers):
            wait = limits.SILENT_RETRY
        elif connected:
            self._questions[pilot.id] += 1
        if connected and family.answers:
            self._fleet.asked(device.id, turn.now)
            turn.do(QueryDevice(device.id))
        install = replace(pilot, settle_until=turn.now + wait)
        self._agenda.set("pilot", install.id, install.settle_until)
        self._rollout.remember(install)
        return install


def _unsettled(install: Install, device: Device, presence: Presence) -> Reason | None:
    match sight(install, device):
        case Sighting.NEW:
            pass
        case Sighting.OLD:
            return Reason.CAME_BACK_OLD
        case _:
            return Reason.CAME_BACK_OTHER
    if presence.online is False and not device.sleeps:
        return Reason.NO_RETURN
    return Reason.UNHEALTHY if presence.self_test == "failed" else None


def _subject(model: ModelKey) -> str:
    return f"{model[0]}/{model[1]}"


def event_values(install: Install, device: Device) -> dict[str, str | int | bool | None]:
    """The documented fields of an event about an install (docs/events.md)."""
    return {
        "install_id": install.id,
        "name": device.name,
        "manufacturer": device.manufacturer,
        "model": device.model,
        "from_version": install.from_version,
        "version": install.offer.version,
        "state": install.state.value,
        "reason": install.reason.value if install.reason else None,
        "device_works": recovers(install) if install.state.is_end else None,
        "attempt": install.attempt,
    }
