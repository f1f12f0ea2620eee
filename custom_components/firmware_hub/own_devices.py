"""Keeps what Home Assistant shows of the hub's own devices up to date: name, maker, model, hardware, version."""

from itertools import islice
from typing import Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr

from .const import DOMAIN
from .coordinator import FirmwareHubConfigEntry
from .core.model import Device, DeviceId
from .device_link import own_device
from .paced import Paced

_AT_ONCE: Final = 100
_PAUSE: Final = 0.5  # seconds; each change of a device makes Home Assistant tell everybody and write its whole registry


class OwnDevices:
    """The devices of one config entry that nobody else made; what another integration made is theirs to describe."""

    def __init__(self, hass: HomeAssistant, entry: FirmwareHubConfigEntry) -> None:
        self._hass = hass
        self._entry = entry
        self._stale: dict[DeviceId, None] = {}
        self._writing = Paced(hass.loop, _PAUSE, self._write)
        entry.async_on_unload(self._writing.stop)

    @callback
    def changed(self, before: Device, device: Device) -> None:
        """Describe a device anew, soon, if what is shown of it changed."""
        if _described(before) != _described(device):
            self._stale[device.id] = None
            self._writing.ask()

    @callback
    def _write(self) -> None:
        registry = dr.async_get(self._hass)
        for device_id in list(islice(self._stale, _AT_ONCE)):
            del self._stale[device_id]
            device = self._entry.runtime_data.hub.get(device_id)
            ours = registry.async_get_device_by_identifier((DOMAIN, device_id), self._entry.entry_id)
            if device is not None and ours is not None:
                own_device(self._hass, self._entry.entry_id, device)
        if self._stale:
            self._writing.ask()


def _described(device: Device) -> tuple[str, ...]:
    return (device.name, device.manufacturer, device.model, device.hardware, device.version)
