"""Private certificate authorities: what an owner may paste as one, and what is believed on its word.

Contract: nothing of the text is kept but its certificates. A server is believed on the word of these and of nobody
else: the authorities that this machine trusts do not count for a feed that has its own.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding

from .core import limits
from .core.errors import BadInput, Reason, Refused

MAX_AUTHORITIES: Final = 8  # a vendor that changes its authority has two of them for a while
_SECRET: Final = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----")
_MIN_RSA_BITS: Final = 2048
_PATH: Final = "authority"
# What the library is known to raise for certificates that make no sense.
_BROKEN: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


def read_authority(text: str, now: datetime) -> str:
    """Return the certificates of authorities (PEM) in a pasted text as they are kept; empty for an empty text.

    Raises BadInput: TOO_LARGE, MALFORMED; Refused: PRIVATE_KEY, UNTRUSTED_KEY (a certificate that vouches for nobody
    but itself), NOT_YET_VALID, EXPIRED, WEAK_KEY.
    """
    if len(text) > limits.MAX_KEY_TEXT:
        raise BadInput(Reason.TOO_LARGE, f"more than {limits.MAX_KEY_TEXT} characters", path=_PATH)
    if not text.strip():
        return ""
    if _SECRET.search(text):
        raise Refused(Reason.PRIVATE_KEY, "a private key", path=_PATH)
    try:
        found = list(dict.fromkeys(x509.load_pem_x509_certificates(text.encode())))
        if len(found) > MAX_AUTHORITIES:
            raise BadInput(Reason.TOO_LARGE, f"more than {MAX_AUTHORITIES} certificates", path=_PATH)
        for certificate in found:
            for reason in _faults(certificate, now):
                raise Refused(reason, certificate.subject.rfc4514_string(), path=_PATH)
        kept = "".join(certificate.public_bytes(Encoding.PEM).decode() for certificate in found)
        tls_context(kept)
    except _BROKEN as error:
        raise BadInput(Reason.MALFORMED, str(error), path=_PATH) from error
    except ssl.SSLError as error:
        raise BadInput(Reason.MALFORMED, str(error), path=_PATH) from error
    return kept


@lru_cache(maxsize=64)
def tls_context(authority: str) -> ssl.SSLContext:
    """Return what checks servers against these authorities alone. Blocking; raises ssl.SSLError, ValueError, TypeError.

    One of them may itself be signed by another one that nobody pinned. That its form is the strictest is not asked:
    most authorities that people make for themselves lack something that checks nothing here.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=authority)
    return context


def _faults(certificate: x509.Certificate, now: datetime) -> Iterator[Reason]:
    if not _is_authority(certificate):
        yield Reason.UNTRUSTED_KEY
    if now < certificate.not_valid_before_utc:
        yield Reason.NOT_YET_VALID
    if now >= certificate.not_valid_after_utc:
        yield Reason.EXPIRED
    key = certificate.public_key()
    if isinstance(key, RSAPublicKey) and key.key_size < _MIN_RSA_BITS:
        yield Reason.WEAK_KEY


def _is_authority(certificate: x509.Certificate) -> bool:
    """Whether it may sign other certificates (RFC 5280, 4.2.1.9 and 4.2.1.3)."""
    try:
        if not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound as missing:
        return missing.oid == x509.KeyUsage.oid
