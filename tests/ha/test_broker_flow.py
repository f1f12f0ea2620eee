"""Another broker than Home Assistant's: set up, changed, refused, and beside a second one."""

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    SOURCE_USER,
    ConfigEntry,
    ConfigEntryState,
    ConfigFlowContext,
    ConfigFlowResult,
)
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import device_registry as dr
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.components.diagnostics import get_diagnostics_for_config_entry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.firmware_hub import async_remove_config_entry_device
from custom_components.firmware_hub.artifact_server import async_get_server
from custom_components.firmware_hub.const import CONF_TRANSPORT, DOMAIN, TRANSPORT_BROKER, TRANSPORT_HA_MQTT
from custom_components.firmware_hub.device_link import own_device_id
from simulator.broker import HOST, Broker, SecondDoor, free_port
from simulator.certificates import Authority
from tests.ha.home import until

USERS = {"hub": "a secret"}
PLAIN: dict[str, Any] = {"encryption": {"tls": False}, "reached_by": {"framing": "tcp", "path": "/mqtt"}}


@pytest.fixture(autouse=True)
def _real_network(socket_enabled: None, mock_hass_config: None) -> None:
    """Let the tests use sockets."""


@pytest.fixture
async def broker(hass: HomeAssistant) -> AsyncIterator[Broker]:
    async with Broker() as broker:
        yield broker
        await leave(hass)


@pytest.fixture
async def guarded(hass: HomeAssistant) -> AsyncIterator[Broker]:
    async with Broker(users=USERS) as broker:
        yield broker
        await leave(hass)


async def leave(hass: HomeAssistant) -> None:
    """Let the hubs go before their broker does."""
    for entry in hass.config_entries.async_loaded_entries(DOMAIN):
        assert await hass.config_entries.async_unload(entry.entry_id)


def where(broker: Broker, **more: Any) -> dict[str, Any]:
    """Return what a person types in."""
    return {"host": HOST, "port": broker.port, **PLAIN, **more}


async def begin(hass: HomeAssistant) -> ConfigFlowResult:
    """Choose another broker."""
    form = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    return await hass.config_entries.flow.async_configure(form["flow_id"], {CONF_TRANSPORT: TRANSPORT_BROKER})


async def set_up(hass: HomeAssistant, given: dict[str, Any]) -> ConfigEntry[Any]:
    """Set a hub up on a broker."""
    form = await begin(hass)
    assert (form["type"], form["step_id"]) == (FlowResultType.FORM, "broker")
    done = await hass.config_entries.flow.async_configure(form["flow_id"], given)
    assert done["type"] is FlowResultType.CREATE_ENTRY, done
    await hass.async_block_till_done()
    entry: ConfigEntry[Any] = done["result"]
    assert entry.state is ConfigEntryState.LOADED
    return entry


async def connected(entry: ConfigEntry[Any]) -> None:
    await until(lambda: entry.runtime_data.hub_view().connected)


async def announce(broker: Broker, name: str) -> None:
    """Let a device say who it is."""
    info = {"protocol": 1, "manufacturer": "Acme", "model": "PLUG-S1", "hardware": "rev2", "version": "1.0.0"}
    async with broker.tap() as tap:
        await tap.publish(f"fwhub/device/{name}/info", json.dumps(info), retain=True)
        await tap.settle()


async def test_the_hub_works_on_a_broker_that_home_assistant_does_not_know(hass: HomeAssistant, broker: Broker) -> None:
    entry = await set_up(hass, where(broker))
    assert entry.title == f"Firmware Hub ({HOST})"
    assert entry.unique_id == f"{HOST}:{broker.port}"
    assert not hass.config_entries.async_entries("mqtt")
    await connected(entry)
    await announce(broker, "plug-1")
    await until(lambda: hass.states.async_all("update"))
    (state,) = hass.states.async_all("update")
    assert state.attributes["installed_version"] == "1.0.0"


