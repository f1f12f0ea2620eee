"""The keys of feeds in a whole hub: what the owner is shown, who is trusted from when on, and what a no does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from custom_components.firmware_hub.core import limits
from custom_components.firmware_hub.core.effects import (
    ClearIssue,
    Effect,
    IssueKind,
    LedgerRow,
    RaiseIssue,
    Save,
    Severity,
)
from custom_components.firmware_hub.core.errors import Reason, Refused
from custom_components.firmware_hub.core.inputs import (
    CheckRequested,
    FeedsChanged,
    KeysRefused,
    ManifestRead,
    ManifestRefused,
    WokenUp,
)
from custom_components.firmware_hub.core.keys import pinned_key
from custom_components.firmware_hub.core.model import Trust
from custom_components.firmware_hub.core.records import Snapshot, from_json, to_json

from .builders import DAY, HOUR, MINUTE, NOON, Home, audited, cleared, feed, of_kind, raised, saved
from .jws import ec_key, name, pin
from .statements import manifest, release

OLD, NEXT, THIEF = (pinned_key(pin(ec_key(who))).text for who in ("old", "next", "thief"))
OLD_NAME, NEXT_NAME, THIEF_NAME = (name(ec_key(who)) for who in ("old", "next", "thief"))
WEEK = limits.KEY_ROTATION_DELAY
FEED = feed(keys=(OLD,))


@pytest.fixture
def home() -> Home:
    """A hub with a feed whose key is pinned."""
    return Home(NOON, feeds=[FEED])


def state(home: Home, *, by: str = OLD_NAME, from_store: bool = False, **changes: Any) -> list[Effect]:
    """Let the feed publish a statement signed by this key."""
    values = {"issued": home.now - HOUR, "expires": home.now + 60 * DAY, "key_id": by} | changes
    return home.tell(ManifestRead("acme", manifest(release(), **values), b"raw", from_store=from_store))


def announce(home: Home, *keys: str) -> list[Effect]:
    return state(home, next_keys=keys or (NEXT,))


def pass_time(home: Home, how_long: timedelta) -> list[Effect]:
    """Let time pass in steps that no clock is doubted for."""
    return home.wait(how_long, tick=HOUR)


def trusted(home: Home) -> tuple[str, ...]:
    return home.hub.feeds.states["acme"].trusted_feed.keys


def restarted(home: Home, after: timedelta = MINUTE, **meta: str) -> Home:
    """The hub that reads what this one wrote down, that much later."""
    ledger: dict[str, LedgerRow] = {}
    for save in of_kind(home.effects, Save):
        ledger.update((row.feed_id, from_json(LedgerRow, to_json(row))) for row in save.ledger)
    return Home(home.now + after, feeds=[FEED], snapshot=Snapshot(ledger=tuple(ledger.values()), meta=meta))


def about_keys(effects: list[Effect]) -> list[RaiseIssue]:
    return [issue for issue in of_kind(effects, RaiseIssue) if issue.kind is IssueKind.KEY_ROTATION]


# --- what the owner sees ----------------------------------------------------------------------------------------------


def test_an_announced_key_is_shown_with_both_fingerprints_and_its_day(home: Home) -> None:
    (issue,) = about_keys(announce(home))
    assert (issue.subject, issue.severity, issue.fixable) == ("acme", Severity.WARNING, True)
    assert (issue.values["old_keys"], issue.values["new_keys"]) == (OLD_NAME, NEXT_NAME)
    assert issue.values["moment"] == (NOON + WEEK).isoformat()
    assert issue.values["feed"] == "Acme"


def test_it_is_written_down_with_the_manifest(home: Home) -> None:
    save = saved(announce(home))
    assert NEXT_NAME in {row.values.get("key") for row in save.audit}
    assert [row.keys != "" for row in save.ledger] == [True]
    assert len(save.feeds) == 1


def test_it_is_shown_again_after_a_restart(home: Home) -> None:
    announce(home)
    (issue,) = about_keys(restarted(home, DAY).effects)
    assert issue.values["moment"] == (NOON + WEEK).isoformat()


def test_a_feed_without_a_new_key_shows_nothing(home: Home) -> None:
    assert about_keys(state(home)) == []


def test_a_feed_that_signs_nothing_has_no_keys_to_look_at() -> None:
    home = Home(NOON, feeds=[feed(trust=Trust.DIGEST)])
    effects = state(home, trust=Trust.DIGEST, by="", next_keys=(NEXT,))
    assert about_keys(effects) == []
    assert trusted(home) == ()


def test_the_repair_goes_with_the_feed(home: Home) -> None:
    announce(home)
    assert IssueKind.KEY_ROTATION in cleared(home.tell(FeedsChanged(())))
    assert about_keys(pass_time(home, WEEK + DAY)) == []


# --- from when on a key is trusted ------------------------------------------------------------------------------------


def test_nobody_trusts_it_before_its_time(home: Home) -> None:
    announce(home)
    pass_time(home, WEEK - HOUR)
    assert trusted(home) == (OLD,)


def test_when_its_time_has_come_it_is_trusted_and_the_repair_goes(home: Home) -> None:
    announce(home)
    pass_time(home, WEEK - HOUR)
    effects = pass_time(home, HOUR)
    assert trusted(home) == (OLD, NEXT)
    assert IssueKind.KEY_ROTATION in cleared(effects)


def test_the_first_statement_of_the_new_key_puts_an_end_to_the_old_one(home: Home) -> None:
    announce(home)
    pass_time(home, WEEK)
    assert "key_adopted" in audited(state(home, by=NEXT_NAME, sequence=43, digest="d2"))
    assert trusted(home) == (NEXT,)
    assert raised(state(home, sequence=44, digest="d3")) == [IssueKind.MANIFEST_REFUSED]


def test_what_was_adopted_is_kept_over_restarts(home: Home) -> None:
    announce(home)
    pass_time(home, WEEK)
    state(home, by=NEXT_NAME, sequence=43, digest="d2")
    assert trusted(restarted(home)) == (NEXT,)


def test_the_time_goes_on_while_the_hub_is_off(home: Home) -> None:
    announce(home)
    later = restarted(home, WEEK)
    assert trusted(later) == (OLD, NEXT)
    assert about_keys(later.effects) == []


def test_a_statement_without_the_new_key_takes_it_back(home: Home) -> None:
    announce(home)
    effects = state(home, sequence=43, digest="d2")
    assert "key_taken_back" in audited(effects)
    assert IssueKind.KEY_ROTATION in cleared(effects)
    pass_time(home, WEEK)
    assert trusted(home) == (OLD,)


def test_a_stored_statement_says_nothing_new(home: Home) -> None:
    assert "key_announced" not in audited(state(home, from_store=True, next_keys=(NEXT,)))


def test_other_keys_of_the_owner_begin_anew(home: Home) -> None:
    announce(home)
    effects = home.tell(FeedsChanged((feed(keys=(THIEF,)),)))
    pass_time(home, WEEK)
    assert trusted(home) == (THIEF,)
    assert ClearIssue(IssueKind.KEY_ROTATION, "acme") in effects


# --- no ---------------------------------------------------------------------------------------------------------------


def test_a_no_is_written_down_with_who_said_it(home: Home) -> None:
    announce(home)
    effects = home.tell(KeysRefused("acme", "anna"))
    (row,) = saved(effects).audit
    assert (row.kind, row.subject, dict(row.values)) == ("key_refused", "acme", {"key": NEXT_NAME, "by": "anna"})
    assert cleared(effects) == [IssueKind.KEY_ROTATION]


def test_a_refused_key_is_never_trusted_nor_shown_again(home: Home) -> None:
    announce(home)
    home.tell(KeysRefused("acme", "anna"))
    again = restarted(home)
    assert about_keys(announce(again)) == []
    pass_time(again, 2 * WEEK)
    assert trusted(again) == (OLD,)


def test_a_no_counts_after_its_time_as_long_as_nothing_was_signed_with_it(home: Home) -> None:
    announce(home)
    pass_time(home, WEEK)
    home.tell(KeysRefused("acme", "anna"))
    assert trusted(home) == (OLD,)


def test_what_was_being_read_while_the_owner_said_no_is_refused(home: Home) -> None:
    announce(home)
    pass_time(home, WEEK)
    home.tell(KeysRefused("acme", "anna"))
    effects = state(home, by=NEXT_NAME, sequence=43, digest="d2")
    (issue,) = of_kind(effects, RaiseIssue)
    assert (issue.kind, issue.reason) == (IssueKind.MANIFEST_REFUSED, Reason.UNTRUSTED_KEY)


@pytest.mark.parametrize("feed_id", ["acme", "nobody"])
def test_there_must_be_a_key_to_refuse(home: Home, feed_id: str) -> None:
    with pytest.raises(Refused) as refused:
        home.tell(KeysRefused(feed_id, "anna"))
    assert refused.value.reason is Reason.NOTHING_TO_CANCEL


# --- a clock that is not believed -------------------------------------------------------------------------------------


def in_doubt(home: Home) -> Home:
    """The hub a week later, which has seen a still later time."""
    return restarted(home, WEEK + DAY, clock=(home.now + WEEK + 2 * DAY).isoformat())


def test_a_clock_that_is_not_believed_makes_no_key_trusted(home: Home) -> None:
    announce(home)
    doubting = in_doubt(home)
    pass_time(doubting, HOUR)
    assert trusted(doubting) == (OLD,)


def test_the_key_is_trusted_when_the_clock_is_believed_again(home: Home) -> None:
    announce(home)
    doubting = in_doubt(home)
    doubting.now += DAY
    doubting.tell(WokenUp())
    pass_time(doubting, HOUR)
    assert trusted(doubting) == (OLD, NEXT)


@pytest.mark.parametrize("reason", [Reason.UNTRUSTED_KEY, Reason.BAD_SIGNATURE])
def test_a_new_key_is_no_attack_while_nobody_knows_the_time(home: Home, reason: Reason) -> None:
    announce(home)
    assert raised(in_doubt(home).tell(ManifestRefused("acme", reason))) == []


def test_a_strange_key_is_one_where_no_new_key_waits(home: Home) -> None:
    state(home)
    refused = ManifestRefused("acme", Reason.UNTRUSTED_KEY)
    assert raised(in_doubt(home).tell(refused)) == [IssueKind.MANIFEST_REFUSED]


def test_a_strange_key_is_one_while_the_clock_is_believed(home: Home) -> None:
    announce(home)
    assert raised(home.tell(ManifestRefused("acme", Reason.UNTRUSTED_KEY))) == [IssueKind.MANIFEST_REFUSED]


def test_without_a_waiting_key_a_doubted_clock_sets_no_alarm(home: Home) -> None:
    state(home)
    doubting = in_doubt(home)
    assert about_keys(doubting.tell(CheckRequested("anna"))) == []
    assert trusted(doubting) == (OLD,)


# --- a pin that is none -----------------------------------------------------------------------------------------------


def test_a_pin_that_is_no_key_breaks_nothing() -> None:
    home = Home(NOON, feeds=[feed(keys=("nonsense",))])
    assert trusted(home) == ("nonsense",)
    assert about_keys(state(home, by="whoever")) == []


# --- a key that was stolen --------------------------------------------------------------------------------------------


def test_a_thief_who_counted_to_the_end_locks_nobody_out(home: Home) -> None:
    state(home, sequence=2**63 - 1, digest="thief")
    effects = home.tell(FeedsChanged((feed(keys=(NEXT,)),)))
    assert audited(effects) == ["sequence_forgotten"]
    state(home, by=NEXT_NAME, sequence=43, digest="vendor")
    assert home.hub.feeds.ledger["acme"].sequence == 43
    assert restarted(home).hub.feeds.ledger["acme"].sequence == 43


def test_one_more_key_forgets_nothing(home: Home) -> None:
    state(home, sequence=44)
    assert audited(home.tell(FeedsChanged((feed(keys=(OLD, NEXT)),)))) == []
    assert home.hub.feeds.ledger["acme"].sequence == 44


def test_a_new_key_before_anything_was_read_forgets_nothing(home: Home) -> None:
    assert audited(home.tell(FeedsChanged((feed(keys=(NEXT,)),)))) == []
