"""The loop: messages, people and time in; effects to the executor; listeners told. It decides nothing."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from itertools import islice

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.event import async_track_point_in_utc_time
from homeassistant.util import dt as dt_util

from .core import effects as e, inputs as i, limits
from .core.errors import OutsideFailed, Reason, Refused
from .core.hub import Hub
from .core.model import DeviceId
from .core.records import Snapshot
from .core.view import DeviceView, HubView
from .dialects import DIALECTS
from .dialects.base import Message
from .executor import Executor, Outside
from .hearing import all_filters, hear
from .paced import Paced
from .store import Store

type FirmwareHubConfigEntry = ConfigEntry[FirmwareHubCoordinator]

_LOGGER = logging.getLogger(__name__)
_NEW_DEVICES_PER_TURN = 100
_GATHER = 0.05  # seconds; of many devices that come one by one, each would cost as much as a hundred together


class FirmwareHubCoordinator:
    """One hub: one config entry, one broker, one store."""

    def __init__(self, hass: HomeAssistant, entry: FirmwareHubConfigEntry, outside: Outside) -> None:
        self.entry = entry
        self.hub = Hub(
            {dialect.name: dialect.capabilities for dialect in DIALECTS}, new_id=lambda: secrets.token_hex(8)
        )
        self._hass = hass
        self._outside = outside
        self._executor = Executor(hass, entry, self.hub, outside, self.send, self._show)
        self._stopped = False
        self._set: dict[type[i.Input], i.Input] = {}
        self._asking: deque[asyncio.Future[None]] = deque()
        self._shown: dict[DeviceId, None] = {}
        self._known: dict[DeviceId, None] = {}
        self._fresh: dict[DeviceId, None] = {}
        self._refreshing = Paced(hass.loop, 0.0, self._refresh)
        self._found = Paced(hass.loop, _GATHER, self._tell_of_new)
        self._armed: tuple[datetime, CALLBACK_TYPE] | None = None
        self._device_listeners: dict[DeviceId, list[Callable[[], None]]] = {}
        self._hub_listeners: list[Callable[[], None]] = []
        self._devices_listeners: list[Callable[[list[DeviceId]], None]] = []
        self._lifecycle_listeners: list[Callable[[e.Announce], None]] = []
        self._forgotten_listeners: list[Callable[[DeviceId], None]] = []

    @property
    def store(self) -> Store:
        """The hub's memory."""
        return self._outside.store

    # --- start and stop ----------------------------------------------------------------------------------------------

    async def async_restore(self, snapshot: Snapshot, settings: i.SettingsChanged, feeds: i.FeedsChanged) -> None:
        """Take over what was stored and what the owner set; stored manifests are verified again."""
        self.entry.async_on_unload(self._disarm)
        self.entry.async_on_unload(self._found.stop)
        self.entry.async_on_unload(self._refreshing.stop)
        self.send(settings)
        self._carry(self.hub.restore(snapshot, dt_util.utcnow()))
        self._known = dict.fromkeys(self.hub.device_ids())
        self.send(feeds)
        for row in snapshot.feeds:
            await self._executor.feed_reader.async_read(row.feed_id, row.raw, row.etag, row=row)

    async def async_start(self) -> None:
        """Begin to act and to listen to the broker. Raises OutsideFailed."""
        await self._outside.transport.async_start(self._on_message, self._on_link)
        self.entry.async_on_unload(self._outside.transport.async_stop)
        self._executor.start()
        await self._outside.transport.async_subscribe(all_filters())

    async def async_stop(self) -> None:
        """Take nothing in any more, write down what was taken in, and answer whoever asked. Safe to call twice."""
        self._stopped = True
        while self._asking:
            turn = self._asking.popleft()
            if not turn.done():
                turn.set_result(None)  # who had not its turn yet finds the hub stopped
        await self._executor.async_stop()

    @callback
    def _on_link(self, connected: bool) -> None:
        self.send(i.LinkChanged(connected))

    @callback
    def _on_message(self, message: Message) -> None:
        hear(message, self.hub, self._take)

    # --- inputs and effects ------------------------------------------------------------------------------------------

    @callback
    def send(self, item: i.Input) -> None:
        """Tell the hub what happened."""
        if isinstance(item, i.SettingsChanged | i.FeedsChanged):
            # Home Assistant calls update listeners for changes of its own as well, in a large home by the thousand.
            if self._set.get(type(item)) == item:
                return
            self._set[type(item)] = item
        self._take(item)

    @callback
    def _take(self, item: i.Input) -> None:
        if self._stopped:
            return
        try:
            effects = self.hub.receive(item, dt_util.utcnow())
        except Refused as refused:
            _LOGGER.debug("%s refused: %s", type(item).__name__, refused)
            return
        self._carry(effects)

    async def async_ask(self, item: i.PersonInput) -> None:
        """Ask for a person; returns when it is durable. Raises Refused (a rule) or OutsideFailed (not saved)."""
        await self._turn()
        done: asyncio.Future[None] = self._hass.loop.create_future()
        self._carry(self.hub.receive(item, dt_util.utcnow()), done)
        await done

    async def _turn(self) -> None:
        """Wait to be asked: a thousand approvals in one go would hold up the loop (measured)."""
        if not self._stopped:
            turn: asyncio.Future[None] = self._hass.loop.create_future()
            self._asking.append(turn)
            if len(self._asking) == 1:
                self._hass.loop.call_soon(self._next_turns)
            await turn
        if self._stopped:
            raise OutsideFailed(Reason.HUB_STOPPED)

    @callback
    def _next_turns(self) -> None:
        """Let the next few ask."""
        for _ in range(min(len(self._asking), limits.APPROVALS_PER_TURN)):
            turn = self._asking.popleft()
            if not turn.done():
                turn.set_result(None)
        if self._asking:
            self._hass.loop.call_soon(self._next_turns)

    @callback
    def _carry(self, effects: list[e.Effect], done: asyncio.Future[None] | None = None) -> None:
        """Show at once, act in order, and arm the timer for what comes next."""
        act: list[e.Effect] = []
        for effect in effects:
            match effect:
                case e.RefreshDevices(device_ids):
                    for device_id in device_ids:
                        known = device_id in self._known
                        (self._shown if known else self._fresh)[device_id] = None
                        (self._refreshing if known else self._found).ask()
                case e.RefreshHub():
                    self._tell(self._hub_listeners)
                case _:
                    act.append(effect)
        if act or done is not None:
            self._executor.submit(act, done)
        self._arm()

    # --- time --------------------------------------------------------------------------------------------------------

    @callback
    def _arm(self) -> None:
        """Keep one timer, for the earlier of the wish and the next tick: point timers are late after clock jumps."""
        now = dt_util.utcnow()
        wish = self.hub.next_wakeup()
        armed = self._armed[0] if self._armed is not None else None
        if armed is not None and now < armed <= now + limits.TICK and (wish is None or wish >= armed):
            return
        self._disarm()
        at = min(now + limits.TICK, wish or now + limits.TICK)
        at = max(at, now + timedelta(milliseconds=50))
        self._armed = (at, async_track_point_in_utc_time(self._hass, self._on_timer, at))

    @callback
    def _on_timer(self, _now: datetime) -> None:
        self._armed = None
        self.send(i.WokenUp())

    @callback
    def _disarm(self) -> None:
        if self._armed is not None:
            self._armed[1]()
            self._armed = None

    # --- what people see ---------------------------------------------------------------------------------------------

    def device_view(self, device_id: DeviceId) -> DeviceView | None:
        """Describe a device."""
        return self.hub.device_view(device_id, dt_util.utcnow())

    def hub_view(self) -> HubView:
        """Describe the hub."""
        return self.hub.hub_view(dt_util.utcnow())

    async def async_device_address(self, device_id: DeviceId) -> str:
        """Return the address at which a device looks up what to install. Raises OutsideFailed."""
        return await self._executor.async_device_address(device_id)

    def listen_device(self, device_id: DeviceId, listener: Callable[[], None]) -> CALLBACK_TYPE:
        """Hear of every change of one device."""
        return _listen(self._device_listeners.setdefault(device_id, []), listener)

    def listen_hub(self, listener: Callable[[], None]) -> CALLBACK_TYPE:
        """Hear of every change of the hub."""
        return _listen(self._hub_listeners, listener)

    def listen_devices(self, listener: Callable[[list[DeviceId]], None]) -> CALLBACK_TYPE:
        """Hear of devices, those already known at once, never more than a slice at a time."""
        remove = _listen(self._devices_listeners, listener)
        for device_ids in _slices(self._known, _NEW_DEVICES_PER_TURN):
            listener(device_ids)
        return remove

    def listen_lifecycle(self, listener: Callable[[e.Announce], None]) -> CALLBACK_TYPE:
        """Hear of what automations are told."""
        return _listen(self._lifecycle_listeners, listener)

    def listen_forgotten(self, listener: Callable[[DeviceId], None]) -> CALLBACK_TYPE:
        """Hear of devices that are gone for good."""
        return _listen(self._forgotten_listeners, listener)

    @callback
    def _refresh(self) -> None:
        """Show a slice of what changed."""
        for device_id in list(islice(self._shown, limits.REFRESH_PER_TURN)):
            del self._shown[device_id]
            self._tell(self._device_listeners.get(device_id, ()))
        if self._shown:
            self._refreshing.ask()

    @callback
    def _tell_of_new(self) -> None:
        """Tell of a slice of the new devices."""
        batch = list(islice(self._fresh, _NEW_DEVICES_PER_TURN))
        for device_id in batch:
            del self._fresh[device_id]
        fresh = [device_id for device_id in batch if self.hub.get(device_id) is not None]
        self._known.update(dict.fromkeys(fresh))
        for listener in tuple(self._devices_listeners) if fresh else ():
            listener(fresh)
        if self._fresh:
            self._found.ask()

    @callback
    def _show(self, effect: e.Effect) -> None:
        match effect:
            case e.Announce():
                while effect.device_id in self._fresh:
                    self._found.do()  # an automation that hears of a device finds its entities
                for listener in tuple(self._lifecycle_listeners):
                    listener(effect)
            case e.ForgetDevice(device_id):
                self._known.pop(device_id, None)
                for forgotten in tuple(self._forgotten_listeners):
                    forgotten(device_id)
            case _:
                raise RuntimeError(f"nobody acts on {effect}")

    @staticmethod
    def _tell(listeners: Iterable[Callable[[], None]]) -> None:
        for listener in tuple(listeners):
            listener()


def _listen[T](listeners: list[T], listener: T) -> CALLBACK_TYPE:
    listeners.append(listener)

    @callback
    def remove() -> None:
        if listener in listeners:
            listeners.remove(listener)

    return remove


def _slices(device_ids: Iterable[DeviceId], size: int) -> Iterable[list[DeviceId]]:
    known = list(device_ids)
    return [known[start : start + size] for start in range(0, len(known), size)]
