"""The index of zigpy: what an entry says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from custom_components.firmware_hub.core.errors import BadInput
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
from custom_components.firmware_hub.sources.zigpy_index import ZigpyIndexSource

HERE = Path(__file__).parent
INDEX: dict[str, Any] = json.loads((HERE / "fixtures" / "zigpy_index" / "two.json").read_text())
FEED = Feed("own", "zigpy_index", "Mine", "https://images.example/index.json", Trust.DIGEST)


def read(document: object, feed: Feed = FEED) -> Manifest:
    return read_manifest(json.dumps(document).encode(), feed, ZigpyIndexSource())


def test_an_entry_with_everything_is_a_release_for_each_maker() -> None:
    first, second, _ = read(INDEX).releases
    assert first == Release(
        match=Match("Acme", ("PLUG-S1", "PLUG-S2"), (), "", "10", "17", "117c-1001", "1", "3"),
        version="18",
        version_scheme=VersionScheme.INTEGER,
        artifacts=(
            Artifact(
                ArtifactRole.MAIN,
                "117c-1001-00000012.ota",
                "https://images.example/a.ota",
                241408,
                "",
                ArtifactFormat.ZIGBEE_OTA,
                "sha3-256:" + "ab" * 32,
            ),
        ),
        summary="Repairs the relay",
        notes="## 18\n\n- the relay\n- the light",
        notes_url="https://images.example/notes",
    )
    assert second.match.manufacturer == "Acme Inc."


def test_an_entry_with_little_is_for_all_of_its_image_type() -> None:
    assert read(INDEX).releases[2].match == Match("", (), image_type="117c-1002")


def test_the_feed_is_named_by_its_owner_or_by_its_format() -> None:
    own = Feed("own", "zigpy_index", "Mine", "https://images.example/i.json", Trust.DIGEST, vendor="Acme")
    assert (read(INDEX, own).vendor, read(INDEX).vendor) == ("Acme", "zigpy")


def test_an_image_is_offered_and_can_be_installed_by_its_digest() -> None:
    known = Catalogue()
    known.replace(read(INDEX))
    key = FitKey("zigbee2mqtt", "Acme", "PLUG-S2", "2", "", "10", None, "https://images.example/a.ota")
    offer = known.offer(key)
    assert isinstance(offer, Offer)
    assert (offer.version, why_not_installable(offer)) == ("18", None)


def test_an_empty_index_is_an_index() -> None:
    assert read({"firmwares": []}).releases == ()


FAULTS = {
    "a_list": "$",
    "address": "firmwares[0].binary_url",
    "checksum": "firmwares[0].checksum",
    "code": "firmwares[0].manufacturer_id",
    "firmwares": "firmwares",
    "hardware": "firmwares[0].min_hardware_version",
    "link": "firmwares[0].release_url",
    "makers": "firmwares[0].manufacturer_names",
    "models": "firmwares[0].model_names[0]",
    "notes": "firmwares[0].release_notes",
    "pointer": "firmwares",
    "size": "firmwares[0].file_size",
    "type": "firmwares[0].image_type",
    "version": "firmwares[0].file_version",
    "window": "firmwares[0].max_current_file_version",
}
DEFECTIVE = sorted((HERE / "hostile" / "zigpy_index").iterdir())


@pytest.mark.parametrize("path", DEFECTIVE, ids=lambda path: path.stem)
def test_a_defect_refuses_the_whole_index_at_its_place(path: Path) -> None:
    (fault,) = (place for name, place in FAULTS.items() if path.stem == name or path.stem.startswith(f"{name}_"))
    with pytest.raises(BadInput) as caught:
        read(json.loads(path.read_text()))
    assert caught.value.path == fault
