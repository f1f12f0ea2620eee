"""Orders to devices: has their dialects write the messages, serves the artifacts, and publishes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping

from homeassistant.util import dt as dt_util

from .core import effects as e, inputs as i
from .core.errors import HubError, OutsideFailed, Reason
from .core.hub import Hub
from .core.model import Artifact, Device, Install, Trust
from .delivery import MANIFEST_NAME, Delivery
from .dialects import ANNOUNCERS, BY_NAME as DIALECTS, PROBERS
from .dialects.base import InstallOrder, Outgoing
from .dialects.scheduler import Scheduler
from .transport.base import Transport

_LOGGER = logging.getLogger(__name__)


class Orders:
    """All that is said to devices, and the files that they are told to fetch."""

    def __init__(
        self,
        hub: Hub,
        transport: Transport,
        delivery: Delivery,
        raw_manifest: Callable[[str], bytes],
        report: Callable[[i.Input], None],
    ) -> None:
        self._hub = hub
        self._transport = transport
        self._delivery = delivery
        self._raw_manifest = raw_manifest
        self._report = report

    # --- messages ----------------------------------------------------------------------------------------------------

    async def async_query(self, effect: e.QueryDevice) -> None:
        """Ask a device for its version and state."""
        await self._async_tell(effect.device_id, lambda device: DIALECTS[device.dialect].query(device))

    async def async_ask_stranger(self, effect: e.AskStranger) -> None:
        """Ask somebody who is nobody's device yet who it is."""
        for message in PROBERS[effect.dialect].probe(effect.address):
            await self._transport.async_publish(message)

    async def async_judge(self, effect: e.SendCommit | e.SendRollback) -> None:
        """Tell a device on trial to keep its new image, or to go back."""

        def write(device: Device) -> Iterable[Outgoing]:
            dialect = DIALECTS[device.dialect]
            order = dialect.commit if isinstance(effect, e.SendCommit) else dialect.rollback
            return order(device, effect.attempt_id)

        await self._async_tell(effect.device_id, write)

    async def async_restore(self, effect: e.RestoreSettings) -> None:
        """Put settings back."""
        settings = effect.settings
        await self._async_tell(effect.device_id, lambda device: DIALECTS[device.dialect].restore(device, settings))

    async def async_clear(self, effect: e.ClearTopic) -> None:
        """Have the broker forget an order that it keeps."""
        await self._transport.async_clear(effect.topic)

    async def _async_tell(
        self, device_id: str, write: Callable[[Device], Iterable[Outgoing]], removed: Device | None = None
    ) -> None:
        device = self._hub.get(device_id) or removed
        if device is None:
            return
        try:
            messages = write(device)
        except HubError as refused:
            _LOGGER.debug("Nothing sent to %s: %s", device_id, refused)
            return
        for message in messages:
            await self._transport.async_publish(message)

    # --- the install command -----------------------------------------------------------------------------------------

    async def async_install(self, effect: e.SendInstall) -> None:
        """Serve, look once more, and publish the one install command of this attempt."""
        try:
            message = await self._async_install_message(effect)
            self._current(effect.install_id, effect.device_id)  # it may have been removed meanwhile
            if effect.not_after is not None and dt_util.utcnow() > effect.not_after:
                raise OutsideFailed(Reason.WAITS_FOR_WINDOW)
            if not self._transport.connected:
                raise OutsideFailed(Reason.BROKER_DISCONNECTED)
            await self._transport.async_publish(message)
        except HubError as refused:
            _LOGGER.warning("Install command %s was not sent: %s", effect.attempt_id, refused)
            self._report(i.CommandNotSent(effect.install_id, effect.attempt_id, refused.reason))
        else:
            self._report(i.CommandSent(effect.install_id, effect.attempt_id))
        await self._async_stop_if_over(effect.install_id)

    async def _async_install_message(self, effect: e.SendInstall) -> Outgoing:
        install, device = self._current(effect.install_id, effect.device_id)
        dialect = DIALECTS[device.dialect]
        vendor_chooses = install.offer.vendor_chooses
        urls = {} if vendor_chooses else await self._async_serve(install, device)
        order = InstallOrder(
            effect.attempt_id,
            device,
            install.offer.release,
            urls.get(next(iter(dialect.serve_as(install.offer.release))), ""),
            urls.get(MANIFEST_NAME, ""),
            effect.not_after,
            vendor_chooses,
        )
        if effect.when_awake and isinstance(dialect, Scheduler):
            (message,) = dialect.schedule(order)
        else:
            (message,) = dialect.install(order)
        return message

    async def async_take_back(self, effect: e.TakeBack) -> None:
        """Tell a bridge not to wait for a device any more."""

        def write(device: Device) -> Iterable[Outgoing]:
            dialect = DIALECTS[device.dialect]
            return dialect.unschedule(device, effect.attempt_id) if isinstance(dialect, Scheduler) else ()

        await self._async_tell(effect.device_id, write, effect.device)

    # --- files -------------------------------------------------------------------------------------------------------

    async def async_fetch(self, effect: e.FetchArtifacts) -> None:
        """Bring the artifacts of an install into the cache."""
        install = self._hub.installer.find(effect.install_id)
        device = self._hub.get(install.device_id) if install is not None else None
        if install is None or device is None:
            return
        try:
            await self._async_bring(install, device, effect.artifacts)
            announcer = ANNOUNCERS.get(device.dialect)
            if announcer is not None and self._hub.installer.find(install.id) is not None:
                await self._delivery.async_supply(install, device, announcer)
        except HubError as refused:
            self._report(i.ArtifactsFailed(effect.install_id, refused.reason, refused.detail))
        else:
            self._report(i.ArtifactsReady(effect.install_id))
        await self._async_stop_if_over(install.id)

    async def async_serve_again(self, effect: e.ServeAgain) -> None:
        """Serve what a device may still be fetching since before a restart."""
        install, device = self._current(effect.install_id, effect.device_id)
        await self._async_bring(install, device, install.offer.release.artifacts)
        if self._hub.installer.find(install.id) is not None:
            await self._async_serve(install, device)
        await self._async_stop_if_over(install.id)

    async def _async_stop_if_over(self, install_id: str) -> None:
        """Leave nothing of an install that ended while its files were on their way."""
        if self._hub.installer.find(install_id) is None:
            await self._delivery.async_stop(install_id)

    async def async_stop_serving(self, effect: e.StopServing) -> None:
        """End the addresses of an install."""
        await self._delivery.async_stop(effect.install_id)

    def _current(self, install_id: str, device_id: str) -> tuple[Install, Device]:
        install, device = self._hub.installer.find(install_id), self._hub.get(device_id)
        if install is None or device is None:
            raise OutsideFailed(Reason.UNKNOWN_INSTALL, install_id)
        return install, device

    async def _async_bring(self, install: Install, device: Device, artifacts: Iterable[Artifact]) -> None:
        state = self._hub.feeds.states.get(install.offer.feed_id)
        await self._delivery.async_bring(install, device, artifacts, state.feed if state is not None else None)

    async def _async_serve(self, install: Install, device: Device) -> Mapping[str, str]:
        manifest = self._raw_manifest(install.offer.feed_id) if install.offer.trust is Trust.SIGNED else b""
        names = DIALECTS[device.dialect].serve_as(install.offer.release)
        return await self._delivery.async_serve(install.id, names, manifest)
