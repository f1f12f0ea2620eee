"""The update entity of each device: what is offered, what happens to it, and the owner's yes."""

import logging
from contextlib import suppress
from datetime import timedelta
from time import monotonic
from typing import Any, override

from homeassistant.components.update import (
    UpdateDeviceClass,
    UpdateEntity,
    UpdateEntityFeature,
    UpdateEntityStateAttribute,
)
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import KEY_FIRMWARE
from .coordinator import FirmwareHubConfigEntry, FirmwareHubCoordinator
from .core.errors import HubError, OutsideFailed
from .core.inputs import ApproveRequested, CheckRequested, UnapproveRequested
from .core.model import DeviceId
from .dialects import ANNOUNCERS
from .entity import DeviceEntity, add_for_each_device, asked_by
from .markdown import https_address, plain
from .other_updaters import OtherUpdaters
from .own_devices import OwnDevices
from .release_notes import release_notes
from .relink import Relinker
from .words import as_ha_error, title

_LOGGER = logging.getLogger(__name__)

PARALLEL_UPDATES = 0  # an approval is only written down; when and how many run is the hub's decision

CHECK_SPACING = timedelta(seconds=60)
_SUMMARY_LIMIT = 255


async def async_setup_entry(
    hass: HomeAssistant, entry: FirmwareHubConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add an update entity for each device, now and later."""
    Relinker(hass, entry).start()
    OtherUpdaters(hass, entry).start()
    check, own = CheckOnce(entry.runtime_data), OwnDevices(hass, entry)
    add_for_each_device(
        entry, async_add_entities, lambda ids: [FirmwareUpdateEntity(entry, device_id, check, own) for device_id in ids]
    )


class CheckOnce:
    """Makes one check of the requests that Home Assistant sends to every entity at once."""

    def __init__(self, coordinator: FirmwareHubCoordinator) -> None:
        self._coordinator = coordinator
        self._last: float | None = None

    @callback
    def ask(self) -> None:
        """Ask for a check, unless one was asked for just before."""
        now = monotonic()
        if self._last is None or now - self._last >= CHECK_SPACING.total_seconds():
            self._last = now
            self._coordinator.send(CheckRequested(by="homeassistant.update_entity"))


class FirmwareUpdateEntity(DeviceEntity, UpdateEntity):
    """Shows a device's offer; Install means approve and queue, never flash now."""

    _attr_device_class = UpdateDeviceClass.FIRMWARE
    _attr_display_precision = 0
    _attr_supported_features = (
        UpdateEntityFeature.INSTALL
        | UpdateEntityFeature.SPECIFIC_VERSION
        | UpdateEntityFeature.PROGRESS
        | UpdateEntityFeature.RELEASE_NOTES
    )
    _unrecorded_attributes = frozenset({UpdateEntityStateAttribute.TITLE, "starts_at", "manifest_address"})

    def __init__(self, entry: FirmwareHubConfigEntry, device_id: DeviceId, check: CheckOnce, own: OwnDevices) -> None:
        super().__init__(entry, device_id, KEY_FIRMWARE)
        self._check = check
        self._own = own
        self._skipped: str | None = None
        self._was_written = False
        self._looks_at: dict[str, str] = {}

    # --- what a person sees ------------------------------------------------------------------------------------------

    @property
    @override
    def installed_version(self) -> str | None:
        """The version that the device itself named."""
        return self._view.installed_version if self._view else None

    @property
    @override
    def latest_version(self) -> str | None:
        """The version approved already, else the one offered: a yes without a version is a yes to this one."""
        return self._view.latest_version if self._view else None

    @property
    @override
    def in_progress(self) -> bool:
        """Whether something really runs; derived, because Home Assistant resets the attribute after each call."""
        return self._view is not None and self._view.in_progress

    @property
    @override
    def update_percentage(self) -> int | None:
        """How far it is, if the firmware family says so."""
        return self._view.percent if self._view else None

    @property
    @override
    def title(self) -> str | None:
        """The device, and in live words what happens: the one text of an open dialog that is kept up to date."""
        return title(self.hass, self._view) if self._view else None

    @property
    @override
    def release_summary(self) -> str | None:
        """The maker's one line."""
        if self._view is None or (shown := self._view.shown) is None or not shown.release.summary:
            return None
        return plain(shown.release.summary, _SUMMARY_LIMIT)

    @property
    @override
    def release_url(self) -> str | None:
        """Where the maker says more."""
        return https_address(shown.release.notes_url) if self._view and (shown := self._view.shown) else None

    @property
    @override
    def extra_state_attributes(self) -> dict[str, Any] | None:
        """State and reason as attributes: their own sensor may be switched off."""
        if (view := self._view) is None:
            return None
        return {
            "hub_device_id": self._device_id,
            "install_state": view.state.value if view.state else None,
            "reason": view.reason.value if view.reason else None,
            "last_verdict": view.last.state.value if view.last else None,
            "starts_at": view.starts_at.isoformat() if view.starts_at else None,
            **self._looks_at,
        }

    @override
    async def async_added_to_hass(self) -> None:
        """Show as well which address belongs into a device that looks up by itself what to install."""
        await super().async_added_to_hass()
        if self._view is not None and self._view.device.dialect in ANNOUNCERS:
            self._look_up()
            self.async_on_remove(self._entry.add_update_listener(self._async_set_anew))

    async def _async_set_anew(self, _hass: HomeAssistant, _entry: FirmwareHubConfigEntry) -> None:
        self._look_up()

    @callback
    def _look_up(self) -> None:
        """Begin to find the address out, when the hub has taken the settings over; no other entity waits for that."""
        self._entry.async_create_background_task(
            self.hass, self._async_look_up(), f"firmware_hub address for {self._device_id}", eager_start=False
        )

    async def _async_look_up(self) -> None:
        with suppress(OutsideFailed):
            address = await self._coordinator.async_device_address(self._device_id)
            if self._looks_at.get("manifest_address") != address:
                self._looks_at = {"manifest_address": address}
                self.async_write_ha_state()

    @override
    def version_is_newer(self, latest_version: str, installed_version: str) -> bool:
        """Leave the judgement to the hub: there is an update exactly when there is an offer or an install of one."""
        return self._view is not None and (self._view.offer is not None or self._view.install is not None)

    # --- what a person asks ------------------------------------------------------------------------------------------

    @override
    async def async_install(self, version: str | None, backup: bool, **kwargs: Any) -> None:
        """Approve the version that the person read."""
        try:
            await self._coordinator.async_ask(
                ApproveRequested(self._device_id, by=asked_by(self._context), version=version)
            )
        except HubError as error:
            raise as_ha_error(error) from error
        if self._skipped is not None:
            await self.async_clear_skipped()

    @override
    async def async_release_notes(self) -> str | None:
        """Return the notes of all skipped versions, the proof, the risk and the cost."""
        return release_notes(self.hass, self._view) if self._view else None

    async def async_update(self) -> None:
        """Answer `Check for updates`, which calls this for every entity."""
        self._check.ask()

    @override
    @callback
    def _on_changed(self) -> None:
        """Have a device of our own described anew as well."""
        before = self._view
        super()._on_changed()
        if before is not None and self._view is not None and before.device is not self._view.device:
            self._own.changed(before.device, self._view.device)

    @override
    @callback
    def _async_write_ha_state(self) -> None:
        """Notice a Skip, for which Home Assistant has no other hook: it takes the approval back."""
        super()._async_write_ha_state()
        before, self._skipped = self._skipped, self._skipped_version()
        restored, self._was_written = not self._was_written, True
        if self._skipped is not None and self._skipped != before and not restored:
            self._entry.async_create_task(
                self.hass, self._async_unapprove(asked_by(self._context)), f"skip {self.entity_id}"
            )

    def _skipped_version(self) -> str | None:
        state = self.hass.states.get(self.entity_id)
        return state.attributes.get(UpdateEntityStateAttribute.SKIPPED_VERSION) if state else None

    async def _async_unapprove(self, by: str) -> None:
        try:
            await self._coordinator.async_ask(UnapproveRequested(self._device_id, by, skip=True))
        except HubError as error:
            _LOGGER.info("The skip of %s came too late: %s", self.entity_id, error)
