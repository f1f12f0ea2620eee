"""Devices that sleep: their bridge waits for them, inside the window, and is told in time not to wait any more."""

from __future__ import annotations

import pytest

from custom_components.firmware_hub.core import limits
from custom_components.firmware_hub.core.effects import IssueKind, QueryDevice, SendInstall, TakeBack
from custom_components.firmware_hub.core.errors import Reason
from custom_components.firmware_hub.core.inputs import (
    ArtifactsReady,
    DeviceLinkChanged,
    FeedsChanged,
    ForgetRequested,
    HealthReported,
    InstallReported,
    SettingsChanged,
    Stage,
    UnapproveRequested,
)
from custom_components.firmware_hub.core.model import InstallState as S
from custom_components.firmware_hub.core.settings import Settings

from .bridge import NETWORK, Bridge
from .builders import DAY, FAN, HOUR, LAMP, MINUTE, NIGHT, NOON, PLUG, SECOND, audited, of_kind, raised, told
from .statements import release

CLOSES = NIGHT + 4 * HOUR + 30 * MINUTE
LATEST = CLOSES - 30 * MINUTE
"""When an install of half an hour must begin at the latest."""


def fetching() -> Bridge:
    """Have the plug's files on their way."""
    bridge = Bridge()
    bridge.sleeper()
    bridge.publish()
    bridge.files = None
    bridge.approve()
    return bridge


def begun() -> Bridge:
    """Have the plug awake, and its transfer under way."""
    bridge = Bridge().scheduled()
    assert bridge.wake()
    assert bridge.state() is S.INSTALLING
    return bridge


# --- handed over -----------------------------------------------------------------------------------------------------


def test_what_sleeps_is_handed_to_its_bridge_and_not_asked() -> None:
    bridge = Bridge()
    bridge.sleeper()
    bridge.publish()
    effects = bridge.approve()
    (order,) = of_kind(effects, SendInstall)
    assert (order.when_awake, order.not_after) == (True, LATEST)
    assert of_kind(effects, QueryDevice) == []


def test_a_person_sees_that_it_waits_for_the_device() -> None:
    bridge = Bridge().scheduled()
    assert bridge.hold == (S.SCHEDULED, Reason.DEVICE_ASLEEP)
    assert bridge.view().in_progress is False


def test_what_wakes_inside_the_window_is_installed_by_that_one_command() -> None:
    bridge = begun()
    assert bridge.view().in_progress is True
    bridge.done()
    bridge.proves()
    assert bridge.verdict == (S.SUCCEEDED, None)
    assert (len(bridge.commands), bridge.tries, bridge.install.attempt) == (1, 1, 1)


def test_automations_hear_of_the_start_when_it_starts() -> None:
    bridge = Bridge().scheduled()
    assert (told(bridge.effects).count("install_started"), audited(bridge.effects).count("command_ordered")) == (0, 1)
    bridge.wake()
    assert told(bridge.effects).count("install_started") == 1
    bridge.restart()
    bridge.tell(InstallReported(PLUG, Stage.DOWNLOADING, 50))
    assert told(bridge.effects).count("install_started") == 1


def test_what_has_just_spoken_is_awake_and_gets_the_ordinary_command() -> None:
    bridge = Bridge()
    bridge.sleeper()
    bridge.publish()
    bridge.report("1.0.0")
    bridge.approve()
    assert (bridge.state(), bridge.commands[-1].when_awake) == (S.INSTALLING, False)


def test_what_was_awake_and_did_not_begin_is_handed_over_the_next_time() -> None:
    bridge = Bridge()
    bridge.sleeper()
    bridge.publish()
    bridge.report("1.0.0", **bridge.about[PLUG])
    bridge.approve()
    bridge.stage(Stage.NOT_BEGUN, detail="asleep")
    bridge.report("1.0.0", **bridge.about[PLUG])
    assert bridge.hold == (S.DEFERRED, Reason.WAITS_FOR_RETRY)
    bridge.wait(HOUR - 30 * SECOND)
    bridge.report("1.0.0", **bridge.about[PLUG])
    bridge.wait(MINUTE)
    assert (bridge.state(), bridge.install.attempt) == (S.SCHEDULED, 2)


