"""What a person may attach to a bug report: the hub as it is, without names, addresses, keys and whole MACs."""

import re
from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Final
from urllib.parse import urlsplit

from homeassistant.components.diagnostics import REDACTED, async_redact_data
from homeassistant.const import CONF_PROTOCOL
from homeassistant.core import HomeAssistant

from .config_values import BUILT_IN_FEEDS, authority_key
from .const import (
    CONF_ADDRESS,
    CONF_AUTHORITY,
    CONF_ENCRYPTION,
    CONF_FRAMING,
    CONF_KEYS,
    CONF_REACHED_BY,
    CONF_ROOT,
    CONF_TITLE,
    CONF_TLS,
    CONF_TRANSPORT,
    CONF_VENDOR,
)
from .coordinator import FirmwareHubConfigEntry
from .core.errors import HubError
from .core.model import Install
from .core.view import DeviceView

_SECRET: Final = {
    CONF_KEYS,
    CONF_ROOT,
    CONF_AUTHORITY,
    *map(authority_key, BUILT_IN_FEEDS),
    CONF_ADDRESS,
    CONF_VENDOR,
    CONF_TITLE,
    "name",
    "addresses",
    "channel",
    "by",
    "network",
}
_URL: Final = re.compile(r"https?://[^\s\"']+")
_MAC: Final = re.compile(r"(?i)\b([0-9a-f]{2}[:-]?[0-9a-f]{2}[:-]?[0-9a-f]{2})([:-]?[0-9a-f]{2}){3}\b")
_IEEE: Final = re.compile(r"(?i)\b(0x[0-9a-f]{6})[0-9a-f]{10}\b")
_DEVICES: Final = 500


async def async_get_config_entry_diagnostics(_hass: HomeAssistant, entry: FirmwareHubConfigEntry) -> dict[str, Any]:
    """Return the diagnostics of one hub."""
    coordinator = entry.runtime_data
    hub = coordinator.hub
    known = list(hub.fleet.devices)
    views = (coordinator.device_view(device_id) for device_id in known[:_DEVICES])
    return _redacted(
        {
            "data": _connection(entry.data),
            "options": dict(entry.options),
            "feeds": [dict(subentry.data) for subentry in entry.subentries.values()],
            "hub": asdict(coordinator.hub_view()),
            "refused_messages": dict(hub.refused_messages),
            "record": await _async_record(entry),
            "devices": [_device(view) for view in views if view is not None],
            "devices_left_out": max(0, len(known) - _DEVICES),
        }
    )


def _connection(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return how the broker is reached, and nothing of where it is or how it lets the hub in."""
    return {
        CONF_TRANSPORT: data[CONF_TRANSPORT],
        CONF_PROTOCOL: data.get(CONF_PROTOCOL),
        CONF_FRAMING: data.get(CONF_REACHED_BY, {}).get(CONF_FRAMING),
        CONF_TLS: data.get(CONF_ENCRYPTION, {}).get(CONF_TLS),
    }


async def _async_record(entry: FirmwareHubConfigEntry) -> dict[str, object]:
    try:
        return {
            "head": await entry.runtime_data.store.async_head(),
            "newest": await entry.runtime_data.store.async_history(limit=50),
        }
    except HubError as error:
        return {"unreadable": error.reason.value}


def _device(view: DeviceView) -> dict[str, Any]:
    offer = view.offer
    return {
        "device": asdict(view.device),
        "offer": {"version": offer.version, "trust": offer.trust, "digest": offer.digest} if offer else None,
        "install": _install(view.install),
        "last": _install(view.last),
        "state": view.state,
        "reason": view.reason,
        "reason_values": view.reason_values,
        "starts_at": view.starts_at,
        "online": view.online,
        "battery_percent": view.battery_percent,
    }


def _install(install: Install | None) -> dict[str, Any] | None:
    if install is None:
        return None
    left_out = {"offer", "approval", "detail"}
    values = {field.name: getattr(install, field.name) for field in fields(install) if field.name not in left_out}
    return {**values, "identity": asdict(install.identity), "version": install.offer.version}


def _redacted(data: dict[str, Any]) -> dict[str, Any]:
    redacted: dict[str, Any] = async_redact_data({key: _json(value) for key, value in data.items()}, _SECRET)
    return redacted


def _json(value: object) -> object:
    """Return plain JSON with every text shortened where it tells more than a bug report needs."""
    match value:
        case str() | Enum():
            return _shortened(str(value.value if isinstance(value, Enum) else value))
        case Mapping():
            return {_shortened(str(key)): _json(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_json(item) for item in value]
        case datetime():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
    return value


def _shortened(text: str) -> str:
    without_query = _URL.sub(lambda found: _without_query(found[0]), text)
    return _IEEE.sub(rf"\1{REDACTED}", _MAC.sub(rf"\1{REDACTED}", without_query))


def _without_query(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}{parts.path}"
