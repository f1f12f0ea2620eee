"""Waiting for facts instead of waiting for time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Self


class Watched:
    """Something whose changes can be awaited. Whoever changes it calls ``_changed``."""

    def __init__(self) -> None:
        """Begin with nobody waiting."""
        self.crash: BaseException | None = None
        self._waiting: set[asyncio.Future[None]] = set()
        self._listeners: list[Callable[[], None]] = []

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call this at every change."""
        self._listeners.append(listener)

    def _changed(self) -> None:
        """Let everybody who waits look again."""
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        for listener in self._listeners:
            listener()

    async def wait_for(self, fact: Callable[[Self], object], timeout: float = 30.0) -> None:  # noqa: ASYNC109
        """Return as soon as ``fact(self)`` is true.

        Raises:
            TimeoutError: it did not become true within ``timeout`` real seconds; the text says how things stand.
            RuntimeError: the simulation itself broke on the way.
        """
        try:
            async with asyncio.timeout(timeout):
                while not self._look(fact):
                    await self._next_change()
        except TimeoutError:
            raise TimeoutError(f"not within {timeout:g} s: {self!r}") from None

    def _look(self, fact: Callable[[Self], object]) -> bool:
        if self.crash is not None:
            raise RuntimeError(f"the simulation broke: {self!r}") from self.crash
        return bool(fact(self))

    async def _next_change(self) -> None:
        future = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            await future
        finally:
            self._waiting.discard(future)
