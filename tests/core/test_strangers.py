"""How often strangers are asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from custom_components.firmware_hub.core import limits
from custom_components.firmware_hub.core.effects import AskStranger
from custom_components.firmware_hub.core.hub import Hub
from custom_components.firmware_hub.core.inputs import DeviceReported, LinkChanged, StrangerSeen, WokenUp
from custom_components.firmware_hub.core.model import DeviceFacts
from custom_components.firmware_hub.core.strangers import Strangers

from .builders import capabilities

NOW = datetime(2026, 11, 24, 0, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SOON = NOW + limits.STRANGER_ONCE_MORE


def test_a_stranger_is_asked_once_and_again_much_later() -> None:
    strangers = Strangers()
    times = [NOW, NOW, NOW + limits.STRANGER_AGAIN - MINUTE / 60, NOW + limits.STRANGER_AGAIN]
    assert [strangers.may_ask("shelly", "a/", now) for now in times] == [True, False, False, True]


def test_families_ask_for_themselves() -> None:
    strangers = Strangers()
    assert [strangers.may_ask(family, "a/", NOW) for family in ("shelly", "shelly_gen1")] == [True, True]


def test_a_clock_that_was_set_back_silences_nobody() -> None:
    strangers = Strangers()
    assert strangers.may_ask("shelly", "a/", NOW)
    assert strangers.may_ask("shelly", "a/", NOW - timedelta(days=1))


def test_few_are_asked_per_minute() -> None:
    strangers = Strangers()
    asked = [strangers.may_ask("shelly", f"{number}/", NOW) for number in range(100)]
    assert asked.count(True) == limits.NEW_DEVICES_PER_MINUTE
    assert strangers.may_ask("shelly", "99/", NOW + MINUTE)


def test_many_are_asked_after_a_connection() -> None:
    strangers = Strangers()
    strangers.expect_burst(NOW)
    assert all(strangers.may_ask("shelly", f"{number}/", NOW) for number in range(1000))
    later = NOW + limits.START_GRACE
    assert sum(strangers.may_ask("shelly", f"later-{number}/", later) for number in range(100)) == 20


def test_everybody_is_asked_anew_after_a_connection() -> None:
    strangers = Strangers()
    assert strangers.may_ask("shelly", "a/", NOW)
    strangers.expect_burst(NOW)
    assert strangers.may_ask("shelly", "a/", NOW)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_DEVICES", 3)
    strangers = Strangers()
    for number in range(4):
        strangers.may_ask("shelly", f"{number}/", NOW)
    assert [strangers.may_ask("shelly", f"{number}/", NOW) for number in (0, 3)] == [True, False]


def test_the_hub_asks_a_stranger() -> None:
    hub = Hub({}, new_id=lambda: "id")
    hub.receive(LinkChanged(connected=True), NOW)
    assert hub.receive(StrangerSeen("shelly", "a/"), NOW) == [AskStranger("shelly", "a/")]
    assert hub.receive(StrangerSeen("shelly", "a/"), NOW) == []


def asked_at_first() -> Hub:
    hub = Hub({"shelly": capabilities()}, new_id=lambda: "id")
    hub.receive(LinkChanged(connected=True), NOW)
    assert hub.receive(StrangerSeen("shelly", "a/"), NOW) == [AskStranger("shelly", "a/")]
    return hub


def test_one_who_does_not_answer_is_asked_once_more() -> None:
    hub = asked_at_first()
    assert AskStranger("shelly", "a/") not in hub.receive(WokenUp(), SOON - MINUTE / 60)
    assert AskStranger("shelly", "a/") in hub.receive(WokenUp(), SOON)
    assert AskStranger("shelly", "a/") not in hub.receive(WokenUp(), SOON + limits.STRANGER_ONCE_MORE)


def test_the_hub_wants_to_be_woken_for_that() -> None:
    wakeup = asked_at_first().next_wakeup()
    assert wakeup is not None
    assert wakeup <= SOON


def test_one_who_answered_is_not_asked_once_more() -> None:
    hub = asked_at_first()
    hub.receive(DeviceReported("mac:1", "shelly", DeviceFacts(version="1", addresses=("a/",))), NOW)
    assert AskStranger("shelly", "a/") not in hub.receive(WokenUp(), SOON)


def test_each_is_asked_once_more_at_its_own_time() -> None:
    hub = asked_at_first()
    hub.receive(StrangerSeen("shelly", "b/"), NOW + MINUTE / 60)
    assert AskStranger("shelly", "b/") not in hub.receive(WokenUp(), SOON)
    assert AskStranger("shelly", "b/") in hub.receive(WokenUp(), SOON + MINUTE / 60)


def test_after_a_connection_everybody_is_asked_anew_and_nobody_beside() -> None:
    strangers = Strangers()
    strangers.may_ask("shelly", "a/", NOW)
    strangers.expect_burst(NOW)
    assert list(strangers.silent(SOON)) == []