async def test_two_hubs_on_two_brokers_know_only_their_own_devices(hass: HomeAssistant, broker: Broker) -> None:
    first = await set_up(hass, where(broker))
    async with Broker() as other:
        second = await set_up(hass, where(other))
        await connected(first)
        await connected(second)
        await announce(broker, "plug-1")
        await announce(other, "plug-2")
        await until(lambda: first.runtime_data.hub_view().devices and second.runtime_data.hub_view().devices)
        assert list(first.runtime_data.hub.device_ids()) == ["open:plug-1"]
        assert list(second.runtime_data.hub.device_ids()) == ["open:plug-2"]
        assert await hass.config_entries.async_unload(second.entry_id)
        assert first.runtime_data.hub_view().connected


async def test_encryption_with_certificates_on_both_sides(hass: HomeAssistant) -> None:
    authority = Authority()
    own = authority.for_client("hub")
    door = SecondDoor(authority.for_server(HOST), clients_of=authority.pem)
    async with Broker(second_door=door) as broker:
        secure = {"tls": True, "authority": authority.pem, "certificate": own.certificate, "key": own.key}
        entry = await set_up(hass, where(broker, port=broker.second_port, encryption=secure))
        await connected(entry)
        assert entry.data["protocol"] == "5"
        await leave(hass)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"username": "hub", "password": "wrong"}, "invalid_auth"),
        ({"encryption": {"tls": True}}, "cannot_connect"),
        ({"encryption": {"tls": True, "authority": "nonsense"}}, "certificate"),
        ({"encryption": {"tls": True, "authority": "größer"}}, "certificate"),
        ({"host": ""}, "cannot_connect"),
    ],
)
async def test_what_does_not_work_is_not_saved_and_can_be_put_right(
    hass: HomeAssistant, guarded: Broker, given: dict[str, Any], error: str
) -> None:
    form = await begin(hass)
    again = await hass.config_entries.flow.async_configure(form["flow_id"], where(guarded, **given))
    assert again["errors"] == {"base": error}
    right = where(guarded, username="hub", password="a secret")
    done = await hass.config_entries.flow.async_configure(form["flow_id"], right)
    assert done["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()


async def test_a_broker_that_is_away_is_said(hass: HomeAssistant) -> None:
    form = await begin(hass)
    again = await hass.config_entries.flow.async_configure(
        form["flow_id"], {"host": HOST, "port": free_port(), **PLAIN}
    )
    assert again["errors"] == {"base": "cannot_connect"}


async def test_one_broker_has_one_hub(hass: HomeAssistant, broker: Broker) -> None:
    await set_up(hass, where(broker))
    form = await begin(hass)
    done = await hass.config_entries.flow.async_configure(form["flow_id"], where(broker))
    assert (done["type"], done["reason"]) == (FlowResultType.ABORT, "already_configured")


async def test_a_new_password_is_asked_for_when_the_broker_refuses_the_old_one(
    hass: HomeAssistant, guarded: Broker
) -> None:
    entry = MockConfigEntry(
        domain=DOMAIN, data={CONF_TRANSPORT: TRANSPORT_BROKER, **where(guarded, username="hub", password="old")}
    )
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: hass.config_entries.flow.async_progress_by_handler(DOMAIN))
    (flow,) = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
    assert flow["step_id"] == "reauth_confirm"
    wrong = await hass.config_entries.flow.async_configure(flow["flow_id"], {"username": "hub", "password": "guess"})
    assert wrong["errors"] == {"base": "invalid_auth"}
    done = await hass.config_entries.flow.async_configure(flow["flow_id"], {"username": "hub", "password": "a secret"})
    assert (done["type"], done["reason"]) == (FlowResultType.ABORT, "reauth_successful")
    await hass.async_block_till_done()
    await connected(entry)


