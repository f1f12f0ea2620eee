"""What a message from the broker means: the dialects are asked in their order, and what they read goes to the hub."""

import logging
from collections.abc import Callable

from .core import inputs as i, limits
from .core.errors import BadInput, Reason
from .core.hub import Hub
from .dialects import DIALECTS, PROBERS
from .dialects.base import Message

_LOGGER = logging.getLogger(__name__)


def all_filters() -> list[str]:
    """Return the topic filters that find devices, and orders that were left lying on the broker."""
    orders = [name for dialect in DIALECTS for name in dialect.order_filters]
    return [*orders, *(name for dialect in DIALECTS for name in dialect.filters)]


def hear(message: Message, hub: Hub, take: Callable[[i.Input], None]) -> None:
    """Read one message and pass on what it says."""
    topic, payload = message.topic, message.payload
    if len(payload) > limits.MAX_PAYLOAD_BYTES:
        take(i.MessageRefused("", Reason.TOO_LARGE, topic[: limits.MAX_TEXT]))
        return
    if (message.retained or not payload) and _is_about_an_order(message, hub, take):
        return
    for dialect in DIALECTS:
        try:
            items = dialect.read(message, hub)
        except BadInput as bad:
            _LOGGER.debug("Unreadable %s message on %r: %s", dialect.name, topic, bad)
            take(i.MessageRefused(dialect.name, bad.reason, topic[: limits.MAX_TEXT], bad.detail))
            return
        for item in items:
            take(item)
        if items:
            return
    for name, prober in PROBERS.items():
        if address := prober.suspect(message, hub):
            take(i.StrangerSeen(name, address))


def _is_about_an_order(message: Message, hub: Hub, take: Callable[[i.Input], None]) -> bool:
    """Look for an order that the broker keeps, or for its end."""
    if not message.payload:
        if cleared := hub.keeps_order(message.topic):
            take(i.LastingOrderGone(message.topic))
        return cleared
    for dialect in DIALECTS:
        if (order := dialect.lasting_order(message, hub)) is not None:
            take(order)
            return True
    return False
