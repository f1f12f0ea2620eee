"""Setting up on another broker than Home Assistant's: its steps, changing it, and a new password when it refuses."""

from collections.abc import Mapping
from typing import Any, Final

import voluptuous as vol
from homeassistant.config_entries import ConfigEntry, ConfigEntryState, ConfigFlow, ConfigFlowResult
from homeassistant.const import CONF_HOST, CONF_PASSWORD, CONF_PATH, CONF_PORT, CONF_PROTOCOL, CONF_USERNAME
from homeassistant.data_entry_flow import section
from homeassistant.helpers.selector import (
    BooleanSelector,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)

from .config_values import broker_address
from .const import (
    CONF_AUTHORITY,
    CONF_CERTIFICATE,
    CONF_ENCRYPTION,
    CONF_FRAMING,
    CONF_KEY,
    CONF_REACHED_BY,
    CONF_TLS,
    CONF_TRANSPORT,
    TITLE,
    TRANSPORT_BROKER,
)
from .core.errors import OutsideFailed, Reason
from .forms import number
from .transport.broker import BrokerRefused, async_try

_PORT: Final = 1883
_SECRET: Final = TextSelector(TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="current-password"))
_PEM: Final = TextSelector(TextSelectorConfig(multiline=True))
_FRAMING: Final = SelectSelector(
    SelectSelectorConfig(options=["tcp", "websockets"], mode=SelectSelectorMode.DROPDOWN, translation_key=CONF_FRAMING)
)


class BrokerSteps(ConfigFlow):
    """The steps of a config flow that deal with a broker of the owner's choice."""

    async def async_step_broker(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask where the broker is, try it, and set the hub up on it."""
        errors: dict[str, str] = {}
        if user_input is not None:
            data = _data(user_input, {})
            await self.async_set_unique_id(_unique_id(data))
            self._abort_if_unique_id_configured(reload_on_update=False)
            errors = await self._async_faults(data)
            if not errors:
                return self.async_create_entry(title=f"{TITLE} ({data[CONF_HOST]})", data=data)
        return self._ask("broker", user_input or {}, errors)

    async def async_step_reconfigure(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Change where the broker is; the hub's memory of its devices stays."""
        entry = self._get_reconfigure_entry()
        if entry.data[CONF_TRANSPORT] != TRANSPORT_BROKER:
            return self.async_abort(reason="nothing_to_reconfigure")
        errors: dict[str, str] = {}
        if user_input is not None:
            data = _data(user_input, entry.data)
            other = self.hass.config_entries.async_entry_for_domain_unique_id(entry.domain, _unique_id(data))
            if other is not None and other.entry_id != entry.entry_id:
                return self.async_abort(reason="already_configured")
            errors = await self._async_faults(data)
            if not errors:
                return self._saved(entry, data, unique_id=_unique_id(data))
        return self._ask("reconfigure", user_input or entry.data, errors)

    async def async_step_reauth(self, _entry_data: Mapping[str, Any]) -> ConfigFlowResult:
        """Begin again because the broker turned the hub away."""
        return await self.async_step_reauth_confirm()

    async def async_step_reauth_confirm(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the user and the password that the broker knows now."""
        entry = self._get_reauth_entry()
        errors: dict[str, str] = {}
        if user_input is not None:
            data = {**entry.data, CONF_USERNAME: "", CONF_PASSWORD: "", **user_input}
            errors = await self._async_faults(data)
            if not errors:
                return self._saved(entry, data, unique_id=entry.unique_id)
        before = entry.data.get(CONF_USERNAME, "")
        return self.async_show_form(
            step_id="reauth_confirm",
            data_schema=vol.Schema(
                {
                    vol.Optional(CONF_USERNAME, description={"suggested_value": before}): TextSelector(),
                    vol.Optional(CONF_PASSWORD): _SECRET,
                }
            ),
            errors=errors,
            description_placeholders={"host": entry.data[CONF_HOST]},
        )

    def _saved(self, entry: ConfigEntry[Any], data: dict[str, Any], unique_id: str | None) -> ConfigFlowResult:
        """Save the connection. The entry reloads itself when it changed; one that does not run has to be told."""
        if entry.state is not ConfigEntryState.LOADED:
            self.hass.config_entries.async_schedule_reload(entry.entry_id)
        return self.async_update_and_abort(entry, unique_id=unique_id, data=data)

    def _ask(self, step_id: str, before: Mapping[str, Any], errors: dict[str, str]) -> ConfigFlowResult:
        return self.async_show_form(step_id=step_id, data_schema=_schema(before), errors=errors)

    async def _async_faults(self, data: dict[str, Any]) -> dict[str, str]:
        """Try the broker and note the protocol that it speaks; return what is wrong."""
        try:
            data[CONF_PROTOCOL] = await async_try(broker_address(data), self.hass.async_add_executor_job)
        except BrokerRefused:
            return {"base": "invalid_auth"}
        except OutsideFailed as failed:
            return {"base": "certificate" if failed.reason is Reason.TLS_FAILED else "cannot_connect"}
        return {}


def _unique_id(data: Mapping[str, Any]) -> str:
    return f"{data[CONF_HOST].casefold()}:{data[CONF_PORT]}"


def _data(given: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is stored. Secrets are never sent back to a browser: one that is left empty stays as it was."""
    secure, secure_before = given[CONF_ENCRYPTION], before.get(CONF_ENCRYPTION, {})
    data = {
        **given,
        CONF_TRANSPORT: TRANSPORT_BROKER,
        CONF_HOST: given[CONF_HOST].strip(),
        CONF_PORT: int(given[CONF_PORT]),
        CONF_ENCRYPTION: dict(secure),
    }
    if given.get(CONF_USERNAME) and not given.get(CONF_PASSWORD):
        data[CONF_PASSWORD] = before.get(CONF_PASSWORD, "")
    if secure.get(CONF_CERTIFICATE) and not secure.get(CONF_KEY):
        data[CONF_ENCRYPTION][CONF_KEY] = secure_before.get(CONF_KEY, "")
    return data


def _schema(before: Mapping[str, Any]) -> vol.Schema:
    secure, reached = before.get(CONF_ENCRYPTION, {}), before.get(CONF_REACHED_BY, {})
    encryption = vol.Schema(
        {
            vol.Required(CONF_TLS, default=secure.get(CONF_TLS, False)): BooleanSelector(),
            _optional(secure, CONF_AUTHORITY): _PEM,
            _optional(secure, CONF_CERTIFICATE): _PEM,
            vol.Optional(CONF_KEY): _PEM,
        }
    )
    reached_by = vol.Schema(
        {
            vol.Required(CONF_FRAMING, default=reached.get(CONF_FRAMING, "tcp")): _FRAMING,
            vol.Required(CONF_PATH, default=reached.get(CONF_PATH, "/mqtt")): TextSelector(),
        }
    )
    return vol.Schema(
        {
            vol.Required(CONF_HOST, description={"suggested_value": before.get(CONF_HOST, "")}): TextSelector(),
            vol.Required(CONF_PORT, default=before.get(CONF_PORT, _PORT)): number(1, 65_535),
            _optional(before, CONF_USERNAME): TextSelector(),
            vol.Optional(CONF_PASSWORD): _SECRET,
            vol.Required(CONF_ENCRYPTION): section(encryption, {"collapsed": True}),
            vol.Required(CONF_REACHED_BY): section(reached_by, {"collapsed": True}),
        }
    )


def _optional(values: Mapping[str, Any], key: str) -> vol.Marker:
    return vol.Optional(key, description={"suggested_value": values.get(key, "")})
