"""What happened, as a line in Home Assistant's logbook: which device, and what of it."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from homeassistant.components.logbook.const import (
    LOGBOOK_ENTRY_ENTITY_ID,
    LOGBOOK_ENTRY_MESSAGE,
    LOGBOOK_ENTRY_NAME,
)
from homeassistant.core import Event, HomeAssistant, callback

from .const import DOMAIN, EVENT_LIFECYCLE
from .core.errors import Reason
from .words import sentence, text

_NAME: Final = "Firmware Hub"
_PLACES: Final = ("name", "manufacturer", "model", "version", "feed")


@callback
def async_describe_events(
    hass: HomeAssistant, async_describe_event: Callable[[str, str, Callable[[Event], dict[str, Any]]], None]
) -> None:
    """Describe the bus event."""

    @callback
    def describe(event: Event) -> dict[str, Any]:
        entry = {LOGBOOK_ENTRY_NAME: _NAME, LOGBOOK_ENTRY_MESSAGE: _message(hass, event.data)}
        if entity_id := event.data.get("update_entity_id"):
            entry[LOGBOOK_ENTRY_ENTITY_ID] = entity_id
        return entry

    async_describe_event(DOMAIN, EVENT_LIFECYCLE, describe)


def _message(hass: HomeAssistant, data: Mapping[str, Any]) -> str:
    """Return the line; the logbook may hold events of older versions, so nothing is taken for granted."""
    if title := data.get("title"):
        return str(title)
    values = {place: str(data[place]) for place in _PLACES if data.get(place)}
    reason = ""
    with suppress(ValueError):
        reason = sentence(hass, Reason(data.get("reason") or ""))
    return f"{text(hass, f'logbook_{data.get("type")}', values)} {reason if data.get('feed') else ''}".rstrip()
