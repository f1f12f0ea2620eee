"""What people ask for: answered at once, or refused with the reason and nothing changed."""

from __future__ import annotations

import pytest

from custom_components.firmware_hub.core import limits
from custom_components.firmware_hub.core.effects import (
    CheckAddress,
    Effect,
    FetchManifest,
    ForgetDevice,
    IssueKind,
    QueryDevice,
    SendInstall,
)
from custom_components.firmware_hub.core.errors import Reason, Refused
from custom_components.firmware_hub.core.inputs import (
    ApproveRequested,
    CheckRequested,
    ForgetRequested,
    Input,
    InstallReported,
    ModelReleased,
    RetryRequested,
    Stage,
    UnapproveRequested,
)
from custom_components.firmware_hub.core.model import Delivery, InstallState, Trust

from .builders import (
    DAY,
    FAN,
    HOUR,
    LAMP,
    MINUTE,
    NIGHT,
    NOON,
    PLUG,
    SECOND,
    Home,
    audited,
    cleared,
    feed,
    of_kind,
    saved,
    told,
)
from .statements import artifact, release


def made(now: object = NOON, *feeds: object) -> Home:
    home = Home(now, feeds=feeds or (feed(),))  # type: ignore[arg-type]
    home.report(PLUG)
    home.publish()
    return home


@pytest.fixture
def home() -> Home:
    """A plug on 1.0.0, to which 1.2.0 is offered; at noon."""
    return made()


@pytest.fixture
def night() -> Home:
    """The same within the window."""
    return made(NIGHT)


@pytest.fixture
def failed(night: Home) -> Home:
    """The plug never came back from its install."""
    night.approve()
    night.commanded()
    night.fail()
    return night


def refused(home: Home, item: Input) -> Reason:
    with pytest.raises(Refused) as refusal:
        home.tell(item)
    return refusal.value.reason


