"""Setting up: the hub in one step, its options, and the owner's vendor feeds."""

from collections.abc import Mapping
from typing import Any, Final, override

import voluptuous as vol
from homeassistant.config_entries import (
    ConfigEntry,
    ConfigFlowResult,
    ConfigSubentryFlow,
    OptionsFlow,
)
from homeassistant.const import Platform
from homeassistant.core import callback
from homeassistant.data_entry_flow import section
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.selector import (
    BooleanSelector,
    EntitySelector,
    EntitySelectorConfig,
    EntityWithDeviceFilterSelectorConfig,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
from homeassistant.helpers.service_info.mqtt import MqttServiceInfo

from .broker_flow import BrokerSteps
from .config_values import BUILT_IN_FEEDS, DEFAULTS, authority_key, enabled_key, mirror_key
from .const import (
    CONF_ANY_TIME,
    CONF_PARALLEL_INSTALLS,
    CONF_PAUSED,
    CONF_PUBLIC_SOURCES,
    CONF_SERVING,
    CONF_SETTLE_MINUTES,
    CONF_TRANSPORT,
    CONF_WEEKDAYS,
    DOMAIN,
    SUBENTRY_FEED,
    TITLE,
    TRANSPORT_BROKER,
    TRANSPORT_HA_MQTT,
    WEEKDAYS,
)
from .entity import device_id_of, update_entity_id
from .feed_flow import FeedSubentryFlow
from .forms import (
    authority_value,
    number,
    serving_errors,
    serving_fields,
    serving_values,
    url_error,
    window_fields,
)

_MAX_PARALLEL: Final = 50
_MAX_SETTLE_MINUTES: Final = 7 * 24 * 60
_TOPICS_NOTED: Final = 10
"""Home Assistant notes with an entry the last topics on which it was found, to offer it again once it is removed."""


class FirmwareHubConfigFlow(BrokerSteps, domain=DOMAIN):
    """One step for Home Assistant's own MQTT, a second one for another broker."""

    VERSION = 1
    MINOR_VERSION = 1

    @override
    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask which broker."""
        errors: dict[str, str] = {}
        if user_input is not None:
            if user_input[CONF_TRANSPORT] == TRANSPORT_BROKER:
                return await self.async_step_broker()
            # A person who comes while Home Assistant itself offers the hub is not turned away.
            await self._async_claim(TRANSPORT_HA_MQTT, alone=False)
            if self.hass.config_entries.async_loaded_entries("mqtt"):
                return self._create(TRANSPORT_HA_MQTT)
            errors["base"] = "mqtt_unavailable"
        return self.async_show_form(step_id="user", data_schema=self._brokers(), errors=errors)

    def _brokers(self) -> vol.Schema:
        taken = self.hass.config_entries.async_entry_for_domain_unique_id(DOMAIN, TRANSPORT_HA_MQTT) is not None
        default = TRANSPORT_BROKER if taken else TRANSPORT_HA_MQTT
        return vol.Schema({vol.Required(CONF_TRANSPORT, default=default): _TRANSPORT})

    @override
    async def async_step_mqtt(self, discovery_info: MqttServiceInfo) -> ConfigFlowResult:
        """Be offered by Home Assistant because a device that the hub can keep current announced itself.

        For Tasmota this is its last will: its discovery topic belongs to Tasmota's own integration, and Home Assistant
        gives a message that two integrations ask for to the first of them only.
        """
        entry = self.hass.config_entries.async_entry_for_domain_unique_id(DOMAIN, TRANSPORT_HA_MQTT)
        if entry is not None and len(entry.discovery_keys.get("mqtt", ())) >= _TOPICS_NOTED:
            # Whoever has a thousand devices would otherwise pay for a thousand changes of the entry at each start.
            return self.async_abort(reason="already_configured")
        await self._async_claim(TRANSPORT_HA_MQTT)
        if not discovery_info.payload:
            return self.async_abort(reason="invalid_discovery_info")
        # Without it the card of the offer shows the domain until the texts of the integration are there.
        self.context["title_placeholders"] = {"name": TITLE}
        return await self.async_step_confirm()

    async def async_step_confirm(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask whether the offer is welcome."""
        if user_input is not None:
            return self._create(TRANSPORT_HA_MQTT)
        self._set_confirm_only()
        return self.async_show_form(step_id="confirm")

    async def _async_claim(self, transport: str, *, alone: bool = True) -> None:
        await self.async_set_unique_id(transport, raise_on_progress=alone)
        self._abort_if_unique_id_configured(reload_on_update=False)

    @callback
    def _create(self, transport: str) -> ConfigFlowResult:
        return self.async_create_entry(title=TITLE, data={CONF_TRANSPORT: transport})

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: ConfigEntry) -> FirmwareHubOptionsFlow:
        """Return the flow of the options."""
        return FirmwareHubOptionsFlow()

    @classmethod
    @callback
    @override
    def async_get_supported_subentry_types(cls, config_entry: ConfigEntry) -> dict[str, type[ConfigSubentryFlow]]:
        """Return what can be added to an entry."""
        return {SUBENTRY_FEED: FeedSubentryFlow}


