"""Public keys as people paste them, as JWK texts as they are pinned, and their fingerprints.

Kinds: EC on P-256 (ES256), RSA of at least 2048 bits (RS256, PS256), Ed25519 (EdDSA). A key has one algorithm: what its
JWK says in ``alg``, else its kind's first one. A fingerprint is the thumbprint of RFC 7638 over SHA-256, in base64url.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey, EllipticCurvePublicNumbers
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers

from . import limits
from .errors import BadInput, Reason, Refused
from .untrusted import ROOT, Object, read_object, read_objects

type PublicKey = EllipticCurvePublicKey | Ed25519PublicKey | RSAPublicKey

_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")
_BASE64 = re.compile(r"[A-Za-z0-9_+/-]+={0,2}")
_PEM = re.compile(r"-----BEGIN (?P<kind>[A-Z0-9 ]+)-----.*?-----END (?P=kind)-----", re.DOTALL)
# Members of a JWK that make it a secret (RFC 7518, sections 6.2.2, 6.3.2 and 6.4).
_SECRETS = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
_ALGORITHMS = {"EC": ("ES256",), "OKP": ("EdDSA",), "RSA": ("RS256", "PS256")}
_MIN_RSA_BITS = 2048
_MIN_RSA_EXPONENT = 65537
_SIGN_BIT = 0x7F
# The y coordinates of Ed25519's points of small order, canonical or not: with such a key anybody can sign.
_SMALL_ORDER = frozenset(
    bytes.fromhex(digits)
    for digits in (
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    )
)


@dataclass(frozen=True, slots=True)
class PinnedKey:
    """A usable public key: its only algorithm, its normalised JWK text, and its fingerprint."""

    key: PublicKey
    algorithm: str
    text: str
    fingerprint: str


def read_keys(text: str) -> tuple[str, ...]:
    """Turn what a person pastes into normalised JWK texts, each key once.

    Taken are a JWK, a JWK set or a list of JWKs; PEM public keys; and base64 of a JWK, of a public key in DER, or of
    the 32 bytes of an Ed25519 key.

    Raises:
        BadInput: ``MALFORMED`` for unknown kinds and for no key at all, ``TOO_LARGE`` above a bound.
        Refused: ``WEAK_KEY``; ``PRIVATE_KEY``: who pasted it should take it for known to others from now on.
    """
    if len(text) > limits.MAX_KEY_TEXT:
        raise BadInput(Reason.TOO_LARGE, f"more than {limits.MAX_KEY_TEXT} characters", path=ROOT)
    found = {key.fingerprint: key.text for key in _pasted(text.strip())}
    if not found:
        raise _no_key("nothing in it is a key")
    if len(found) > limits.MAX_KEYS:
        raise BadInput(Reason.TOO_LARGE, f"more than {limits.MAX_KEYS} keys", path=ROOT)
    return tuple(found.values())


def fingerprint(key: str) -> str:
    """Return the fingerprint of a JWK text.

    Raises:
        BadInput, Refused: as ``read_keys``.
    """
    return pinned_key(key).fingerprint


def pinned_key(text: str) -> PinnedKey:
    """Read one JWK text.

    Raises:
        BadInput, Refused: as ``read_keys``.
    """
    return _from_jwk(read_object(text, max_bytes=limits.MAX_KEY_TEXT))


def decode_base64url(text: str, path: str) -> bytes:
    """Decode base64url as RFC 7515 writes it: no padding, and no bits that do not count.

    Raises:
        BadInput: ``MALFORMED``.
    """
    if _BASE64URL.fullmatch(text) and len(text) % 4 != 1:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        if encode_base64url(data) == text:
            return data
    raise BadInput(Reason.MALFORMED, "no base64url", path=path)


def encode_base64url(data: bytes) -> str:
    """Encode as RFC 7515 does, without padding. Never raises."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _no_key(detail: str, path: str = ROOT) -> BadInput:
    return BadInput(Reason.MALFORMED, f"no public key: {detail}", path=path)


def _private(path: str = ROOT) -> Refused:
    return Refused(Reason.PRIVATE_KEY, "this is a secret key; the public one belongs here", path=path)


# --- what people paste ------------------------------------------------------------------------------------------------


def _pasted(text: str) -> Iterable[PinnedKey]:
    if text.startswith("{"):
        return _from_document(read_object(text))
    if text.startswith("["):
        return [_from_jwk(key) for key in read_objects(text, max_items=limits.MAX_KEYS)]
    if "-----BEGIN " in text:
        return [_from_pem(block) for block in _PEM.finditer(text)]
    packed = "".join(text.split())
    if not _BASE64.fullmatch(packed) or len(packed.rstrip("=")) % 4 == 1:
        raise _no_key("neither JWK, PEM nor base64")
    digits = packed.rstrip("=").replace("+", "-").replace("/", "_")
    return _from_bytes(base64.urlsafe_b64decode(digits + "=" * (-len(digits) % 4)))


def _from_document(document: Object) -> Iterable[PinnedKey]:
    if "keys" in document:
        return [_from_jwk(key) for key in document.objects("keys", max_items=limits.MAX_KEYS)]
    return [_from_jwk(document)]


def _from_pem(block: re.Match[str]) -> PinnedKey:
    if block["kind"].endswith("PRIVATE KEY"):
        raise _private()
    try:
        return _from_key(serialization.load_pem_public_key(block[0].encode()))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _no_key(str(error)) from error


