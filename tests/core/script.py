"""A story told to a real hub: an explicit clock, a store, a broker and devices that answer, as its shell carries it.

Each command that the hub orders is held against the promises of design section 3 at the moment it would be published,
in every test that uses a ``Script``: see ``_check_command``.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from custom_components.firmware_hub.core.effects import (
    AuditRow,
    CheckAddress,
    Effect,
    FeedRow,
    FetchArtifacts,
    LedgerRow,
    QueryDevice,
    Save,
    SendInstall,
)
from custom_components.firmware_hub.core.errors import Reason
from custom_components.firmware_hub.core.hub import Hub
from custom_components.firmware_hub.core.inputs import (
    AddressChecked,
    ApproveRequested,
    ArtifactsFailed,
    ArtifactsReady,
    CommandNotSent,
    CommandSent,
    DeviceLinkChanged,
    FeedsChanged,
    HealthReported,
    Input,
    InstallReported,
    LinkChanged,
    ManifestRead,
    SaveFailed,
    SaveWorked,
    SettingsChanged,
    Stage,
    WokenUp,
)
from custom_components.firmware_hub.core.model import Device, Install, InstallState, Manifest, Release
from custom_components.firmware_hub.core.ports import Capabilities
from custom_components.firmware_hub.core.records import Snapshot, from_json, to_json
from custom_components.firmware_hub.core.settings import Settings
from custom_components.firmware_hub.core.view import DeviceView
from custom_components.firmware_hub.core.window import Window

from .builders import DAY, HOUR, MINUTE, NIGHT, PLUG, SECOND, capabilities, feed, report
from .statements import manifest, release

FAMILIES: Mapping[str, Capabilities] = {
    "open": capabilities(),
    "boots": capabilities(announces_boot=True),
    "slots": capabilities(rolls_back=True),
    "trial": capabilities(rolls_back=True, commits=True, echoes_attempt=True),
    "borrower": capabilities(borrows=("OtaUrl", "Option78")),
    "mesh": capabilities(parallel=1),
    "generic": capabilities(generic=True),
    "sleepy": capabilities(
        schedules=True, parallel=1, answer_time=75 * SECOND, max_deadline=8 * HOUR, default_minutes=30
    ),
}
"""One family for each way of behaving that makes a difference to an install."""


class Disk:
    """What was written down, as the store keeps it: JSON, the last install of each device that ended, no more."""

    def __init__(self) -> None:
        self.works = True
        self.failed = False
        self.devices: dict[str, str] = {}
        self.installs: dict[str, str] = {}
        self.ledger: dict[str, str] = {}
        self.feeds: dict[str, FeedRow] = {}
        self.meta: dict[str, str] = {}
        self.audit: list[AuditRow] = []

    def write(self, save: Save) -> None:
        self.devices.update((device.id, to_json(device)) for device in save.devices)
        for device_id in save.forget:
            self.devices.pop(device_id, None)
        self.installs.update((install.id, to_json(install)) for install in save.installs)
        self.ledger.update((row.feed_id, to_json(row)) for row in save.ledger)
        self.feeds.update((row.feed_id, row) for row in save.feeds)
        self.meta.update(save.meta)
        self.audit.extend(from_json(AuditRow, to_json(row)) for row in save.audit)

    def install(self, install_id: str) -> Install:
        return from_json(Install, self.installs[install_id])

    def read(self) -> Snapshot:
        kept: dict[tuple[str, bool], Install] = {}
        for text in self.installs.values():
            install = from_json(Install, text)
            kept[install.device_id, install.state.is_end] = install
        return Snapshot(
            tuple(from_json(Device, text) for text in self.devices.values()),
            tuple(kept.values()),
            tuple(from_json(LedgerRow, text) for text in self.ledger.values()),
            tuple(self.feeds.values()),
            dict(self.meta),
        )


class Script:
    """A hub with its shell's part played, from one input to the next. A device answers while it is in ``answers``."""

    def __init__(self, now: datetime = NIGHT, *, settings: Settings | None = None, dialect: str = "open") -> None:
        self.now = now
        self.dialect = dialect
        self.settings = settings or Settings()
        self.disk = Disk()
        self.connected = False
        self.reachable = True
        self.files: Reason | str | None = "ready"
        self.answers: dict[str, dict[str, Any]] = {}
        self.commands: list[SendInstall] = []
        self.effects: list[Effect] = []
        self._manifests: dict[bytes, Manifest] = {}
        self._last_sent: dict[str, datetime] = {}
        self._ids = itertools.count(1)
        self._begin()
        self.link()

    # --- the shell ---------------------------------------------------------------------------------------------------

    def _begin(self) -> list[Effect]:
        """Start a hub as the coordinator does: settings, what was stored, feeds, stored manifests."""
        self.hub = Hub(FAMILIES, new_id=lambda: f"id-{next(self._ids)}")
        self.connected = False
        effects = self.tell(SettingsChanged(self.settings))
        snapshot = self.disk.read()
        effects += self._carry(self.hub.restore(snapshot, self.now))
        effects += self.tell(FeedsChanged((feed(),)))
        for row in snapshot.feeds:
            stored = self._manifests[row.raw]
            effects += self.tell(ManifestRead(row.feed_id, stored, row.raw, row.etag, row.fetched_at, from_store=True))
        return effects

    def restart(self, after: timedelta = MINUTE) -> list[Effect]:
        """Kill the process, start it again later, and connect."""
        self.now += after
        return self._begin() + self.link()

    def tell(self, *items: Input) -> list[Effect]:
        """Tell the hub something, carry what it orders, and return all of it."""
        return [effect for item in items for effect in self._carry(self.hub.receive(item, self.now))]

    def _carry(self, effects: list[Effect]) -> list[Effect]:
        seen: list[Effect] = []
        todo: deque[Input] = deque()
        while True:
            seen += effects
            todo.extend(self._act(effects))
            if not todo:
                break
            effects = self.hub.receive(todo.popleft(), self.now)
        self.effects += seen
        return seen

    def _act(self, effects: list[Effect]) -> Iterable[Input]:
        save = effects[0] if effects and isinstance(effects[0], Save) else None
        assert not any(isinstance(effect, Save) for effect in effects[1:]), "a save that is not the first effect"
        if save is not None and not self.disk.works:
            self.disk.failed = True
            begun = [effect.install_id for effect in effects if isinstance(effect, SendInstall | FetchArtifacts)]
            yield SaveFailed(save, Reason.DISK_FULL, "no space", tuple(begun))
            return
        if save is not None:
            self.disk.write(save)
            if self.disk.failed:
                self.disk.failed = False
                yield SaveWorked()
        for effect in effects:
            yield from self._answer(effect)

    def _answer(self, effect: Effect) -> Iterable[Input]:
        match effect:
            case SendInstall():
                yield self._publish(effect)
            case FetchArtifacts(install_id) if isinstance(self.files, Reason):
                yield ArtifactsFailed(install_id, self.files, "no luck")
            case FetchArtifacts(install_id) if self.files is not None:
                yield ArtifactsReady(install_id)
            case CheckAddress():
                yield AddressChecked(self.reachable, "192.0.2.1")
            case QueryDevice(device_id) if self.connected and device_id in self.answers:
                yield self._report(device_id, **self.answers[device_id])

    def _publish(self, effect: SendInstall) -> Input:
        self._check_command(effect)
        if effect.not_after is not None and self.now > effect.not_after:
            return CommandNotSent(effect.install_id, effect.attempt_id, Reason.WAITS_FOR_WINDOW)
        if not self.connected:
            return CommandNotSent(effect.install_id, effect.attempt_id, Reason.BROKER_DISCONNECTED)
        self.commands.append(effect)
        self.answers.pop(effect.device_id, None)  # it is busy from now on
        return CommandSent(effect.install_id, effect.attempt_id)

    def _check_command(self, effect: SendInstall) -> None:
        """Hold a command against the promises, by what the disk says and not by what the hub remembers."""
        written = self.disk.install(effect.install_id)
        ordered = InstallState.SCHEDULED if effect.when_awake else InstallState.INSTALLING
        assert written.state is ordered, "not written ahead"
        assert written.attempt_id == effect.attempt_id, "written under another attempt"
        assert effect.attempt_id not in {sent.attempt_id for sent in self.commands}, "one attempt sent twice"
        window_free = written.approval.at_once or written.device_id in self.settings.any_time
        if not window_free:
            assert Window(self.settings).current(self.now) is not None, "outside the window"
            assert effect.not_after is not None, "it may be late"
        over = self._last_sent.get(effect.device_id)
        assert over is None or self.now >= over, "an earlier command may still be at work"
        assert written.command_deadline is not None
        self._last_sent[effect.device_id] = written.command_deadline

    # --- time and the broker -----------------------------------------------------------------------------------------

    def wait(self, how_long: timedelta, *, tick: timedelta = MINUTE) -> list[Effect]:
        """Let time pass as the shell does: woken when the hub wishes, and at each tick."""
        until, effects = self.now + how_long, []
        while self.now < until:
            wish = self.hub.next_wakeup()
            at = min(self.now + tick, until)
            self.now = at if wish is None else max(self.now + SECOND / 20, min(at, wish))
            effects += self.tell(WokenUp())
        return effects

    def sleep(self, how_long: timedelta) -> list[Effect]:
        """Let the machine sleep: nobody is woken, and the next tick is late."""
        self.now += how_long
        return self.tell(WokenUp())

    def link(self, *, up: bool = True) -> list[Effect]:
        self.connected = up
        return self.tell(LinkChanged(up))

    # --- vendors, people, devices ------------------------------------------------------------------------------------

    def publish(self, *releases: Release, **changes: Any) -> list[Effect]:
        """Let the feed publish these releases, by default one of version 1.2.0."""
        values: dict[str, Any] = {"issued": self.now - HOUR, "expires": self.now + 60 * DAY}
        statement = manifest(*(releases or (release(),)), **values | changes)
        raw = statement.digest.encode()
        self._manifests[raw] = statement
        return self.tell(ManifestRead(statement.feed_id, statement, raw))

    def approve(self, device_id: str = PLUG, **changes: Any) -> list[Effect]:
        return self.tell(ApproveRequested(device_id, "anna", **changes))

    def report(self, version: str | None = "1.0.0", device_id: str = PLUG, **changes: Any) -> list[Effect]:
        """Let a device say what it runs."""
        return self.tell(self._report(device_id, version=version, **changes))

    def _report(self, device_id: str, **changes: Any) -> Input:
        values = {"dialect": self.dialect, "name": "plug", "addresses": (f"{device_id}/",)}
        return report(device_id, **values | changes)

    def stage(self, stage: Stage, percent: int | None = None, detail: str = "", **changes: Any) -> list[Effect]:
        """Let the plug speak of its install, with the id of the last command."""
        values: dict[str, Any] = {"attempt_id": self.commands[-1].attempt_id if self.commands else None}
        return self.tell(InstallReported(PLUG, stage, percent, detail=detail, **values | changes))

    def online(self, online: bool = True, device_id: str = PLUG) -> list[Effect]:
        return self.tell(DeviceLinkChanged(device_id, online))

    def health(self, **changes: Any) -> list[Effect]:
        return self.tell(HealthReported(PLUG, **changes))

    # --- how far it is -----------------------------------------------------------------------------------------------

    def ready(self, **about: Any) -> Script:
        """Have a plug that answers, and a release for it."""
        self.report(**about)
        self.answers[PLUG] = {"version": "1.0.0"} | about
        self.publish()
        return self

    def commanded(self, **about: Any) -> Script:
        """Have the plug's command sent."""
        self.ready(**about)
        self.approve()
        assert self.state() is InstallState.INSTALLING, self.hub.installer.current.get(PLUG)
        return self

    def returned(self, **about: Any) -> Script:
        """Have the plug back on the new version, not proved yet."""
        self.commanded(**about)
        self.now += MINUTE
        self.report("1.2.0")
        assert self.state() is InstallState.VERIFYING
        return self

    @property
    def install(self) -> Install:
        """The plug's current install, else its last one."""
        installer = self.hub.installer
        return installer.current.get(PLUG) or installer.last[PLUG]

    def state(self) -> InstallState:
        return self.install.state

    @property
    def verdict(self) -> tuple[InstallState, Reason | None]:
        assert self.install.state.is_end, self.install
        return self.install.state, self.install.reason

    @property
    def hold(self) -> tuple[InstallState | None, Reason | None]:
        view = self.view()
        return view.state, view.reason

    def view(self, device_id: str = PLUG) -> DeviceView:
        view = self.hub.device_view(device_id, self.now)
        assert view is not None
        return view