class TestApproving:
    def test_a_yes_is_pinned_to_version_and_digest(self, home: Home) -> None:
        home.approve(version="1.2.0")
        install = home.install()
        assert (install.offer.version, install.offer.digest) == ("1.2.0", release().digest)
        assert install.identity == home.hub.fleet.devices[PLUG].identity
        assert install.approval.expires == NOON + limits.APPROVAL_LIFETIME

    def test_a_yes_is_written_down_and_told(self, home: Home) -> None:
        effects = home.approve()
        assert [item.state for item in saved(effects).installs] == [InstallState.APPROVED]
        assert (audited(effects), told(effects)) == (["approved"], ["approved"])

    def test_nothing_is_sent_at_a_yes_outside_the_window(self, home: Home) -> None:
        home.approve()
        home.wait(HOUR)
        assert of_kind(home.effects, SendInstall) == []

    def test_whether_devices_can_reach_us_is_asked_at_the_first_yes(self, home: Home) -> None:
        home.report(LAMP)
        first, second = home.approve(PLUG), home.approve(LAMP)
        assert (len(of_kind(first, CheckAddress)), len(of_kind(second, CheckAddress))) == (1, 0)

    def test_a_second_yes_to_the_same_is_no_news(self, home: Home) -> None:
        home.approve()
        before = home.install()
        assert (home.approve(), home.approve(version="1.2.0")) == ([], [])
        assert home.install() is before

    def test_now_skips_the_window(self, home: Home) -> None:
        home.approve(at_once=True)
        assert home.install().state is InstallState.DOWNLOADING

    def test_now_after_a_yes_skips_the_window(self, home: Home) -> None:
        home.approve()
        effects = home.tell(ApproveRequested(PLUG, "ben", at_once=True))
        assert home.install().state is InstallState.DOWNLOADING
        assert home.install().approval.by == "ben"
        assert audited(effects) == ["approved"]

    def test_now_is_not_taken_back_by_a_later_yes(self, home: Home) -> None:
        home.link(PLUG, online=False)
        home.approve(at_once=True)
        home.approve()
        assert home.install().approval.at_once

    def test_a_second_now_is_no_news(self, home: Home) -> None:
        home.link(PLUG, online=False)
        home.approve(at_once=True)
        assert home.approve(at_once=True) == []

    def test_a_yes_to_a_newer_offer_takes_the_place_of_the_older_one(self, home: Home) -> None:
        home.publish(release("1.2.0"), release("1.3.0"), sequence=43)
        home.approve(version="1.3.0")
        older = home.install()
        home.publish(release("1.2.0"), release("1.3.0"), release("1.4.0"), sequence=44)
        home.approve(version="1.4.0")
        assert home.install().offer.version == "1.4.0"
        assert (home.last().id, home.last().reason) == (older.id, Reason.OFFER_MOVED)

    def test_a_yes_to_what_was_read_keeps_what_was_read(self, home: Home) -> None:
        home.approve()
        home.publish(release("1.2.0"), release("1.3.0"), sequence=43)
        assert home.approve(version="1.2.0") == []
        assert home.install().offer.version == "1.2.0"

    def test_a_yes_that_names_no_version_never_slides_to_a_newer_one(self, home: Home) -> None:
        home.approve()
        before = home.install()
        home.publish(release("1.2.0"), release("1.3.0"), sequence=43)
        assert home.approve() == []
        assert home.install() is before

    def test_now_without_a_version_means_the_one_that_waits(self, home: Home) -> None:
        home.approve()
        before = home.install()
        home.publish(release("1.2.0"), release("1.3.0"), sequence=43)
        home.approve(at_once=True)
        assert (home.install().id, home.install().offer.version) == (before.id, "1.2.0")
        assert home.install().approval.at_once

    @pytest.mark.parametrize("version", ["1.1.0", "1.3.0", "0.9.0", ""])
    def test_any_other_version_is_refused(self, home: Home, version: str) -> None:
        assert refused(home, ApproveRequested(PLUG, "anna", version)) is Reason.NOT_CURRENT_OFFER

    def test_a_permitted_way_back_may_be_approved(self, home: Home) -> None:
        home.publish(release("1.2.0"), release("1.3.0", rollback_to=("1.2.0",)), sequence=43)
        home.report(PLUG, "1.3.0")
        home.approve(version="1.2.0")
        assert home.install().offer.version == "1.2.0"

    def test_an_older_offer_on_the_way_is_not_a_way_back(self, home: Home) -> None:
        home.publish(release("1.2.0"), release("1.3.0"), sequence=43)
        assert refused(home, ApproveRequested(PLUG, "anna", "1.2.0")) is Reason.NOT_CURRENT_OFFER

    def test_a_device_that_nobody_knows_is_refused(self, home: Home) -> None:
        assert refused(home, ApproveRequested(LAMP, "anna")) is Reason.UNKNOWN_DEVICE

    def test_without_an_offer_there_is_nothing_to_approve(self, home: Home) -> None:
        home.report(LAMP, "1.2.0")
        assert refused(home, ApproveRequested(LAMP, "anna")) is Reason.NO_OFFER

    def test_a_helper_image_is_offered_nothing(self, home: Home) -> None:
        home.report(PLUG, helper=True)
        assert refused(home, ApproveRequested(PLUG, "anna")) is Reason.NO_OFFER

    def test_what_a_person_must_do_is_refused(self, home: Home) -> None:
        home.publish(release(delivery=Delivery.MANUAL), sequence=43)
        assert refused(home, ApproveRequested(PLUG, "anna")) is Reason.MANUAL_ONLY

    def test_what_nobody_vouches_for_is_refused(self) -> None:
        home = made(NOON, feed(trust=Trust.DIGEST))
        home.publish(release("1.3.0", artifacts=(artifact(""),)), sequence=43, trust=Trust.DIGEST)
        assert refused(home, ApproveRequested(PLUG, "anna")) is Reason.NO_DIGEST

    def test_what_runs_cannot_be_approved_again(self, night: Home) -> None:
        night.approve()
        assert refused(night, ApproveRequested(PLUG, "anna", "1.2.0")) is Reason.ALREADY_RUNNING

    def test_a_refusal_changes_nothing(self, home: Home) -> None:
        before = (dict(home.hub.installer.current), home.hub.next_wakeup())
        refused(home, ApproveRequested(PLUG, "anna", "9.9.9"))
        assert (dict(home.hub.installer.current), home.hub.next_wakeup()) == before

    def test_a_new_yes_waits_for_the_deadline_of_an_earlier_command(self, night: Home) -> None:
        night.approve()
        night.commanded()
        night.tell(ForgetRequested(PLUG, "anna"))
        night.report(PLUG)
        night.approve()
        assert night.install().command_deadline == NIGHT + 10 * MINUTE
        assert night.install().state is InstallState.DEFERRED
        assert night.install().reason is Reason.WAITS_FOR_RETRY


