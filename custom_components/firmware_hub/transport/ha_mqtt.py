"""Through Home Assistant's own MQTT integration: the only importer of it.

Contract: four habits of that client are dealt with here, so that nobody else has to know them.

1. A message of QoS 1 or 2 that is published while the broker is away raises and is delivered later all the same. So
   everything goes out with QoS 0, and only while connected.
2. A missing acknowledgement is only logged. So nothing is concluded from a publish that returned.
3. Raw payloads may arrive as text, when somebody else subscribed the same filter as text before. So both are passed on.
4. A retained message is handed to a subscription once per topic and connection. So a topic is not read again by
   subscribing again: what a device said is remembered by the hub, and a device is asked afresh.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from homeassistant.components import mqtt
from homeassistant.components.mqtt import ReceiveMessage
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError

from ..core.errors import OutsideFailed, Reason
from ..dialects.base import Message, Outgoing
from .base import LinkHandler, MessageHandler


class HaMqttTransport:
    """One broker: the one that Home Assistant is connected to."""

    def __init__(self, hass: HomeAssistant) -> None:
        self._hass = hass
        self._on_message: MessageHandler | None = None
        self._on_link: LinkHandler | None = None
        self._unsubscribe: dict[str, Callable[[], None]] = {}
        self._stop_watching: Callable[[], None] | None = None

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
        """Add topic filters; they outlive reconnects and reloads of MQTT. Raises OutsideFailed: BROKER_DISCONNECTED."""
        for name in filters:
            if name not in self._unsubscribe:
                self._unsubscribe[name] = await self._subscribed(name)

    async def _subscribed(self, name: str) -> Callable[[], None]:
        try:
            return await mqtt.async_subscribe(self._hass, name, self._received, 0, None)
        except HomeAssistantError as error:
            raise OutsideFailed(Reason.BROKER_DISCONNECTED, str(error)) from error

    async def async_publish(self, message: Outgoing) -> None:
        """Publish with QoS 0, never retained, only while connected. Raises OutsideFailed: BROKER_DISCONNECTED."""
        if not self.connected:
            raise OutsideFailed(Reason.BROKER_DISCONNECTED, message.topic)
        try:
            await mqtt.async_publish(self._hass, message.topic, message.payload, 0, False)
        except HomeAssistantError as error:
            raise OutsideFailed(Reason.BROKER_DISCONNECTED, str(error)) from error

    async def async_stop(self) -> None:
        """Unsubscribe and let go. Safe to call twice."""
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
        if self._on_link is not None:
            self._on_link(connected)
