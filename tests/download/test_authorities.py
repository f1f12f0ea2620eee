"""What an owner may paste as a certificate authority: whole ones that count today, and nothing secret."""

import ssl
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from custom_components.firmware_hub.authorities import MAX_AUTHORITIES, read_authority, tls_context
from custom_components.firmware_hub.core.errors import HubError, Reason
from simulator.certificates import Authority

NOW = datetime.now(UTC)
OWN, NEXT = Authority("Acme"), Authority("Acme, next")
SERVER = OWN.for_server("127.0.0.1")
DAY = timedelta(days=1)


def made(*extensions: tuple[x509.ExtensionType, bool], key: Any = None) -> str:
    """Make a certificate with these extensions, signed by itself."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Made at home")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + DAY)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def usage(*, signs: bool) -> x509.KeyUsage:
    others = dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False)
    return x509.KeyUsage(
        digital_signature=True, key_cert_sign=signs, crl_sign=signs, encipher_only=False, decipher_only=False, **others
    )


CA = (x509.BasicConstraints(ca=True, path_length=None), True)


def refusal(text: str, now: datetime = NOW) -> Reason | None:
    try:
        read_authority(text, now)
    except HubError as refused:
        return refused.reason
    return None


def test_a_certificate_is_kept_and_what_stands_around_it_is_not() -> None:
    assert read_authority(f"My CA, keep safe\n\n{OWN.pem}\n-- \nEve", NOW) == OWN.pem


def test_several_are_kept_once_each() -> None:
    assert read_authority(OWN.pem + NEXT.pem + OWN.pem, NOW) == OWN.pem + NEXT.pem


def test_nobody_is_believed_beside_it() -> None:
    context = tls_context(OWN.pem)
    assert context.cert_store_stats() == {"x509": 1, "x509_ca": 1, "crl": 0}
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)


@pytest.mark.parametrize("text", ["", " \n "])
def test_nothing_is_no_authority(text: str) -> None:
    assert read_authority(text, NOW) == ""


@pytest.mark.parametrize("extensions", [(CA,), (CA, (usage(signs=True), True))], ids=["plain", "with its use"])
def test_an_authority_that_somebody_made_at_home_is_as_good(extensions: Any) -> None:
    text = made(*extensions)
    assert read_authority(text, NOW) == text


@pytest.mark.parametrize("text", ["hello", "\ud800", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate_says_so(text: str) -> None:
    assert refusal(text) is Reason.MALFORMED


def test_a_certificate_that_is_cut_off_says_so() -> None:
    assert refusal(OWN.pem[:200]) is Reason.MALFORMED


@pytest.mark.parametrize("kind", ["PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "OPENSSH PRIVATE KEY"])
def test_a_private_key_is_refused_whatever_stands_beside_it(kind: str) -> None:
    assert refusal(f"{OWN.pem}-----BEGIN {kind}-----\nAAAA\n-----END {kind}-----\n") is Reason.PRIVATE_KEY


def test_the_key_of_a_real_server_is_refused() -> None:
    assert refusal(SERVER.key) is Reason.PRIVATE_KEY


@pytest.mark.parametrize(
    "text",
    [
        SERVER.certificate,
        OWN.pem + SERVER.certificate,
        made(),
        made((x509.BasicConstraints(ca=False, path_length=None), True)),
        made(CA, (usage(signs=False), True)),
    ],
    ids=["a server's", "with a server's", "says nothing", "says no", "may sign nothing"],
)
def test_who_may_vouch_for_nobody_is_no_authority(text: str) -> None:
    assert refusal(text) is Reason.UNTRUSTED_KEY


def test_the_time_of_an_authority_must_have_come_and_not_be_over() -> None:
    assert refusal(OWN.pem, NOW - 2 * DAY) is Reason.NOT_YET_VALID
    assert refusal(OWN.pem, NOW + 31 * DAY) is Reason.EXPIRED


def test_a_weak_key_is_refused() -> None:
    assert refusal(made(CA, key=rsa.generate_private_key(65537, 1024))) is Reason.WEAK_KEY  # noqa: S505


def test_there_are_bounds() -> None:
    assert refusal("x" * 100_000) is Reason.TOO_LARGE
    many = "".join(made(CA) for _ in range(MAX_AUTHORITIES + 1))
    assert refusal(many) is Reason.TOO_LARGE