def test_nothing_is_handed_over_by_day() -> None:
    bridge = Bridge(NOON).scheduled()
    assert (bridge.hold, bridge.held) == ((S.APPROVED, Reason.WAITS_FOR_WINDOW), {})
    bridge.wait(12 * HOUR)
    assert (bridge.state(), list(bridge.held)) == (S.SCHEDULED, [PLUG])


def test_a_family_without_such_bridges_is_asked_as_ever() -> None:
    bridge = Bridge()
    bridge.dialect = "mesh"
    bridge.sleeper()
    bridge.publish()
    bridge.approve()
    bridge.wait(MINUTE)
    assert (bridge.hold, bridge.commands) == ((S.DEFERRED, Reason.DEVICE_ASLEEP), [])


def test_what_may_run_another_version_by_now_is_asked() -> None:
    bridge = fetching()
    bridge.restart()
    bridge.tell(HealthReported(PLUG, battery_percent=80))
    bridge.report("1.1.0", retained=True)
    effects = bridge.tell(ArtifactsReady(bridge.install.id))
    assert (bridge.commands, of_kind(effects, QueryDevice)) == ([], [QueryDevice(PLUG)])


def test_a_device_that_was_not_heard_for_days_is_waited_for_all_the_same() -> None:
    bridge = Bridge()
    bridge.sleeper()
    bridge.online(online=False)
    bridge.publish()
    bridge.approve()
    assert bridge.state() is S.SCHEDULED


def test_nothing_is_handed_to_a_bridge_that_is_away() -> None:
    bridge = Bridge()
    bridge.sleeper()
    bridge.publish()
    bridge.dies()
    bridge.approve()
    bridge.wait(2 * MINUTE)
    assert bridge.hold == (S.DEFERRED, Reason.DEVICE_ASLEEP)
    bridge.returns()
    assert bridge.state() is S.SCHEDULED


def test_an_owner_who_says_now_has_a_whole_day() -> None:
    bridge = Bridge(NOON).scheduled(at_once=True)
    assert bridge.state() is S.SCHEDULED
    bridge.wait(23 * HOUR, tick=4 * MINUTE)
    assert bridge.wake()


# --- the end of the window -------------------------------------------------------------------------------------------


def test_it_is_taken_back_when_it_could_not_end_inside_the_window_any_more() -> None:
    bridge = Bridge().scheduled()
    bridge.wait(LATEST - bridge.now - SECOND)
    assert list(bridge.held) == [PLUG]
    bridge.wait(2 * SECOND)
    assert (bridge.held, bridge.taken_back, bridge.served) == ({}, ["id-2"], set())
    assert bridge.hold == (S.DEFERRED, Reason.DEVICE_ASLEEP)


def test_who_wakes_after_that_finds_nothing_until_the_next_night() -> None:
    bridge = Bridge().scheduled()
    bridge.wait(LATEST - bridge.now)
    while bridge.now < CLOSES + 18 * HOUR:
        assert not bridge.wake()
        bridge.wait(HOUR, tick=4 * MINUTE)
    assert bridge.hold == (S.APPROVED, Reason.WAITS_FOR_WINDOW)
    bridge.tell(HealthReported(PLUG, battery_percent=80))
    bridge.wait(3 * HOUR)
    assert bridge.wake()
    assert (bridge.install.attempt, len({sent.attempt_id for sent in bridge.commands})) == (1, 2)


def test_a_bridge_that_did_not_hear_finds_no_file_and_is_told_again_until_it_does() -> None:
    bridge = Bridge().scheduled()
    bridge.hears = False
    bridge.wait(LATEST - bridge.now + SECOND)
    assert (bridge.state(), list(bridge.held), bridge.wake()) == (S.UNSCHEDULING, [PLUG], False)
    bridge.wait(5 * MINUTE)
    assert (bridge.state(), len(bridge.taken_back)) == (S.UNSCHEDULING, 3)
    bridge.hears = True
    bridge.wait(limits.UNSCHEDULE_RETRY)
    assert (bridge.state(), bridge.held) == (S.DEFERRED, {})


def test_a_bridge_that_is_never_heard_of_again_is_believed_after_the_longest_time() -> None:
    bridge = Bridge().scheduled()
    bridge.hears = False
    bridge.wait(LATEST - bridge.now + 7 * HOUR, tick=4 * MINUTE)
    assert bridge.state() is S.UNSCHEDULING
    bridge.wait(HOUR + MINUTE, tick=4 * MINUTE)
    assert bridge.state() is S.DEFERRED


