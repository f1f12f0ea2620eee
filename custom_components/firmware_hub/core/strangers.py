"""Strangers: whoever says to be there without saying who it is, and how often such a one may be asked.

Rules:

* A stranger is asked again at the earliest ``limits.STRANGER_AGAIN`` later, whatever it says meanwhile.
* But for one time: whoever does not answer is asked once more soon. An answer may be lost, and at a start it may come
  before the hub can hear it, from somebody who shows itself only once.
* Asking is bounded like finding is (``fleet``): all at once after a connection, then few per minute. A broker is not
  trusted, and each question is a message on a topic that somebody else chose.
* What is remembered is bounded as well; the one asked longest ago is forgotten first.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from . import limits


class Strangers:
    """Who was asked, and when."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self._asked: dict[tuple[str, str], datetime] = {}
        self._once_more: dict[tuple[str, str], datetime] = {}
        self._minute: tuple[datetime | None, int] = (None, 0)
        self._burst_until: datetime | None = None

    def expect_burst(self, now: datetime) -> None:
        """Retained signs of presence arrive all at once after a connection: for a while the limit is wide."""
        self._burst_until = now + limits.START_GRACE
        self._asked.clear()
        self._once_more.clear()

    def may_ask(self, dialect: str, address: str, now: datetime) -> bool:
        """Decide whether to ask this one now, and take note of it. Never raises."""
        key = (dialect, address)
        last = self._asked.get(key)
        if last is not None and last <= now < last + limits.STRANGER_AGAIN:
            return False
        since, count = self._minute
        if since is None or not since <= now < since + timedelta(minutes=1):
            since, count = now, 0
        burst = self._burst_until is not None and now < self._burst_until
        if count >= (limits.NEW_DEVICES_BURST if burst else limits.NEW_DEVICES_PER_MINUTE):
            return False
        self._minute = (since, count + 1)
        for times, at in ((self._asked, now), (self._once_more, now + limits.STRANGER_ONCE_MORE)):
            times.pop(key, None)
            times[key] = at
            while len(times) > limits.MAX_DEVICES:
                del times[next(iter(times))]
        return True

    @property
    def next_time(self) -> datetime | None:
        """When somebody is to be asked once more, unless it answers; ``None`` if nobody is."""
        return next(iter(self._once_more.values()), None)

    def silent(self, now: datetime) -> Iterator[tuple[str, str]]:
        """Yield family and address of those whose time to answer is over, each once. Never raises."""
        while (at := self.next_time) is not None and at <= now:
            key = next(iter(self._once_more))
            del self._once_more[key]
            yield key
