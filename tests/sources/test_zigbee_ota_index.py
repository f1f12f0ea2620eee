"""The indexes of Zigbee-OTA: what an entry says, and which device is offered what."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from custom_components.firmware_hub.core import limits
from custom_components.firmware_hub.core.errors import BadInput, Reason
from custom_components.firmware_hub.core.manifest import read_manifest
from custom_components.firmware_hub.core.matching import Catalogue, concerns, why_not_installable
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
from custom_components.firmware_hub.core.zigbee_images import image_type
from custom_components.firmware_hub.sources.zigbee_ota_index import PREVIOUS, ZIGBEE_OTA_FEED, ZigbeeOtaIndexSource

HERE = Path(__file__).parent
LIST: list[dict[str, Any]] = json.loads((HERE / "fixtures" / "zigbee_ota_index" / "current.json").read_text())
ENTRY: dict[str, Any] = {
    "fileName": "plug.ota",
    "fileVersion": 18,
    "fileSize": 241408,
    "url": "https://images.example/plug.ota",
    "imageType": 0x1001,
    "manufacturerCode": 0x117C,
    "sha512": "ab" * 64,
    "otaHeaderString": "plug",
}


def read(entries: object, feed: Feed = ZIGBEE_OTA_FEED) -> Manifest:
    return read_manifest(json.dumps(entries).encode(), feed, ZigbeeOtaIndexSource())


def entry(**changes: Any) -> dict[str, Any]:
    return ENTRY | changes


def only(**changes: Any) -> Release:
    (release,) = read([entry(**changes)]).releases
    return release


# --- the built-in feed ------------------------------------------------------------------------------------------------


def test_the_built_in_feed_belongs_to_zigbee2mqtt_and_is_no_more_than_a_digest() -> None:
    assert (ZIGBEE_OTA_FEED.dialect, ZIGBEE_OTA_FEED.trust, ZIGBEE_OTA_FEED.enabled) == (
        "zigbee2mqtt",
        Trust.DIGEST,
        True,
    )
    assert ZIGBEE_OTA_FEED.source == ZigbeeOtaIndexSource().name


def test_the_manifest_says_only_what_the_index_says() -> None:
    manifest = read(LIST)
    assert (manifest.feed_id, manifest.vendor, manifest.trust) == ("zigbee_ota", "Zigbee-OTA", Trust.DIGEST)
    assert (manifest.key_id, manifest.sequence, manifest.issued, manifest.expires) == ("", None, None, None)


def test_a_feed_of_ones_own_keeps_its_name() -> None:
    own = Feed("own", "zigbee_ota_index", "Mine", "http://10.0.0.1/index.json", Trust.DIGEST, vendor="Me")
    assert (read(LIST, own).vendor, read(LIST, replace(own, vendor="")).vendor) == ("Me", "Zigbee-OTA")


# --- what is read -----------------------------------------------------------------------------------------------------


def test_an_entry_is_a_release_for_its_image_type() -> None:
    assert only() == Release(
        match=Match("", (), image_type="117c-1001"),
        version="18",
        version_scheme=VersionScheme.INTEGER,
        artifacts=(
            Artifact(
                ArtifactRole.MAIN,
                "117c-1001-00000012.ota",
                "https://images.example/plug.ota",
                0,
                "",
                ArtifactFormat.ZIGBEE_OTA,
                "sha512:" + "ab" * 64,
            ),
        ),
    )


def test_an_entry_with_everything_narrows_its_release() -> None:
    release = only(
        modelId="PLUG-S1",
        manufacturerName=["Acme"],
        minFileVersion=10,
        maxFileVersion=17,
        hardwareVersionMin=1,
        hardwareVersionMax=3,
    )
    assert release.match == Match("Acme", ("PLUG-S1",), (), "", "10", "17", "117c-1001", "1", "3")


def test_several_makers_are_a_release_each_and_the_case_of_letters_makes_no_other_one() -> None:
    releases = read([entry(manufacturerName=["Acme", "ACME", "Other"])]).releases
    assert [release.match.manufacturer for release in releases] == ["ACME", "Other"]


@pytest.mark.parametrize(
    ("notes", "text", "link"),
    [
        ("Repairs things.", "Repairs things.", ""),
        ("https://acme.example/notes", "", "https://acme.example/notes"),
        (" https://acme.example/notes ", "", "https://acme.example/notes"),
        ("See https://acme.example/notes", "See https://acme.example/notes", ""),
        (None, "", ""),
        ("", "", ""),
    ],
)
def test_notes_are_text_or_a_link(notes: str | None, text: str, link: str) -> None:
    release = only(releaseNotes=notes)
    assert (release.notes, release.notes_url) == (text, link)


@pytest.mark.parametrize("kind", [0xFFC0, 0xFFC1, 0xFFC2, 0xFFFF])
def test_what_holds_no_firmware_is_left_out(kind: int) -> None:
    assert read([entry(imageType=kind)]).releases == ()


def test_the_size_of_the_header_is_not_taken_for_the_size_of_the_file() -> None:
    assert only(fileSize=1).main.size == 0


def test_a_digest_in_capital_letters_is_the_same_digest() -> None:
    assert only(sha512="AB" * 64).main.pin == only().main.pin


def test_a_wish_to_be_offered_whatever_the_version_is_ignored() -> None:
    assert only(force=True) == only()


def test_an_image_can_be_installed_by_its_digest() -> None:
    assert why_not_installable(Offer(only(), "f", Trust.DIGEST, "v")) is None


def test_the_release_is_pinned_by_the_digest_that_is_stated() -> None:
    assert only().digest == "sha512:" + "ab" * 64


@pytest.mark.parametrize("address", ["https://raw.example/index1.json", "http://10.0.0.1/a/index1.json?x=1"])
def test_the_list_of_previous_images_is_read_and_kept_apart(address: str) -> None:
    manifest = read([entry()], replace(ZIGBEE_OTA_FEED, url=address))
    assert [release.channel for release in manifest.releases] == [PREVIOUS]


def test_more_makers_than_a_manifest_may_have_releases_are_refused() -> None:
    makers = [f"maker {number}" for number in range(100)]
    with pytest.raises(BadInput) as caught:
        read([entry(manufacturerName=makers)] * 51)
    assert (caught.value.reason, caught.value.path) == (Reason.TOO_LARGE, "$")


def test_as_many_releases_as_a_manifest_may_have_are_read() -> None:
    makers = [f"maker {number}" for number in range(100)]
    assert len(read([entry(manufacturerName=makers)] * 50).releases) == limits.MAX_RELEASES


# --- defects ----------------------------------------------------------------------------------------------------------

FAULTS = {
    "address": "url",
    "an_object": "$",
    "code": "manufacturerCode",
    "digest": "sha512",
    "hardware_as_text": "hardwareVersionMin",
    "hardware_beyond_16_bits": "hardwareVersionMax",
    "maker_empty": "manufacturerName[0]",
    "makers": "manufacturerName",
    "model": "modelId",
    "notes": "releaseNotes",
    "size": "fileSize",
    "type": "imageType",
    "version": "fileVersion",
    "window_as_text": "minFileVersion",
    "window_negative": "maxFileVersion",
}
DEFECTIVE = sorted((HERE / "hostile" / "zigbee_ota_index").iterdir())


@pytest.mark.parametrize("path", DEFECTIVE, ids=lambda path: path.stem)
def test_a_defect_refuses_the_whole_index_at_its_place(path: Path) -> None:
    (fault,) = (place for name, place in FAULTS.items() if path.stem == name or path.stem.startswith(f"{name}_"))
    with pytest.raises(BadInput) as caught:
        read(json.loads(path.read_text()))
    assert caught.value.path == (fault if fault == "$" else f"[0].{fault}")


# --- which device is offered what -------------------------------------------------------------------------------------


def known(*entries: dict[str, Any], feed: Feed = ZIGBEE_OTA_FEED) -> Catalogue:
    catalogue = Catalogue()
    catalogue.replace(read(list(entries), feed))
    return catalogue


def device(version: str = "1", *, image: str = ENTRY["url"], **changes: str) -> FitKey:
    values: dict[str, Any] = {"manufacturer": "Acme", "model": "PLUG-S1", "hardware": ""} | changes
    return FitKey("zigbee2mqtt", variant="", version=version, counter=None, image=image, **values)


def offered(key: FitKey, *entries: dict[str, Any]) -> str | Reason | None:
    catalogue = known(*entries)
    offer = catalogue.offer(key)
    return catalogue.explain(key) if offer is None else offer.version


def test_a_device_whose_bridge_names_the_file_is_offered_it() -> None:
    assert offered(device(), entry()) == "18"


def test_a_device_whose_bridge_names_another_file_of_the_same_type_is_offered_the_newest_one() -> None:
    newer = entry(url="https://images.example/newer.ota", fileVersion=19)
    assert offered(device(), entry(), newer) == "19"


@pytest.mark.parametrize("image", ["", "https://images.example/other.ota", "https://images.example/PLUG.ota"])
def test_a_device_whose_image_type_is_not_known_is_offered_nothing(image: str) -> None:
    assert offered(device(image=image), entry(modelId="PLUG-S1", manufacturerName=["Acme"])) is Reason.NO_OFFER


def test_an_address_that_stands_for_two_image_types_tells_nothing() -> None:
    assert offered(device(), entry(), entry(imageType=0x1002)) is Reason.NO_OFFER


@pytest.mark.parametrize(
    "narrowed",
    [
        {"modelId": "PLUG-S2"},
        {"manufacturerName": ["Other"]},
        {"modelId": "PLUG-S1", "manufacturerName": ["Other"]},
    ],
)
def test_names_narrow_an_image(narrowed: dict[str, Any]) -> None:
    assert offered(device(), entry(**narrowed)) is Reason.WRONG_HARDWARE


@pytest.mark.parametrize("narrowed", [{"modelId": "plug-s1"}, {"manufacturerName": ["Other", "acme"]}])
def test_names_of_the_device_fit_whatever_the_case_of_their_letters(narrowed: dict[str, Any]) -> None:
    assert offered(device(), entry(**narrowed)) == "18"


def test_an_image_without_names_fits_a_device_that_says_none() -> None:
    assert offered(device(manufacturer="", model=""), entry()) == "18"


def test_an_image_with_names_does_not_fit_a_device_that_says_none() -> None:
    assert offered(device(manufacturer="", model=""), entry(modelId="PLUG-S1")) is Reason.WRONG_HARDWARE


HARDWARE = entry(url="https://images.example/for-2-to-9.ota", fileVersion=20)


@pytest.mark.parametrize(
    ("window", "fitting"),
    [((2, 10), {"2", "9", "10"}), ((2, None), {"2", "9", "10", "11"}), ((None, 9), {"0", "1", "2", "9"})],
)
@pytest.mark.parametrize("hardware", ["0", "1", "2", "9", "10", "11", "", "rev2"])
def test_the_hardware_number_lies_within_the_window(
    hardware: str, window: tuple[int | None, int | None], fitting: set[str]
) -> None:
    low, high = window
    image = HARDWARE | {"hardwareVersionMin": low, "hardwareVersionMax": high}
    assert offered(device(hardware=hardware), entry(fileVersion=1), image) == (
        "20" if hardware in fitting else Reason.NO_OFFER
    )


def test_a_file_that_the_bridge_itself_named_is_for_the_devices_hardware() -> None:
    image = HARDWARE | {"hardwareVersionMin": 2, "hardwareVersionMax": 9}
    assert offered(device(image=image["url"]), image) == "20"


def test_a_path_of_several_steps_is_taken_step_by_step() -> None:
    steps = [one for one in LIST if (one["manufacturerCode"], one["imageType"]) == (4107, 272)]
    first = steps[0]["url"]
    running = ["16777216", "16778240", "16786946", "16787458"]
    assert [offered(device(version, image=first), *steps) for version in running] == [
        "16778240",
        "16786946",
        "16787458",
        Reason.NO_OFFER,
    ]


def test_previous_images_are_offered_to_nobody() -> None:
    catalogue = known(entry(), feed=replace(ZIGBEE_OTA_FEED, url="https://raw.example/index1.json"))
    assert catalogue.explain(device()) is Reason.NO_OFFER


def test_an_older_image_is_not_offered_whatever_it_wishes() -> None:
    assert offered(device("19"), entry(force=True)) is Reason.NO_OFFER


def test_two_images_under_one_version_are_ambiguous() -> None:
    other = entry(url="https://images.example/other.ota", sha512="cd" * 64)
    assert offered(device(), entry(), other) is Reason.AMBIGUOUS_OFFER


def test_a_feed_that_goes_takes_what_it_said_of_an_address_with_it() -> None:
    catalogue = known(entry())
    assert catalogue.offer(device()) is not None
    touched = catalogue.remove("zigbee_ota")
    assert catalogue.explain(device()) is Reason.NO_OFFER
    assert concerns(touched, device())


def test_a_feed_that_comes_is_asked_anew_for_devices_whose_bridge_named_a_file() -> None:
    catalogue = known()
    assert catalogue.offer(device()) is None
    touched = catalogue.replace(read([entry()]))
    assert catalogue.offer(device()) is not None
    assert (concerns(touched, device()), concerns(touched, device(image=""))) == (True, False)


def test_manufacturer_code_and_image_type_are_written_in_hex() -> None:
    assert image_type(0x115F, 0x0A) == "115f-000a"
