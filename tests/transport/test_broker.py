"""A broker of the owner's choice: how it is reached, and what it is believed."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from socket import getaddrinfo
from typing import Any

import aiomqtt
import pytest

from custom_components.firmware_hub.core.errors import OutsideFailed, Reason
from custom_components.firmware_hub.dialects.base import Outgoing
from custom_components.firmware_hub.transport.broker import (
    BrokerAddress,
    BrokerRefused,
    BrokerTransport,
    Protocol,
    async_try,
)
from simulator.broker import HOST, Broker, SecondDoor, free_port
from simulator.certificates import Authority
from simulator.tap import BrokerTap

from .conftest import Heard, no_thread, unexpected

USERS = {"hub": "a secret"}


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def stranger() -> Authority:
    return Authority("Somebody else")


@pytest.fixture
async def guarded(authority: Authority) -> AsyncIterator[Broker]:
    """A broker that shows a certificate, wants one of its clients, and knows its users."""
    door = SecondDoor(authority.for_server(HOST), clients_of=authority.pem)
    async with Broker(users=USERS, second_door=door) as broker:
        yield broker


@pytest.fixture
def address(guarded: Broker, authority: Authority) -> BrokerAddress:
    """All that is needed to be let in."""
    own = authority.for_client("firmware-hub")
    return BrokerAddress(
        HOST,
        guarded.second_port,
        username="hub",
        password="a secret",
        tls=True,
        authority=authority.pem,
        certificate=own.certificate,
        key=own.key,
    )


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_messages_go_both_ways_through_tls(address: BrokerAddress, heard: Heard, protocol: Protocol) -> None:
    transport = BrokerTransport(replace(address, protocol=protocol), "hub", no_thread, unexpected)
    await transport.async_start(heard.on_message, heard.on_link)
    await transport.async_subscribe(["echo/#"])
    await heard.link(connected=True)
    await transport.async_publish(Outgoing("echo/1", "größer"))
    assert (await heard.message("größer".encode())).topic == "echo/1"
    await transport.async_stop()


async def test_the_newest_protocol_that_the_broker_speaks_is_found(address: BrokerAddress) -> None:
    assert await async_try(address, no_thread) == "5"


async def test_a_broker_that_speaks_only_3_1_1_is_reached_through_a_websocket(heard: Heard) -> None:
    async with Broker("amqtt", second_door=SecondDoor()) as broker, broker.tap() as tap:
        address = BrokerAddress(HOST, broker.second_port, framing="websockets", path="/")
        protocol = await async_try(address, no_thread)
        assert protocol == "3.1.1"
        transport = BrokerTransport(replace(address, protocol=protocol), "hub", no_thread, unexpected)
        await transport.async_start(heard.on_message, heard.on_link)
        await transport.async_subscribe(["echo/#"])
        await heard.link(connected=True)
        await tap.publish("echo/1", "a word")
        await heard.message(b"a word")
        await transport.async_stop()


async def test_a_broker_whose_certificate_nobody_vouches_for_is_not_believed(
    address: BrokerAddress, stranger: Authority
) -> None:
    with pytest.raises(OutsideFailed) as caught:
        await async_try(replace(address, authority=stranger.pem), no_thread)
    assert caught.value.reason is Reason.TLS_FAILED


async def test_a_certificate_for_another_host_is_not_believed(authority: Authority) -> None:
    async with Broker(second_door=SecondDoor(authority.for_server("broker.example"))) as broker:
        address = BrokerAddress(HOST, broker.second_port, tls=True, authority=authority.pem)
        with pytest.raises(OutsideFailed) as caught:
            await async_try(address, no_thread)
    assert caught.value.reason is Reason.TLS_FAILED


@pytest.mark.parametrize(
    "broken", [{"authority": "no certificate"}, {"certificate": "none"}, {"key": "-----BEGIN PRIVATE KEY-----"}]
)
async def test_what_is_no_certificate_is_refused_before_anything_is_sent(
    address: BrokerAddress, heard: Heard, broken: dict[str, Any]
) -> None:
    transport = BrokerTransport(replace(address, **broken), "hub", no_thread, unexpected)
    with pytest.raises(OutsideFailed) as caught:
        await transport.async_start(heard.on_message, heard.on_link)
    assert caught.value.reason is Reason.TLS_FAILED
    await transport.async_stop()


async def test_a_wrong_password_is_told_apart_from_a_broker_that_is_away(address: BrokerAddress) -> None:
    with pytest.raises(BrokerRefused):
        await async_try(replace(address, password="wrong"), no_thread)
    with pytest.raises(OutsideFailed) as caught:
        await async_try(BrokerAddress(HOST, free_port()), no_thread)
    assert caught.value.reason is Reason.BROKER_DISCONNECTED
    assert not isinstance(caught.value, BrokerRefused)


async def test_somebody_else_on_that_port_is_no_broker() -> None:
    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_10.0\r\n")
        writer.close()

    async with await asyncio.start_server(talk, HOST, 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(OutsideFailed) as caught:
            await async_try(BrokerAddress(HOST, port), no_thread, within=0.5)
    assert caught.value.reason is Reason.BROKER_DISCONNECTED


@pytest.mark.parametrize("host", ["", "a..b", "x" * 70])
async def test_what_is_no_name_of_a_host_is_a_broker_that_is_away(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)  # these are refused before anybody is asked for them
    with pytest.raises(OutsideFailed) as caught:
        await async_try(BrokerAddress(host, 1883), no_thread)
    assert caught.value.reason is Reason.BROKER_DISCONNECTED


async def test_being_turned_away_is_told_and_tried_again_with_patience(address: BrokerAddress, heard: Heard) -> None:
    refused = asyncio.Event()
    wrong = replace(address, password="wrong")
    transport = BrokerTransport(wrong, "hub", no_thread, refused.set, first_wait=0.01)
    await transport.async_start(heard.on_message, heard.on_link)
    async with asyncio.timeout(20):
        await refused.wait()
    assert heard.links == [False]
    assert not transport.connected
    await transport.async_stop()


async def test_the_broker_is_found_when_it_comes_later(heard: Heard) -> None:
    broker = Broker(port=free_port())
    address = BrokerAddress(HOST, broker.port)
    transport = BrokerTransport(address, "hub", no_thread, unexpected, first_wait=0.01)
    await transport.async_start(heard.on_message, heard.on_link)
    await transport.async_subscribe(["later/#"])
    assert heard.links == [False]
    async with broker, broker.tap() as tap:
        await heard.link(connected=True)
        await tap.publish("later/1", "a word")
        await heard.message(b"a word")
        await transport.async_stop()


def test_secrets_are_not_printed(address: BrokerAddress) -> None:
    assert "a secret" not in repr(address)
    assert "PRIVATE KEY" not in repr(address)


async def test_what_is_wanted_while_a_connection_catches_up_is_heard(
    broker: Broker, tap: BrokerTap, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport = BrokerTransport(BrokerAddress(broker.host, broker.port), "hub", no_thread, unexpected)
    subscribe, unsubscribe = aiomqtt.Client.subscribe, aiomqtt.Client.unsubscribe

    async def subscribed(client: aiomqtt.Client, *topics: Any) -> Any:
        await transport.async_unsubscribe(["left/#"])
        return await subscribe(client, *topics)

    async def unsubscribed(client: aiomqtt.Client, *topics: Any) -> None:
        await transport.async_subscribe(["late/#"])
        await unsubscribe(client, *topics)

    monkeypatch.setattr(aiomqtt.Client, "subscribe", subscribed)
    monkeypatch.setattr(aiomqtt.Client, "unsubscribe", unsubscribed)
    await transport.async_subscribe(["left/#", "kept/#"])
    await transport.async_start(heard.on_message, heard.on_link)
    await heard.link(connected=True)
    for topic in ("left/1", "late/1", "kept/1"):
        await tap.publish(topic, topic)
    await heard.message(b"kept/1")
    assert [one.topic for one in heard.messages] == ["late/1", "kept/1"]
    await transport.async_stop()
