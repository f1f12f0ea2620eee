"""The maker's secret: made, kept in a file that only its owner reads, and used to sign.

The file is PKCS #8 in PEM. What it is for stands in words before it (RFC 7468, section 2, allows that), because an RSA
key alone does not say which of its two algorithms it was made for.
"""

from __future__ import annotations

import getpass
import json
import os
import re
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from .core import limits
from .core.errors import BadInput, HubError
from .core.keys import PinnedKey, pinned_key, read_keys
from .faults import Code, Exit, Fault, as_fault
from .files import read_file, write_new

ALGORITHMS = ("ES256", "RS256", "PS256", "EdDSA")
RSA_BITS = 3072

type Private = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

_WORDS = re.compile(rb"^Algorithm: (?P<algorithm>[A-Za-z0-9]+)\r?$", re.MULTILINE)
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key with its public half as the hub pins it."""

    private: Private
    public: PinnedKey

    def sign(self, payload: bytes) -> bytes:
        """Return the compact JWS of these bytes, and a line end."""
        headers = {"typ": None, "kid": self.public.fingerprint}
        token = jwt.PyJWS().encode(payload, self.private, algorithm=self.public.algorithm, headers=headers)
        return token.encode() + b"\n"


def make(algorithm: str) -> SigningKey:
    """Make a new key."""
    private: Private
    if algorithm == "ES256":
        private = ec.generate_private_key(ec.SECP256R1())
    elif algorithm == "EdDSA":
        private = ed25519.Ed25519PrivateKey.generate()
    else:
        private = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    return SigningKey(private, _public(private, algorithm))


def write(key: SigningKey, path: Path, passphrase: bytes | None) -> None:
    """Write the secret, for its owner alone.

    Raises:
        Fault: there is a file already, or the disk failed.
    """
    locked = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    pem = key.private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)
    words = ("Secret key of a firmware vendor", f"Algorithm: {key.public.algorithm}", f"Key: {key.public.fingerprint}")
    write_new(path, "\n".join((*words, "")).encode() + pem, mode=0o600)


def load(path: Path, passphrase: bytes | None, *, algorithm: str = "") -> SigningKey:
    """Read the secret; ask at the terminal for a passphrase that it needs and that was not given.

    Raises:
        Fault: no private key, a wrong passphrase, or a key that no hub would accept.
    """
    data = read_file(path, limits.MAX_KEY_TEXT)
    private = _private(data, passphrase, path)
    words = _WORDS.search(data)
    stated = algorithm or (words["algorithm"].decode() if words else "")
    try:
        return SigningKey(private, _public(private, stated))
    except HubError as error:
        raise as_fault(error, where=str(path)) from error


def read_by_others(path: Path) -> bool:
    """Say whether somebody else on this machine can read a file."""
    return os.name == "posix" and bool(path.stat().st_mode & _OTHERS)


def passphrase_from(file: str | None, *, ask_new: bool = False) -> bytes | None:
    """Return the first line of a file (``-``: standard input), or what a person types twice; ``None``: none wanted.

    Raises:
        Fault: the file cannot be read or is empty, or the two are different.
    """
    if file is not None:
        data = sys.stdin.buffer.readline() if file == "-" else read_file(Path(file), limits.MAX_KEY_TEXT)
        first = data.split(b"\n", 1)[0].rstrip(b"\r")
        if not first:
            raise Fault(Exit.BAD_INPUT, Code.PASSPHRASE_NEEDED, "the first line is empty", path=file)
        return first
    if not ask_new:
        return None
    first, second = (getpass.getpass(question).encode() for question in ("Passphrase: ", "Once more: "))
    if not first or first != second:
        raise Fault(Exit.BAD_INPUT, Code.WRONG_PASSPHRASE, "empty, or not twice the same")
    return first


def public_keys(path: Path) -> tuple[PinnedKey, ...]:
    """Read the public keys in a file, as the hub reads what an owner pastes.

    Raises:
        Fault: none in it, or one that no hub would accept.
    """
    data = read_file(path, limits.MAX_KEY_TEXT)
    try:
        return tuple(pinned_key(text) for text in read_keys(data.decode()))
    except UnicodeDecodeError as error:
        raise Fault(Exit.BAD_INPUT, "malformed", "no text, so no public key", path=str(path)) from error
    except HubError as error:
        raise as_fault(error, where=str(path)) from error


def _private(data: bytes, passphrase: bytes | None, path: Path) -> Private:
    try:
        found = serialization.load_pem_private_key(data, passphrase)
    except TypeError as error:
        if passphrase is None and sys.stdin.isatty():
            return _private(data, getpass.getpass(f"Passphrase of {path}: ").encode() or b"\0", path)
        if passphrase is None:
            raise Fault(Exit.BAD_INPUT, Code.PASSPHRASE_NEEDED, "--passphrase-file", path=str(path)) from error
        found = serialization.load_pem_private_key(data, None)
    except (ValueError, UnsupportedAlgorithm) as error:
        if b"ENCRYPTED" in data:
            raise Fault(Exit.BAD_INPUT, Code.WRONG_PASSPHRASE, "it does not open this key", path=str(path)) from error
        raise Fault(Exit.BAD_INPUT, Code.NO_PRIVATE_KEY, "no private key in PEM", path=str(path)) from error
    if not isinstance(found, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
        raise Fault(Exit.BAD_INPUT, Code.NO_PRIVATE_KEY, f"{type(found).__name__} signs nothing here", path=str(path))
    return found


def _public(private: Private, algorithm: str) -> PinnedKey:
    """Return the public half, through the hub's own reader: a weak key or a wrong curve ends here."""
    info = serialization.PublicFormat.SubjectPublicKeyInfo
    pem = private.public_key().public_bytes(serialization.Encoding.PEM, info)
    (text,) = read_keys(pem.decode())
    if not algorithm:
        return pinned_key(text)
    try:
        return pinned_key(json.dumps({**json.loads(text), "alg": algorithm}))
    except BadInput as error:
        raise BadInput(error.reason, f"this kind of key does not sign with {algorithm}") from error
