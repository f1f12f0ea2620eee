"""Feeds: when each is fetched, whose answer counts, and what a fault of one means for the rest."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from custom_components.firmware_hub.core import limits
from custom_components.firmware_hub.core.effects import (
    ClearIssue,
    Effect,
    FeedRow,
    FetchManifest,
    IssueKind,
    LedgerRow,
    RaiseIssue,
    RefreshDevices,
    Save,
    SendInstall,
)
from custom_components.firmware_hub.core.errors import Reason
from custom_components.firmware_hub.core.feeds import Feeds
from custom_components.firmware_hub.core.inputs import (
    CheckRequested,
    FeedsChanged,
    FetchFailed,
    ManifestRead,
    ManifestRefused,
    ManifestUnchanged,
)
from custom_components.firmware_hub.core.model import Delivery, InstallState, Trust
from custom_components.firmware_hub.core.records import Snapshot

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
    capabilities,
    cleared,
    device,
    feed,
    install,
    of_kind,
    raised,
    saved,
    told,
)
from .statements import manifest, release

PUBLIC = feed("tasmota", trust=Trust.DIGEST, dialect="tasmota", vendor="")
FAMILIES = {"open": capabilities(), "tasmota": capabilities()}


@pytest.fixture
def home() -> Home:
    """A plug on 1.0.0, and a feed that published 1.2.0; at noon."""
    home = Home(NOON)
    home.report(PLUG)
    home.publish()
    return home


def fetched(effects: list[Effect]) -> list[str]:
    return [order.feed_id for order in of_kind(effects, FetchManifest)]


def fetch_times(home: Home, how_long: timedelta, reason: Reason = Reason.UNREACHABLE) -> list[timedelta]:
    """How long after its failure each fetch is ordered, while all of them fail."""
    waits = []
    failed_at = home.now
    home.tell(FetchFailed("acme", reason))
    until = home.now + how_long
    while home.now < until:
        if fetched(home.wait(MINUTE)):
            waits.append(home.now - failed_at)
            failed_at = home.now
            home.tell(FetchFailed("acme", reason))
    return waits


class TestFetching:
    def test_a_new_feed_is_fetched_at_once(self) -> None:
        home = Home(feeds=())
        assert fetched(home.tell(FeedsChanged((feed(),)))) == ["acme"]

    def test_the_same_feeds_again_change_nothing(self, home: Home) -> None:
        assert fetched(home.tell(FeedsChanged((feed(),)))) == []
        assert home.view().latest_version == "1.2.0"

    def test_another_title_keeps_what_the_feed_said(self, home: Home) -> None:
        assert fetched(home.tell(FeedsChanged((feed(title="Acme Ltd"),)))) == []
        assert home.hub.hub_view(home.now).feeds[0].title == "Acme Ltd"
        assert home.view().latest_version == "1.2.0"

    def test_another_address_forgets_what_the_feed_said(self, home: Home) -> None:
        assert fetched(home.tell(FeedsChanged((feed(url="https://mirror.example/m"),)))) == ["acme"]
        assert home.view().offer is None

    def test_a_mirror_cannot_roll_a_feed_back(self, home: Home) -> None:
        home.tell(FeedsChanged((feed(url="https://mirror.example/m"),)))
        assert raised(home.publish(sequence=41)) == [IssueKind.MANIFEST_REFUSED]

    @pytest.mark.parametrize("change", [{"url": "https://mirror.example/m"}, {"authority": "PEM"}], ids=str)
    def test_what_another_address_or_server_said_does_not_come_back(self, home: Home, change: dict[str, str]) -> None:
        effects = home.tell(FeedsChanged((feed(**change),)))
        assert saved(effects).feeds == (FeedRow("acme", b""),)

    def test_what_is_kept_says_where_it_is_from(self, home: Home) -> None:
        (row,) = saved(home.publish()).feeds
        assert row.origin == feed().origin == feed(title="Acme Ltd").origin
        others = [feed(**change).origin for change in ({"url": "https://a"}, {"files_url": "b"}, {"authority": "b"})]
        assert len({row.origin, *others}) == 4

    def test_another_title_forgets_nothing(self, home: Home) -> None:
        effects = home.tell(FeedsChanged((feed(title="Acme Ltd"),)))
        assert [row for save in of_kind(effects, Save) for row in save.feeds] == []

    def test_a_feed_that_is_switched_off_is_gone(self, home: Home) -> None:
        effects = home.tell(FeedsChanged((feed(enabled=False),)))
        assert set(cleared(effects)) == {
            IssueKind.KEY_ROTATION,
            IssueKind.MANIFEST_REFUSED,
            IssueKind.FEED_UNREACHABLE,
            IssueKind.MANIFEST_EXPIRED,
        }
        assert home.view().offer is None
        assert home.hub.hub_view(home.now).feeds == ()

    def test_nothing_waits_for_a_feed_that_is_gone(self, home: Home) -> None:
        home.tell(FeedsChanged(()))
        assert fetched(home.wait(DAY, tick=HOUR)) == []

    def test_a_feed_is_fetched_every_six_hours(self, home: Home) -> None:
        assert fetched(home.wait(limits.FETCH_INTERVAL - MINUTE)) == []
        assert fetched(home.wait(MINUTE)) == ["acme"]

    def test_a_fetch_of_which_nothing_is_heard_is_tried_again(self) -> None:
        home = Home(NOON)
        assert fetched(home.wait(limits.FEED_DEADLINE - SECOND)) == []
        assert fetched(home.wait(SECOND)) == ["acme"]

    def test_a_check_does_not_fetch_what_is_being_fetched(self) -> None:
        home = Home(NOON)
        assert fetched(home.tell(CheckRequested("anna"))) == []

    def test_a_check_fetches_at_once(self, home: Home) -> None:
        assert fetched(home.tell(CheckRequested("anna"))) == ["acme"]

    def test_a_public_feed_is_not_fetched_without_a_device_of_its_family(self) -> None:
        home = Home(families=FAMILIES, feeds=(PUBLIC,))
        home.report(PLUG)
        assert fetched(home.effects) == []
        assert not home.hub.hub_view(home.now).feeds[0].active

    def test_the_first_device_of_a_family_wakes_its_public_feed(self) -> None:
        home = Home(families=FAMILIES, feeds=(feed(), PUBLIC))
        assert fetched(home.report(LAMP, dialect="tasmota")) == ["tasmota"]
        assert fetched(home.report(FAN, dialect="tasmota")) == []

    def test_a_public_feed_sleeps_again_when_the_last_device_is_gone(self) -> None:
        home = Home(NOON, families=FAMILIES, feeds=(PUBLIC,))
        home.report(LAMP, dialect="tasmota")
        home.hub.fleet.forget(LAMP)
        assert fetched(home.wait(DAY, tick=HOUR)) == []


class TestFailures:
    def test_the_time_between_tries_grows_up_to_six_hours(self) -> None:
        waits = fetch_times(Home(NOON), timedelta(hours=26))[:6]
        minutes = [5, 30, 120, 360, 360, 360]
        assert all(0.8 * most <= wait / MINUTE <= most for wait, most in zip(waits, minutes, strict=True))

    def test_homes_that_lose_a_server_at_once_do_not_come_back_at_once(self) -> None:
        waits = set()
        for number in range(20):
            home = Home(NOON + timedelta(microseconds=number))
            home.tell(FetchFailed("acme", Reason.UNREACHABLE))
            again = home.hub.next_wakeup()
            assert again is not None
            waits.add(again - home.now)
        assert len(waits) > 10
        assert max(waits) <= 5 * MINUTE

    def test_an_outage_keeps_the_last_good_manifest(self, home: Home) -> None:
        home.tell(FetchFailed("acme", Reason.UNREACHABLE))
        assert home.view().latest_version == "1.2.0"
        assert home.hub.hub_view(home.now).feeds[0].last_error is Reason.UNREACHABLE

    def test_a_lasting_outage_is_worth_a_repair_once(self, home: Home) -> None:
        effects = [raised(home.tell(FetchFailed("acme", Reason.HTTP_ERROR, "502"))) for _ in range(6)]
        assert effects == [[], [], [], [IssueKind.FEED_UNREACHABLE], [], []]

    def test_the_repair_names_the_feed_and_what_was_wrong(self, home: Home) -> None:
        for _ in range(4):
            home.tell(FetchFailed("acme", Reason.HTTP_ERROR, "502"))
        issue = of_kind(home.effects, RaiseIssue)[-1]
        assert (issue.subject, issue.reason) == ("acme", Reason.HTTP_ERROR)
        assert (issue.values["feed"], issue.values["detail"]) == ("Acme", "502")

    def test_the_repair_says_of_when_is_what_is_known(self, home: Home) -> None:
        fetched_at = home.hub.hub_view(home.now).feeds[0].fetched_at
        assert fetched_at is not None
        home.wait(DAY, tick=HOUR)
        silent = Home(NOON)
        for one in (home, silent):
            for _ in range(4):
                one.tell(FetchFailed("acme", Reason.HTTP_ERROR, "502"))
        known = [of_kind(one.effects, RaiseIssue)[-1].values["moment"] for one in (home, silent)]
        assert known == [fetched_at.isoformat(), ""]

    def test_an_answer_takes_the_repair_away(self, home: Home) -> None:
        for _ in range(4):
            home.tell(FetchFailed("acme", Reason.UNREACHABLE))
        assert IssueKind.FEED_UNREACHABLE in cleared(home.tell(ManifestUnchanged("acme")))
        assert home.hub.hub_view(home.now).feeds[0].last_error is None

    def test_a_server_may_ask_for_more_time(self) -> None:
        home = Home(NOON)
        home.tell(FetchFailed("acme", Reason.RATE_LIMITED, retry_after_s=3600))
        assert fetched(home.wait(59 * MINUTE)) == []
        assert fetched(home.wait(MINUTE)) == ["acme"]

    @pytest.mark.parametrize("asked", [0, -10, 1])
    def test_a_server_may_not_ask_for_less_time(self, asked: int) -> None:
        home = Home(NOON)
        home.tell(FetchFailed("acme", Reason.RATE_LIMITED, retry_after_s=asked))
        assert fetched(home.wait(4 * MINUTE)) == []

    def test_a_server_cannot_silence_a_feed_for_ever(self) -> None:
        home = Home(NOON)
        home.tell(FetchFailed("acme", Reason.RATE_LIMITED, retry_after_s=10**9))
        assert fetched(home.wait(limits.MAX_RETRY_AFTER, tick=MINUTE)) == ["acme"]

    def test_one_failing_feed_does_not_delay_another(self) -> None:
        home = Home(NOON, feeds=(feed(), feed("beta")))
        home.tell(FetchFailed("acme", Reason.UNREACHABLE))
        home.publish(feed_id="beta")
        assert fetched(home.wait(5 * MINUTE)) == ["acme"]

    @pytest.mark.parametrize(
        "item",
        [
            FetchFailed("gone", Reason.UNREACHABLE),
            ManifestRefused("gone", Reason.MALFORMED),
            ManifestUnchanged("gone"),
            ManifestRead("gone", manifest(feed_id="gone")),
        ],
        ids=lambda item: type(item).__name__,
    )
    def test_an_answer_of_a_feed_that_is_gone_is_no_news(self, home: Home, item: ManifestRead) -> None:
        assert home.tell(item) == []


class TestRefusals:
    def test_a_refused_manifest_keeps_the_last_good_one(self, home: Home) -> None:
        home.publish(release("1.3.0"), sequence=41)
        assert home.view().latest_version == "1.2.0"

    def test_a_refusal_names_the_suspected_attack(self, home: Home) -> None:
        effects = home.publish(sequence=41)
        (issue,) = of_kind(effects, RaiseIssue)
        assert (issue.kind, issue.reason) == (IssueKind.MANIFEST_REFUSED, Reason.ROLLBACK_DETECTED)
        assert told(effects) == ["manifest_refused"]
        assert audited(effects) == ["manifest_refused"]

    def test_the_same_refusal_is_told_once(self, home: Home) -> None:
        home.publish(sequence=41)
        effects = home.publish(sequence=41)
        assert (told(effects), audited(effects)) == ([], [])

    def test_bytes_that_cannot_be_verified_are_refused_with_the_place_of_the_fault(self, home: Home) -> None:
        effects = home.tell(ManifestRefused("acme", Reason.MALFORMED, "releases[0]", "no text"))
        (issue,) = of_kind(effects, RaiseIssue)
        assert issue.values["detail"] == "releases[0] no text"

    def test_a_good_manifest_takes_the_refusal_away(self, home: Home) -> None:
        home.publish(sequence=41)
        assert IssueKind.MANIFEST_REFUSED in cleared(home.publish(sequence=43))

    def test_the_same_manifest_again_takes_the_refusal_away(self, home: Home) -> None:
        home.publish(sequence=41)
        assert IssueKind.MANIFEST_REFUSED in cleared(home.tell(ManifestUnchanged("acme")))

    def test_a_refused_feed_is_tried_again(self, home: Home) -> None:
        home.publish(sequence=41)
        assert fetched(home.wait(5 * MINUTE)) == ["acme"]


class TestAccepting:
    def test_the_ledger_and_the_bytes_are_kept(self) -> None:
        effects = Home(NOON).publish()
        save = saved(effects)
        assert [(row.feed_id, row.sequence) for row in save.ledger] == [("acme", 42)]
        assert [(row.feed_id, row.raw, row.fetched_at) for row in save.feeds] == [("acme", b"raw", NOON)]
        assert audited(effects) == ["manifest_accepted"]

    def test_an_update_is_offered_to_all_devices_of_a_kind_at_once(self) -> None:
        home = Home(NOON)
        home.report(PLUG)
        home.report(LAMP)
        effects = home.publish()
        assert told(effects) == ["update_offered"]
        assert set(of_kind(effects, RefreshDevices)[0].device_ids) == {PLUG, LAMP}

    def test_the_same_offer_again_is_not_told(self, home: Home) -> None:
        assert told(home.publish(sequence=43)) == []

    def test_a_newer_offer_is_told(self, home: Home) -> None:
        assert told(home.publish(release("1.3.0"), sequence=43)) == ["update_offered"]

    def test_an_offer_that_is_gone_is_shown_and_not_told(self, home: Home) -> None:
        effects = home.publish(release("1.0.0"), sequence=43)
        assert told(effects) == []
        assert PLUG in of_kind(effects, RefreshDevices)[0].device_ids

    def test_devices_that_a_manifest_does_not_concern_are_left_alone(self, home: Home) -> None:
        home.report(LAMP, model="LAMP-1")
        effects = home.publish(release("1.3.0"), sequence=43)
        assert of_kind(effects, RefreshDevices)[0].device_ids == (PLUG,)

    def test_nothing_is_judged_while_the_clock_is_not_believed(self) -> None:
        home = Home(NIGHT, snapshot=Snapshot(meta={"clock": (NIGHT + DAY).isoformat()}))
        effects = home.publish()
        assert (raised(effects), told(effects)) == ([], [])
        assert home.hub.hub_view(home.now).feeds[0].last_error is Reason.CLOCK_UNTRUSTED
        assert fetched(home.wait(5 * MINUTE)) == ["acme"]


class TestExpiry:
    def test_a_manifest_that_runs_out_is_worth_a_repair(self, home: Home) -> None:
        home.publish(sequence=43, expires=NOON + HOUR)
        assert raised(home.wait(59 * MINUTE)) == []
        assert raised(home.wait(MINUTE)) == [IssueKind.MANIFEST_EXPIRED]

    def test_a_new_manifest_takes_the_repair_away(self, home: Home) -> None:
        home.publish(sequence=43, expires=NOON + HOUR)
        home.wait(HOUR)
        assert IssueKind.MANIFEST_EXPIRED in cleared(home.publish(sequence=44))

    def test_another_address_does_not_let_the_old_manifest_run_out(self, home: Home) -> None:
        home.publish(sequence=43, expires=NOON + HOUR)
        home.tell(FeedsChanged((feed(url="https://mirror.example/m"),)))
        assert raised(home.wait(2 * HOUR)) == []


class TestStored:
    def stored(self, home: Home, **changes: object) -> list[Effect]:
        statement = manifest(release(), **{"issued": NOON - DAY, "expires": NOON + DAY} | changes)
        return home.tell(ManifestRead("acme", statement, b"raw", "e", NOON - HOUR, from_store=True))

    def test_a_stored_manifest_counts_and_is_not_written_again(self) -> None:
        home = Home(NOON)
        home.report(PLUG)
        effects = self.stored(home)
        assert home.view().latest_version == "1.2.0"
        assert saved(effects).feeds == ()
        assert home.hub.hub_view(home.now).feeds[0].fetched_at == NOON - HOUR

    def test_a_stored_manifest_does_not_end_the_wait_for_the_fetch(self) -> None:
        home = Home(NOON)
        self.stored(home)
        assert fetched(home.tell(CheckRequested("anna"))) == []

    def test_a_stored_manifest_counts_while_the_clock_is_not_believed(self) -> None:
        home = Home(NOON, snapshot=Snapshot(meta={"clock": (NOON + HOUR).isoformat()}))
        home.report(PLUG)
        self.stored(home)
        assert home.view().latest_version == "1.2.0"

    def test_what_is_wrong_with_a_stored_manifest_is_no_news(self) -> None:
        ledger = LedgerRow("acme", sequence=50)
        home = Home(NOON, snapshot=Snapshot(ledger=(ledger,)))
        effects = self.stored(home)
        assert (raised(effects), told(effects)) == ([], [])
        assert home.hub.hub_view(home.now).feeds[0].last_error is Reason.ROLLBACK_DETECTED

    def test_that_a_stored_manifest_ran_out_is_told(self) -> None:
        assert raised(self.stored(Home(NOON), expires=NOON - MINUTE)) == [IssueKind.MANIFEST_EXPIRED]


class TestApprovals:
    def moved(self, home: Home) -> tuple[InstallState, Reason | None]:
        return home.last().state, home.last().reason

    def test_an_approval_ends_when_its_release_is_gone(self, home: Home) -> None:
        home.approve()
        home.publish(release("1.0.0"), sequence=43)
        assert self.moved(home) == (InstallState.CANCELED, Reason.OFFER_WITHDRAWN)

    def test_an_approval_never_slides_to_a_newer_release(self, home: Home) -> None:
        home.approve()
        home.publish(release("1.3.0"), sequence=43)
        assert self.moved(home) == (InstallState.CANCELED, Reason.OFFER_MOVED)
        assert PLUG not in home.hub.installer.current

    def test_an_approval_stays_while_its_release_is_still_published(self, home: Home) -> None:
        home.approve()
        home.publish(release("1.2.0"), release("1.3.0"), sequence=43)
        assert home.install().offer.version == "1.2.0"

    def test_the_same_version_with_other_bytes_is_not_what_was_approved(self, home: Home) -> None:
        home.approve()
        other = feed(url="https://mirror.example/m")
        home.hub.feeds.ledger.clear()  # even if nobody remembered that the version had other bytes
        home.tell(FeedsChanged((other,)))
        home.publish(release("1.2.0", "other bytes"), sequence=43)
        assert self.moved(home) == (InstallState.CANCELED, Reason.OFFER_MOVED)

    def test_a_release_that_becomes_manual_is_not_installed(self, home: Home) -> None:
        home.approve()
        home.publish(release(delivery=Delivery.MANUAL), sequence=43)
        assert home.last().state is InstallState.CANCELED

    def test_a_newer_proof_of_the_same_release_renews_the_approvals_proof(self, home: Home) -> None:
        home.approve()
        home.publish(sequence=43, expires=NOON + 90 * DAY)
        assert home.install().offer.expires == NOON + 90 * DAY

    def test_the_same_proof_again_writes_nothing(self, home: Home) -> None:
        home.approve()
        effects = home.publish(issued=NOON - HOUR)
        assert saved(effects).installs == ()

    def test_a_manifest_of_another_feed_touches_no_approval(self, home: Home) -> None:
        home.tell(FeedsChanged((feed(), feed("beta"))))
        home.approve()
        home.publish(release("9.0.0", manufacturer="Beta"), feed_id="beta", vendor="Beta")
        assert home.install().offer.version == "1.2.0"

    def test_what_was_commanded_goes_on(self) -> None:
        home = Home(NIGHT)
        home.report(PLUG)
        home.publish()
        home.approve()
        home.commanded()
        home.publish(release("1.3.0"), sequence=43)
        home.tell(FeedsChanged(()))
        assert home.install().state is InstallState.INSTALLING

    def tried(self) -> Home:
        """Let a release be withdrawn while it is tried, and the device not have noticed the command."""
        home = Home(NIGHT)
        home.report(PLUG)
        home.publish()
        home.approve()
        home.commanded()
        home.publish(release("1.0.0"), sequence=43)
        home.wait(10 * MINUTE)
        home.report(PLUG)
        home.wait(MINUTE)
        return home

    def test_what_is_withdrawn_while_it_is_tried_is_not_tried_again(self) -> None:
        home = self.tried()
        assert home.install().reason is Reason.WAITS_FOR_RETRY
        for _ in range(3):
            home.wait(10 * MINUTE)
            home.report(PLUG)
        assert len(of_kind(home.effects, SendInstall)) == 1
        assert home.view().reason is Reason.OFFER_WITHDRAWN

    def test_its_approval_ends_with_the_next_answer_of_the_feed(self) -> None:
        home = self.tried()
        home.tell(ManifestUnchanged("acme"))
        assert self.moved(home) == (InstallState.CANCELED, Reason.OFFER_WITHDRAWN)

    def test_no_approval_ends_while_nobody_knows_what_is_published(self) -> None:
        home = Home(NOON, snapshot=Snapshot((device(),), (install(),)))
        home.tell(ManifestUnchanged("acme"))
        assert home.install().state is InstallState.APPROVED

    def test_what_is_still_published_is_tried_again(self) -> None:
        home = self.tried()
        home.publish(sequence=44)
        home.wait(10 * MINUTE)
        home.commanded()
        assert len(of_kind(home.effects, SendInstall)) == 2

    def test_approvals_of_a_feed_that_is_gone_end(self, home: Home) -> None:
        home.approve()
        home.tell(FeedsChanged(()))
        assert self.moved(home) == (InstallState.CANCELED, Reason.OFFER_WITHDRAWN)

    def test_approvals_of_another_feed_stay_when_one_is_gone(self, home: Home) -> None:
        home.tell(FeedsChanged((feed(), feed("beta"))))
        home.approve()
        home.tell(FeedsChanged((feed(),)))
        assert home.install().offer.feed_id == "acme"

    def test_a_device_in_a_helper_image_is_still_the_one_that_was_approved(self, home: Home) -> None:
        home.approve()
        home.report(PLUG, "1.0.0-helper", helper=True, variant="minimal", retained=True)
        home.publish(sequence=43)
        assert home.install().offer.version == "1.2.0"

    def test_a_restored_approval_waits_until_its_feed_vouches_for_it_again(self) -> None:
        snapshot = Snapshot((device(),), (install(),))
        home = Home(NIGHT, snapshot=snapshot)
        home.report(PLUG)
        assert home.view().reason is Reason.UNREACHABLE
        home.publish()
        assert home.install().state is InstallState.DOWNLOADING

    def test_a_feed_that_is_gone_vouches_for_nothing(self, home: Home) -> None:
        home.tell(FeedsChanged(()))
        assert home.hub.feeds.fault("acme") is Reason.OFFER_WITHDRAWN
        assert not home.hub.feeds.is_active("acme")


def test_only_the_newest_answer_is_worth_writing() -> None:
    feeds = Feeds(lambda _dialect: True)
    feeds.set([feed()])
    read = ManifestRead("acme", manifest(release(), issued=NOON - DAY, expires=NOON + DAY), b"raw")
    _, row, _ = feeds.accept(read, NOON)
    assert row is not None
    assert feeds.is_newest(row)
    assert not feeds.is_newest(replace(row, fetched_at=NOON - HOUR))
    assert not feeds.is_newest(FeedRow("gone", b""))


def test_an_issue_is_about_one_feed() -> None:
    effects = Home(NOON).publish()
    assert {issue.subject for issue in of_kind(effects, ClearIssue)} == {"acme"}
