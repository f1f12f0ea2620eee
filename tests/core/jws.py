"""Real keys and envelopes for the tests of signing, made by hand so that they can be wrong in every way."""

from __future__ import annotations

import base64
import functools
import json
from typing import Any

import jwt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from custom_components.firmware_hub.core.signing import fingerprint

type Private = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey


@functools.cache
def ec_key(name: str = "vendor") -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(name.encode()), ec.SECP256R1())


@functools.cache
def ed_key(name: str = "vendor") -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.from_private_bytes(name.encode().ljust(32, b"."))


@functools.cache
def rsa_key(bits: int = 2048, exponent: int = 65537) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=exponent, key_size=bits)


def public(key: Private, **changes: Any) -> dict[str, Any]:
    """Return the public JWK, changed; ``None`` takes a member away."""
    found: dict[str, Any]
    if isinstance(key, ec.EllipticCurvePrivateKey):
        found = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    elif isinstance(key, rsa.RSAPrivateKey):
        found = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    else:
        found = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {name: value for name, value in (found | changes).items() if value is not None}


def private(key: Private) -> dict[str, Any]:
    """Return the private JWK."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return ECAlgorithm.to_jwk(key, as_dict=True)
    if isinstance(key, rsa.RSAPrivateKey):
        return RSAAlgorithm.to_jwk(key, as_dict=True)
    return OKPAlgorithm.to_jwk(key, as_dict=True)


def pin(key: Private, **changes: Any) -> str:
    return json.dumps(public(key, **changes))


def name(key: Private) -> str:
    return fingerprint(pin(key))


def b64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def sign(key: Private, payload: bytes, algorithm: str, **header: Any) -> bytes:
    """Sign as a vendor's tool does."""
    return jwt.PyJWS().encode(payload, key, algorithm=algorithm, headers=header).encode()


def envelope(key: Private, payload: bytes, header: bytes) -> bytes:
    """Sign with any header bytes, those that no tool would write too."""
    signed = b64(header) + b"." + b64(payload)
    return signed + b"." + b64(_signature(key, signed))


def _signature(key: Private, signed: bytes) -> bytes:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(hashes.SHA256())))
        size = (key.curve.key_size + 7) // 8
        return r.to_bytes(size) + s.to_bytes(size)
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    return key.sign(signed)
