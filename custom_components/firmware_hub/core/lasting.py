"""Orders to install that somebody left lying on the broker: each device that connects there obeys them once more.

Rules (dialects.md 7, "Never retain a command"):

* Only what the broker had kept counts; an order that is given just now is somebody's own affair.
* While an order lies where a device listens, the hub sends it no command of its own: a device that restarts in the
  middle of an update would be told to begin another one.
* The owner is told once per topic, and of a few topics at once: whoever can write to the broker can write many.
* It is over when its topic is cleared. After a lost connection the broker says again what it keeps; what it does not
  repeat was cleared meanwhile.
* Whether an empty message was to be kept, a broker does not say to whoever listens already. Where it may be a question,
  it ends nothing, unless the hub has just cleared the topic itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from . import limits
from .agenda import Agenda
from .effects import ClearIssue, ClearTopic, IssueKind, RaiseIssue, Severity
from .errors import Reason, Refused
from .inputs import LastingOrderGone, LastingOrderSeen, OrderClearRequested
from .model import Device
from .turn import Turn

_EVERYBODY = ""


class LastingOrders:
    """What lies there, found by topic and by the devices that obey it. Never raises."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.by_topic: dict[str, LastingOrderSeen] = {}
        self._at: dict[tuple[str, str], dict[str, None]] = {}

    def put(self, order: LastingOrderSeen) -> bool:
        """Note an order, in place of an earlier one on its topic; whether there was room for it."""
        if len(order.topic) > limits.MAX_TEXT:
            return False  # no device is addressed by more
        self.take(order.topic)
        if len(self.by_topic) >= limits.MAX_LASTING_ORDERS:
            return False
        self.by_topic[order.topic] = order
        for place in _places(order):
            self._at.setdefault((order.dialect, place), {})[order.topic] = None
        return True

    def take(self, topic: str) -> None:
        """Forget an order; it need not be there."""
        if (order := self.by_topic.pop(topic, None)) is None:
            return
        for place in _places(order):
            topics = self._at[order.dialect, place]
            del topics[topic]
            if not topics:
                del self._at[order.dialect, place]

    def over(self, device: Device) -> str:
        """Return the topic of an order that this device obeys; empty if there is none. Costs three look-ups at most.

        What lies on the very topic where it listens it obeys, whatever family the order looked like.
        """
        command = device.channel.get("command", _EVERYBODY)
        if command in self.by_topic:
            return command
        found = self._at.get((device.dialect, command)) or self._at.get((device.dialect, _EVERYBODY)) or {}
        return next(iter(found), "")


class LastingDesk:
    """What is heard of such orders, and what the owner does about them."""

    def __init__(self, orders: LastingOrders, agenda: Agenda, released: Callable[[Turn], None]) -> None:
        """Keep ``orders``; ``released`` is told when there is one less."""
        self._orders = orders
        self._agenda = agenda
        self._released = released
        self._shown: set[str] = set()
        self._doubtful: set[str] = set()
        self._clearing: set[str] = set()
        self._connected = False

    def seen(self, item: LastingOrderSeen, turn: Turn) -> None:
        """Take in that the broker keeps an order. Never raises."""
        self._doubtful.discard(item.topic)
        if self._orders.by_topic.get(item.topic) == item or not self._orders.put(item):
            return
        self._shown.discard(item.topic)
        self._show(turn)

    def gone(self, item: LastingOrderGone, turn: Turn) -> None:
        """Take in that a topic was cleared. Never raises."""
        order = self._orders.by_topic.get(item.topic)
        if order is not None and not (order.empty_asks and item.topic not in self._clearing):
            self._over(item.topic, turn)

    def _over(self, topic: str, turn: Turn) -> None:
        self._orders.take(topic)
        self._doubtful.discard(topic)
        self._clearing.discard(topic)
        self._agenda.set("order", topic, None)
        if topic in self._shown:
            self._shown.remove(topic)
            turn.do(ClearIssue(IssueKind.LASTING_COMMAND, topic))
        self._show(turn)
        self._released(turn)

    def clear(self, item: OrderClearRequested, turn: Turn) -> None:
        """Have a topic cleared; that nothing lies there any more is believed when the broker says so.

        Raises:
            Refused: ``broker_disconnected``.
        """
        order = self._orders.by_topic.get(item.topic)
        if order is None:
            return
        if not self._connected:
            raise Refused(Reason.BROKER_DISCONNECTED)
        turn.audit("order_cleared", item.topic, by=item.by, dialect=order.dialect, order=order.what)
        turn.do(ClearTopic(item.topic))
        self._clearing.add(item.topic)
        self._agenda.set("order", item.topic, turn.now + limits.CLEARED_WITHIN)

    def not_cleared(self, topic: str, turn: Turn) -> None:
        """Say again what still lies there: somebody put it back, or the broker does not let us clear it."""
        self._clearing.discard(topic)
        turn.do(_issue(self._orders.by_topic[topic]))

    def link(self, connected: bool, turn: Turn) -> None:
        """Take in that the connection came or went: what is kept, the broker says anew. Never raises."""
        self._connected = connected
        if not connected:
            self._doubtful = set(self._orders.by_topic)
            self._clearing.clear()
        self._agenda.set("orders", "", turn.now + limits.START_GRACE if connected and self._doubtful else None)

    def not_repeated(self, _subject: str, turn: Turn) -> None:
        """Drop what the broker did not say again."""
        for topic in sorted(self._doubtful):
            self._over(topic, turn)

    def _show(self, turn: Turn) -> None:
        for topic, order in self._orders.by_topic.items():
            if len(self._shown) >= limits.MAX_LASTING_ISSUES:
                return
            if topic not in self._shown:
                self._shown.add(topic)
                turn.do(_issue(order))


def _issue(order: LastingOrderSeen) -> RaiseIssue:
    values = {"address": order.topic, "detail": order.what}
    return RaiseIssue(IssueKind.LASTING_COMMAND, order.topic, Severity.ERROR, True, Reason.LASTING_COMMAND, values)


def _places(order: LastingOrderSeen) -> Iterator[str]:
    """Yield the topic and all that begins it: some families listen to everything below a prefix."""
    if order.to_all:
        yield _EVERYBODY
    for end, sign in enumerate(order.topic, 1):
        if sign == "/":
            yield order.topic[:end]
    yield order.topic
