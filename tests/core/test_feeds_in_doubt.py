"""Refusals of a library that reads the clock itself, while the hub does not believe that clock."""

from __future__ import annotations

import pytest

from custom_components.firmware_hub.core.effects import IssueKind
from custom_components.firmware_hub.core.errors import Reason
from custom_components.firmware_hub.core.inputs import ManifestRefused
from custom_components.firmware_hub.core.records import Snapshot

from .builders import DAY, MINUTE, NIGHT, Home, raised, told


def in_doubt() -> Home:
    return Home(NIGHT, snapshot=Snapshot(meta={"clock": (NIGHT + DAY).isoformat()}))


@pytest.mark.parametrize("reason", [Reason.EXPIRED, Reason.FREEZE_SUSPECTED, Reason.NOT_YET_VALID])
def test_what_only_a_clock_refuses_is_not_told_while_the_clock_is_not_believed(reason: Reason) -> None:
    home = in_doubt()
    effects = home.tell(ManifestRefused("acme", reason, "timestamp", "expired"))
    assert (raised(effects), told(effects)) == ([], [])
    assert home.hub.hub_view(home.now).feeds[0].last_error is Reason.CLOCK_UNTRUSTED


def test_it_is_tried_again() -> None:
    home = in_doubt()
    home.tell(ManifestRefused("acme", Reason.EXPIRED, "timestamp", "expired"))
    assert any(type(effect).__name__ == "FetchManifest" for effect in home.wait(5 * MINUTE))


def test_what_no_clock_has_to_do_with_is_told_all_the_same() -> None:
    effects = in_doubt().tell(ManifestRefused("acme", Reason.BAD_SIGNATURE, "timestamp", "nobody's"))
    assert raised(effects) == [IssueKind.MANIFEST_REFUSED]


def test_what_a_clock_that_is_believed_refuses_is_told() -> None:
    effects = Home(NIGHT).tell(ManifestRefused("acme", Reason.EXPIRED, "timestamp", "expired"))
    assert raised(effects) == [IssueKind.MANIFEST_REFUSED]
