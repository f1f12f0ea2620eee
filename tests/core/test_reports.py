"""What devices say of themselves: who they are, where they are, how they are. Installs are in ``test_install_*``."""

from __future__ import annotations

import pytest

from custom_components.firmware_hub.core import limits
from custom_components.firmware_hub.core.effects import (
    Announce,
    ClearIssue,
    Effect,
    IssueKind,
    LifecycleKind,
    ListenTo,
    QueryDevice,
    RaiseIssue,
    RefreshDevices,
    Severity,
)
from custom_components.firmware_hub.core.errors import Reason
from custom_components.firmware_hub.core.inputs import (
    DeviceLinkChanged,
    DeviceWithdrawn,
    ForgetRequested,
    HealthReported,
    MessageRefused,
)
from custom_components.firmware_hub.core.model import Device, InstallState as S
from custom_components.firmware_hub.core.records import from_json

from .builders import LAMP, MINUTE, PLUG, SECOND, of_kind, report
from .script import Script
from .statements import release


def issues(effects: list[Effect]) -> list[IssueKind]:
    return [issue.kind for issue in of_kind(effects, RaiseIssue)]


# --- who they are -----------------------------------------------------------------------------------------------------


def test_a_new_device_is_told_written_and_listened_to() -> None:
    script = Script()
    effects = script.report()
    assert ListenTo(PLUG) in effects
    (told,) = of_kind(effects, Announce)
    assert (told.kind, told.device_id, told.values) == (
        LifecycleKind.DEVICE_FOUND,
        PLUG,
        {"name": "plug", "dialect": "open", "version": "1.0.0"},
    )
    assert [row.kind for row in script.disk.audit] == ["device_found"]
    assert list(script.disk.devices) == [PLUG]


def test_room_that_goes_up_and_down_is_written_with_the_next_thing_that_is() -> None:
    script = Script()
    script.report()

    def written() -> int | None:
        return from_json(Device, script.disk.devices[PLUG]).free_bytes

    script.tell(HealthReported(PLUG, free_bytes=1000))
    assert written() == 1000
    assert script.tell(HealthReported(PLUG, free_bytes=900)) == []
    script.tell(HealthReported(PLUG, rssi_dbm=-60))
    assert written() == 1000
    script.report(name="Kitchen")
    assert written() == 900


def test_the_same_word_again_is_no_news() -> None:
    script = Script()
    script.report()
    assert script.report() == []


def test_a_device_that_moved_is_listened_to_there() -> None:
    script = Script()
    script.report()
    script.online(online=False)
    effects = script.report(addresses=("hall/",))
    assert ListenTo(PLUG) in effects
    assert not of_kind(effects, Announce)


def test_a_device_that_changed_otherwise_is_shown_anew() -> None:
    script = Script()
    script.report()
    effects = script.report(name="lamp")
    assert RefreshDevices((PLUG,)) in effects
    assert not of_kind(effects, ListenTo)


@pytest.mark.parametrize("missing", ["version", "model"])
def test_a_device_that_does_not_say_all_is_asked(missing: str) -> None:
    script = Script()
    assert QueryDevice(PLUG) in script.report(**{missing: ""})
    assert not of_kind(script.report(**{missing: ""}, name="x"), QueryDevice)
    script.now += limits.QUERY_SPACING
    assert QueryDevice(PLUG) in script.report(**{missing: ""})


def test_what_the_broker_kept_is_asked_for_when_it_differs_from_what_is_known() -> None:
    script = Script()
    script.report()
    script.restart()
    effects = script.report("1.1.0", retained=True)
    assert QueryDevice(PLUG) in effects
    script.report()
    assert script.view().installed_version == "1.0.0"


def test_what_the_broker_kept_does_not_outdate_what_the_device_itself_said() -> None:
    script = Script()
    script.report()
    script.report("0.9.0", retained=True)
    assert script.view().installed_version == "1.0.0"


def test_while_a_command_is_out_what_the_broker_kept_says_nothing() -> None:
    script = Script().commanded()
    assert script.report("1.2.0", retained=True, addresses=("x/",), model="LAMP") == []


# --- one thing, two families ------------------------------------------------------------------------------------------


