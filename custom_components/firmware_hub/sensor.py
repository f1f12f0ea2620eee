"""Where each device's install stands and why, and the hub in numbers."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, override

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import DETAILS_OFF_FROM, KEY_INSTALL_STATE
from .coordinator import FirmwareHubConfigEntry
from .core.model import DeviceId, InstallState
from .core.view import HubView
from .entity import DeviceEntity, HubEntity, add_for_each_device
from .words import sentence

PARALLEL_UPDATES = 0  # everything is pushed

IDLE: Final = "idle"
OPTIONS: Final = (IDLE, *(state.value for state in InstallState))


@dataclass(frozen=True, kw_only=True)
class HubSensorDescription(SensorEntityDescription):
    """A number of the hub, and how it is read from its view."""

    value: Callable[[HubView], int | datetime | None]


HUB_SENSORS: Final = (
    HubSensorDescription(
        key="devices",
        translation_key="devices",
        state_class=SensorStateClass.MEASUREMENT,
        entity_category=EntityCategory.DIAGNOSTIC,
        value=lambda view: view.devices,
    ),
    HubSensorDescription(
        key="offers",
        translation_key="offers",
        state_class=SensorStateClass.MEASUREMENT,
        value=lambda view: view.offers,
    ),
    HubSensorDescription(
        key="waiting",
        translation_key="waiting",
        state_class=SensorStateClass.MEASUREMENT,
        value=lambda view: view.waiting,
    ),
    HubSensorDescription(
        key="running",
        translation_key="running",
        state_class=SensorStateClass.MEASUREMENT,
        value=lambda view: view.running,
    ),
    HubSensorDescription(
        key="next_window",
        translation_key="next_window",
        device_class=SensorDeviceClass.TIMESTAMP,
        value=lambda view: view.next_opening,
    ),
)


async def async_setup_entry(
    _hass: HomeAssistant, entry: FirmwareHubConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the hub's sensors, and one for each device, now and later."""
    async_add_entities(HubSensor(entry, description) for description in HUB_SENSORS)

    def make(device_ids: list[DeviceId]) -> Iterable[InstallStateSensor]:
        enabled = entry.runtime_data.hub_view().devices < DETAILS_OFF_FROM
        return [InstallStateSensor(entry, device_id, enabled=enabled) for device_id in device_ids]

    add_for_each_device(entry, async_add_entities, make)


class HubSensor(HubEntity, SensorEntity):
    """One number of the hub."""

    entity_description: HubSensorDescription

    def __init__(self, entry: FirmwareHubConfigEntry, description: HubSensorDescription) -> None:
        super().__init__(entry, description.key)
        self.entity_description = description

    @property
    @override
    def native_value(self) -> int | datetime | None:
        """The number as it is now."""
        return self.entity_description.value(self._coordinator.hub_view())


class InstallStateSensor(DeviceEntity, SensorEntity):
    """Where the install of one device stands, and in words why."""

    _attr_device_class = SensorDeviceClass.ENUM
    _attr_entity_category = EntityCategory.DIAGNOSTIC
    _unrecorded_attributes = frozenset({"reason_text"})

    def __init__(self, entry: FirmwareHubConfigEntry, device_id: DeviceId, *, enabled: bool) -> None:
        super().__init__(entry, device_id, KEY_INSTALL_STATE)
        self._attr_entity_registry_enabled_default = enabled
        self._attr_options = list(OPTIONS)

    @property
    @override
    def native_value(self) -> str | None:
        """The state of the present install; without one the verdict of the last."""
        if (view := self._view) is None:
            return None
        state = view.state or (view.last.state if view.last else None)
        return state.value if state else IDLE

    @property
    @override
    def extra_state_attributes(self) -> dict[str, Any] | None:
        """Why it waits or how it ended: the code, and the sentence in Home Assistant's language."""
        if (view := self._view) is None:
            return None
        why, values = view.reason, view.reason_values
        if why is None and view.install is None and view.last is not None:
            why, values = view.last.reason, view.last.reason_values
        return {"reason": why.value if why else None, "reason_text": sentence(self.hass, why, values) or None}
