"""What is looked at in a file before a device gets it, beyond the digest that its feed states.

A digest says that the bytes are those that were published; that they were published for this device is what the file
itself says. Where its format says so, the two are compared (invariant 4): Shelly's packages name their app, Zigbee
images name maker, type and version, and Espressif images name their chip. Zigbee2MQTT sends whatever it is given by
address (dialects.md 1.11), and a Tasmota device looks at the first byte only (``chips``), so for those nobody else
looks.
"""

from __future__ import annotations

from . import esp_image
from .chips import ESP32, chip_of, takes_only_images
from .errors import Reason, Refused
from .model import Artifact, ArtifactFormat, Device, Release, VersionScheme
from .shelly_zip import check_package
from .version import Order, compare
from .zigbee_ota import Expected, check as check_image, read_header

_ESP = frozenset({ArtifactFormat.ESP, ArtifactFormat.ESP_GZIP})
_LOOKED_INTO = frozenset({ArtifactFormat.SHELLY_ZIP, ArtifactFormat.ZIGBEE_OTA}) | _ESP
_CODE_DIGITS = 4


def is_looked_into(artifact: Artifact, device: Device) -> bool:
    """Whether ``check_artifact`` looks into such a file for such a device. Never raises."""
    return artifact.format in _LOOKED_INTO or takes_only_images(device)


def check_artifact(data: bytes, artifact: Artifact, release: Release, device: Device) -> None:
    """Decide whether a file may be served to a device. CPU heavy; memory is bounded.

    Raises:
        BadInput, Refused: as ``shelly_zip.check_package``, ``zigbee_ota.check`` and ``esp_image.check``.
        Refused: ``NOT_FIRMWARE``: packed though its feed says that it is not, or the other way round.
    """
    if artifact.format is ArtifactFormat.SHELLY_ZIP:
        check_package(data, app=device.model, version=release.version)
    elif artifact.format is ArtifactFormat.ZIGBEE_OTA:
        check_image(data, _expected(data, artifact, release, device))
    elif is_looked_into(artifact, device):
        _check_esp(data, artifact, device)


def _check_esp(data: bytes, artifact: Artifact, device: Device) -> None:
    image = esp_image.check(data, chip=chip_of(device))
    if device.hardware.upper() == ESP32 and image.chip == esp_image.ESP8266:
        raise Refused(Reason.WRONG_HARDWARE, f"for {image.chip}, the device has {device.hardware}", path="header")
    if artifact.format in _ESP and image.packed is not (artifact.format is ArtifactFormat.ESP_GZIP):
        raise Refused(Reason.NOT_FIRMWARE, "packed" if image.packed else "not packed", path="$")


def _expected(data: bytes, artifact: Artifact, release: Release, device: Device) -> Expected:
    code, kind = release.match.image_type[:_CODE_DIGITS], release.match.image_type[-_CODE_DIGITS:]
    whole = release.version_scheme is VersionScheme.INTEGER
    return Expected(
        manufacturer_code=int(code, 16) if code else None,
        image_type=int(kind, 16) if kind else None,
        file_version=_number(release.version) if whole else None,
        installed=_number(device.version) if whole else None,
        downgrade=compare(release.version, device.version, release.version_scheme) is Order.OLDER,
        # Whoever asked the device for its hardware found this very file for it.
        hardware=read_header(data).min_hardware if device.image == artifact.url else _number(device.hardware),
        ieee=device.id.removeprefix("ieee:"),
    )


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() else None
