"""The manifest of ESPHome's update component: what a build becomes, and where its file is."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from custom_components.firmware_hub.core.errors import BadInput, Reason
from custom_components.firmware_hub.core.manifest import read_manifest
from custom_components.firmware_hub.core.matching import why_not_installable
from custom_components.firmware_hub.core.model import (
    Artifact,
    ArtifactFormat,
    ArtifactRole,
    Feed,
    Manifest,
    Match,
    Offer,
    Product,
    Release,
    Trust,
    VersionScheme,
)
from custom_components.firmware_hub.sources.esphome_manifest import EsphomeManifestSource

HERE = Path(__file__).parent
GARAGE: dict[str, Any] = json.loads((HERE / "fixtures" / "esphome_manifest" / "garage.json").read_text())
FEED = Feed("own", "esphome_manifest", "Garage", "https://acme.example/fw/manifest.json?x=1", Trust.VENDOR)


def read(document: object, feed: Feed = FEED) -> Manifest:
    return read_manifest(json.dumps(document).encode(), feed, EsphomeManifestSource())


def with_path(path: str) -> dict[str, Any]:
    document = copy.deepcopy(GARAGE)
    document["builds"][0]["ota"]["path"] = path
    return document


def test_a_build_is_a_release_for_its_chip_without_a_digest() -> None:
    assert read(GARAGE).releases[0] == Release(
        match=Match("Acme Garage", ("Acme Garage",), ("ESP32-C3",)),
        version="1.3.0",
        artifacts=(
            Artifact(
                ArtifactRole.MAIN,
                "ESP32-C3.bin",
                "https://acme.example/fw/garage-c3.ota.bin",
                0,
                "",
                ArtifactFormat.ESP,
            ),
        ),
        summary="Opens more quietly",
        notes_url="https://acme.example/1.3.0",
    )


def test_a_build_for_the_cable_alone_is_left_out() -> None:
    assert [release.match.hardware for release in read(GARAGE).releases] == [("ESP32-C3",), ("ESP8266",)]


def test_of_two_builds_for_one_chip_the_first_counts_as_it_does_for_the_device() -> None:
    document = copy.deepcopy(GARAGE)
    document["builds"].append({"chipFamily": "ESP32-C3", "ota": {"path": "other.bin", "md5": "ab" * 16}})
    assert read(document).releases == read(GARAGE).releases


def test_the_owner_says_for_which_devices_it_is() -> None:
    product = Product("Acme", "acme.garage", variant="eu")
    manifest = read(GARAGE, replace(FEED, vendor="Acme", product=product))
    assert manifest.vendor == "Acme"
    assert manifest.releases[0].match == Match("Acme", ("acme.garage",), ("ESP32-C3",), "eu")


def test_a_maker_that_the_owner_names_is_the_maker_of_the_devices() -> None:
    assert read(GARAGE, replace(FEED, vendor="Acme")).releases[0].match.manufacturer == "Acme"


def test_a_feed_without_a_maker_is_the_projects() -> None:
    assert read(GARAGE).vendor == "Acme Garage"


@pytest.mark.parametrize(
    ("version", "scheme"),
    [
        ("1.3.0", VersionScheme.SEMVER),
        ("1.3.0-beta.1", VersionScheme.SEMVER),
        ("2026.10.0", VersionScheme.SEMVER),
        ("1.3", VersionScheme.DOTTED),
        ("1.3.0.1", VersionScheme.DOTTED),
        ("dev", VersionScheme.DOTTED),
    ],
)
def test_a_version_says_by_its_form_how_it_is_compared(version: str, scheme: VersionScheme) -> None:
    assert read(GARAGE | {"version": version}).releases[0].version_scheme is scheme


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("a.bin", "https://acme.example/fw/a.bin"),
        ("sub/a.bin", "https://acme.example/fw/sub/a.bin"),
        ("/a.bin", "https://acme.example/a.bin"),
        ("//evil.example/a.bin", "https://acme.example//evil.example/a.bin"),
        ("https://cdn.example/a.bin", "https://cdn.example/a.bin"),
    ],
)
def test_a_file_is_where_the_device_looks_for_it(path: str, address: str) -> None:
    assert read(with_path(path)).releases[0].main.url == address


def test_an_address_that_gets_too_long_is_refused() -> None:
    with pytest.raises(BadInput) as caught:
        read(with_path("x" * 2030))
    assert (caught.value.reason, caught.value.path) == (Reason.MALFORMED, "builds[0].ota.path")


def test_it_can_be_shown_and_not_be_checked() -> None:
    release = read(GARAGE).releases[0]
    assert why_not_installable(Offer(release, "own", Trust.DIGEST, "Acme")) is Reason.NO_DIGEST


FAULTS = {
    "builds": "builds",
    "chip": "builds[0].chipFamily",
    "link": "builds[0].ota.release_url",
    "md5": "builds[0].ota.md5",
    "name": "name",
    "ota": "builds[0].ota",
    "path": "builds[0].ota.path",
    "summary": "builds[0].ota.summary",
    "version": "version",
}
DEFECTIVE = sorted((HERE / "hostile" / "esphome_manifest").iterdir())


@pytest.mark.parametrize("path", DEFECTIVE, ids=lambda path: path.stem)
def test_a_defect_refuses_the_whole_manifest_at_its_place(path: Path) -> None:
    (fault,) = (place for name, place in FAULTS.items() if path.stem.startswith(f"{name}_"))
    with pytest.raises(BadInput) as caught:
        read(json.loads(path.read_text()))
    assert caught.value.path == fault
