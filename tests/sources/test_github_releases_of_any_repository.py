"""Releases on GitHub of which the owner said for whom they are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from custom_components.firmware_hub.core.errors import BadInput, Reason
from custom_components.firmware_hub.core.manifest import read_manifest
from custom_components.firmware_hub.core.matching import Catalogue, why_not_installable
from custom_components.firmware_hub.core.model import (
    ArtifactFormat,
    Feed,
    FitKey,
    Manifest,
    Match,
    Offer,
    Product,
    Trust,
    VersionScheme,
)
from custom_components.firmware_hub.sources.github_releases import GithubReleasesSource

HERE = Path(__file__).parent
LIST: list[dict[str, Any]] = json.loads((HERE / "fixtures" / "github_releases" / "plug.json").read_text())
PLUG = Product("Acme", "PLUG-S1", hardware="rev2", variant="eu", file="plug-{version}.bin")
FEED = Feed(
    "own", "github_releases", "Plug", "https://api.github.com/repos/acme/plug/releases", Trust.DIGEST, product=PLUG
)


def read(document: object = LIST, **changes: Any) -> Manifest:
    feed = replace(FEED, product=replace(PLUG, **changes))
    return read_manifest(json.dumps(document).encode(), feed, GithubReleasesSource())


def test_a_release_has_the_file_that_the_owner_named() -> None:
    found = [(release.version, release.main.name, release.main.sha256) for release in read().releases]
    assert found == [("1.2.0", "plug-1.2.0.bin", "ab" * 32), ("1.1.0", "plug-1.1.0.bin", "")]


def test_a_release_is_for_whom_the_owner_said() -> None:
    assert {release.match for release in read().releases} == {Match("Acme", ("PLUG-S1",), ("rev2",), "eu")}


def test_a_product_without_hardware_is_for_devices_that_state_none() -> None:
    assert read(hardware="").releases[0].match.hardware == ()


def test_a_release_says_what_github_says() -> None:
    release = read().releases[0]
    assert (release.summary, release.notes) == ("1.2.0", "## Repaired\n- the relay")
    assert release.notes_url == "https://github.com/acme/plug/releases/tag/v1.2.0"
    assert release.version_scheme is VersionScheme.SEMVER
    assert release.main.format is ArtifactFormat.RAW


def test_the_feed_is_the_makers() -> None:
    assert read().vendor == "Acme"


@pytest.mark.parametrize(
    ("wanted", "versions"), [(False, ["1.2.0", "1.1.0"]), (True, ["2.0.0-beta.1", "1.2.0", "1.1.0"])]
)
def test_pre_releases_are_there_for_who_wants_them(wanted: bool, versions: list[str]) -> None:
    assert [release.version for release in read(prereleases=wanted).releases] == versions


def test_a_draft_is_nothing_even_for_who_wants_pre_releases() -> None:
    assert read([release | {"draft": True} for release in LIST], prereleases=True).releases == ()


@pytest.mark.parametrize("file", ["", "plug.bin", "plug-{tag}.bin", "PLUG-{version}.bin", "*", "plug-*.bin"])
def test_a_file_of_another_name_makes_no_release(file: str) -> None:
    assert read(file=file).releases == ()


def test_a_name_may_hold_the_tag() -> None:
    assert [release.version for release in read([LIST[1] | {"tag_name": "1.2.0"}], file="plug-{tag}.bin").releases] == [
        "1.2.0"
    ]


def test_a_zigbee_image_is_known_by_its_ending() -> None:
    assert read(file="lamp.ota").releases[0].main.format is ArtifactFormat.ZIGBEE_OTA


def test_a_name_that_is_no_plain_file_name_makes_no_release() -> None:
    asset = LIST[1]["assets"][0] | {"name": "../plug.bin"}
    assert read([LIST[1] | {"assets": [asset]}], file="../plug.bin").releases == ()


@pytest.mark.parametrize(
    ("tag", "version"),
    [("v1.2.0", "1.2.0"), ("release-1.2.0", "1.2.0"), ("fw/1.2", "1.2"), ("plug_v1.2.0.3", "1.2.0.3")],
)
def test_a_tag_says_the_version(tag: str, version: str) -> None:
    releases = read([LIST[1] | {"tag_name": tag}], file="lamp.ota").releases
    assert [release.version for release in releases] == [version]


@pytest.mark.parametrize("tag", ["nightly", "v1", "1.2.0 final", "plug-s1-1.2.0", "1.2.0.3.4"])
def test_a_tag_that_is_no_version_makes_no_release(tag: str) -> None:
    assert read([LIST[1] | {"tag_name": tag}], file="lamp.ota").releases == ()


def test_a_file_without_a_digest_is_shown_and_cannot_be_installed() -> None:
    known = Catalogue()
    known.replace(read(LIST[2:]))
    offer = known.offer(FitKey("open", "Acme", "PLUG-S1", "rev2", "eu", "1.0.0", None))
    assert isinstance(offer, Offer)
    assert why_not_installable(offer) is Reason.NO_DIGEST


FAULTS = {
    "address": "assets[0].browser_download_url",
    "asset": "assets[0].name",
    "assets": "assets",
    "digest": "assets[0].digest",
    "draft": "draft",
    "empty": "assets[0].size",
    "one_name_twice": "assets[1].name",
    "prerelease": "prerelease",
    "size": "assets[0].size",
    "tag": "tag_name",
    "time": "published_at",
}
DEFECTIVE = sorted((HERE / "hostile" / "github_releases").iterdir())


@pytest.mark.parametrize("path", DEFECTIVE, ids=lambda path: path.stem)
def test_a_defect_refuses_the_whole_list_at_its_place(path: Path) -> None:
    places = [place for name, place in FAULTS.items() if path.stem == name or path.stem.startswith(f"{name}_")]
    with pytest.raises(BadInput) as caught:
        read(json.loads(path.read_text()), file="tasmota.bin")
    assert caught.value.path == (f"[0].{places[0]}" if places else "$")
