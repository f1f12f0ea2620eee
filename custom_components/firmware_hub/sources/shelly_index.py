"""The indexes that Shelly's own devices and app ask, which their vendor never documented (dialects.md 8.4).

Two shapes, told apart by what they hold:

- **One app of a later generation** (``https://updates.shelly.cloud/update/<app>``): ``stable``, ``beta``, and ``alt``
  with builds of the same hardware for other radios. Only ``stable`` is read: a beta may change under its version, and
  an ``alt`` is another app, never an update. The last part of the package's address is the SHA-256 of the package, as
  several independent tools have verified; where it is anything else there is no digest, and the release is shown and
  never installed. A wrong guess costs an install and nothing more: bytes that do not match are thrown away.
- **All models of the first generation** (``https://api.shelly.cloud/files/firmware``): no digest, and the device loads
  what it likes. Only trust level ``vendor`` can install by it.

No index states a size: 0 stands for "not stated". It names what is broadly released; in a phased rollout the vendor may
offer a device less or more, which the device itself reports.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from ..core import limits
from ..core.errors import BadInput, Reason
from ..core.feeds import MODEL
from ..core.matching import ANY_HARDWARE
from ..core.model import (
    Artifact,
    ArtifactFormat,
    ArtifactRole,
    Delivery,
    Feed,
    Manifest,
    Match,
    Release,
    Trust,
    VersionScheme,
)
from ..core.shelly_builds import MANUFACTURER, version_of_build
from ..core.signing import VerifiedBytes
from ..core.untrusted import Object, read_object
from ..core.version import Order, compare
from .base import FeedRequest

_HOSTS = (".shelly.cloud",)

SHELLY_FEED = Feed(
    id="shelly",
    source="shelly_index",
    title="Shelly",
    url=f"https://updates.shelly.cloud/update/{MODEL}",
    trust=Trust.DIGEST,
    vendor=MANUFACTURER,
    dialect="shelly",
    hosts=_HOSTS,
)
"""Shelly's releases for one app, active as soon as there is a device with it."""

SHELLY_GEN1_FEED = Feed(
    id="shelly_gen1",
    source="shelly_index",
    title="Shelly, first generation",
    url="https://api.shelly.cloud/files/firmware",
    trust=Trust.VENDOR,
    vendor=MANUFACTURER,
    dialect="shelly_gen1",
    hosts=_HOSTS,
)
"""Shelly's releases for the first generation, active as soon as there is such a device."""

_NOTES = "https://shelly-api-docs.shelly.cloud/gen2/changelog/"
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_NOT_STATED = 0
_MAX_MODELS = 1_000
# Partitions changed after this one; a public tool takes every older device here first.
_LAST_STEP, _AFTER_STEP = "1.3.3", "1.4.0"
# Android devices: their packages have no parts that could be checked.
_BY_HAND = "walldisplay"


class ShellyIndexSource:
    """Reads both indexes."""

    @property
    def name(self) -> str:
        """The format's name."""
        return "shelly_index"

    @property
    def trust(self) -> Trust:
        """Only the transport vouches."""
        return Trust.DIGEST

    def request(self, feed: Feed) -> FeedRequest:
        """Ask for the document. Never raises."""
        return FeedRequest(feed.url, {"Accept": "application/json"}, limits.MAX_MANIFEST_BYTES)

    def read(self, data: VerifiedBytes, feed: Feed) -> Manifest:
        """Read the whole document.

        Raises:
            BadInput: with the path of the fault.
        """
        document = read_object(data.payload, max_bytes=limits.MAX_MANIFEST_BYTES)
        releases = _first_generation(document) if "data" in document else _one_app(document)
        return Manifest(
            feed_id=feed.id,
            vendor=feed.vendor or MANUFACTURER,
            trust=data.trust,
            digest=data.sha256,
            key_id=data.key_id,
            releases=releases,
        )


def _first_generation(document: Object) -> tuple[Release, ...]:
    if not document.flag("isok"):
        raise BadInput(Reason.MALFORMED, "the server says that it is not well", path=document.at("isok"))
    models = document.object("data")
    return tuple(_model(models, name) for name in models.keys(max_items=_MAX_MODELS))


def _model(models: Object, name: str) -> Release:
    if not _MODEL.fullmatch(name):
        raise BadInput(Reason.MALFORMED, "no name of a model", path=models.path)
    item = models.object(name)
    build = item.text("version")
    return Release(
        match=Match(MANUFACTURER, (name,)),
        version=version_of_build(build),
        version_scheme=VersionScheme.DOTTED,
        artifacts=(_artifact(name, item.url("url"), ""),),
        summary=f"Build {build}",
    )


def _one_app(document: Object) -> tuple[Release, ...]:
    item = document.object("stable")
    url = item.url("url")
    app, digest = _app(document, item, url), _digest(url)
    version = item.text("version")
    late = compare(version, _AFTER_STEP, VersionScheme.SEMVER) in (Order.SAME, Order.NEWER)
    release = Release(
        match=Match(
            manufacturer=MANUFACTURER,
            model=(app,),
            # One app serves all revisions of a device.
            hardware=(ANY_HARDWARE,),
            min_version=_LAST_STEP if late else "",
        ),
        version=version,
        artifacts=(_artifact(app, url, digest),),
        summary=f"Build {item.text('build_id', '')}".removesuffix("Build "),
        notes_url=_NOTES,
        delivery=Delivery.MANUAL if app.casefold().startswith(_BY_HAND) else Delivery.OTA,
    )
    return (release,)


def _app(document: Object, item: Object, url: str) -> str:
    """Return for which app this is. What the document says and where its package lies must agree."""
    folders = urlsplit(url).path.split("/")[:-1]
    folder = folders[-1] if folders else ""
    app = document.text("name", "") or folder
    if not _MODEL.fullmatch(app):
        raise BadInput(Reason.MALFORMED, "no name of an app", path=document.at("name"))
    if _digest(url) and folder.casefold() != app.casefold():
        raise BadInput(Reason.MALFORMED, f"a package of another app than {app}", path=item.at("url"))
    return app


def _digest(url: str) -> str:
    last = urlsplit(url).path.rpartition("/")[2]
    return last if _SHA256.fullmatch(last) else ""


def _artifact(name: str, url: str, digest: str) -> Artifact:
    return Artifact(ArtifactRole.MAIN, f"{name}.zip", url, _NOT_STATED, digest, ArtifactFormat.SHELLY_ZIP)
