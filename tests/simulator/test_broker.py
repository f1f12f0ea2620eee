"""The broker process and the tap that counts commands at it."""

import json
from datetime import UTC, datetime

import aiomqtt
import pytest

from simulator.broker import Broker, BrokerFailed, BrokerTap, find_mosquitto


async def hear_one(broker: Broker, topic: str) -> aiomqtt.Message:
    async with aiomqtt.Client(broker.host, broker.port) as client:
        await client.subscribe(topic)
        return await anext(client.messages)


async def test_the_broker_accepts_connections_as_soon_as_start_returns(broker: Broker) -> None:
    async with aiomqtt.Client(broker.host, broker.port) as client:
        await client.publish("a", "b")


async def test_a_restart_keeps_the_port_and_the_retained_messages(broker: Broker) -> None:
    port = broker.port
    async with aiomqtt.Client(broker.host, broker.port) as client:
        await client.publish("a", "kept", qos=1, retain=True)

    await broker.async_restart()

    assert broker.port == port
    assert (await hear_one(broker, "a")).payload == b"kept"


async def test_a_forgetful_broker_comes_back_empty() -> None:
    async with Broker(remembers=False) as broker:
        async with aiomqtt.Client(broker.host, broker.port) as client:
            await client.publish("a", "old", qos=1, retain=True)
        await broker.async_restart()
        async with aiomqtt.Client(broker.host, broker.port) as client:
            await client.subscribe("a")
            await client.publish("a", "new")
            assert (await anext(client.messages)).payload == b"new"


async def test_a_stopped_broker_refuses_connections(broker: Broker) -> None:
    await broker.async_stop()

    with pytest.raises(aiomqtt.MqttError):
        async with aiomqtt.Client(broker.host, broker.port):
            pass


def test_a_port_in_use_is_said_in_the_brokers_own_words(broker: Broker) -> None:
    with pytest.raises(BrokerFailed, match="in use"):
        Broker(port=broker.port).start()


@pytest.mark.skipif(find_mosquitto() is None, reason="amqtt has no users here")
async def test_a_broker_with_users_refuses_strangers() -> None:
    async with Broker(users={"hub": "secret"}) as broker:
        with pytest.raises(aiomqtt.MqttError):
            async with aiomqtt.Client(broker.host, broker.port):
                pass
        async with aiomqtt.Client(broker.host, broker.port, username="hub", password="secret") as client:
            await client.publish("a", "b")


async def test_the_embedded_broker_keeps_retained_messages_while_it_runs() -> None:
    async with Broker("amqtt") as broker:
        assert broker.name.startswith("amqtt ")
        async with aiomqtt.Client(broker.host, broker.port) as client:
            await client.publish("a", "kept", qos=1, retain=True)
        assert (await hear_one(broker, "a")).payload == b"kept"


async def test_settle_waits_for_all_that_the_broker_had_received(broker: Broker, tap: BrokerTap) -> None:
    async with aiomqtt.Client(broker.host, broker.port) as client:
        for number in range(500):
            await client.publish("a", str(number), qos=1)
        await tap.settle()

    assert [seen.text for seen in tap.on("a")] == [str(number) for number in range(500)]


async def test_the_tap_goes_on_after_the_broker_was_gone(broker: Broker, tap: BrokerTap) -> None:
    await broker.async_restart()
    async with aiomqtt.Client(broker.host, broker.port) as client:
        await tap.settle()
        await client.publish("a", "later")

    assert (await tap.wait_for_message(lambda seen: seen.topic == "a")).text == "later"


def order(attempt: str) -> str:
    return json.dumps({"command": "install", "id": attempt, "url": f"http://x/{attempt}"})


async def test_install_commands_are_counted_per_device_and_attempt(tap: BrokerTap) -> None:
    await tap.publish("fwhub/device/plug/command", order("one"))
    await tap.publish("fwhub/device/plug/command", order("one"))
    await tap.publish("fwhub/device/lamp/command", order("two"))
    await tap.publish("fwhub/device/lamp/command", '{"command":"report"}')
    await tap.settle()

    assert tap.attempts() == {("plug", "one"): 2, ("lamp", "two"): 1}
    assert [command.device for command in tap.duplicates()] == ["plug"]
    assert [command.attempt for command in tap.install_commands("lamp")] == ["two"]