class TestTakingBack:
    def test_a_yes_can_be_taken_back(self, home: Home) -> None:
        home.approve()
        effects = home.tell(UnapproveRequested(PLUG, "anna"))
        assert PLUG not in home.hub.installer.current
        assert (home.last().state, home.last().reason) == (InstallState.CANCELED, Reason.CANCELED_BY_OWNER)
        assert told(effects) == ["unapproved", "install_ended"]
        assert audited(effects)[0] == "unapproved"

    def test_a_skip_is_a_verdict_of_its_own(self, home: Home) -> None:
        home.approve()
        home.tell(UnapproveRequested(PLUG, "anna", skip=True))
        assert (home.last().state, home.last().reason) == (InstallState.SKIPPED, Reason.SKIPPED_BY_OWNER)

    def test_a_download_can_be_taken_back(self, night: Home) -> None:
        night.approve()
        night.tell(UnapproveRequested(PLUG, "anna"))
        assert night.last().state is InstallState.CANCELED

    def test_there_may_be_nothing_to_take_back(self, home: Home) -> None:
        assert refused(home, UnapproveRequested(PLUG, "anna")) is Reason.NOTHING_TO_CANCEL

    def test_a_skip_of_what_was_never_approved_is_no_news(self, home: Home) -> None:
        assert home.tell(UnapproveRequested(PLUG, "anna", skip=True)) == []

    def test_what_was_commanded_cannot_be_taken_back(self, night: Home) -> None:
        night.approve()
        night.commanded()
        assert refused(night, UnapproveRequested(PLUG, "anna", skip=True)) is Reason.ALREADY_RUNNING

    def test_a_device_that_nobody_knows_is_refused(self, home: Home) -> None:
        assert refused(home, UnapproveRequested(LAMP, "anna")) is Reason.UNKNOWN_DEVICE


class TestTryingAgain:
    def test_a_failed_install_is_tried_again_under_a_new_id(self, failed: Home) -> None:
        old = failed.last()
        failed.tell(RetryRequested(PLUG, "anna"))
        install = failed.install()
        assert (install.id != old.id, install.offer, install.retry) == (True, old.offer, True)
        assert (install.identity, install.from_version) == (old.identity, old.from_version)

    def test_the_repairs_of_the_failure_are_taken_away(self, failed: Home) -> None:
        effects = failed.tell(RetryRequested(PLUG, "anna"))
        assert {IssueKind.INSTALL_FAILED, IssueKind.DEVICE_DARK} <= set(cleared(effects))

    def test_the_stop_that_its_failure_caused_does_not_hold_it_up(self, failed: Home) -> None:
        failed.tell(RetryRequested(PLUG, "anna"))
        failed.report(PLUG)
        failed.commanded()
        assert failed.install().state is InstallState.INSTALLING

    def test_what_runs_cannot_be_tried_again(self, failed: Home) -> None:
        failed.tell(RetryRequested(PLUG, "anna"))
        assert refused(failed, RetryRequested(PLUG, "anna")) is Reason.ALREADY_RUNNING

    def test_what_never_ran_cannot_be_tried_again(self, home: Home) -> None:
        assert refused(home, RetryRequested(PLUG, "anna")) is Reason.UNKNOWN_INSTALL

    def test_what_succeeded_cannot_be_tried_again(self, night: Home) -> None:
        night.approve()
        night.commanded()
        night.succeed()
        assert refused(night, RetryRequested(PLUG, "anna")) is Reason.UNKNOWN_INSTALL

    def test_what_is_not_published_any_more_cannot_be_tried_again(self, failed: Home) -> None:
        failed.publish(release("1.3.0"), sequence=43)
        assert refused(failed, RetryRequested(PLUG, "anna")) is Reason.OFFER_WITHDRAWN

    def test_what_became_manual_cannot_be_tried_again(self, failed: Home) -> None:
        failed.publish(release(delivery=Delivery.MANUAL), sequence=43)
        assert refused(failed, RetryRequested(PLUG, "anna")) is Reason.OFFER_WITHDRAWN

    def test_the_same_version_with_other_bytes_is_not_tried(self, failed: Home) -> None:
        failed.hub.feeds.ledger.clear()
        failed.publish(release("1.2.0", "other bytes"), sequence=43)
        assert refused(failed, RetryRequested(PLUG, "anna")) is Reason.OFFER_WITHDRAWN

    def test_a_device_that_nobody_knows_is_refused(self, home: Home) -> None:
        assert refused(home, RetryRequested(LAMP, "anna")) is Reason.UNKNOWN_DEVICE


