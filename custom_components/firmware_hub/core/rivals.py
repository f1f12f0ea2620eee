"""Who speaks for a device that was heard elsewhere: the one that is known, until it is gone (invariants 4, 6 and 7).

Most families name their identity in a payload, which whoever may write to any topic of the family can copy. So another
address is a move only while the known one is not live: its last will or its own word said that it left, or nothing is
known of it since the connection. While a command is under way it never is. Until then nothing that comes from there is
believed, and nothing is sent to either, because nobody can tell which one is the device. A bridge speaks for its
devices, and a generic family is told of others' devices: where they say that one moved, it moved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from . import limits
from .fleet import Fleet
from .inputs import DeviceReported
from .install import Sighting
from .installer import Installer
from .model import Device, DeviceId
from .ports import Capabilities
from .sighting import sight
from .turn import Turn


class Rivals:
    """Judges words that come from elsewhere. Never raises."""

    def __init__(self, fleet: Fleet, installer: Installer, capabilities: Mapping[str, Capabilities]) -> None:
        """Begin with no doubt."""
        self._fleet = fleet
        self._installer = installer
        self._capabilities = capabilities

    def refuses(self, known: Device, item: DeviceReported, turn: Turn) -> bool:
        """Whether a report of a known device is not believed, because that device is there and speaks elsewhere."""
        if not self._is_elsewhere(known, item):
            return False
        self._lost_settings(known, item, turn)
        doubted = known.id in self._fleet.contested
        if not (self._installer.is_commanded(known.id) or self._is_there(known, doubted)):
            return False
        if not doubted:
            turn.audit("identity_contested", known.id, address=", ".join(item.facts.addresses or ()))
        self._fleet.contested[known.id] = (item, turn.now)
        return True

    def left(self, device_id: DeviceId, turn: Turn) -> DeviceReported | None:
        """Return what was said elsewhere about a device that is not there any more, as something said before."""
        contested = self._fleet.contested.get(device_id)
        if contested is None:
            return None
        self._lost_settings(self._fleet.devices[device_id], contested[0], turn)
        return None if self._installer.is_commanded(device_id) else replace(contested[0], retained=True)

    def addresses(self, device_id: DeviceId) -> tuple[str, ...]:
        """Return where else a device was heard."""
        contested = self._fleet.contested.get(device_id)
        return () if contested is None else contested[0].facts.addresses or ()

    def is_over(self, known: Device, item: DeviceReported, turn: Turn) -> bool:
        """Whether a doubt ends, because the device speaks and was not heard elsewhere for long."""
        contested = self._fleet.contested.get(known.id)
        if contested is None or item.retained or turn.now - contested[1] < limits.RIVAL_OVER:
            return False
        del self._fleet.contested[known.id]
        return not self._fleet.in_conflict(known)

    def _is_there(self, known: Device, doubted: bool) -> bool:
        """Whether a device may be where it is known; where two share an address nobody knows, and one has to leave."""
        online = self._fleet.presence[known.id].online
        if doubted:
            return online is not False
        return online is True and not self._fleet.in_conflict(known)

    def _is_elsewhere(self, known: Device, item: DeviceReported) -> bool:
        said = item.facts.addresses
        if not said or not known.addresses or not set(said).isdisjoint(known.addresses):
            return False
        of_the_bridge = bool(known.network) and item.facts.network == known.network
        return not of_the_bridge and not self._capabilities[known.dialect].generic

    def _lost_settings(self, known: Device, item: DeviceReported, turn: Turn) -> None:
        """A device that restarted under a command and speaks elsewhere failed: no success ever comes of it."""
        install = self._installer.current.get(known.id)
        if install is None or item.retained or not item.facts.version:
            return
        if sight(install, known, moved=True) is Sighting.MOVED:
            self._installer.sighted(known, turn, rebooted=False, moved=True)
