"""Fields that several forms share, and what they accept."""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

import voluptuous as vol
from homeassistant.helpers.selector import (
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    TextSelector,
    TimeSelector,
)
from homeassistant.util import dt as dt_util

from .authorities import read_authority
from .const import CONF_ADDRESS, CONF_PORT, CONF_WINDOW_END, CONF_WINDOW_START
from .core.errors import HubError
from .core.limits import MAX_URL

_MAX_PORT: Final = 65_535
_LOCAL_NAMES: Final = (".local", ".lan", ".home", ".internal", ".home.arpa")
_WINDOW: Final = {CONF_WINDOW_START: "00:00:00", CONF_WINDOW_END: "05:00:00"}


def number(low: int, high: int, unit: str | None = None) -> NumberSelector:
    """Return a field for a whole number."""
    config = NumberSelectorConfig(min=low, max=high, step=1, mode=NumberSelectorMode.BOX)
    if unit is not None:
        config["unit_of_measurement"] = unit
    return NumberSelector(config)


def window_fields(options: Mapping[str, Any]) -> dict[Any, Any]:
    """Return the fields of the window's two wall times."""
    return {vol.Required(key, default=options.get(key, default)): TimeSelector() for key, default in _WINDOW.items()}


def serving_fields(before: Mapping[str, Any]) -> dict[Any, Any]:
    """Return the fields of the address under which devices fetch firmware; empty and 0 leave it to the hub."""
    return {
        vol.Optional(CONF_ADDRESS, description={"suggested_value": before.get(CONF_ADDRESS, "")}): TextSelector(),
        vol.Optional(CONF_PORT, default=before.get(CONF_PORT, 0)): number(0, _MAX_PORT),
    }


def serving_errors(given: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with the serving fields: devices need an IP address, many know no names."""
    text = given.get(CONF_ADDRESS, "")
    try:
        usable = not text or not (ip_address(text).is_unspecified or ip_address(text).is_multicast)
    except ValueError:
        usable = False
    return {} if usable else {CONF_ADDRESS: "not_an_address"}


def serving_values(given: Mapping[str, Any]) -> dict[str, str | int]:
    """Return the serving fields as they are stored."""
    return {CONF_ADDRESS: given.get(CONF_ADDRESS, ""), CONF_PORT: int(given.get(CONF_PORT, 0))}


def url_error(text: str) -> str | None:
    """Return what is wrong with the address of a feed; plain HTTP is for the local network only."""
    try:
        parts = urlsplit(text)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return "not_a_url"
    if not host or parts.scheme not in {"http", "https"} or len(text) > MAX_URL or any(map(str.isspace, text)):
        return "not_a_url"
    return None if parts.scheme == "https" or _is_local(host) else "insecure_url"


def authority_value(text: str, *urls: str) -> tuple[str, str | None]:
    """Return the certificates of a pasted authority as they are stored, and what is wrong with them.

    Plain HTTP proves nothing, so an authority for such an address would be a promise that nobody keeps.
    """
    try:
        kept = read_authority(text, dt_util.utcnow())
    except HubError as error:
        return "", f"authority_{error.reason}"
    is_plain = any(url.lower().startswith("http:") for url in urls)
    return kept, "authority_without_https" if kept and is_plain else None


def _is_local(host: str) -> bool:
    try:
        return not ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith(_LOCAL_NAMES)
