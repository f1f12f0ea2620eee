"""The signed manifest of a vendor or maker, ``firmware-manifest/1`` (design section 5.1).

Its JSON Schema is ``docs/schemas/firmware-manifest-1.schema.json``; schema and reader agree on the same fixtures.
Unknown members are ignored, so that a later edition can add to it, but never inside ``match``: what narrows a release
there and is not understood would widen it (invariant 4). For the same reason nothing in ``match`` may be empty.
"""

from __future__ import annotations

import re

from ..core import limits
from ..core.errors import BadInput, HubError, Reason, Refused
from ..core.model import (
    Artifact,
    ArtifactFormat,
    ArtifactRole,
    Feed,
    Manifest,
    Release,
    Revoked,
    Support,
    Trust,
)
from ..core.signing import VerifiedBytes, read_keys
from ..core.untrusted import Object, read_object
from .base import MAX_COUNT, FeedRequest, read_release

SPEC = "firmware-manifest/1"
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


class SignedManifestSource:
    """Reads the payload of a vendor's signed envelope."""

    @property
    def name(self) -> str:
        """The format's name."""
        return "signed_manifest"

    @property
    def trust(self) -> Trust:
        """A pinned key vouches for every byte."""
        return Trust.SIGNED

    def request(self, feed: Feed) -> FeedRequest:
        """Ask for the envelope. Never raises."""
        return FeedRequest(feed.url, {"Accept": "application/jose, */*;q=0.1"}, limits.MAX_MANIFEST_BYTES)

    def read(self, data: VerifiedBytes, feed: Feed) -> Manifest:
        """Read the whole document.

        Raises:
            BadInput: with the path of the fault; ``UNKNOWN_MATCH_KEY`` for an unknown member of ``match``.
            Refused: ``UNSUPPORTED_SPEC``; ``WRONG_VENDOR``: a genuine statement of somebody else.
        """
        document = read_object(data.payload, max_bytes=limits.MAX_MANIFEST_BYTES)
        if document.text("spec") != SPEC:
            raise Refused(Reason.UNSUPPORTED_SPEC, document.text("spec"), path="spec")
        vendor = document.text("vendor")
        if feed.vendor and vendor.casefold() != feed.vendor.casefold():
            raise Refused(Reason.WRONG_VENDOR, f"{vendor} instead of {feed.vendor}", path="vendor")
        issued, expires = document.time("issued"), document.time("expires")
        if expires <= issued:
            raise BadInput(Reason.MALFORMED, "expires before it is issued", path="expires")
        return Manifest(
            feed_id=feed.id,
            vendor=vendor,
            trust=data.trust,
            digest=data.sha256,
            key_id=data.key_id,
            sequence=document.integer("sequence", 0, MAX_COUNT),
            issued=issued,
            expires=expires,
            next_keys=_next_keys(document),
            revoked=tuple(
                Revoked(item.text("model"), item.text("version"), item.label("reason"))
                for item in document.objects("revoked")
            ),
            support=tuple(Support(item.text("model"), item.day("until")) for item in document.objects("support")),
            releases=tuple(_release(item) for item in document.objects("releases", max_items=limits.MAX_RELEASES)),
        )


def _next_keys(document: Object) -> tuple[str, ...]:
    texts = document.texts("next_keys", max_items=limits.MAX_KEYS, max_chars=limits.MAX_JWS_HEADER)
    return tuple(key for number, text in enumerate(texts) for key in _keys(text, f"next_keys[{number}]"))


def _keys(text: str, path: str) -> tuple[str, ...]:
    try:
        return read_keys(text)
    except HubError as error:
        raise type(error)(error.reason, error.detail, path=path) from error


def _release(item: Object) -> Release:
    return read_release(item, _artifacts(item))


def _artifacts(item: Object) -> tuple[Artifact, ...]:
    artifacts = tuple(_artifact(part) for part in item.objects("artifacts", max_items=limits.MAX_ARTIFACTS))
    if [artifact.role for artifact in artifacts].count(ArtifactRole.MAIN) != 1:
        raise BadInput(Reason.MALFORMED, "not exactly one main artifact", path=item.at("artifacts"))
    if len({artifact.name for artifact in artifacts}) != len(artifacts):
        raise BadInput(Reason.MALFORMED, "one name twice", path=item.at("artifacts"))
    return artifacts


def _artifact(item: Object) -> Artifact:
    name = item.text("name", max_chars=limits.MAX_FILE_NAME)
    if not _FILE_NAME.fullmatch(name):
        raise BadInput(Reason.MALFORMED, "no plain file name", path=item.at("name"))
    return Artifact(
        role=item.choice("role", ArtifactRole),
        name=name,
        url=item.url("url"),
        size=item.integer("size", 1, limits.MAX_ARTIFACT_BYTES),
        sha256=item.sha256("sha256"),
        format=item.choice("format", ArtifactFormat, ArtifactFormat.RAW),
    )
