"""Fix flows: the choices that an owner has when something went wrong."""

from collections.abc import Mapping
from typing import Any, Final

import voluptuous as vol
from homeassistant.components.http.const import KEY_HASS_USER
from homeassistant.components.repairs import RepairsFlow, RepairsFlowResult
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.http import current_request

from .const import CONF_ANY_TIME, CONF_SERVING, DOMAIN
from .coordinator import FirmwareHubConfigEntry
from .core.effects import IssueKind
from .core.errors import HubError
from .core.inputs import (
    ApproveRequested,
    CheckRequested,
    KeysRefused,
    ModelReleased,
    OrderClearRequested,
    PersonInput,
    RetryRequested,
    UnapproveRequested,
)
from .forms import serving_errors, serving_fields, serving_values, window_fields
from .other_updaters import disable_others
from .words import sentence

type IssueData = Mapping[str, str | int | float | None]

CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    IssueKind.INSTALL_FAILED: ("retry", "leave"),
    IssueKind.DEVICE_DARK: ("retry", "leave"),
    IssueKind.MODEL_STOPPED: ("go_on", "stay"),
    IssueKind.MANIFEST_REFUSED: ("check", "stay"),
    IssueKind.KEY_ROTATION: ("refuse_keys", "stay"),
    IssueKind.ADDRESS_UNREACHABLE: ("address", "stay"),
    IssueKind.STORE_REPLACED: ("leave",),
    IssueKind.WINDOW_TOO_SHORT: ("any_time", "window", "skip", "stay"),
    IssueKind.LASTING_COMMAND: ("clear", "stay"),
    IssueKind.OTHER_UPDATER: ("disable_others", "leave_both"),
    IssueKind.WINDOWS_MISSED: ("now", "any_time", "window", "skip", "stay"),
}
"""What the owner can do about each kind; every choice is a step below."""


async def async_create_fix_flow(_hass: HomeAssistant, _issue_id: str, data: IssueData | None) -> RepairsFlow:
    """Return the flow of an issue; its kind decides the choices, never its id."""
    return HubRepairFlow(data or {})


