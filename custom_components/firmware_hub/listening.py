"""Subscribes to what devices say on topics of their own; nothing is said to a device before it can be heard.

Subscriptions follow the devices: what none of them speaks on any more is given up, so that whoever announces a device
again and again, each time with other topics, makes the hub listen to no more than the devices that there are.

A broker takes its time to acknowledge, so nothing else waits for it: all that is asked for while one acknowledgement is
on its way is asked for together afterwards, and what is said to a device meanwhile is said in its order after that.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from homeassistant.core import callback

from .core.errors import OutsideFailed, Reason
from .core.hub import Hub
from .core.model import DeviceId
from .dialects import BY_NAME as DIALECTS
from .hearing import all_filters
from .transport.base import Transport

_LOGGER = logging.getLogger(__name__)

type Start = Callable[[Coroutine[Any, Any, None], str], asyncio.Future[Any]]


class _Needs:
    """Which filters are needed. Most devices of a fleet share one set of them, so sets are counted, not devices."""

    def __init__(self) -> None:
        self._of: dict[DeviceId, tuple[str, ...]] = {}
        self._devices: Counter[tuple[str, ...]] = Counter()
        self._sets: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._named: Counter[str] = Counter()

    def __contains__(self, name: str) -> bool:
        return name in self._named

    def set(self, device_id: DeviceId, names: tuple[str, ...]) -> list[str]:
        """Note what a device needs from now on, maybe nothing; return what nobody needs any more."""
        before = self._of.pop(device_id, ())
        if names:
            self._of[device_id] = shared = self._sets.setdefault(names, names)
            self._count(shared, 1)
        if before:
            self._count(before, -1)
        return [name for name in before if name not in self._named]

    def _count(self, names: tuple[str, ...], by: int) -> None:
        before = self._devices[names]
        self._devices[names] = before + by
        if before and before + by:
            return
        for name in names:
            self._named[name] += by
            if not self._named[name]:
                del self._named[name]
        if not self._devices[names]:
            del self._devices[names], self._sets[names]


class Listening:
    """The subscriptions of single devices, and what has to wait for them."""

    def __init__(self, hub: Hub, transport: Transport, start: Start) -> None:
        """Take the parts; ``start`` lets a piece of work run beside everything else."""
        self._hub = hub
        self._transport = transport
        self._start = start
        self._in_force: set[str] = set()
        self._wanted: set[str] = set()
        self._unwanted: set[str] = set()
        self._needs = _Needs()
        self._always = frozenset(all_filters())
        self._heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._going = False
        self._due = False
        self._last: dict[DeviceId, asyncio.Future[Any]] = {}

    @callback
    def listen(self, device_ids: Iterable[DeviceId]) -> None:
        """See to it that devices are heard, soon, and those that are gone not any more."""
        for device_id in device_ids:
            device = self._hub.get(device_id)
            names = DIALECTS[device.dialect].filters_for(device) if device is not None else ()
            gone = self._needs.set(device_id, names)
            self._wanted.difference_update(gone)
            self._unwanted.update(gone)
            self._unwanted.difference_update(names)
            fresh = set(names) - self._in_force
            self._due |= bool(gone or fresh)
            if fresh:
                self._wanted |= fresh
                before = self._last.get(device_id)
                self._follow(device_id, self._heard if before is None else asyncio.gather(before, self._heard))
        if self._due and not self._going:
            self._going = True
            self._start(self._async_catch_up(), "subscriptions")

    @callback
    def put_off(self, device_id: DeviceId, say: Callable[[], Coroutine[Any, Any, None]]) -> bool:
        """Say something to a device once it can be heard, after all that waits already; False if nothing waits."""
        before = self._last.get(device_id)
        if before is None:
            return False
        self._follow(device_id, self._start(_async_after(before, say), f"words for {device_id}"))
        return True

    def _follow(self, device_id: DeviceId, step: asyncio.Future[Any]) -> None:
        @callback
        def ended(_step: asyncio.Future[Any]) -> None:
            if self._last.get(device_id) is step:
                del self._last[device_id]

        self._last[device_id] = step
        step.add_done_callback(ended)

    async def _async_catch_up(self) -> None:
        try:
            while self._due:
                self._due = False
                names, self._wanted = sorted(self._wanted), set()
                heard, self._heard = self._heard, asyncio.get_running_loop().create_future()
                try:
                    await self._async_subscribe(names)
                finally:
                    heard.set_result(None)
                self._unwanted.update(name for name in names if name not in self._needs)
                await self._async_give_up()
        finally:
            self._going = False

    async def _async_give_up(self) -> None:
        """Listen no more where nobody speaks; where an order was left, only when it was heard that it is gone."""
        self._unwanted &= self._in_force - self._always
        names = sorted(name for name in self._unwanted if not self._hub.keeps_order(name))
        self._unwanted.difference_update(names)
        self._in_force.difference_update(names)
        if names:
            await self._transport.async_unsubscribe(names)

    async def _async_subscribe(self, names: list[str]) -> None:
        if not names:
            return
        try:
            await self._transport.async_subscribe(names)
        except OutsideFailed as failed:
            if failed.reason is not Reason.MALFORMED or len(names) == 1:
                _LOGGER.info("Not subscribed to %d topics (%s ...): %s", len(names), names[0], failed)
                return
            # One device that makes up a topic must not make the others mute.
            half = len(names) // 2
            await asyncio.gather(self._async_subscribe(names[:half]), self._async_subscribe(names[half:]))
        else:
            self._in_force.update(names)


async def _async_after(before: asyncio.Future[Any], say: Callable[[], Coroutine[Any, Any, None]]) -> None:
    await asyncio.wait([before])
    await say()