async def test_tasmota_commands_are_told_apart_by_the_address_of_the_image(tap: BrokerTap) -> None:
    await tap.publish("cmnd/boiler/OtaUrl", "http://h/1/t.bin")
    await tap.publish("cmnd/boiler/Upgrade", "1")
    await tap.publish("cmnd/boiler/Backlog", "OtaUrl http://h/2/t.bin; Upgrade 1")
    await tap.publish("cmnd/boiler/STATUS", "2")
    await tap.settle()

    assert [(c.device, c.attempt) for c in tap.install_commands()] == [
        ("boiler", "http://h/1/t.bin"),
        ("boiler", "http://h/2/t.bin"),
    ]


async def test_an_order_of_openbeken_is_one_as_well(tap: BrokerTap) -> None:
    await tap.publish("cmnd/heater/ota_http", "http://h/1/t.bin")
    await tap.publish("cmnd/heater/STATUS", "")
    await tap.settle()

    assert [(c.dialect, c.device, c.attempt) for c in tap.install_commands()] == [
        ("openbeken", "heater", "http://h/1/t.bin")
    ]


ANNOUNCED = {
    "esphome": ("update/node/firmware", {"cmd_t": "a/cmd", "dev": {"name": "node", "sw": "1.2 (ESPHome 2026.10.0)"}}),
    "openmqttgateway": ("update/AABB", {"cmd_t": "a/cmd", "dev": {"name": "node", "mf": "OMG_community"}}),
    "ha_update": ("update/node", {"~": "a", "command_topic": "~/cmd", "device": {"name": "node"}}),
}


@pytest.mark.parametrize("family", ANNOUNCED)
async def test_what_is_announced_to_home_assistant_is_known_as_an_order(tap: BrokerTap, family: str) -> None:
    place, config = ANNOUNCED[family]
    await tap.publish("a/cmd", "INSTALL")
    await tap.publish(f"homeassistant/{place}/config", json.dumps(config), retain=True)
    await tap.publish("a/cmd", "INSTALL")
    await tap.publish("a/cmd", "")
    await tap.settle()

    assert [(c.dialect, c.device) for c in tap.install_commands()] == [(family, "node")]


async def test_of_a_device_that_is_announced_whole_only_the_update_is_an_order(tap: BrokerTap) -> None:
    parts = {"u": {"p": "update", "cmd_t": "a/u"}, "b": {"p": "button", "cmd_t": "a/b"}, "bad": "none"}
    config = json.dumps({"dev": {"name": "node"}, "cmps": parts})
    for topic, payload in (("homeassistant/device/node/config", config), ("a/b", "PRESS"), ("a/u", "INSTALL")):
        await tap.publish(topic, payload)
    await tap.settle()

    assert [(c.dialect, c.device) for c in tap.install_commands()] == [("ha_update", "node")]


async def test_commands_outside_a_window_are_found_by_their_time(tap: BrokerTap) -> None:
    await tap.publish("fwhub/device/plug/command", order("one"))
    await tap.settle()
    now = datetime.now(UTC)

    assert tap.outside(lambda at: at <= now) == []
    assert [command.attempt for command in tap.outside(lambda at: at > now)] == ["one"]


@pytest.mark.skipif(find_mosquitto() is None, reason="only MQTT 5 shows the flag of a live message")
async def test_retained_and_acknowledged_commands_are_found(tap: BrokerTap) -> None:
    await tap.publish("cmnd/boiler/Upgrade", "1", retain=True)
    await tap.publish("fwhub/device/plug/command", order("one"), qos=1)
    await tap.publish("cmnd/boiler/STATUS", "2")
    await tap.publish("homeassistant/update/node/config", '{"cmd_t":"a/cmd"}', retain=True)
    await tap.publish("a/cmd", "INSTALL", retain=True)
    await tap.settle()

    assert [(seen.topic, seen.retain, seen.qos) for seen in tap.lasting_commands()] == [
        ("cmnd/boiler/Upgrade", True, 0),
        ("fwhub/device/plug/command", False, 1),
        ("a/cmd", True, 0),
    ]