class HubRepairFlow(RepairsFlow):
    """A menu of choices, and what each of them does."""

    def __init__(self, data: IssueData) -> None:
        self._kind = str(data.get("kind", ""))
        self._entry_id = str(data.get("entry_id", ""))
        self._device_id = str(data.get("device_id", ""))
        self._subject = str(data.get("subject", ""))
        self._version = str(data["version"]) if data.get("version") else None

    async def async_step_init(self, _user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Say what happened and offer the choices."""
        if self._loaded_entry() is None:
            return self.async_abort(reason="not_loaded")
        return self.async_show_menu(
            step_id="init", menu_options=list(CHOICES[self._kind]), description_placeholders=self._places()
        )

    # --- a failed install --------------------------------------------------------------------------------------------

    async def async_step_retry(self, _user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Try again in the next window."""
        return await self._async_ask(RetryRequested(self._device_id, by=_asked_by()))

    async def async_step_leave(self, _user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Leave the device as it is; the notice has been read."""
        return self.async_create_entry(data={})

    # --- a stopped model, a refused manifest, keys -------------------------------------------------------------------

    async def async_step_go_on(self, _user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Let the other devices of the model go on."""
        return await self._async_ask(ModelReleased(self._device_id, by=_asked_by()))

    async def async_step_check(self, _user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Ask the vendor again; a new refusal comes back as the same issue."""
        return await self._async_ask(CheckRequested(by=_asked_by()))

    async def async_step_refuse_keys(self, _user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Never trust the keys that a feed announced."""
        return await self._async_ask(KeysRefused(self._subject, by=_asked_by()))

    async def async_step_stay(self, _user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Change nothing and keep the issue as a reminder."""
        return self.async_abort(reason="unchanged")

    async def async_step_clear(self, _user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Have the broker forget an order that somebody left lying there."""
        return await self._async_ask(OrderClearRequested(self._subject, by=_asked_by()))

    # --- a second update entity --------------------------------------------------------------------------------------

    async def async_step_disable_others(self, _user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Leave the hub as the only way to update."""
        if (entry := self._loaded_entry()) is None:
            return self.async_abort(reason="not_loaded")
        disable_others(self.hass, entry, self._subject)
        return self.async_create_entry(data={})

    async def async_step_leave_both(self, _user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Keep both ways, and do not ask again."""
        ir.async_ignore_issue(self.hass, DOMAIN, self.issue_id, True)
        return self.async_abort(reason="left_both")

    # --- quiet hours that do not suffice -----------------------------------------------------------------------------

    async def async_step_now(self, _user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Do not wait for the window; it is a yes to the version that the repair names, and to no other."""
        return await self._async_ask(ApproveRequested(self._device_id, _asked_by(), self._version, at_once=True))

    async def async_step_any_time(self, _user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Let this device be installed at any hour."""
        if (entry := self._loaded_entry()) is None:
            return self.async_abort(reason="not_loaded")
        chosen = {*entry.options.get(CONF_ANY_TIME, ()), self._device_id}
        return self._set_options(entry, {CONF_ANY_TIME: sorted(chosen)})

    async def async_step_window(self, user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Set a longer window."""
        if (entry := self._loaded_entry()) is None:
            return self.async_abort(reason="not_loaded")
        if user_input is not None:
            return self._set_options(entry, user_input)
        return self.async_show_form(
            step_id="window",
            data_schema=vol.Schema(window_fields(entry.options)),
            description_placeholders=self._places(),
        )

    async def async_step_skip(self, _user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Take the approval back."""
        return await self._async_ask(UnapproveRequested(self._device_id, by=_asked_by(), skip=True))

    # --- an address that no device can reach -------------------------------------------------------------------------

    async def async_step_address(self, user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Set the address and the port under which devices fetch their firmware."""
        if (entry := self._loaded_entry()) is None:
            return self.async_abort(reason="not_loaded")
        errors = {} if user_input is None else serving_errors(user_input)
        if user_input is not None and not errors:
            return self._set_options(entry, {CONF_SERVING: serving_values(user_input)})
        return self.async_show_form(
            step_id="address",
            data_schema=vol.Schema(serving_fields(user_input or entry.options.get(CONF_SERVING, {}))),
            errors=errors,
            description_placeholders=self._places(),
        )

    # --- shared ------------------------------------------------------------------------------------------------------

    def _loaded_entry(self) -> FirmwareHubConfigEntry | None:
        entry: FirmwareHubConfigEntry | None = self.hass.config_entries.async_get_entry(self._entry_id)
        return entry if entry is not None and entry.state is ConfigEntryState.LOADED else None

    def _places(self) -> Mapping[str, str] | None:
        issue = ir.async_get(self.hass).async_get_issue(DOMAIN, self.issue_id)
        return issue.translation_placeholders if issue else None

    async def _async_ask(self, item: PersonInput) -> RepairsFlowResult:
        if (entry := self._loaded_entry()) is None:
            return self.async_abort(reason="not_loaded")
        try:
            await entry.runtime_data.async_ask(item)
        except HubError as error:
            said = sentence(self.hass, error.reason, {"detail": error.detail})
            return self.async_abort(reason="refused", description_placeholders={"reason": said})
        return self.async_create_entry(data={})

    def _set_options(self, entry: FirmwareHubConfigEntry, changes: Mapping[str, Any]) -> RepairsFlowResult:
        self.hass.config_entries.async_update_entry(entry, options={**entry.options, **changes})
        return self.async_create_entry(data={})


def _asked_by() -> str:
    """Return who answers: repairs are answered over HTTP, by an administrator."""
    request = current_request.get()
    user = request.get(KEY_HASS_USER) if request is not None else None
    return user.id if user is not None else "repair"
