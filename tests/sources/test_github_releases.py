"""Releases on GitHub: which files become releases for which Tasmota devices."""

from __future__ import annotations

import copy
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from custom_components.firmware_hub.core.chips import Build
from custom_components.firmware_hub.core.errors import BadInput, Reason
from custom_components.firmware_hub.core.manifest import read_manifest
from custom_components.firmware_hub.core.matching import Catalogue, why_not_installable
from custom_components.firmware_hub.core.model import (
    Artifact,
    ArtifactFormat,
    ArtifactRole,
    Feed,
    FitKey,
    Manifest,
    Match,
    Offer,
    Release,
    Trust,
    VersionScheme,
)
from custom_components.firmware_hub.sources.github_releases import TASMOTA_FEED, GithubReleasesSource

LIST = json.loads((Path(__file__).parent / "fixtures" / "github_releases_tasmota.json").read_text())
CURRENT = 3
"""Where the ordinary release is in the list, behind a draft, a pre-release and a tag that is no version."""


def read(releases: object, feed: Feed = TASMOTA_FEED) -> Manifest:
    return read_manifest(json.dumps(releases).encode(), feed, GithubReleasesSource())


def build_of(release: Release) -> Build:
    return Build(release.match.model[0], release.match.variant)


def ordinary(*assets: str, **changes: Any) -> list[dict[str, Any]]:
    """Return a list with the ordinary release alone, changed, and with these files only."""
    release = copy.deepcopy(LIST[CURRENT]) | changes
    release["assets"] = [asset for asset in release["assets"] if asset["name"] in assets]
    return [release]


def with_asset(**changes: Any) -> list[dict[str, Any]]:
    releases = ordinary("tasmota32.bin")
    releases[0]["assets"][0] |= changes
    return releases


def sha256(name: str) -> str:
    return hashlib.sha256(f"v15.1.0{name}".encode()).hexdigest()


def url(name: str) -> str:
    return f"https://github.com/arendst/Tasmota/releases/download/v15.1.0/{name}"


def size(name: str) -> int:
    return int(next(asset["size"] for asset in LIST[CURRENT]["assets"] if asset["name"] == name))


# --- the built-in feed ------------------------------------------------------------------------------------------------


def test_the_built_in_feed_is_asked_as_github_wants_it() -> None:
    request = GithubReleasesSource().request(TASMOTA_FEED)
    assert request.url == "https://api.github.com/repos/arendst/Tasmota/releases?per_page=10"
    assert request.headers["Accept"] == "application/vnd.github+json"


def test_the_built_in_feed_belongs_to_tasmota_devices_and_is_no_more_than_a_digest() -> None:
    assert (TASMOTA_FEED.dialect, TASMOTA_FEED.trust, TASMOTA_FEED.enabled) == ("tasmota", Trust.DIGEST, True)
    assert TASMOTA_FEED.source == GithubReleasesSource().name


# --- what is read -----------------------------------------------------------------------------------------------------


def test_every_known_image_becomes_a_release_of_its_chip_and_build() -> None:
    manifest = read(LIST)
    assert [(release.version, *build_of(release)) for release in manifest.releases] == [
        ("15.1.0", "ESP32", "bluetooth"),
        ("15.1.0", "ESP32", "tasmota32"),
        ("15.1.0", "ESP32-C3", "tasmota32"),
        ("15.1.0", "ESP32-SOLO1", "solo1"),
        ("15.1.0", "ESP8266", "sensors"),
        ("15.1.0", "ESP8266", "tasmota"),
        ("9.1.0", "ESP8266", "tasmota"),
    ]


def test_the_manifest_says_only_what_github_says() -> None:
    manifest = read(LIST)
    assert (manifest.feed_id, manifest.vendor, manifest.trust, manifest.key_id) == (
        "tasmota",
        "Tasmota",
        Trust.DIGEST,
        "",
    )
    assert (manifest.sequence, manifest.issued, manifest.expires) == (None, None, None)


