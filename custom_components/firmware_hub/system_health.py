"""What Home Assistant's system information says of the hub."""

from typing import Any

from homeassistant.components.system_health import SystemHealthRegistration
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant, callback
from homeassistant.util import dt as dt_util

from .const import DOMAIN
from .coordinator import FirmwareHubConfigEntry


@callback
def async_register(_hass: HomeAssistant, register: SystemHealthRegistration) -> None:
    """Register the information."""
    register.async_register_info(async_system_health_info)


async def async_system_health_info(hass: HomeAssistant) -> dict[str, Any]:
    """Return the hubs' state in a few lines."""
    entries: list[FirmwareHubConfigEntry] = [
        entry for entry in hass.config_entries.async_entries(DOMAIN) if entry.state is ConfigEntryState.LOADED
    ]
    views = [entry.runtime_data.hub_view() for entry in entries]
    feeds = [feed for view in views for feed in view.feeds if feed.active]
    fetched = [feed.fetched_at for feed in feeds if feed.fetched_at is not None]
    return {
        "hubs": len(views),
        "devices": sum(view.devices for view in views),
        "offers": sum(view.offers for view in views),
        "waiting": sum(view.waiting for view in views),
        "running": sum(view.running for view in views),
        "broker_connected": all(view.connected for view in views),
        "clock_trusted": all(view.clock_trusted for view in views),
        "store_works": all(view.store_ok for view in views),
        "active_feeds": len(feeds),
        "failing_feeds": sum(feed.last_error is not None for feed in feeds),
        "oldest_feed": dt_util.as_local(min(fetched)).isoformat(timespec="minutes") if fetched else None,
    }