def test_telling_a_bridge_again_is_worth_no_write() -> None:
    bridge = Bridge().scheduled()
    bridge.hears = False
    bridge.wait(LATEST - bridge.now + SECOND)
    bridge.disk.works = False
    before = len(bridge.taken_back)
    bridge.wait(limits.UNSCHEDULE_RETRY + SECOND)
    assert len(bridge.taken_back) == before + 1


def test_three_nights_asleep_are_told_to_the_owner() -> None:
    bridge = Bridge().scheduled()
    for _ in range(3):
        bridge.tell(HealthReported(PLUG, battery_percent=80))
        bridge.wait(DAY, tick=4 * MINUTE)
    assert raised(bridge.effects) == [IssueKind.WINDOWS_MISSED]


def test_a_shorter_window_counts_at_once() -> None:
    bridge = Bridge().scheduled()
    bridge.tell(SettingsChanged(Settings(window_end=(NIGHT + 10 * MINUTE).time())))
    assert (bridge.held, bridge.hold) == ({}, (S.DEFERRED, Reason.DOES_NOT_FIT_WINDOW))


def test_what_runs_is_not_cut_off_at_the_windows_end() -> None:
    bridge = Bridge().scheduled()
    bridge.wait(LATEST - bridge.now - MINUTE)
    assert bridge.wake()
    bridge.wait(HOUR)
    assert (bridge.state(), bridge.taken_back) == (S.INSTALLING, [])
    bridge.done()
    bridge.proves()
    assert bridge.verdict == (S.SUCCEEDED, None)


# --- taken back by people and vendors --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("skip", "verdict"),
    [(False, (S.CANCELED, Reason.CANCELED_BY_OWNER)), (True, (S.SKIPPED, Reason.SKIPPED_BY_OWNER))],
)
def test_an_approval_that_is_taken_back_ends_when_the_bridge_has_let_go(skip: bool, verdict: tuple[S, Reason]) -> None:
    bridge = Bridge().scheduled()
    bridge.hears = False
    bridge.tell(UnapproveRequested(PLUG, "anna", skip=skip))
    assert (bridge.state(), bridge.wake()) == (S.UNSCHEDULING, False)
    bridge.hears = True
    bridge.wait(limits.UNSCHEDULE_RETRY)
    assert (bridge.verdict, bridge.held) == (verdict, {})


def test_it_may_be_called_off_while_it_is_taken_back_for_another_reason() -> None:
    bridge = Bridge().scheduled()
    bridge.hears = False
    bridge.wait(LATEST - bridge.now + SECOND)
    bridge.tell(UnapproveRequested(PLUG, "anna"))
    bridge.hears = True
    bridge.wait(limits.UNSCHEDULE_RETRY)
    assert bridge.verdict == (S.CANCELED, Reason.CANCELED_BY_OWNER)


def test_a_device_that_woke_in_that_very_moment_is_installed_and_nothing_has_failed() -> None:
    bridge = Bridge().scheduled()
    bridge.busy.add(PLUG)  # it asked just now: the bridge has the file, and says so in a moment
    bridge.tell(UnapproveRequested(PLUG, "anna"))
    assert bridge.state() is S.UNSCHEDULING
    bridge.begin()
    assert bridge.state() is S.INSTALLING
    bridge.done()
    bridge.proves()
    assert bridge.verdict == (S.SUCCEEDED, None)


def test_a_device_that_woke_at_the_windows_end_is_installed_and_nothing_has_failed() -> None:
    bridge = Bridge().scheduled()
    bridge.busy.add(PLUG)
    bridge.wait(LATEST - bridge.now + SECOND)
    bridge.begin()
    bridge.done()
    bridge.proves()
    assert bridge.verdict == (S.SUCCEEDED, None)


def test_a_device_whose_whole_install_was_missed_in_that_moment_is_believed() -> None:
    bridge = Bridge().scheduled()
    bridge.hears = False
    bridge.tell(UnapproveRequested(PLUG, "anna"))
    bridge.proves()
    assert bridge.verdict == (S.SUCCEEDED, None)


