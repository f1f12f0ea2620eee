"""One turn of the hub: gathers what an input changed and orders the effects, ``Save`` first."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from .effects import Announce, AuditRow, Effect, FeedRow, LedgerRow, LifecycleKind, RefreshDevices, RefreshHub, Save
from .model import Device, DeviceId, Install


class Turn:
    """What one call of ``Hub.receive`` does to the outside. Never raises."""

    def __init__(self, now: datetime) -> None:
        """Begin a turn at ``now``."""
        self.now = now
        self.effects: list[Effect] = []
        self.refresh_hub = False
        self.woken = False
        self._devices: dict[DeviceId, Device] = {}
        self._forget: set[DeviceId] = set()
        self._installs: dict[str, Install] = {}
        self._ledger: dict[str, LedgerRow] = {}
        self._feeds: dict[str, FeedRow] = {}
        self._meta: dict[str, str] = {}
        self._audit: list[AuditRow] = []
        self._refresh: dict[DeviceId, None] = {}

    def do(self, *effects: Effect) -> None:
        """Order something, after everything ordered before."""
        self.effects.extend(effects)

    def save_device(self, device: Device) -> None:
        """Write a device."""
        self._devices[device.id] = device
        self._forget.discard(device.id)

    def save_install(self, install: Install) -> None:
        """Write an install."""
        self._installs[install.id] = install

    def save_ledger(self, row: LedgerRow) -> None:
        """Write what a feed has said so far."""
        self._ledger[row.feed_id] = row

    def save_feed(self, row: FeedRow) -> None:
        """Write the last good answer of a feed."""
        self._feeds[row.feed_id] = row

    def save_meta(self, key: str, value: str) -> None:
        """Write a small value of the hub itself."""
        self._meta[key] = value

    def forget(self, device_id: DeviceId) -> None:
        """Delete a device."""
        self._devices.pop(device_id, None)
        self._forget.add(device_id)

    def audit(self, kind: str, subject: str, **values: str) -> None:
        """Append to the record."""
        self._audit.append(AuditRow(self.now, kind, subject, values))

    def announce(self, kind: LifecycleKind, device_id: DeviceId | None, **values: str | int | bool | None) -> None:
        """Tell automations, once it is written down."""
        self.do(Announce(kind, device_id, values))

    def refresh(self, device_ids: Iterable[DeviceId]) -> None:
        """Show these devices anew."""
        self._refresh.update(dict.fromkeys(device_ids))

    def audit_again(self, rows: Iterable[AuditRow]) -> None:
        """Append rows of the record that could not be written at their time, before those of this turn."""
        self._audit = [*rows, *self._audit]

    def unsaved(self) -> Save | None:
        """Return the transaction of this turn; ``None`` if there is nothing to write."""
        if not any((self._devices, self._forget, self._installs, self._ledger, self._feeds, self._meta, self._audit)):
            return None
        return Save(
            tuple(self._devices.values()),
            tuple(self._forget),
            tuple(self._installs.values()),
            tuple(self._ledger.values()),
            tuple(self._feeds.values()),
            self._meta,
            tuple(self._audit),
        )

    def close(self) -> list[Effect]:
        """Return the effects in their order: write first, act, then show."""
        effects: list[Effect] = []
        if (save := self.unsaved()) is not None:
            effects.append(save)
        effects += self.effects
        if self._refresh:
            effects.append(RefreshDevices(tuple(self._refresh)))
        if self.refresh_hub:
            effects.append(RefreshHub())
        return effects
