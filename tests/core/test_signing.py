"""Signed envelopes: one genuine way through, and every other way refused by its name."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448

from custom_components.firmware_hub.core import limits
from custom_components.firmware_hub.core.errors import BadInput, HubError, Reason, Refused
from custom_components.firmware_hub.core.model import Trust
from custom_components.firmware_hub.core.signing import accept, verify

from .jws import Private, b64, ec_key, ed_key, envelope, name, pin, rsa_key, sign

PAYLOAD = b'{"spec":"firmware-manifest/1"}'


def refusal(raw: bytes, *keys: str) -> Reason:
    with pytest.raises(HubError) as caught:
        verify(raw, keys)
    return caught.value.reason


# --- genuine ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "algorithm", "stated"),
    [
        (ec_key, "ES256", None),
        (ec_key, "ES256", "ES256"),
        (ed_key, "EdDSA", None),
        (rsa_key, "RS256", None),
        (rsa_key, "PS256", "PS256"),
    ],
)
def test_a_statement_by_a_pinned_key_is_verified(
    key: Callable[[], Private], algorithm: str, stated: str | None
) -> None:
    verified = verify(sign(key(), PAYLOAD, algorithm), (pin(key(), alg=stated),))
    assert verified.payload == PAYLOAD
    assert verified.trust is Trust.SIGNED
    assert verified.key_id == name(key())
    assert verified.sha256 == hashlib.sha256(PAYLOAD).hexdigest()


@pytest.mark.parametrize("header", [{}, {"kid": "their own name"}, {"typ": "JWT", "cty": "x"}])
def test_any_of_the_pinned_keys_may_sign(header: dict[str, str]) -> None:
    keys = (pin(ed_key()), pin(ec_key("other")), pin(ec_key()))
    assert verify(sign(ec_key(), PAYLOAD, "ES256", **header), keys).key_id == name(ec_key())


def test_a_header_may_name_its_key_by_fingerprint() -> None:
    raw = sign(ec_key(), PAYLOAD, "ES256", kid=name(ec_key()))
    assert verify(raw, (pin(ec_key("other")), pin(ec_key()))).key_id == name(ec_key())


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_one_line_end_is_forgiven(end: bytes) -> None:
    assert verify(sign(ec_key(), PAYLOAD, "ES256") + end, (pin(ec_key()),)).payload == PAYLOAD


def test_two_signatures_of_one_payload_have_one_digest() -> None:
    first, second = (verify(sign(ec_key(), PAYLOAD, "ES256"), (pin(ec_key()),)) for _ in range(2))
    assert first.sha256 == second.sha256


# --- forged -----------------------------------------------------------------------------------------------------------


def test_a_payload_that_was_changed_is_a_bad_signature() -> None:
    header, _, signature = sign(ec_key(), PAYLOAD, "ES256").split(b".")
    assert refusal(b".".join((header, b64(b"{}"), signature)), pin(ec_key())) is Reason.BAD_SIGNATURE


def test_a_header_that_was_changed_is_a_bad_signature() -> None:
    _, payload, signature = sign(ec_key(), PAYLOAD, "ES256").split(b".")
    header = b64(b'{"alg":"ES256","typ":"x"}')
    assert refusal(b".".join((header, payload, signature)), pin(ec_key())) is Reason.BAD_SIGNATURE


def test_a_stranger_without_a_name_is_a_bad_signature() -> None:
    assert refusal(sign(ec_key("stranger"), PAYLOAD, "ES256"), pin(ec_key())) is Reason.BAD_SIGNATURE


def test_a_stranger_under_the_pinned_keys_name_is_a_bad_signature() -> None:
    raw = sign(ec_key("stranger"), PAYLOAD, "ES256", kid=name(ec_key()))
    assert refusal(raw, pin(ec_key()), pin(ec_key("stranger"))) is Reason.BAD_SIGNATURE


def test_a_stranger_under_its_own_name_is_an_untrusted_key() -> None:
    raw = sign(ec_key("stranger"), PAYLOAD, "ES256", kid=name(ec_key("stranger")))
    assert refusal(raw, pin(ec_key())) is Reason.UNTRUSTED_KEY


def test_without_pinned_keys_every_key_is_untrusted() -> None:
    assert refusal(sign(ec_key(), PAYLOAD, "ES256")) is Reason.UNTRUSTED_KEY


def test_a_key_in_the_header_is_not_looked_at() -> None:
    stranger = ec_key("stranger")
    raw = sign(stranger, PAYLOAD, "ES256", jwk=json.loads(pin(stranger)), jku="https://evil.example/keys")
    assert refusal(raw, pin(ec_key())) is Reason.BAD_SIGNATURE


# --- no signature at all ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE"])
@pytest.mark.parametrize("signature", [b"", b"AAAA"])
def test_an_envelope_that_says_none_is_unsigned(alg: str, signature: bytes) -> None:
    raw = b".".join((b64(json.dumps({"alg": alg}).encode()), b64(PAYLOAD), signature))
    assert refusal(raw, pin(ec_key())) is Reason.UNSIGNED


def test_an_envelope_whose_signature_was_cut_off_is_unsigned() -> None:
    raw = sign(ec_key(), PAYLOAD, "ES256").rpartition(b".")[0] + b"."
    assert refusal(raw, pin(ec_key())) is Reason.UNSIGNED


@pytest.mark.parametrize("raw", [PAYLOAD, b"\n[]"])
def test_plain_json_is_unsigned(raw: bytes) -> None:
    assert refusal(raw, pin(ec_key())) is Reason.UNSIGNED


# --- the algorithm is the pinned key's --------------------------------------------------------------------------------


def hmac_with(secret: bytes, algorithm: str = "HS256") -> bytes:
    signed = b64(json.dumps({"alg": algorithm}).encode()) + b"." + b64(PAYLOAD)
    return signed + b"." + b64(hmac.new(secret, signed, hashlib.sha256).digest())


def spellings(key: Private) -> list[bytes]:
    public = key.public_key()
    info = serialization.PublicFormat.SubjectPublicKeyInfo
    return [
        public.public_bytes(serialization.Encoding.PEM, info),
        public.public_bytes(serialization.Encoding.DER, info),
        pin(key).encode(),
    ]


@pytest.mark.parametrize("key", [ec_key, ed_key, rsa_key])
def test_the_public_key_is_no_shared_secret(key: Callable[[], Private]) -> None:
    found = {refusal(hmac_with(secret), pin(key())) for secret in spellings(key())}
    assert found == {Reason.BAD_SIGNATURE}


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [(rsa_key, "PS256"), (rsa_key, "RS512"), (ec_key, "RS256"), (ed_key, "ES256"), (ec_key, "es256"), (ec_key, "")],
)
def test_a_header_with_another_algorithm_is_refused(key: Callable[[], Private], algorithm: str) -> None:
    raw = envelope(key(), PAYLOAD, json.dumps({"alg": algorithm}).encode())
    assert refusal(raw, pin(key())) in (Reason.BAD_SIGNATURE, Reason.MALFORMED)


def test_a_genuine_signature_by_the_keys_other_algorithm_is_refused() -> None:
    assert refusal(sign(rsa_key(), PAYLOAD, "PS256"), pin(rsa_key(), alg="RS256")) is Reason.BAD_SIGNATURE


def test_a_signature_on_another_curve_is_refused() -> None:
    other = ec.generate_private_key(ec.SECP384R1())
    assert refusal(envelope(other, PAYLOAD, b'{"alg":"ES256"}'), pin(ec_key())) is Reason.BAD_SIGNATURE


def test_an_ed448_signature_is_refused() -> None:
    other = ed448.Ed448PrivateKey.generate()
    assert refusal(sign(other, PAYLOAD, "EdDSA"), pin(ed_key())) is Reason.BAD_SIGNATURE


# --- pinned keys are checked again ------------------------------------------------------------------------------------


def test_a_weak_pinned_key_is_refused_though_it_signed() -> None:
    weak = rsa_key(1024)
    assert refusal(envelope(weak, PAYLOAD, b'{"alg":"RS256"}'), pin(weak)) is Reason.WEAK_KEY


def test_a_pinned_ed448_key_is_no_key() -> None:
    other = ed448.Ed448PrivateKey.generate()
    assert refusal(sign(other, PAYLOAD, "EdDSA"), pin(other)) is Reason.MALFORMED


# --- malformed --------------------------------------------------------------------------------------------------------


def with_header(header: bytes) -> bytes:
    return envelope(ec_key(), PAYLOAD, header)


@pytest.mark.parametrize(
    "header",
    [
        b"not json",
        b"[]",
        b"{}",
        b'{"alg":null}',
        b'{"alg":7}',
        b'{"alg":["ES256"]}',
        b'{"alg":"ES256","alg":"none"}',
        b'{"alg":"ES256","kid":7}',
        b'{"alg":"ES256","crit":["exp"],"exp":1}',
        b'{"alg":"ES256","crit":[]}',
        b'{"alg":"ES256","crit":"x"}',
        b'{"alg":"ES256","b64":false,"crit":["b64"]}',
        b'{"alg":"ES256","b64":true}',
        b'\xff{"alg":"ES256"}',
    ],
)
def test_a_header_that_makes_no_sense_is_malformed(header: bytes) -> None:
    assert refusal(with_header(header), pin(ec_key())) is Reason.MALFORMED


@pytest.mark.parametrize(
    "header", [b"[" * 4_000, b'{"alg":"ES256","x":' + b"[" * 3_000 + b"]" * 3_000 + b"}", b'{"alg":"' + b"x" * 9_000]
)
def test_a_deep_or_long_header_is_too_large(header: bytes) -> None:
    assert refusal(with_header(header), pin(ec_key())) is Reason.TOO_LARGE


def test_a_header_100_000_levels_deep_is_too_large() -> None:
    assert refusal(with_header(b"[" * 100_000 + b"]" * 100_000), pin(ec_key())) is Reason.TOO_LARGE


def mangled(change: Callable[[bytes], bytes]) -> bytes:
    return change(sign(ec_key(), PAYLOAD, "ES256"))


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw.rpartition(b".")[0],
        lambda raw: raw + b".x",
        lambda raw: b" " + raw,
        lambda raw: raw + b" ",
        lambda raw: raw + b"\n\n",
        lambda raw: raw.replace(b".", b"\n.", 1),
        lambda raw: raw + b"==",
        lambda raw: raw.replace(b".", b"==.", 1),
        lambda raw: b"!" + raw,
        lambda raw: raw.replace(b".", b"A.", 1),
    ],
)
def test_what_is_no_compact_envelope_is_malformed(change: Callable[[bytes], bytes]) -> None:
    assert refusal(mangled(change), pin(ec_key())) is Reason.MALFORMED


@pytest.mark.parametrize("raw", [b"", b"<html>Sign in</html>", b"....", b"a.b.c", b"e30.e30.e30", b"\xff.\xff.\xff"])
def test_what_is_something_else_is_malformed(raw: bytes) -> None:
    assert refusal(raw, pin(ec_key())) is Reason.MALFORMED


def stray_bits(segment: int) -> bytes:
    """Change the bits behind the last byte of a segment, which mean nothing."""
    parts = sign(ec_key(), b"x", "ES256", kid="k").split(b".")
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet.index(parts[segment][-1:])
    parts[segment] = parts[segment][:-1] + alphabet[last ^ 1 : (last ^ 1) + 1]
    return b".".join(parts)


@pytest.mark.parametrize("segment", [1, 2])
def test_bits_that_mean_nothing_are_malformed(segment: int) -> None:
    assert refusal(stray_bits(segment), pin(ec_key())) is Reason.MALFORMED


def test_an_envelope_above_its_bound_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = sign(ec_key(), PAYLOAD, "ES256")
    monkeypatch.setattr(limits, "MAX_MANIFEST_BYTES", len(raw) - 1)
    assert refusal(raw, pin(ec_key())) is Reason.TOO_LARGE


def test_a_fault_of_the_owner_and_one_of_the_vendor_are_told_apart() -> None:
    with pytest.raises(BadInput):
        verify(b"", ())
    with pytest.raises(Refused):
        verify(PAYLOAD, ())


# --- below signed -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trust", [Trust.DIGEST, Trust.VENDOR])
def test_bytes_may_be_accepted_as_no_more_than_they_are(trust: Trust) -> None:
    accepted = accept(PAYLOAD, trust)
    assert (accepted.payload, accepted.trust, accepted.key_id) == (PAYLOAD, trust, "")
    assert accepted.sha256 == hashlib.sha256(PAYLOAD).hexdigest()


def test_nothing_is_signed_without_a_check() -> None:
    with pytest.raises(RuntimeError):
        accept(PAYLOAD, Trust.SIGNED)


def test_accepted_bytes_have_their_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_INDEX_BYTES", 3)
    with pytest.raises(BadInput) as caught:
        accept(b"1234", Trust.DIGEST)
    assert caught.value.reason is Reason.TOO_LARGE
