"""Keeps our entities on the right device while other integrations make, clear, delete and re-create theirs.

Home Assistant does none of this by itself (measured): an entity that sits on a foreign device stays behind without one
when that device goes, and MQTT does not remove a device of its own while an entity of ours sits on it.
"""

from collections.abc import Iterable, Iterator

from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, entity_registry as er

from .const import DOMAIN
from .coordinator import FirmwareHubConfigEntry
from .core.model import DeviceId
from .device_link import DeviceKey, foreign_device, index_keys, own_device, owner_rank, registry_keys
from .entity import DEVICE_ENTITIES, device_id_of, unique_id


class Relinker:
    """Moves the entities of one config entry between devices."""

    def __init__(self, hass: HomeAssistant, entry: FirmwareHubConfigEntry) -> None:
        self._hass = hass
        self._entry = entry
        self._coordinator = entry.runtime_data
        self._devices = dr.async_get(hass)
        self._entities = er.async_get(hass)
        self._ours_by_key: dict[DeviceKey, DeviceId] = {}
        self._guests: dict[str, DeviceId] = {}
        """Foreign device to the thing of ours whose entities sit on it, and the other way round."""
        self._hosts: dict[DeviceId, str] = {}
        self._neighbours: dict[str, str] = {}
        """Foreign entity to the foreign device that it shares with ours."""

    @callback
    def start(self) -> None:
        """Watch both registries until the entry is unloaded."""
        for unsubscribe in (
            self._coordinator.listen_devices(self._on_found),
            self._coordinator.listen_forgotten(self._on_forgotten),
            self._hass.bus.async_listen(dr.EVENT_DEVICE_REGISTRY_UPDATED, self._on_device),
            self._hass.bus.async_listen(er.EVENT_ENTITY_REGISTRY_UPDATED, self._on_entity),
        ):
            self._entry.async_on_unload(unsubscribe)

    # --- what the hub says -------------------------------------------------------------------------------------------

    @callback
    def _on_found(self, device_ids: Iterable[DeviceId]) -> None:
        for device_id in device_ids:
            if (view := self._coordinator.device_view(device_id)) is None:
                continue
            self._ours_by_key.update(dict.fromkeys(index_keys(view.device), device_id))
            if (host := foreign_device(self._hass, view.device)) is not None:
                self._moved_in(device_id, host.id)

    @callback
    def _on_forgotten(self, device_id: DeviceId) -> None:
        for entity in list(self._entities_of(device_id)):
            self._entities.async_remove(entity.entity_id)
        self._moved_out(device_id)
        self._remove_own_if_empty(device_id)
        for key in [key for key, owner in self._ours_by_key.items() if owner == device_id]:
            del self._ours_by_key[key]

    # --- what happens in the registries ------------------------------------------------------------------------------

    @callback
    def _on_device(self, event: Event[dr.EventDeviceRegistryUpdatedData]) -> None:
        data = event.data
        if data["action"] == "remove":
            if (device_id := self._guests.get(data["device_id"])) is not None:
                self._place(device_id, without=data["device_id"])
            return
        if data["action"] == "update" and not data["changes"].keys() & {"connections", "identifiers"}:
            return
        device = self._devices.async_get(data["device_id"])
        if isinstance(device, dr.DeviceEntry) and owner_rank(self._hass, device, "") is not None:
            keys = registry_keys(device.connections, device.identifiers)
            for device_id in {self._ours_by_key[key] for key in keys if key in self._ours_by_key}:
                self._place(device_id)

    @callback
    def _on_entity(self, event: Event[er.EventEntityRegistryUpdatedData]) -> None:
        entity = self._entities.async_get(event.data["entity_id"])
        before = self._neighbours.pop(event.data["entity_id"], None)
        if entity is not None and entity.config_entry_id == self._entry.entry_id:
            self._on_own_entity(entity)
        elif entity is not None and entity.device_id in self._guests:
            self._neighbours[entity.entity_id] = entity.device_id
        if before is not None and (entity is None or entity.device_id != before):
            self._leave_if_alone(before)

    def _on_own_entity(self, entity: er.RegistryEntry) -> None:
        device_id = device_id_of(entity)
        host = self._devices.async_get(entity.device_id) if entity.device_id else None
        if device_id is not None and host is not None and host.config_entry_id != self._entry.entry_id:
            self._moved_in(device_id, host.id)

    def _leave_if_alone(self, host: str) -> None:
        """Leave a foreign device whose own entities are gone, at once: its owner then finds it empty and removes it."""
        on_it = er.async_entries_for_device(self._entities, host)
        device_id = self._guests.get(host)
        if device_id is not None and all(entity.config_entry_id == self._entry.entry_id for entity in on_it):
            self._place(device_id, without=host)

    # --- moving ------------------------------------------------------------------------------------------------------

    def _place(self, device_id: DeviceId, *, without: str | None = None) -> None:
        """Put the entities of a thing on the best device there is, and drop our own device when it became empty."""
        self._moved_out(device_id)
        view = self._coordinator.device_view(device_id)
        entities = list(self._entities_of(device_id))
        if view is None or not entities:
            return
        host = foreign_device(self._hass, view.device, without=without)
        target = host or own_device(self._hass, self._entry.entry_id, view.device)
        for entity in entities:
            if entity.device_id != target.id:
                self._entities.async_update_entity(
                    entity.entity_id, device_id=target.id, disabled_by=_disabled_by(entity, target)
                )
        if host is not None:
            self._moved_in(device_id, host.id)
            self._remove_own_if_empty(device_id)

    def _moved_in(self, device_id: DeviceId, host: str) -> None:
        if self._hosts.get(device_id) == host:
            return
        self._moved_out(device_id)
        self._hosts[device_id] = host
        self._guests[host] = device_id
        for entity in er.async_entries_for_device(self._entities, host, include_disabled_entities=True):
            if entity.config_entry_id != self._entry.entry_id:
                self._neighbours[entity.entity_id] = host

    def _moved_out(self, device_id: DeviceId) -> None:
        if (host := self._hosts.pop(device_id, None)) is not None:
            self._guests.pop(host, None)

    def _entities_of(self, device_id: DeviceId) -> Iterator[er.RegistryEntry]:
        for platform, key in DEVICE_ENTITIES:
            wanted = unique_id(self._entry.entry_id, device_id, key)
            entity_id = self._entities.async_get_entity_id(platform, DOMAIN, wanted)
            if entity_id is not None and (entity := self._entities.async_get(entity_id)) is not None:
                yield entity

    def _remove_own_if_empty(self, device_id: DeviceId) -> None:
        own = self._devices.async_get_device_by_identifier((DOMAIN, device_id), self._entry.entry_id)
        if own is not None and not er.async_entries_for_device(self._entities, own.id, include_disabled_entities=True):
            self._devices.async_remove_device(own.id)


def _disabled_by(entity: er.RegistryEntry, target: dr.DeviceEntry) -> er.RegistryEntryDisabler | None:
    if target.disabled and entity.disabled_by is None:
        return er.RegistryEntryDisabler.DEVICE
    if not target.disabled and entity.disabled_by is er.RegistryEntryDisabler.DEVICE:
        return None
    return entity.disabled_by