def test_a_message_of_another_family_about_a_known_device_is_not_believed() -> None:
    script = Script()
    script.report()
    script.tell(MessageRefused("boots", Reason.MALFORMED, "x"))
    for _ in range(3):
        script.tell(report(PLUG, "6.6.6", dialect="boots"))
    assert script.view().installed_version == "1.0.0"
    assert script.hub.refused_messages == {"boots": 4}
    (row,) = [row for row in script.disk.audit if row.kind == "identity_claimed"]
    assert (row.subject, row.values) == (PLUG, {"by": "boots", "known_as": "open"})


def test_the_native_family_takes_the_place_of_the_generic_one() -> None:
    script = Script()
    script.tell(report(PLUG, "1.0.0", dialect="generic", addresses=("a/",)))
    script.report("1.0.1")
    assert script.view().device.dialect == "open"
    assert script.view().installed_version == "1.0.1"


def test_the_generic_family_does_not_take_the_place_of_the_native_one() -> None:
    script = Script()
    script.report()
    script.tell(report(PLUG, "1.0.1", dialect="generic"))
    assert script.view().device.dialect == "open"


def test_no_family_takes_the_place_of_another_while_an_install_waits() -> None:
    script = Script()
    script.dialect = "generic"
    script.ready()
    script.answers.clear()
    script.online(online=False)
    script.approve()
    script.tell(report(PLUG, "1.0.1", dialect="open"))
    assert script.view().device.dialect == "generic"


# --- addresses that are shared ----------------------------------------------------------------------------------------


def test_two_devices_at_one_address_are_told_and_nothing_is_sent_to_either() -> None:
    script = Script().ready()
    script.report(device_id=LAMP)
    script.online(online=False, device_id=LAMP)
    effects = script.report(device_id=LAMP, addresses=(f"{PLUG}/",))
    told = {issue.subject: issue for issue in of_kind(effects, RaiseIssue)}
    assert sorted(told) == [PLUG, LAMP]
    assert (told[PLUG].kind, told[PLUG].severity, told[PLUG].reason) == (
        IssueKind.TOPIC_CONFLICT,
        Severity.ERROR,
        Reason.TOPIC_CONFLICT,
    )
    assert told[PLUG].values == {"device": "plug", "address": f"{PLUG}/"}
    script.approve()
    assert script.hold == (S.DEFERRED, Reason.TOPIC_CONFLICT)


def test_a_conflict_that_is_solved_lets_an_install_go_on() -> None:
    script = Script().ready()
    script.report(device_id=LAMP, addresses=(f"{PLUG}/",))
    script.approve()
    effects = script.report(device_id=LAMP, addresses=("elsewhere/",))
    assert {ClearIssue(IssueKind.TOPIC_CONFLICT, PLUG), ClearIssue(IssueKind.TOPIC_CONFLICT, LAMP)} <= set(
        of_kind(effects, ClearIssue)
    )
    assert len(script.commands) == 1


def test_a_conflict_is_told_again_after_a_restart() -> None:
    script = Script()
    script.report()
    script.report(device_id=LAMP, addresses=(f"{PLUG}/",))
    assert issues(script.restart()) == [IssueKind.TOPIC_CONFLICT] * 2


# --- floods -----------------------------------------------------------------------------------------------------------


def flooded() -> Script:
    script = Script()
    script.wait(limits.START_GRACE + MINUTE)
    for number in range(limits.NEW_DEVICES_PER_MINUTE + 3):
        script.report(device_id=f"mac:F{number}")
    return script


def test_a_flood_of_new_devices_is_refused_and_told_once() -> None:
    script = flooded()
    assert issues(script.effects) == [IssueKind.DEVICE_FLOOD]
    assert len(script.disk.devices) == limits.NEW_DEVICES_PER_MINUTE
    assert script.hub.refused_messages == {IssueKind.DEVICE_FLOOD: 3}


def test_the_notice_of_a_flood_goes_away_by_itself() -> None:
    script = flooded()
    script.wait(limits.FLOOD_OVER - SECOND)
    assert ClearIssue(IssueKind.DEVICE_FLOOD, "") not in script.effects
    script.wait(2 * SECOND)
    assert ClearIssue(IssueKind.DEVICE_FLOOD, "") in script.effects
    assert script.hub.refused_messages == {IssueKind.DEVICE_FLOOD: 0}


