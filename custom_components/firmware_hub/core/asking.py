"""Asks devices what they run: at once for an install, spaced and paced for everything else.

An answer must never cause the next question, and a start with thousands of devices must not flood the broker. Where
each question goes out by a radio that a whole network shares, those of one network are further apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

from . import limits
from .agenda import Agenda
from .effects import QueryDevice
from .fleet import Fleet
from .model import DeviceId
from .ports import Capabilities
from .turn import Turn

_SECOND = timedelta(seconds=1)
_ANYWHERE = ("", "")

type Place = tuple[str, str]
"""Family and network, where questions to a network are apart; else anywhere."""


class Asking:
    """All questions that the hub puts to devices. Never raises."""

    def __init__(
        self, fleet: Fleet, agenda: Agenda, families: Mapping[str, Capabilities] = MappingProxyType({})
    ) -> None:
        """Begin with no question."""
        self._fleet = fleet
        self._agenda = agenda
        self._families = families
        self._later: dict[Place, dict[DeviceId, None]] = {}
        self._taken: dict[Place, tuple[datetime, datetime]] = {}
        self._second: tuple[datetime | None, int] = (None, 0)

    def ask(self, device_id: DeviceId, turn: Turn) -> None:
        """Ask a device now."""
        self._fleet.asked(device_id, turn.now)
        turn.do(QueryDevice(device_id))

    def ask_spaced(self, device_id: DeviceId, turn: Turn, *, is_back: bool = False) -> None:
        """Ask a device when it is its turn, unless it was asked just now and was there to hear it (not ``is_back``)."""
        if not (is_back or self._may_ask(device_id, turn.now)):
            return
        place, apart = self._place(device_id)
        if self._is_free(place, turn.now) and self._has_room(turn.now):
            self._take(place, apart, turn.now)
            self.ask(device_id, turn)
            return
        self._later.setdefault(place, {})[device_id] = None
        self._set_alarm(turn.now)

    def due(self, turn: Turn) -> None:
        """Ask those who wait for their turn, as many as one second and their network allow."""
        for place, waiting in list(self._later.items()):
            while waiting and self._is_free(place, turn.now) and self._has_room(turn.now):
                device_id = next(iter(waiting))
                del waiting[device_id]
                if self._may_ask(device_id, turn.now):
                    self._take(*self._place(device_id), turn.now)
                    self.ask(device_id, turn)
            if not waiting:
                del self._later[place]
        self._set_alarm(turn.now)

    def _place(self, device_id: DeviceId) -> tuple[Place, timedelta]:
        device = self._fleet.devices[device_id]
        family = self._families.get(device.dialect)
        apart = family.asks_apart if family is not None else timedelta()
        return ((device.dialect, device.network), apart) if apart else (_ANYWHERE, apart)

    def _take(self, place: Place, apart: timedelta, now: datetime) -> None:
        if apart:
            self._taken[place] = (now, now + apart)

    def _is_free(self, place: Place, now: datetime) -> bool:
        """Whether a network may be asked again; a clock that was set back silences nobody."""
        taken = self._taken.get(place)
        return taken is None or not taken[0] <= now < taken[1]

    def _set_alarm(self, now: datetime) -> None:
        soonest = now + _SECOND
        times = [max(soonest, self._taken[place][1]) if place in self._taken else soonest for place in self._later]
        self._agenda.set("ask", "", min(times, default=None))

    def _may_ask(self, device_id: DeviceId, now: datetime) -> bool:
        presence = self._fleet.presence.get(device_id)
        if presence is None:
            return False
        asked = presence.last_query
        return asked is None or now - asked >= limits.QUERY_SPACING or now < asked

    def _has_room(self, now: datetime) -> bool:
        since, count = self._second
        if since is None or not timedelta() <= now - since < _SECOND:
            since, count = now, 0
        self._second = (since, count + 1)
        return count < limits.QUERIES_PER_SECOND