def test_an_esp8266_gets_the_compressed_image_with_its_minimal_one() -> None:
    (release,) = read(
        ordinary("tasmota.bin", "tasmota.bin.gz", "tasmota-minimal.bin", "tasmota-minimal.bin.gz")
    ).releases
    main, helper = "tasmota.bin.gz", "tasmota-minimal.bin.gz"
    gzip = ArtifactFormat.ESP_GZIP
    assert release == Release(
        match=Match("Tasmota", ("ESP8266",), ("*",), "tasmota", min_version="9.1.0"),
        version="15.1.0",
        version_scheme=VersionScheme.DOTTED,
        artifacts=(
            Artifact(ArtifactRole.MAIN, main, url(main), size(main), sha256(main), gzip),
            Artifact(ArtifactRole.HELPER, helper, url(helper), size(helper), sha256(helper), gzip),
        ),
        published=datetime(2026, 11, 1, 10, tzinfo=UTC),
        summary="Tasmota v15.1.0",
        notes="## Changelog v15.1.0\n\n### Fixed\n- Many things",
        notes_url="https://github.com/arendst/Tasmota/releases/tag/v15.1.0",
    )


def names(*assets: str) -> list[list[str]]:
    return [[artifact.name for artifact in release.artifacts] for release in read(ordinary(*assets)).releases]


@pytest.mark.parametrize(
    ("assets", "chosen"),
    [
        (("tasmota.bin", "tasmota-minimal.bin"), ["tasmota.bin", "tasmota-minimal.bin"]),
        (("tasmota.bin", "tasmota-minimal.bin.gz"), ["tasmota.bin"]),
        (("tasmota.bin.gz", "tasmota.bin", "tasmota-minimal.bin"), ["tasmota.bin.gz"]),
        (("tasmota32.bin", "tasmota32.factory.bin", "tasmota32-safeboot.bin"), ["tasmota32.bin"]),
    ],
)
def test_a_helper_has_the_ending_of_its_image(assets: tuple[str, ...], chosen: list[str]) -> None:
    assert names(*assets) == [chosen]


@pytest.mark.parametrize(
    "asset",
    ["README.md", "tasmota-DE.bin.gz", "tasmota-minimal.bin", "tasmota32p4.bin", "tasmota32c3.factory.bin"],
)
def test_a_file_that_is_no_known_image_makes_no_release(asset: str) -> None:
    assert names(asset) == []


def test_an_upload_that_is_not_finished_is_left_out() -> None:
    assert read(with_asset(state="starter")).releases == ()


@pytest.mark.parametrize("changes", [{"draft": True}, {"prerelease": True}])
def test_drafts_and_pre_releases_are_left_out(changes: dict[str, bool]) -> None:
    assert read(ordinary("tasmota32.bin", **changes)).releases == ()


@pytest.mark.parametrize(("tag", "version"), [("v14.5.0", "14.5.0"), ("14.5.0.3", "14.5.0.3"), ("v15.1", "15.1")])
def test_a_tag_says_the_version(tag: str, version: str) -> None:
    assert read(ordinary("tasmota32.bin", tag_name=tag)).releases[0].version == version


@pytest.mark.parametrize("tag", ["nightly", "v15", "v15.1.0-rc1", "release-15.1.0", "vv15.1.0", "v1.2.3.4.5"])
def test_a_tag_that_is_no_version_makes_no_release(tag: str) -> None:
    assert read(ordinary("tasmota32.bin", tag_name=tag)).releases == ()


@pytest.mark.parametrize("digest", [None, "sha512:" + "a" * 128, ""])
def test_a_file_without_a_digest_is_kept_without_one(digest: str | None) -> None:
    assert read(with_asset(digest=digest)).releases[0].artifacts[0].sha256 == ""


def test_the_last_step_of_the_migration_path_itself_has_no_earlier_bound() -> None:
    assert [release.match.min_version for release in read(LIST).releases] == ["9.1.0"] * 6 + [""]


def test_a_mirror_of_another_owner_keeps_its_name() -> None:
    mirror = Feed("own", "github_releases", "Mirror", "http://10.0.0.1/releases", Trust.DIGEST, vendor="Somebody")
    manifest = read(LIST, mirror)
    assert (manifest.vendor, manifest.releases[0].match.manufacturer) == ("Somebody", "Tasmota")


def test_a_feed_without_a_vendor_is_tasmotas() -> None:
    assert read([], Feed("own", "github_releases", "x", "http://10.0.0.1/", Trust.DIGEST)).vendor == "Tasmota"


# --- what is offered --------------------------------------------------------------------------------------------------


def offer(model: str, variant: str, version: str, hardware: str = "") -> Offer | None:
    known = Catalogue()
    known.replace(read(LIST))
    return known.offer(FitKey("tasmota", "Tasmota", model, hardware, variant, version, None))