def test_a_pause_takes_it_back_and_its_end_hands_it_over_again() -> None:
    bridge = Bridge().scheduled()
    bridge.tell(SettingsChanged(Settings(paused=True)))
    assert (bridge.held, bridge.view().reason) == ({}, Reason.PAUSED)
    bridge.tell(SettingsChanged(Settings()))
    assert (bridge.state(), bridge.install.attempt) == (S.SCHEDULED, 1)
    assert bridge.commands[0].attempt_id != bridge.commands[1].attempt_id


def test_a_release_that_is_withdrawn_is_taken_back() -> None:
    bridge = Bridge().scheduled()
    bridge.publish(release(version="1.3.0"), sequence=43)
    assert (bridge.verdict, bridge.held) == ((S.CANCELED, Reason.OFFER_MOVED), {})


def test_a_feed_that_is_removed_takes_its_installs_back() -> None:
    bridge = Bridge().scheduled()
    bridge.tell(FeedsChanged(()))
    assert (bridge.verdict, bridge.held) == ((S.CANCELED, Reason.OFFER_WITHDRAWN), {})


def test_a_release_that_runs_already_is_not_taken_back() -> None:
    bridge = begun()
    bridge.publish(release(version="1.3.0"), sequence=43)
    bridge.tell(FeedsChanged(()))
    assert bridge.state() is S.INSTALLING


def test_an_approval_that_expires_is_taken_back() -> None:
    bridge = Bridge(NOON, settings=Settings(any_time=frozenset({PLUG}))).scheduled()
    assert bridge.state() is S.SCHEDULED
    for _ in range(31):
        bridge.tell(HealthReported(PLUG, battery_percent=80))
        bridge.wait(DAY, tick=4 * MINUTE)
    assert (bridge.verdict, bridge.held) == ((S.CANCELED, Reason.APPROVAL_EXPIRED), {})


def test_a_battery_that_runs_low_takes_it_back_at_the_next_look() -> None:
    bridge = Bridge().scheduled()
    bridge.tell(HealthReported(PLUG, battery_percent=10))
    bridge.wait(MINUTE)
    assert (bridge.held, bridge.hold) == ({}, (S.DEFERRED, Reason.LOW_BATTERY))


def test_a_removed_device_leaves_nothing_behind() -> None:
    bridge = Bridge().scheduled()
    bridge.tell(ForgetRequested(PLUG, "anna"))
    assert (bridge.held, bridge.served) == ({}, set())


def test_what_is_said_of_a_removed_device_names_it_as_it_was() -> None:
    bridge = Bridge().scheduled()
    known = bridge.hub.get(PLUG)
    (order,) = of_kind(bridge.tell(ForgetRequested(PLUG, "anna")), TakeBack)
    assert bridge.hub.get(PLUG) is None
    assert order.device is known is not None


def test_a_device_that_is_removed_while_it_is_taken_back_is_removed() -> None:
    bridge = Bridge().scheduled()
    bridge.hears = False
    bridge.tell(UnapproveRequested(PLUG, "anna"))
    bridge.tell(ForgetRequested(PLUG, "anna"))
    assert PLUG not in bridge.hub.installer.current


@pytest.mark.parametrize(
    ("said", "reason"),
    [({"version": "1.1.0"}, Reason.CHANGED_BY_OTHERS), ({"model": "PLUG-S2"}, Reason.IDENTITY_CHANGED)],
)
def test_a_device_that_is_not_what_was_approved_is_taken_back(said: dict[str, str], reason: Reason) -> None:
    bridge = Bridge().scheduled()
    bridge.report(**{"version": "1.0.0"} | said)
    assert (bridge.verdict, bridge.held) == ((S.CANCELED, reason), {})


def test_what_it_runs_before_it_begins_is_no_news() -> None:
    bridge = Bridge().scheduled()
    bridge.report("1.0.0")
    bridge.stage(Stage.RESTARTED)
    assert (bridge.state(), bridge.taken_back) == (S.SCHEDULED, [])


# --- restarts --------------------------------------------------------------------------------------------------------


def test_a_restart_inside_the_window_takes_it_back_and_hands_it_over_anew() -> None:
    bridge = Bridge().scheduled()
    bridge.restart()
    assert (bridge.held, bridge.hold) == ({}, (S.DEFERRED, Reason.BATTERY_UNKNOWN))
    bridge.tell(HealthReported(PLUG, battery_percent=80))
    assert (bridge.state(), len(bridge.commands)) == (S.SCHEDULED, 2)
    assert bridge.held[PLUG] is bridge.commands[1]


