"""What a person sees: of one device, of the hub, and of the coming night."""

from __future__ import annotations

from datetime import time

import pytest

from custom_components.firmware_hub.core import limits
from custom_components.firmware_hub.core.errors import Reason
from custom_components.firmware_hub.core.inputs import FeedsChanged, HealthReported, LinkChanged, SettingsChanged
from custom_components.firmware_hub.core.model import InstallState
from custom_components.firmware_hub.core.settings import Settings
from custom_components.firmware_hub.core.view import PlannedInstall

from .builders import DAY, FAN, HOUR, LAMP, MINUTE, NIGHT, NOON, PLUG, SECOND, Home, capabilities
from .statements import release


@pytest.fixture
def home() -> Home:
    """A plug on 1.0.0, to which 1.2.0 is offered; at noon."""
    home = Home(NOON)
    home.report(PLUG)
    home.publish()
    return home


@pytest.fixture
def night() -> Home:
    """The same within the window."""
    home = Home(NIGHT)
    home.report(PLUG)
    home.publish()
    return home


class TestADevice:
    def test_nobody_is_shown_who_is_not_known(self, home: Home) -> None:
        assert home.hub.device_view(LAMP, NOON) is None

    def test_a_device_without_an_offer_is_up_to_date(self) -> None:
        home = Home(NOON)
        home.report(PLUG)
        view = home.view()
        assert (view.installed_version, view.latest_version, view.state) == ("1.0.0", "1.0.0", None)

    def test_a_device_that_has_not_named_its_version_has_none(self) -> None:
        home = Home(NOON)
        home.report(PLUG, None)
        view = home.view()
        assert (view.installed_version, view.latest_version) == (None, None)

    def test_an_offer_waits_for_a_person(self, home: Home) -> None:
        view = home.view()
        assert (view.latest_version, view.state, view.reason) == ("1.2.0", InstallState.AWAITING_APPROVAL, None)
        assert view.offer is not None

    def test_an_approved_install_says_when_its_window_opens(self, home: Home) -> None:
        home.approve()
        view = home.view()
        assert (view.state, view.reason) == (InstallState.APPROVED, Reason.WAITS_FOR_WINDOW)
        assert view.starts_at == NOON + 12 * HOUR
        assert not view.in_progress

    def test_without_any_weekday_there_is_no_time_to_name(self, home: Home) -> None:
        home.approve()
        home.tell(SettingsChanged(Settings(weekdays=frozenset())))
        assert home.view().starts_at is None

    def test_what_is_shown_is_what_was_approved_though_something_newer_is_offered(self, home: Home) -> None:
        home.approve()
        home.publish(release("1.2.0"), release("1.3.0"), sequence=43)
        view = home.view()
        assert view.offer is not None
        assert view.shown is not None
        assert (view.offer.version, view.shown.version, view.latest_version) == ("1.3.0", "1.2.0", "1.2.0")

    def test_what_holds_for_all_is_said_first(self, home: Home) -> None:
        home.approve()
        home.tell(LinkChanged(connected=False))
        view = home.view()
        assert (view.state, view.reason) == (InstallState.DEFERRED, Reason.BROKER_DISCONNECTED)

    def test_a_reason_of_its_own_is_said_before_the_window(self, night: Home) -> None:
        night.link(PLUG, online=False)
        night.approve()
        night.now = NOON + DAY
        assert night.view().reason is Reason.DEVICE_OFFLINE

    def test_one_that_waits_for_another_says_so(self, night: Home) -> None:
        night.report(LAMP)
        night.approve(PLUG, LAMP)
        view = night.view(LAMP)
        assert (view.state, view.reason) == (InstallState.DEFERRED, Reason.WAITS_FOR_PILOT)

    def test_one_that_waits_for_a_free_place_is_approved(self, night: Home) -> None:
        night.tell(SettingsChanged(Settings(parallel_installs=1)))
        night.report(FAN, model="FAN-1")
        night.publish(release(), release(model=("FAN-1",)), sequence=43)
        night.approve(PLUG, FAN)
        view = night.view(FAN)
        assert (view.state, view.reason) == (InstallState.APPROVED, Reason.NETWORK_BUSY)
        assert view.starts_at is None

    def test_a_running_install_is_shown_with_what_it_installs(self, night: Home) -> None:
        night.approve()
        view = night.view()
        assert (view.state, view.reason, view.in_progress) == (InstallState.DOWNLOADING, None, True)
        night.tell(FeedsChanged(()))
        assert night.view().latest_version == "1.0.0"

    def test_the_version_of_a_running_install_stays_while_the_feed_says_something_else(self, night: Home) -> None:
        night.approve()
        night.commanded()
        night.publish(release("1.3.0"), sequence=43)
        assert night.view().latest_version == "1.2.0"

    def test_a_device_that_goes_back_says_why(self) -> None:
        home = Home(NIGHT, families={"open": capabilities(rolls_back=True, commits=True)})
        home.report(PLUG, slots=2)
        home.publish()
        home.approve()
        home.commanded()
        home.report(PLUG, "1.2.0")
        home.health(PLUG, self_test="failed")
        view = home.view()
        assert (view.state, view.reason) == (InstallState.ROLLING_BACK, Reason.ROLLED_BACK_UNHEALTHY)

    def test_the_last_end_is_shown_beside_the_present_state(self, night: Home) -> None:
        night.approve()
        night.commanded()
        night.succeed()
        view = night.view()
        assert (view.state, view.installed_version) == (None, "1.2.0")
        assert view.last is not None
        assert view.last.state is InstallState.SUCCEEDED

    def test_a_helper_image_is_offered_nothing(self, home: Home) -> None:
        home.report(PLUG, helper=True)
        assert home.view().offer is None

    def test_presence_and_charge_are_shown(self, home: Home) -> None:
        home.tell(HealthReported(PLUG, battery_percent=70))
        assert (home.view().online, home.view().battery_percent) == (True, 70)


