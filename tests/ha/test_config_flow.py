"""Setting up: one step, offered by Home Assistant itself, never twice."""

from unittest.mock import MagicMock

import pytest
from homeassistant.config_entries import SOURCE_MQTT, SOURCE_USER, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers.service_info.mqtt import MqttServiceInfo
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_mqtt_message

from custom_components.firmware_hub.const import CONF_TRANSPORT, DOMAIN, TRANSPORT_HA_MQTT
from tests.ha.home import Home, until


def message(payload: str = "online") -> MqttServiceInfo:
    """Return a discovery message as Home Assistant hands it to a flow."""
    return MqttServiceInfo("fwhub/device/plug-1/availability", payload, 0, True, "fwhub/device/+/availability", 0)


async def test_a_person_sets_it_up_in_one_step(hass: HomeAssistant, mqtt_mock: MagicMock, socket_enabled: None) -> None:
    form = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    assert (form["type"], form["step_id"]) == (FlowResultType.FORM, "user")
    done = await hass.config_entries.flow.async_configure(form["flow_id"], {})
    assert done["type"] is FlowResultType.CREATE_ENTRY
    assert done["title"] == "Firmware Hub"
    assert done["data"] == {CONF_TRANSPORT: TRANSPORT_HA_MQTT}
    assert done["result"].unique_id == TRANSPORT_HA_MQTT
    await hass.async_block_till_done()
    assert done["result"].state is ConfigEntryState.LOADED


async def test_without_mqtt_it_says_what_is_missing_and_can_be_tried_again(
    hass: HomeAssistant, request: pytest.FixtureRequest, socket_enabled: None
) -> None:
    form = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    again = await hass.config_entries.flow.async_configure(form["flow_id"], {})
    assert again["errors"] == {"base": "mqtt_unavailable"}
    MockConfigEntry(domain="mqtt", data={"broker": "127.0.0.1"}).add_to_hass(hass)
    still = await hass.config_entries.flow.async_configure(form["flow_id"], {})
    assert still["errors"] == {"base": "mqtt_unavailable"}


async def test_it_is_set_up_once_only(home: Home) -> None:
    form = await home.hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    answer = await home.hass.config_entries.flow.async_configure(form["flow_id"], {CONF_TRANSPORT: TRANSPORT_HA_MQTT})
    assert (answer["type"], answer["reason"]) == (FlowResultType.ABORT, "already_configured")


async def test_home_assistant_offers_it(hass: HomeAssistant, mqtt_mock: MagicMock, socket_enabled: None) -> None:
    form = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_MQTT}, data=message())
    assert (form["type"], form["step_id"]) == (FlowResultType.FORM, "confirm")
    done = await hass.config_entries.flow.async_configure(form["flow_id"], {})
    assert done["type"] is FlowResultType.CREATE_ENTRY
    assert done["result"].unique_id == TRANSPORT_HA_MQTT


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("tele/tasmota_A1B2C3/LWT", "Online"),
        ("fwhub/device/plug-1/availability", "online"),
        ("shellies/shelly1-B929CC/online", "true"),
        ("zigbee2mqtt/bridge/devices", "[]"),
    ],
)
async def test_a_real_message_on_the_broker_makes_the_offer(
    hass: HomeAssistant, mqtt_mock: MagicMock, topic: str, payload: str
) -> None:
    async_fire_mqtt_message(hass, topic, payload, 0, True)
    await until(lambda: hass.config_entries.flow.async_progress_by_handler(DOMAIN))
    (flow,) = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
    assert flow["step_id"] == "confirm"


async def test_a_person_is_not_turned_away_while_it_is_offered(
    hass: HomeAssistant, mqtt_mock: MagicMock, socket_enabled: None
) -> None:
    await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_MQTT}, data=message())
    form = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    done = await hass.config_entries.flow.async_configure(form["flow_id"], {})
    assert done["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    assert hass.config_entries.flow.async_progress_by_handler(DOMAIN) == []


async def test_many_devices_make_one_offer(hass: HomeAssistant, mqtt_mock: MagicMock) -> None:
    first = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_MQTT}, data=message())
    second = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_MQTT}, data=message("offline"))
    assert first["type"] is FlowResultType.FORM
    assert (second["type"], second["reason"]) == (FlowResultType.ABORT, "already_in_progress")


async def test_a_cleared_announcement_is_no_offer(hass: HomeAssistant, mqtt_mock: MagicMock) -> None:
    answer = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_MQTT}, data=message(""))
    assert (answer["type"], answer["reason"]) == (FlowResultType.ABORT, "invalid_discovery_info")


async def test_many_devices_do_not_change_the_entry_each(home: Home) -> None:
    for number in range(15):
        await home.say(f"plug-{number}", "availability", "online")
    noted = home.entry.discovery_keys["mqtt"]
    assert [key.key for key in noted] == [f"fwhub/device/plug-{number}/availability" for number in range(10)]


async def test_nothing_is_offered_when_it_is_there(home: Home) -> None:
    answer = await home.hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_MQTT}, data=message())
    assert (answer["type"], answer["reason"]) == (FlowResultType.ABORT, "already_configured")
