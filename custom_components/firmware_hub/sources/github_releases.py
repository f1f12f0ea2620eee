"""Releases on GitHub, of any repository; Tasmota's own are a built-in public feed (design section 5.3).

GitHub's list of releases is read (GitHub REST API, "Releases"). It does not say for whom a file is. Where the owner
says it (``Feed.product``), a release has the one file of the name that the owner gave. Where nobody does, Tasmota's
names for its images are understood (``core/chips.py``). A file of another name makes no release. The digest that
GitHub states proves the transfer and nothing more: trust level ``digest``.

Left out: drafts, pre-releases unless the owner wants them, tags that are no version, and files that are not wholly
there. A file without a digest (GitHub computes them since June 2025) is kept without one: it is shown and never
installed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TypedDict

from ..core import limits
from ..core.chips import Build, asset_names, variant_of_asset
from ..core.errors import BadInput, Reason
from ..core.matching import ANY_HARDWARE
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
    VersionScheme,
)
from ..core.signing import VerifiedBytes
from ..core.untrusted import Object, read_objects
from ..core.version import Order, compare, scheme_of
from .base import FeedRequest

MANUFACTURER = "Tasmota"
GITHUB_HOSTS = ("api.github.com", "github.com", ".githubusercontent.com")
"""Where GitHub's lists are, and where it keeps the files in them."""

TASMOTA_FEED = Feed(
    id="tasmota",
    source="github_releases",
    title="Tasmota",
    url="https://api.github.com/repos/arendst/Tasmota/releases?per_page=10",
    trust=Trust.DIGEST,
    vendor=MANUFACTURER,
    dialect="tasmota",
    hosts=GITHUB_HOSTS,
)
"""Tasmota's releases, active as soon as there is a Tasmota device."""

_TAG = re.compile(r"v?(?P<version>[0-9]+(\.[0-9]+){1,3})")
# Of other makers, words may stand before a number and behind it: "release-1.2.0", "v2.0.0-beta.1".
_ANY_TAG = re.compile(
    r"(?:[A-Za-z][A-Za-z0-9]*[-_/])?v?(?P<version>[0-9]+(?:\.[0-9]+){1,3}(?:-[0-9A-Za-z.-]+)?)", re.ASCII
)
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}", re.ASCII)
# The last step of Tasmota's migration path before the current release (Tasmota documentation, "Upgrading").
_LAST_STEP = "9.1.0"
_DIGEST = "sha256:"
_MAX_RELEASES = 100


class _Words(TypedDict):
    published: datetime | None
    summary: str
    notes: str
    notes_url: str


class GithubReleasesSource:
    """Reads GitHub's list of releases."""

    @property
    def name(self) -> str:
        """The format's name."""
        return "github_releases"

    @property
    def trust(self) -> Trust:
        """Only the transport vouches."""
        return Trust.DIGEST

    def request(self, feed: Feed) -> FeedRequest:
        """Ask as GitHub wants to be asked. Never raises."""
        headers = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
        return FeedRequest(feed.url, headers, limits.MAX_INDEX_BYTES)

    def read(self, data: VerifiedBytes, feed: Feed) -> Manifest:
        """Read the whole list.

        Raises:
            BadInput: with the path of the fault.
        """
        items = read_objects(data.payload, max_items=_MAX_RELEASES, max_bytes=limits.MAX_INDEX_BYTES)
        product = feed.product
        found = [_tasmota(item) if product is None else _of_product(item, product) for item in items]
        return Manifest(
            feed_id=feed.id,
            vendor=feed.vendor or (product.manufacturer if product else MANUFACTURER),
            trust=data.trust,
            digest=data.sha256,
            key_id=data.key_id,
            releases=tuple(release for releases in found for release in releases),
        )


