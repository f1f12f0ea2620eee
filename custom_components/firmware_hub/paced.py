"""Work that is done at once and then not again before a pause: whatever asks for it meanwhile is answered together."""

import asyncio
from collections.abc import Callable

from homeassistant.core import callback


class Paced:
    """One piece of work and its pause, in seconds."""

    def __init__(self, loop: asyncio.AbstractEventLoop, pause: float, work: Callable[[], None]) -> None:
        self._loop = loop
        self._pause = pause
        self._work = work
        self._due: asyncio.TimerHandle | None = None
        self._earliest = 0.0

    @callback
    def ask(self) -> None:
        """See to it that the work is done, never before this call has returned."""
        if self._due is None:
            self._due = self._loop.call_at(self._earliest, self.do)

    @callback
    def do(self) -> None:
        """Do it now."""
        self.stop()
        self._earliest = self._loop.time() + self._pause
        self._work()

    @callback
    def stop(self) -> None:
        """Forget that somebody asked."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
