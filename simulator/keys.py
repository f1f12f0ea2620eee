"""Real keys and certificates for the simulated vendor."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import json
import ssl
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, Self

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
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


def server_certificate(*hosts: str) -> tuple[ssl.SSLContext, bytes]:
    """Make a server context with a new certificate for these hosts; returns it with its authority's PEM."""
    now = datetime.now(UTC)
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority_name = _name("Simulated authority")
    authority = (
        _builder(authority_name, authority_name, authority_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    certificate = (
        _builder(_name(hosts[0]), authority_name, key.public_key(), now)
        .add_extension(x509.SubjectAlternativeName([_alternative(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(issuer, critical=False)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile(prefix="simulated-vendor-", suffix=".pem") as file:
        file.write(_pem(key) + certificate.public_bytes(serialization.Encoding.PEM))
        file.flush()
        context.load_cert_chain(Path(file.name))
    return context, authority.public_bytes(serialization.Encoding.PEM)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def _without_operations(jwk: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in jwk.items() if key != "key_ops"}