def test_more_devices_than_home_assistant_can_show_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_DEVICES", 1)
    script = Script()
    script.report()
    (issue,) = of_kind(script.report(device_id=LAMP), RaiseIssue)
    assert (issue.kind, issue.reason, issue.values) == (
        IssueKind.TOO_MANY_DEVICES,
        Reason.TOO_MANY_DEVICES,
        {"limit": "1"},
    )


def test_messages_that_could_not_be_read_are_counted() -> None:
    script = Script()
    for _ in range(2):
        assert script.tell(MessageRefused("tasmota", Reason.MALFORMED, "x/y")) == []
    assert script.hub.refused_messages == {"tasmota": 2}


# --- where and how they are -------------------------------------------------------------------------------------------


def test_a_withdrawn_device_is_kept_and_shown_off_line() -> None:
    script = Script()
    script.report()
    assert script.tell(DeviceWithdrawn(PLUG)) == [RefreshDevices((PLUG,))]
    assert script.view().online is False
    assert script.tell(DeviceWithdrawn(PLUG)) == []
    assert script.tell(DeviceWithdrawn("nobody")) == []


def test_a_device_that_comes_and_goes_is_shown() -> None:
    script = Script()
    script.report()
    assert script.online(online=False) == [RefreshDevices((PLUG,))]
    assert script.online(online=False) == []
    assert RefreshDevices((PLUG,)) in script.online()


def test_words_about_strangers_change_nothing() -> None:
    script = Script()
    assert script.tell(DeviceLinkChanged("nobody", online=True), HealthReported("nobody", battery_percent=3)) == []


def test_what_a_device_kept_about_its_link_says_nothing_about_its_install() -> None:
    script = Script().commanded()
    script.tell(DeviceLinkChanged(PLUG, online=False, retained=True))
    assert script.state() is S.INSTALLING


def test_a_battery_is_shown_and_other_values_are_not_news() -> None:
    script = Script()
    script.report()
    assert script.health(battery_percent=80) == [RefreshDevices((PLUG,))]
    assert script.view().battery_percent == 80
    assert script.health(battery_percent=80, rssi_dbm=-60, uptime_s=5) == []


def test_a_charged_battery_lets_an_install_go_on() -> None:
    script = Script().ready(battery_powered=True)
    script.health(battery_percent=10)
    script.approve()
    assert script.hold == (S.DEFERRED, Reason.LOW_BATTERY)
    script.health(battery_percent=10)
    assert not script.commands
    script.health(battery_percent=90)
    assert len(script.commands) == 1


def test_what_a_device_kept_about_its_health_lets_nothing_go_on() -> None:
    script = Script().ready(battery_powered=True)
    script.approve()
    assert script.hold == (S.DEFERRED, Reason.BATTERY_UNKNOWN)
    script.health(battery_percent=90, retained=True)
    assert not script.commands


def test_an_uptime_of_a_device_that_was_not_commanded_says_nothing() -> None:
    script = Script().ready()
    script.online(online=False)
    script.approve()
    before = script.install
    script.health(uptime_s=1)
    assert script.install is before


def test_a_removed_device_says_hello_again_as_a_new_one() -> None:
    script = Script()
    script.report()
    script.tell(ForgetRequested(PLUG, "anna"))
    assert [told.kind for told in of_kind(script.report(), Announce)] == [LifecycleKind.DEVICE_FOUND]


def test_a_self_test_and_a_restart_may_come_in_one_word() -> None:
    script = Script().commanded()
    script.wait(2 * MINUTE)
    script.health(uptime_s=30, self_test="failed")
    script.report("1.2.0")
    assert script.verdict == (S.FAILED, Reason.UNHEALTHY)


def test_the_hub_hears_of_a_release_that_was_there_before_its_device() -> None:
    script = Script()
    script.publish(release())
    script.report()
    offer = script.view().offer
    assert offer is not None
    assert offer.version == "1.2.0"
