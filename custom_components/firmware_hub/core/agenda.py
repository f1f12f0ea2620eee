"""What is due when: one heap for all deadlines of the hub."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

_SLACK = 64


class Due(NamedTuple):
    """Something that is looked at when its time has come: ``kind`` says what, ``subject`` which one."""

    kind: str
    subject: str


class Agenda:
    """A heap with one time per (kind, subject). Setting and clearing cost the logarithm of the number of entries."""

    def __init__(self) -> None:
        """Begin empty."""
        self._times: dict[Due, datetime] = {}
        self._heap: list[tuple[datetime, Due]] = []

    def set(self, kind: str, subject: str, at: datetime | None) -> None:
        """Put an entry at a time, in place of its earlier one; ``None`` takes it away. Never raises."""
        due = Due(kind, subject)
        if at is None:
            self._times.pop(due, None)
        elif self._times.get(due) != at:
            self._times[due] = at
            heapq.heappush(self._heap, (at, due))
            if len(self._heap) > 2 * len(self._times) + _SLACK:
                # Moved entries stay where they were until their time: what is moved often would fill the memory.
                self._heap = [(when, what) for what, when in self._times.items()]
                heapq.heapify(self._heap)

    def next(self) -> datetime | None:
        """Return the earliest time, dropping entries that were moved or cleared; ``None`` when nothing is due ever."""
        while self._heap and self._times.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take(self, now: datetime) -> Iterator[Due]:
        """Yield and forget all that is due; what a caller sets while it iterates and is due already comes as well."""
        while (at := self.next()) is not None and at <= now:
            due = heapq.heappop(self._heap)[1]
            del self._times[due]
            yield due