def test_after_a_restart_by_day_nothing_is_left() -> None:
    bridge = Bridge().scheduled()
    bridge.restart(12 * HOUR)
    assert (bridge.held, bridge.served, len(bridge.commands)) == ({}, set(), 1)


def test_a_restart_while_it_is_taken_back_goes_on_with_that() -> None:
    bridge = Bridge().scheduled()
    bridge.hears = False
    bridge.tell(UnapproveRequested(PLUG, "anna"))
    bridge.hears = True
    bridge.restart()
    assert (bridge.verdict, bridge.held) == ((S.CANCELED, Reason.CANCELED_BY_OWNER), {})


def test_a_device_that_was_installed_while_the_hub_was_away_has_succeeded() -> None:
    bridge = Bridge().scheduled()
    bridge.held.clear()
    bridge.restart(12 * HOUR)
    bridge.proves()
    assert bridge.verdict == (S.SUCCEEDED, None)


def test_a_try_that_runs_on_over_a_restart_goes_its_way() -> None:
    bridge = begun()
    bridge.restart()
    assert (bridge.state(), bridge.served) == (S.UNSCHEDULING, set())
    bridge.tell(InstallReported(PLUG, Stage.DOWNLOADING, 50))
    assert bridge.state() is S.INSTALLING
    bridge.done()
    bridge.proves()
    assert bridge.verdict == (S.SUCCEEDED, None)


def test_a_try_that_ended_while_the_hub_was_away_is_judged_by_what_the_device_runs() -> None:
    bridge = begun()
    bridge.busy.clear()
    effects = bridge.restart()
    assert (bridge.state(), of_kind(effects, QueryDevice)) == (S.REBOOTING, [QueryDevice(PLUG)])
    bridge.report("1.0.0")
    assert bridge.verdict == (S.FAILED, Reason.CAME_BACK_OLD)


def test_a_broken_connection_takes_back_what_may_have_begun_meanwhile() -> None:
    bridge = Bridge().scheduled()
    bridge.link(up=False)
    bridge.wait(2 * MINUTE)
    assert (bridge.state(), bridge.wake()) == (S.UNSCHEDULING, False)
    bridge.link()
    assert (bridge.state(), len(bridge.commands)) == (S.SCHEDULED, 2)


def test_a_connection_that_broke_for_a_moment_is_no_different() -> None:
    bridge = Bridge().scheduled()
    bridge.link(up=False)
    bridge.link()
    assert (bridge.taken_back, bridge.state()) == (["id-2"], S.SCHEDULED)


def test_a_machine_that_slept_takes_it_back() -> None:
    bridge = Bridge().scheduled()
    bridge.sleep(HOUR)
    assert bridge.taken_back == ["id-2"]


# --- the bridge restarts ---------------------------------------------------------------------------------------------


def test_a_bridge_that_restarts_is_told_first_and_then_handed_it_anew() -> None:
    bridge = Bridge().scheduled()
    for _ in range(3):
        bridge.dies()
        assert bridge.state() is S.UNSCHEDULING
        bridge.now += SECOND
        bridge.returns()
    assert (bridge.state(), bridge.install.attempt, list(bridge.held)) == (S.SCHEDULED, 1, [PLUG])


def test_a_bridge_that_returns_by_day_is_told_then() -> None:
    bridge = Bridge().scheduled()
    bridge.dies()
    bridge.wait(6 * HOUR)
    assert list(bridge.held) == [PLUG]
    bridge.returns()
    assert (bridge.held, bridge.hold) == ({}, (S.APPROVED, Reason.WAITS_FOR_WINDOW))


def test_a_bridge_that_goes_away_is_not_told_anything() -> None:
    bridge = Bridge().scheduled()
    bridge.dies()
    told = len(bridge.taken_back)
    bridge.tell(DeviceLinkChanged(PLUG, online=False))
    assert len(bridge.taken_back) == told


def test_a_bridge_that_dies_in_the_middle_of_a_try_is_a_failure() -> None:
    bridge = begun()
    bridge.dies()
    assert bridge.state() is S.UNSCHEDULING
    bridge.returns()
    assert bridge.verdict == (S.FAILED, Reason.DEVICE_REPORTED_FAILURE)
    assert bridge.install.reason_values == {"detail": "bridge_died"}


