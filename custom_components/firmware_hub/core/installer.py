"""Runs the installs: from the queue through the state table to the verdict, and what follows from a verdict.

It keeps one current install and the last ended one per device. It decides when an install starts and when its command
may be sent (``gate``), in which order (``rollout``), and says afterwards who is told and what is stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from . import gate, limits
from .agenda import Agenda
from .effects import (
    ClearIssue,
    FetchArtifacts,
    IssueKind,
    LifecycleKind,
    QueryDevice,
    RaiseIssue,
    RestoreSettings,
    ServeAgain,
    Severity,
)
from .errors import Reason
from .fleet import Fleet
from .install import (
    Cancel,
    Command,
    Context,
    DeadlinePassed,
    Happening,
    Hold,
    Sighted,
    Sighting,
    Start,
    step,
)
from .model import Device, DeviceId, Install, InstallState, Offer
from .ports import Capabilities
from .rollout import PilotState, Rollout, Stop, has_failed, recovers
from .settings import Settings
from .turn import Turn
from .version import Order, compare
from .window import Window


class Installer:
    """All installs of one hub. Never raises for anything a device does."""

    def __init__(
        self, fleet: Fleet, agenda: Agenda, capabilities: Mapping[str, Capabilities], new_id: Callable[[], str]
    ) -> None:
        """Begin with no installs."""
        self.current: dict[DeviceId, Install] = {}
        self.last: dict[DeviceId, Install] = {}
        self.by_id: dict[str, DeviceId] = {}
        self.rollout = Rollout()
        self.settings = Settings()
        self.window = Window(self.settings)
        self.state = gate.HubState(connected=False, clock_trusted=True, store_ok=True, paused=False, address_ok=True)
        self.plan_due = False
        self._urgent: dict[str, None] = {}
        self._fleet = fleet
        self._agenda = agenda
        self._capabilities = capabilities
        self._new_id = new_id

    # --- begin and end of a run ------------------------------------------------------------------------------------------

    def restore(self, installs: tuple[Install, ...], turn: Turn) -> None:
        """Take over stored installs. Nothing is sent: what was written down counts as sent (invariant 6)."""
        for install in installs:
            if install.device_id not in self._fleet.devices:
                continue
            self.by_id[install.id] = install.device_id
            if install.state.is_end:
                self.last[install.device_id] = install
                self._restore_pilot(install)
            else:
                self.current[install.device_id] = install
        for install in list(self.current.values()):
            self._resume(install, turn)

    def _resume(self, install: Install, turn: Turn) -> None:
        device = self._device(install)
        network = device.network
        self.rollout.limit(network, self._capabilities[device.dialect].parallel)
        if install.state.is_waiting:
            self._enqueue(install)
            return
        self.rollout.began(install, network)
        grace = turn.now + limits.RESTART_GRACE
        deadline = max(install.deadline or grace, grace)
        self._put(replace(install, deadline=deadline), turn, save=False)
        if install.state is InstallState.DOWNLOADING:
            turn.do(FetchArtifacts(install.id, install.offer.feed_id, install.offer.release.artifacts))
        elif install.state.is_commanded:
            turn.do(ServeAgain(install.id, install.device_id))

    def _restore_pilot(self, install: Install) -> None:
        if install.state is not InstallState.SUCCEEDED:
            return
        self.rollout.remember(install)
        if install.settle_until is not None:
            self._agenda.set("pilot", install.device_id, install.settle_until)

    # --- what people want --------------------------------------------------------------------------------------------------

    def approve(self, install: Install, turn: Turn) -> None:
        """Put an approved install into the queue."""
        self.current[install.device_id] = install
        self.by_id[install.id] = install.device_id
        turn.save_install(install)
        turn.refresh((install.device_id,))
        self._agenda.set("approval", install.id, install.approval.expires)
        self._enqueue(install)
        self.plan_due = True

    def cancel(self, install: Install, verdict: InstallState, reason: Reason | None, turn: Turn) -> None:
        """End an install that is not wanted any more; one whose command was written down goes on (see the table)."""
        self.happen(install, Cancel(verdict, reason), turn)

    def reschedule(self, install: Install, turn: Turn) -> None:
        """Look at a waiting install anew, because the reason it was parked for may be gone."""
        if not install.state.is_waiting or self.rollout.is_ready(install.id):
            return
        if install.not_before is not None and turn.now < install.not_before and install.reason not in _ENDS_BY_WORD:
            return
        if install.not_before is not None:
            self._put(replace(install, not_before=None), turn, save=False)
        self._enqueue(self.current[install.device_id])
        self.plan_due = True

    # --- what happens ------------------------------------------------------------------------------------------------------

    def happen(self, install: Install, item: Happening, turn: Turn) -> None:
        """Advance an install by one happening and carry the consequences."""
        after, effects = step(install, item, self.context(install), turn.now)
        if after is install and not effects:
            return
        for effect in effects:
            if isinstance(effect, QueryDevice):
                self._fleet.asked(effect.device_id, turn.now)
        if after is not install:
            self._put(after, turn, save=_differs(install, after))
        if after.state is not install.state:
            self._moved(install, after, turn)
        if after.state is InstallState.DOWNLOADED and self.try_command(after, turn):
            # It has just spoken. A question beside the command could be in the command's way.
            return
        turn.do(*effects)

    def sighted(self, device: Device, turn: Turn, *, live: bool, rebooted: bool, moved: bool) -> None:
        """Tell an install what its device said of its own version. A retained word is no evidence (invariant 7)."""
        install = self.current.get(device.id)
        if install is None:
            install = self.last.get(device.id)
            if install is None or install.state is not InstallState.TIMED_OUT or not live:
                return
        if install.state.is_commanded and not live:
            return
        sighting = sight(install, device, moved=moved)
        self.happen(install, Sighted(sighting, rebooted, device.version), turn)
        current = self.current.get(device.id)
        if current is None or not live:
            return
        if current.state.is_waiting:
            self.reschedule(current, turn)
        elif current.state is InstallState.DOWNLOADED:
            self.try_command(current, turn)

    def _moved(self, before: Install, after: Install, turn: Turn) -> None:
        network = self._device(after).network
        if after.state.is_end:
            self._ended(before, after, turn)
        elif after.state.is_waiting:
            self.rollout.rests(after, network)
            if after.reason in gate.OF_THE_HUB:
                self._enqueue(after)
            else:
                self._park(after)
            self.plan_due = True
        elif before.state.is_end:
            self.current[after.device_id] = after
            self.last.pop(after.device_id, None)
            self.rollout.began(after, network)
        if after.state is InstallState.INSTALLING and not before.state.is_commanded:
            turn.audit("command_ordered", after.device_id, install=after.id, attempt=after.attempt_id)
            turn.announce(LifecycleKind.INSTALL_STARTED, after.device_id, **event_values(after, self._device(after)))

    # --- starting ------------------------------------------------------------------------------------------------------------

    def plan(self, turn: Turn) -> None:
        """Start what may start. Cost: the places that are free, not the number that waits."""
        self.plan_due = False
        if gate.hub_says(self.state) is not None:
            return
        if self.window.current(turn.now) is None:
            waiting = (self.current.get(self.by_id[name]) for name in list(self._urgent))
            for install in [item for item in waiting if item is not None]:
                if self.rollout.may_start(install, self._device(install).network, self.settings.parallel_installs):
                    self._start_or_park(install, turn)
            return
        for install in self.rollout.candidates(self.settings.parallel_installs):
            self._start_or_park(install, turn)

    def _start_or_park(self, install: Install, turn: Turn) -> None:
        answer = self.ask(install, turn.now)
        if answer is None:
            self.rollout.began(install, self._device(install).network)
            self.happen(install, Start(), turn)
            return
        if answer.reason is Reason.NO_SETTINGS_KNOWN:
            self.query_spaced(install.device_id, turn)
        self.rollout.drop(install.id)
        held = replace(
            install,
            state=InstallState.DEFERRED,
            reason=answer.reason,
            reason_values=answer.values,
            not_before=answer.ask_again,
        )
        if held != install:
            self._put(held, turn, save=False)
        self._park(held)
        if answer.reason is Reason.DOES_NOT_FIT_WINDOW:
            self._never_fits(held, turn)

    def _never_fits(self, install: Install, turn: Turn) -> None:
        """Raise one repair per model for what no window of the coming week is long enough for (invariant 2)."""
        expected = self.expected(install)
        if self.window.could_ever_fit(expected, turn.now):
            return
        device = self._device(install)
        values = {
            "model": f"{device.manufacturer} {device.model}",
            "device": device.name or device.id,
            "device_id": device.id,
            "minutes": install.reason_values.get("minutes", ""),
        }
        subject = f"{device.manufacturer}/{device.model}"
        turn.do(RaiseIssue(IssueKind.WINDOW_TOO_SHORT, subject, Severity.WARNING, True, install.reason, values))

    def ask(self, install: Install, now: datetime) -> gate.No | None:
        """Say why this install may not start now; ``None`` if it may."""
        asked = self._asked(install)
        return gate.device_says(asked, now) or gate.window_says(asked, self.window, now)

    def try_command(self, install: Install, turn: Turn) -> bool:
        """Order the command, or hold the install, if the device has just spoken; whether it has.

        This is the last look before the last look.
        """
        device, presence = self._device(install), self._fleet.presence[install.device_id]
        if presence.last_report is None or turn.now - presence.last_report > limits.FRESH_REPORT:
            return False
        if not self._may_begin_from(install, sight(install, device, moved=False)):
            return False
        reason = gate.hub_says(self.state)
        answer = gate.No(reason) if reason else self.ask(install, turn.now)
        if answer is not None:
            self.happen(install, Hold(answer.reason, answer.values, answer.ask_again), turn)
            return True
        turn.save_device(self._fleet.borrow(device.id, self._capabilities[device.dialect].borrows))
        self.happen(install, Command(self._new_id(), self._not_after(install, turn.now)), turn)
        return True

    def _may_begin_from(self, install: Install, sighting: Sighting) -> bool:
        if sighting is not Sighting.HELPER:
            return sighting is Sighting.OLD
        last = self.last.get(install.device_id)
        return last is not None and last.reason is Reason.STUCK_IN_HELPER

    def _not_after(self, install: Install, now: datetime) -> datetime | None:
        opening = self.window.current(now)
        if self._is_window_free(install) or opening is None:
            return None
        return max(now, opening.end - self.expected(install))

    # --- ends ----------------------------------------------------------------------------------------------------------------

    def _ended(self, before: Install, install: Install, turn: Turn) -> None:
        device = self._device(install)
        self.current.pop(install.device_id, None)
        self._urgent.pop(install.id, None)
        for kind in ("install", "approval", "parked"):
            self._agenda.set(kind, install.id, None)
        stop = self.rollout.ended(install, device.network, self.settings.pilot_settle, turn.now)
        pilot = self.rollout.pilots.get(install.pilot_key)
        if pilot is not None and pilot.install_id == install.id and pilot.state is PilotState.SETTLING:
            install = replace(install, settle_until=pilot.until)
            self._agenda.set("pilot", install.device_id, pilot.until)
        self.last[install.device_id] = install
        turn.save_install(install)
        turn.audit("install_ended", install.device_id, install=install.id, verdict=install.state, **_why(install))
        self._issues_of_end(install, device, turn)
        turn.do(ClearIssue(IssueKind.WINDOWS_MISSED, device.id))
        if stop is not None:
            self._stopped(stop, install, device, turn)
        elif install.state is InstallState.SUCCEEDED:
            self._healed(install, device, turn)
        # Told last: whoever reacts to the event finds the repairs that belong to it.
        turn.announce(LifecycleKind.INSTALL_ENDED, install.device_id, **event_values(install, device))
        self.give_back(device, turn)
        self.plan_due = True

    def _issues_of_end(self, install: Install, device: Device, turn: Turn) -> None:
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

    def _stopped(self, stop: Stop, install: Install, device: Device, turn: Turn) -> None:
        subject = f"{device.manufacturer}/{device.model}"
        values = {
            "manufacturer": device.manufacturer,
            "model": device.model,
            "version": stop.version,
            "device": device.name or device.id,
            "verdict": install.state.value,
        }
        turn.audit("model_stopped", subject, version=stop.version, device=device.id)
        turn.announce(LifecycleKind.MODEL_STOPPED, device.id, **values)
        values["device_id"] = device.id
        turn.do(RaiseIssue(IssueKind.MODEL_STOPPED, subject, Severity.ERROR, True, stop.reason, values))

    def _healed(self, install: Install, device: Device, turn: Turn) -> None:
        """A device that was given up and then proved itself takes back the stop that it caused."""
        model = (install.identity.manufacturer, install.identity.model)
        stop = self.rollout.stops.get(model)
        if stop is not None and stop.device_id == device.id:
            self.release(device, turn)

    def release(self, device: Device, turn: Turn) -> bool:
        """Let the model of this device go on; whether it was stopped."""
        if not self.rollout.release((device.manufacturer, device.model)):
            return False
        subject = f"{device.manufacturer}/{device.model}"
        turn.audit("model_released", subject)
        turn.do(ClearIssue(IssueKind.MODEL_STOPPED, subject))
        self.plan_due = True
        return True

    def pilot_settled(self, device_id: DeviceId, turn: Turn) -> None:
        """End a pilot's settling time: the others follow only if it still runs the release and is not known to be gone."""
        install = self.last.get(device_id)
        if install is None or self.rollout.pilots.get(install.pilot_key) is None:
            return
        device, presence = self._device(install), self._fleet.presence[device_id]
        if sight(install, device, moved=False) is Sighting.NEW and presence.online is not False:
            self.rollout.settled(install.pilot_key)
            turn.audit("pilot_settled", device_id, version=install.offer.version)
            self.plan_due = True
            return
        del self.rollout.pilots[install.pilot_key]
        self._stopped(self.rollout.stop(install, install.offer.version), install, device, turn)

    def give_back(self, device: Device, turn: Turn) -> None:
        """Put back the settings that an install changed, as soon as the device is there and nothing runs on it."""
        device = self._fleet.devices[device.id]
        current = self.current.get(device.id)
        if not device.borrowed or (current is not None and current.state.is_commanded):
            return
        if self._fleet.presence[device.id].online:
            turn.do(RestoreSettings(device.id, device.borrowed))

    # --- time ----------------------------------------------------------------------------------------------------------------

    def deadline(self, install_id: str, turn: Turn) -> None:
        """A state is over."""
        install = self.find(install_id)
        if install is not None and install.deadline is not None and install.deadline <= turn.now:
            self.happen(install, DeadlinePassed(), turn)

    def connected(self, turn: Turn) -> None:
        """The broker is back: ask the devices that are being changed, and give them time to answer."""
        grace = turn.now + limits.RESTART_GRACE
        for install in [item for item in self.current.values() if item.state.is_active]:
            if install.deadline is None or install.deadline < grace:
                self._put(replace(install, deadline=grace), turn, save=False)
            self._query(install.device_id, turn)
        self.plan_due = True

    def expire(self, install_id: str, turn: Turn) -> None:
        """An approval is over; an install that runs already goes on."""
        install = self.find(install_id)
        if install is not None and not install.state.is_active:
            self.cancel(install, InstallState.CANCELED, Reason.APPROVAL_EXPIRED, turn)

    def count_missed(self, windows_closed: int, turn: Turn) -> None:
        """Raise a repair for each device that kept its own install from starting for three windows (invariant 2)."""
        for install in self.current.values():
            missed = windows_closed - install.windows_closed
            parked = install.state.is_waiting and not self.rollout.is_ready(install.id)
            if not parked or install.reason is None or missed < limits.MISSED_WINDOWS_BEFORE_ISSUE:
                continue
            device = self._device(install)
            values = {"device": device.name or device.id, "version": install.offer.version, "windows": str(missed)}
            turn.do(
                RaiseIssue(IssueKind.WINDOWS_MISSED, device.id, Severity.WARNING, True, install.reason, values)
            )

    # --- questions ---------------------------------------------------------------------------------------------------------

    def expected(self, install: Install) -> timedelta:
        """How long an install takes."""
        family = self._capabilities[self._device(install).dialect]
        return self.rollout.expected(install, family.default_minutes)

    def context(self, install: Install) -> Context:
        """What a step may know."""
        device = self._device(install)
        return Context(
            self._capabilities[device.dialect],
            device.slots,
            self._fleet.presence[device.id].online,
            device.sleeps,
            self.state.connected,
            self.expected(install),
        )

    def why_waiting(self, install: Install, now: datetime) -> gate.No | None:
        """Say what a waiting install waits for, in the order in which a person would ask."""
        if (reason := gate.hub_says(self.state)) is not None:
            return gate.No(reason)
        if install.reason is not None and not self.rollout.is_ready(install.id):
            return gate.No(install.reason, install.reason_values, install.not_before)
        if (answer := gate.window_says(self._asked(install), self.window, now)) is not None:
            return answer
        if (blocked := self.rollout.blocked(install.pilot_key)) is not None:
            return gate.No(blocked)
        return gate.No(Reason.NETWORK_BUSY)

    def find(self, install_id: str) -> Install | None:
        """Return a current install by its id."""
        install = self.current.get(self.by_id.get(install_id, ""))
        return install if install is not None and install.id == install_id else None

    def renew(self, install: Install, offer: Offer, turn: Turn) -> None:
        """Keep an approval under a newer proof of the very same release."""
        renewed = replace(install, offer=offer)
        self._put(renewed, turn, save=True)
        if install.reason is Reason.EXPIRED:
            self.reschedule(renewed, turn)

    # --- inside ------------------------------------------------------------------------------------------------------------

    def _device(self, install: Install) -> Device:
        return self._fleet.devices[install.device_id]

    def _asked(self, install: Install) -> gate.Asked:
        device = self._device(install)
        return gate.Asked(
            install,
            device,
            self._fleet.presence[device.id],
            self._capabilities[device.dialect],
            self.expected(install),
            self._is_window_free(install),
            self._fleet.in_conflict(device),
        )

    def _is_window_free(self, install: Install) -> bool:
        return install.approval.at_once or install.device_id in self.settings.any_time

    def _enqueue(self, install: Install) -> None:
        device = self._device(install)
        self.rollout.limit(device.network, self._capabilities[device.dialect].parallel)
        if install.not_before is not None:
            self._park(install)
            return
        if self._is_window_free(install):
            self._urgent[install.id] = None
        good_pilot = not device.battery_powered and self._fleet.presence[device.id].online is True
        self.rollout.add(install, device.network, first=good_pilot)

    def _park(self, install: Install) -> None:
        self._agenda.set("parked", install.id, install.not_before)

    def settings_changed(self, settings: Settings, turn: Turn) -> None:
        """Take over the owner's settings; what waits for the window is looked at anew."""
        self.settings, self.window = settings, Window(settings)
        self.state = replace(self.state, paused=settings.paused)
        for install in [item for item in self.current.values() if item.state.is_waiting]:
            if install.reason in {Reason.WAITS_FOR_WINDOW, Reason.DOES_NOT_FIT_WINDOW}:
                self._put(replace(install, reason=None, reason_values={}, not_before=None), turn, save=False)
            self._urgent.pop(install.id, None)
            self._enqueue(self.current[install.device_id])
        self.plan_due = True

    def unpark(self, install_id: str, turn: Turn) -> None:
        """Its waiting time is over."""
        install = self.find(install_id)
        if install is not None:
            self.reschedule(install, turn)

    def _put(self, install: Install, turn: Turn, *, save: bool) -> None:
        self.current[install.device_id] = install
        self._agenda.set("install", install.id, install.deadline)
        turn.refresh((install.device_id,))
        if save:
            turn.save_install(install)

    def query_spaced(self, device_id: DeviceId, turn: Turn) -> None:
        """Ask a device, unless it was asked just now: an answer must never cause the next question."""
        asked = self._fleet.presence[device_id].last_query
        if asked is None or turn.now - asked >= limits.QUERY_SPACING or turn.now < asked:
            self._query(device_id, turn)

    def _query(self, device_id: DeviceId, turn: Turn) -> None:
        self._fleet.asked(device_id, turn.now)
        turn.do(QueryDevice(device_id))


_ENDS_BY_WORD = frozenset({Reason.DEVICE_SILENT, Reason.DEVICE_ASLEEP, Reason.DEVICE_OFFLINE, Reason.NO_SETTINGS_KNOWN})


def sight(install: Install, device: Device, *, moved: bool) -> Sighting:
    """Say what a device's present version means for an install. Never raises."""
    if device.helper:
        return Sighting.HELPER
    if device.identity != install.identity:
        return Sighting.WRONG_IDENTITY
    if moved and install.state in {InstallState.INSTALLING, InstallState.REBOOTING}:
        return Sighting.MOVED
    release = install.offer.release
    if compare(device.version, release.version, release.version_scheme) is Order.SAME:
        return Sighting.NEW
    same = device.version == install.from_version
    return Sighting.OLD if same else Sighting.OTHER


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


def _differs(before: Install, after: Install) -> bool:
    """Progress alone is not worth a write: after a restart the device tells it anew."""
    return replace(before, percent=None) != replace(after, percent=None)


def _why(install: Install) -> dict[str, str]:
    return {"reason": install.reason.value} if install.reason else {}
