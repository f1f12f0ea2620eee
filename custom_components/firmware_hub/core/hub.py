"""The hub: the one entry to the core. It is told what happened and answers with what is to be done.

``receive`` takes one input and returns the effects in their order, ``Save`` first. ``next_wakeup`` says when it wants
to be told that time passed. Between two calls nothing changes. Reading one message costs no more with many devices;
where something does cost the number of devices or installs, it says so and how rare it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from . import clock as clocks, inputs as i, limits, memory, views
from .agenda import Agenda
from .effects import CheckAddress, ClearIssue, Effect, IssueKind, ListenTo, RaiseIssue, Severity
from .errors import Reason
from .feed_desk import FeedDesk
from .feeds import Feeds
from .fleet import Fleet
from .install import Fetched, FetchFailed, NotSent
from .installer import Installer
from .lasting import LastingDesk
from .model import Device, DeviceId, InstallState
from .ports import Capabilities
from .records import Snapshot
from .reports import Reports
from .requests import Requests
from .turn import Turn
from .view import DeviceView, HubView, PlannedInstall

_TRUST_REASONS = frozenset(
    {
        Reason.DIGEST_MISMATCH,
        Reason.MALFORMED,
        Reason.NOT_FIRMWARE,
        Reason.NO_DIGEST,
        Reason.ROLLBACK_DETECTED,
        Reason.SIZE_MISMATCH,
        Reason.TOO_LARGE,
        Reason.VERSION_UNKNOWN,
        Reason.WRONG_HARDWARE,
        Reason.WRONG_IMAGE,
    }
)
"""What is wrong with a file that came: to ask for it again is no use."""


class Hub:
    """The functional core of one config entry. It is the ``AddressBook`` of the dialects."""

    def __init__(self, capabilities: Mapping[str, Capabilities], *, new_id: Callable[[], str]) -> None:
        """Know these firmware families; ``new_id`` makes ids that nobody can guess and that never repeat."""
        self.fleet = Fleet()
        self.feeds = Feeds(lambda dialect: self.fleet.by_dialect[dialect] > 0, self.fleet.models_of, capabilities)
        self._agenda = Agenda()
        self.installer = Installer(self.fleet, self.feeds, self._agenda, capabilities, new_id)
        self._feed_desk = FeedDesk(self.feeds, self.fleet, self.installer, self._agenda)
        self.reports = Reports(self.fleet, self.installer, self._agenda, capabilities, self._feed_desk.wake)
        self.requests = Requests(self.fleet, self.feeds, self.installer, self._feed_desk, self.reports, new_id)
        self._lasting = LastingDesk(self.installer.keeper.lasting, self._agenda, self._order_gone)
        self._capabilities = capabilities
        self._clock = clocks.Clock()
        self._clock_saved: datetime | None = None
        self._heard: datetime | None = None
        self._unsaved = memory.Unsaved()
        self._from_people: dict[type, Callable[[Any, Turn], None]] = {
            i.ApproveRequested: self.requests.approve,
            i.UnapproveRequested: self.requests.unapprove,
            i.RetryRequested: self.requests.retry,
            i.ModelReleased: self.requests.release_model,
            i.KeysRefused: self._feed_desk.keys.refuse,
            i.OrderClearRequested: self._lasting.clear,
            i.CheckRequested: self.requests.check,
            i.ForgetRequested: self.requests.forget,
        }
        self._from_others: dict[type, Callable[[Any, Turn], None]] = {
            i.DeviceReported: self.reports.reported,
            i.DeviceLinkChanged: self.reports.linked,
            i.HealthReported: self.reports.health,
            i.InstallReported: self.reports.install_reported,
            i.DeviceWithdrawn: self.reports.withdrawn,
            i.NetworkReported: self.reports.network,
            i.StrangerSeen: self.reports.stranger,
            i.LastingOrderSeen: self._lasting.seen,
            i.LastingOrderGone: self._lasting.gone,
            i.MessageRefused: self.reports.message_refused,
            i.SettingsChanged: self._settings,
            i.FeedsChanged: self._feed_desk.changed,
            i.WokenUp: self._woken,
            i.LinkChanged: self._link,
            i.ManifestRead: self._feed_desk.read,
            i.ManifestUnchanged: self._feed_desk.unchanged,
            i.ManifestRefused: self._feed_desk.refused,
            i.FetchFailed: self._feed_desk.failed,
            i.ArtifactsReady: self._artifacts_ready,
            i.ArtifactsFailed: self._artifacts_failed,
            i.CommandSent: self._command_sent,
            i.CommandNotSent: self._command_not_sent,
            i.SaveFailed: self._save_failed,
            i.SaveWorked: self._save_worked,
            i.AddressChecked: self._address_checked,
        }
        self._due = self._deadlines()

    def _deadlines(self) -> dict[str, Callable[[str, Turn], None]]:
        """What is done about each kind of entry of the agenda."""
        return {
            "install": self.installer.deadline,
            "again": self.installer.ask_again,
            "parked": self.installer.reschedule,
            "approval": self.installer.expire,
            "pilot": self.installer.settled,
            "ask": lambda _subject, turn: self.installer.asking.due(turn),
            "restore": self.installer.lending.give_back,
            "feed": self._feed_desk.fetch,
            "expires": self._feed_desk.expired,
            "keys": self._feed_desk.keys.look,
            "flood": self.reports.flood_over,
            "stranger": self.reports.ask_strangers_again,
            "order": self._lasting.not_cleared,
            "orders": self._lasting.not_repeated,
            "address": lambda _subject, turn: turn.do(CheckAddress()),
            "window": self._window_turned,
        }

    # --- the entry ---------------------------------------------------------------------------------------------------

    def receive(self, item: i.Input, now: datetime) -> list[Effect]:
        """Take in one input.

        Raises:
            Refused: only for inputs from people; nothing has changed then.
        """
        turn = Turn(now)
        asked = self._from_people.get(type(item))
        if asked is not None:
            asked(item, turn)
        self._pass_time(turn)
        if asked is None:
            self._from_others[type(item)](item, turn)
        return self._close(turn)

    def restore(self, snapshot: Snapshot, now: datetime) -> list[Effect]:
        """Take over what was stored. No command is sent that may have been sent before.

        Raises:
            BadInput: ``MALFORMED``: the store holds something that no hub wrote.
        """
        turn = Turn(now)
        self._heard = now
        memory.recall_rollout(self.installer.rollout, snapshot.meta)
        self._clock = clocks.tick(clocks.from_text(snapshot.meta.get(memory.CLOCK, "")), now)
        # What a newer hub could do and this one cannot is left alone, and kept in the store.
        devices = [device for device in snapshot.devices if device.dialect in self._capabilities]
        self.reports.conflicts(self.fleet.restore(devices), (), turn)
        self.feeds.restore(snapshot.ledger)
        self.requests.windows_closed = memory.number(snapshot.meta.get(memory.WINDOWS_CLOSED, ""))
        self.installer.restore(snapshot.installs, turn)
        self.installer.lending.restore(devices, turn)
        turn.do(*(ListenTo(device.id) for device in devices))
        if self.installer.current:
            turn.do(CheckAddress())
        self._tell_clock(turn)
        self._set_window_alarms(turn)
        return self._close(turn)

    def next_wakeup(self) -> datetime | None:
        """When ``WokenUp`` is wanted at the latest; ``None``: only for what else happens."""
        return self._agenda.next()

    def _pass_time(self, turn: Turn) -> None:
        """Notice that nobody listened for a while, or that the clock was set: deadlines mean time that passed."""
        before, self._heard = self._heard, turn.now
        if before is None or -limits.CLOCK_TOLERANCE <= turn.now - before <= limits.MISSED_TIME:
            return
        if turn.now < before:
            self.fleet.set_back(turn.now)
        # Before anything else is done by it, whatever input was the first one after the jump.
        self._judge_clock(turn)
        self.installer.time_jumped(turn.now - before, turn)
        self._set_window_alarms(turn)

    def _close(self, turn: Turn) -> list[Effect]:
        for due in self._agenda.take(turn.now):
            self._due[due.kind](due.subject, turn)
        while self.installer.plan_due:
            self.installer.plan(turn)
        if self._unsaved and (turn.woken or turn.unsaved() is not None):
            meta = {memory.WINDOWS_CLOSED: str(self.requests.windows_closed), memory.CLOCK: clocks.to_text(self._clock)}
            self._unsaved.write(turn, self.fleet, self.feeds, self.installer, meta)
            self._unsaved = memory.Unsaved()
        memory.keep_rollout(self.installer.rollout, turn)
        return turn.close()

    # --- AddressBook -------------------------------------------------------------------------------------------------

    def at(self, dialect: str, address: str) -> Device | None:
        """Return the only device that claimed this address."""
        return self.fleet.at(dialect, address)

    def is_claimed(self, dialect: str, address: str) -> bool:
        """Whether any device claimed this address, one or several."""
        return self.fleet.is_claimed(dialect, address)

    def get(self, device_id: DeviceId) -> Device | None:
        """Return a device by its identity."""
        return self.fleet.get(device_id)

    # --- the shell ---------------------------------------------------------------------------------------------------

    def _settings(self, item: i.SettingsChanged, turn: Turn) -> None:
        self.installer.settings_changed(item.settings, turn)
        self._set_window_alarms(turn)
        turn.refresh(self.installer.current)
        turn.refresh_hub = True

    def _woken(self, _item: i.WokenUp, turn: Turn) -> None:
        turn.woken = True
        self._judge_clock(turn)
        self._feed_desk.look_after(turn)
        self.installer.plan_due = True

    def _judge_clock(self, turn: Turn) -> None:
        self._clock = clocks.tick(self._clock, turn.now)
        self._tell_clock(turn)

    def _tell_clock(self, turn: Turn) -> None:
        trusted = self._clock.doubt is clocks.Doubt.NONE
        if trusted is not self.installer.keeper.state.clock_trusted:
            self.installer.keeper.state = replace(self.installer.keeper.state, clock_trusted=trusted)
            turn.refresh_hub = True
            if trusted:
                turn.do(ClearIssue(IssueKind.CLOCK_UNTRUSTED, ""))
                self._feed_desk.fetch_all(turn)
            else:
                turn.do(RaiseIssue(IssueKind.CLOCK_UNTRUSTED, "", Severity.ERROR, False, Reason.CLOCK_UNTRUSTED, {}))
        if self._clock_saved is None or abs(turn.now - self._clock_saved) >= limits.CLOCK_SAVE:
            self._clock_saved = turn.now
            turn.save_meta(memory.CLOCK, clocks.to_text(self._clock))

    def _link(self, item: i.LinkChanged, turn: Turn) -> None:
        if item.connected is self.installer.keeper.state.connected:
            return
        self.installer.keeper.state = replace(self.installer.keeper.state, connected=item.connected)
        turn.refresh_hub = True
        turn.refresh(self.installer.current)
        self._lasting.link(item.connected, turn)
        if item.connected:
            self.fleet.expect_burst(turn.now)
            self.reports.expect_burst(turn.now)
            self.installer.resumed(turn)
        else:
            self.fleet.forget_presence()

    def _order_gone(self, turn: Turn) -> None:
        """Look anew at what was held. Cost: the number of current installs, when a topic is cleared."""
        held = [name for name, install in self.installer.current.items() if install.reason is Reason.LASTING_COMMAND]
        for device_id in held:
            self.installer.reschedule(device_id, turn)

    def keeps_order(self, topic: str) -> bool:
        """Whether the broker keeps an order to install on a topic, as far as is known."""
        return topic in self.installer.keeper.lasting.by_topic

    def _artifacts_ready(self, item: i.ArtifactsReady, turn: Turn) -> None:
        if (install := self.installer.find(item.install_id)) is not None:
            self.installer.happen(install, Fetched(), turn)

    def _artifacts_failed(self, item: i.ArtifactsFailed, turn: Turn) -> None:
        if (install := self.installer.find(item.install_id)) is not None:
            final = item.reason in _TRUST_REASONS
            turn.audit("artifacts_failed", install.device_id, install=install.id, reason=item.reason.value)
            self.installer.happen(install, FetchFailed(item.reason, item.detail, final), turn)

    def _command_sent(self, item: i.CommandSent, turn: Turn) -> None:
        if (install := self.installer.find(item.install_id)) is not None:
            turn.audit("command_sent", install.device_id, install=install.id, attempt=item.attempt_id)

    def _command_not_sent(self, item: i.CommandNotSent, turn: Turn) -> None:
        install = self.installer.find(item.install_id)
        if install is not None and install.attempt_id == item.attempt_id:
            turn.audit("command_not_sent", install.device_id, install=install.id, reason=item.reason.value)
            self.installer.happen(install, NotSent(item.reason), turn)

    def _save_failed(self, item: i.SaveFailed, turn: Turn) -> None:
        self._unsaved.note(item.save)
        self.installer.keeper.state = replace(self.installer.keeper.state, store_ok=False)
        values = {"detail": item.detail}
        turn.do(RaiseIssue(IssueKind.STORE_FAILED, "", Severity.CRITICAL, False, item.reason, values))
        turn.refresh_hub = True
        for install_id in item.dropped_installs:
            if (install := self.installer.find(install_id)) is not None:
                downloading = install.state is InstallState.DOWNLOADING
                dropped = FetchFailed(item.reason) if downloading else NotSent(item.reason, written=False)
                self.installer.happen(install, dropped, turn)
        self.requests.not_saved(item, turn)

    def _save_worked(self, _item: i.SaveWorked, turn: Turn) -> None:
        """Writing works: what is left over is written with this turn, and if that fails, the store fails again."""
        turn.woken = True
        if not self.installer.keeper.state.store_ok:
            self.installer.keeper.state = replace(self.installer.keeper.state, store_ok=True)
            turn.do(ClearIssue(IssueKind.STORE_FAILED, ""))
            turn.refresh_hub = True
            self.installer.plan_due = True

    def _address_checked(self, item: i.AddressChecked, turn: Turn) -> None:
        self.installer.keeper.state = replace(self.installer.keeper.state, address_ok=item.reachable)
        self._agenda.set("address", "", None if item.reachable else turn.now + limits.SILENT_RETRY)
        if item.reachable:
            turn.do(ClearIssue(IssueKind.ADDRESS_UNREACHABLE, ""))
        else:
            values = {"address": item.address}
            reason = Reason.ADDRESS_UNREACHABLE
            turn.do(RaiseIssue(IssueKind.ADDRESS_UNREACHABLE, "", Severity.ERROR, False, reason, values))
        turn.refresh_hub = True
        self.installer.plan_due = True

    # --- the window --------------------------------------------------------------------------------------------------

    def _set_window_alarms(self, turn: Turn) -> None:
        opening = self.installer.keeper.window.current(turn.now)
        following = self.installer.keeper.window.next_opening(turn.now)
        self._agenda.set("window", "closes", opening.end if opening else None)
        self._agenda.set("window", "opens", following.start if following else None)

    def _window_turned(self, which: str, turn: Turn) -> None:
        """Look around when the window opens or closes. Whether it is open is never inferred from this (design 4)."""
        if which == "opens":
            turn.do(CheckAddress())
        else:
            self.requests.windows_closed += 1
            turn.save_meta(memory.WINDOWS_CLOSED, str(self.requests.windows_closed))
            self.installer.count_missed(self.requests.windows_closed, turn)
        self._set_window_alarms(turn)
        turn.refresh(self.installer.current)
        turn.refresh_hub = True
        self.installer.plan_due = True

    # --- what people see ---------------------------------------------------------------------------------------------

    @property
    def refused_messages(self) -> Mapping[str, int]:
        """How many messages and devices were refused, by dialect and by repair."""
        return self.reports.refused_messages

    def device_ids(self) -> Iterable[DeviceId]:
        """Name all devices."""
        return self.fleet.devices.keys()

    def device_view(self, device_id: DeviceId, now: datetime) -> DeviceView | None:
        """Describe a device; ``None`` if it is not known. Cost does not depend on the number of devices."""
        device = self.fleet.get(device_id)
        return None if device is None else views.device_view(device, self.fleet, self.feeds, self.installer, now)

    def hub_view(self, now: datetime) -> HubView:
        """Describe the hub. Cost: the number of different kinds of device and of current installs."""
        return views.hub_view(self.fleet, self.feeds, self.installer, now)

    def plan(self, now: datetime) -> list[PlannedInstall]:
        """Foretell the coming night, as far as it can be known: a dry run that changes nothing."""
        return views.plan(self.fleet, self.installer, now)
