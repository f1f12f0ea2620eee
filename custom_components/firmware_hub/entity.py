"""What all entities share: their ids, their device, and how they hear of changes."""

from collections.abc import Callable, Iterable
from typing import Final, override

from homeassistant.auth.permissions.const import POLICY_CONTROL
from homeassistant.const import Platform
from homeassistant.core import Context, HomeAssistant, callback
from homeassistant.exceptions import Unauthorized
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import DOMAIN, KEY_FIRMWARE, KEY_INSTALL_STATE
from .coordinator import FirmwareHubConfigEntry, FirmwareHubCoordinator
from .core.model import DeviceId
from .core.view import DeviceView
from .device_link import foreign_device, own_device_info
from .paced import Paced

_SPACING: Final = 0.1  # seconds between two writes of one entity of the hub

DEVICE_ENTITIES: Final = ((Platform.UPDATE, KEY_FIRMWARE), (Platform.SENSOR, KEY_INSTALL_STATE))
"""Platform and key of every entity that a device has."""


def unique_id(entry_id: str, device_id: DeviceId, key: str) -> str:
    """Return the unique id of a device's entity."""
    return f"{entry_id}_{device_id}_{key}"


def device_id_of(entity: er.RegistryEntry) -> DeviceId | None:
    """Return which of the hub's devices an update entity of ours is for; None if it is not one of ours."""
    prefix, suffix = f"{entity.config_entry_id}_", f"_{KEY_FIRMWARE}"
    ours = entity.platform == DOMAIN and entity.domain == Platform.UPDATE
    if not ours or not entity.unique_id.startswith(prefix) or not entity.unique_id.endswith(suffix):
        return None
    return entity.unique_id.removeprefix(prefix).removesuffix(suffix)


def update_entity_id(hass: HomeAssistant, entry_id: str, device_id: DeviceId) -> str | None:
    """Return the update entity of one of the hub's devices."""
    return er.async_get(hass).async_get_entity_id(Platform.UPDATE, DOMAIN, unique_id(entry_id, device_id, KEY_FIRMWARE))


@callback
def add_for_each_device(
    entry: FirmwareHubConfigEntry,
    add: AddConfigEntryEntitiesCallback,
    make: Callable[[list[DeviceId]], Iterable[Entity]],
) -> None:
    """Add entities for the devices known now and for those found later, in the slices that the coordinator gives."""

    @callback
    def found(device_ids: list[DeviceId]) -> None:
        add(make(device_ids))

    entry.async_on_unload(entry.runtime_data.listen_devices(found))


async def async_require_admin(hass: HomeAssistant, context: Context | None, entity_id: str) -> None:
    """Refuse a person who is no administrator; Home Assistant does not do it for buttons and switches (measured)."""
    if context is None or context.user_id is None:
        return
    user = await hass.auth.async_get_user(context.user_id)
    if user is None or not user.is_admin:
        raise Unauthorized(context=context, entity_id=entity_id, permission=POLICY_CONTROL)


def asked_by(context: Context | None) -> str:
    """Return who asked, for the record."""
    return (context.user_id if context is not None else None) or "automation"


class HubEntity(Entity):
    """An entity of the hub itself."""

    _attr_has_entity_name = True
    _attr_should_poll = False

    def __init__(self, entry: FirmwareHubConfigEntry, key: str) -> None:
        self._entry = entry
        self._coordinator: FirmwareHubCoordinator = entry.runtime_data
        self._attr_translation_key = key
        self._attr_unique_id = f"{entry.entry_id}_{key}"
        self._attr_device_info = dr.DeviceInfo(
            identifiers={(DOMAIN, entry.entry_id)},
            name=entry.title,
            manufacturer="Firmware Hub",
            model="Hub",
            entry_type=dr.DeviceEntryType.SERVICE,
        )

    @override
    async def async_added_to_hass(self) -> None:
        """Listen to the hub; of many changes the first is written at once, the others together."""
        writing = Paced(self.hass.loop, _SPACING, self.async_write_ha_state)
        self.async_on_remove(self._coordinator.listen_hub(writing.ask))
        self.async_on_remove(writing.stop)


class DeviceEntity(Entity):
    """An entity of one device; it sits on the device that another integration made, where there is one."""

    _attr_has_entity_name = True
    _attr_should_poll = False
    _view: DeviceView | None

    def __init__(self, entry: FirmwareHubConfigEntry, device_id: DeviceId, key: str) -> None:
        self._entry = entry
        self._coordinator: FirmwareHubCoordinator = entry.runtime_data
        self._device_id = device_id
        self._attr_translation_key = key
        self._attr_unique_id = unique_id(entry.entry_id, device_id, key)
        self._view = self._coordinator.device_view(device_id)

    @property
    @override
    def device_info(self) -> dr.DeviceInfo | None:
        """Choose the device; asked for when the entity is registered, so that nothing can come in between."""
        if self._view is None:
            return None
        self.device_entry = foreign_device(self.hass, self._view.device)
        return own_device_info(self._view.device) if self.device_entry is None else None

    @property
    @override
    def available(self) -> bool:
        """Whether the hub knows the device; a device that sleeps or is off line can still be approved."""
        return self._view is not None

    @override
    async def async_added_to_hass(self) -> None:
        """Listen to the device."""
        await super().async_added_to_hass()
        self.async_on_remove(self._coordinator.listen_device(self._device_id, self._on_changed))
        self._view = self._coordinator.device_view(self._device_id)  # it may have said something since it was found

    @callback
    def _on_changed(self) -> None:
        self._view = self._coordinator.device_view(self._device_id)
        self.async_write_ha_state()
