"""Tasmota's chip and image table."""

from __future__ import annotations

import pytest

from custom_components.firmware_hub.core.chips import (
    CHIPS,
    AssetNames,
    Build,
    asset_names,
    chip_of,
    normalise_chip,
    normalise_variant,
    takes_only_images,
    variant_of_asset,
)

from .builders import device


@pytest.mark.parametrize(
    ("hardware", "chip"),
    [
        ("ESP8266EX", "ESP8266"),
        ("ESP8266", "ESP8266"),
        ("ESP8285", "ESP8266"),
        ("ESP8285N08", "ESP8266"),
        ("ESP32-D0WD-V3 v3.1", "ESP32"),
        ("ESP32-D0WDQ6 rev.1", "ESP32"),
        ("ESP32-D0WDR2-V3", "ESP32"),
        ("ESP32-D0WD-OEM", "ESP32"),
        ("ESP32-D2WD", "ESP32"),
        ("ESP32-U4WDH-D v3.0", "ESP32"),
        ("ESP32-PICO-D4", "ESP32"),
        ("ESP32-PICO-V3-02", "ESP32"),
        ("ESP32-U4WDH-S v3.0", "ESP32-SOLO1"),
        ("ESP32-S0WD", "ESP32-SOLO1"),
        ("ESP32-S0WD-OEM", "ESP32-SOLO1"),
        ("ESP32-SOLO-1", "ESP32-SOLO1"),
        ("ESP32-C3 v0.3", "ESP32-C3"),
        ("ESP32-C3 AZ v0.4", "ESP32-C3"),
        ("ESP8685 v0.4", "ESP32-C3"),
        ("ESP8686", "ESP32-C3"),
        ("ESP32-C2 v1.0", "ESP32-C2"),
        ("ESP32-C5", "ESP32-C5"),
        ("ESP32-C6FH4 v0.0", "ESP32-C6"),
        ("ESP32-S2FNR2 v0.0", "ESP32-S2"),
        ("ESP32-S2R2", "ESP32-S2"),
        ("ESP32-S3", "ESP32-S3"),
        ("ESP32-S3-PICO-1 v0.2", "ESP32-S3"),
        (" esp8266ex ", "ESP8266"),
    ],
)
def test_a_hardware_text_names_its_chip_family(hardware: str, chip: str) -> None:
    assert normalise_chip(hardware) == chip


@pytest.mark.parametrize(
    "hardware",
    [
        "",
        "ESP32",
        "ESP32-U4WDH",
        "ESP32-C61",
        "ESP32-P4 v1.3",
        "ESP32-H2",
        "ESP8266EX2",
        "RTL8710",
        "ESP32-S30",
        "xESP8266",
    ],
)
def test_an_uncertain_hardware_text_names_no_chip(hardware: str) -> None:
    assert normalise_chip(hardware) is None


@pytest.mark.parametrize(
    ("chip", "image", "variant"),
    [
        ("ESP8266", "tasmota", "tasmota"),
        ("ESP8266", "release-tasmota", "tasmota"),
        ("ESP8266", "85cff52-sensors", "sensors"),
        ("ESP8266", "tasmota-sensors", "sensors"),
        ("ESP8266", "release-tasmota-4M", "4M"),
        ("ESP8266", "minimal", "minimal"),
        ("ESP8266", "tasmota-minimal", "minimal"),
        ("ESP32", "release-tasmota32", "tasmota32"),
        ("ESP32", "release-nspanel", "nspanel"),
        ("ESP32", "tasmota32-bluetooth", "bluetooth"),
        ("ESP32-C3", "tasmota32", "tasmota32"),
        ("ESP32-C3", "tasmota32c3", "tasmota32"),
        ("ESP32-C3", "safeboot", "safeboot"),
        ("ESP32-SOLO1", "release-solo1", "solo1"),
        ("ESP32-SOLO1", "tasmota32", "solo1"),
    ],
)
def test_the_text_in_the_brackets_becomes_the_variant(chip: str, image: str, variant: str) -> None:
    assert normalise_variant(chip, image) == variant