def _from_bytes(data: bytes) -> Iterable[PinnedKey]:
    if data.lstrip().startswith(b"{"):
        return _from_document(read_object(data))
    if len(data) == 32:
        return [_from_key(Ed25519PublicKey.from_public_bytes(data))]
    try:
        return [_from_key(serialization.load_der_public_key(data))]
    except (ValueError, UnsupportedAlgorithm) as error:
        if _is_private(data):
            raise _private() from error
        raise _no_key(str(error)) from error


def _is_private(data: bytes) -> bool:
    try:
        serialization.load_der_private_key(data, password=None)
    except TypeError:
        # An encrypted one: the library misses its password.
        return True
    except (ValueError, UnsupportedAlgorithm):
        return False
    return True


def _from_key(key: object) -> PinnedKey:
    """Take the way through the JWK, so that there is one place for all checks."""
    if not isinstance(key, EllipticCurvePublicKey | Ed25519PublicKey | RSAPublicKey):
        raise _no_key(f"unknown kind {type(key).__name__}")
    if isinstance(key, EllipticCurvePublicKey) and not isinstance(key.curve, SECP256R1):
        raise _no_key(f"unknown curve {key.curve.name}")
    return _from_jwk(Object(dict(_members(key))))


# --- JWK --------------------------------------------------------------------------------------------------------------


def _from_jwk(jwk: Object) -> PinnedKey:
    for secret in _SECRETS:
        if secret in jwk:
            raise _private(jwk.at(secret))
    kind = jwk.text("kty")
    if kind not in _READERS:
        raise _no_key(f"unknown kind {kind}", jwk.at("kty"))
    algorithm = jwk.text("alg", _ALGORITHMS[kind][0])
    if algorithm not in _ALGORITHMS[kind]:
        raise _no_key(f"unknown algorithm {algorithm}", jwk.at("alg"))
    if jwk.text("use", "sig") != "sig" or "verify" not in (jwk.texts("key_ops") or ("verify",)):
        raise _no_key("not for signatures", jwk.at("use"))
    try:
        key = _READERS[kind](jwk)
    except ValueError as error:
        raise _no_key(str(error), jwk.path) from error
    members = _members(key)
    thumb = json.dumps(members, separators=(",", ":"), sort_keys=True).encode()
    text = json.dumps({**members, "alg": algorithm}, separators=(",", ":"), sort_keys=True)
    return PinnedKey(key, algorithm, text, encode_base64url(hashlib.sha256(thumb).digest()))


def _ec(jwk: Object) -> PublicKey:
    if jwk.text("crv") != "P-256":
        raise _no_key("unknown curve", jwk.at("crv"))
    x, y = (int.from_bytes(_coordinate(jwk, name)) for name in ("x", "y"))
    return EllipticCurvePublicNumbers(x, y, SECP256R1()).public_key()


def _okp(jwk: Object) -> PublicKey:
    if jwk.text("crv") != "Ed25519":
        raise _no_key("unknown curve", jwk.at("crv"))
    point = _coordinate(jwk, "x")
    if bytes((*point[:-1], point[-1] & _SIGN_BIT)) in _SMALL_ORDER:
        raise Refused(Reason.WEAK_KEY, "a point of small order: anybody can sign with it", path=jwk.at("x"))
    return Ed25519PublicKey.from_public_bytes(point)


def _rsa(jwk: Object) -> PublicKey:
    n, e = (int.from_bytes(_bytes(jwk, name)) for name in ("n", "e"))
    if n.bit_length() > limits.MAX_RSA_BITS:
        raise BadInput(Reason.TOO_LARGE, f"RSA above {limits.MAX_RSA_BITS} bits", path=jwk.at("n"))
    if n.bit_length() < _MIN_RSA_BITS:
        raise Refused(Reason.WEAK_KEY, f"RSA with {n.bit_length()} bits, {_MIN_RSA_BITS} are needed", path=jwk.at("n"))
    if e < _MIN_RSA_EXPONENT:
        raise Refused(Reason.WEAK_KEY, f"RSA with exponent {e}", path=jwk.at("e"))
    return RSAPublicNumbers(e, n).public_key()


_READERS = {"EC": _ec, "OKP": _okp, "RSA": _rsa}


def _bytes(jwk: Object, name: str) -> bytes:
    return decode_base64url(jwk.text(name, max_chars=limits.MAX_URL), jwk.at(name))


def _coordinate(jwk: Object, name: str) -> bytes:
    data = _bytes(jwk, name)
    if len(data) != 32:
        raise _no_key("32 bytes are needed", jwk.at(name))
    return data


def _members(key: PublicKey) -> dict[str, str]:
    """Return the members of a key's JWK that its thumbprint is made of (RFC 7638, section 3.2)."""
    if isinstance(key, RSAPublicKey):
        rsa = key.public_numbers()
        return {"kty": "RSA", "n": _number(rsa.n), "e": _number(rsa.e)}
    if isinstance(key, EllipticCurvePublicKey):
        point = key.public_numbers()
        return {"kty": "EC", "crv": "P-256", "x": _number(point.x, 32), "y": _number(point.y, 32)}
    return {"kty": "OKP", "crv": "Ed25519", "x": encode_base64url(key.public_bytes_raw())}


def _number(value: int, size: int = 0) -> str:
    return encode_base64url(value.to_bytes(size or (value.bit_length() + 7) // 8))
