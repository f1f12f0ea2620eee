"""Through a broker of the owner's choice: the only importer of aiomqtt in the integration.

What that client would do and must not:

1. It queues nothing for later, but a publish that waits too long for the socket raises although the message may have
   left. Nothing is concluded from that: the device's own word decides. Only what never reached the socket is an error.
2. It does not reconnect. So each connection is a client of its own, and what one of them still held dies with it.
3. A fault in whoever reads its messages ends the reading. So such a fault is logged and costs one message.
4. A retained message is told at every subscription. So no filter is subscribed twice on one connection.
5. Cancelling while it connects leaves a thread and a socket behind. So a stop waits for the attempt to end.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

import aiomqtt
from aiomqtt.exceptions import MqttConnectError
from homeassistant.components.mqtt import valid_publish_topic, valid_subscribe_topic
from homeassistant.core import callback
from homeassistant.util.logging import catch_log_exception

from ..core.errors import OutsideFailed, Reason
from ..dialects.base import Message, Outgoing
from .base import LinkHandler, MessageHandler, check_topic
from .tls import RunBlocking, async_context

_LOGGER = logging.getLogger(__name__)

type Protocol = Literal["5", "3.1.1"]
type Framing = Literal["tcp", "websockets"]

PROTOCOLS: Final[tuple[Protocol, ...]] = ("5", "3.1.1")
_VERSIONS: Final = {"5": aiomqtt.ProtocolVersion.V5, "3.1.1": aiomqtt.ProtocolVersion.V311}
_FIRST_WAIT: Final = 1.0  # seconds
_LONGEST_WAIT: Final = 60.0
_ANSWERS_WITHIN: Final = 10.0
_WRITTEN_WITHIN: Final = 2.0
_KEEPALIVE: Final = 30
_NO_DELAY: Final = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),)
_DENIED: Final = 0x80
# Bad user or password, not authorised, banned; of MQTT 5 and of MQTT 3.1.1.
_REFUSALS: Final = frozenset({0x86, 0x87, 0x8A, 0x8C, 4, 5})


class BrokerRefused(OutsideFailed):
    """The broker is there and does not let us in for who we are."""


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where a broker is and how it lets us in. Certificates and keys are PEM texts; secrets are not printed."""

    host: str
    port: int
    protocol: Protocol = "5"
    framing: Framing = "tcp"
    path: str = "/mqtt"
    username: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False
    authority: str = ""
    certificate: str = ""
    key: str = field(default="", repr=False)


class BrokerTransport:
    """One broker, reached by a connection of our own."""

    def __init__(
        self,
        address: BrokerAddress,
        identifier: str,
        run_blocking: RunBlocking,
        on_refused: Callable[[], None],
        *,
        first_wait: float = _FIRST_WAIT,
    ) -> None:
        """Remember how to connect; ``on_refused`` is told when the broker turns us away for who we are."""
        self._address = address
        self._identifier = identifier
        self._run_blocking = run_blocking
        self._on_refused = on_refused
        self._first_wait = first_wait
        self._filters: dict[str, None] = {}
        self._client: aiomqtt.Client | None = None
        self._task: asyncio.Task[None] | None = None
        self._connecting = False
        self._stopping = False
        self._on_message: MessageHandler | None = None
        self._on_link: LinkHandler | None = None

    @property
    def connected(self) -> bool:
        """Whether a message published now would reach the broker now."""
        return self._client is not None

    async def async_start(self, on_message: MessageHandler, on_link: LinkHandler) -> None:
        """Begin to connect, and go on doing so. Raises OutsideFailed: TLS_FAILED if the certificates are unusable."""
        context = await _async_context(self._address, self._run_blocking)
        self._on_message, self._on_link = on_message, on_link
        self._stopping = False
        on_link(False)
        self._task = asyncio.create_task(self._async_stay(context), name="firmware_hub broker")

    async def async_subscribe(self, filters: Iterable[str]) -> None:
        """Add topic filters; they outlive reconnects. Raises OutsideFailed: MALFORMED, before any is added."""
        fresh = [name for name in dict.fromkeys(filters) if name not in self._filters]
        for name in fresh:
            check_topic(valid_subscribe_topic, name)
        self._filters.update(dict.fromkeys(fresh))
        if (client := self._client) is not None:
            try:
                await _subscribe(client, fresh)
            except aiomqtt.MqttError as error:
                _LOGGER.debug("The connection was lost while subscribing: %s", error)  # they are asked for again

    async def async_unsubscribe(self, filters: Iterable[str]) -> None:
        """Give up topic filters; the next connection does not ask for them either. Never raises."""
        stale = [name for name in dict.fromkeys(filters) if name in self._filters]
        for name in stale:
            del self._filters[name]
        if stale and (client := self._client) is not None:
            try:
                await client.unsubscribe(stale)
            except aiomqtt.MqttError as error:
                _LOGGER.debug("The connection was lost while unsubscribing: %s", error)

    async def async_publish(self, message: Outgoing) -> None:
        """Publish with QoS 0, never retained, only while connected.

        Raises OutsideFailed: MALFORMED, BROKER_DISCONNECTED.
        """
        await self._publish(message.topic, message.payload, retain=False)

    async def async_clear(self, topic: str) -> None:
        """Have the broker forget what it keeps on a topic, only while connected.

        Raises OutsideFailed: MALFORMED, BROKER_DISCONNECTED.
        """
        await self._publish(topic, "", retain=True)

    async def _publish(self, topic: str, payload: str, *, retain: bool) -> None:
        check_topic(valid_publish_topic, topic)
        if (client := self._client) is None:
            raise OutsideFailed(Reason.BROKER_DISCONNECTED, topic)
        try:
            await client.publish(topic, payload, qos=0, retain=retain, timeout=_WRITTEN_WITHIN)
        except aiomqtt.MqttCodeError as error:
            raise OutsideFailed(Reason.BROKER_DISCONNECTED, str(error)) from error
        except aiomqtt.MqttError as error:
            # It waited too long for the socket and may have left all the same.
            _LOGGER.debug("%s: %s", topic, error)

    async def async_stop(self) -> None:
        """Say goodbye and let go. Safe to call twice."""
        self._on_message = self._on_link = None
        self._stopping = True
        task, self._task = self._task, None
        if task is not None:
            if not self._connecting:
                task.cancel()
            await asyncio.wait([task])

    # --- the connection ----------------------------------------------------------------------------------------------

    async def _async_stay(self, context: ssl.SSLContext | None) -> None:
        """Connect again whenever the connection is lost, less and less often while nobody answers."""
        wait = self._first_wait
        while not self._stopping:
            self._connecting = True
            try:
                async with _client(self._address, self._identifier, context) as client:
                    self._connecting = False
                    wait = self._first_wait
                    await self._async_serve(client)
            except MqttConnectError as error:
                _LOGGER.warning("%s turned us away: %s", self._address.host, error)
                if _is_refusal(error) and not self._stopping:
                    self._on_refused()
            except (aiomqtt.MqttError, ValueError) as error:
                # A name that cannot be one is a ValueError.
                _LOGGER.debug("No connection to %s: %s", self._address.host, error)
            finally:
                self._connecting = False
                self._lost()
            if not self._stopping:
                await asyncio.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311  jitter
                wait = min(wait * 2, _LONGEST_WAIT)

    async def _async_serve(self, client: aiomqtt.Client) -> None:
        if self._stopping:
            return
        await self._async_catch_up(client)
        self._client = client
        if self._on_link is not None:
            self._on_link(True)
        hand_over = catch_log_exception(self._hand_over, lambda message: f"Message on {message.topic!r}")
        async for message in client.messages:
            hand_over(Message(message.topic.value, message.payload, message.retain))

    async def _async_catch_up(self, client: aiomqtt.Client) -> None:
        """Ask for what is wanted, and give up what is not any more, until nothing changed while that was said."""
        asked: dict[str, None] = {}
        while asked.keys() != self._filters.keys():
            fresh = [name for name in self._filters if name not in asked]
            stale = [name for name in asked if name not in self._filters]
            asked = dict.fromkeys(self._filters)
            await _subscribe(client, fresh)
            if stale:
                await client.unsubscribe(stale)

    @callback
    def _hand_over(self, message: Message) -> None:
        if self._on_message is not None:
            self._on_message(message)

    def _lost(self) -> None:
        was_up, self._client = self._client is not None, None
        if was_up and self._on_link is not None:
            self._on_link(False)