@pytest.mark.parametrize(
    ("chip", "image"),
    [("ESP8266", "tasmota32"), ("ESP32", "solo1"), ("ESP32-C3", "bluetooth"), ("ESP8266", "my-own"), ("", "tasmota")],
)
def test_an_unknown_build_keeps_its_name_and_has_no_image(chip: str, image: str) -> None:
    variant = normalise_variant(chip, image)
    assert (variant, asset_names(chip, variant)) == (image, AssetNames((), ()))


def test_a_helper_build_has_no_image_of_its_own() -> None:
    assert asset_names("ESP8266", "minimal") == AssetNames((), ())


def test_an_esp8266_prefers_the_compressed_image_and_has_a_minimal_one_beside_it() -> None:
    assert asset_names("ESP8266", "sensors") == AssetNames(
        ("tasmota-sensors.bin.gz", "tasmota-sensors.bin"), ("tasmota-minimal.bin.gz", "tasmota-minimal.bin")
    )


def test_an_esp32_has_one_uncompressed_image_and_no_helper() -> None:
    assert asset_names("ESP32-C3", "tasmota32") == AssetNames(("tasmota32c3.bin",), ())


@pytest.mark.parametrize(
    ("name", "build"),
    [
        ("tasmota.bin.gz", Build("ESP8266", "tasmota")),
        ("tasmota.bin", Build("ESP8266", "tasmota")),
        ("tasmota-4M.bin.gz", Build("ESP8266", "4M")),
        ("tasmota32.bin", Build("ESP32", "tasmota32")),
        ("tasmota32-nspanel.bin", Build("ESP32", "nspanel")),
        ("tasmota32c6.bin", Build("ESP32-C6", "tasmota32")),
        ("tasmota32solo1.bin", Build("ESP32-SOLO1", "solo1")),
    ],
)
def test_a_file_name_says_its_build(name: str, build: Build) -> None:
    assert variant_of_asset(name) == build


@pytest.mark.parametrize(
    "name",
    [
        "tasmota-minimal.bin.gz",
        "tasmota32-safeboot.bin",
        "tasmota32c3-safeboot.bin",
        "tasmota32.factory.bin",
        "tasmota32.bin.gz",
        "tasmota32p4.bin",
        "tasmota32c3-bluetooth.bin",
        "tasmota-DE.bin.gz",
        "tasmota.bin.gz\n",
        "firmware.elf",
        "",
    ],
)
def test_a_file_that_is_no_plain_image_says_nothing(name: str) -> None:
    assert variant_of_asset(name) is None


def test_every_build_of_the_table_is_found_again_by_its_file_names() -> None:
    builds = [Build(chip.name, variant) for chip in CHIPS for variant in (chip.default, *chip.builds)]
    assert [{variant_of_asset(name) for name in asset_names(*build).main} for build in builds] == [{b} for b in builds]


@pytest.mark.parametrize(
    ("model", "hardware", "chip"),
    [
        ("ESP32-C3", "", "ESP32-C3"),
        ("ESP8266", "ESP32-C3", "ESP8266"),
        ("PLUG-S1", "ESP32-S3 v0.2", "ESP32-S3"),
        ("PLUG-S1", "rev2", ""),
        ("garage", "ESP32", ""),
        ("garage", "esp32-h2", "ESP32-H2"),
        ("garage", "ESP8266", "ESP8266"),
        ("garage", "BK72xx", ""),
        ("BK7231T", "", ""),
    ],
)
def test_a_device_has_the_chip_that_it_names_for_certain(model: str, hardware: str, chip: str) -> None:
    assert chip_of(device(model=model, hardware=hardware)) == chip


def test_only_who_has_a_chip_for_its_model_flashes_nothing_else() -> None:
    assert takes_only_images(device(model="ESP32-C3"))
    assert not takes_only_images(device(model="PLUG-S1", hardware="ESP32-C3"))
