"""Matching fails closed: what is offered, what is not, and why."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from custom_components.firmware_hub.core import limits
from custom_components.firmware_hub.core.errors import Reason
from custom_components.firmware_hub.core.matching import Catalogue, why_not_installable
from custom_components.firmware_hub.core.model import (
    ArtifactRole,
    Delivery,
    FitKey,
    Manifest,
    Offer,
    Release,
    Revoked,
    Trust,
    VersionScheme,
)

from .statements import artifact, device, manifest, release


def catalogue(*manifests: Manifest) -> Catalogue:
    filled = Catalogue()
    for item in manifests:
        filled.replace(item)
    return filled


def answer(key: FitKey, *releases: Release, **changes: Any) -> str | Reason | None:
    """Return the offered version, or why there is none."""
    known = catalogue(manifest(*releases, **changes))
    offer = known.offer(key)
    return known.explain(key) if offer is None else offer.version


# --- whom a release fits ----------------------------------------------------------------------------------------------


def test_a_newer_release_of_the_model_is_offered_with_its_proof() -> None:
    source = manifest(release("1.2.0", summary="news"))
    assert catalogue(source).offer(device("1.0.0")) == Offer(
        source.releases[0], "acme", Trust.SIGNED, "Acme", "key", source.issued, source.expires, (("1.2.0", "news"),)
    )


def test_where_there_is_an_offer_there_is_nothing_to_explain() -> None:
    assert catalogue(manifest(release())).explain(device()) is None


@pytest.mark.parametrize(
    ("stated", "reported"),
    [
        ({}, {}),
        ({"manufacturer": "ACME", "model": ("plug-s1",)}, {}),
        ({"model": ("OTHER", "PLUG-S1")}, {}),
        ({"hardware": ("rev1", "REV2")}, {"hardware": "rev2"}),
        ({"hardware": ("*",)}, {"hardware": "rev9"}),
        ({"hardware": ("*",)}, {}),
        ({"variant": "EU"}, {"variant": "eu"}),
    ],
)
def test_what_is_stated_and_what_is_reported_agree(stated: dict[str, Any], reported: dict[str, Any]) -> None:
    assert answer(device(**reported), release(**stated)) == "1.2.0"


@pytest.mark.parametrize(
    ("stated", "reported"),
    [
        ({"hardware": ("rev1",)}, {"hardware": "rev2"}),
        ({"hardware": ("rev1",)}, {"hardware": "rev"}),
        ({"hardware": ("rev1",)}, {}),
        ({}, {"hardware": "rev2"}),
        ({"variant": "eu"}, {"variant": "us"}),
        ({"variant": "eu"}, {}),
        ({}, {"variant": "eu"}),
        ({"variant": "*"}, {"variant": "eu"}),
    ],
)
def test_another_hardware_or_variant_gets_nothing(stated: dict[str, Any], reported: dict[str, Any]) -> None:
    assert answer(device(**reported), release(**stated)) is Reason.WRONG_HARDWARE


@pytest.mark.parametrize(
    "reported",
    [
        {"manufacturer": "Acme2"},
        {"manufacturer": "Acme "},
        {"manufacturer": ""},
        {"model": "PLUG-S10"},
        {"model": "PLUG"},
        {"model": ""},
    ],
)
def test_another_maker_or_model_gets_nothing(reported: dict[str, str]) -> None:
    assert answer(device(**reported), release()) is Reason.NO_OFFER


def test_an_unknown_device_does_not_fit_a_release_without_names() -> None:
    assert answer(device(manufacturer="", model=""), release(manufacturer="", model=("",))) is Reason.NO_OFFER


@given(
    st.sampled_from(["", "rev1", "rev2"]),
    st.lists(st.sampled_from(["rev1", "rev2"]), max_size=2),
    st.sampled_from(["", "eu", "us"]),
    st.sampled_from(["", "eu", "us"]),
)
def test_nothing_is_offered_that_does_not_state_exactly_this_device(
    hardware: str, stated: list[str], variant: str, stated_variant: str
) -> None:
    found = answer(device(hardware=hardware, variant=variant), release(hardware=tuple(stated), variant=stated_variant))
    exact = hardware in (stated or [""]) and variant == stated_variant
    assert (found == "1.2.0") is exact


# --- versions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("running", ["1.2.0", "1.2.1", "2.0.0"])
def test_what_is_not_newer_is_not_offered(running: str) -> None:
    assert answer(device(running), release("1.2.0")) is Reason.NO_OFFER


@pytest.mark.parametrize("running", ["", "newer", "1.0", "14.5.0(tasmota)"])
def test_a_version_that_cannot_be_compared_gets_nothing(running: str) -> None:
    assert answer(device(running), release("1.2.0")) is Reason.VERSION_UNKNOWN


@pytest.mark.parametrize("published", ["-1", "newer", "4294967295"])
def test_a_release_that_cannot_be_compared_is_not_offered(published: str) -> None:
    found = answer(device("54"), release(published, version_scheme=VersionScheme.INTEGER))
    assert found is Reason.VERSION_UNKNOWN


def test_where_versions_cannot_tell_the_counters_do() -> None:
    assert answer(device("blue", counter=3), release("red", counter=4)) == "red"


@pytest.mark.parametrize(("mine", "theirs"), [(3, 3), (4, 3)])
def test_a_counter_that_is_not_higher_is_not_newer(mine: int, theirs: int) -> None:
    assert answer(device("blue", counter=mine), release("red", counter=theirs)) is Reason.NO_OFFER


@pytest.mark.parametrize(("mine", "theirs"), [(None, 3), (3, None)])
def test_one_counter_alone_tells_nothing(mine: int | None, theirs: int | None) -> None:
    assert answer(device("blue", counter=mine), release("red", counter=theirs)) is Reason.VERSION_UNKNOWN


def test_a_newer_version_with_a_lower_counter_is_not_offered() -> None:
    assert answer(device("1.0.0", counter=9), release("1.2.0", counter=8)) is Reason.VERSION_UNKNOWN


def test_a_newer_version_with_the_same_counter_is_offered() -> None:
    assert answer(device("1.0.0", counter=9), release("1.2.0", counter=9)) == "1.2.0"


def test_an_older_version_with_a_higher_counter_is_not_offered() -> None:
    assert answer(device("1.3.0", counter=1), release("1.2.0", counter=2)) is Reason.NO_OFFER


def test_the_newest_release_is_offered() -> None:
    assert answer(device(), release("1.9.0"), release("1.10.0"), release("1.2.0")) == "1.10.0"


def test_two_releases_that_cannot_be_compared_are_ambiguous() -> None:
    found = answer(device(counter=1), release("1.2.0", counter=None), release("red", counter=2))
    assert found is Reason.AMBIGUOUS_OFFER


def test_two_schemes_are_compared_by_counters() -> None:
    dotted = release("20.0", version_scheme=VersionScheme.DOTTED, counter=3)
    assert answer(device("1.0.0", counter=1), release("1.2.0", counter=2), dotted) == "20.0"


# --- the window of running versions -----------------------------------------------------------------------------------


@pytest.mark.parametrize("running", ["1.0.0", "1.0.5", "1.1.9"])
def test_a_running_version_inside_the_window_fits(running: str) -> None:
    assert answer(device(running), release(min_version="1.0.0", max_version="1.1.9")) == "1.2.0"


@pytest.mark.parametrize("running", ["0.9.9", "1.1.10"])
def test_a_running_version_outside_the_window_needs_another_one_first(running: str) -> None:
    found = answer(device(running), release(min_version="1.0.0", max_version="1.1.9"))
    assert found is Reason.NEEDS_OTHER_VERSION


def test_a_window_that_cannot_be_compared_is_not_met() -> None:
    found = answer(device("blue", counter=1), release("1.2.0", counter=2, min_version="1.0.0"))
    assert found is Reason.NEEDS_OTHER_VERSION


def test_a_path_of_steps_is_taken_step_by_step() -> None:
    path = (release("3.0.0", min_version="2.0.0"), release("2.0.0", min_version="1.5.0"), release("1.5.0"))
    assert [answer(device(running), *path) for running in ("1.0.0", "1.5.0", "2.0.0")] == ["1.5.0", "2.0.0", "3.0.0"]


# --- channel, withdrawal, delivery ------------------------------------------------------------------------------------


def test_another_channel_is_not_offered() -> None:
    assert answer(device(), release("1.3.0", channel="beta"), release("1.2.0")) == "1.2.0"


def test_a_model_with_nothing_stable_has_no_offer() -> None:
    assert answer(device(), release(channel="beta")) is Reason.NO_OFFER


@pytest.mark.parametrize("version", ["1.2.0", "1.2.0+rebuilt"])
def test_a_withdrawn_release_is_not_offered(version: str) -> None:
    assert answer(device(), release(), revoked=(Revoked("plug-s1", version),)) is Reason.OFFER_WITHDRAWN


def test_a_withdrawn_release_gives_way_to_an_older_one() -> None:
    assert answer(device(), release("1.3.0"), release("1.2.0"), revoked=(Revoked("PLUG-S1", "1.3.0"),)) == "1.2.0"


def test_a_withdrawal_of_another_model_changes_nothing() -> None:
    assert answer(device(), release(), revoked=(Revoked("PLUG-S2", "1.2.0"),)) == "1.2.0"


def test_the_makers_signed_feed_withdraws_releases_of_other_feeds() -> None:
    digest = manifest(release(), feed_id="mirror", trust=Trust.DIGEST, vendor="Mirror")
    maker = manifest(revoked=(Revoked("PLUG-S1", "1.2.0"),))
    assert catalogue(digest, maker).explain(device()) is Reason.OFFER_WITHDRAWN


@pytest.mark.parametrize("changes", [{"trust": Trust.DIGEST}, {"vendor": "Other"}])
def test_nobody_else_withdraws_releases_of_other_feeds(changes: dict[str, Any]) -> None:
    signed = manifest(release())
    other = manifest(revoked=(Revoked("PLUG-S1", "1.2.0"),), feed_id="other", **changes)
    assert catalogue(signed, other).explain(device()) is None


def test_a_release_that_cannot_be_undone_is_offered() -> None:
    assert answer(device(), release(revertible=False)) == "1.2.0"


def test_a_manual_release_is_offered_and_not_installable() -> None:
    offer = catalogue(manifest(release(delivery=Delivery.MANUAL))).offer(device())
    assert offer is not None
    assert why_not_installable(offer) is Reason.MANUAL_ONLY


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"artifacts": (artifact(),)}, Reason.NO_DIGEST),
        ({"artifacts": (artifact("x"), artifact(role=ArtifactRole.HELPER))}, Reason.NO_DIGEST),
    ],
)
def test_a_release_without_digest_is_offered_and_not_installable(
    changes: dict[str, Any], reason: Reason | None
) -> None:
    offer = catalogue(manifest(release(**changes))).offer(device())
    assert offer is not None
    assert why_not_installable(offer) is reason


def test_a_device_that_chooses_its_image_needs_no_digest() -> None:
    offer = catalogue(manifest(release(artifacts=(artifact(),)), trust=Trust.VENDOR)).offer(device())
    assert offer is not None
    assert why_not_installable(offer) is None


# --- several feeds ----------------------------------------------------------------------------------------------------


def test_two_feeds_with_the_same_bytes_make_one_offer() -> None:
    known = catalogue(manifest(release(), feed_id="b"), manifest(release(), feed_id="a"))
    offer = known.offer(device())
    assert offer is not None
    assert offer.feed_id == "a"


def test_two_feeds_with_other_bytes_under_one_version_are_ambiguous() -> None:
    known = catalogue(manifest(release(content="x"), feed_id="a"), manifest(release(content="y"), feed_id="b"))
    assert (known.offer(device()), known.explain(device())) == (None, Reason.AMBIGUOUS_OFFER)


def test_of_two_feeds_the_more_trusted_one_counts() -> None:
    weak = manifest(release(content="x"), feed_id="weak", trust=Trust.DIGEST)
    offer = catalogue(weak, manifest(release(content="y"))).offer(device())
    assert offer is not None
    assert offer.trust is Trust.SIGNED


def test_a_weaker_feed_does_not_outbid_a_signed_one() -> None:
    weak = manifest(release("99.0.0"), feed_id="weak", trust=Trust.DIGEST)
    assert catalogue(weak, manifest(release("1.0.0"))).explain(device("1.0.0")) is Reason.NO_OFFER


def test_a_weaker_feed_serves_what_no_signed_one_knows() -> None:
    weak = manifest(release("99.0.0"), feed_id="weak", trust=Trust.DIGEST)
    assert catalogue(weak, manifest(release(model=("OTHER",)))).explain(device()) is None


# --- a certain version ------------------------------------------------------------------------------------------------


def named(key: FitKey, version: str, *releases: Release, **changes: Any) -> Offer | None:
    return catalogue(manifest(*releases, **changes)).release(key, version)


def test_the_current_offer_is_found_by_its_version() -> None:
    known = catalogue(manifest(release("1.2.0"), release("1.1.0", notes="x")))
    assert known.release(device(), "1.2.0") == known.offer(device())


def test_a_version_on_the_way_is_found() -> None:
    offer = named(device(), "1.1.0", release("1.2.0", notes="b"), release("1.1.0", notes="a"))
    assert offer is not None
    assert (offer.version, offer.notes) == ("1.1.0", (("1.1.0", "a"),))


@pytest.mark.parametrize(
    "other",
    [
        release("1.1.0", min_version="1.0.5"),
        release("1.1.0", variant="eu"),
        release("1.1.0", channel="beta"),
        release("1.1.1"),
        release("0.9.0"),
    ],
)
def test_a_version_that_does_not_fit_is_not_found(other: Release) -> None:
    assert named(device(), "1.1.0", release("1.2.0"), other) is None


def test_a_withdrawn_version_is_not_found() -> None:
    revoked = (Revoked("PLUG-S1", "1.1.0"),)
    assert named(device(), "1.1.0", release("1.2.0"), release("1.1.0"), revoked=revoked) is None


def test_an_ambiguous_version_is_not_found() -> None:
    assert named(device(), "1.1.0", release("1.2.0"), release("1.1.0", "x"), release("1.1.0", "y")) is None


def test_the_running_release_permits_to_go_back() -> None:
    offer = named(device("1.2.0"), "1.1.0", release("1.2.0", rollback_to=("1.1.0",)), release("1.1.0"))
    assert offer is not None
    assert offer.version == "1.1.0"


def test_a_permit_is_not_bound_to_the_window_of_the_old_release() -> None:
    old = release("1.1.0", max_version="1.0.9")
    assert named(device("1.2.0"), "1.1.0", release("1.2.0", rollback_to=("1.1.0",)), old) is not None


@pytest.mark.parametrize(
    ("running", "changes"),
    [
        ("1.2.0", {"trust": Trust.DIGEST}),
        ("1.3.0", {}),
        ("1.2.0", {"revoked": (Revoked("PLUG-S1", "1.1.0"),)}),
    ],
)
def test_without_a_signed_permit_nothing_goes_back(running: str, changes: dict[str, Any]) -> None:
    releases = release("1.2.0", rollback_to=("1.1.0",)), release("1.1.0")
    assert named(device(running), "1.1.0", *releases, **changes) is None


def test_a_release_that_was_withdrawn_still_permits_to_go_back() -> None:
    releases = release("1.2.0", rollback_to=("1.1.0",)), release("1.1.0")
    assert named(device("1.2.0"), "1.1.0", *releases, revoked=(Revoked("PLUG-S1", "1.2.0"),)) is not None


def test_the_way_back_is_the_first_permitted_version_that_there_is() -> None:
    running = release("1.2.0", rollback_to=("1.1.5", "1.1.0", "1.0.0"))
    known = catalogue(manifest(running, release("1.1.0"), release("1.0.0")))
    assert known.way_back(device("1.2.0")) == "1.1.0"


def test_without_a_permit_there_is_no_way_back() -> None:
    assert catalogue(manifest(release("1.2.0"), release("1.1.0"))).way_back(device("1.2.0")) is None


def test_a_permit_is_for_the_bytes_of_its_own_manifest() -> None:
    known = catalogue(
        manifest(release("1.2.0", rollback_to=("1.1.0",)), feed_id="a"), manifest(release("1.1.0"), feed_id="b")
    )
    assert known.release(device("1.2.0"), "1.1.0") is None


# --- notes ------------------------------------------------------------------------------------------------------------


def notes(key: FitKey, *releases: Release) -> tuple[tuple[str, str], ...]:
    offer = catalogue(manifest(*releases)).offer(key)
    assert offer is not None
    return offer.notes


def test_the_notes_of_all_skipped_versions_are_there_newest_first() -> None:
    path = [release(version, notes=f"in {version}") for version in ("1.0.0", "1.3.0", "1.1.0", "1.2.0")]
    assert notes(device("1.0.0"), *path) == (("1.3.0", "in 1.3.0"), ("1.2.0", "in 1.2.0"), ("1.1.0", "in 1.1.0"))


def test_a_step_tells_only_what_it_brings() -> None:
    path = (release("3.0.0", min_version="2.0.0", notes="c"), release("2.0.0", notes="b"), release("1.5.0", notes="a"))
    assert notes(device(), *path) == (("2.0.0", "b"), ("1.5.0", "a"))


def test_a_summary_stands_in_for_notes() -> None:
    assert notes(device(), release("1.2.0", summary="one line"), release("1.1.0")) == (("1.2.0", "one line"),)


def test_one_version_has_one_note() -> None:
    twice = release("1.1.0", notes="a", max_version="1.0.0"), release("1.1.0", notes="b", min_version="1.0.1")
    assert notes(device(), release("1.2.0", notes="c"), *twice) == (("1.2.0", "c"), ("1.1.0", "a"))


def test_the_notes_of_other_feeds_are_left_out() -> None:
    other = manifest(release("1.1.0", notes="spam"), feed_id="zebra")
    offer = catalogue(other, manifest(release("1.2.0", notes="news"))).offer(device())
    assert offer is not None
    assert offer.notes == (("1.2.0", "news"),)


def test_notes_are_bounded_in_length() -> None:
    long = [release(f"1.{minor}.0", notes=str(minor) * limits.MAX_NOTES) for minor in (1, 2, 3)]
    assert notes(device(), *long) == (("1.3.0", "3" * limits.MAX_NOTES),)


def test_notes_are_bounded_in_number() -> None:
    many = [release(f"1.{minor}.0", notes="x") for minor in range(1, 40)]
    assert len(notes(device(), *many)) == limits.MAX_SKIPPED_NOTES


# --- the catalogue changes --------------------------------------------------------------------------------------------


def test_a_new_manifest_takes_the_place_of_the_old_one() -> None:
    known = catalogue(manifest(release("1.3.0")))
    before = known.offer(device())
    touched = known.replace(manifest(release("1.2.0"), release("2.0.0", model=("LAMP",)), sequence=43))
    after = known.offer(device())
    assert (before and before.version, after and after.version) == ("1.3.0", "1.2.0")
    assert touched == {("acme", "plug-s1"), ("acme", "lamp")}


def test_a_removed_feed_offers_nothing() -> None:
    known = catalogue(manifest(release(), feed_id="a"), manifest(release("1.3.0"), feed_id="b"))
    assert known.remove("b") == {("acme", "plug-s1")}
    offer = known.offer(device())
    assert offer is not None
    assert offer.version == "1.2.0"
    known.remove("a")
    assert known.explain(device()) is Reason.NO_OFFER


def test_an_unknown_feed_is_removed_without_effect() -> None:
    assert catalogue().remove("nobody") == frozenset()


def test_a_withdrawal_touches_the_makers_model() -> None:
    known = catalogue(manifest(release(), feed_id="mirror", trust=Trust.DIGEST))
    assert known.offer(device()) is not None
    assert known.replace(manifest(revoked=(Revoked("PLUG-S1", "1.2.0"),))) == {("acme", "plug-s1")}
    assert known.offer(device()) is None


def test_an_answer_is_kept_until_its_model_is_touched() -> None:
    known = catalogue(manifest(release()))
    first = known.offer(device())
    known.replace(manifest(release(model=("LAMP",)), feed_id="other"))
    assert known.offer(device()) is first
    known.replace(manifest(release(), digest="d2"))
    assert known.offer(device()) is not first


def test_kept_answers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_DEVICES", 2)
    known = catalogue(manifest(release("9.0.0")))
    first = known.offer(device("1.0.0"))
    for minor in range(4):
        known.offer(device(f"1.{minor}.1"))
    again = known.offer(device("1.0.0"))
    assert (again == first, again is first) == (True, False)