class FirmwareHubOptionsFlow(OptionsFlow):
    """The owner's settings; the entry's update listener applies them in place."""

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Show and take the settings."""
        errors: dict[str, str] = {}
        if user_input is not None:
            errors = _option_errors(user_input)
            if not errors:
                return self.async_create_entry(data=self._stored(user_input))
            user_input = {**user_input, CONF_PUBLIC_SOURCES: _source_values(user_input[CONF_PUBLIC_SOURCES])}
        options = self.config_entry.options
        before = user_input or {**options, CONF_ANY_TIME: self._entity_ids(options.get(CONF_ANY_TIME, ()))}
        return self.async_show_form(step_id="init", data_schema=self._schema(before), errors=errors)

    def _schema(self, before: Mapping[str, Any]) -> vol.Schema:
        settle = int(DEFAULTS.pilot_settle.total_seconds() // 60)
        return vol.Schema(
            {
                **window_fields(before),
                vol.Required(CONF_WEEKDAYS, default=before.get(CONF_WEEKDAYS, list(WEEKDAYS))): _WEEKDAYS,
                vol.Required(
                    CONF_PARALLEL_INSTALLS, default=before.get(CONF_PARALLEL_INSTALLS, DEFAULTS.parallel_installs)
                ): number(1, _MAX_PARALLEL),
                vol.Required(CONF_SETTLE_MINUTES, default=before.get(CONF_SETTLE_MINUTES, settle)): number(
                    0, _MAX_SETTLE_MINUTES, "min"
                ),
                vol.Optional(CONF_ANY_TIME, default=before.get(CONF_ANY_TIME, [])): _UPDATE_ENTITIES,
                vol.Required(CONF_PUBLIC_SOURCES): section(
                    vol.Schema(_source_fields(before.get(CONF_PUBLIC_SOURCES, {}))), {"collapsed": True}
                ),
                vol.Required(CONF_SERVING): section(
                    vol.Schema(serving_fields(before.get(CONF_SERVING, {}))), {"collapsed": True}
                ),
            }
        )

    def _entity_ids(self, device_ids: list[str]) -> list[str]:
        """Return the update entities of devices."""
        found = (update_entity_id(self.hass, self.config_entry.entry_id, device_id) for device_id in device_ids)
        return [entity_id for entity_id in found if entity_id is not None]

    def _device_ids(self, entity_ids: list[str]) -> list[str]:
        """Return the devices of the chosen entities; a chosen device that has no entity just now stays chosen."""
        entry = self.config_entry
        before = entry.options.get(CONF_ANY_TIME, ())
        chosen = {item for item in before if update_entity_id(self.hass, entry.entry_id, item) is None}
        for entity_id in entity_ids:
            entity = er.async_get(self.hass).async_get(entity_id)
            if entity is not None and entity.config_entry_id == entry.entry_id and (found := device_id_of(entity)):
                chosen.add(found)
        return sorted(chosen)

    def _stored(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return {
            **given,
            CONF_PARALLEL_INSTALLS: int(given[CONF_PARALLEL_INSTALLS]),
            CONF_SETTLE_MINUTES: int(given[CONF_SETTLE_MINUTES]),
            CONF_ANY_TIME: self._device_ids(given.get(CONF_ANY_TIME, [])),
            CONF_PUBLIC_SOURCES: _source_values(given[CONF_PUBLIC_SOURCES]),
            CONF_SERVING: serving_values(given[CONF_SERVING]),
            CONF_PAUSED: self.config_entry.options.get(CONF_PAUSED, False),
        }


_WEEKDAYS: Final = SelectSelector(
    SelectSelectorConfig(
        options=list(WEEKDAYS), multiple=True, mode=SelectSelectorMode.LIST, translation_key=CONF_WEEKDAYS
    )
)
_UPDATE_ENTITIES: Final = EntitySelector(
    EntitySelectorConfig(
        filter=EntityWithDeviceFilterSelectorConfig(integration=DOMAIN, domain=Platform.UPDATE), multiple=True
    )
)
_TRANSPORT: Final = SelectSelector(
    SelectSelectorConfig(
        options=[TRANSPORT_HA_MQTT, TRANSPORT_BROKER], mode=SelectSelectorMode.LIST, translation_key=CONF_TRANSPORT
    )
)
_URL: Final = TextSelector(TextSelectorConfig(type=TextSelectorType.URL))
_PEM: Final = TextSelector(TextSelectorConfig(multiline=True))


def _source_fields(before: Mapping[str, Any]) -> dict[Any, Any]:
    fields: dict[Any, Any] = {}
    for feed in BUILT_IN_FEEDS:
        enabled, mirror, authority = enabled_key(feed), mirror_key(feed), authority_key(feed)
        fields[vol.Required(enabled, default=before.get(enabled, feed.enabled))] = BooleanSelector()
        fields[vol.Optional(mirror, description={"suggested_value": before.get(mirror, "")})] = _URL
        fields[vol.Optional(authority, description={"suggested_value": before.get(authority, "")})] = _PEM
    return fields


def _source_values(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the public sources as they are stored; of what is pasted as an authority, nothing but certificates."""
    authorities = {
        key: authority_value(given[key])[0] for feed in BUILT_IN_FEEDS if (key := authority_key(feed)) in given
    }
    return {**given, **authorities}


def _option_errors(given: Mapping[str, Any]) -> dict[str, str]:
    errors: dict[str, str] = {}
    if not given[CONF_WEEKDAYS]:
        errors[CONF_WEEKDAYS] = "no_weekday"
    mirrors = (given[CONF_PUBLIC_SOURCES].get(mirror_key(feed), "") for feed in BUILT_IN_FEEDS)
    for fault in (url_error(url) for url in mirrors if url):
        if fault is not None:
            errors[CONF_PUBLIC_SOURCES] = fault
    for feed in BUILT_IN_FEEDS:
        url = given[CONF_PUBLIC_SOURCES].get(mirror_key(feed)) or feed.url
        _, unusable = authority_value(given[CONF_PUBLIC_SOURCES].get(authority_key(feed), ""), url)
        if unusable is not None:
            errors[CONF_PUBLIC_SOURCES] = unusable
    if serving_errors(given[CONF_SERVING]):
        errors[CONF_SERVING] = "not_an_address"
    return errors
