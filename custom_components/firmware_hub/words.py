"""The integration's own words in Home Assistant's language, and what they say of a device, a wait and an outcome.

Words come from the translation files; foreign text only fills places in them, and `markdown.plain` makes it harmless.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers.translation import async_get_cached_translations
from homeassistant.util import dt as dt_util

from .const import DOMAIN, KEY_INSTALL_STATE
from .core.errors import HubError, OutsideFailed, Reason
from .core.model import Device, Install, InstallState
from .core.rollout import has_failed, recovers
from .core.view import DeviceView
from .markdown import plain

PLACES: Final = ("attempt", "detail", "free", "minutes", "needed", "percent", "version")
"""Everything that a sentence about a reason may ask for."""

_TITLE_LIMIT: Final = 80
_PLACE_LIMIT: Final = 160
"""Characters of what fills a place: a SHA-512 in groups is the longest that must stay whole."""
_SOON: Final = timedelta(hours=20)


class _Given(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "?"


def text(hass: HomeAssistant, key: str, values: Mapping[str, str] | None = None) -> str:
    """Return one of the words under `common`, its places filled; a place without a value reads as a question mark."""
    return _filled(_find(hass, "common", key) or key, values or {})


def sentence(hass: HomeAssistant, reason: Reason | None, values: Mapping[str, str] | None = None) -> str:
    """Return the whole sentence for a reason; empty if there is none."""
    if reason is None:
        return ""
    return _filled(_find(hass, "exceptions", f"{reason}.message") or reason.value, values or {})


def state_words(hass: HomeAssistant, state: InstallState | None) -> str:
    """Return the words for where an install stands."""
    value = "idle" if state is None else state.value
    return _find(hass, "entity", f"sensor.{KEY_INSTALL_STATE}.state.{value}") or value


def as_ha_error(error: HubError) -> HomeAssistantError:
    """Return what Home Assistant shows to the person whose request ended in this error."""
    kind = HomeAssistantError if isinstance(error, OutsideFailed) else ServiceValidationError
    places = dict.fromkeys(PLACES, "?") | {"detail": plain(error.detail) or "?"}
    return kind(translation_domain=DOMAIN, translation_key=error.reason.value, translation_placeholders=places)


def device_name(device: Device) -> str:
    """Return what a person calls the device, as far as the device says."""
    return plain(device.name or f"{device.manufacturer} {device.model}".strip() or device.id, _TITLE_LIMIT)


def make_of(device: Device) -> str:
    """Return what a shop calls the device; its own name where it does not say."""
    return plain(f"{device.manufacturer} {device.model}".strip(), _TITLE_LIMIT) or device_name(device)


def title(hass: HomeAssistant, view: DeviceView) -> str:
    """Return the update's title: the one text of the open dialog that Home Assistant keeps up to date.

    The list of updates shows it between the device's name and the version, and cuts it off at the end on a phone.
    """
    make, live = make_of(view.device), live_words(hass, view)
    return f"{live} · {make}" if live else make


def live_words(hass: HomeAssistant, view: DeviceView) -> str:
    """Return in a few words what happens or is waited for just now; empty when there is nothing to say."""
    install = view.install
    if install is None or install.state.is_end:
        if view.last is None or view.offer is None or not has_failed(view.last):
            return ""
        return text(hass, "live_failed_before" if recovers(view.last) else "live_dark_before")
    if not install.state.is_waiting:
        return text(hass, f"live_{install.state}")
    if view.starts_at is not None and view.reason in (None, Reason.WAITS_FOR_WINDOW):
        return text(hass, "live_starts_after", {"time": when(view.starts_at)})
    if view.reason is None:
        return text(hass, "live_approved")
    return text(hass, "live_waits", {"hold": hold_words(hass, view.reason, view.reason_values)})


def hold_words(hass: HomeAssistant, reason: Reason, values: Mapping[str, str]) -> str:
    """Return in a few words why an install waits."""
    found = _find(hass, "common", f"hold_{reason}")
    return _filled(found, values) if found else sentence(hass, reason, values).rstrip(".")


def when(moment: datetime) -> str:
    """Return a moment as its hour in Home Assistant's zone, with the date when it is not soon."""
    local = dt_util.as_local(moment)
    return local.strftime("%H:%M" if moment - dt_util.utcnow() < _SOON else "%Y-%m-%d %H:%M")


def local_iso(moment: datetime | None) -> str | None:
    """Return a moment in ISO 8601 in Home Assistant's zone."""
    return dt_util.as_local(moment).isoformat() if moment is not None else None


def day(moment: str) -> str:
    """Return the day of a moment, which is given in ISO 8601, in Home Assistant's zone."""
    return dt_util.as_local(dt_util.parse_datetime(moment, raise_on_error=True)).date().isoformat()


def outcome(hass: HomeAssistant, install: Install, name: str) -> dict[str, str | int | bool | None]:
    """Return what a person is told of an install that ended: first of all whether the device works."""
    failed, works = has_failed(install), recovers(install)
    kind = ("failed_works" if works else "failed_dark") if failed else install.state.value
    values = {"name": name, "version": install.offer.version, "from_version": install.from_version}
    return {
        "failed": failed,
        "title": text(hass, f"outcome_{kind}", values),
        "reason_text": sentence(hass, install.reason, install.reason_values),
        "next_step": advice(hass, install.reason, works=works) if failed else "",
    }


def advice(hass: HomeAssistant, reason: Reason | None, *, works: bool) -> str:
    """Return the one next step after an install that failed."""
    special = _find(hass, "common", f"advice_{reason}") if reason is not None else None
    return special or text(hass, "advice_works" if works else "advice_dark")


def _find(hass: HomeAssistant, category: str, key: str) -> str | None:
    texts = async_get_cached_translations(hass, hass.config.language, category, DOMAIN)
    return texts.get(f"component.{DOMAIN}.{category}.{key}")


def _filled(template: str, values: Mapping[str, str]) -> str:
    return template.format_map(_Given(_harmless(values))) if "{" in template else template


def _harmless(values: Mapping[str, str]) -> dict[str, str]:
    return {key: plain(str(value), _PLACE_LIMIT) for key, value in values.items()}
