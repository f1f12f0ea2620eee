"""What every transport is: Home Assistant's own MQTT, or another broker."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

import voluptuous as vol

from ..core.errors import OutsideFailed, Reason
from ..dialects.base import Message, Outgoing

type MessageHandler = Callable[[Message], None]
type LinkHandler = Callable[[bool], None]


class Transport(Protocol):
    """One broker. All methods run in the event loop."""

    @property
    def connected(self) -> bool:
        """Whether a message published now would reach the broker now."""
        ...

    async def async_start(self, on_message: MessageHandler, on_link: LinkHandler) -> None:
        """Connect; `on_link` hears the state at once and at every change. Raises OutsideFailed if it can never work."""
        ...

    async def async_subscribe(self, filters: Iterable[str]) -> None:
        """Add topic filters, none twice. In force at the return while connected, and after every reconnect."""
        ...

    async def async_unsubscribe(self, filters: Iterable[str]) -> None:
        """Give up topic filters, known or not; what was on its way may still arrive."""
        ...

    async def async_publish(self, message: Outgoing) -> None:
        """Publish with QoS 0, never retained, only while connected. Raises OutsideFailed; nothing is kept for later."""
        ...

    async def async_clear(self, topic: str) -> None:
        """Have the broker forget what it keeps on a topic: the one retained message of the hub, and an empty one.

        Raises OutsideFailed.
        """
        ...

    async def async_stop(self) -> None:
        """Unsubscribe and let go."""
        ...


def check_topic(valid: Callable[[str], str], topic: str) -> None:
    """Look at a topic or filter as Home Assistant does. Raises OutsideFailed: MALFORMED."""
    try:
        valid(topic)
    except vol.Invalid as error:
        raise OutsideFailed(Reason.MALFORMED, f"{topic!r}: {error}") from error
