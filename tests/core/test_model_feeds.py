"""Feeds of which there is one for each model: made when such a device appears, within bounds."""

from __future__ import annotations

import pytest

from custom_components.firmware_hub.core import limits
from custom_components.firmware_hub.core.effects import FetchManifest, IssueKind, RaiseIssue
from custom_components.firmware_hub.core.errors import Reason
from custom_components.firmware_hub.core.feeds import feed_for
from custom_components.firmware_hub.core.inputs import FeedsChanged, FetchFailed, ForgetRequested
from custom_components.firmware_hub.core.model import Feed

from .builders import DAY, FAN, HOUR, LAMP, PLUG, Home, feed, of_kind, report

PAGES = feed("acme", dialect="open", url="https://acme.example/{model}.json", title="Acme")
OTHERS = feed("other", dialect="tasmota", url="https://other.example/{model}.json")


def home(*feeds: Feed) -> Home:
    return Home(feeds=feeds or (PAGES, OTHERS))


def asked(made: Home) -> list[str]:
    return [effect.feed_id for effect in of_kind(made.effects, FetchManifest)]


def test_the_first_device_of_a_model_makes_its_feed() -> None:
    made = home()
    made.report(PLUG, model="PLUG-S1")
    made.report(LAMP, model="LAMP-1")
    made.report(FAN, model="LAMP-1")
    assert asked(made) == ["acme/PLUG-S1", "acme/LAMP-1"]
    assert made.hub.feeds.states["acme/LAMP-1"].feed.url == "https://acme.example/LAMP-1.json"


def test_a_device_that_becomes_another_model_makes_its_feed() -> None:
    made = home()
    made.report(model="")
    made.report(model="PLUG-S2")
    assert asked(made) == ["acme/PLUG-S2"]


def test_feeds_are_made_for_the_devices_that_were_there_first() -> None:
    made = home(feed("nobody", dialect="tasmota"))
    made.report(PLUG, model="PLUG-S1")
    made.tell(FeedsChanged((PAGES, OTHERS)))
    assert asked(made) == ["acme/PLUG-S1"]


def test_a_feed_is_not_asked_any_more_when_its_last_device_is_gone() -> None:
    made = home()
    made.report(PLUG, model="PLUG-S1")
    made.report(LAMP, model="LAMP-1")
    made.tell(ForgetRequested(PLUG, "anna"))
    active = {view.feed_id: view.active for view in made.hub.feeds.views()}
    assert active == {"acme/PLUG-S1": False, "acme/LAMP-1": True}


def test_a_name_that_leads_elsewhere_makes_no_feed() -> None:
    made = home()
    made.report(model="../PLUG")
    made.tell(FeedsChanged((PAGES,)))
    assert (asked(made), made.hub.feeds.states) == ([], {})


def test_a_feed_without_a_place_for_a_model_is_one_for_all() -> None:
    plain = feed("acme")
    assert feed_for(plain, "PLUG-S1") is plain


def test_how_many_models_have_feeds_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_MODEL_FEEDS", 2)
    made = home()
    made.tell(*(report(f"mac:{number}", model=f"M{number}") for number in range(4)))
    assert len(made.hub.feeds.states) == 2
    made.tell(FeedsChanged((PAGES,)))
    assert len(made.hub.feeds.states) == 2


def test_models_that_nobody_names_any_more_keep_no_others_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_MODEL_FEEDS", 2)
    made = home()
    made.tell(*(report(model=f"Fake{number}") for number in range(4)))
    made.tell(report(LAMP, model="Plus1"))
    assert {state.feed.model for state in made.hub.feeds.states.values()} >= {"Plus1"}
    assert len(made.hub.feeds.states) == 2
    made.wait(DAY)


def test_a_model_without_a_page_is_no_fault_of_the_server() -> None:
    made = home()
    made.report(model="PLUG-S1")
    for reason in [Reason.NOT_FOUND] * limits.FETCHES_BEFORE_ISSUE:
        made.tell(FetchFailed("acme/PLUG-S1", reason))
    assert of_kind(made.effects, RaiseIssue) == []


def test_a_server_that_is_away_is_told_for_a_model_as_well() -> None:
    made = home()
    made.report(model="PLUG-S1")
    for reason in [Reason.UNREACHABLE] * limits.FETCHES_BEFORE_ISSUE:
        made.tell(FetchFailed("acme/PLUG-S1", reason))
    assert [issue.kind for issue in of_kind(made.effects, RaiseIssue)] == [IssueKind.FEED_UNREACHABLE]


def test_a_familys_feed_is_not_asked_again_for_each_change_of_a_device() -> None:
    made = home(feed("acme", dialect="open"))
    made.report(version="1.0.0")
    made.publish()
    made.now += HOUR
    made.report(version="1.1.0")
    assert asked(made) == ["acme"]