def test_a_bridge_that_dies_after_the_try_leaves_it_to_the_device() -> None:
    bridge = begun()
    bridge.done()
    bridge.dies()
    bridge.returns()
    bridge.proves()
    assert bridge.verdict == (S.SUCCEEDED, None)


# --- tries that fail -------------------------------------------------------------------------------------------------


def test_a_try_that_failed_is_not_repeated() -> None:
    bridge = begun()
    bridge.stumbles()
    assert (bridge.verdict, bridge.held) == ((S.FAILED, Reason.DEVICE_REPORTED_FAILURE), {})
    assert (bridge.wake(), bridge.tries) == (False, 1)


def test_a_try_that_failed_finds_no_file_even_if_the_bridge_does_not_hear() -> None:
    bridge = begun()
    bridge.hears = False
    bridge.stumbles()
    assert (bridge.state(), bridge.wake()) == (S.UNSCHEDULING, False)


def test_a_failure_that_was_none_is_corrected_by_the_device() -> None:
    bridge = begun()
    bridge.stumbles()
    bridge.proves()
    assert bridge.verdict == (S.SUCCEEDED, None)


def test_a_bridge_that_gives_up_is_tried_once_more_and_no_oftener() -> None:
    bridge = Bridge().scheduled()
    bridge.stage(Stage.NOT_BEGUN, detail="no_image")
    assert bridge.hold == (S.DEFERRED, Reason.WAITS_FOR_RETRY)
    bridge.wait(limits.RETRY_DELAY + MINUTE)
    assert (bridge.state(), bridge.install.attempt) == (S.SCHEDULED, 2)
    bridge.stage(Stage.NOT_BEGUN, detail="no_image")
    assert bridge.verdict == (S.FAILED, Reason.NOT_BEGUN)
    assert bridge.install.reason_values == {"detail": "no_image"}


def test_a_device_for_which_there_was_nothing_to_do_is_asked_while_it_is_awake() -> None:
    bridge = Bridge().scheduled()
    effects = bridge.stage(Stage.NOT_BEGUN, detail="no_image")
    assert of_kind(effects, QueryDevice) == [QueryDevice(PLUG)]
    bridge.report("1.1.0")
    assert bridge.verdict == (S.CANCELED, Reason.CHANGED_BY_OTHERS)


def test_an_order_that_nobody_answers_is_tried_once_more_and_no_oftener() -> None:
    bridge = Bridge()
    bridge.sleeper()
    bridge.publish()
    bridge.hears = False
    bridge.approve()
    bridge.wait(75 * SECOND)
    assert (bridge.state(), bridge.install.reason) == (S.UNSCHEDULING, None)
    bridge.hears = True
    bridge.wait(limits.UNSCHEDULE_RETRY)
    assert bridge.hold == (S.DEFERRED, Reason.WAITS_FOR_RETRY)
    bridge.hears = False
    bridge.wait(limits.RETRY_DELAY + 2 * MINUTE)
    bridge.hears = True
    bridge.wait(limits.UNSCHEDULE_RETRY)
    assert bridge.verdict == (S.FAILED, Reason.NO_REACTION)


def test_an_order_that_was_refused_at_once_has_not_begun() -> None:
    bridge = Bridge()
    bridge.sleeper()
    bridge.publish()
    bridge.hears = False
    bridge.approve()
    bridge.stage(Stage.FAILED, detail="unsupported")
    bridge.hears = True
    bridge.wait(limits.UNSCHEDULE_RETRY)
    assert bridge.hold == (S.DEFERRED, Reason.WAITS_FOR_RETRY)


def test_an_order_that_did_not_leave_is_taken_back_and_tried_again() -> None:
    bridge = fetching()
    bridge.connected = False  # the hub has not been told yet
    bridge.tell(ArtifactsReady(bridge.install.id))
    assert (bridge.commands, bridge.state()) == ([], S.UNSCHEDULING)
    bridge.connected = True
    bridge.wait(limits.UNSCHEDULE_RETRY)
    assert bridge.hold == (S.DEFERRED, Reason.WAITS_FOR_RETRY)
    bridge.files = "ready"
    bridge.wait(limits.RETRY_DELAY + MINUTE)
    assert bridge.state() is S.SCHEDULED


