"""Carries out effects: publish, fetch, serve, save, show. It decides nothing; results go back as inputs."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.storage import STORAGE_DIR

from . import issues
from .artifact_server import ArtifactServer
from .config_values import serving_address
from .const import DOMAIN
from .core import effects as e, inputs as i
from .core.errors import HubError, OutsideFailed, Reason
from .core.hub import Hub
from .core.model import DeviceId
from .delivery import Delivery
from .download import Downloader
from .feed_reader import FeedReader
from .listening import Listening
from .orders import Orders
from .store import Store
from .transport.base import Transport
from .tuf_client import TufClient

_LOGGER = logging.getLogger(__name__)
_BATCHES_PER_TURN: Final = 50
_GATHER: Final = 0.05  # seconds; each commit of its own is a write to the disk, and wears out flash memory
_SAID_TO_DEVICES: Final = (
    e.QueryDevice,
    e.SendInstall,
    e.TakeBack,
    e.SendCommit,
    e.SendRollback,
    e.RestoreSettings,
)


@dataclass(slots=True)
class Outside:
    """All that the hub acts through."""

    store: Store
    transport: Transport
    downloader: Downloader
    server: ArtifactServer


@dataclass(slots=True)
class _Batch:
    effects: list[e.Effect]
    done: asyncio.Future[None] | None = None
    saving: asyncio.Future[None] | None = None
    failed: HubError | None = None

    @property
    def can_wait(self) -> bool:
        """Whether it only keeps what devices said: they say it again, and nobody waits for it."""
        if self.done is not None or len(self.effects) != 1 or not isinstance(save := self.effects[0], e.Save):
            return False
        return not (save.installs or save.audit or save.forget or save.ledger or save.feeds or save.meta)

    def answer(self) -> None:
        """Tell whoever asked for it."""
        if self.done is None or self.done.done():
            return
        if self.failed is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(self.failed)


class Executor:
    """One queue of batches; a batch is acted on only when its save is on the disk."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry[Any],
        hub: Hub,
        outside: Outside,
        report: Callable[[i.Input], None],
        show: Callable[[e.Effect], None],
    ) -> None:
        self._hass = hass
        self._entry = entry
        self._outside = outside
        self._report = report
        self._show = show
        self._queue: deque[_Batch] = deque()
        self._taken: deque[_Batch] = deque()
        self._called = asyncio.Event()
        self._soon: asyncio.TimerHandle | None = None
        self._running: asyncio.Task[None] | None = None
        self._stopped = False
        self._store_failed = False
        self._listening = Listening(hub, outside.transport, self._spawn)
        folder = Path(hass.config.path(STORAGE_DIR, f"{DOMAIN}.{entry.entry_id}.tuf"))
        repositories = TufClient(outside.downloader, folder, hass.async_add_executor_job)
        self.feed_reader = FeedReader(hass, hub.feeds, outside.downloader, repositories, report)

        def place() -> tuple[str, str]:
            return serving_address(entry)[0], entry.entry_id

        self._delivery = delivery = Delivery(outside.downloader, outside.server, hass.async_add_executor_job, place)
        self._orders = orders = Orders(hub, outside.transport, delivery, self.feed_reader.raw, report)
        self._handlers: dict[type[e.Effect], Callable[[Any], Coroutine[Any, Any, None]]] = {
            e.QueryDevice: orders.async_query,
            e.AskStranger: orders.async_ask_stranger,
            e.FetchManifest: self._async_start_manifest,
            e.FetchArtifacts: self._async_start_artifacts,
            e.SendInstall: orders.async_install,
            e.TakeBack: orders.async_take_back,
            e.ServeAgain: self._async_start_serving,
            e.SendCommit: orders.async_judge,
            e.SendRollback: orders.async_judge,
            e.RestoreSettings: orders.async_restore,
            e.StopServing: orders.async_stop_serving,
            e.ClearTopic: orders.async_clear,
            e.CheckAddress: self._async_check_address,
            e.RaiseIssue: self._async_issue,
            e.ClearIssue: self._async_issue,
        }

    @callback
    def submit(self, effects: list[e.Effect], done: asyncio.Future[None] | None = None) -> None:
        """Queue a batch; `done` is told when it is saved and acted on, or why it could not be saved."""
        batch = _Batch(effects, done)
        if self._stopped:
            batch.failed = OutsideFailed(Reason.HUB_STOPPED)
            batch.answer()
            return
        self._queue.append(batch)
        if not batch.can_wait:
            self._called.set()
        elif self._soon is None:
            self._soon = self._hass.loop.call_later(_GATHER, self._called.set)

    @callback
    def start(self) -> None:
        """Begin to act on batches."""
        self._running = self._entry.async_create_background_task(self._hass, self._async_run(), "firmware_hub executor")

    async def async_device_address(self, device_id: DeviceId) -> str:
        """Return the address at which a device looks up what to install. Raises OutsideFailed."""
        return await self._delivery.async_device_address(device_id)

    async def async_stop(self) -> None:
        """Act on nothing more, write down what was ordered, and answer whoever waits. Safe to call twice.

        What is written down and not acted on is found again at the next start, as after a crash. The saves are with
        the store before the first wait: it may be told to close at the same time.
        """
        self._stopped = True
        if self._running is not None:
            self._running.cancel()
        self._take_all()
        await self._async_save(self._taken)
        while self._taken:
            self._taken.popleft().answer()

    async def _async_run(self) -> None:
        while not self._stopped:
            await self._called.wait()
            self._take_all()
            await self._async_save(self._taken)
            acted = 0
            while self._taken:
                await self._async_survive(self._async_act(self._taken[0]), "batch")
                self._taken.popleft().answer()
                acted += 1
                if acted % _BATCHES_PER_TURN == 0:
                    await asyncio.sleep(0)

    def _take_all(self) -> None:
        self._called.clear()
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        self._taken.extend(self._queue)
        self._queue.clear()

    async def _async_save(self, batches: Collection[_Batch]) -> None:
        """Write ahead: nothing of a batch is acted on before its save is durable."""
        for batch in batches:
            save = batch.effects[0] if batch.effects else None
            if batch.saving is None and isinstance(save, e.Save):
                batch.saving = self._outside.store.save(save)
        # Whoever is told to stop waiting leaves the saves alone.
        if saving := [batch.saving for batch in batches if batch.saving is not None]:
            await asyncio.wait(saving)
        for batch in batches:
            if batch.saving is not None:
                batch.failed = await self._async_survive(batch.saving, "Save")
        if self._store_failed and any(batch.saving is not None and batch.failed is None for batch in batches):
            self._store_failed = False
            self._report(i.SaveWorked())

    async def _async_act(self, batch: _Batch) -> None:
        if batch.failed is not None:
            self._store_failed = True
            begun = (e.SendInstall, e.FetchArtifacts)
            dropped = tuple(effect.install_id for effect in batch.effects if isinstance(effect, begun))
            saves = [effect for effect in batch.effects if isinstance(effect, e.Save)]
            self._report(i.SaveFailed(saves[0], batch.failed.reason, batch.failed.detail, dropped))
            return
        heard = (e.ListenTo, e.ForgetDevice)
        self._listening.listen(effect.device_id for effect in batch.effects if isinstance(effect, heard))
        for effect in batch.effects:
            if not isinstance(effect, e.Save | e.ListenTo):
                await self._async_do(effect)

    async def _async_do(self, effect: e.Effect) -> None:
        if isinstance(effect, _SAID_TO_DEVICES) and self._listening.put_off(
            effect.device_id, lambda: self._async_dispatch(effect)
        ):
            return
        await self._async_survive(self._async_dispatch(effect), type(effect).__name__)

    async def _async_survive(self, work: Awaitable[None], what: str) -> HubError | None:
        """Do one thing; whatever it meets, the next one is done as well."""
        try:
            await work
        except HubError as failed:
            _LOGGER.info("%s not possible now: %s", what, failed)
            return failed
        except Exception as mistake:
            # The one place that survives our own mistakes: one broken effect must not end all others (invariant 10).
            _LOGGER.exception("%s failed", what)
            return OutsideFailed(Reason.DISK_FAILED, str(mistake))
        return None

    async def _async_dispatch(self, effect: e.Effect) -> None:
        handler = self._handlers.get(type(effect))
        if handler is None:
            self._show(effect)
        else:
            await handler(effect)

    async def _async_check_address(self, _effect: e.CheckAddress) -> None:
        reachable, address = await self._delivery.async_check_address()
        self._report(i.AddressChecked(reachable, address))

    async def _async_issue(self, effect: e.RaiseIssue | e.ClearIssue) -> None:
        if isinstance(effect, e.RaiseIssue):
            issues.raise_issue(self._hass, self._entry, effect)
        else:
            issues.clear_issue(self._hass, self._entry, effect)

    async def _async_start_manifest(self, effect: e.FetchManifest) -> None:
        self._spawn(self.feed_reader.async_fetch(effect.feed_id), f"fetch {effect.feed_id}")

    async def _async_start_artifacts(self, effect: e.FetchArtifacts) -> None:
        self._spawn(self._orders.async_fetch(effect), f"artifacts for {effect.install_id}")

    async def _async_start_serving(self, effect: e.ServeAgain) -> None:
        self._spawn(self._orders.async_serve_again(effect), f"serving for {effect.install_id}")

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Future[Any]:
        """Let work go on beside the queue: nothing may be kept from the disk by a vendor's server or by a broker."""
        doing = self._async_survive(work, name)
        return self._entry.async_create_background_task(self._hass, doing, f"firmware_hub {name}")
