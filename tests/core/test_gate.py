"""May this install start now? Every no has its reason, and says when it is worth asking again."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import Any

import pytest

from custom_components.firmware_hub.core import gate, limits
from custom_components.firmware_hub.core.errors import Reason
from custom_components.firmware_hub.core.gate import Asked, HubState, No
from custom_components.firmware_hub.core.model import ArtifactRole, Presence
from custom_components.firmware_hub.core.settings import Settings
from custom_components.firmware_hub.core.window import Window

from .builders import (
    DAY,
    HOUR,
    MINUTE,
    NIGHT,
    NOON,
    PLUG,
    Home,
    approval,
    capabilities,
    commanded,
    device,
    install,
    offer,
)
from .statements import artifact, release

ALL_WELL = HubState(connected=True, clock_trusted=True, store_ok=True, paused=False, address_ok=True)


def asked(**changes: Any) -> Asked:
    values: dict[str, Any] = {
        "install": install(),
        "device": device(),
        "presence": Presence(),
        "capabilities": capabilities(),
        "conflict": False,
    }
    return Asked(**values | changes)


def device_says(now: datetime = NIGHT, **changes: Any) -> No | None:
    return gate.device_says(asked(**changes), now)


def window_says(now: datetime, expected: timedelta = 5 * MINUTE, *, window_free: bool = False) -> No | None:
    return gate.window_says(Window(Settings()).outlook(now), expected, window_free=window_free)


class TestTheHub:
    def test_nothing_is_in_the_way(self) -> None:
        assert gate.hub_says(ALL_WELL) is None

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"store_ok": False}, Reason.DISK_FAILED),
            ({"paused": True}, Reason.PAUSED),
            ({"clock_trusted": False}, Reason.CLOCK_UNTRUSTED),
            ({"connected": False}, Reason.BROKER_DISCONNECTED),
            ({"address_ok": False}, Reason.ADDRESS_UNREACHABLE),
        ],
    )
    def test_what_holds_for_all_is_in_the_way_of_all(self, change: dict[str, bool], reason: Reason) -> None:
        assert gate.hub_says(replace(ALL_WELL, **change)) is reason
        assert reason in gate.OF_THE_HUB


class TestTheWindow:
    def test_it_is_open_and_long_enough(self) -> None:
        assert window_says(NIGHT) is None

    def test_it_is_closed_and_the_next_one_is_named(self) -> None:
        assert window_says(NOON) == No(Reason.WAITS_FOR_WINDOW, {}, NOON + 12 * HOUR)

    def test_an_install_that_cannot_end_inside_does_not_start(self) -> None:
        answer = window_says(NIGHT, expected=5 * HOUR)
        assert answer == No(Reason.DOES_NOT_FIT_WINDOW, {"minutes": "300"}, NIGHT - 30 * MINUTE + DAY)

    def test_minutes_are_told_rounded_up(self) -> None:
        answer = window_says(NIGHT + 4 * HOUR, expected=31 * MINUTE + MINUTE / 2)
        assert answer is not None
        assert answer.values == {"minutes": "32"}

    def test_an_install_that_ends_with_the_window_fits(self) -> None:
        assert window_says(NIGHT, expected=4 * HOUR + 30 * MINUTE) is None

    def test_now_is_a_persons_word_against_the_window(self) -> None:
        assert window_says(NOON, window_free=True, expected=30 * HOUR) is None

    def test_without_any_weekday_there_is_nothing_to_wait_for(self) -> None:
        never = Window(Settings(weekdays=frozenset())).outlook(NIGHT)
        answer = gate.window_says(never, MINUTE, window_free=False)
        assert answer == No(Reason.WAITS_FOR_WINDOW, {}, None)


class TestTheApproval:
    def test_it_is_good_until_it_expires(self) -> None:
        just = install(approval=approval(expires=NIGHT + MINUTE))
        assert device_says(install=just) is None
        assert device_says(NIGHT + MINUTE, install=just) == No(Reason.APPROVAL_EXPIRED)

    def test_an_earlier_attempt_may_still_be_at_work(self) -> None:
        answer = device_says(install=commanded(at=NIGHT))
        assert answer == No(Reason.WAITS_FOR_RETRY, {"attempt": "2"}, NIGHT + 10 * MINUTE)

    def test_after_its_deadline_it_is_not(self) -> None:
        assert device_says(NIGHT + 10 * MINUTE, install=commanded(at=NIGHT)) is None

    def test_its_feed_must_vouch_for_the_release(self) -> None:
        assert device_says(feed_fault=Reason.UNREACHABLE) == No(Reason.UNREACHABLE, {"version": "1.2.0"})

    def test_an_expired_manifest_starts_nothing(self) -> None:
        stale = install(offer=offer(expires=NIGHT + MINUTE))
        assert device_says(install=stale) is None
        assert device_says(NIGHT + MINUTE, install=stale) == No(Reason.EXPIRED, {"version": "1.2.0"})


class TestTheDevice:
    def test_two_devices_at_one_address_get_nothing(self) -> None:
        assert device_says(conflict=True) == No(Reason.TOPIC_CONFLICT)

    def test_a_device_that_is_off_line_waits_until_it_is_there(self) -> None:
        assert device_says(presence=Presence(online=False)) == No(Reason.DEVICE_OFFLINE)

    def test_a_device_that_nobody_has_heard_of_yet_may_be_there(self) -> None:
        assert device_says(presence=Presence(online=None)) is None

    def test_for_a_sleeping_device_the_file_is_fetched_before_it_wakes(self) -> None:
        assert device_says(device=device(sleeps=True), presence=Presence(online=False)) is None

    def test_a_sleeping_device_whose_file_is_there_waits_until_it_wakes(self) -> None:
        answer = device_says(device=device(sleeps=True), presence=Presence(online=False), install=install(fetched=True))
        assert answer == No(Reason.DEVICE_ASLEEP)

    def test_the_battery_of_a_sleeping_device_is_asked_about_when_it_wakes(self) -> None:
        sleeper = device(sleeps=True, battery_powered=True)
        assert device_says(device=sleeper, presence=Presence(online=False)) is None
        assert device_says(device=sleeper, presence=Presence(online=True)) == No(
            Reason.BATTERY_UNKNOWN, {"needed": "50"}
        )

    def test_settings_that_will_be_changed_must_be_known(self) -> None:
        answer = device_says(capabilities=capabilities(borrows=("url",)))
        assert answer == No(Reason.NO_SETTINGS_KNOWN, {}, NIGHT + limits.SILENT_RETRY)

    def test_settings_that_are_known_can_be_put_back(self) -> None:
        known = device(settings={"url": "mine"})
        assert device_says(capabilities=capabilities(borrows=("url",)), device=known) is None


class TestTheBattery:
    BATTERY = device(battery_powered=True)

    def says(self, percent: int | None = None, age: Any = MINUTE, **changes: Any) -> No | None:
        presence = Presence(battery_percent=percent, health_at=NIGHT - age)
        values: dict[str, Any] = {"device": self.BATTERY, "presence": presence}
        return device_says(**values | changes)

    def test_mains_need_no_battery(self) -> None:
        assert self.says(1, device=device()) is None

    def test_too_little_charge_is_named_with_what_is_needed(self) -> None:
        assert self.says(31) == No(Reason.LOW_BATTERY, {"percent": "31", "needed": "50"})

    def test_as_much_as_is_needed_is_enough(self) -> None:
        assert self.says(50) is None

    def test_the_maker_says_how_much_is_needed(self) -> None:
        modest = install(offer=offer(release(min_battery_percent=20)))
        assert self.says(31, install=modest) is None
        assert self.says(19, install=modest) == No(Reason.LOW_BATTERY, {"percent": "19", "needed": "20"})

    def test_a_maker_may_need_none(self) -> None:
        assert self.says(None, install=install(offer=offer(release(min_battery_percent=0)))) is None

    def test_an_unknown_charge_is_too_little(self) -> None:
        assert self.says(None) == No(Reason.BATTERY_UNKNOWN, {"needed": "50"})

    def test_an_old_reading_is_no_reading(self) -> None:
        assert self.says(90, limits.BATTERY_MAX_AGE) is None
        assert self.says(90, limits.BATTERY_MAX_AGE + MINUTE) == No(Reason.BATTERY_UNKNOWN, {"needed": "50"})

    def test_a_reading_of_unknown_age_is_no_reading(self) -> None:
        unknown = Presence(battery_percent=90)
        answer = device_says(device=self.BATTERY, presence=unknown)
        assert answer == No(Reason.BATTERY_UNKNOWN, {"needed": "50"})

    def test_now_is_a_persons_word_where_the_charge_is_unknown(self) -> None:
        assert self.says(None, install=install(approval=approval(at_once=True))) is None

    def test_now_does_not_help_against_a_charge_that_is_known_to_be_low(self) -> None:
        answer = self.says(10, install=install(approval=approval(at_once=True)))
        assert answer == No(Reason.LOW_BATTERY, {"percent": "10", "needed": "50"})


class TestSpace:
    def test_an_image_that_does_not_fit_is_not_sent(self) -> None:
        answer = device_says(device=device(free_bytes=999))
        assert answer == No(Reason.NOT_ENOUGH_SPACE, {"free": "999", "needed": "1000"})

    def test_an_image_that_just_fits_is_sent(self) -> None:
        assert device_says(device=device(free_bytes=1000)) is None

    def test_with_a_helper_image_the_main_one_need_not_fit(self) -> None:
        both = (artifact("1.2.0"), artifact("helper", role=ArtifactRole.HELPER))
        helped = install(offer=offer(release(artifacts=both)))
        assert device_says(device=device(free_bytes=1), install=helped) is None


class TestTheKeeper:
    def ready(self, now: datetime = NIGHT, **changes: Any) -> Home:
        home = Home(now, **changes)
        home.report(PLUG)
        home.publish()
        home.approve()
        return home

    def test_a_command_may_be_published_while_it_can_still_end_inside_the_window(self) -> None:
        home = self.ready()
        latest = home.hub.installer.keeper.not_after(home.install(), NIGHT)
        assert latest == NIGHT + 4 * HOUR + 25 * MINUTE

    def test_it_may_be_published_at_least_now(self) -> None:
        home = self.ready()
        late = NIGHT + 4 * HOUR + 27 * MINUTE
        assert home.hub.installer.keeper.not_after(home.install(), late) == late

    def test_without_a_window_there_is_no_limit(self) -> None:
        home = self.ready(NOON, settings=Settings(any_time=frozenset({PLUG})))
        assert home.hub.installer.keeper.not_after(home.install(), NOON) is None

    def test_what_holds_for_all_is_asked_again_before_a_command(self) -> None:
        home = self.ready()
        keeper = home.hub.installer.keeper
        assert keeper.may_command(home.install(), NIGHT) is None
        keeper.state = replace(keeper.state, paused=True)
        assert keeper.may_command(home.install(), NIGHT) == No(Reason.PAUSED)

    def test_a_window_that_closed_meanwhile_sends_no_command(self) -> None:
        home = self.ready()
        assert home.hub.installer.keeper.may_command(home.install(), NOON) is not None

    def test_whether_it_could_ever_fit_depends_on_the_longest_window(self) -> None:
        home = self.ready(NOON, settings=Settings(window_start=time(0), window_end=time(0, 4)))
        assert not home.hub.installer.keeper.could_ever_fit(home.install(), NOON)
