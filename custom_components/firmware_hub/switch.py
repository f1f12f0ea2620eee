"""The switch that keeps everything from starting."""

from typing import Any, override

from homeassistant.components.switch import SwitchEntity
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import CONF_PAUSED
from .coordinator import FirmwareHubConfigEntry
from .entity import HubEntity, async_require_admin

PARALLEL_UPDATES = 0  # it only writes an option


async def async_setup_entry(
    _hass: HomeAssistant, entry: FirmwareHubConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the switch."""
    async_add_entities([PausedSwitch(entry)])


class PausedSwitch(HubEntity, SwitchEntity):
    """Whether updates are paused; what runs is never cut off."""

    _attr_entity_category = EntityCategory.CONFIG

    def __init__(self, entry: FirmwareHubConfigEntry) -> None:
        super().__init__(entry, "paused")

    @property
    @override
    def is_on(self) -> bool:
        """Whether the hub starts nothing new."""
        return self._coordinator.hub_view().paused

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        """Pause."""
        await self._async_set(paused=True)

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        """Go on."""
        await self._async_set(paused=False)

    async def _async_set(self, *, paused: bool) -> None:
        await async_require_admin(self.hass, self._context, self.entity_id)
        options = {**self._entry.options, CONF_PAUSED: paused}
        self.hass.config_entries.async_update_entry(self._entry, options=options)
