"""What an index says of one Zigbee image, and the releases that it makes.

For whom an image is, it says by manufacturer code and image type (Zigbee specification, OTA cluster, "File Format");
names and windows only narrow that. One image for several makers makes a release for each: a release names one maker.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from . import limits
from .errors import BadInput, Reason
from .model import Artifact, ArtifactFormat, ArtifactRole, Match, Release, VersionScheme
from .untrusted import ROOT

MAX_CODE = 0xFFFF
"""The highest manufacturer code, image type and hardware number."""
MAX_VERSION = 0xFFFFFFFE
"""The highest version; one more is how an image says that it has none."""

_FIRST_NO_FIRMWARE = 0xFFC0  # from here on image types are for credentials, configuration and logs


@dataclass(frozen=True, slots=True)
class ZigbeeImage:
    """One entry of an index.

    Attributes:
        makers, models: names that the device must report, one of each; empty: whatever it reports.
        min_version, max_version: window of the running version; ``None``: no bound.
        min_hardware, max_hardware: window of the device's hardware number; ``None``: no bound.
        size: bytes of the file; 0 where the index states none, or only the size that the image's header states, which
            is not the length of a file that is wrapped or has bytes behind it.
        checksum: as in ``Artifact``.
    """

    manufacturer_code: int
    image_type: int
    file_version: int
    url: str
    checksum: str
    size: int = 0
    makers: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    min_version: int | None = None
    max_version: int | None = None
    min_hardware: int | None = None
    max_hardware: int | None = None
    summary: str = ""
    notes: str = ""
    notes_url: str = ""
    channel: str = "stable"


def image_type(manufacturer_code: int, kind: int) -> str:
    """Write manufacturer code and image type as ``Match.image_type`` has them. Never raises."""
    return f"{manufacturer_code:04x}-{kind:04x}"


def image_releases(images: Iterable[ZigbeeImage]) -> tuple[Release, ...]:
    """Make the releases of images: one for each maker that an image names; none if it holds no firmware.

    Raises:
        BadInput: ``TOO_LARGE``: they are more than a manifest may have.
    """
    releases = tuple(itertools.islice(_releases(images), limits.MAX_RELEASES + 1))
    if len(releases) > limits.MAX_RELEASES:
        raise BadInput(Reason.TOO_LARGE, f"more than {limits.MAX_RELEASES} releases", path=ROOT)
    return releases


def _releases(images: Iterable[ZigbeeImage]) -> Iterator[Release]:
    for image in images:
        if image.image_type < _FIRST_NO_FIRMWARE:
            yield from _of_image(image)


def _of_image(image: ZigbeeImage) -> Iterator[Release]:
    kind = image_type(image.manufacturer_code, image.image_type)
    name = f"{kind}-{image.file_version:08x}.ota"
    artifact = Artifact(ArtifactRole.MAIN, name, image.url, image.size, "", ArtifactFormat.ZIGBEE_OTA, image.checksum)
    # Matching does not look at the case of letters, so names that differ only there are one.
    makers = {maker.casefold(): maker for maker in image.makers} or {"": ""}
    for maker in makers.values():
        yield Release(
            match=Match(
                manufacturer=maker,
                model=image.models,
                min_version=_text(image.min_version),
                max_version=_text(image.max_version),
                image_type=kind,
                min_hardware=_text(image.min_hardware),
                max_hardware=_text(image.max_hardware),
            ),
            version=str(image.file_version),
            artifacts=(artifact,),
            version_scheme=VersionScheme.INTEGER,
            channel=image.channel,
            summary=image.summary,
            notes=image.notes,
            notes_url=image.notes_url,
        )


def _text(number: int | None) -> str:
    return "" if number is None else str(number)
