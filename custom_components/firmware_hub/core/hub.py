"""The hub: the one entry to the core. It is told what happened and answers with what is to be done.

``receive`` takes one input and returns the effects in their order, ``Save`` first. ``next_wakeup`` says when it wants to
be told that time passed. Between two calls nothing changes. Reading one message costs no more with many devices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from . import clock as clocks
from . import inputs as i
from . import limits, memory, views
from .agenda import Agenda
from .effects import (
    CheckAddress,
    ClearIssue,
    Effect,
    FetchManifest,
    ForgetDevice,
    IssueKind,
    LifecycleKind,
    ListenTo,
    RaiseIssue,
    Save,
    Severity,
)
from .errors import Reason, Refused
from .feeds import Feeds
from .fleet import Fleet, Merge
from .install import Booted, Fetched, FetchFailed, Health, Linked, NotSent, Staged
from .installer import Installer
from .model import Device, DeviceFacts, DeviceId, FitKey, Install, InstallState, Offer
from .ports import Capabilities
from .records import Snapshot
from .requests import Requests
from .turn import Turn
from .view import DeviceView, HubView, PlannedInstall

_TRUST_REASONS = frozenset(
    {Reason.DIGEST_MISMATCH, Reason.SIZE_MISMATCH, Reason.NOT_FIRMWARE, Reason.NO_DIGEST, Reason.TOO_LARGE}
)


class Hub:
    """The functional core of one config entry. It is the ``AddressBook`` of the dialects."""

    def __init__(self, capabilities: Mapping[str, Capabilities], *, new_id: Callable[[], str]) -> None:
        """Know these firmware families; ``new_id`` makes ids that nobody can guess and that never repeat."""
        self.fleet = Fleet()
        self.feeds = Feeds(lambda dialect: self.fleet.by_dialect[dialect] > 0)
        self._agenda = Agenda()
        self.installer = Installer(self.fleet, self._agenda, capabilities, new_id)
        self.requests = Requests(self.fleet, self.feeds, self.installer, new_id)
        self.refused_messages: dict[str, int] = {}
        self._capabilities = capabilities
        self._clock = clocks.Clock()
        self._clock_saved: datetime | None = None
        self._address_ok: bool | None = None
        self._unsaved: Save | None = None
        self._handlers: dict[type, Callable[[Any, Turn], None]] = {
            i.DeviceReported: self._reported,
            i.DeviceLinkChanged: self._device_link,
            i.HealthReported: self._health,
            i.InstallReported: self._install_reported,
            i.DeviceWithdrawn: self._withdrawn,
            i.NetworkReported: self._network,
            i.MessageRefused: self._message_refused,
            i.ApproveRequested: self._approve,
            i.UnapproveRequested: self.requests.unapprove,
            i.RetryRequested: self.requests.retry,
            i.ModelReleased: self._model_released,
            i.CheckRequested: self._check,
            i.ForgetRequested: self._forget,
            i.SettingsChanged: self._settings,
            i.FeedsChanged: self._feeds_changed,
            i.WokenUp: self._woken,
            i.LinkChanged: self._link,
            i.ManifestRead: self._manifest,
            i.ManifestUnchanged: self._manifest_unchanged,
            i.ManifestRefused: self._manifest_refused,
            i.FetchFailed: self._fetch_failed,
            i.ArtifactsReady: self._artifacts_ready,
            i.ArtifactsFailed: self._artifacts_failed,
            i.CommandSent: self._command_sent,
            i.CommandNotSent: self._command_not_sent,
            i.SaveFailed: self._save_failed,
            i.SaveWorked: self._save_worked,
            i.AddressChecked: self._address_checked,
        }

    # --- the entry ---------------------------------------------------------------------------------------------------------

    def receive(self, item: i.Input, now: datetime) -> list[Effect]:
        """Take in one input.

        Raises:
            Refused: only for inputs from people; nothing has changed then.
        """
        turn = Turn(now)
        self._handlers[type(item)](item, turn)
        return self._close(turn)

    def restore(self, snapshot: Snapshot, now: datetime) -> list[Effect]:
        """Take over what was stored. Nothing is sent that may have been sent before."""
        turn = Turn(now)
        self._clock = clocks.tick(clocks.from_text(snapshot.meta.get(memory.CLOCK, "")), now)
        self.fleet.restore(snapshot.devices)
        self.feeds.restore(snapshot.ledger)
        self.requests.windows_closed = memory.number(snapshot.meta.get(memory.WINDOWS_CLOSED, ""))
        memory.recall_rollout(self.installer.rollout, snapshot.meta)
        self.installer.restore(snapshot.installs, turn)
        turn.do(*(ListenTo(device.id) for device in snapshot.devices))
        self._tell_clock(turn)
        return self._close(turn)

    def next_wakeup(self) -> datetime | None:
        """When ``WokenUp`` is wanted at the latest; ``None``: only for what else happens."""
        return self._agenda.next()

    def _close(self, turn: Turn) -> list[Effect]:
        for due in self._agenda.take(turn.now):
            self._due(due.kind, due.subject, turn)
        while self.installer.plan_due:
            self.installer.plan(turn)
        memory.keep_rollout(self.installer.rollout, turn)
        if self._unsaved is not None and (turn.woken or turn.unsaved() is not None):
            turn.again(self._unsaved)
            self._unsaved = None
        return turn.close()

    # --- AddressBook ---------------------------------------------------------------------------------------------------------

    def at(self, dialect: str, address: str) -> Device | None:
        """Return the only device that claimed this address."""
        return self.fleet.at(dialect, address)

    def is_claimed(self, dialect: str, address: str) -> bool:
        """Whether any device claimed this address, one or several."""
        return self.fleet.is_claimed(dialect, address)

    def get(self, device_id: DeviceId) -> Device | None:
        """Return a device by its identity."""
        return self.fleet.get(device_id)

    # --- devices -------------------------------------------------------------------------------------------------------------

    def _reported(self, item: i.DeviceReported, turn: Turn) -> None:
        current = self.installer.current.get(item.device_id)
        known = self.fleet.get(item.device_id)
        if known is not None and known.dialect != item.dialect and not self._gives_way(known, item, turn):
            return
        if item.retained and known is not None and current is not None and current.state.is_commanded:
            return  # old by definition, and the device is changing just now (invariant 7)
        try:
            merge = self.fleet.merge(item, turn.now)
        except Refused as refused:
            self._flooded(refused, turn)
            return
        if not item.retained and item.facts.version is not None:
            self.fleet.saw(item.device_id, turn.now)
        if merge.changed:
            self._device_changed(merge, turn)
        live = not item.retained
        if live and item.facts.version is not None or merge.fit_changed:
            moved = merge.moved and merge.before is not None
            self.installer.sighted(merge.device, turn, live=live, rebooted=item.rebooted, moved=moved)
        if item.facts.settings is not None and live:
            self._settings_seen(item.device_id, turn)
        if self._is_incomplete(merge.device):
            self.installer.query_spaced(item.device_id, turn)

    def _gives_way(self, known: Device, item: i.DeviceReported, turn: Turn) -> bool:
        """One thing seen by two families: the native one takes the place of the generic one, nobody else does.

        A message that names another family's device is otherwise not believed: it would let whoever can publish
        anywhere on the broker change what is known of that device.
        """
        native = not self._capabilities[item.dialect].generic
        if not (native and self._capabilities[known.dialect].generic) or known.id in self.installer.current:
            if self.refused_messages.get(item.dialect, 0) == 0:
                turn.audit("identity_claimed", known.id, by=item.dialect, known_as=known.dialect)
            self.refused_messages[item.dialect] = self.refused_messages.get(item.dialect, 0) + 1
            return False
        self._conflicts((), self.fleet.forget(known.id), turn)
        return True

    def _is_incomplete(self, device: Device) -> bool:
        missing = any(name not in device.settings for name in self._capabilities[device.dialect].borrows)
        return not device.version or not device.model or missing

    def _device_changed(self, merge: Merge, turn: Turn) -> None:
        device = merge.device
        turn.save_device(device)
        turn.refresh((device.id,))
        if merge.before is None:
            turn.refresh_hub = True
            turn.audit("device_found", device.id, dialect=device.dialect)
            turn.announce(
                LifecycleKind.DEVICE_FOUND, device.id, name=device.name, dialect=device.dialect, version=device.version
            )
            self._wake_feeds(device.dialect, turn)
        if merge.before is None or merge.moved:
            turn.do(ListenTo(device.id))
        self._conflicts(merge.conflicts, merge.resolved, turn)

    def _conflicts(self, conflicts: Iterable[DeviceId], resolved: Iterable[DeviceId], turn: Turn) -> None:
        for device_id in sorted(conflicts):
            device = self.fleet.devices[device_id]
            values = {"device": device.name or device.id, "address": ", ".join(device.addresses)}
            turn.do(
                RaiseIssue(IssueKind.TOPIC_CONFLICT, device_id, Severity.ERROR, False, Reason.TOPIC_CONFLICT, values)
            )
        for device_id in sorted(resolved):
            turn.do(ClearIssue(IssueKind.TOPIC_CONFLICT, device_id))
            self._reschedule(device_id, turn)

    def _flooded(self, refused: Refused, turn: Turn) -> None:
        many = refused.reason is Reason.TOO_MANY_DEVICES
        kind = IssueKind.TOO_MANY_DEVICES if many else IssueKind.DEVICE_FLOOD
        if self.refused_messages.get(kind, 0) == 0:
            turn.audit("devices_refused", "", reason=refused.reason)
            turn.do(RaiseIssue(kind, "", Severity.WARNING, False, refused.reason, {"limit": refused.detail}))
        self.refused_messages[kind] = self.refused_messages.get(kind, 0) + 1

    def _settings_seen(self, device_id: DeviceId, turn: Turn) -> None:
        current = self.installer.current.get(device_id)
        if current is not None and current.state.is_commanded:
            return
        if self.fleet.given_back(device_id):
            turn.save_device(self.fleet.devices[device_id])

    def _device_link(self, item: i.DeviceLinkChanged, turn: Turn) -> None:
        device = self.fleet.get(item.device_id)
        if device is None or (item.online and self.fleet.is_cut_off(device)):
            return
        if not self.fleet.link(device.id, online=item.online):
            return
        turn.refresh((device.id,))
        current = self.installer.current.get(device.id)
        if current is not None and not item.retained:
            self.installer.happen(current, Linked(item.online), turn)
        if item.online:
            self._reschedule(device.id, turn)
            self.installer.give_back(device, turn)
            if not item.retained and current is None and self._is_worth_asking(device.id):
                self.installer.query_spaced(device.id, turn)

    def _is_worth_asking(self, device_id: DeviceId) -> bool:
        last = self.installer.last.get(device_id)
        return last is not None and last.state is InstallState.TIMED_OUT

    def _health(self, item: i.HealthReported, turn: Turn) -> None:
        if item.device_id not in self.fleet.devices:
            return
        if self.fleet.health(item, turn.now):
            turn.refresh((item.device_id,))
        current = self.installer.current.get(item.device_id)
        if current is None or item.retained:
            return
        if item.uptime_s is not None and self._has_restarted(current, item.uptime_s, turn.now):
            self.installer.happen(current, Booted(), turn)
            current = self.installer.current[item.device_id]
        if item.self_test is not None:
            self.installer.happen(current, Health(item.self_test == "passed"), turn)
        if item.battery_percent is not None:
            self._reschedule(item.device_id, turn)

    def _has_restarted(self, install: Install, uptime_s: int, now: datetime) -> bool:
        """Whether the device runs for clearly less time than since its command."""
        if install.command_at is None or install.restarted:
            return False
        return now - timedelta(seconds=uptime_s + 1) > install.command_at

    def _install_reported(self, item: i.InstallReported, turn: Turn) -> None:
        current = self.installer.current.get(item.device_id)
        if current is None or item.retained:
            return
        device = self.fleet.devices[item.device_id]
        told = item.attempt_id is not None or self._capabilities[device.dialect].echoes_attempt
        if told and item.attempt_id != current.attempt_id:
            return
        self.installer.happen(current, Staged(item.stage, item.percent, item.detail), turn)

    def _withdrawn(self, item: i.DeviceWithdrawn, turn: Turn) -> None:
        """A cleared announcement is no proof that a device is gone: it is kept, shown off line, and may be removed."""
        if item.device_id in self.fleet.devices:
            self.fleet.link(item.device_id, online=False)
            turn.refresh((item.device_id,))

    def _network(self, item: i.NetworkReported, turn: Turn) -> None:
        """Tell each device of a network what its bridge said for all: this costs what the network is large."""
        members = self.fleet.in_network(item.dialect, item.network)
        if members and item.online is not None:
            self.fleet.bridge_link(item.dialect, item.network, online=item.online)
        for device in members:
            if item.device_ids is not None and device.id not in item.device_ids:
                self._gone(device, item, turn)
            if item.lost:
                lost = i.InstallReported(device.id, i.Stage.FAILED, detail=item.lost, retained=item.retained)
                self._install_reported(lost, turn)
            # That a bridge was there before says nothing of its devices; that it is not there now does.
            if item.online is False or (item.online and not item.retained):
                self._device_link(i.DeviceLinkChanged(device.id, item.online, retained=item.retained), turn)

    def _gone(self, device: Device, item: i.NetworkReported, turn: Turn) -> None:
        """A bridge does not know a device any more: its address may belong to another from now on."""
        if device.addresses:
            nowhere = DeviceFacts(addresses=())
            self._reported(i.DeviceReported(device.id, device.dialect, nowhere, retained=item.retained), turn)
        self._withdrawn(i.DeviceWithdrawn(device.id), turn)

    def _message_refused(self, item: i.MessageRefused, _turn: Turn) -> None:
        self.refused_messages[item.dialect] = self.refused_messages.get(item.dialect, 0) + 1

    def _reschedule(self, device_id: DeviceId, turn: Turn) -> None:
        current = self.installer.current.get(device_id)
        if current is not None:
            self.installer.reschedule(current, turn)

    # --- people --------------------------------------------------------------------------------------------------------------

    def _approve(self, item: i.ApproveRequested, turn: Turn) -> None:
        self.requests.approve(item, turn)
        turn.refresh_hub = True
        if self._address_ok is None:
            turn.do(CheckAddress())

    def _model_released(self, item: i.ModelReleased, turn: Turn) -> None:
        device = self.requests.device(item.device_id)
        if not self.installer.release(device, turn):
            raise Refused(Reason.NOTHING_TO_CANCEL)
        turn.audit("model_released_by", f"{device.manufacturer}/{device.model}", by=item.by)

    def _check(self, item: i.CheckRequested, turn: Turn) -> None:
        turn.audit("check_requested", "", by=item.by)
        for feed_id in self.feeds.states:
            self._fetch(feed_id, turn)

    def _forget(self, item: i.ForgetRequested, turn: Turn) -> None:
        device = self.requests.device(item.device_id)
        current = self.installer.current.get(device.id)
        if current is not None:
            self.installer.cancel(current, InstallState.REMOVED, Reason.DEVICE_REMOVED, turn)
        self._conflicts((), self.fleet.forget(device.id), turn)
        self.installer.last.pop(device.id, None)
        for kind in (IssueKind.INSTALL_FAILED, IssueKind.DEVICE_DARK, IssueKind.TOPIC_CONFLICT):
            turn.do(ClearIssue(kind, device.id))
        turn.forget(device.id)
        turn.audit("device_forgotten", device.id, by=item.by)
        turn.do(ForgetDevice(device.id))
        turn.refresh_hub = True

    def _settings(self, item: i.SettingsChanged, turn: Turn) -> None:
        self.installer.settings_changed(item.settings, turn)
        self._set_window_alarm(turn)
        turn.refresh(device_id for device_id in self.installer.current)
        turn.refresh_hub = True

    # --- feeds ---------------------------------------------------------------------------------------------------------------

    def _feeds_changed(self, item: i.FeedsChanged, turn: Turn) -> None:
        fresh, gone = self.feeds.set(item.feeds)
        for feed_id in gone:
            self._agenda.set("feed", feed_id, None)
            for kind in (IssueKind.MANIFEST_REFUSED, IssueKind.FEED_UNREACHABLE):
                turn.do(ClearIssue(kind, feed_id))
        for feed_id in fresh:
            self._fetch(feed_id, turn)
        turn.refresh(self.fleet.devices)
        turn.refresh_hub = True

    def _wake_feeds(self, dialect: str, turn: Turn) -> None:
        if self.fleet.by_dialect[dialect] > 1:
            return
        for feed_id, state in self.feeds.states.items():
            if state.feed.dialect == dialect:
                self._fetch(feed_id, turn)

    def _fetch(self, feed_id: str, turn: Turn) -> None:
        if self.feeds.fetching(feed_id):
            turn.do(FetchManifest(feed_id))
            self._agenda.set("feed", feed_id, turn.now + limits.FETCH_INTERVAL)

    def _manifest(self, item: i.ManifestRead, turn: Turn) -> None:
        if item.feed_id not in self.feeds.states:
            return
        if not self.installer.state.clock_trusted and not item.from_store:
            self._refuse_feed(item.feed_id, Reason.CLOCK_UNTRUSTED, "", turn)
            return
        before = self._offers_now()
        try:
            ledger, feed_row, touched = self.feeds.accept(item, turn.now)
        except Refused as refused:
            self._refuse_feed(item.feed_id, refused.reason, refused.detail, turn)
            return
        turn.save_ledger(ledger)
        if feed_row is not None:
            turn.save_feed(feed_row)
            turn.audit("manifest_accepted", item.feed_id, sequence=str(item.manifest.sequence or ""))
        for kind in (IssueKind.MANIFEST_REFUSED, IssueKind.FEED_UNREACHABLE, IssueKind.MANIFEST_EXPIRED):
            turn.do(ClearIssue(kind, item.feed_id))
        self._offers_changed(before, touched, turn)
        self._recheck(item.feed_id, turn)

    def _offers_now(self) -> dict[FitKey, Offer | None]:
        return {key: self.feeds.catalogue.offer(key) for key in self.fleet.by_fit}

    def _offers_changed(
        self, before: Mapping[FitKey, Offer | None], touched: Iterable[tuple[str, str]], turn: Turn
    ) -> None:
        models = frozenset(touched)
        for key, was in before.items():
            if (key.manufacturer.casefold(), key.model.casefold()) not in models:
                continue
            turn.refresh(self.fleet.by_fit[key])
            offer = self.feeds.catalogue.offer(key)
            if offer is not None and (was is None or was.version != offer.version):
                turn.announce(
                    LifecycleKind.UPDATE_OFFERED,
                    None,
                    manufacturer=key.manufacturer,
                    model=key.model,
                    version=offer.version,
                    devices=len(self.fleet.by_fit[key]),
                )
        turn.refresh_hub = True

    def _recheck(self, feed_id: str, turn: Turn) -> None:
        """Void approvals whose release the feed does not name any more, and renew the proof of the others."""
        mine = [item for item in self.installer.current.values() if item.offer.feed_id == feed_id]
        for install in mine:
            if install.state.is_commanded:
                continue
            device = self.fleet.devices[install.device_id]
            offer = self.feeds.catalogue.release(device.fit_key, install.offer.version)
            if offer is None or offer.digest != install.offer.digest:
                newer = self.feeds.catalogue.offer(device.fit_key)
                reason = Reason.OFFER_MOVED if newer is not None else Reason.OFFER_WITHDRAWN
                self.installer.cancel(install, InstallState.CANCELED, reason, turn)
            elif offer != install.offer:
                self.installer.renew(install, offer, turn)

    def _manifest_unchanged(self, item: i.ManifestUnchanged, turn: Turn) -> None:
        if item.feed_id in self.feeds.states:
            self.feeds.unchanged(item.feed_id, turn.now)
            for kind in (IssueKind.FEED_UNREACHABLE, IssueKind.MANIFEST_REFUSED):
                turn.do(ClearIssue(kind, item.feed_id))
            turn.refresh_hub = True

    def _manifest_refused(self, item: i.ManifestRefused, turn: Turn) -> None:
        if item.feed_id in self.feeds.states:
            self._refuse_feed(item.feed_id, item.reason, f"{item.path} {item.detail}".strip(), turn)

    def _refuse_feed(self, feed_id: str, reason: Reason, detail: str, turn: Turn) -> None:
        feed = self.feeds.states[feed_id].feed
        wait = self.feeds.failed(feed_id, reason)
        self._agenda.set("feed", feed_id, turn.now + wait)
        values = {"feed": feed.title, "url": feed.url, "detail": detail, "feed_id": feed_id}
        turn.audit("manifest_refused", feed_id, reason=reason, detail=detail)
        turn.announce(LifecycleKind.MANIFEST_REFUSED, None, feed=feed.title, feed_id=feed_id, reason=reason.value)
        turn.do(RaiseIssue(IssueKind.MANIFEST_REFUSED, feed_id, Severity.ERROR, True, reason, values))
        turn.refresh_hub = True

    def _fetch_failed(self, item: i.FetchFailed, turn: Turn) -> None:
        if item.feed_id not in self.feeds.states:
            return
        wait = self.feeds.failed(item.feed_id, item.reason, item.retry_after_s)
        self._agenda.set("feed", item.feed_id, turn.now + wait)
        state = self.feeds.states[item.feed_id]
        if state.failures == limits.FETCHES_BEFORE_ISSUE:
            values = {"feed": state.feed.title, "url": state.feed.url, "detail": item.detail, "feed_id": item.feed_id}
            turn.do(RaiseIssue(IssueKind.FEED_UNREACHABLE, item.feed_id, Severity.WARNING, False, item.reason, values))
        turn.refresh_hub = True

    # --- the shell -----------------------------------------------------------------------------------------------------------

    def _woken(self, _item: i.WokenUp, turn: Turn) -> None:
        turn.woken = True
        before = self.installer.state.clock_trusted
        self._clock = clocks.tick(self._clock, turn.now)
        self._tell_clock(turn)
        if before is not self.installer.state.clock_trusted:
            turn.refresh_hub = True
        self.installer.plan_due = True

    def _tell_clock(self, turn: Turn) -> None:
        trusted = self._clock.doubt is clocks.Doubt.NONE
        if trusted is not self.installer.state.clock_trusted:
            self.installer.state = replace(self.installer.state, clock_trusted=trusted)
            if trusted:
                turn.do(ClearIssue(IssueKind.CLOCK_UNTRUSTED, ""))
            else:
                turn.do(RaiseIssue(IssueKind.CLOCK_UNTRUSTED, "", Severity.ERROR, False, Reason.CLOCK_UNTRUSTED, {}))
        if self._clock_saved is None or abs(turn.now - self._clock_saved) >= limits.CLOCK_SAVE:
            self._clock_saved = turn.now
            turn.save_meta(memory.CLOCK, clocks.to_text(self._clock))
        self._set_window_alarm(turn)

    def _set_window_alarm(self, turn: Turn) -> None:
        opening = self.installer.window.current(turn.now)
        following = self.installer.window.next_opening(turn.now)
        self._agenda.set("window", "closes", opening.end if opening else None)
        self._agenda.set("window", "opens", following.start if following else None)

    def _link(self, item: i.LinkChanged, turn: Turn) -> None:
        if item.connected is self.installer.state.connected:
            return
        self.installer.state = replace(self.installer.state, connected=item.connected)
        turn.refresh_hub = True
        turn.refresh(device_id for device_id in self.installer.current)
        if item.connected:
            self.fleet.expect_burst(turn.now)
            self.installer.connected(turn)
        else:
            self.fleet.forget_presence()

    def _artifacts_ready(self, item: i.ArtifactsReady, turn: Turn) -> None:
        if (install := self.installer.find(item.install_id)) is not None:
            self.installer.happen(install, Fetched(), turn)

    def _artifacts_failed(self, item: i.ArtifactsFailed, turn: Turn) -> None:
        if (install := self.installer.find(item.install_id)) is not None:
            final = item.reason in _TRUST_REASONS
            turn.audit("artifacts_failed", install.device_id, install=install.id, reason=item.reason)
            self.installer.happen(install, FetchFailed(item.reason, item.detail, final), turn)

    def _command_sent(self, item: i.CommandSent, turn: Turn) -> None:
        if (install := self.installer.find(item.install_id)) is not None:
            turn.audit("command_sent", install.device_id, install=install.id, attempt=item.attempt_id)

    def _command_not_sent(self, item: i.CommandNotSent, turn: Turn) -> None:
        install = self.installer.find(item.install_id)
        if install is not None and install.attempt_id == item.attempt_id:
            turn.audit("command_not_sent", install.device_id, install=install.id, reason=item.reason)
            self.installer.happen(install, NotSent(item.reason), turn)

    def _save_failed(self, item: i.SaveFailed, turn: Turn) -> None:
        pending = Turn(turn.now)
        pending.again(item.save)
        if self._unsaved is not None:
            pending.again(self._unsaved)
        self._unsaved = pending.unsaved()
        self.installer.state = replace(self.installer.state, store_ok=False)
        values = {"detail": item.detail}
        turn.do(RaiseIssue(IssueKind.STORE_FAILED, "", Severity.CRITICAL, False, item.reason, values))
        turn.refresh_hub = True
        for install_id in item.dropped_installs:
            if (install := self.installer.find(install_id)) is not None:
                downloading = install.state is InstallState.DOWNLOADING
                dropped = FetchFailed(item.reason) if downloading else NotSent(item.reason, written=False)
                self.installer.happen(install, dropped, turn)

    def _save_worked(self, _item: i.SaveWorked, turn: Turn) -> None:
        if self._unsaved is None and not self.installer.state.store_ok:
            self.installer.state = replace(self.installer.state, store_ok=True)
            turn.do(ClearIssue(IssueKind.STORE_FAILED, ""))
            turn.refresh_hub = True
            self.installer.plan_due = True

    def _address_checked(self, item: i.AddressChecked, turn: Turn) -> None:
        self._address_ok = item.reachable
        self.installer.state = replace(self.installer.state, address_ok=item.reachable)
        if item.reachable:
            turn.do(ClearIssue(IssueKind.ADDRESS_UNREACHABLE, ""))
        else:
            values = {"address": item.address}
            reason = Reason.ADDRESS_UNREACHABLE
            turn.do(RaiseIssue(IssueKind.ADDRESS_UNREACHABLE, "", Severity.ERROR, False, reason, values))
        turn.refresh_hub = True
        self.installer.plan_due = True

    # --- time ----------------------------------------------------------------------------------------------------------------

    def _due(self, kind: str, subject: str, turn: Turn) -> None:
        match kind:
            case "install":
                self.installer.deadline(subject, turn)
            case "parked":
                self.installer.unpark(subject, turn)
            case "approval":
                self.installer.expire(subject, turn)
            case "pilot":
                self.installer.pilot_settled(subject, turn)
            case "feed":
                self._fetch(subject, turn)
            case _:
                self._window_turned(turn, opens=subject == "opens")

    def _window_turned(self, turn: Turn, *, opens: bool) -> None:
        if opens:
            turn.do(CheckAddress())
        else:
            self.requests.windows_closed += 1
            turn.save_meta(memory.WINDOWS_CLOSED, str(self.requests.windows_closed))
            self.installer.count_missed(self.requests.windows_closed, turn)
        self._set_window_alarm(turn)
        turn.refresh(device_id for device_id in self.installer.current)
        turn.refresh_hub = True
        self.installer.plan_due = True

    # --- what people see -----------------------------------------------------------------------------------------------------

    def device_ids(self) -> Iterable[DeviceId]:
        """Name all devices."""
        return self.fleet.devices.keys()

    def device_view(self, device_id: DeviceId, now: datetime) -> DeviceView | None:
        """Describe a device; ``None`` if it is not known. Cost does not depend on the number of devices."""
        device = self.fleet.get(device_id)
        return None if device is None else views.device_view(device, self.fleet, self.feeds, self.installer, now)

    def hub_view(self, now: datetime) -> HubView:
        """Describe the hub."""
        return views.hub_view(self.fleet, self.feeds, self.installer, now)

    def plan(self, now: datetime) -> list[PlannedInstall]:
        """Foretell the coming night, as far as it can be known: a dry run that changes nothing."""
        return views.plan(self.fleet, self.installer, now)
