"""Home Assistant's backup: the database file stands still while it is read, and saving goes on.

Neither hook ever raises: one that raises aborts the backup of the whole Home Assistant.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from homeassistant.core import HomeAssistant, callback
from homeassistant.util.hass_dict import HassKey

from .const import DOMAIN
from .coordinator import FirmwareHubConfigEntry
from .core.errors import OutsideFailed
from .store import Store

_LOGGER = logging.getLogger(__name__)
_RUNNING: HassKey[bool] = HassKey(f"{DOMAIN}_backup_running")


@callback
def is_backup_running(hass: HomeAssistant) -> bool:
    """Return whether a store that is opened now has to leave its file alone."""
    return hass.data.get(_RUNNING, False)


async def async_pre_backup(hass: HomeAssistant) -> None:
    """Bring the database files up to date and leave them alone from now on."""
    hass.data[_RUNNING] = True
    await _for_each_store(hass, Store.async_checkpoint_and_hold)


async def async_post_backup(hass: HomeAssistant) -> None:
    """Let the stores tidy up again."""
    hass.data[_RUNNING] = False
    await _for_each_store(hass, Store.async_release)


async def _for_each_store(hass: HomeAssistant, tell: Callable[[Store], Awaitable[None]]) -> None:
    entries: list[FirmwareHubConfigEntry] = hass.config_entries.async_loaded_entries(DOMAIN)
    for entry in entries:
        try:
            await tell(entry.runtime_data.store)
        except (OutsideFailed, RuntimeError) as error:
            # A store that was closed meanwhile has nothing to hold, and what it wrote is in its file.
            _LOGGER.warning("The backup of %s may miss the last changes: %s", entry.title, error)