async def test_the_broker_can_move_and_keeps_its_password_and_the_hub_its_memory(
    hass: HomeAssistant, guarded: Broker
) -> None:
    entry = await set_up(hass, where(guarded, username="hub", password="a secret"))
    await connected(entry)
    await announce(guarded, "plug-1")
    await until(lambda: entry.runtime_data.hub_view().devices)
    async with Broker(users=USERS) as moved:
        context = ConfigFlowContext(source=SOURCE_RECONFIGURE, entry_id=entry.entry_id)
        form = await hass.config_entries.flow.async_init(DOMAIN, context=context)
        assert "a secret" not in str(form["data_schema"])
        done = await hass.config_entries.flow.async_configure(form["flow_id"], where(moved, username="hub"))
        assert (done["type"], done["reason"]) == (FlowResultType.ABORT, "reconfigure_successful")
        await hass.async_block_till_done()
        await connected(entry)
        assert entry.data["port"] == moved.port
        assert entry.data["password"] == "a secret"
        assert list(entry.runtime_data.hub.device_ids()) == ["open:plug-1"]
        await leave(hass)


async def test_diagnostics_tell_nothing_that_opens_the_broker(
    hass: HomeAssistant, hass_client: ClientSessionGenerator
) -> None:
    authority = Authority()
    own = authority.for_client("hub")
    async with Broker(users=USERS, second_door=SecondDoor(authority.for_server(HOST))) as broker:
        secure = {"tls": True, "authority": authority.pem, "certificate": own.certificate, "key": own.key}
        given = where(broker, port=broker.second_port, username="hub", password="a secret", encryption=secure)
        entry = await set_up(hass, given)
        await async_setup_component(hass, "diagnostics", {})
        found = await get_diagnostics_for_config_entry(hass, hass_client, entry)
        assert found["data"] == {"transport": "broker", "protocol": "5", "framing": "tcp", "tls": True}
        text = json.dumps(found)
        assert "a secret" not in text
        assert "PRIVATE KEY" not in text
        assert HOST not in text
        await leave(hass)


async def test_one_port_serves_several_hubs_whoever_came_last(hass: HomeAssistant, broker: Broker) -> None:
    first = await set_up(hass, where(broker))
    hass.config_entries.async_update_entry(first, options={"serving": {"address": HOST, "port": 18_127}})
    await hass.async_block_till_done()
    async with Broker() as other:
        await set_up(hass, where(other))
        assert async_get_server(hass)._port == 18_127
        await leave(hass)


async def test_the_last_hub_that_goes_leaves_nothing_behind(
    hass: HomeAssistant, broker: Broker, hass_storage: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hass.config, "cache_path", lambda *parts: str(tmp_path.joinpath(*parts)))
    entry = await set_up(hass, where(broker))
    content = b"an image"
    image = tmp_path / DOMAIN / hashlib.sha256(content).hexdigest()
    image.parent.mkdir(exist_ok=True)
    image.write_bytes(content)
    server = async_get_server(hass)
    server.set_port(free_port(), entry.entry_id)
    await server.async_serve("install", {"t.bin": image}, HOST, entry.entry_id)
    assert await hass.config_entries.async_remove(entry.entry_id)
    await hass.async_block_till_done()
    assert not server._open
    assert not image.exists()
    assert "firmware_hub.artifact_server" not in hass_storage


async def test_a_device_of_a_hub_that_does_not_run_cannot_be_removed(hass: HomeAssistant, broker: Broker) -> None:
    entry = await set_up(hass, where(broker))
    await connected(entry)
    await announce(broker, "plug-1")
    await until(lambda: hass.states.async_all("update"))
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    (device,) = [device for device in devices if own_device_id(device)]
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert not await async_remove_config_entry_device(hass, entry, device)


async def test_home_assistants_own_mqtt_is_changed_elsewhere(hass: HomeAssistant) -> None:
    entry = MockConfigEntry(domain=DOMAIN, data={CONF_TRANSPORT: TRANSPORT_HA_MQTT}, unique_id=TRANSPORT_HA_MQTT)
    entry.add_to_hass(hass)
    done = await entry.start_reconfigure_flow(hass)
    assert (done["type"], done["reason"]) == (FlowResultType.ABORT, "nothing_to_reconfigure")
