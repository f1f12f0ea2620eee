"""What happens, for automations: an event entity, and the same on Home Assistant's bus (docs/events.md)."""

from typing import Any, override

from homeassistant.components.event import EventEntity
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import EVENT_LIFECYCLE
from .coordinator import FirmwareHubConfigEntry
from .core.effects import Announce, LifecycleKind
from .entity import HubEntity, update_entity_id
from .markdown import plain
from .words import device_name, outcome

PARALLEL_UPDATES = 0  # everything is pushed


async def async_setup_entry(
    hass: HomeAssistant, entry: FirmwareHubConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the hub's event entity and tell the bus."""

    @callback
    def tell_bus(announce: Announce) -> None:
        hass.bus.async_fire(EVENT_LIFECYCLE, event_data(hass, entry, announce))

    entry.async_on_unload(entry.runtime_data.listen_lifecycle(tell_bus))
    async_add_entities([LifecycleEventEntity(entry)])


@callback
def event_data(hass: HomeAssistant, entry: FirmwareHubConfigEntry, announce: Announce) -> dict[str, Any]:
    """Return the documented fields of one event; texts of devices and makers are made harmless."""
    values = {key: plain(value) if isinstance(value, str) else value for key, value in announce.values.items()}
    data: dict[str, Any] = {"type": announce.kind.value, "config_entry_id": entry.entry_id, **values}
    if announce.device_id is None:
        return data
    entity_id = update_entity_id(hass, entry.entry_id, announce.device_id)
    entity = er.async_get(hass).async_get(entity_id) if entity_id else None
    data |= {
        "hub_device_id": announce.device_id,
        "update_entity_id": entity_id,
        "device_id": entity.device_id if entity else None,
    }
    if (view := entry.runtime_data.device_view(announce.device_id)) is None:
        return data
    data["name"] = device_name(view.device)
    last = view.last if announce.kind is LifecycleKind.INSTALL_ENDED else None
    if last is not None and last.id == announce.values.get("install_id"):
        data |= outcome(hass, last, data["name"])
    return data


class LifecycleEventEntity(HubEntity, EventEntity):
    """The last thing that happened."""

    def __init__(self, entry: FirmwareHubConfigEntry) -> None:
        super().__init__(entry, "lifecycle")
        self._attr_event_types = [kind.value for kind in LifecycleKind]

    @override
    async def async_added_to_hass(self) -> None:
        """Listen to what the hub announces; nothing else changes this entity."""
        self.async_on_remove(self._coordinator.listen_lifecycle(self._on_announced))

    @callback
    def _on_announced(self, announce: Announce) -> None:
        data = event_data(self.hass, self._entry, announce)
        self._trigger_event(data.pop("type"), data)
        self.async_write_ha_state()
