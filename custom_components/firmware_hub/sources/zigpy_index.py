"""The index format of zigpy, the library behind Home Assistant's own Zigbee integration (dialects.md 8.2).

It says for whom an image is in the same words as the indexes of Zigbee-OTA, and more completely. The digest is a
SHA3-256 of the file, and ``file_size`` is the length of the file. Which of several images a device gets is decided by
the version alone: ``specificity``, by which an entry can put itself before others of the same version, is ignored.

An entry that is only a ``path`` on its publisher's disk is refused: there is nothing to fetch. The little file that
names the address of zigpy's own index (``release/version/stable.json``) is no index; give the address that it names.
"""

from __future__ import annotations

import re

from ..core import limits
from ..core.errors import BadInput, Reason
from ..core.model import Feed, Manifest, Trust
from ..core.signing import VerifiedBytes
from ..core.untrusted import Object, read_object
from ..core.zigbee_images import MAX_CODE, MAX_VERSION, ZigbeeImage, image_releases
from .base import FeedRequest

_CHECKSUM = re.compile(r"sha3-256:[0-9a-f]{64}", re.ASCII)
_NAME = "zigpy"


class ZigpyIndexSource:
    """Reads an index in zigpy's format."""

    @property
    def name(self) -> str:
        """The format's name."""
        return "zigpy_index"

    @property
    def trust(self) -> Trust:
        """Only the transport vouches."""
        return Trust.DIGEST

    def request(self, feed: Feed) -> FeedRequest:
        """Ask for the index. Never raises."""
        return FeedRequest(feed.url, {"Accept": "application/json, text/plain;q=0.9"}, limits.MAX_INDEX_BYTES)

    def read(self, data: VerifiedBytes, feed: Feed) -> Manifest:
        """Read the whole index.

        Raises:
            BadInput: with the path of the fault.
        """
        document = read_object(data.payload, max_bytes=limits.MAX_INDEX_BYTES)
        if "firmwares" not in document:
            raise BadInput(Reason.MALFORMED, "absent", path=document.at("firmwares"))
        items = document.objects("firmwares", max_items=limits.MAX_RELEASES)
        return Manifest(
            feed_id=feed.id,
            vendor=feed.vendor or _NAME,
            trust=data.trust,
            digest=data.sha256,
            key_id=data.key_id,
            releases=image_releases(_image(item) for item in items),
        )


def _image(item: Object) -> ZigbeeImage:
    return ZigbeeImage(
        manufacturer_code=item.integer("manufacturer_id", 0, MAX_CODE),
        image_type=item.integer("image_type", 0, MAX_CODE),
        file_version=item.integer("file_version", 0, MAX_VERSION),
        url=item.url("binary_url"),
        checksum=_checksum(item),
        size=item.integer("file_size", 1, limits.MAX_ARTIFACT_BYTES),
        makers=item.texts("manufacturer_names", max_items=limits.MAX_MODELS),
        models=item.texts("model_names", max_items=limits.MAX_MODELS),
        min_version=item.optional_integer("min_current_file_version", 0, MAX_VERSION),
        max_version=item.optional_integer("max_current_file_version", 0, MAX_VERSION),
        min_hardware=item.optional_integer("min_hardware_version", 0, MAX_CODE),
        max_hardware=item.optional_integer("max_hardware_version", 0, MAX_CODE),
        summary=item.label("changelog", max_chars=limits.MAX_SUMMARY),
        notes=item.prose("release_notes"),
        notes_url=item.url("release_url", ""),
    )


def _checksum(item: Object) -> str:
    checksum = item.text("checksum")
    if not _CHECKSUM.fullmatch(checksum):
        raise BadInput(Reason.MALFORMED, "not sha3-256: and 64 hex digits", path=item.at("checksum"))
    return checksum
