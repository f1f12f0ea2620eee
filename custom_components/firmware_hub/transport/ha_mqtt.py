"""Through Home Assistant's own MQTT integration: the only importer of it.

Contract: six habits of that client are dealt with here, so that nobody else has to know them.

1. A message of QoS 1 or 2 that is published while the broker is away raises and is delivered later all the same. So
   everything goes out with QoS 0, and only while connected.
2. A missing acknowledgement is only logged. So nothing is concluded from a publish that returned.
3. One filter has one payload for all who subscribed it, raw or text as the first of them asked for, whoever that is: an
   integration beside the hub would get bytes where it expects text, and its entities would stay unavailable. So text is
   asked for, as everybody does. What is no text is left out by Home Assistant, with a warning.
4. A retained message is handed to a subscription once per topic and connection. So a topic is not read again by
   subscribing again: what a device said is remembered by the hub, and a device is asked afresh.
5. Subscriptions are gathered for half a second, after a reconnect too, and a publish overtakes them: the answer to a
   question asked at once would be lost. So a subscription counts when the broker has acknowledged it, and the link
   counts as up when all of them have been.
6. Topics are not looked at: a broker answers a filter that is none by cutting Home Assistant's connection, again and
   again. So a topic that a device made up is refused here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from homeassistant.components import mqtt
from homeassistant.components.mqtt import ReceiveMessage
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError

from ..core.errors import OutsideFailed, Reason
from ..dialects.base import Message, Outgoing
from .base import LinkHandler, MessageHandler, check_topic

_LOGGER = logging.getLogger(__name__)
_HEARD_WITHIN: Final = 5.0  # seconds; a subscription that somebody else made first is not always reported
_ALL_QOS: Final = (0, 1, 2)  # the report names the highest QoS that anybody asked for on the same filter


async def async_is_set_up(hass: HomeAssistant) -> bool:
    """Wait for Home Assistant's MQTT integration; False if there is none that runs."""
    return await mqtt.async_wait_for_mqtt_client(hass)


class HaMqttTransport:
    """One broker: the one that Home Assistant is connected to."""

    def __init__(self, hass: HomeAssistant) -> None:
        self._hass = hass
        self._on_message: MessageHandler | None = None
        self._on_link: LinkHandler | None = None
        self._unsubscribe: dict[str, Callable[[], None]] = {}
        self._stop_watching: Callable[[], None] | None = None
        self._coming_up: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        """Whether a message published now would reach the broker now."""
        try:
            return mqtt.is_connected(self._hass)
        except KeyError:
            # MQTT was never set up.
            return False

    async def async_start(self, on_message: MessageHandler, on_link: LinkHandler) -> None:
        """Wait for Home Assistant's client and watch its connection. Raises OutsideFailed: BROKER_DISCONNECTED."""
        if not await mqtt.async_wait_for_mqtt_client(self._hass):
            raise OutsideFailed(Reason.BROKER_DISCONNECTED, "MQTT is not set up")
        self._on_message = on_message
        self._on_link = on_link
        self._stop_watching = mqtt.async_subscribe_connection_status(self._hass, self._link_changed)
        on_link(self.connected)

    async def async_subscribe(self, filters: Iterable[str]) -> None:
        """Add topic filters; they outlive reconnects and reloads of MQTT.

        Raises OutsideFailed: MALFORMED, before any is added; BROKER_DISCONNECTED.
        """
        fresh = [name for name in dict.fromkeys(filters) if name not in self._unsubscribe]
        for name in fresh:
            check_topic(mqtt.valid_subscribe_topic, name)
        for name in fresh:
            self._unsubscribe[name] = await self._subscribed(name)
        if self.connected:
            await self._async_acknowledged(fresh)

    async def async_unsubscribe(self, filters: Iterable[str]) -> None:
        """Give up topic filters; Home Assistant tells the broker soon. Never raises."""
        for name in filters:
            if (unsubscribe := self._unsubscribe.pop(name, None)) is not None:
                # After a reload of MQTT its client may not know an older subscription any more.
                with suppress(HomeAssistantError):
                    unsubscribe()

    async def _subscribed(self, name: str) -> Callable[[], None]:
        try:
            return await mqtt.async_subscribe(self._hass, name, self._received)
        except HomeAssistantError as error:
            raise OutsideFailed(Reason.BROKER_DISCONNECTED, str(error)) from error

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
        check_topic(mqtt.valid_publish_topic, topic)
        if not self.connected:
            raise OutsideFailed(Reason.BROKER_DISCONNECTED, topic)
        try:
            await mqtt.async_publish(self._hass, topic, payload, 0, retain)
        except HomeAssistantError as error:
            raise OutsideFailed(Reason.BROKER_DISCONNECTED, str(error)) from error

    async def async_stop(self) -> None:
        """Unsubscribe and let go. Safe to call twice."""
        self._stop_coming_up()
        # After a reload of MQTT its client cannot always find an older subscription: what still arrives is dropped.
        self._on_message = None
        self._on_link = None
        if self._stop_watching is not None:
            self._stop_watching()
            self._stop_watching = None
        while self._unsubscribe:
            self._unsubscribe.popitem()[1]()

    @callback
    def _received(self, message: ReceiveMessage) -> None:
        if self._on_message is not None:
            payload = message.payload
            content = payload if isinstance(payload, str) else bytes(payload)
            self._on_message(Message(message.topic, content, message.retain))

    @callback
    def _link_changed(self, connected: bool) -> None:
        self._stop_coming_up()
        if connected:
            self._coming_up = self._hass.async_create_background_task(self._async_come_up(), "firmware_hub link")
        elif self._on_link is not None:
            self._on_link(False)

    def _stop_coming_up(self) -> None:
        if self._coming_up is not None:
            self._coming_up.cancel()
            self._coming_up = None

    async def _async_come_up(self) -> None:
        """Report the link as up once everything is subscribed again."""
        await asyncio.sleep(0)  # Home Assistant queues the subscriptions right after it has told of the connection
        await self._async_acknowledged(self._unsubscribe)
        if self._on_link is not None and self.connected:
            self._on_link(True)

    async def _async_acknowledged(self, filters: Iterable[str]) -> None:
        """Return when the broker has acknowledged these subscriptions, or after a few seconds all the same."""
        waiting = {name: asyncio.Event() for name in filters}
        stops = [
            mqtt.async_on_subscribe_done(self._hass, name, qos, done.set)
            for name, done in waiting.items()
            for qos in _ALL_QOS
        ]
        try:
            async with asyncio.timeout(_HEARD_WITHIN):
                for done in waiting.values():
                    await done.wait()
        except TimeoutError:
            _LOGGER.debug("Not acknowledged: %s", [name for name, done in waiting.items() if not done.is_set()])
        finally:
            for stop in stops:
                stop()
