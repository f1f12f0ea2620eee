"""Carries out effects: publish, fetch, serve, save, show. It decides nothing; results go back as inputs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.storage import STORAGE_DIR

from . import issues
from .artifact_server import ArtifactServer
from .config_values import serving_address
from .const import DOMAIN
from .core import effects as e, inputs as i
from .core.errors import OutsideFailed
from .core.hub import Hub
from .delivery import Delivery
from .download import Downloader
from .feed_reader import FeedReader
from .orders import Orders
from .store import Store
from .transport.base import Transport
from .tuf_client import TufClient

_LOGGER = logging.getLogger(__name__)
_BATCHES_PER_TURN = 50


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
    failed: OutsideFailed | None = None


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
        self._queue: asyncio.Queue[_Batch] = asyncio.Queue()
        self._store_failed = False
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
            e.ListenTo: orders.async_listen,
            e.FetchManifest: self._async_start_manifest,
            e.FetchArtifacts: self._async_start_artifacts,
            e.SendInstall: orders.async_install,
            e.ServeAgain: orders.async_serve_again,
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
        self._queue.put_nowait(_Batch(effects, done))

    async def async_run(self) -> None:
        """Act on batches until cancelled."""
        while True:
            batches = [await self._queue.get()]
            while not self._queue.empty():
                batches.append(self._queue.get_nowait())
            await asyncio.gather(*(self._async_save(batch) for batch in batches))
            for number, batch in enumerate(batches, 1):
                await self._async_act(batch)
                if number % _BATCHES_PER_TURN == 0:
                    await asyncio.sleep(0)

    async def _async_save(self, batch: _Batch) -> None:
        """Write ahead: nothing of a batch is acted on before its save is durable."""
        save = batch.effects[0] if batch.effects else None
        if not isinstance(save, e.Save):
            return
        try:
            await self._outside.store.async_save(save)
        except OutsideFailed as failed:
            batch.failed = failed
            return
        if self._store_failed:
            self._store_failed = False
            self._report(i.SaveWorked())

    async def _async_act(self, batch: _Batch) -> None:
        if batch.failed is not None:
            self._store_failed = True
            begun = (e.SendInstall, e.FetchArtifacts)
            dropped = tuple(effect.install_id for effect in batch.effects if isinstance(effect, begun))
            saves = [effect for effect in batch.effects if isinstance(effect, e.Save)]
            self._report(i.SaveFailed(saves[0], batch.failed.reason, batch.failed.detail, dropped))
        else:
            for effect in batch.effects:
                if not isinstance(effect, e.Save):
                    await self._async_do(effect)
        if batch.done is not None and not batch.done.done():
            if batch.failed is None:
                batch.done.set_result(None)
            else:
                batch.done.set_exception(batch.failed)

    async def _async_do(self, effect: e.Effect) -> None:
        """Act on one effect; whatever it meets, the next one is acted on as well."""
        try:
            await self._async_dispatch(effect)
        except OutsideFailed as failed:
            _LOGGER.info("%s not possible now: %s", type(effect).__name__, failed)
        except Exception:
            # The one place that survives our own mistakes: one broken effect must not end all others (invariant 10).
            _LOGGER.exception("%s failed", type(effect).__name__)

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

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._entry.async_create_background_task(self._hass, work, f"firmware_hub {name}")
