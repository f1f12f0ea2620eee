"""Orders to install that the broker keeps: who is told, who waits, and when it is over."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from custom_components.firmware_hub.core import limits
from custom_components.firmware_hub.core.effects import ClearIssue, ClearTopic, Effect, IssueKind, RaiseIssue, Severity
from custom_components.firmware_hub.core.errors import Reason, Refused
from custom_components.firmware_hub.core.inputs import LastingOrderGone, LastingOrderSeen, OrderClearRequested
from custom_components.firmware_hub.core.lasting import LastingOrders
from custom_components.firmware_hub.core.model import InstallState

from .builders import LAMP, MINUTE, PLUG, SECOND, audited, device, of_kind
from .script import Script

TOPIC = "cmnd/plug/Upgrade"
ORDER = LastingOrderSeen("open", TOPIC, "Upgrade")
HELD = (InstallState.DEFERRED, Reason.LASTING_COMMAND)


def ready() -> Script:
    return Script().ready(channel={"command": "cmnd/plug/"})


def told(effects: Iterable[Effect]) -> list[str]:
    return [issue.subject for issue in of_kind(effects, RaiseIssue) if issue.kind is IssueKind.LASTING_COMMAND]


def over(effects: Iterable[Effect]) -> list[str]:
    return [issue.subject for issue in of_kind(effects, ClearIssue) if issue.kind is IssueKind.LASTING_COMMAND]


def order(topic: str) -> LastingOrderSeen:
    return replace(ORDER, topic=topic)


# --- who is told -----------------------------------------------------------------------------------------------------


def test_the_owner_is_told_where_it_lies_and_what_it_orders() -> None:
    (issue,) = of_kind(Script().tell(ORDER), RaiseIssue)
    assert issue == RaiseIssue(
        IssueKind.LASTING_COMMAND,
        TOPIC,
        Severity.ERROR,
        fixable=True,
        reason=Reason.LASTING_COMMAND,
        values={"address": TOPIC, "detail": "Upgrade"},
    )


def test_the_owner_is_told_once_per_topic() -> None:
    script = Script()
    assert told(script.tell(ORDER, ORDER, order("cmnd/lamp/Upgrade"))) == [TOPIC, "cmnd/lamp/Upgrade"]


def test_another_order_on_the_same_topic_is_told_in_its_place() -> None:
    script = Script()
    script.tell(ORDER)
    (issue,) = of_kind(script.tell(replace(ORDER, what="OtaUrl")), RaiseIssue)
    assert (issue.subject, issue.values["detail"]) == (TOPIC, "OtaUrl")


def test_of_many_orders_a_few_are_told_and_the_next_one_when_one_is_gone() -> None:
    script = Script()
    topics = [f"cmnd/{number}/Upgrade" for number in range(limits.MAX_LASTING_ISSUES + 2)]
    assert told(script.tell(*map(order, topics))) == topics[:-2]
    assert told(script.tell(LastingOrderGone(topics[-1]))) == []
    effects = script.tell(LastingOrderGone(topics[0]))
    assert (over(effects), told(effects)) == ([topics[0]], [topics[-2]])


def test_a_topic_longer_than_any_devices_is_passed_over() -> None:
    assert told(Script().tell(order("x" * (limits.MAX_TEXT + 1)))) == []


def test_what_is_remembered_is_bounded() -> None:
    orders = LastingOrders()
    topics = [f"cmnd/{number}/Upgrade" for number in range(limits.MAX_LASTING_ORDERS + 1)]
    assert [orders.put(order(topic)) for topic in topics] == [*[True] * limits.MAX_LASTING_ORDERS, False]
    assert orders.put(replace(order(topics[0]), what="OtaUrl"))


# --- who waits -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "seen"),
    [
        ("cmnd/plug/", ORDER),
        ("cmnd/plug/", order("cmnd/plug/deeper/Upgrade")),
        (TOPIC, ORDER),
        (TOPIC, replace(ORDER, dialect="mesh")),
        ("shellies/plug/command", LastingOrderSeen("open", "shellies/command", "update_fw", to_all=True)),
    ],
    ids=["below its prefix", "far below its prefix", "on its topic", "on its topic, like another's", "to everybody"],
)
def test_a_device_that_would_obey_waits(command: str, seen: LastingOrderSeen) -> None:
    script = Script().ready(channel={"command": command})
    script.tell(seen)
    script.approve()
    assert script.hold == HELD
    assert script.view().reason_values == {"detail": seen.topic}
    assert script.commands == []


@pytest.mark.parametrize(
    ("channel", "seen"),
    [
        ({"command": "cmnd/plug/"}, order("cmnd/plug2/Upgrade")),
        ({"command": "cmnd/plug/"}, replace(ORDER, dialect="mesh")),
        ({"command": "cmnd/plug/"}, LastingOrderSeen("mesh", "shellies/command", "update_fw", to_all=True)),
        ({}, ORDER),
    ],
    ids=["another's topic", "another family", "everybody in another family", "no topic known"],
)
def test_a_device_that_would_not_obey_goes_on(channel: dict[str, str], seen: LastingOrderSeen) -> None:
    script = Script().ready(channel=channel)
    script.tell(seen)
    script.approve()
    assert len(script.commands) == 1


def test_an_order_that_appears_while_the_device_is_asked_stops_the_command() -> None:
    script = ready()
    script.answers.clear()
    script.now += 2 * MINUTE
    script.approve()
    assert script.state() is not InstallState.DEFERRED
    script.tell(ORDER)
    script.report()
    assert script.hold == HELD
    assert script.commands == []


def test_when_its_topic_is_cleared_the_device_is_installed() -> None:
    script = ready()
    script.tell(ORDER)
    script.approve()
    assert over(script.tell(LastingOrderGone(TOPIC))) == [TOPIC]
    assert len(script.commands) == 1


def test_of_two_orders_to_one_device_both_must_go() -> None:
    script = ready()
    script.tell(ORDER, order("cmnd/plug/Backlog"))
    script.approve()
    script.tell(LastingOrderGone(TOPIC))
    assert script.hold == HELD
    script.tell(LastingOrderGone("cmnd/plug/Backlog"))
    assert len(script.commands) == 1


def test_an_install_that_waits_for_something_else_is_left_alone() -> None:
    script = ready()
    script.report(device_id=LAMP, addresses=(f"{PLUG}/",))
    script.tell(ORDER)
    script.approve()
    script.tell(LastingOrderGone(TOPIC))
    assert script.hold == (InstallState.DEFERRED, Reason.TOPIC_CONFLICT)


def test_a_cleared_topic_that_nobody_knew_is_no_news() -> None:
    assert Script().tell(LastingOrderGone(TOPIC)) == []


def test_an_order_that_was_taken_away_leaves_nothing_behind() -> None:
    orders = LastingOrders()
    assert orders.put(ORDER)
    orders.take(TOPIC)
    orders.take(TOPIC)
    assert orders.over(device(dialect="open", channel={"command": "cmnd/plug/"})) == ""


# --- clearing --------------------------------------------------------------------------------------------------------


def test_clearing_is_written_down_and_done_on_that_topic_only() -> None:
    script = Script()
    script.tell(ORDER, order("cmnd/lamp/Upgrade"))
    effects = script.tell(OrderClearRequested(TOPIC, "anna"))
    assert of_kind(effects, ClearTopic) == [ClearTopic(TOPIC)]
    assert audited(effects) == ["order_cleared"]
    assert over(effects) == []


def test_what_still_lies_there_a_minute_later_is_told_again() -> None:
    script = Script()
    script.tell(ORDER, OrderClearRequested(TOPIC, "anna"))
    assert told(script.wait(limits.CLEARED_WITHIN - SECOND)) == []
    assert told(script.wait(2 * SECOND)) == [TOPIC]


def test_what_was_cleared_is_not_told_again() -> None:
    script = Script()
    script.tell(ORDER, OrderClearRequested(TOPIC, "anna"), LastingOrderGone(TOPIC))
    assert told(script.wait(limits.CLEARED_WITHIN + MINUTE)) == []


def test_what_may_be_a_question_ends_nothing() -> None:
    script = ready()
    script.tell(replace(ORDER, empty_asks=True))
    script.approve()
    assert over(script.tell(LastingOrderGone(TOPIC))) == []
    assert script.hold == HELD


def test_what_may_be_a_question_is_the_end_after_the_hub_has_cleared_the_topic() -> None:
    script = Script()
    script.tell(replace(ORDER, empty_asks=True), OrderClearRequested(TOPIC, "anna"))
    assert over(script.tell(LastingOrderGone(TOPIC))) == [TOPIC]
    script.tell(replace(ORDER, empty_asks=True))
    assert over(script.tell(LastingOrderGone(TOPIC))) == []


def test_what_the_broker_would_not_clear_is_not_ended_by_a_question_later() -> None:
    script = Script()
    script.tell(replace(ORDER, empty_asks=True), OrderClearRequested(TOPIC, "anna"))
    script.wait(limits.CLEARED_WITHIN + SECOND)
    assert over(script.tell(LastingOrderGone(TOPIC))) == []


def test_what_was_to_be_cleared_when_the_connection_was_lost_is_not_ended_by_a_question() -> None:
    script = Script()
    script.tell(replace(ORDER, empty_asks=True), OrderClearRequested(TOPIC, "anna"))
    script.link(up=False)
    script.link()
    assert over(script.tell(LastingOrderGone(TOPIC))) == []


def test_a_topic_that_is_clear_already_is_left_alone() -> None:
    assert of_kind(Script().tell(OrderClearRequested(TOPIC, "anna")), ClearTopic) == []


def test_without_a_connection_nothing_is_cleared() -> None:
    script = Script()
    script.tell(ORDER)
    script.link(up=False)
    with pytest.raises(Refused) as caught:
        script.tell(OrderClearRequested(TOPIC, "anna"))
    assert caught.value.reason is Reason.BROKER_DISCONNECTED


# --- connections -----------------------------------------------------------------------------------------------------


def test_what_the_broker_does_not_say_again_was_cleared_meanwhile() -> None:
    script = ready()
    script.tell(ORDER, order("cmnd/lamp/Upgrade"))
    script.approve()
    script.link(up=False)
    script.link()
    script.tell(order("cmnd/lamp/Upgrade"))
    assert script.hub.keeps_order(TOPIC)
    assert over(script.wait(limits.START_GRACE + SECOND)) == [TOPIC]
    assert script.hub.keeps_order("cmnd/lamp/Upgrade")
    assert not script.hub.keeps_order(TOPIC)


def test_what_is_said_again_before_the_connection_counts_stays() -> None:
    script = Script()
    script.tell(ORDER)
    script.link(up=False)
    script.tell(ORDER)
    script.link()
    assert over(script.wait(limits.START_GRACE + SECOND)) == []


def test_while_the_broker_is_away_nothing_is_concluded() -> None:
    script = Script()
    script.tell(ORDER)
    script.link(up=False)
    assert over(script.wait(2 * limits.START_GRACE)) == []
