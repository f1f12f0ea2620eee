"""Update entities that other integrations show for the hub's devices: they flash at once and ask nobody."""

from collections.abc import Iterable, Mapping
from typing import Final

from homeassistant.const import Platform
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, entity_registry as er, issue_registry as ir
from homeassistant.loader import IntegrationNotLoaded, async_get_loaded_integration

from . import issues
from .const import DOMAIN
from .coordinator import FirmwareHubConfigEntry
from .core.effects import ClearIssue, IssueKind, RaiseIssue
from .core.model import DeviceId
from .device_link import DeviceKey, index_keys, registry_keys
from .paced import Paced

_PAUSE: Final = 5.0  # seconds; each look goes through all update entities that are not ours
_NAMED: Final = 5
# Entities on a device that update another part of it, by the end of their unique ids.
_OTHER_PARTS: Final = {"shelly": "-loraupdate"}


class OtherUpdaters:
    """Tells the owner once per integration, whichever of the two came first."""

    def __init__(self, hass: HomeAssistant, entry: FirmwareHubConfigEntry) -> None:
        self._hass = hass
        self._entry = entry
        self._entities = er.async_get(hass)
        self._ours: dict[DeviceKey, DeviceId] = {}
        self._told = set(_told_before(hass, entry.entry_id))
        self._looking = Paced(hass.loop, _PAUSE, self._look)

    @callback
    def start(self) -> None:
        """Watch until the entry is unloaded."""
        coordinator = self._entry.runtime_data
        for unsubscribe in (
            self._looking.stop,
            coordinator.listen_devices(self._on_found),
            coordinator.listen_forgotten(self._on_forgotten),
            self._hass.bus.async_listen(er.EVENT_ENTITY_REGISTRY_UPDATED, self._on_entity),
        ):
            self._entry.async_on_unload(unsubscribe)

    @callback
    def _on_found(self, device_ids: Iterable[DeviceId]) -> None:
        self._ours.update(_keys_of(self._entry, device_ids))
        self._looking.ask()

    @callback
    def _on_forgotten(self, device_id: DeviceId) -> None:
        for key in [key for key, owner in self._ours.items() if owner == device_id]:
            del self._ours[key]
        self._looking.ask()

    @callback
    def _on_entity(self, event: Event[er.EventEntityRegistryUpdatedData]) -> None:
        entity_id = event.data["entity_id"]
        if not entity_id.startswith(f"{Platform.UPDATE}."):
            return
        entity = self._entities.async_get(entity_id)
        if entity is None or entity.platform != DOMAIN:
            self._looking.ask()

    @callback
    def _look(self) -> None:
        found = _beside(self._hass, self._ours)
        for integration, entity_ids in found.items():
            values = {
                "integration": _name(self._hass, integration),
                "count": str(len(entity_ids)),
                "detail": ", ".join(entity_ids[:_NAMED]) + (", …" if len(entity_ids) > _NAMED else ""),
            }
            effect = RaiseIssue(IssueKind.OTHER_UPDATER, integration, fixable=True, values=values)
            issues.raise_issue(self._hass, self._entry, effect)
        for integration in self._told - found.keys():
            issues.clear_issue(self._hass, self._entry, ClearIssue(IssueKind.OTHER_UPDATER, integration))
        self._told = set(found)


@callback
def disable_others(hass: HomeAssistant, entry: FirmwareHubConfigEntry, integration: str) -> None:
    """Disable the update entities that an integration shows for devices of the hub, in the owner's name."""
    ours = _keys_of(entry, entry.runtime_data.hub.device_ids())
    for entity_id in _beside(hass, ours).get(integration, ()):
        er.async_get(hass).async_update_entity(entity_id, disabled_by=er.RegistryEntryDisabler.USER)


def _keys_of(entry: FirmwareHubConfigEntry, device_ids: Iterable[DeviceId]) -> dict[DeviceKey, DeviceId]:
    devices = [entry.runtime_data.hub.get(device_id) for device_id in device_ids]
    return {key: device.id for device in devices if device is not None for key in index_keys(device)}


def _beside(hass: HomeAssistant, ours: Mapping[DeviceKey, DeviceId]) -> dict[str, list[str]]:
    """Return, by integration, the enabled update entities of others on devices that are ours as well."""
    devices = dr.async_get(hass)
    found: dict[str, list[str]] = {}
    for entity in er.async_get(hass).entities.values():
        if entity.domain != Platform.UPDATE or entity.platform == DOMAIN or entity.disabled_by is not None:
            continue
        if (part := _OTHER_PARTS.get(entity.platform)) and entity.unique_id.endswith(part):
            continue
        device = devices.async_get(entity.device_id) if entity.device_id else None
        if isinstance(device, dr.DeviceEntry) and any(
            key in ours for key in registry_keys(device.connections, device.identifiers)
        ):
            found.setdefault(entity.platform, []).append(entity.entity_id)
    return found


def _told_before(hass: HomeAssistant, entry_id: str) -> Iterable[str]:
    """Yield what an earlier load of the entry told: nobody looked since."""
    for issue in ir.async_get(hass).issues.values():
        data = issue.data or {}
        ours = issue.domain == DOMAIN and data.get("entry_id") == entry_id
        if ours and issue.translation_key == IssueKind.OTHER_UPDATER:
            yield str(data["subject"])


def _name(hass: HomeAssistant, integration: str) -> str:
    try:
        return async_get_loaded_integration(hass, integration).name
    except IntegrationNotLoaded:
        return integration
