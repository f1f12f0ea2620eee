"""What devices say arrives here: who they are, where they are, how they are, and how an install goes.

* What the broker kept from before is no evidence of anything (invariant 7): it makes a device known and shows something
  until the device itself speaks, which it is asked to do when the two differ.
* While a command is out, only live words count.
* Nothing that a device says is believed twice as much because it is said often: questions are spaced and paced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta

from . import limits
from .agenda import Agenda
from .effects import AskStranger, ClearIssue, IssueKind, LifecycleKind, ListenTo, RaiseIssue, Severity
from .errors import Reason, Refused
from .fleet import Fleet, Merge
from .inputs import (
    DeviceLinkChanged,
    DeviceReported,
    DeviceWithdrawn,
    HealthReported,
    InstallReported,
    MessageRefused,
    NetworkReported,
    Stage,
    StrangerSeen,
)
from .install import Booted, Freed, Health, Linked, Staged
from .installer import Installer
from .model import OFFERED, SUPPLIED, Device, DeviceFacts, DeviceId, Install, InstallState
from .ports import Capabilities
from .rivals import Rivals
from .strangers import Strangers
from .turn import Turn


class Reports:
    """Inputs from devices. Never raises."""

    def __init__(
        self,
        fleet: Fleet,
        installer: Installer,
        agenda: Agenda,
        capabilities: Mapping[str, Capabilities],
        wake_feeds: Callable[[Device, bool, Turn], None],
    ) -> None:
        """Listen to these devices; ``wake_feeds`` is told of each device of another kind, and whether it is new."""
        self.refused_messages: dict[str, int] = {}
        self._claimed: set[str] = set()
        self._fleet = fleet
        self._installer = installer
        self._agenda = agenda
        self._capabilities = capabilities
        self._wake_feeds = wake_feeds
        self._strangers = Strangers()
        self._rivals = Rivals(fleet, installer, capabilities)

    def expect_burst(self, now: datetime) -> None:
        """Say that retained words arrive all at once, because the connection is new."""
        self._strangers.expect_burst(now)

    def stranger(self, item: StrangerSeen, turn: Turn) -> None:
        """Ask somebody who only says to be there who it is, if it is time to."""
        if self._strangers.may_ask(item.dialect, item.address, turn.now):
            turn.do(AskStranger(item.dialect, item.address))
            self._agenda.set("stranger", "", self._strangers.next_time)

    def ask_strangers_again(self, _subject: str, turn: Turn) -> None:
        """Ask those once more who did not answer; whoever did is no stranger any more."""
        for dialect, address in self._strangers.silent(turn.now):
            if not self._fleet.is_claimed(dialect, address):
                turn.do(AskStranger(dialect, address))
        self._agenda.set("stranger", "", self._strangers.next_time)

    # --- who they are ------------------------------------------------------------------------------------------------

    def reported(self, item: DeviceReported, turn: Turn) -> None:
        """Take in what a device says of itself."""
        if not self._is_believed(item, turn):
            return
        try:
            merge = self._fleet.merge(item, turn.now)
        except Refused as refused:
            self._flooded(refused, turn)
            return
        if OFFERED in (item.facts.settings or ()) and not item.retained:
            self._fleet.told_offer(item.device_id, turn.now)
        named = bool(item.facts.version) and not item.retained
        if named:
            self._fleet.saw(item.device_id, turn.now)
        elif item.facts.version and not self._capabilities[item.dialect].answers:
            self._fleet.heard(item.device_id)
        if merge.changed:
            self._changed(merge, turn)
        if named:
            moved = merge.moved and merge.before is not None
            self._installer.sighted(merge.device, turn, rebooted=item.rebooted, moved=moved)
        if item.facts.settings is not None and not item.retained:
            self._set(item.device_id, item.facts.settings, turn)
        if self._is_incomplete(merge.device) or (item.retained and merge.fit_changed and merge.before is not None):
            self._installer.asking.ask_spaced(item.device_id, turn)

    def _set(self, device_id: DeviceId, settings: Mapping[str, str], turn: Turn) -> None:
        """Take in that a device itself named settings of its own."""
        self._installer.lending.seen(device_id, turn)
        current = self._installer.current.get(device_id)
        if OFFERED not in settings or current is None:
            return
        if current.state is InstallState.DOWNLOADED:
            self._installer.try_command(current, turn)
        elif current.reason is Reason.WAITS_FOR_LOOK and self._has_looked(current, settings):
            self._installer.happen(current, Freed(), turn, save=False)

    def _has_looked(self, install: Install, settings: Mapping[str, str]) -> bool:
        """Whether a device says what an install is about, and that it has this from the particulars of that install."""
        supplied = self._fleet.devices[install.device_id].settings.get(SUPPLIED)
        return supplied == install.id and settings[OFFERED] == install.offer.version

    def _is_believed(self, item: DeviceReported, turn: Turn) -> bool:
        """Whether the device itself said this, and not somebody in its name."""
        known = self._fleet.get(item.device_id)
        if known is not None and known.dialect != item.dialect and not self._gives_way(known, item, turn):
            return False
        known = self._fleet.get(item.device_id)
        if known is None:
            return True
        if item.retained and self._installer.is_commanded(known.id):
            return False
        if self._rivals.refuses(known, item, turn):
            self.conflicts((known.id,), (), turn)
            return False
        if self._rivals.is_over(known, item, turn):
            self.conflicts((), (known.id,), turn)
        return True

    def _gives_way(self, known: Device, item: DeviceReported, turn: Turn) -> bool:
        """One thing seen by two families: the native one takes the place of the generic one, nobody else does.

        A message that names another family's device is otherwise not believed: it would let whoever can publish
        anywhere on the broker change what is known of that device.
        """
        native = not self._capabilities[item.dialect].generic
        if not (native and self._capabilities[known.dialect].generic) or known.id in self._installer.current:
            if item.dialect not in self._claimed:
                self._claimed.add(item.dialect)
                turn.audit("identity_claimed", known.id, by=item.dialect, known_as=known.dialect)
            self.refused_messages[item.dialect] = self.refused_messages.get(item.dialect, 0) + 1
            return False
        self.conflicts((), self._fleet.forget(known.id), turn)
        return True

    def _is_incomplete(self, device: Device) -> bool:
        family = self._capabilities[device.dialect]
        missing = any(name not in device.settings for name in (*family.borrows, *family.tells))
        return not device.version or not device.model or missing

    def _changed(self, merge: Merge, turn: Turn) -> None:
        device = merge.device
        turn.save_device(device)
        turn.refresh((device.id,))
        if merge.before is None:
            turn.refresh_hub = True
            turn.audit("device_found", device.id, dialect=device.dialect)
            turn.announce(
                LifecycleKind.DEVICE_FOUND, device.id, name=device.name, dialect=device.dialect, version=device.version
            )
        if merge.fit_changed:
            self._wake_feeds(device, merge.before is None, turn)
            self._installer.verdicts.joined(device, turn)
        if merge.before is None or merge.moved:
            turn.do(ListenTo(device.id))
        if merge.moved and merge.before is not None and not merge.before.addresses:
            # It was gone from its bridge's list and is there again: whether it is on line nobody has said since.
            self._fleet.returned(device.id)
            self._installer.asking.ask_spaced(device.id, turn, is_back=True)
        self.conflicts(merge.conflicts, merge.resolved, turn)

    def conflicts(self, conflicts: Iterable[DeviceId], resolved: Iterable[DeviceId], turn: Turn) -> None:
        """Tell of devices that share an address, or do not any more."""
        for device_id in sorted(conflicts):
            device = self._fleet.devices[device_id]
            elsewhere = self._rivals.addresses(device_id)
            values = {"device": device.name or device.id, "address": ", ".join((*device.addresses, *elsewhere))}
            turn.do(
                RaiseIssue(IssueKind.TOPIC_CONFLICT, device_id, Severity.ERROR, False, Reason.TOPIC_CONFLICT, values)
            )
        for device_id in sorted(resolved):
            turn.do(ClearIssue(IssueKind.TOPIC_CONFLICT, device_id))
            self._installer.reschedule(device_id, turn)

    def _flooded(self, refused: Refused, turn: Turn) -> None:
        many = refused.reason is Reason.TOO_MANY_DEVICES
        kind = IssueKind.TOO_MANY_DEVICES if many else IssueKind.DEVICE_FLOOD
        if self.refused_messages.get(kind, 0) == 0:
            turn.audit("devices_refused", "", reason=refused.reason.value)
            turn.do(RaiseIssue(kind, "", Severity.WARNING, False, refused.reason, {"limit": refused.detail}))
        self.refused_messages[kind] = self.refused_messages.get(kind, 0) + 1
        self._agenda.set("flood", kind, turn.now + limits.FLOOD_OVER)

    def flood_over(self, kind: str, turn: Turn) -> None:
        """No device was refused for a while."""
        self.refused_messages[kind] = 0
        turn.do(ClearIssue(IssueKind(kind), ""))

    def withdrawn(self, item: DeviceWithdrawn, turn: Turn) -> None:
        """A cleared announcement is no proof that a device is gone: it is kept, shown off line, and may be removed."""
        if item.device_id in self._fleet.devices and self._fleet.link(item.device_id, online=False):
            turn.refresh((item.device_id,))
            self._left(item.device_id, turn)

    def _left(self, device_id: DeviceId, turn: Turn) -> None:
        """A device is gone from where it was known: if it was heard elsewhere since, that is where it is now."""
        if (elsewhere := self._rivals.left(device_id, turn)) is not None:
            self.reported(elsewhere, turn)
            self._installer.asking.ask_spaced(device_id, turn, is_back=True)

    def network(self, item: NetworkReported, turn: Turn) -> None:
        """Tell each device of a network what its bridge said for all. Cost: the number of devices, per such a word."""
        members = self._fleet.in_network(item.dialect, item.network)
        if members and item.online is not None:
            self._fleet.bridge_link(item.dialect, item.network, online=item.online)
        for device in members:
            if item.device_ids is not None and device.id not in item.device_ids:
                self._gone(device, item, turn)
            # What it forgot is what it was doing; whoever waits for another attempt lost nothing.
            if item.lost and self._installer.is_commanded(device.id):
                lost = InstallReported(device.id, Stage.FAILED, detail=item.lost, retained=item.retained)
                self.install_reported(lost, turn)
            # That a bridge was there before says nothing of its devices; that it is not there now does.
            if item.online is False or (item.online and not item.retained):
                self.linked(DeviceLinkChanged(device.id, item.online, retained=item.retained), turn)

    def _gone(self, device: Device, item: NetworkReported, turn: Turn) -> None:
        """A bridge does not know a device any more: its address may belong to another from now on."""
        if device.addresses:
            nowhere = DeviceFacts(addresses=())
            self.reported(DeviceReported(device.id, device.dialect, nowhere, retained=item.retained), turn)
        self.withdrawn(DeviceWithdrawn(device.id), turn)

    def message_refused(self, item: MessageRefused, _turn: Turn) -> None:
        """Count what a dialect could not read."""
        self.refused_messages[item.dialect] = self.refused_messages.get(item.dialect, 0) + 1

    # --- where and how they are --------------------------------------------------------------------------------------

    def linked(self, item: DeviceLinkChanged, turn: Turn) -> None:
        """Take in that a device came or went."""
        device = self._fleet.get(item.device_id)
        if device is None or (item.online and self._fleet.is_cut_off(device)):
            return
        if not self._fleet.link(device.id, online=item.online):
            return
        turn.refresh((item.device_id,))
        current = self._installer.current.get(item.device_id)
        if current is not None and not item.retained:
            self._installer.happen(current, Linked(item.online), turn)
        if not item.online:
            self._left(item.device_id, turn)
            return
        self._installer.reschedule(item.device_id, turn)
        self._installer.lending.give_back(item.device_id, turn)
        if self._is_worth_asking(item.device_id):
            self._installer.asking.ask_spaced(item.device_id, turn, is_back=True)

    def _is_worth_asking(self, device_id: DeviceId) -> bool:
        """Whether its verdict may be corrected by what it runs now."""
        last = self._installer.last.get(device_id)
        given_up = last is not None and last.state in {InstallState.TIMED_OUT, InstallState.ROLLBACK_FAILED}
        return given_up and device_id not in self._installer.current

    def health(self, item: HealthReported, turn: Turn) -> None:
        """Take in how a device is."""
        if item.device_id not in self._fleet.devices:
            return
        if self._fleet.health(item, turn.now):
            turn.refresh((item.device_id,))
        if self._fleet.room(item):
            turn.save_device(self._fleet.devices[item.device_id])
        current = self._installer.current.get(item.device_id)
        if current is None or item.retained:
            return
        if item.uptime_s is not None and self._has_restarted(current, item.uptime_s, turn.now):
            self._installer.happen(current, Booted(), turn)
            current = self._installer.current[item.device_id]
        if item.self_test is not None:
            self._installer.happen(current, Health(item.self_test == "passed"), turn)
        if item.battery_percent is not None:
            self._installer.reschedule(item.device_id, turn)

    def _has_restarted(self, install: Install, uptime_s: int, now: datetime) -> bool:
        """Whether the device runs for clearly less time than since its command."""
        if install.command_at is None or install.restarted:
            return False
        return now - timedelta(seconds=uptime_s + 1) > install.command_at

    def install_reported(self, item: InstallReported, turn: Turn) -> None:
        """Take in what a device says of its install; only of the attempt that is meant, where its family says which."""
        current = self._installer.current.get(item.device_id)
        if current is None or item.retained:
            return
        device = self._fleet.devices[item.device_id]
        told = item.attempt_id is not None or self._capabilities[device.dialect].echoes_attempt
        if told and item.attempt_id != current.attempt_id:
            return
        self._installer.happen(current, Staged(item.stage, item.percent, item.detail), turn)
