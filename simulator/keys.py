"""Real keys for the simulated vendor."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal, Self

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

type Algorithm = Literal["ES256", "RS256", "PS256", "EdDSA"]
type PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

THUMBPRINT_MEMBERS = {"EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n"), "OKP": ("crv", "kty", "x")}


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A vendor's key pair."""

    algorithm: Algorithm
    private: PrivateKey

    @classmethod
    def generate(cls, algorithm: Algorithm = "ES256", *, rsa_bits: int = 2048) -> Self:
        """Make a new key; ``rsa_bits`` below 2048 gives one that nobody should accept."""
        match algorithm:
            case "ES256":
                return cls(algorithm, ec.generate_private_key(ec.SECP256R1()))
            case "EdDSA":
                return cls(algorithm, ed25519.Ed25519PrivateKey.generate())
            case _:
                return cls(algorithm, rsa.generate_private_key(public_exponent=65537, key_size=rsa_bits))

    @property
    def public_jwk(self) -> str:
        """The public half as JWK text, as a vendor publishes it: with ``alg`` and ``kid``."""
        return json.dumps(self._public() | {"alg": self.algorithm, "use": "sig", "kid": self.thumbprint})

    @property
    def public_pem(self) -> str:
        """The public half as PEM text."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.private.public_key().public_bytes(serialization.Encoding.PEM, form).decode()

    @property
    def thumbprint(self) -> str:
        """The key's thumbprint (RFC 7638)."""
        public = self._public()
        members = {name: public[name] for name in THUMBPRINT_MEMBERS[public["kty"]]}
        digest = hashlib.sha256(json.dumps(members, separators=(",", ":"), sort_keys=True).encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def sign(self, payload: bytes, *, kid: str | None = None, headers: dict[str, Any] | None = None) -> bytes:
        """Return a compact JWS of these bytes. ``kid`` may claim another key; ``headers`` may add anything."""
        extra = {"kid": kid if kid is not None else self.thumbprint, **(headers or {})}
        return jwt.PyJWS().encode(payload, self.private, algorithm=self.algorithm, headers=extra).encode()

    def _public(self) -> dict[str, Any]:
        public = self.private.public_key()
        if isinstance(public, ec.EllipticCurvePublicKey):
            return ECAlgorithm.to_jwk(public, as_dict=True)
        if isinstance(public, rsa.RSAPublicKey):
            return _without_operations(RSAAlgorithm.to_jwk(public, as_dict=True))
        return OKPAlgorithm.to_jwk(public, as_dict=True)


def unsigned(payload: bytes) -> bytes:
    """Return what looks like a compact JWS and says in its header that nobody signed it."""
    header = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=")
    return header + b"." + base64.urlsafe_b64encode(payload).rstrip(b"=") + b"."


def _without_operations(jwk: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in jwk.items() if key != "key_ops"}
