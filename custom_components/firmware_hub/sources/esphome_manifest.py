"""The manifest that an ESPHome device's own ``update`` component reads (dialects.md 8.3).

It names one project in one version, with a build for each family of chips. Nothing in it proves anything: its only
digest is an MD5, and two files with one MD5 are made in seconds. So there is no digest, trust level ``vendor``: the
device itself fetches what the manifest names, and the hub cannot check it.

The model is the project's name, unless the owner says which devices it is for; the hardware is the family of the chip.

Where ESPHome and the standard of web addresses disagree, ESPHome counts, because that is what the device fetches: a
path with one slash or two at its beginning is on the manifest's own host. A path that holds ``http`` and is no address
is refused, because ESPHome takes it for one. A build without ``ota`` is for the first installation by cable and is left
out.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from ..core import limits
from ..core.errors import BadInput, Reason
from ..core.model import (
    Artifact,
    ArtifactFormat,
    ArtifactRole,
    Feed,
    Manifest,
    Match,
    Product,
    Release,
    Trust,
)
from ..core.signing import VerifiedBytes
from ..core.untrusted import Object, is_web_address, read_object
from ..core.version import scheme_of
from .base import FeedRequest

_MD5 = re.compile(r"[0-9a-fA-F]{32}", re.ASCII)
_MAX_BUILDS = 100
_NOT_STATED = 0


class EsphomeManifestSource:
    """Reads the manifest of one project."""

    @property
    def name(self) -> str:
        """The format's name."""
        return "esphome_manifest"

    @property
    def trust(self) -> Trust:
        """The device fetches what its maker names."""
        return Trust.VENDOR

    def request(self, feed: Feed) -> FeedRequest:
        """Ask for the manifest. Never raises."""
        return FeedRequest(feed.url, {"Accept": "application/json"}, limits.MAX_PAYLOAD_BYTES)

    def read(self, data: VerifiedBytes, feed: Feed) -> Manifest:
        """Read the whole manifest.

        Raises:
            BadInput: with the path of the fault.
        """
        document = read_object(data.payload, max_bytes=limits.MAX_PAYLOAD_BYTES)
        name, version = document.text("name"), document.text("version")
        product = feed.product or Product(feed.vendor or name, name)
        builds = document.objects("builds", max_items=_MAX_BUILDS)
        if not builds:
            raise BadInput(Reason.MALFORMED, "absent or empty", path=document.at("builds"))
        releases: dict[str, Release] = {}
        for build in builds:
            release = _release(build, version, product, feed.url)
            # ESPHome takes the first build of its family.
            if release is not None:
                releases.setdefault(release.match.hardware[0], release)
        return Manifest(
            feed_id=feed.id,
            vendor=feed.vendor or name,
            trust=data.trust,
            digest=data.sha256,
            key_id=data.key_id,
            releases=tuple(releases.values()),
        )


def _release(build: Object, version: str, product: Product, base: str) -> Release | None:
    family, ota = build.text("chipFamily"), build.optional_object("ota")
    if ota is None:
        return None
    if not _MD5.fullmatch(ota.text("md5")):
        raise BadInput(Reason.MALFORMED, "not 32 hex digits", path=ota.at("md5"))
    name = f"{family}.bin"
    url = _address(ota, base)
    return Release(
        match=Match(product.manufacturer, (product.model,), (family,), product.variant),
        version=version,
        artifacts=(Artifact(ArtifactRole.MAIN, name, url, _NOT_STATED, "", ArtifactFormat.ESP),),
        version_scheme=scheme_of(version),
        summary=ota.label("summary", max_chars=limits.MAX_SUMMARY),
        notes_url=ota.url("release_url", ""),
    )


def _address(ota: Object, base: str) -> str:
    """Return what ESPHome makes of a path (``http_request_update.cpp``)."""
    path, place = ota.text("path", max_chars=limits.MAX_URL), urlsplit(base)
    if "http" in path:
        address = path
    elif path.startswith("/"):
        address = f"{place.scheme}://{place.netloc}{path}"
    else:
        address = f"{place.scheme}://{place.netloc}{place.path.rpartition('/')[0]}/{path}"
    if len(address) > limits.MAX_URL or not is_web_address(address):
        raise BadInput(Reason.MALFORMED, "no web address", path=ota.at("path"))
    return address