class TestTheHub:
    def test_it_counts_devices_and_offers(self, home: Home) -> None:
        home.report(LAMP)
        home.report(FAN, "1.2.0")
        view = home.hub.hub_view(NOON)
        assert (view.devices, view.offers, view.waiting, view.running) == (3, 2, 0, 0)

    def test_it_counts_what_waits_and_what_runs(self, night: Home) -> None:
        night.report(LAMP)
        night.approve(PLUG, LAMP)
        view = night.hub.hub_view(night.now)
        assert (view.waiting, view.running) == (1, 1)

    def test_it_names_the_coming_window(self, home: Home) -> None:
        view = home.hub.hub_view(NOON)
        assert not view.window_open
        assert (view.next_opening, view.next_closing) == (NOON + 12 * HOUR, NOON + 17 * HOUR)

    def test_it_names_the_end_of_the_present_window(self, night: Home) -> None:
        view = night.hub.hub_view(night.now)
        assert view.window_open
        assert view.next_closing == NIGHT + 4 * HOUR + 30 * MINUTE

    def test_without_any_weekday_there_is_no_window(self, home: Home) -> None:
        home.tell(SettingsChanged(Settings(weekdays=frozenset())))
        view = home.hub.hub_view(NOON)
        assert (view.next_opening, view.next_closing) == (None, None)

    def test_it_names_each_stopped_model_once(self, night: Home) -> None:
        night.approve()
        night.commanded()
        night.fail()
        assert night.hub.hub_view(night.now).stopped_models == ("Acme PLUG-S1",)

    def test_it_describes_its_feeds(self, home: Home) -> None:
        (feed,) = home.hub.hub_view(NOON).feeds
        assert (feed.feed_id, feed.sequence, feed.releases, feed.active) == ("acme", 42, 1, True)
        assert (feed.fetched_at, feed.expires) == (NOON, NOON + 60 * DAY)

    def test_a_feed_that_has_not_answered_has_said_nothing(self) -> None:
        (feed,) = Home(NOON).hub.hub_view(NOON).feeds
        assert (feed.sequence, feed.releases, feed.expires, feed.fetched_at) == (None, 0, None, None)


