"""Runs the installs: from the queue through the state table to the verdict.

It keeps one current install and the last ended one per device. It decides when an install starts and when its command
may be sent (``gate``), and in which order (``rollout``); what follows from a verdict is in ``verdicts``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from . import gate, limits, reminders
from .agenda import Agenda
from .asking import Asking
from .doubts import Doubts
from .effects import ClearIssue, Effect, IssueKind, LifecycleKind, QueryDevice, SendInstall
from .errors import Reason
from .feeds import Feeds
from .fleet import Fleet
from .gatekeeper import Gatekeeper
from .handover import Handover
from .install import (
    Approve,
    Cancel,
    Command,
    DeadlinePassed,
    Freed,
    Happening,
    Hold,
    Resumed,
    Sighted,
    Sighting,
    Start,
    TimeJumped,
    is_worth_saving,
    listens,
    step,
)
from .lending import Lending
from .model import OFFERED, Device, DeviceId, Install, InstallState, Offer
from .ports import Capabilities
from .rollout import OF_THE_RELEASE, Rollout, Stop
from .settings import Settings
from .sighting import sight
from .turn import Turn
from .verdicts import Verdicts, event_values

_ENDS_BY_WORD = frozenset({Reason.DEVICE_SILENT, Reason.DEVICE_ASLEEP, Reason.DEVICE_OFFLINE, Reason.NO_SETTINGS_KNOWN})
_OUTLIVE_A_VERDICT = ("command_deadline", "settle_until")
_ONLY_ITS_TURN = gate.OF_THE_HUB | OF_THE_RELEASE | {None}
_OF_THE_WINDOW = frozenset({Reason.WAITS_FOR_WINDOW, Reason.DOES_NOT_FIT_WINDOW})


class Installer:
    """All installs of one hub. Never raises for anything a device does."""

    def __init__(
        self,
        fleet: Fleet,
        feeds: Feeds,
        agenda: Agenda,
        capabilities: Mapping[str, Capabilities],
        new_id: Callable[[], str],
    ) -> None:
        """Begin with no installs."""
        self.current: dict[DeviceId, Install] = {}
        self.last: dict[DeviceId, Install] = {}
        self.rollout = Rollout()
        self.keeper = Gatekeeper(fleet, feeds, self.rollout, capabilities)
        self.asking = Asking(fleet, agenda, capabilities)
        self.lending = Lending(fleet, agenda, self.is_commanded)
        self._doubts = Doubts(agenda)
        self._handover = Handover(fleet, self.rollout, self.keeper, self.current, self.happen)
        self.plan_due = False
        self.verdicts = Verdicts(fleet, agenda, self.rollout, capabilities)
        self._by_id: dict[str, DeviceId] = {}
        self._urgent: dict[str, None] = {}
        self._too_short: set[str] = set()
        self._fleet = fleet
        self._agenda = agenda
        self._capabilities = capabilities
        self._new_id = new_id

    # --- begin and end of a run --------------------------------------------------------------------------------------

    def restore(self, installs: Iterable[Install], turn: Turn) -> None:
        """Take over stored installs. No command is sent: what was written down counts as sent (invariant 6)."""
        for install in installs:
            if install.device_id not in self._fleet.devices:
                if install.state.is_end and install.may_be_at_work(turn.now):
                    self.last[install.device_id] = install  # it was removed, and may come back
                continue
            if not install.state.is_end:
                self._keep(install)
                continue
            self.last[install.device_id] = self.verdicts.remember(install, turn)
        for install in list(self.current.values()):
            self._limit(install)
            self._agenda.set("approval", install.device_id, install.approval.expires)
            if install.state.is_waiting:
                self._wait(install)
            else:
                self.rollout.began(install, self._device(install).network)
                self._handover.follow(install, install, turn)
                self.happen(install, Resumed(restarted=True), turn)

    def resumed(self, turn: Turn) -> None:
        """The broker is back: ask the devices that are being changed, and give them time to answer.

        Cost: the number of current installs, at each connection.
        """
        for install in list(self.current.values()):
            self.happen(install, Resumed(), turn)
        self.plan_due = True

    def time_jumped(self, by: timedelta, turn: Turn) -> None:
        """The clock was set, or the machine slept: no time passed for what is judged by deadlines.

        Cost: the number of installs. It happens when somebody sets the clock.
        """
        for install in list(self.current.values()):
            self.happen(install, TimeJumped(by), turn)
        matters = min(turn.now, turn.now - by)
        for device_id, install in self.last.items():
            times = {name: getattr(install, name) for name in _OUTLIVE_A_VERDICT}
            moved = {name: at + by for name, at in times.items() if at is not None and at > matters}
            if moved:
                self.last[device_id] = replace(install, **moved)
                self._agenda.set("pilot", install.id, self.last[device_id].settle_until)
                turn.save_install(self.last[device_id])

    # --- what people want --------------------------------------------------------------------------------------------

    def approve(self, install: Install, turn: Turn) -> None:
        """Put an install into the queue, new or with a new approval."""
        self._agenda.set("approval", install.device_id, install.approval.expires)
        if install.state is InstallState.AWAITING_APPROVAL:
            self.happen(install, Approve(), turn)
        else:
            self._put(install, turn, save=True)
            self.happen(install, Freed(), turn, save=False)

    def cancel(self, install: Install, verdict: InstallState, reason: Reason | None, turn: Turn) -> None:
        """End an install that is not wanted any more; one whose command was written down goes on (see the table)."""
        self.happen(install, Cancel(verdict, reason), turn)

    def reschedule(self, device_id: DeviceId, turn: Turn) -> None:
        """Look at a device's waiting install anew, because what it was parked for may be gone."""
        install = self.current.get(device_id)
        if install is None or not install.state.is_waiting or self.rollout.is_ready(install.id):
            return
        is_early = install.not_before is not None and turn.now < install.not_before
        if not is_early or install.reason in _ENDS_BY_WORD:
            self.happen(install, Freed(), turn, save=False)

    def settings_changed(self, settings: Settings, turn: Turn) -> None:
        """Take over the owner's settings; what waits is looked at anew.

        Cost: the number of current installs, when a person changes a setting.
        """
        self.keeper.set(settings)
        turn.do(*(ClearIssue(IssueKind.WINDOW_TOO_SHORT, subject) for subject in sorted(self._too_short)))
        self._too_short.clear()
        for install in list(self.current.values()):
            if install.reason in _OF_THE_WINDOW and install.state.is_waiting:
                self.happen(install, Freed(), turn, save=False)
            elif install.state.is_waiting:
                self._wait(install)
        self._handover.look_due = self.plan_due = True

    def release(self, stops: Iterable[Stop], turn: Turn, **by: str) -> None:
        """Let stopped models go on."""
        self.verdicts.release(stops, turn, **by)
        self.plan_due = True

    def forget(self, device_id: DeviceId, turn: Turn) -> None:
        """Close what there is of a device that is being removed.

        What was commanded is remembered until its deadline: the device may come back and be approved again.
        """
        if (current := self.current.get(device_id)) is not None:
            self.cancel(current, InstallState.REMOVED, Reason.DEVICE_REMOVED, turn)
        last = self.last.get(device_id)
        if last is not None and not last.may_be_at_work(turn.now):
            del self.last[device_id]
        self.rollout.forget(device_id)
        self.plan_due = True

    def renew(self, install: Install, offer: Offer, turn: Turn) -> None:
        """Keep an approval under a newer proof of the very same release."""
        self._put(replace(install, offer=offer), turn, save=True)

    # --- what happens ------------------------------------------------------------------------------------------------

    def happen(self, install: Install, item: Happening, turn: Turn, *, save: bool = True) -> None:
        """Advance an install by one happening and carry the consequences."""
        after, effects = step(install, item, self.keeper.context(install), turn.now)
        for effect in effects:
            if isinstance(effect, QueryDevice):
                self._fleet.asked(effect.device_id, turn.now)
        if after is not install:
            self._put(after, turn, save=save and is_worth_saving(install, after))
            self._follow(install, after, effects, turn)
        if after.state is InstallState.DOWNLOADED and self.try_command(after, turn):
            return  # it has just spoken: a question beside the command could be in the command's way
        self._doubts.follow(after, effects, turn.now)
        turn.do(*map(self._handover.addressed, effects))

    def _follow(self, before: Install, after: Install, effects: tuple[Effect, ...], turn: Turn) -> None:
        if after.state.is_end:
            self._ended(after, turn)
        elif after.state.is_waiting:
            if not before.state.is_waiting:
                self.rollout.rests(after)
                self._agenda.set("approval", after.device_id, after.approval.expires)
                self.lending.give_back(after.device_id, turn)
                self.plan_due = True
            self._wait(after)
        elif before.state.is_waiting or before.state.is_end:
            self._urgent.pop(after.device_id, None)
            if before.state.is_end:
                del self.last[after.device_id]
            self.rollout.began(after, self._device(after).network)
        self.plan_due = self._handover.follow(before, after, turn) or self.plan_due
        ordered = [effect.when_awake for effect in effects if isinstance(effect, SendInstall)]
        if ordered:
            turn.audit("command_ordered", after.device_id, install=after.id, attempt=after.attempt_id)
        if ordered == [False] or self._handover.woke(before, after):
            turn.announce(LifecycleKind.INSTALL_STARTED, after.device_id, **event_values(after, self._device(after)))

    def _ended(self, install: Install, turn: Turn) -> None:
        self.current.pop(install.device_id, None)
        self._by_id.pop(install.id, None)
        self._urgent.pop(install.device_id, None)
        for kind in ("install", "approval", "parked"):
            self._agenda.set(kind, install.device_id, None)
        self.last[install.device_id] = self.verdicts.take(install, self.keeper.settings.pilot_settle, turn)
        self.lending.give_back(install.device_id, turn)
        self._handover.look_due = self.plan_due = True

    def tell_again(self, install: Install, turn: Turn) -> None:
        """Tell a verdict again that could not be told when it was given."""
        self.verdicts.tell_again(install, turn)

    def sighted(self, device: Device, turn: Turn, *, rebooted: bool, moved: bool) -> None:
        """Tell an install what its device itself said, live, of its own version."""
        install = self.current.get(device.id) or self.last.get(device.id)
        if install is None or not listens(install, Sighted):
            return
        self.happen(install, Sighted(sight(install, device, moved=moved), rebooted, device.version), turn)
        self.reschedule(device.id, turn)

    # --- starting ----------------------------------------------------------------------------------------------------

    def plan(self, turn: Turn) -> None:
        """Start what may start. Cost: the releases that wait and the places that are free, not the installs."""
        self.plan_due = False
        self._handover.look(turn)
        if gate.hub_says(self.keeper.state) is not None:
            return
        parallel = self.keeper.settings.parallel_installs
        if self.keeper.window.current(turn.now) is not None:
            for install in self.rollout.candidates(parallel):
                self._start_or_park(install, turn)
            return
        for install in [self.current[device_id] for device_id in self._urgent]:
            if self.rollout.may_start(install, self._device(install).network, parallel):
                self._start_or_park(install, turn)

    def _start_or_park(self, install: Install, turn: Turn) -> None:
        answer = self.keeper.may_start(install, turn.now)
        if answer is None:
            self.happen(install, Start(), turn)
            return
        if answer.reason is Reason.NO_SETTINGS_KNOWN:
            self.asking.ask_spaced(install.device_id, turn)
        # Not written down: after a restart the same question gets the same answer.
        self.happen(install, Hold(answer.reason, answer.values, answer.ask_again), turn, save=False)
        if answer.reason is Reason.DOES_NOT_FIT_WINDOW and not self.keeper.could_ever_fit(install, turn.now):
            issue = reminders.window_too_short(self.current[install.device_id], self._device(install))
            self._too_short.add(issue.subject)
            turn.do(issue)

    def try_command(self, install: Install, turn: Turn) -> bool:
        """Order the command or hold the install, if the device has just spoken; whether it has. The last look."""
        device = self._device(install)
        report = self.keeper.last_word(install, turn.now)
        if report is None or not timedelta() <= turn.now - report <= limits.FRESH_REPORT:
            return self._handover.suits(install) and self._order(install, turn, when_awake=True)
        if install.offer.vendor_chooses and not self.keeper.knows_offer(install, report):
            return False
        if not self._may_begin_from(install, sight(install, device)):
            return False
        if install.offer.vendor_chooses and device.settings.get(OFFERED) not in {"", install.offer.version}:
            # Told to take what its vendor offers, it would take something that nobody approved (invariant 1).
            self.cancel(install, InstallState.CANCELED, Reason.OFFER_MOVED, turn)
            return True
        return self._order(install, turn, spoke=report)

    def _order(self, install: Install, turn: Turn, *, spoke: datetime | None = None, when_awake: bool = False) -> bool:
        answer = self.keeper.may_command(install, turn.now)
        if answer is not None:
            self.happen(install, Hold(answer.reason, answer.values, answer.ask_again), turn)
        elif spoke is not None and install.command_deadline is not None and spoke < install.command_deadline:
            return self._handover.suits(install) and self._order(install, turn, when_awake=True)
        else:
            self.lending.borrow(install.device_id, self._capabilities[self._device(install).dialect].borrows, turn)
            not_after = self.keeper.not_after(install, turn.now)
            self.happen(install, Command(self._new_id(), not_after, when_awake), turn)
        return True

    def _may_begin_from(self, install: Install, sighting: Sighting) -> bool:
        if sighting is not Sighting.HELPER:
            return sighting is Sighting.OLD
        last = self.last.get(install.device_id)
        return install.retry and last is not None and last.reason is Reason.STUCK_IN_HELPER

    # --- time --------------------------------------------------------------------------------------------------------

    def ask_again(self, device_id: DeviceId, turn: Turn) -> None:
        """A question on which a verdict waits was not answered."""
        self.asking.ask(device_id, turn)
        self._doubts.asked(self.current[device_id], turn.now)

    def deadline(self, device_id: DeviceId, turn: Turn) -> None:
        """The present state of a device's install is over."""
        self.happen(self.current[device_id], DeadlinePassed(), turn)

    def expire(self, device_id: DeviceId, turn: Turn) -> None:
        """An approval is over; an install that runs already goes on. Not judged by a clock that is not believed."""
        install = self.current[device_id]
        if not self.keeper.state.clock_trusted:
            self._agenda.set("approval", device_id, turn.now + limits.CLOCK_SETTLE)
        elif install.state.is_waiting or install.state.is_handed_over:
            self.cancel(install, InstallState.CANCELED, Reason.APPROVAL_EXPIRED, turn)

    def settled(self, install_id: str, turn: Turn) -> None:
        """The first device of a release has had its settling time."""
        install = self.verdicts.settled(install_id, turn, connected=self.keeper.state.connected)
        if install is not None and self.last.get(install.device_id, install).id == install.id:
            self.last[install.device_id] = install
            if install.settle_until is None:  # how long it goes on is found out anew after a restart
                turn.save_install(install)
        self.plan_due = True

    def count_missed(self, windows_closed: int, turn: Turn) -> None:
        """Raise a repair for each device that kept its own install from starting for three windows (invariant 2).

        Cost: the number of current installs, once at the end of a window.
        """
        waiting = (install for install in self.current.values() if install.state.is_waiting)
        parked = (install for install in waiting if not self.rollout.is_ready(install.id))
        turn.do(*reminders.windows_missed(parked, self._fleet.devices, windows_closed))

    # --- questions ---------------------------------------------------------------------------------------------------

    def find(self, install_id: str) -> Install | None:
        """Return a current install by its id."""
        return self.current.get(self._by_id.get(install_id, ""))

    def is_commanded(self, device_id: DeviceId) -> bool:
        """Whether a command was written down for a device and there is no verdict yet."""
        install = self.current.get(device_id)
        return install is not None and install.state.is_commanded

    # --- inside ------------------------------------------------------------------------------------------------------

    def _device(self, install: Install) -> Device:
        return self._fleet.devices[install.device_id]

    def _limit(self, install: Install) -> None:
        device = self._device(install)
        self.rollout.limit(device.network, self._capabilities[device.dialect].parallel)

    def _wait(self, install: Install) -> None:
        """Queue an install if its turn is all it waits for; else park it, until its time or until more is heard."""
        self._agenda.set("parked", install.device_id, install.not_before)
        self._urgent.pop(install.device_id, None)
        self.rollout.drop(install.id)
        if install.not_before is not None or install.reason not in _ONLY_ITS_TURN:
            return
        if self.keeper.is_window_free(install):
            self._urgent[install.device_id] = None
        device = self._device(install)
        self._limit(install)
        good_pilot = not device.battery_powered and self._fleet.presence[device.id].online is True
        self.rollout.add(install, device.network, first=good_pilot)
        self.plan_due = True

    def _keep(self, install: Install) -> None:
        self.current[install.device_id] = install
        self._by_id[install.id] = install.device_id

    def _put(self, install: Install, turn: Turn, *, save: bool) -> None:
        self._keep(install)
        self._agenda.set("install", install.device_id, install.deadline)
        turn.refresh((install.device_id,))
        if save:
            turn.save_install(install)
