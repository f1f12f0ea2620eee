"""What a binary is: its format by its first bytes, and the hub's own look at it."""

from __future__ import annotations

from dataclasses import dataclass, field

from .core import esp_image, shelly_zip, zigbee_ota
from .core.errors import BadInput, Reason, Refused
from .core.model import ArtifactFormat

_ZIP = b"PK\x03\x04"


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen: the kind in words, whom it fits, what else it says, and what is odd about it."""

    kind: str
    fits: dict[str, object]
    facts: dict[str, object] = field(default_factory=dict)
    oddities: tuple[str, ...] = ()


def format_of(data: bytes) -> ArtifactFormat:
    """Guess the format by the first bytes; what is not known is ``raw``. Never raises."""
    if data.startswith(esp_image.GZIP_MAGIC):
        return ArtifactFormat.ESP_GZIP
    if data[:1] == bytes([esp_image.MAGIC]):
        return ArtifactFormat.ESP
    if data.startswith(_ZIP):
        return ArtifactFormat.SHELLY_ZIP
    return ArtifactFormat.ZIGBEE_OTA if _has_zigbee_header(data) else ArtifactFormat.RAW


def look(data: bytes, form: ArtifactFormat) -> Look:
    """Look into a binary as the hub does before a device hears of it.

    Raises:
        BadInput, Refused: it is not whole, or not of this format.
    """
    match form:
        case ArtifactFormat.ESP | ArtifactFormat.ESP_GZIP:
            return _esp(data, packed=form is ArtifactFormat.ESP_GZIP)
        case ArtifactFormat.ZIGBEE_OTA:
            return _zigbee(data)
        case ArtifactFormat.SHELLY_ZIP:
            return _shelly(data)
        case ArtifactFormat.RAW:
            return Look("binary of a format that the hub does not know", {})


def _has_zigbee_header(data: bytes) -> bool:
    try:
        zigbee_ota.read_header(data)
    except Refused as refused:
        return refused.reason is not Reason.NOT_FIRMWARE
    except BadInput:
        return True
    return True


def _esp(data: bytes, *, packed: bool) -> Look:
    image = esp_image.read(data)
    if image.packed is not packed:
        raise Refused(Reason.NOT_FIRMWARE, "packed" if image.packed else "not packed", path="$")
    facts: dict[str, object] = {"size": image.size, "segments": image.segments}
    words = {"project": image.project, "version": image.version, "idf": image.idf}
    facts |= {name: word for name, word in words.items() if word}
    if image.secure_version is not None:
        facts["secure_version"] = image.secure_version
    odd = (f"{image.trailing} bytes behind the image",) if image.trailing else ()
    kind = "Espressif image, packed with gzip" if packed else "Espressif image"
    return Look(kind, {"chip": image.chip or f"unknown ({image.chip_id})"}, facts, odd)


def _zigbee(data: bytes) -> Look:
    header = zigbee_ota.read_header(data)
    expected = zigbee_ota.Expected(hardware=header.min_hardware, ieee=header.destination)
    checked = zigbee_ota.check(data, expected)
    fits: dict[str, object] = {
        "manufacturer_code": f"0x{header.manufacturer_code:04X}",
        "image_type": f"0x{header.image_type:04X}",
    }
    if header.min_hardware is not None and header.max_hardware is not None:
        fits["hardware"] = f"{header.min_hardware} to {header.max_hardware}"
    if header.destination:
        fits["device"] = header.destination
    facts: dict[str, object] = {"version": header.file_version, "text": header.text, "size": header.total_size}
    return Look("Zigbee OTA image", fits, facts, tuple(odd.value.replace("_", " ") for odd in checked.oddities))


def _shelly(data: bytes) -> Look:
    package = shelly_zip.read_package(data)
    facts: dict[str, object] = {"version": package.version, "build": package.build, "parts": list(package.parts)}
    return Look("Shelly package", {"app": package.app, "platform": package.platform}, facts)
