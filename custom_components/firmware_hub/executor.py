"""Carries out effects: publish, fetch, serve, save, show. It decides nothing; results go back as inputs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.util import dt as dt_util

from . import issues
from .artifact_server import ArtifactServer
from .core import effects as e, inputs as i
from .core.errors import HubError, OutsideFailed, Reason
from .core.hub import Hub
from .core.manifest import read_manifest
from .core.model import Device, Install, Trust
from .delivery import MANIFEST_NAME, Delivery
from .dialects import BY_NAME as DIALECTS
from .dialects.base import InstallOrder, Outgoing
from .download import Downloader
from .sources import BY_NAME as SOURCES
from .store import Store
from .transport.base import Transport

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
        self._hub = hub
        self._outside = outside
        self._report = report
        self._show = show
        self._queue: asyncio.Queue[_Batch] = asyncio.Queue()
        self._delivery = Delivery(outside.downloader, outside.server)
        self._raw: dict[str, bytes] = {}
        self._store_failed = False
        self._listening: set[str] = set()
        self._handlers: dict[type[e.Effect], Callable[[Any], Coroutine[Any, Any, None]]] = {
            e.QueryDevice: lambda effect: self._async_tell(
                effect.device_id, lambda one: DIALECTS[one.dialect].query(one)
            ),
            e.ListenTo: self._async_listen,
            e.FetchManifest: self._async_start_manifest,
            e.FetchArtifacts: self._async_start_artifacts,
            e.SendInstall: self._async_send_install,
            e.ServeAgain: self._async_serve_again,
            e.SendCommit: self._async_order,
            e.SendRollback: self._async_order,
            e.RestoreSettings: self._async_restore,
            e.StopServing: lambda effect: self._delivery.async_stop(effect.install_id),
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

    async def _async_order(self, effect: e.SendCommit | e.SendRollback) -> None:
        def write(device: Device) -> Iterable[Outgoing]:
            dialect = DIALECTS[device.dialect]
            order = dialect.commit if isinstance(effect, e.SendCommit) else dialect.rollback
            return order(device, effect.attempt_id)

        await self._async_tell(effect.device_id, write)

    async def _async_restore(self, effect: e.RestoreSettings) -> None:
        settings = effect.settings
        await self._async_tell(effect.device_id, lambda device: DIALECTS[device.dialect].restore(device, settings))

    async def _async_check_address(self, _effect: e.CheckAddress) -> None:
        reachable, address = await self._outside.server.async_check_address()
        self._report(i.AddressChecked(reachable, address))

    async def _async_issue(self, effect: e.RaiseIssue | e.ClearIssue) -> None:
        if isinstance(effect, e.RaiseIssue):
            issues.raise_issue(self._hass, self._entry, effect)
        else:
            issues.clear_issue(self._hass, self._entry, effect)

    async def _async_start_manifest(self, effect: e.FetchManifest) -> None:
        self._spawn(self._async_fetch_manifest(effect.feed_id), f"fetch {effect.feed_id}")

    async def _async_start_artifacts(self, effect: e.FetchArtifacts) -> None:
        self._spawn(self._async_fetch_artifacts(effect), f"artifacts for {effect.install_id}")

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._entry.async_create_background_task(self._hass, work, f"firmware_hub {name}")

    # --- messages ----------------------------------------------------------------------------------------------------

    async def _async_tell(self, device_id: str, write: Callable[[Device], Iterable[Outgoing]]) -> None:
        device = self._hub.get(device_id)
        if device is None:
            return
        try:
            messages = write(device)
        except HubError as refused:
            _LOGGER.debug("Nothing sent to %s: %s", device_id, refused)
            return
        for message in messages:
            await self._outside.transport.async_publish(message)

    async def _async_listen(self, effect: e.ListenTo) -> None:
        device = self._hub.get(effect.device_id)
        if device is None:
            return
        fresh = set(DIALECTS[device.dialect].filters_for(device)) - self._listening
        if fresh:
            await self._outside.transport.async_subscribe(sorted(fresh))
            self._listening |= fresh

    async def _async_send_install(self, effect: e.SendInstall) -> None:
        """Serve, look once more, and publish the one install command of this attempt."""
        try:
            message = await self._async_install_message(effect)
            if effect.not_after is not None and dt_util.utcnow() > effect.not_after:
                raise OutsideFailed(Reason.WAITS_FOR_WINDOW)
            if not self._outside.transport.connected:
                raise OutsideFailed(Reason.BROKER_DISCONNECTED)
            await self._outside.transport.async_publish(message)
        except HubError as refused:
            _LOGGER.warning("Install command %s was not sent: %s", effect.attempt_id, refused)
            self._report(i.CommandNotSent(effect.install_id, effect.attempt_id, refused.reason))
        else:
            self._report(i.CommandSent(effect.install_id, effect.attempt_id))

    async def _async_install_message(self, effect: e.SendInstall) -> Outgoing:
        install, device = self._current(effect.install_id, effect.device_id)
        dialect = DIALECTS[device.dialect]
        urls = await self._async_serve(install, device)
        names = dialect.serve_as(install.offer.release)
        order = InstallOrder(
            effect.attempt_id,
            device,
            install.offer.release,
            urls[next(iter(names))],
            urls.get(MANIFEST_NAME, ""),
            effect.not_after,
        )
        (message,) = dialect.install(order)
        return message

    def _current(self, install_id: str, device_id: str) -> tuple[Install, Device]:
        install, device = self._hub.installer.find(install_id), self._hub.get(device_id)
        if install is None or device is None:
            raise OutsideFailed(Reason.UNKNOWN_INSTALL, install_id)
        return install, device

    async def _async_serve_again(self, effect: e.ServeAgain) -> None:
        install, device = self._current(effect.install_id, effect.device_id)
        await self._delivery.async_bring(install.id, install.offer.release.artifacts, self._feed_url(install))
        await self._async_serve(install, device)

    async def _async_serve(self, install: Install, device: Device) -> Mapping[str, str]:
        manifest = self._raw.get(install.offer.feed_id, b"") if install.offer.trust is Trust.SIGNED else b""
        names = DIALECTS[device.dialect].serve_as(install.offer.release)
        return await self._delivery.async_serve(install.id, names, manifest)

    def _feed_url(self, install: Install) -> str:
        state = self._hub.feeds.states.get(install.offer.feed_id)
        return state.feed.url if state is not None else ""

    async def _async_fetch_artifacts(self, effect: e.FetchArtifacts) -> None:
        install = self._hub.installer.find(effect.install_id)
        if install is None:
            return
        try:
            await self._delivery.async_bring(install.id, effect.artifacts, self._feed_url(install))
        except HubError as refused:
            self._report(i.ArtifactsFailed(effect.install_id, refused.reason, refused.detail))
        else:
            self._report(i.ArtifactsReady(effect.install_id))

    # --- manifests ---------------------------------------------------------------------------------------------------

    async def _async_fetch_manifest(self, feed_id: str) -> None:
        state = self._hub.feeds.states.get(feed_id)
        if state is None:
            return
        source = SOURCES[state.feed.source]
        etag = state.etag if state.manifest is not None else ""
        try:
            fetched = await self._outside.downloader.async_fetch(source.request(state.feed), etag=etag)
        except OutsideFailed as failed:
            retry_after = getattr(failed, "retry_after_s", None)
            self._report(i.FetchFailed(feed_id, failed.reason, failed.detail, retry_after))
            return
        if fetched.status == "unchanged":
            self._report(i.ManifestUnchanged(feed_id))
            return
        await self.async_read_manifest(feed_id, fetched.body, fetched.etag)

    async def async_read_manifest(self, feed_id: str, raw: bytes, etag: str, *, row: e.FeedRow | None = None) -> None:
        """Verify and read a feed's bytes in a worker thread: large manifests must not hold up the event loop."""
        state = self._hub.feeds.states.get(feed_id)
        if state is None:
            return
        source = SOURCES[state.feed.source]
        try:
            manifest = await self._hass.async_add_executor_job(read_manifest, raw, state.feed, source)
        except HubError as refused:
            self._report(i.ManifestRefused(feed_id, refused.reason, refused.path, refused.detail))
            return
        self._raw[feed_id] = raw
        fetched_at = row.fetched_at if row else dt_util.utcnow()
        self._report(i.ManifestRead(feed_id, manifest, raw, etag, fetched_at, from_store=row is not None))