async def async_try(address: BrokerAddress, run_blocking: RunBlocking, *, within: float = _ANSWERS_WITHIN) -> Protocol:
    """Connect once and say which protocol the broker speaks.

    Raises BrokerRefused, or OutsideFailed: TLS_FAILED, BROKER_DISCONNECTED (nobody answers as a broker does).
    """
    context = await _async_context(address, run_blocking)
    failed: Exception | None = None
    for protocol in PROTOCOLS:
        try:
            async with _client(replace(address, protocol=protocol), "", context, within):
                return protocol
        except MqttConnectError as error:
            failed = error
            if _is_refusal(error):
                raise BrokerRefused(Reason.BROKER_DISCONNECTED, str(error)) from error
        except (aiomqtt.MqttError, ValueError) as error:
            failed = error
            if "SSL" in str(error) or "certificate" in str(error).casefold():
                raise OutsideFailed(Reason.TLS_FAILED, str(error)) from error
    raise OutsideFailed(Reason.BROKER_DISCONNECTED, str(failed)) from failed


def _client(
    address: BrokerAddress, identifier: str, context: ssl.SSLContext | None, within: float = _ANSWERS_WITHIN
) -> aiomqtt.Client:
    version = _VERSIONS[address.protocol]
    return aiomqtt.Client(
        address.host,
        address.port,
        username=address.username or None,
        password=address.password or None,
        identifier=identifier or None,
        protocol=version,
        clean_session=True if version is aiomqtt.ProtocolVersion.V311 else None,
        transport=address.framing,
        websocket_path=address.path if address.framing == "websockets" else None,
        tls_context=context,
        keepalive=_KEEPALIVE,
        timeout=within,
        socket_options=_NO_DELAY,
    )


async def _subscribe(client: aiomqtt.Client, filters: list[str]) -> None:
    if not filters:
        return
    answers = await client.subscribe([(name, 0) for name in filters])
    for name, answer in zip(filters, answers, strict=False):
        if _code(answer) >= _DENIED:
            _LOGGER.warning("The broker does not let us hear %s", name)


async def _async_context(address: BrokerAddress, run_blocking: RunBlocking) -> ssl.SSLContext | None:
    if not address.tls:
        return None
    return await async_context(run_blocking, address.authority, address.certificate, address.key)


def _is_refusal(error: MqttConnectError) -> bool:
    return _code(error.rc) in _REFUSALS


def _code(answer: object) -> int:
    """Return the number of an answer: MQTT 5 wraps it."""
    code: Any = getattr(answer, "value", answer)
    return int(code or 0)
