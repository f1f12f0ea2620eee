"""The indexes of Zigbee-OTA, which Zigbee2MQTT asks as well: ``index.json`` and ``index1.json`` (dialects.md 8.1).

One list of images, of which most name nobody but manufacturer code and image type. The digest that is stated is a
SHA-512 of the file; ``fileSize`` is the size that the image's header states, which is not the length of a file that is
wrapped or has bytes behind it, so it is read and not kept.

``index1.json`` lists the images before the present ones. It is read, and nothing of it is offered: to go back needs a
vendor's signed permit (invariant 5). ``force``, by which an entry asks to be offered whatever its version, is ignored
for the same reason.

Left out: image types that hold no firmware (credentials, configuration, logs).
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from ..core import limits
from ..core.errors import BadInput, Reason
from ..core.matching import STABLE
from ..core.model import Feed, Manifest, Trust
from ..core.signing import VerifiedBytes
from ..core.untrusted import Object, is_web_address, read_objects
from ..core.zigbee_images import MAX_CODE, MAX_VERSION, ZigbeeImage, image_releases
from .base import FeedRequest

ZIGBEE_OTA_FEED = Feed(
    id="zigbee_ota",
    source="zigbee_ota_index",
    title="Zigbee-OTA",
    url="https://raw.githubusercontent.com/Koenkk/zigbee-OTA/master/index.json",
    trust=Trust.DIGEST,
    vendor="Zigbee-OTA",
    dialect="zigbee2mqtt",
    # GitHub's, of which the index and all its images are.
    hosts=("github.com", ".githubusercontent.com"),
)
"""The list of current images, active as soon as there is a device behind Zigbee2MQTT."""

PREVIOUS = "previous"
"""Channel of the images before the present ones."""

_PREVIOUS_LIST = "index1.json"
_SHA512 = re.compile(r"[0-9a-f]{128}", re.ASCII)


class ZigbeeOtaIndexSource:
    """Reads both lists."""

    @property
    def name(self) -> str:
        """The format's name."""
        return "zigbee_ota_index"

    @property
    def trust(self) -> Trust:
        """Only the transport vouches."""
        return Trust.DIGEST

    def request(self, feed: Feed) -> FeedRequest:
        """Ask for the list. Never raises."""
        return FeedRequest(feed.url, {"Accept": "application/json, text/plain;q=0.9"}, limits.MAX_INDEX_BYTES)

    def read(self, data: VerifiedBytes, feed: Feed) -> Manifest:
        """Read the whole list.

        Raises:
            BadInput: with the path of the fault.
        """
        items = read_objects(data.payload, max_items=limits.MAX_RELEASES, max_bytes=limits.MAX_INDEX_BYTES)
        channel = PREVIOUS if urlsplit(feed.url).path.rpartition("/")[2] == _PREVIOUS_LIST else STABLE
        return Manifest(
            feed_id=feed.id,
            vendor=feed.vendor or ZIGBEE_OTA_FEED.vendor,
            trust=data.trust,
            digest=data.sha256,
            key_id=data.key_id,
            releases=image_releases(_image(item, channel) for item in items),
        )


def _image(item: Object, channel: str) -> ZigbeeImage:
    item.integer("fileSize", 1, limits.MAX_ARTIFACT_BYTES)
    notes = item.prose("releaseNotes")
    link = is_web_address(notes)
    return ZigbeeImage(
        manufacturer_code=item.integer("manufacturerCode", 0, MAX_CODE),
        image_type=item.integer("imageType", 0, MAX_CODE),
        file_version=item.integer("fileVersion", 0, MAX_VERSION),
        url=item.url("url"),
        checksum=f"sha512:{_sha512(item)}",
        makers=item.texts("manufacturerName", max_items=limits.MAX_MODELS),
        models=(item.text("modelId"),) if "modelId" in item else (),
        min_version=item.optional_integer("minFileVersion", 0, MAX_VERSION),
        max_version=item.optional_integer("maxFileVersion", 0, MAX_VERSION),
        min_hardware=item.optional_integer("hardwareVersionMin", 0, MAX_CODE),
        max_hardware=item.optional_integer("hardwareVersionMax", 0, MAX_CODE),
        notes="" if link else notes,
        notes_url=notes if link else "",
        channel=channel,
    )


def _sha512(item: Object) -> str:
    digits = item.text("sha512").lower()
    if not _SHA512.fullmatch(digits):
        raise BadInput(Reason.MALFORMED, "not 128 hex digits", path=item.at("sha512"))
    return digits
