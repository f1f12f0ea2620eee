"""Actions for automations and administrators: approve, take back, install now, check, plan, history, verify."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final

import voluptuous as vol
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import ATTR_CONFIG_ENTRY_ID, ATTR_DEVICE_ID, ATTR_ENTITY_ID
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse, callback
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv, entity_registry as er
from homeassistant.helpers.service import async_get_config_entry, async_register_admin_service
from homeassistant.util import dt as dt_util

from .const import DOMAIN
from .coordinator import FirmwareHubConfigEntry
from .core.errors import HubError
from .core.inputs import ApproveRequested, CheckRequested, UnapproveRequested
from .core.model import DeviceId
from .core.view import PlannedInstall
from .entity import asked_by, device_id_of, update_entity_id
from .markdown import plain, plain_values
from .package_answer import async_verify
from .words import as_ha_error, device_name, local_iso, sentence

ATTR_VERSION: Final = "version"
ATTR_LIMIT: Final = "limit"
ATTR_PATH: Final = "path"
_HISTORY_LIMIT: Final = 1_000
_PLAN_LIMIT: Final = 10_000

_TARGET: Final = {
    vol.Optional(ATTR_ENTITY_ID, default=list): cv.entity_ids,
    vol.Optional(ATTR_DEVICE_ID, default=list): vol.All(cv.ensure_list, [cv.string]),
}
_TARGET_SCHEMA: Final = vol.Schema(_TARGET)
_VERSION_SCHEMA: Final = vol.Schema({**_TARGET, vol.Optional(ATTR_VERSION): cv.string})
_ENTRY_SCHEMA: Final = vol.Schema({vol.Optional(ATTR_CONFIG_ENTRY_ID): cv.string})
_PLAN_SCHEMA: Final = _ENTRY_SCHEMA.extend(
    {vol.Optional(ATTR_LIMIT, default=500): vol.All(vol.Coerce(int), vol.Range(1, _PLAN_LIMIT))}
)
_HISTORY_SCHEMA: Final = _ENTRY_SCHEMA.extend(
    {
        vol.Optional(ATTR_ENTITY_ID): cv.entity_id,
        vol.Optional(ATTR_LIMIT, default=100): vol.All(vol.Coerce(int), vol.Range(1, _HISTORY_LIMIT)),
    }
)
_PACKAGE_SCHEMA: Final = _ENTRY_SCHEMA.extend({vol.Required(ATTR_PATH): cv.path})

type Target = tuple[FirmwareHubConfigEntry, DeviceId]
type Request = ApproveRequested | UnapproveRequested


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Register the actions, all of them for administrators only."""
    optional, only = SupportsResponse.OPTIONAL, SupportsResponse.ONLY
    async_register_admin_service(hass, DOMAIN, "approve", _async_approve, _VERSION_SCHEMA, optional)
    async_register_admin_service(hass, DOMAIN, "install_now", _async_install_now, _VERSION_SCHEMA, optional)
    async_register_admin_service(hass, DOMAIN, "unapprove", _async_unapprove, _TARGET_SCHEMA, optional)
    async_register_admin_service(hass, DOMAIN, "check", _async_check, _ENTRY_SCHEMA)
    async_register_admin_service(hass, DOMAIN, "plan", _async_plan, _PLAN_SCHEMA, only)
    async_register_admin_service(hass, DOMAIN, "history", _async_history, _HISTORY_SCHEMA, only)
    async_register_admin_service(hass, DOMAIN, "verify_package", _async_verify_package, _PACKAGE_SCHEMA, only)


# --- approvals -------------------------------------------------------------------------------------------------------


async def _async_approve(call: ServiceCall) -> ServiceResponse:
    """Say yes for the next window."""
    by, version = asked_by(call.context), call.data.get(ATTR_VERSION)
    return await _async_ask_all(call, lambda device_id: ApproveRequested(device_id, by, version))


async def _async_install_now(call: ServiceCall) -> ServiceResponse:
    """Say yes, and do not wait for the window."""
    by, version = asked_by(call.context), call.data.get(ATTR_VERSION)
    return await _async_ask_all(call, lambda device_id: ApproveRequested(device_id, by, version, at_once=True))


async def _async_unapprove(call: ServiceCall) -> ServiceResponse:
    """Take the yes back."""
    return await _async_ask_all(call, lambda device_id: UnapproveRequested(device_id, asked_by(call.context)))


async def _async_ask_all(call: ServiceCall, request: Callable[[DeviceId], Request]) -> ServiceResponse:
    """Ask for every target; what is refused does not keep the others back, unless nothing else is left."""
    targets = _targets(call)
    answers = await asyncio.gather(*(_async_ask(entry, request(device_id)) for entry, device_id in targets))
    refused = [error for error in answers if error is not None]
    if refused and len(refused) == len(targets):
        raise as_ha_error(refused[0]) from refused[0]
    return {
        "accepted": [
            _named(call.hass, target) for target, error in zip(targets, answers, strict=True) if error is None
        ],
        "refused": [
            {
                **_named(call.hass, target),
                "reason": error.reason.value,
                "reason_text": sentence(call.hass, error.reason),
            }
            for target, error in zip(targets, answers, strict=True)
            if error is not None
        ],
    }


