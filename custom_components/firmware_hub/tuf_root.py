"""The root metadata of a TUF repository as an owner pastes it: what it must be, and whose keys it names."""

from __future__ import annotations

from typing import Final

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root

from .core.errors import BadInput, Reason, Refused

_MAX_CHARS: Final = 512_000  # python-tuf's own bound


def read_root(text: str) -> str:
    """Return the metadata as it is kept. Raises BadInput: TOO_LARGE, MALFORMED; Refused: BAD_SIGNATURE."""
    if len(text) > _MAX_CHARS:
        raise BadInput(Reason.TOO_LARGE, f"more than {_MAX_CHARS} characters", path=Root.type)
    root = _metadata(text.strip())
    try:
        root.signed.verify_delegate(Root.type, root.signed_bytes, root.signatures)
    except (RepositoryError, ValueError) as error:
        raise Refused(Reason.BAD_SIGNATURE, str(error), path=Root.type) from error
    return text.strip()


def fingerprints_of(text: str) -> list[str]:
    """Return the ids of the keys that sign the root. Raises BadInput."""
    return sorted(_metadata(text).signed.roles[Root.type].keyids)


def _metadata(text: str) -> Metadata[Root]:
    try:
        metadata = Metadata[Root].from_bytes(text.encode())
    except (RepositoryError, UnicodeEncodeError) as error:
        raise BadInput(Reason.MALFORMED, str(error), path=Root.type) from error
    if not isinstance(metadata.signed, Root):
        raise BadInput(Reason.MALFORMED, "metadata of another role", path=Root.type)
    return metadata