@pytest.mark.parametrize(
    ("model", "variant", "image"),
    [
        ("ESP8266", "tasmota", "tasmota.bin.gz"),
        ("ESP8266", "sensors", "tasmota-sensors.bin"),
        ("ESP32", "tasmota32", "tasmota32.bin"),
        ("ESP32", "bluetooth", "tasmota32-bluetooth.bin"),
        ("ESP32-C3", "tasmota32", "tasmota32c3.bin"),
        ("ESP32-SOLO1", "solo1", "tasmota32solo1.bin"),
    ],
)
@pytest.mark.parametrize("hardware", ["", "any text of a chip v3.1"])
def test_each_device_is_offered_its_own_image(model: str, variant: str, image: str, hardware: str) -> None:
    found = offer(model, variant, "14.5.0", hardware)
    assert found is not None
    assert (found.version, found.release.main.name, why_not_installable(found)) == ("15.1.0", image, None)


@pytest.mark.parametrize(
    ("model", "variant"),
    [
        ("ESP32", "solo1"),
        ("ESP32-C3", "bluetooth"),
        ("ESP8266", "tasmota32"),
        ("ESP8266", "minimal"),
        ("ESP8266", "knx"),
        ("ESP32-S3", "tasmota32"),
        ("", "tasmota"),
    ],
)
def test_a_device_without_an_image_of_its_own_is_offered_nothing(model: str, variant: str) -> None:
    assert offer(model, variant, "14.5.0") is None


@pytest.mark.parametrize("version", ["15.1.0", "15.1.0.1", "15.2.0", ""])
def test_a_device_that_is_not_older_is_offered_nothing(version: str) -> None:
    assert offer("ESP8266", "tasmota", version) is None


def test_a_device_before_the_last_step_is_offered_the_step_which_has_no_digest() -> None:
    found = offer("ESP8266", "tasmota", "8.5.1")
    assert found is not None
    assert (found.version, why_not_installable(found)) == ("9.1.0", Reason.NO_DIGEST)


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("releases", "path"),
    [
        (["x"], "[0]"),
        ([{}], "[0].tag_name"),
        ([{"tag_name": 15}], "[0].tag_name"),
        (ordinary("tasmota32.bin", draft="no"), "[0].draft"),
        (ordinary("tasmota32.bin", prerelease=1), "[0].prerelease"),
        (ordinary("tasmota32.bin", published_at="yesterday"), "[0].published_at"),
        (ordinary("tasmota32.bin", body=7), "[0].body"),
        (ordinary("tasmota32.bin", html_url="javascript:alert(1)"), "[0].html_url"),
        ([LIST[CURRENT] | {"assets": {}}], "[0].assets"),
        ([LIST[CURRENT] | {"assets": [7]}], "[0].assets[0]"),
        ([LIST[CURRENT] | {"assets": [{}]}], "[0].assets[0].name"),
        ([LIST[CURRENT] | {"assets": [LIST[CURRENT]["assets"][0]] * 2}], "[0].assets[1].name"),
        (with_asset(size=0), "[0].assets[0].size"),
        (with_asset(size="600000"), "[0].assets[0].size"),
        (with_asset(size=2**40), "[0].assets[0].size"),
        (with_asset(digest="sha256:abc"), "[0].assets[0].digest"),
        (with_asset(digest="sha256:" + "A" * 64), "[0].assets[0].digest"),
        (with_asset(digest=7), "[0].assets[0].digest"),
        (with_asset(browser_download_url=None), "[0].assets[0].browser_download_url"),
        (with_asset(browser_download_url="file:///etc/passwd"), "[0].assets[0].browser_download_url"),
    ],
)
def test_a_fault_refuses_the_whole_list_at_its_place(releases: object, path: str) -> None:
    with pytest.raises(BadInput) as caught:
        read(releases)
    assert (caught.value.reason, caught.value.path) == (Reason.MALFORMED, path)


@pytest.mark.parametrize(
    ("releases", "path"),
    [
        ([LIST[0]] * 101, "$"),
        ([LIST[CURRENT] | {"assets": [{}] * 1001}], "[0].assets"),
    ],
)
def test_what_is_above_its_bound_refuses_the_whole_list(releases: object, path: str) -> None:
    with pytest.raises(BadInput) as caught:
        read(releases)
    assert (caught.value.reason, caught.value.path) == (Reason.TOO_LARGE, path)


def test_the_answer_to_too_many_questions_is_no_list() -> None:
    with pytest.raises(BadInput) as caught:
        read({"message": "API rate limit exceeded", "documentation_url": "https://docs.github.com/"})
    assert (caught.value.reason, caught.value.path) == (Reason.MALFORMED, "$")
