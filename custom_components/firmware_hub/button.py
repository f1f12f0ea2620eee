"""The button that asks the vendors now."""

from typing import override

from homeassistant.components.button import ButtonEntity
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import FirmwareHubConfigEntry
from .core.errors import HubError
from .core.inputs import CheckRequested
from .entity import HubEntity, asked_by, async_require_admin
from .words import as_ha_error

PARALLEL_UPDATES = 0  # the hub fetches each feed once, however often it is asked


async def async_setup_entry(
    _hass: HomeAssistant, entry: FirmwareHubConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the button."""
    async_add_entities([CheckButton(entry)])


class CheckButton(HubEntity, ButtonEntity):
    """Asks all feeds for news."""

    _attr_entity_category = EntityCategory.CONFIG

    def __init__(self, entry: FirmwareHubConfigEntry) -> None:
        super().__init__(entry, "check")

    @override
    async def async_press(self) -> None:
        """Check for updates."""
        await async_require_admin(self.hass, self._context, self.entity_id)
        try:
            await self._coordinator.async_ask(CheckRequested(by=asked_by(self._context)))
        except HubError as error:
            raise as_ha_error(error) from error