class TestLettingGoOn:
    def test_a_stopped_model_goes_on_by_a_persons_word(self, failed: Home) -> None:
        failed.report(LAMP)
        failed.approve(LAMP)
        assert failed.view(LAMP).reason is Reason.MODEL_STOPPED
        effects = failed.tell(ModelReleased(PLUG, "anna"))
        assert failed.install(LAMP).state is InstallState.DOWNLOADING
        assert IssueKind.MODEL_STOPPED in cleared(effects)
        assert audited(effects) == ["model_released"]

    def test_it_may_be_said_of_any_device_of_the_model(self, failed: Home) -> None:
        failed.report(LAMP)
        failed.tell(ModelReleased(LAMP, "anna"))
        assert failed.hub.installer.rollout.stops == {}

    def test_it_may_be_said_after_the_device_was_removed(self, failed: Home) -> None:
        failed.tell(ForgetRequested(PLUG, "anna"))
        failed.tell(ModelReleased(PLUG, "anna"))
        assert failed.hub.installer.rollout.stops == {}

    def test_nothing_may_be_stopped(self, home: Home) -> None:
        assert refused(home, ModelReleased(PLUG, "anna")) is Reason.NOTHING_TO_CANCEL

    def test_a_device_that_nobody_knows_stops_nothing(self, home: Home) -> None:
        assert refused(home, ModelReleased(LAMP, "anna")) is Reason.UNKNOWN_DEVICE


class TestLooking:
    def test_a_check_asks_feeds_and_devices(self, home: Home) -> None:
        home.report(LAMP)
        effects = home.tell(CheckRequested("anna"))
        assert [order.feed_id for order in of_kind(effects, FetchManifest)] == ["acme"]
        assert {order.device_id for order in of_kind(effects, QueryDevice)} == {PLUG, LAMP}
        assert audited(effects) == ["check_requested"]

    def test_a_check_does_not_ask_who_is_off_line(self, home: Home) -> None:
        home.link(PLUG, online=False)
        assert of_kind(home.tell(CheckRequested("anna")), QueryDevice) == []


class TestForgetting:
    def forget(self, home: Home, device_id: str = PLUG) -> list[Effect]:
        return home.tell(ForgetRequested(device_id, "anna"))

    def test_a_device_is_gone_everywhere(self, home: Home) -> None:
        effects = self.forget(home)
        assert saved(effects).forget == (PLUG,)
        assert [order.device_id for order in of_kind(effects, ForgetDevice)] == [PLUG]
        assert set(cleared(effects)) >= {IssueKind.INSTALL_FAILED, IssueKind.DEVICE_DARK, IssueKind.TOPIC_CONFLICT}
        assert home.hub.get(PLUG) is None
        assert list(home.hub.device_ids()) == []

    def test_its_approval_ends(self, home: Home) -> None:
        home.approve()
        self.forget(home)
        assert home.hub.installer.current == {}

    def test_the_device_at_the_same_address_is_free(self, home: Home) -> None:
        for name in (PLUG, LAMP):
            home.report(name, addresses=("hall/",))
        effects = self.forget(home)
        assert cleared(effects).count(IssueKind.TOPIC_CONFLICT) == 2
        assert home.hub.at("open", "hall/") is home.hub.get(LAMP)

    def test_a_forgotten_device_may_be_found_again(self, home: Home) -> None:
        self.forget(home)
        assert told(home.report(PLUG)) == ["device_found"]

    def test_a_device_that_nobody_knows_is_refused(self, home: Home) -> None:
        assert refused(home, ForgetRequested(FAN, "anna")) is Reason.UNKNOWN_DEVICE

    def test_a_command_that_was_sent_is_remembered_until_its_deadline(self, night: Home) -> None:
        night.approve()
        night.commanded()
        self.forget(night)
        assert night.last().command_deadline == NIGHT + 10 * MINUTE
        night.wait(11 * MINUTE)
        night.report(PLUG)
        self.forget(night)
        assert PLUG not in night.hub.installer.last


def test_words_of_an_install_that_is_over_move_nothing(home: Home) -> None:
    assert home.tell(InstallReported(PLUG, Stage.INSTALLING)) == []


def test_an_approval_expires_after_thirty_days(home: Home) -> None:
    home.link(PLUG, online=False)
    home.approve()
    home.publish(sequence=43, expires=NOON + 60 * DAY)
    home.wait(30 * DAY - SECOND, tick=HOUR / 20)
    assert home.install().state.is_waiting
    home.wait(SECOND)
    assert (home.last().state, home.last().reason) == (InstallState.CANCELED, Reason.APPROVAL_EXPIRED)
