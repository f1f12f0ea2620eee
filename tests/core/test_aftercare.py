"""What the feeds say of what runs already: withdrawn releases and models whose support ends."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from custom_components.firmware_hub.core import limits
from custom_components.firmware_hub.core.effects import ClearIssue, Effect, IssueKind, RaiseIssue, Severity
from custom_components.firmware_hub.core.errors import Reason
from custom_components.firmware_hub.core.inputs import FeedsChanged, ForgetRequested, ManifestRead, WokenUp
from custom_components.firmware_hub.core.model import InstallState, Release, Revoked, Support, Trust
from custom_components.firmware_hub.core.records import Snapshot

from .builders import DAY, FAN, HOUR, LAMP, MINUTE, NOON, PLUG, Home, audited, feed, of_kind, saved
from .statements import manifest, release

OURS = (IssueKind.RELEASE_REVOKED, IssueKind.SUPPORT_ENDING, IssueKind.SUPPORT_ENDED)
WITHDRAWN = Revoked("plug-s1", "1.0.0", "it may catch fire")


@pytest.fixture
def home() -> Home:
    """A plug on 1.0.0; at noon."""
    home = Home(NOON)
    home.report(PLUG)
    return home


def shown(effects: list[Effect]) -> list[RaiseIssue]:
    return [issue for issue in of_kind(effects, RaiseIssue) if issue.kind in OURS]


def gone(effects: list[Effect]) -> list[ClearIssue]:
    return [issue for issue in of_kind(effects, ClearIssue) if issue.kind in OURS]


def say(home: Home, *releases: Release, sequence: int = 42, **changes: Any) -> list[Effect]:
    """Let the maker publish a statement."""
    values = {"issued": home.now - HOUR, "expires": home.now + 400 * DAY, "sequence": sequence} | changes
    return home.tell(ManifestRead("acme", manifest(*releases, digest=f"d{sequence}", **values), b"raw"))


def tick(home: Home) -> list[Effect]:
    home.now += MINUTE
    return home.tell(WokenUp())


# --- withdrawn --------------------------------------------------------------------------------------------------------


def test_a_withdrawn_release_that_runs_is_shown_with_the_makers_reason(home: Home) -> None:
    home.report(LAMP)
    home.report(FAN, "1.1.0")
    (issue,) = shown(say(home, revoked=(WITHDRAWN,)))
    assert (issue.kind, issue.severity) == (IssueKind.RELEASE_REVOKED, Severity.WARNING)
    assert (issue.values["model"], issue.values["version"], issue.values["devices"]) == ("PLUG-S1", "1.0.0", "2")
    assert (issue.values["detail"], issue.values["feed"]) == ("it may catch fire", "Acme")


def test_devices_of_two_hardware_revisions_are_one_repair(home: Home) -> None:
    home.report(LAMP, hardware="rev2")
    (issue,) = shown(say(home, revoked=(WITHDRAWN,)))
    assert issue.values["devices"] == "2"


def test_two_withdrawn_versions_are_two_repairs(home: Home) -> None:
    home.report(LAMP, "1.1.0")
    assert len(shown(say(home, revoked=(WITHDRAWN, Revoked("PLUG-S1", "1.1.0"))))) == 2


def test_the_same_version_in_other_letters_is_meant(home: Home) -> None:
    assert len(shown(say(home, revoked=(Revoked("PLUG-S1", "1.0.0+rebuilt"),)))) == 1


@pytest.mark.parametrize(
    ("releases", "step", "version"),
    [
        ((release("1.2.0"),), "withdrawn_newer", "1.2.0"),
        ((release("1.0.0", rollback_to=("0.9.0",)), release("0.9.0")), "withdrawn_back", "0.9.0"),
        ((), "withdrawn", ""),
    ],
)
def test_the_next_step_is_a_newer_version_or_the_permitted_way_back(
    home: Home, releases: tuple[Release, ...], step: str, version: str
) -> None:
    (issue,) = shown(say(home, *releases, revoked=(WITHDRAWN,)))
    assert (issue.values["advice"], issue.values["other_version"]) == (step, version)


def test_it_goes_when_no_device_runs_it_any_more(home: Home) -> None:
    (issue,) = shown(say(home, release(), revoked=(WITHDRAWN,)))
    home.report(PLUG, "1.2.0")
    assert gone(tick(home)) == [ClearIssue(IssueKind.RELEASE_REVOKED, issue.subject)]
    assert gone(tick(home)) == []


def test_it_counts_anew_when_one_of_two_devices_has_moved_on(home: Home) -> None:
    home.report(LAMP)
    say(home, release(), revoked=(WITHDRAWN,))
    home.report(LAMP, "1.2.0")
    (issue,) = shown(tick(home))
    assert issue.values["devices"] == "1"


def test_a_device_that_comes_later_is_seen(home: Home) -> None:
    home.tell(ForgetRequested(PLUG, "anna"))
    assert shown(say(home, revoked=(WITHDRAWN,))) == []
    home.report(PLUG)
    assert len(shown(tick(home))) == 1


def test_nothing_new_is_not_shown_again(home: Home) -> None:
    say(home, revoked=(WITHDRAWN,))
    assert shown(tick(home)) == []


def test_it_goes_when_the_maker_takes_the_withdrawal_back(home: Home) -> None:
    say(home, revoked=(WITHDRAWN,))
    assert len(gone(say(home, sequence=43))) == 1


def test_it_goes_with_the_feed(home: Home) -> None:
    say(home, revoked=(WITHDRAWN,))
    home.tell(FeedsChanged(()))
    assert len(gone(tick(home))) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"revoked": (Revoked("PLUG-S2", "1.0.0"),)},
        {"revoked": (Revoked("PLUG-S1", "1.0.1"),)},
        {"revoked": (WITHDRAWN,), "vendor": "Other"},
        {"revoked": (WITHDRAWN,), "trust": Trust.DIGEST},
    ],
)
def test_what_is_said_of_something_else_or_by_nobody_in_particular_is_not_shown(
    home: Home, changes: dict[str, Any]
) -> None:
    assert shown(say(home, **changes)) == []


def test_who_publishes_for_a_model_withdraws_for_it_too(home: Home) -> None:
    assert len(shown(say(home, release(), revoked=(WITHDRAWN,), vendor="Acme Holding"))) == 1


def test_a_device_that_says_no_version_runs_nothing_that_was_withdrawn(home: Home) -> None:
    home.tell(ForgetRequested(PLUG, "anna"))
    home.report(PLUG, None)
    assert shown(say(home, revoked=(Revoked("PLUG-S1", "1.0.0"),))) == []


def test_nothing_is_looked_at_while_the_clock_is_not_believed() -> None:
    home = Home(NOON, snapshot=Snapshot(meta={"clock": (NOON + DAY).isoformat()}))
    home.report(PLUG)
    statement = manifest(revoked=(WITHDRAWN,), issued=NOON - HOUR, expires=NOON + 9 * DAY)
    assert shown(home.tell(ManifestRead("acme", statement, b"raw", from_store=True), WokenUp())) == []


# --- an approval of what is withdrawn ---------------------------------------------------------------------------------


def test_an_approval_ends_when_its_release_is_withdrawn_even_if_there_is_another_one(home: Home) -> None:
    say(home, release("1.2.0"), release("1.1.0"))
    home.approve()
    effects = say(home, release("1.2.0"), release("1.1.0"), sequence=43, revoked=(Revoked("PLUG-S1", "1.2.0", "bad"),))
    assert (home.last().state, home.last().reason) == (InstallState.CANCELED, Reason.OFFER_WITHDRAWN)
    (row,) = [row for row in saved(effects).audit if row.kind == "release_withdrawn"]
    assert (row.values["version"], row.values["detail"]) == ("1.2.0", "bad")


def test_an_approval_that_was_overtaken_is_not_called_withdrawn(home: Home) -> None:
    say(home, release("1.2.0"))
    home.approve()
    effects = say(home, release("1.3.0"), sequence=43, revoked=(Revoked("PLUG-S1", "1.1.0"),))
    assert home.last().reason is Reason.OFFER_MOVED
    assert "release_withdrawn" not in audited(effects)


# --- the end of support -----------------------------------------------------------------------------------------------


def ends(home: Home, after: timedelta, model: str = "plug-s1", **changes: Any) -> list[Effect]:
    return say(home, support=(Support(model, home.now + after),), **changes)


def test_an_end_within_ninety_days_is_shown_with_its_day(home: Home) -> None:
    home.report(LAMP, "1.1.0")
    (issue,) = shown(ends(home, timedelta(days=90)))
    assert (issue.kind, issue.severity) == (IssueKind.SUPPORT_ENDING, Severity.WARNING)
    assert (issue.values["manufacturer"], issue.values["model"], issue.values["devices"]) == ("Acme", "PLUG-S1", "2")
    assert issue.values["day"] == (NOON + limits.SUPPORT_NOTICE).date().isoformat()


def test_a_later_end_is_shown_in_time(home: Home) -> None:
    assert shown(ends(home, timedelta(days=91))) == []
    effects = home.wait(2 * DAY, tick=HOUR)
    assert [issue.kind for issue in shown(effects)] == [IssueKind.SUPPORT_ENDING]


def test_after_the_end_another_repair_takes_its_place(home: Home) -> None:
    ends(home, HOUR)
    effects = home.wait(HOUR)
    assert [issue.kind for issue in shown(effects)] == [IssueKind.SUPPORT_ENDED]
    assert [issue.kind for issue in gone(effects)] == [IssueKind.SUPPORT_ENDING]


def test_it_goes_when_the_maker_goes_on_longer(home: Home) -> None:
    ends(home, DAY)
    assert [issue.kind for issue in gone(ends(home, 400 * DAY, sequence=43))] == [IssueKind.SUPPORT_ENDING]


def test_it_goes_with_the_last_device(home: Home) -> None:
    ends(home, -DAY)
    home.tell(ForgetRequested(PLUG, "anna"))
    assert [issue.kind for issue in gone(tick(home))] == [IssueKind.SUPPORT_ENDED]


def test_a_model_that_nobody_has_is_not_spoken_of(home: Home) -> None:
    assert shown(ends(home, DAY, "LAMP-2")) == []


def test_the_latest_day_that_is_named_counts(home: Home) -> None:
    days = (Support("PLUG-S1", NOON + 400 * DAY), Support("PLUG-S1", NOON + DAY))
    assert shown(say(home, support=days)) == []


def test_nobody_else_ends_a_makers_support(home: Home) -> None:
    assert shown(ends(home, DAY, vendor="Other")) == []


def test_the_latest_day_of_several_feeds_counts() -> None:
    home = Home(NOON, feeds=[feed(), feed("second")])
    home.report(PLUG)
    ends(home, DAY)
    later = manifest(feed_id="second", support=(Support("PLUG-S1", NOON + 400 * DAY),), issued=NOON - HOUR)
    assert len(gone(home.tell(ManifestRead("second", later, b"raw")))) == 1
