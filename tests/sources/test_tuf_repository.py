"""The verified targets of a TUF repository: which of them are releases, of what, and for whom."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from custom_components.firmware_hub.core.errors import BadInput, HubError, Reason, Refused
from custom_components.firmware_hub.core.model import (
    Artifact,
    ArtifactFormat,
    ArtifactRole,
    Feed,
    Manifest,
    Match,
    Trust,
    VersionScheme,
)
from custom_components.firmware_hub.core.signing import VerifiedBytes
from custom_components.firmware_hub.sources.tuf_repository import TufRepositorySource, folder_of

HERE = Path(__file__).parent
TARGETS: dict[str, Any] = json.loads((HERE / "fixtures" / "tuf_repository" / "two_makers.json").read_text())
FEED = Feed("own", "tuf_repository", "Makers", "https://acme.example/metadata", Trust.SIGNED)
BASE = "https://acme.example/targets/"


def read(document: object, vendor: str = "") -> Manifest:
    data = VerifiedBytes(json.dumps(document).encode(), Trust.SIGNED, "key", "ab" * 32)
    return TufRepositorySource().read(data, Feed("own", "tuf_repository", "Makers", FEED.url, Trust.SIGNED, vendor))


def changed(number: int, **changes: Any) -> dict[str, Any]:
    document = copy.deepcopy(TARGETS)
    document["targets"][number] |= changes
    return document


def test_a_target_with_a_match_is_a_release() -> None:
    release = read(TARGETS).releases[0]
    folder = "acme/plug-s1/"
    assert release.match == Match("Acme", ("PLUG-S1",), ("rev2",), "eu", "1.0.0")
    assert release.artifacts == (
        Artifact(
            ArtifactRole.MAIN,
            "plug.bin",
            f"{BASE}{folder}1.2.0/{'ab' * 32}.plug.bin",
            812345,
            "ab" * 32,
            ArtifactFormat.ESP,
        ),
        Artifact(ArtifactRole.HELPER, "minimal.bin", f"{BASE}{folder}minimal.bin", 1, "cd" * 32),
    )
    assert (release.version, release.counter, release.severity, release.dual_bank) == ("1.2.0", 17, "high", True)


def test_a_target_without_a_match_is_a_file_that_nobody_is_offered() -> None:
    assert [release.main.name for release in read(TARGETS).releases] == ["plug.bin", "lamp.ota"]


def test_a_target_without_sha256_is_pinned_by_what_it_has() -> None:
    lamp = read(TARGETS).releases[1]
    assert (lamp.main.sha256, lamp.main.pin) == ("", "sha512:" + "12" * 64)
    assert (lamp.main.format, lamp.version_scheme) == (ArtifactFormat.ZIGBEE_OTA, VersionScheme.INTEGER)


def test_the_strongest_known_digest_counts() -> None:
    assert read(changed(3, hashes={"md5": "00", "sha3-256": "AB" * 32})).releases[1].main.pin == "sha3-256:" + "ab" * 32


def test_it_is_the_statement_of_the_repositorys_keys_until_the_first_role_expires() -> None:
    manifest = read(TARGETS)
    assert (manifest.trust, manifest.key_id, manifest.sequence) == (Trust.SIGNED, "key", None)
    assert manifest.expires == datetime(2026, 12, 20, 10, tzinfo=UTC)


def test_it_is_named_by_its_owner() -> None:
    assert (read(TARGETS).vendor, read(TARGETS, "Acme").vendor) == ("Makers", "Acme")


def test_the_top_of_the_repository_speaks_for_every_maker() -> None:
    assert read(TARGETS).releases[1].match.manufacturer == "Light & Co"


def test_a_role_does_not_speak_for_a_maker_that_was_not_delegated_to_it() -> None:
    with pytest.raises(Refused) as caught:
        read(changed(3, delegated=True))
    assert (caught.value.reason, caught.value.path) == (Reason.WRONG_VENDOR, "targets[3].custom.match.manufacturer")


@pytest.mark.parametrize(
    ("maker", "folder"),
    [("Acme", "acme"), ("Acme Inc.", "acme-inc"), ("Light & Co", "light-co"), ("_TZ3000_x", "tz3000-x"), ("灯", "")],
)
def test_a_maker_has_a_folder_of_its_own(maker: str, folder: str) -> None:
    assert folder_of(maker) == folder


def test_a_maker_without_a_latin_letter_has_no_folder_in_a_delegated_role() -> None:
    document = changed(3, delegated=True, path="lamp/lamp.ota")
    document["targets"][3]["custom"]["match"]["manufacturer"] = "灯"
    with pytest.raises(Refused):
        read(document)


def test_a_repository_may_be_empty() -> None:
    assert read(TARGETS | {"targets": []}).releases == ()


FAULTS = {
    "address": "targets[0].url",
    "custom": "targets[0].custom",
    "delegated": "targets[0].delegated",
    "expires": "expires",
    "format": "targets[0].custom.format",
    "hash_of_another_length": "targets[0].hashes.sha512",
    "hash_too_short": "targets[0].hashes.sha256",
    "hashes": "targets[0].hashes",
    "helper_of_the_same_name": "targets[0].custom.helpers",
    "helper_that_is_not_there": "targets[0].custom.helpers[0]",
    "length": "targets[0].length",
    "maker": "targets[0].custom.match.manufacturer",
    "match": "targets[0].custom.match.region",
    "model": "targets[0].custom.match.model",
    "one_path_twice": "targets",
    "path": "targets[0].path",
    "spec": "spec",
    "targets": "targets",
    "version": "targets[0].custom.version",
}
DEFECTIVE = sorted((HERE / "hostile" / "tuf_repository").iterdir())


@pytest.mark.parametrize("path", DEFECTIVE, ids=lambda path: path.stem)
def test_a_defect_refuses_all_targets_at_its_place(path: Path) -> None:
    (fault,) = (place for name, place in FAULTS.items() if path.stem == name or path.stem.startswith(f"{name}_"))
    with pytest.raises(HubError) as caught:
        read(json.loads(path.read_text()))
    assert caught.value.path == fault


def test_a_helper_that_is_not_there_is_bad_input() -> None:
    document = copy.deepcopy(TARGETS)
    document["targets"][0]["custom"]["helpers"] = ["none.bin"]
    with pytest.raises(BadInput):
        read(document)