class TestThePlan:
    MIDNIGHT = NOON + 12 * HOUR

    def times(self, home: Home) -> list[tuple[str, object, object]]:
        return [(line.device_id, line.starts_at, line.ends_at) for line in home.hub.plan(home.now)]

    def test_it_changes_nothing(self, home: Home) -> None:
        home.approve()
        before = home.install()
        assert home.hub.plan(NOON) == home.hub.plan(NOON)
        assert home.install() is before

    def test_an_approved_install_starts_when_the_window_opens(self, home: Home) -> None:
        home.approve()
        assert self.times(home) == [(PLUG, self.MIDNIGHT, self.MIDNIGHT + 5 * MINUTE)]

    def test_the_others_follow_the_first_one_and_its_settling_time(self, home: Home) -> None:
        home.report(LAMP)
        home.report(FAN)
        home.approve(PLUG, LAMP, FAN)
        after = self.MIDNIGHT + 15 * MINUTE
        assert self.times(home)[1:] == [(name, after, after + 5 * MINUTE) for name in (LAMP, FAN)]

    def test_nobody_waits_for_a_release_that_is_proven(self, night: Home) -> None:
        night.approve()
        night.commanded()
        night.succeed()
        night.wait(11 * MINUTE)
        night.now = NOON + DAY
        night.wait(limits.CLOCK_SETTLE + 2 * MINUTE)
        for name in (LAMP, FAN):
            night.report(name)
        night.approve(LAMP, FAN)
        assert {line.starts_at for line in night.hub.plan(night.now)} == {self.MIDNIGHT + DAY}

    def test_no_more_run_side_by_side_than_the_owner_allows(self, home: Home) -> None:
        home.tell(SettingsChanged(Settings(parallel_installs=1)))
        home.report(FAN, model="FAN-1")
        home.publish(release(), release(model=("FAN-1",)), sequence=43)
        home.approve(PLUG, FAN)
        (_, first, end), (_, second, _) = self.times(home)
        assert (first, second) == (self.MIDNIGHT, end)

    def test_a_family_may_allow_fewer_side_by_side(self) -> None:
        home = Home(NOON, families={"open": capabilities(parallel=1)})
        home.report(PLUG)
        home.report(FAN, model="FAN-1")
        home.publish(release(), release(model=("FAN-1",)))
        home.approve(PLUG, FAN)
        (_, first, end), (_, second, _) = self.times(home)
        assert (first, second) == (self.MIDNIGHT, end)

    def test_a_place_is_free_when_what_runs_has_ended(self, night: Home) -> None:
        night.tell(SettingsChanged(Settings(parallel_installs=1)))
        night.report(FAN, model="FAN-1")
        night.publish(release(), release(model=("FAN-1",)), sequence=43)
        night.approve(PLUG, FAN)
        assert self.times(night) == [(FAN, NIGHT + 5 * MINUTE, NIGHT + 10 * MINUTE)]

    def test_the_others_follow_the_one_that_runs_and_its_settling_time(self, night: Home) -> None:
        night.report(LAMP)
        night.approve(PLUG, LAMP)
        after = NIGHT + 15 * MINUTE
        assert self.times(night) == [(LAMP, after, after + 5 * MINUTE)]

    def test_the_others_follow_the_settling_time_that_began(self, night: Home) -> None:
        night.report(LAMP)
        night.approve(PLUG, LAMP)
        night.commanded()
        night.succeed()
        after = night.now + 10 * MINUTE
        assert self.times(night) == [(LAMP, after, after + 5 * MINUTE)]

    def test_one_that_may_start_at_any_time_does_not_wait_for_the_window(self, home: Home) -> None:
        home.tell(LinkChanged(connected=False))
        home.approve(at_once=True)
        assert self.times(home) == [(PLUG, NOON, NOON + 5 * MINUTE)]

    def test_windows_that_touch_are_one(self, home: Home) -> None:
        home.tell(LinkChanged(connected=False))
        home.tell(SettingsChanged(Settings(window_start=time(12, 1), window_end=time(12, 1))))
        home.approve()
        assert self.times(home) == [(PLUG, NOON, NOON + 5 * MINUTE)]

    def test_networks_do_not_wait_for_each_other(self, home: Home) -> None:
        home.tell(SettingsChanged(Settings(parallel_installs=1)))
        home.report(FAN, model="FAN-1", network="attic")
        home.publish(release(), release(model=("FAN-1",)), sequence=43)
        home.approve(PLUG, FAN)
        assert {line.starts_at for line in home.hub.plan(NOON)} == {self.MIDNIGHT}

    def test_within_the_window_it_begins_now(self, night: Home) -> None:
        night.tell(LinkChanged(connected=False))
        night.approve()
        assert self.times(night) == [(PLUG, NIGHT, NIGHT + 5 * MINUTE)]

    def test_what_runs_already_is_not_planned(self, night: Home) -> None:
        night.approve()
        assert night.hub.plan(NIGHT) == []

    def test_what_would_not_end_inside_the_window_is_named(self, home: Home) -> None:
        home.publish(release(install_minutes=6), sequence=43)
        home.report(LAMP)
        home.tell(SettingsChanged(Settings(window_end=time(0, 10))))
        home.approve(PLUG, LAMP)
        _, late = home.hub.plan(NOON)
        assert (late.starts_at, late.reason) == (None, Reason.DOES_NOT_FIT_WINDOW)

    def test_what_is_held_up_by_a_reason_of_its_own_is_named_with_it(self, night: Home) -> None:
        night.link(PLUG, online=False)
        night.approve()
        assert night.hub.plan(NIGHT) == [PlannedInstall(PLUG, "1.2.0", None, None, Reason.DEVICE_OFFLINE)]

    def test_without_any_weekday_nothing_is_planned(self, home: Home) -> None:
        home.approve()
        home.tell(SettingsChanged(Settings(weekdays=frozenset())))
        assert home.hub.plan(NOON) == [PlannedInstall(PLUG, "1.2.0", None, None, Reason.WAITS_FOR_WINDOW)]

    def test_approvals_are_planned_in_their_order(self, home: Home) -> None:
        home.report(LAMP)
        home.approve(LAMP)
        home.now += SECOND
        home.approve(PLUG)
        assert [line.device_id for line in home.hub.plan(home.now)] == [LAMP, PLUG]
