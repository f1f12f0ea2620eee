"""Shelly's indexes: what becomes a release for whom, and what is never installed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from custom_components.firmware_hub.core.effects import LedgerRow
from custom_components.firmware_hub.core.errors import BadInput, Reason, Refused
from custom_components.firmware_hub.core.feeds import feed_for
from custom_components.firmware_hub.core.manifest import judge, read_manifest
from custom_components.firmware_hub.core.matching import Catalogue, why_not_installable
from custom_components.firmware_hub.core.model import (
    Artifact,
    ArtifactFormat,
    ArtifactRole,
    Delivery,
    Feed,
    FitKey,
    Manifest,
    Match,
    Offer,
    Release,
    Trust,
    VersionScheme,
)
from custom_components.firmware_hub.sources.shelly_index import (
    SHELLY_FEED,
    SHELLY_GEN1_FEED,
    ShellyIndexSource,
)

FIXTURES = Path(__file__).parent / "fixtures"
NOW = datetime(2026, 11, 24, tzinfo=UTC)


def fixture(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FIXTURES / f"shelly_index_{name}.json").read_text())
    return found


PLUS_1 = fixture("plus1")
STRIP = fixture("power_strip")
GEN1 = fixture("gen1")


def read(document: object, feed: Feed = SHELLY_FEED) -> Manifest:
    return read_manifest(json.dumps(document).encode(), feed, ShellyIndexSource())


def stable(document: dict[str, Any] = PLUS_1, **changes: Any) -> dict[str, Any]:
    """Return the document with other members in its stable release."""
    return {**document, "stable": {**document["stable"], **changes}}


def only(document: object) -> Release:
    (release,) = read(document).releases
    return release


def fault(document: object, feed: Feed = SHELLY_FEED) -> tuple[Reason, str]:
    with pytest.raises(BadInput) as caught:
        read(document, feed)
    return caught.value.reason, caught.value.path


def offered(manifest: Manifest, **key: Any) -> Offer | None:
    catalogue = Catalogue()
    catalogue.replace(manifest)
    device = FitKey("shelly", "Shelly", "Plus1", "SNSW-001X16EU", "", "1.3.3", None)
    return catalogue.offer(device._replace(**key))


# --- the built-in feeds ----------------------------------------------------------------------------------------------


def test_each_app_has_a_feed_of_its_own() -> None:
    feed = feed_for(SHELLY_FEED, "Mini1PMG3")
    assert (feed.id, feed.title, feed.url) == (
        "shelly/Mini1PMG3",
        "Shelly Mini1PMG3",
        "https://updates.shelly.cloud/update/Mini1PMG3",
    )
    assert (feed.dialect, feed.trust, feed.source) == ("shelly", Trust.DIGEST, "shelly_index")


def test_the_first_generation_has_one_feed_for_all() -> None:
    assert feed_for(SHELLY_GEN1_FEED, "SHSW-1") is SHELLY_GEN1_FEED
    assert (SHELLY_GEN1_FEED.dialect, SHELLY_GEN1_FEED.trust) == ("shelly_gen1", Trust.VENDOR)


@pytest.mark.parametrize(
    "model", ["", "../x", "a/b", "a?b", "a#b", "a%2e", "a b", ".", "-x", "x" * 65, "ä", "x\n", "@h"]
)
def test_a_model_that_leads_elsewhere_is_refused(model: str) -> None:
    with pytest.raises(BadInput) as caught:
        feed_for(SHELLY_FEED, model)
    assert (caught.value.reason, caught.value.path) == (Reason.MALFORMED, "model")


def test_a_mirror_may_have_the_same_pages() -> None:
    mirror = replace(SHELLY_FEED, url="https://mirror.example/{model}.json")
    assert feed_for(mirror, "Plus1").url == "https://mirror.example/Plus1.json"


def test_json_is_asked_for() -> None:
    request = ShellyIndexSource().request(feed_for(SHELLY_FEED, "Plus1"))
    assert (request.url, request.headers) == (
        "https://updates.shelly.cloud/update/Plus1",
        {"Accept": "application/json"},
    )


# --- one app ---------------------------------------------------------------------------------------------------------


def test_the_stable_release_is_read() -> None:
    url = PLUS_1["stable"]["url"]
    assert only(PLUS_1) == Release(
        match=Match("Shelly", ("Plus1",), ("*",), min_version="1.3.3"),
        version="1.7.5",
        artifacts=(
            Artifact(ArtifactRole.MAIN, "Plus1.zip", url, 0, url.rpartition("/")[2], ArtifactFormat.SHELLY_ZIP),
        ),
        version_scheme=VersionScheme.SEMVER,
        summary="Build 20260127-093000/1.7.5-g2b0f4f8",
        notes_url="https://shelly-api-docs.shelly.cloud/gen2/changelog/",
    )


def test_betas_and_builds_for_other_radios_are_no_releases() -> None:
    release = only(STRIP)
    assert (release.match.model, release.version) == (("PowerStrip",), "2.0.0")


def test_a_build_without_a_name_has_no_summary() -> None:
    assert only(stable(build_id=None)).summary == ""


def test_it_is_offered_to_its_app_whatever_the_revision() -> None:
    offer = offered(read(PLUS_1))
    assert offer is not None
    assert (offer.version, offer.trust, why_not_installable(offer)) == ("1.7.5", Trust.DIGEST, None)
    assert offered(read(PLUS_1), hardware="SNSW-001X15UL") is not None


def test_it_is_not_offered_to_a_build_for_another_radio() -> None:
    assert offered(read(PLUS_1), model="Plus1ZB") is None
    assert offered(read(STRIP), model="PowerStripZB", version="1.9.0") is None


@pytest.mark.parametrize(
    ("running", "wanted"),
    [
        ("1.7.4", True),
        ("1.7.5-beta1", True),
        ("1.3.3", True),
        ("1.3.2", False),
        ("0.14.1", False),
        ("1.7.5", False),
        ("2.0.0-beta3", False),
        ("", False),
        ("1.7", False),
    ],
)
def test_it_is_offered_to_older_versions_that_can_take_it(running: str, wanted: bool) -> None:
    assert (offered(read(PLUS_1), version=running) is not None) is wanted


def test_before_the_partitions_changed_every_version_can_take_it() -> None:
    assert only(stable(version="1.3.3")).match.min_version == ""
    assert only(stable(version="1.4.0")).match.min_version == "1.3.3"


@pytest.mark.parametrize(
    "url",
    [
        "https://fwcdn.shelly.cloud/gen2/Plus1/latest.zip",
        f"https://fwcdn.shelly.cloud/gen2/Plus1/{'a' * 63}",
        f"https://fwcdn.shelly.cloud/gen2/Plus1/{'A' * 64}",
        f"https://fwcdn.shelly.cloud/gen2/Plus1/{'a' * 64}/",
        f"https://fwcdn.shelly.cloud/gen2/Plus1/x?digest={'a' * 64}",
        "https://fwcdn.shelly.cloud",
    ],
)
def test_without_a_digest_a_release_is_shown_and_not_installed(url: str) -> None:
    offer = offered(read(stable({**PLUS_1, "name": "Plus1"}, url=url)))
    assert offer is not None
    assert why_not_installable(offer) is Reason.NO_DIGEST


def test_wall_displays_are_shown_and_not_installed() -> None:
    url = f"https://fwcdn.shelly.cloud/gen2-ntest/WallDisplayV2/{'a' * 64}"
    assert only(stable(url=url)).delivery is Delivery.MANUAL


def test_the_name_of_the_app_may_stand_in_the_address_alone() -> None:
    assert "name" not in PLUS_1
    assert only(PLUS_1).match.model == ("Plus1",)


def test_the_case_of_the_app_does_not_matter() -> None:
    assert only({**PLUS_1, "name": "PLUS1"}).match.model == ("PLUS1",)


def test_a_package_of_another_app_is_refused() -> None:
    assert fault({**PLUS_1, "name": "Plus1PM"}) == (Reason.MALFORMED, "stable.url")


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({}, "stable"),
        ({"stable": []}, "stable"),
        (stable(version=None), "stable.version"),
        (stable(url=None), "stable.url"),
        (stable(url="ftp://x/y"), "stable.url"),
        (stable(url="https://user@x/Plus1/y"), "stable.url"),
        (stable(url="https://x"), "name"),
        (stable(url="https://x/y"), "name"),
        (stable(url="https://x/a%20b/y"), "name"),
        ({**PLUS_1, "name": "../x"}, "name"),
        ({**PLUS_1, "name": 7}, "name"),
        (stable(build_id=7), "stable.build_id"),
    ],
)
def test_a_page_that_makes_no_sense_is_refused(document: object, path: str) -> None:
    assert fault(document) == (Reason.MALFORMED, path)


def test_another_package_under_the_same_version_is_noticed() -> None:
    ledger = judge(read(PLUS_1), LedgerRow("shelly"), NOW)
    changed = stable(url=f"https://fwcdn.shelly.cloud/gen2/Plus1/{'b' * 64}")
    with pytest.raises(Refused, match="digest_changed"):
        judge(read(changed), ledger, NOW)


# --- the first generation --------------------------------------------------------------------------------------------


def test_every_model_of_the_first_generation_has_a_release() -> None:
    manifest = read(GEN1, SHELLY_GEN1_FEED)
    assert [(release.match, release.version) for release in manifest.releases] == [
        (Match("Shelly", ("SHSW-1",)), "1.14.0"),
        (Match("Shelly", ("SHPLG-S",)), "1.14.0"),
        (Match("Shelly", ("SHMOS-01",)), "2.1.8"),
        (Match("Shelly", ("SHSK-1",)), "20191217-140757/1047-long-id-for-shelly-devices@a0661583"),
    ]
    assert manifest.releases[0].summary == "Build 20230913-112003/v1.14.0-gcb84623"


def test_a_device_of_the_first_generation_is_offered_its_vendors_choice() -> None:
    offer = offered(read(GEN1, SHELLY_GEN1_FEED), model="SHSW-1", hardware="", version="1.12")
    assert offer is not None
    assert (offer.version, offer.trust, why_not_installable(offer)) == ("1.14.0", Trust.VENDOR, None)


def test_under_any_other_trust_it_is_only_shown() -> None:
    digest = replace(SHELLY_GEN1_FEED, trust=Trust.DIGEST)
    offer = offered(read(GEN1, digest), model="SHSW-1", hardware="", version="1.12")
    assert offer is not None
    assert why_not_installable(offer) is Reason.NO_DIGEST


@pytest.mark.parametrize("version", ["1.14.0", "20191217-140757/1047-long-id-for-shelly-devices@a0661583", ""])
def test_nothing_is_offered_where_versions_do_not_compare(version: str) -> None:
    assert offered(read(GEN1, SHELLY_GEN1_FEED), model="SHSW-1", hardware="", version=version) is None


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({**GEN1, "isok": False}, "isok"),
        ({**GEN1, "isok": None}, "isok"),
        ({**GEN1, "data": []}, "data"),
        ({**GEN1, "data": {"SHSW-1": 1}}, "data.SHSW-1"),
        ({**GEN1, "data": {"SHSW-1": {"url": "http://x/y"}}}, "data.SHSW-1.version"),
        ({**GEN1, "data": {"SHSW-1": {"version": "1"}}}, "data.SHSW-1.url"),
        ({**GEN1, "data": {"../x": {}}}, "data"),
    ],
)
def test_a_list_that_makes_no_sense_is_refused(document: object, path: str) -> None:
    assert fault(document, SHELLY_GEN1_FEED) == (Reason.MALFORMED, path)


def test_a_list_of_more_models_than_there_are_is_refused() -> None:
    many = {f"M{number}": GEN1["data"]["SHSW-1"] for number in range(1001)}
    assert fault({**GEN1, "data": many}, SHELLY_GEN1_FEED) == (Reason.TOO_LARGE, "data")


def test_the_feed_may_name_another_vendor() -> None:
    assert read(PLUS_1, replace(SHELLY_FEED, vendor="Allterco")).vendor == "Allterco"
    assert read(PLUS_1, replace(SHELLY_FEED, vendor="")).vendor == "Shelly"
