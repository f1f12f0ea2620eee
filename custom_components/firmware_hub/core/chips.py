"""Tasmota's chips and images: which image file belongs to which chip and build.

The one table for both sides of the match: the dialect turns what a device reports into ``model`` (chip) and
``variant`` (build), the source turns the file names of a release into the same two words. What does not stand in the
table is unknown, and unknown means no offer (invariant 4): a wrong image bricks, because the device itself checks only
the first byte and the flash size (Tasmota documentation, "Upgrading").

Sources of the table: Tasmota ``support_esp8266.ino`` and ``support_esp32.ino`` (``GetDeviceHardware``: the texts of
``StatusFWR.Hardware``), ``platformio_tasmota_env*.ini`` (file names) and ``tasmota_configurations*.h``
(``CODE_IMAGE_STR``: the text in the brackets of the version), read in releases 14 and 15.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from . import esp_image
from .model import Device

ESP32 = "ESP32"
"""The chip of that name, or any of those that were made after it: see ``chip_of``."""

HELPER_VARIANTS = frozenset({"minimal", "safeboot"})
"""Builds that only exist to load another one; a device that reports one is in the middle of something."""


@dataclass(frozen=True, slots=True)
class Chip:
    """One chip family: the hardware texts that mean it, its image prefix, and the builds published for it.

    Attributes:
        default: what the prefix's plain image reports in the version's brackets.
        builds: file suffix and bracket text of the special builds; they are the same word.
        gzip: the chip takes compressed images, and loads large ones through a ``minimal`` image beside them.
    """

    name: str
    hardware: re.Pattern[str]
    prefix: str
    default: str
    builds: frozenset[str] = frozenset()
    gzip: bool = False


class Build(NamedTuple):
    """A chip and the build on it: ``model`` and ``variant`` of a Tasmota device and of a release for it."""

    chip: str
    variant: str


class AssetNames(NamedTuple):
    """File names to look for, best first; a helper belongs to the main image with the same ending."""

    main: tuple[str, ...]
    helper: tuple[str, ...]


def _chip(
    name: str, hardware: str, prefix: str, default: str = "tasmota32", builds: str = "", *, gzip: bool = False
) -> Chip:
    return Chip(name, re.compile(hardware), prefix, default, frozenset(builds.split()), gzip)


# A bare "ESP32" is what the firmware says when it does not know the package, and "ESP32-U4WDH" is an old text for both
# the single-core and the dual-core chip: neither is in the table. The ESP32-P4 is not in it because its silicon
# revisions need different images under one name.
CHIPS: tuple[Chip, ...] = (
    _chip(
        "ESP8266",
        r"ESP8266(EX)?|ESP8285([HN][0-9]{2})?",
        "tasmota",
        default="tasmota",
        builds="lite sensors display ir knx zbbridge zigbee 4M",
        gzip=True,
    ),
    _chip(
        "ESP32",
        r"ESP32-(D0WD(Q5|Q6|R2)?(-V3)?|D0WD-OEM|D2WD(Q5)?|U4WDH-D|PICO-(D2|D4|V3|V3-02))",
        "tasmota32",
        builds="bluetooth display ir lvgl nspanel webcam zbbrdgpro",
    ),
    _chip("ESP32-SOLO1", r"ESP32-(S0WD(Q6|-OEM)?|U4WDH-S|SOLO-?1)", "tasmota32solo1", default="solo1"),
    _chip("ESP32-C2", r"ESP32-C2|ESP8684", "tasmota32c2"),
    _chip("ESP32-C3", r"ESP32-C3( AZ|F[A-Z0-9]+)?|ESP868[56]", "tasmota32c3"),
    _chip("ESP32-C5", r"ESP32-C5", "tasmota32c5"),
    _chip("ESP32-C6", r"ESP32-C6(F[A-Z0-9]+)?", "tasmota32c6"),
    _chip("ESP32-S2", r"ESP32-S2([FR][A-Z0-9]+)?", "tasmota32s2"),
    _chip("ESP32-S3", r"ESP32-S3([FR][A-Z0-9]+|-PICO-1)?", "tasmota32s3"),
)
_BY_NAME = {chip.name: chip for chip in CHIPS}
_BY_PREFIX = {chip.prefix: chip for chip in CHIPS}
_PLAIN = frozenset({*esp_image.CHIPS.values(), esp_image.ESP8266}) - {ESP32}

# " v3.1" since Tasmota 12, " rev.3" before.
_REVISION = re.compile(r" (V[0-9]+\.[0-9]+|REV\.[0-9]+)$")
# The build machine puts "release-" or a short commit hash before the name ("tasmota.ino", image_name).
_STAMP = re.compile(r"^(release|[0-9a-f]{7,10})-")
_ASSET = re.compile(r"(?P<prefix>tasmota(32(solo1|[a-z][0-9])?)?)(-(?P<build>[A-Za-z0-9]+))?\.bin(\.gz)?")


def normalise_chip(hardware: str) -> str | None:
    """Decide which chip family a ``StatusFWR.Hardware`` text means; ``None`` if it is not certain. Never raises."""
    text = _REVISION.sub("", hardware.strip().upper())
    return next((chip.name for chip in CHIPS if chip.hardware.fullmatch(text)), None)


def takes_only_images(device: Device) -> bool:
    """Decide whether a device flashes nothing but Espressif images, whatever its feed calls them. Never raises.

    That is who has a chip for its model: Tasmota (design section 5.3).
    """
    return device.model in _BY_NAME


def chip_of(device: Device) -> str:
    """Return the name of the chip that a device says it has, as model or as hardware; empty: none that is known.

    "ESP32" alone is no chip: ESPHome says it of all chips of that line, and Tasmota of one that it does not know. Never
    raises.
    """
    if device.model in _BY_NAME:
        return device.model
    plain = device.hardware.upper()
    return plain if plain in _PLAIN else normalise_chip(plain) or ""


def normalise_variant(chip: str, image: str) -> str:
    """Turn the text in the version's brackets into the variant, as releases state it. Never raises.

    The build machine's stamp goes, and the different names of a chip's plain image become one. A name that is not in
    the table is kept as it is: it fits no release, and a person should read what the device says.
    """
    name = _STAMP.sub("", image.strip())
    known = _BY_NAME.get(chip)
    if known is None:
        return name
    if name in (known.default, known.prefix) or (name == "tasmota32" and not known.gzip):
        return known.default
    short = name.removeprefix(f"{known.prefix}-").removeprefix("tasmota-")
    return short if short in known.builds or short in HELPER_VARIANTS else name


def asset_names(chip: str, variant: str) -> AssetNames:
    """Return the file names of a build, best first; both empty if there is no such build. Never raises.

    The helper is Tasmota's own rule: a device without room for the whole image asks for ``<name>-minimal`` with the
    same ending in the same folder (``support_tasmota.ino``).
    """
    known = _BY_NAME.get(chip)
    if known is None or (variant != known.default and variant not in known.builds):
        return AssetNames((), ())
    stem = known.prefix if variant == known.default else f"{known.prefix}-{variant}"
    if not known.gzip:
        return AssetNames((f"{stem}.bin",), ())
    helper = f"{known.prefix}-minimal"
    return AssetNames((f"{stem}.bin.gz", f"{stem}.bin"), (f"{helper}.bin.gz", f"{helper}.bin"))


def variant_of_asset(name: str) -> Build | None:
    """Decide which build a file of a release holds; ``None``: a helper, a factory image or unknown. Never raises."""
    found = _ASSET.fullmatch(name)
    chip = _BY_PREFIX.get(found["prefix"]) if found else None
    if found is None or chip is None:
        return None
    variant = found["build"] or chip.default
    main, _ = asset_names(chip.name, variant)
    return Build(chip.name, variant) if name in main else None
