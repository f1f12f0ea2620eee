"""A TUF repository (The Update Framework 1.0; design section 5.2): the targets that its client verified.

The verification is the client's (``tuf_client.py``, around python-tuf). What it hands over is a document of its own,
``tuf-targets/1``, made of nothing but verified metadata: who signed each target, where its file is, its length, its
hashes, and its ``custom``. A target whose ``custom`` has a ``match`` is a release: ``custom`` is then the release
object of signed manifests (design section 5.1) without artifacts. Every other target is a file that nobody is offered.

``custom.helpers`` names the targets of helper images, ``custom.format`` the container of this one.

A role to which trust was delegated speaks for one maker: the first part of a target's path must be the name of the
maker in its ``match`` (``acme/...`` for *Acme*, ``acme-inc/...`` for *Acme Inc.*), because the path is what was
delegated.
"""

from __future__ import annotations

import re

from ..core import limits
from ..core.errors import BadInput, Reason, Refused
from ..core.model import Artifact, ArtifactFormat, ArtifactRole, Feed, Manifest, Release, Trust
from ..core.signing import VerifiedBytes
from ..core.untrusted import Object, read_object
from .base import FeedRequest, read_release

SPEC = "tuf-targets/1"
_CHECKSUMS = ("sha512", "sha3-256")
_HEX = {"sha512": re.compile(r"[0-9a-f]{128}"), "sha3-256": re.compile(r"[0-9a-f]{64}")}
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*", re.ASCII)
_OTHER = re.compile(r"[^a-z0-9]+")


class TufRepositorySource:
    """Reads the verified targets of a repository."""

    @property
    def name(self) -> str:
        """The format's name."""
        return "tuf_repository"

    @property
    def trust(self) -> Trust:
        """The repository's keys vouch for every byte."""
        return Trust.SIGNED

    def request(self, feed: Feed) -> FeedRequest:
        """Say where the repository is; which files of it are fetched, its client decides. Never raises."""
        return FeedRequest(feed.url, {"Accept": "application/json"}, limits.MAX_MANIFEST_BYTES)

    def read(self, data: VerifiedBytes, feed: Feed) -> Manifest:
        """Read all targets.

        Raises:
            BadInput: with the path of the fault; ``UNKNOWN_MATCH_KEY`` for an unknown member of ``match``.
            Refused: ``UNSUPPORTED_SPEC``; ``WRONG_VENDOR``: a role speaks for a maker that was not delegated to it.
        """
        document = read_object(data.payload, max_bytes=limits.MAX_MANIFEST_BYTES)
        if document.text("spec") != SPEC:
            raise Refused(Reason.UNSUPPORTED_SPEC, document.text("spec"), path="spec")
        items = document.objects("targets", max_items=limits.MAX_RELEASES)
        targets = {item.text("path", max_chars=limits.MAX_URL): item for item in items}
        if len(targets) != len(items):
            raise BadInput(Reason.MALFORMED, "one path twice", path="targets")
        return Manifest(
            feed_id=feed.id,
            vendor=feed.vendor or feed.title,
            trust=data.trust,
            digest=data.sha256,
            key_id=data.key_id,
            expires=document.time("expires"),
            releases=tuple(
                _release(path, item, custom, targets)
                for path, item in targets.items()
                if (custom := item.optional_object("custom")) is not None and "match" in custom
            ),
        )


def _release(path: str, item: Object, custom: Object, targets: dict[str, Object]) -> Release:
    main = _artifact(ArtifactRole.MAIN, path, item, custom)
    helpers = tuple(_helper(custom, number, name, targets) for number, name in enumerate(_helpers(custom)))
    names = {artifact.name for artifact in (main, *helpers)}
    if len(names) != 1 + len(helpers):
        raise BadInput(Reason.MALFORMED, "one name twice", path=custom.at("helpers"))
    release = read_release(custom, (main, *helpers))
    folder = path.partition("/")[0]
    if item.flag("delegated") and folder != folder_of(release.match.manufacturer):
        detail = f"{release.match.manufacturer} in the folder {folder}"
        raise Refused(Reason.WRONG_VENDOR, detail, path=f"{custom.path}.match.manufacturer")
    return release


def folder_of(maker: str) -> str:
    """Return the first part of the paths that a maker's targets have in a role of its own. Never raises."""
    return _OTHER.sub("-", maker.casefold()).strip("-")


def _helpers(custom: Object) -> tuple[str, ...]:
    return custom.texts("helpers", max_items=limits.MAX_ARTIFACTS - 1, max_chars=limits.MAX_URL)


def _helper(custom: Object, number: int, name: str, targets: dict[str, Object]) -> Artifact:
    item = targets.get(name)
    if item is None:
        raise BadInput(Reason.MALFORMED, "no such target", path=f"{custom.at('helpers')}[{number}]")
    return _artifact(ArtifactRole.HELPER, name, item, item.optional_object("custom"))


def _artifact(role: ArtifactRole, path: str, item: Object, custom: Object | None) -> Artifact:
    name = path.rpartition("/")[2]
    if len(name) > limits.MAX_FILE_NAME or not _FILE_NAME.fullmatch(name):
        raise BadInput(Reason.MALFORMED, "no plain file name at its end", path=item.at("path"))
    hashes = item.object("hashes")
    return Artifact(
        role=role,
        name=name,
        url=item.url("url"),
        size=item.integer("length", 1, limits.MAX_ARTIFACT_BYTES),
        sha256=hashes.sha256("sha256") if "sha256" in hashes else "",
        format=ArtifactFormat.RAW if custom is None else custom.choice("format", ArtifactFormat, ArtifactFormat.RAW),
        checksum="" if "sha256" in hashes else _checksum(hashes),
    )


def _checksum(hashes: Object) -> str:
    for algorithm in _CHECKSUMS:
        if algorithm in hashes:
            digits = hashes.text(algorithm).lower()
            if not _HEX[algorithm].fullmatch(digits):
                raise BadInput(Reason.MALFORMED, "not the hex digits of its kind", path=hashes.at(algorithm))
            return f"{algorithm}:{digits}"
    raise BadInput(Reason.MALFORMED, "no digest that is strong enough", path=hashes.path)
