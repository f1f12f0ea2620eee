"""The settings that an install changes on a device, and how they are put back (dialects.md section 7.11).

Borrowed settings are noted with the device before the command, and stay noted until the device itself was seen to have
them back: over failures, restarts and lost messages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from . import limits
from .agenda import Agenda
from .effects import RestoreSettings
from .fleet import Fleet
from .model import Device, DeviceId
from .turn import Turn


class Lending:
    """What the hub owes to devices. Never raises."""

    def __init__(self, fleet: Fleet, agenda: Agenda, is_commanded: Callable[[DeviceId], bool]) -> None:
        """Serve these devices; ``is_commanded`` says whether an install may be using the settings just now."""
        self._fleet = fleet
        self._agenda = agenda
        self._is_commanded = is_commanded

    def restore(self, devices: Iterable[Device], turn: Turn) -> None:
        """After a restart: settings may still be out."""
        for device in devices:
            if device.borrowed:
                self._agenda.set("restore", device.id, turn.now + limits.RESTART_GRACE)

    def borrow(self, device_id: DeviceId, names: Iterable[str], turn: Turn) -> None:
        """Note what an install is about to change, unless it is already noted from before."""
        before = self._fleet.devices[device_id]
        device = self._fleet.borrow(device_id, names)
        if device != before:
            turn.save_device(device)

    def give_back(self, device_id: DeviceId, turn: Turn) -> None:
        """Put settings back as soon as the device is there and nothing runs on it, and again until it was seen."""
        device = self._fleet.get(device_id)
        if device is None or not device.borrowed or self._is_commanded(device_id):
            return
        self._agenda.set("restore", device_id, turn.now + limits.RESTORE_RETRY)
        if self._fleet.presence[device_id].online:
            turn.do(RestoreSettings(device_id, device.borrowed))

    def seen(self, device_id: DeviceId, turn: Turn) -> None:
        """Drop what the device says that it has back. While an install runs its settings only look untouched."""
        if not self._is_commanded(device_id) and self._fleet.given_back(device_id):
            turn.save_device(self._fleet.devices[device_id])
