"""Signed envelopes: bytes in, ``VerifiedBytes`` out, or the suspected attack (design sections 3.3 and 5.1).

The envelope is a compact JWS (RFC 7515), read strictly:

- The algorithm is the pinned key's, never the header's: a header that names another one is refused, and with it
  ``none`` and the kinds with a shared secret.
- A key is one of the owner's. What the header says of keys (``kid``) only helps to name the fault; keys and addresses
  of keys in it (``jwk``, ``jku``, ``x5c``, ``x5u``) are not looked at.
- ``crit`` and ``b64`` are refused: no extension is understood here.
- Base64 has no padding and no stray bits. One line end behind the envelope is a text editor's and is forgiven. What is
  compared later is the digest of the payload, never the envelope.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

import jwt

from . import limits
from .errors import BadInput, Reason, Refused
from .keys import PinnedKey, decode_base64url, fingerprint, pinned_key, read_keys
from .model import Trust
from .untrusted import ROOT, Object, read_object

__all__ = ["VerifiedBytes", "accept", "fingerprint", "read_keys", "verify"]

_ENVELOPE = re.compile(rb"(?P<header>[A-Za-z0-9_-]+)\.(?P<payload>[A-Za-z0-9_-]+)\.(?P<signature>[A-Za-z0-9_-]*)")


@dataclass(frozen=True, slots=True)
class VerifiedBytes:
    """Bytes whose origin was checked as far as their trust level goes. Only this type may be parsed.

    Attributes:
        payload: the bytes themselves.
        trust: ``signed`` if a pinned key signed them; ``digest`` if only the transport (HTTPS) vouches.
        key_id: fingerprint of the signing key, empty below ``signed``.
        sha256: digest of ``payload``, lower-case hex.
    """

    payload: bytes
    trust: Trust
    key_id: str
    sha256: str


def verify(raw: bytes, keys: tuple[str, ...]) -> VerifiedBytes:
    """Decide whether one of the pinned keys (JWK texts) signed this envelope. CPU heavy.

    Raises:
        BadInput: ``TOO_LARGE`` or ``MALFORMED``: the envelope, or a pinned key that is none.
        Refused: ``UNSIGNED``; ``UNTRUSTED_KEY`` if it names a key that is not pinned, or none is pinned;
            ``BAD_SIGNATURE`` if it should be by a pinned key and is not; ``WEAK_KEY`` for a pinned key of no strength.
    """
    raw = raw.removesuffix(b"\n").removesuffix(b"\r")
    _check_size(raw, limits.MAX_MANIFEST_BYTES)
    header = _header(raw)
    algorithm, claimed = header.text("alg"), header.text("kid", "")
    pinned = [pinned_key(key) for key in keys]
    named = [key for key in pinned if key.fingerprint == claimed]
    for key in named or pinned:
        payload = _open(raw, key) if key.algorithm == algorithm else None
        if payload is not None:
            return VerifiedBytes(payload, Trust.SIGNED, key.fingerprint, hashlib.sha256(payload).hexdigest())
    if not pinned or (claimed and not named):
        raise Refused(Reason.UNTRUSTED_KEY, f"signed by {claimed or 'a key that says no name'}")
    raise Refused(Reason.BAD_SIGNATURE, f"no pinned key made this {algorithm} signature")


def accept(raw: bytes, trust: Trust) -> VerifiedBytes:
    """Take bytes for which only the transport vouches.

    Raises:
        BadInput: ``TOO_LARGE``.
        RuntimeError: for the level ``signed``, which only ``verify`` gives.
    """
    if trust is Trust.SIGNED:
        raise RuntimeError("signed bytes must be verified")
    _check_size(raw, limits.MAX_INDEX_BYTES)
    return VerifiedBytes(raw, trust, "", hashlib.sha256(raw).hexdigest())


def _check_size(raw: bytes, max_bytes: int) -> None:
    if len(raw) > max_bytes:
        raise BadInput(Reason.TOO_LARGE, f"more than {max_bytes} bytes", path=ROOT)


def _header(raw: bytes) -> Object:
    """Read the protected header, and refuse what no signature could make good."""
    found = _ENVELOPE.fullmatch(raw)
    if found is None and raw.lstrip().startswith((b"{", b"[")):
        raise Refused(Reason.UNSIGNED, "plain JSON without a signature")
    if found is None:
        raise BadInput(Reason.MALFORMED, "no compact JWS", path=ROOT)
    header = read_object(decode_base64url(found["header"].decode(), "header"), max_bytes=limits.MAX_JWS_HEADER)
    if header.text("alg").casefold() == "none" or not found["signature"]:
        raise Refused(Reason.UNSIGNED, "an envelope without a signature")
    for extension in ("crit", "b64"):
        if extension in header:
            raise BadInput(Reason.MALFORMED, "an extension that is not understood", path=extension)
    return header


def _open(raw: bytes, pinned: PinnedKey) -> bytes | None:
    """Return the payload if this key signed it with its own algorithm."""
    reader = jwt.PyJWS(algorithms=[pinned.algorithm], options={"enforce_minimum_key_length": True})
    try:
        payload: bytes = reader.decode(raw, pinned.key, algorithms=[pinned.algorithm])
    except jwt.InvalidSignatureError:
        return None
    except jwt.PyJWTError as error:
        raise BadInput(Reason.MALFORMED, str(error), path=ROOT) from error
    return payload