def _of_product(item: Object, product: Product) -> Iterator[Release]:
    """Make a release of the one file that the owner named, if it is there."""
    name = item.text("tag_name")
    tag = _ANY_TAG.fullmatch(name)
    assets = _assets(item)
    if tag is None or _is_kept_back(item, prereleases=product.prereleases):
        return
    wanted = product.file.replace("{version}", tag["version"]).replace("{tag}", name)
    if wanted not in assets or not _FILE_NAME.fullmatch(wanted):
        return
    yield Release(
        match=Match(
            product.manufacturer,
            (product.model,),
            (product.hardware,) if product.hardware else (),
            product.variant,
        ),
        version=tag["version"],
        artifacts=(_artifact(ArtifactRole.MAIN, wanted, assets[wanted], _format(wanted)),),
        version_scheme=scheme_of(tag["version"]),
        **_words(item),
    )


def _is_kept_back(item: Object, *, prereleases: bool) -> bool:
    early = item.flag("prerelease", default=False)
    return item.flag("draft", default=False) or (early and not prereleases)


def _format(name: str) -> ArtifactFormat:
    """Tell the container by the ending of a name; what is not known is checked by its digest alone."""
    endings = {".ota": ArtifactFormat.ZIGBEE_OTA, ".zigbee": ArtifactFormat.ZIGBEE_OTA}
    return endings.get(name[name.rfind(".") :].lower(), ArtifactFormat.RAW)


def _tasmota(item: Object) -> Iterator[Release]:
    """Make a release of each build whose image is among the files."""
    tag = _TAG.fullmatch(item.text("tag_name"))
    if tag is None or _is_kept_back(item, prereleases=False):
        return
    assets = _assets(item)
    builds = {build for name in assets if (build := variant_of_asset(name)) is not None}
    for build in sorted(builds):
        yield _release(item, tag["version"], build, assets)


def _assets(item: Object) -> Mapping[str, Object]:
    assets: dict[str, Object] = {}
    for asset in item.objects("assets"):
        name = asset.text("name")
        if name in assets:
            raise BadInput(Reason.MALFORMED, "one name twice", path=asset.at("name"))
        if asset.text("state", "uploaded") == "uploaded":
            assets[name] = asset
    return assets


def _release(item: Object, version: str, build: Build, assets: Mapping[str, Object]) -> Release:
    late = compare(version, _LAST_STEP, VersionScheme.DOTTED) is Order.NEWER
    return Release(
        match=Match(
            manufacturer=MANUFACTURER,
            model=(build.chip,),
            hardware=(ANY_HARDWARE,),
            variant=build.variant,
            min_version=_LAST_STEP if late else "",
        ),
        version=version,
        artifacts=tuple(_artifacts(build, assets)),
        version_scheme=VersionScheme.DOTTED,
        **_words(item),
    )


def _words(item: Object) -> _Words:
    return {
        "published": item.optional_time("published_at"),
        "summary": item.label("name", max_chars=limits.MAX_SUMMARY),
        "notes": item.prose("body"),
        "notes_url": item.url("html_url", ""),
    }


def _artifacts(build: Build, assets: Mapping[str, Object]) -> Iterator[Artifact]:
    """Choose the best image and the helper with the same ending, which the device asks for by itself."""
    names = asset_names(*build)
    main = next(name for name in names.main if name in assets)
    yield _artifact(ArtifactRole.MAIN, main, assets[main], _tasmota_format(main))
    for helper in names.helper:
        if helper in assets and _ending(helper) == _ending(main):
            yield _artifact(ArtifactRole.HELPER, helper, assets[helper], _tasmota_format(helper))


def _ending(name: str) -> str:
    return name.partition(".")[2]


def _tasmota_format(name: str) -> ArtifactFormat:
    return ArtifactFormat.ESP_GZIP if name.endswith(".gz") else ArtifactFormat.ESP


def _artifact(role: ArtifactRole, name: str, asset: Object, kind: ArtifactFormat) -> Artifact:
    return Artifact(
        role=role,
        name=name,
        url=asset.url("browser_download_url"),
        size=asset.integer("size", 1, limits.MAX_ARTIFACT_BYTES),
        sha256=_sha256(asset),
        format=kind,
    )


def _sha256(asset: Object) -> str:
    """Return the digest; empty where GitHub states none, or one of another kind."""
    digest = asset.text("digest", "")
    if not digest.startswith(_DIGEST):
        return ""
    digits = digest.removeprefix(_DIGEST)
    if not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise BadInput(Reason.MALFORMED, "not 64 hex digits", path=asset.at("digest"))
    return digits