async def _async_ask(entry: FirmwareHubConfigEntry, item: Request) -> HubError | None:
    try:
        await entry.runtime_data.async_ask(item)
    except HubError as error:
        return error
    return None


def _targets(call: ServiceCall) -> list[Target]:
    """Return the hub's devices behind the chosen entities and devices, each once."""
    registry = er.async_get(call.hass)
    found: dict[tuple[str, DeviceId], Target] = {}
    for entity_id in call.data[ATTR_ENTITY_ID]:
        _add_target(call.hass, registry.async_get(entity_id), entity_id, found)
    for device in call.data[ATTR_DEVICE_ID]:
        entities = er.async_entries_for_device(registry, device)
        ours = next((entity for entity in entities if device_id_of(entity) is not None), None)
        _add_target(call.hass, ours, device, found)
    if not found:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="no_target")
    return list(found.values())


def _add_target(
    hass: HomeAssistant, entity: er.RegistryEntry | None, asked: str, found: dict[tuple[str, DeviceId], Target]
) -> None:
    device_id = device_id_of(entity) if entity is not None else None
    if entity is None or device_id is None:
        raise ServiceValidationError(
            translation_domain=DOMAIN, translation_key="not_our_device", translation_placeholders={"target": asked}
        )
    entry: FirmwareHubConfigEntry = async_get_config_entry(hass, DOMAIN, entity.config_entry_id)
    found[entry.entry_id, device_id] = (entry, device_id)


# --- the hub ---------------------------------------------------------------------------------------------------------


async def _async_check(call: ServiceCall) -> None:
    """Ask all feeds for news."""
    for entry in _entries(call):
        try:
            await entry.runtime_data.async_ask(CheckRequested(asked_by(call.context)))
        except HubError as error:
            raise as_ha_error(error) from error


async def _async_plan(call: ServiceCall) -> ServiceResponse:
    """Tell what the coming window would do if all goes as expected; changes nothing."""
    entry = _entry(call)
    planned = entry.runtime_data.hub.plan(dt_util.utcnow())
    view = entry.runtime_data.hub_view()
    return {
        "window_opens": local_iso(view.next_opening),
        "window_open": view.window_open,
        "paused": view.paused,
        "count": len(planned),
        "installs": [_planned(call.hass, entry, item) for item in planned[: call.data[ATTR_LIMIT]]],
    }


async def _async_history(call: ServiceCall) -> ServiceResponse:
    """Read the record, newest first: who approved what, what was sent, how it ended."""
    subject: DeviceId | None = None
    entry = None
    if (entity_id := call.data.get(ATTR_ENTITY_ID)) is not None:
        found: dict[tuple[str, DeviceId], Target] = {}
        _add_target(call.hass, er.async_get(call.hass).async_get(entity_id), entity_id, found)
        ((entry, subject),) = found.values()
    entry = entry or _entry(call)
    store = entry.runtime_data.store
    try:
        rows = await store.async_history(subject=subject, limit=call.data[ATTR_LIMIT])
        head = await store.async_head()
    except HubError as error:
        raise as_ha_error(error) from error
    return {"rows": [plain_values(row) for row in rows], "head": head}


async def _async_verify_package(call: ServiceCall) -> ServiceResponse:
    """Say which release a file is, for which devices, and who vouches for it; or why nobody does."""
    return await async_verify(call.hass, _entry(call), call.data[ATTR_PATH])


def _entries(call: ServiceCall) -> Iterable[FirmwareHubConfigEntry]:
    if ATTR_CONFIG_ENTRY_ID in call.data:
        return [_entry(call)]
    loaded = [
        entry for entry in call.hass.config_entries.async_entries(DOMAIN) if entry.state is ConfigEntryState.LOADED
    ]
    return loaded or [_entry(call)]


def _entry(call: ServiceCall) -> FirmwareHubConfigEntry:
    entry: FirmwareHubConfigEntry = async_get_config_entry(call.hass, DOMAIN, call.data.get(ATTR_CONFIG_ENTRY_ID))
    return entry


# --- responses -------------------------------------------------------------------------------------------------------


def _named(hass: HomeAssistant, target: Target) -> dict[str, Any]:
    entry, device_id = target
    view = entry.runtime_data.device_view(device_id)
    return {
        "hub_device_id": device_id,
        "entity_id": update_entity_id(hass, entry.entry_id, device_id),
        "name": device_name(view.device) if view is not None else None,
    }


def _why(hass: HomeAssistant, error: HubError) -> str:
    return sentence(hass, error.reason, {"detail": error.detail})


def _planned(hass: HomeAssistant, entry: FirmwareHubConfigEntry, item: PlannedInstall) -> dict[str, Any]:
    return {
        **_named(hass, (entry, item.device_id)),
        "version": plain(item.version),
        "starts_at": local_iso(item.starts_at),
        "ends_at": local_iso(item.ends_at),
        "reason": item.reason.value if item.reason else None,
        "reason_text": sentence(hass, item.reason, item.reason_values) or None,
    }
