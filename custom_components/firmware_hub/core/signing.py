"""Signed envelopes: bytes in, ``VerifiedBytes`` out (design sections 3.3 and 5.1).

Placeholder types for the contract; the checks live below.
"""

from __future__ import annotations

from dataclasses import dataclass

from .model import Trust


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
