"""The devices: who they are, where they speak, and what they are doing just now.

Rules:

* Identity is hardware identity; a new name or topic is the same device (design section 2).
* Two devices at one address: nothing is sent to either, and nothing that arrives there is believed (users.md 30).
* At most ``MAX_DEVICES``, and after the first minutes ``NEW_DEVICES_PER_MINUTE`` new ones: a broker is not trusted.
* Reading one message costs one look-up, however many devices there are.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

from . import limits
from .errors import Reason, Refused
from .inputs import DeviceReported, HealthReported
from .model import Device, DeviceFacts, DeviceId, FitKey, Presence

_COPIED = tuple(field.name for field in fields(DeviceFacts))
_values = attrgetter(*_COPIED)
_OUTDATED: dict[str, None] = dict.fromkeys(
    ("manufacturer", "model", "hardware", "variant", "version", "counter", "helper")
)
"""What a device runs and is: its own live word counts, whatever the broker has kept of it from before."""
_BATTERY_OK = range(101)
_NOBODY: frozenset[DeviceId] = frozenset()


@dataclass(frozen=True, slots=True)
class Merge:
    """What a report changed.

    Attributes:
        changed: the stored device differs from before.
        fit_changed: something that decides about offers differs.
        moved: it speaks elsewhere than before.
        conflicts: devices that share an address from now on; ``resolved`` those that do not any more.
    """

    before: Device | None
    device: Device
    changed: bool
    fit_changed: bool
    moved: bool
    conflicts: frozenset[DeviceId] = frozenset()
    resolved: frozenset[DeviceId] = frozenset()


class Fleet:
    """All devices of one hub. It is the ``AddressBook`` of the dialects."""

    def __init__(self) -> None:
        """Begin with no devices."""
        self.devices: dict[DeviceId, Device] = {}
        self.presence: dict[DeviceId, Presence] = {}
        self.by_fit: dict[FitKey, set[DeviceId]] = {}
        self.by_dialect: Counter[str] = Counter()
        self._models: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._claims: dict[tuple[str, str], set[DeviceId]] = {}
        self.contested: dict[DeviceId, tuple[DeviceReported, datetime]] = {}
        """Of whom somebody spoke elsewhere while they were there: the last such word, and when; see ``rivals``."""
        self._minute: tuple[datetime | None, int] = (None, 0)
        self._burst_until: datetime | None = None
        self._bridges_away: set[tuple[str, str]] = set()

    # --- AddressBook -------------------------------------------------------------------------------------------------

    def at(self, dialect: str, address: str) -> Device | None:
        """Return the only device that claimed this address."""
        claimed = self._claims.get((dialect, address))
        if claimed is None or len(claimed) != 1:
            return None
        return self.devices[next(iter(claimed))]

    def is_claimed(self, dialect: str, address: str) -> bool:
        """Whether any device claimed this address."""
        return (dialect, address) in self._claims

    def get(self, device_id: DeviceId) -> Device | None:
        """Return a device by its identity."""
        return self.devices.get(device_id)

    # --- what devices say --------------------------------------------------------------------------------------------

    def restore(self, devices: Iterable[Device]) -> frozenset[DeviceId]:
        """Take over stored devices; what they are doing now is not known. Return those that share an address."""
        conflicts: frozenset[DeviceId] = frozenset()
        for device in devices:
            self.devices[device.id] = device
            self.presence[device.id] = Presence()
            conflicts |= self._claim(device)
            self._index(None, device)
        return conflicts

    def expect_burst(self, now: datetime) -> None:
        """Retained announcements arrive all at once after a connection: for a while the flood limit is wide."""
        self._burst_until = now + limits.START_GRACE

    def merge(self, item: DeviceReported, now: datetime) -> Merge:
        """Take in a report. What a broker kept does not outdate what the device itself said since the connection.

        Raises:
            Refused: ``too_many_devices`` or ``device_flood``, for a new device over one of the two limits.
        """
        before = self.devices.get(item.device_id)
        if before is None:
            self._admit(now)
            self.presence[item.device_id] = Presence()
        base = before or Device(item.device_id, item.dialect, first_seen=now)
        is_old = item.retained and self.presence[item.device_id].last_report is not None
        news = _news(base, replace(item.facts, **_OUTDATED) if is_old else item.facts)
        device = replace(base, **news) if news else base
        self.devices[device.id] = device
        if before is not None and not news:
            return Merge(before, before, changed=False, fit_changed=False, moved=False)
        moved = before is not None and "addresses" in news
        resolved, conflicts = self._move(before, device) if before is None or moved else (_NOBODY, _NOBODY)
        fit_changed = before is None or before.fit_key != device.fit_key
        if fit_changed:
            self._index(before, device)
            presence = self.presence[device.id]
            if presence.self_test is not None:
                # What another image found out about itself says nothing about this one.
                self.presence[device.id] = replace(presence, self_test=None)
        return Merge(before, device, True, fit_changed, moved, conflicts, resolved)

    def saw(self, device_id: DeviceId, now: datetime) -> None:
        """Note that the device itself named its version just now."""
        self.presence[device_id] = replace(self.presence[device_id], last_report=now, online=True)

    def told_offer(self, device_id: DeviceId, now: datetime) -> None:
        """Note that the device said just now what its vendor offers it, news or not."""
        self.presence[device_id] = replace(self.presence[device_id], offered_at=now)

    def heard(self, device_id: DeviceId) -> None:
        """Note that what the broker keeps of the device was read since the connection."""
        self.presence[device_id] = replace(self.presence[device_id], heard=True)

    def asked(self, device_id: DeviceId, now: datetime) -> None:
        """Note that the device was asked."""
        self.presence[device_id] = replace(self.presence[device_id], last_query=now)

    def link(self, device_id: DeviceId, *, online: bool) -> bool:
        """Note that the device came or went; whether that is news."""
        before = self.presence[device_id]
        self.presence[device_id] = replace(before, online=online)
        return before.online is not online

    def returned(self, device_id: DeviceId) -> None:
        """Note that a device that was taken off its bridge's list is on it again: it may be on line or not."""
        if not (presence := self.presence[device_id]).online:
            self.presence[device_id] = replace(presence, online=None)

    def health(self, item: HealthReported, now: datetime) -> bool:
        """Take in a health report; whether something that a person sees changed."""
        before = self.presence[item.device_id]
        battery = item.battery_percent if item.battery_percent in _BATTERY_OK else before.battery_percent
        self.presence[item.device_id] = replace(
            before,
            battery_percent=battery,
            rssi_dbm=before.rssi_dbm if item.rssi_dbm is None else item.rssi_dbm,
            uptime_s=before.uptime_s if item.uptime_s is None else item.uptime_s,
            self_test=item.self_test or before.self_test,
            health_at=before.health_at if item.retained else now,
        )
        return battery != before.battery_percent

    def room(self, item: HealthReported) -> bool:
        """Take in how much room a device has for an image; whether nothing was known of it before.

        It goes up and down with whatever the device does, and nobody sees it: the next install asks for it. So only
        the first number is worth a write of its own.
        """
        device = self.devices[item.device_id]
        if item.free_bytes is None or item.free_bytes == device.free_bytes:
            return False
        self.devices[device.id] = replace(device, free_bytes=item.free_bytes)
        return device.free_bytes is None

    def models_of(self, dialect: str) -> Collection[str]:
        """Return the models of a family that there are."""
        return self._models.get(dialect, {}).keys()

    def has_others(self, manufacturer: str, model: str, device_id: DeviceId) -> bool:
        """Whether another device of a model is known. Cost: the number of different kinds of device."""
        alike = (ids for key, ids in self.by_fit.items() if (key.manufacturer, key.model) == (manufacturer, model))
        return any(ids - {device_id} for ids in alike)

    def in_network(self, dialect: str, network: str) -> tuple[Device, ...]:
        """Return the devices behind one bridge. Costs one look at every device."""
        devices = self.devices.values()
        return tuple(device for device in devices if device.network == network and device.dialect == dialect)

    def bridge_link(self, dialect: str, network: str, *, online: bool) -> None:
        """Note that a bridge came or went: while it is away, none of its devices is on line, whatever was said."""
        if online:
            self._bridges_away.discard((dialect, network))
        else:
            self._bridges_away.add((dialect, network))

    def is_cut_off(self, device: Device) -> bool:
        """Whether the device's bridge is away."""
        return (device.dialect, device.network) in self._bridges_away

    def forget_presence(self) -> None:
        """The broker is gone: nobody is known to be on line, and what was said before is not fresh any more.

        Cost: the number of devices. It happens when a connection is lost.
        """
        self._bridges_away.clear()
        for device_id, presence in self.presence.items():
            self.presence[device_id] = replace(presence, online=None, last_report=None, offered_at=None, heard=False)

    def set_back(self, now: datetime) -> None:
        """The clock was set back: what was said before must not be fresh once more when it comes by again.

        Cost: the number of devices. It happens when somebody sets the clock.
        """
        stale = now - 2 * limits.FRESH_REPORT
        for device_id, presence in self.presence.items():
            if presence.last_report is not None:
                self.presence[device_id] = replace(presence, last_report=min(presence.last_report, stale))

    def borrow(self, device_id: DeviceId, names: Iterable[str]) -> Device:
        """Note the settings that an install is about to change, unless they are already noted from before."""
        device = self.devices[device_id]
        taken = {name: device.settings[name] for name in names if name in device.settings}
        self.devices[device_id] = replace(device, borrowed={**taken, **device.borrowed})
        return self.devices[device_id]

    def given_back(self, device_id: DeviceId) -> bool:
        """Drop the borrowed settings that the device was seen to have back; whether there were any.

        Not done while an install runs: before the device takes the command its settings still look untouched.
        """
        device = self.devices[device_id]
        left = {name: value for name, value in device.borrowed.items() if device.settings.get(name) != value}
        if len(left) == len(device.borrowed):
            return False
        self.devices[device_id] = replace(device, borrowed=left)
        return True

    def forget(self, device_id: DeviceId) -> frozenset[DeviceId]:
        """Remove a device; return those whose address is theirs alone again."""
        device = self.devices.pop(device_id)
        del self.presence[device_id]
        self.contested.pop(device_id, None)
        since, count = self._minute
        self._minute = (since, max(0, count - 1))  # so that whoever takes its place is no flood
        self._index(device, None)
        return self._unclaim(device)

    def in_conflict(self, device: Device) -> bool:
        """Whether the device shares an address with another, or its identity."""
        return device.id in self.contested or any(
            len(self._claims.get((device.dialect, address), ())) > 1 for address in device.addresses
        )

    # --- inside ------------------------------------------------------------------------------------------------------

    def _admit(self, now: datetime) -> None:
        if len(self.devices) >= limits.MAX_DEVICES:
            raise Refused(Reason.TOO_MANY_DEVICES, str(limits.MAX_DEVICES))
        since, count = self._minute
        if since is None or now - since >= timedelta(minutes=1) or now < since:
            since, count = now, 0
        burst = self._burst_until is not None and now < self._burst_until
        if count >= (limits.NEW_DEVICES_BURST if burst else limits.NEW_DEVICES_PER_MINUTE):
            raise Refused(Reason.DEVICE_FLOOD, str(limits.NEW_DEVICES_PER_MINUTE))
        self._minute = (since, count + 1)

    def _index(self, before: Device | None, device: Device | None) -> None:
        if before is not None:
            self.by_dialect[before.dialect] -= 1
            self._count_model(before, -1)
            group = self.by_fit[before.fit_key]
            group.discard(before.id)
            if not group:
                del self.by_fit[before.fit_key]
        if device is not None:
            self.by_dialect[device.dialect] += 1
            self._count_model(device, 1)
            self.by_fit.setdefault(device.fit_key, set()).add(device.id)

    def _count_model(self, device: Device, by: int) -> None:
        models = self._models[device.dialect]
        models[device.model] += by
        if not models[device.model]:
            del models[device.model]

    def _move(self, before: Device | None, device: Device) -> tuple[frozenset[DeviceId], frozenset[DeviceId]]:
        """Give up the old addresses and claim the new ones; return who is free of a conflict and who is in one now."""
        if before is None:
            return _NOBODY, self._claim(device)
        was_shared = self.in_conflict(before)
        self.contested.pop(before.id, None)
        resolved, conflicts = self._unclaim(before), self._claim(device)
        if was_shared and not conflicts:
            resolved |= {device.id}
        return resolved - conflicts, conflicts

    def _claim(self, device: Device) -> frozenset[DeviceId]:
        """Claim the addresses; return the devices that are in a conflict only since now, however many share one."""
        conflicts: set[DeviceId] = set()
        for address in device.addresses:
            claimed = self._claims.setdefault((device.dialect, address), set())
            claimed.add(device.id)
            if len(claimed) == 2:
                conflicts |= claimed
            elif len(claimed) > 2:
                conflicts.add(device.id)
        return frozenset(conflicts)

    def _unclaim(self, device: Device) -> frozenset[DeviceId]:
        freed: set[DeviceId] = set()
        for address in device.addresses:
            left = self._claims.get((device.dialect, address), set())
            left.discard(device.id)
            if not left:
                self._claims.pop((device.dialect, address), None)
            elif len(left) == 1:
                freed |= left
        return frozenset(name for name in freed if not self.in_conflict(self.devices[name]))


def _news(device: Device, facts: DeviceFacts) -> dict[str, Any]:
    """Return what the facts say that is not known of the device. Settings that they do not name stay known."""
    said = {
        name: value
        for name, value, known in zip(_COPIED, _values(facts), _values(device), strict=True)
        if value is not None and value != known
    }
    if "settings" in said:
        said["settings"] = {**device.settings, **said["settings"]}
        if said["settings"] == device.settings:
            del said["settings"]
    return said
