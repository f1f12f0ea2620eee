"""Asks devices what they run: at once for an install, spaced and paced for everything else.

An answer must never cause the next question, and a start with thousands of devices must not flood the broker.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from . import limits
from .agenda import Agenda
from .effects import QueryDevice
from .fleet import Fleet
from .model import DeviceId
from .turn import Turn

_SECOND = timedelta(seconds=1)


class Asking:
    """All questions that the hub puts to devices. Never raises."""

    def __init__(self, fleet: Fleet, agenda: Agenda) -> None:
        """Begin with no question."""
        self._fleet = fleet
        self._agenda = agenda
        self._later: dict[DeviceId, None] = {}
        self._second: tuple[datetime | None, int] = (None, 0)

    def ask(self, device_id: DeviceId, turn: Turn) -> None:
        """Ask a device now."""
        self._fleet.asked(device_id, turn.now)
        turn.do(QueryDevice(device_id))

    def ask_spaced(self, device_id: DeviceId, turn: Turn, *, is_back: bool = False) -> None:
        """Ask a device when it is its turn, unless it was asked just now and was there to hear it (not ``is_back``)."""
        if not (is_back or self._may_ask(device_id, turn.now)):
            return
        if self._has_room(turn.now):
            self.ask(device_id, turn)
            return
        if not self._later:
            self._agenda.set("ask", "", turn.now + _SECOND)
        self._later[device_id] = None

    def due(self, turn: Turn) -> None:
        """Ask those who wait for their turn, as many as one second allows."""
        while self._later and self._has_room(turn.now):
            device_id = next(iter(self._later))
            del self._later[device_id]
            if self._may_ask(device_id, turn.now):
                self.ask(device_id, turn)
        if self._later:
            self._agenda.set("ask", "", turn.now + _SECOND)

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
