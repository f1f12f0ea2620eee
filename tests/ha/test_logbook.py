"""The lines in the logbook."""

from typing import Any

import pytest
from homeassistant.components.logbook.const import LOGBOOK_ENTRY_MESSAGE, LOGBOOK_ENTRY_NAME
from homeassistant.core import Event, HomeAssistant
from homeassistant.helpers.translation import async_get_translations

from custom_components.firmware_hub.const import DOMAIN, EVENT_LIFECYCLE
from custom_components.firmware_hub.core.effects import LifecycleKind
from custom_components.firmware_hub.logbook import async_describe_events

DATA = {
    "name": "Hall lamp",
    "manufacturer": "Acme",
    "model": "PLUG-S1",
    "version": "1.1.0",
    "update_entity_id": "update.hall_lamp_firmware",
}


@pytest.fixture(autouse=True)
async def _texts_are_loaded(hass: HomeAssistant) -> None:
    for category in ("common", "exceptions"):
        await async_get_translations(hass, "en", category, {DOMAIN})
    hass.config.components.add(DOMAIN)


def line(hass: HomeAssistant, **data: Any) -> dict[str, Any]:
    """Return what the logbook shows of an event."""
    shown: dict[str, Any] = {}

    def described(domain: str, name: str, describe: Any) -> None:
        assert (domain, name) == (DOMAIN, EVENT_LIFECYCLE)
        shown.update(describe(Event(EVENT_LIFECYCLE, data)))

    async_describe_events(hass, described)
    return shown


@pytest.mark.parametrize("kind", set(LifecycleKind) - {LifecycleKind.MANIFEST_REFUSED})
def test_every_event_says_what_it_is_about(hass: HomeAssistant, kind: LifecycleKind) -> None:
    shown = line(hass, type=kind.value, **DATA)
    assert shown["entity_id"] == DATA["update_entity_id"]
    assert shown[LOGBOOK_ENTRY_NAME] == "Firmware Hub"
    assert any(about in shown[LOGBOOK_ENTRY_MESSAGE] for about in ("Hall lamp", "Acme PLUG-S1"))
    assert "?" not in shown[LOGBOOK_ENTRY_MESSAGE]


def test_an_end_is_told_in_its_own_words(hass: HomeAssistant) -> None:
    shown = line(hass, type="install_ended", title="Hall lamp now runs 1.1.0", **DATA)
    assert shown[LOGBOOK_ENTRY_MESSAGE] == "Hall lamp now runs 1.1.0"


def test_a_refused_feed_says_why(hass: HomeAssistant) -> None:
    shown = line(hass, type="manifest_refused", feed="Acme", reason="bad_signature")
    assert shown[LOGBOOK_ENTRY_MESSAGE].startswith("Acme: feed refused. The signature is wrong.")
    assert "entity_id" not in shown


@pytest.mark.parametrize("data", [{}, {"type": "of_another_version"}, {"type": "manifest_refused", "reason": "new"}])
def test_an_event_that_lacks_something_does_no_harm(hass: HomeAssistant, data: dict[str, str]) -> None:
    assert line(hass, **data)[LOGBOOK_ENTRY_MESSAGE]