def test_an_order_that_could_not_be_written_down_was_never_given() -> None:
    bridge = fetching()
    bridge.disk.works = False
    bridge.tell(ArtifactsReady(bridge.install.id))
    assert (bridge.commands, bridge.taken_back) == ([], [])
    assert (bridge.state(), bridge.install.reason, bridge.install.attempt) == (S.DEFERRED, Reason.DISK_FULL, 0)


def test_a_device_that_never_says_what_it_runs_is_given_up_in_the_end() -> None:
    bridge = begun()
    bridge.done()
    bridge.wait(8 * HOUR + 2 * MINUTE, tick=4 * MINUTE)
    assert bridge.verdict == (S.TIMED_OUT, Reason.NO_RETURN)


def test_a_sleeper_that_said_once_what_it_runs_may_sleep_again() -> None:
    bridge = begun()
    bridge.done()
    bridge.report("1.2.0", **bridge.about[PLUG])
    bridge.wait(limits.VERIFY_DEADLINE - 10 * SECOND)
    assert bridge.state() is S.VERIFYING
    bridge.wait(20 * SECOND)
    assert bridge.verdict == (S.SUCCEEDED, None)


def test_how_long_a_sleeper_took_says_nothing_of_the_next_one() -> None:
    bridge = begun()
    bridge.done()
    bridge.proves()
    assert bridge.hub.installer.rollout.durations == {}


# --- the others of its network ---------------------------------------------------------------------------------------


def two_models() -> Bridge:
    """Have two sleepers of different models with one bridge."""
    bridge = Bridge()
    bridge.sleeper()
    bridge.sleeper(FAN, model="FAN-1")
    bridge.publish(release(), release(model=("FAN-1",)))
    bridge.approve()
    bridge.approve(FAN)
    return bridge


def test_a_bridge_waits_for_several_and_transfers_to_one() -> None:
    bridge = two_models()
    assert sorted(bridge.held) == sorted([PLUG, FAN])
    assert bridge.wake()
    assert (list(bridge.held), bridge.wake(FAN)) == ([PLUG], False)
    assert bridge.view(FAN).reason is Reason.NETWORK_BUSY
    bridge.done()
    assert sorted(bridge.held) == [FAN]


def test_two_that_wake_in_one_moment_are_both_installed_and_nothing_has_failed() -> None:
    bridge = two_models()
    bridge.busy.add(FAN)
    bridge.begin()
    bridge.begin(FAN)
    for device_id in (PLUG, FAN):
        bridge.done(device_id)
        bridge.proves(device_id)
    assert bridge.verdict == (S.SUCCEEDED, None)
    assert bridge.hub.installer.last[FAN].state is S.SUCCEEDED


def test_who_is_awake_goes_on_while_the_bridge_waits_for_others() -> None:
    bridge = two_models()
    bridge.report("1.0.0", LAMP, model="LAMP-1", network=NETWORK)
    bridge.answers[LAMP] = {"version": "1.0.0", "model": "LAMP-1", "network": NETWORK}
    models = [release(model=(name,)) for name in ("PLUG-S1", "FAN-1", "LAMP-1")]
    bridge.publish(*models, sequence=43)
    effects = bridge.approve(LAMP)
    orders = [type(effect) for effect in effects if isinstance(effect, SendInstall | TakeBack)]
    assert (bridge.held, orders) == ({}, [TakeBack, TakeBack, SendInstall])


def test_the_first_of_a_release_is_waited_for_alone() -> None:
    bridge = Bridge()
    bridge.sleeper()
    bridge.sleeper(LAMP)
    bridge.publish()
    bridge.approve()
    bridge.approve(LAMP)
    assert list(bridge.held) == [PLUG]
    assert bridge.view(LAMP).reason is Reason.WAITS_FOR_PILOT


def test_a_model_that_is_stopped_is_taken_back_at_the_next_look() -> None:
    bridge = Bridge().scheduled()
    bridge.hub.installer.rollout.stop(bridge.install, "1.2.0", Reason.CAME_BACK_OLD)
    bridge.wait(MINUTE)
    assert (bridge.held, bridge.hold) == ({}, (S.DEFERRED, Reason.MODEL_STOPPED))
