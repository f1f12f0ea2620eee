"""Published signature vectors, and signatures that are malformed in the ways that verifiers have fallen for.

The vectors are those of RFC 7515, appendix A, and RFC 8037, appendix A.4. The malformed ones follow the classes of
Project Wycheproof; they are made here, with keys whose secret is known.
"""
# ruff: noqa: ARG005 - each way to spoil a signature takes the same arguments

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from custom_components.firmware_hub.core.errors import HubError, Reason
from custom_components.firmware_hub.core.signing import fingerprint, verify

from .jws import Private, b64, ec_key, ed_key, pin, rsa_key, sign

# --- RFC 7515, appendix A ---------------------------------------------------------------------------------------------

JOE = b'{"iss":"joe",\r\n "exp":1300819380,\r\n "http://example.com/is_root":true}'
_JOE = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"

A1_HS256 = f"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{_JOE}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
A1_SECRET = {
    "kty": "oct",
    "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
}
A2_RS256 = (
    f"eyJhbGciOiJSUzI1NiJ9.{_JOE}.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt"
    "_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB"
    "_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVm"
    "tVrBp0igcN_IoypGlUPQGe77Rw"
)
A2_KEY = {
    "kty": "RSA",
    "n": (
        "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pC"
        "gNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg6"
        "65xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRW"
        "yuXpoQ"
    ),
    "e": "AQAB",
}
A3_ES256 = (
    f"eyJhbGciOiJFUzI1NiJ9.{_JOE}."
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
)
A3_KEY = {
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}
A4_ES512 = (
    "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA."
    "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3"
    "xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn"
)
A4_KEY = {
    "kty": "EC",
    "crv": "P-521",
    "x": "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",
    "y": "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2",
}
A5_NONE = f"eyJhbGciOiJub25lIn0.{_JOE}."
A6_JSON = json.dumps(
    {"payload": _JOE, "signatures": [{"protected": "eyJhbGciOiJFUzI1NiJ9", "signature": A3_ES256.split(".")[2]}]}
)

# --- RFC 8037, appendix A.4 -------------------------------------------------------------------------------------------

ED25519 = (
    "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
    "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
)
ED25519_KEY = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}


def refusal(raw: str | bytes, *keys: dict[str, str] | str) -> Reason:
    texts = tuple(key if isinstance(key, str) else json.dumps(key) for key in keys)
    with pytest.raises(HubError) as caught:
        verify(raw if isinstance(raw, bytes) else raw.encode(), texts)
    return caught.value.reason


@pytest.mark.parametrize(
    ("token", "key", "payload"),
    [
        pytest.param(A2_RS256, A2_KEY, JOE, id="RFC 7515 A.2"),
        pytest.param(A3_ES256, A3_KEY, JOE, id="RFC 7515 A.3"),
        pytest.param(ED25519, ED25519_KEY, b"Example of Ed25519 signing", id="RFC 8037 A.4"),
    ],
)
def test_a_published_signature_of_an_allowed_kind_is_verified(token: str, key: dict[str, str], payload: bytes) -> None:
    verified = verify(token.encode(), (json.dumps(key),))
    assert verified.payload == payload
    assert verified.key_id == fingerprint(json.dumps(key))


def test_the_published_thumbprint_is_the_fingerprint() -> None:
    assert fingerprint(json.dumps(ED25519_KEY)) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


@pytest.mark.parametrize(
    ("token", "key", "reason"),
    [
        pytest.param(A1_HS256, A3_KEY, Reason.BAD_SIGNATURE, id="A.1, a shared secret, against a public key"),
        pytest.param(A1_HS256, A1_SECRET, Reason.PRIVATE_KEY, id="A.1, a shared secret that somebody pinned"),
        pytest.param(A4_ES512, A3_KEY, Reason.BAD_SIGNATURE, id="A.4, another curve"),
        pytest.param(A4_ES512, A4_KEY, Reason.MALFORMED, id="A.4, another curve that somebody pinned"),
        pytest.param(A5_NONE, A3_KEY, Reason.UNSIGNED, id="A.5, no signature"),
        pytest.param(A6_JSON, A3_KEY, Reason.UNSIGNED, id="A.6, the JSON form"),
        pytest.param(A2_RS256, A2_KEY | {"alg": "PS256"}, Reason.BAD_SIGNATURE, id="A.2, a key pinned for PS256"),
        pytest.param(A2_RS256, A3_KEY, Reason.BAD_SIGNATURE, id="A.2, another key"),
        pytest.param(A3_ES256, ED25519_KEY, Reason.BAD_SIGNATURE, id="A.3, another kind of key"),
    ],
)
def test_a_published_signature_of_another_kind_is_refused(token: str, key: dict[str, str], reason: Reason) -> None:
    assert refusal(token, key) is reason


@pytest.mark.parametrize(("token", "key"), [(A2_RS256, A2_KEY), (A3_ES256, A3_KEY), (ED25519, ED25519_KEY)])
@pytest.mark.parametrize("part", [1, 2])
def test_a_published_signature_with_a_changed_character_is_refused(token: str, key: dict[str, str], part: int) -> None:
    parts = token.split(".")
    middle = len(parts[part]) // 2
    other = "A" if parts[part][middle] != "A" else "B"
    parts[part] = parts[part][:middle] + other + parts[part][middle + 1 :]
    assert refusal(".".join(parts), key) is Reason.BAD_SIGNATURE


# --- malformed ECDSA --------------------------------------------------------------------------------------------------

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
PRIME = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
PAYLOAD = b'{"spec":"firmware-manifest/1"}'
ES256 = b64(b'{"alg":"ES256"}') + b"." + b64(PAYLOAD)
EDDSA = b64(b'{"alg":"EdDSA"}') + b"." + b64(PAYLOAD)


def ecdsa() -> tuple[int, int]:
    r, s = decode_dss_signature(ec_key().sign(ES256, ec.ECDSA(hashes.SHA256())))
    return r, s


def raw(r: int, s: int, size: int = 32) -> bytes:
    return r.to_bytes(size) + s.to_bytes(size)


def with_signature(signed: bytes, signature: bytes) -> bytes:
    return signed + b"." + b64(signature)


def test_the_signature_that_is_spoilt_below_is_good() -> None:
    assert verify(with_signature(ES256, raw(*ecdsa())), (pin(ec_key()),)).payload == PAYLOAD


@pytest.mark.parametrize("r", [0, 1, ORDER - 1, ORDER, ORDER + 1, PRIME, 2**256 - 1])
@pytest.mark.parametrize("s", [0, 1, ORDER - 1, ORDER, ORDER + 1, PRIME, 2**256 - 1])
def test_numbers_at_the_edges_sign_nothing(r: int, s: int) -> None:
    assert refusal(with_signature(ES256, raw(r, s)), pin(ec_key())) is Reason.BAD_SIGNATURE


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda r, s: raw(0, s), id="r is zero"),
        pytest.param(lambda r, s: raw(r, 0), id="s is zero"),
        pytest.param(lambda r, s: raw(ORDER - r, s), id="r is negative"),
        pytest.param(lambda r, s: raw(s, r), id="r and s are swapped"),
        pytest.param(lambda r, s: raw(r ^ 1, s), id="r is off by one bit"),
        pytest.param(lambda r, s: raw(r, s ^ 1 << 255), id="s is off by its highest bit"),
        pytest.param(lambda r, s: r.to_bytes(32, "little") + s.to_bytes(32, "little"), id="little endian"),
        pytest.param(lambda r, s: r.to_bytes(32), id="r alone"),
        pytest.param(lambda r, s: raw(r, s)[:-1], id="a byte is missing"),
        pytest.param(lambda r, s: raw(r, s)[1:], id="the first byte is missing"),
        pytest.param(lambda r, s: raw(r, s) + b"\0", id="a zero behind it"),
        pytest.param(lambda r, s: b"\0" + raw(r, s), id="a zero before it"),
        pytest.param(lambda r, s: raw(r, s) * 2, id="twice"),
        pytest.param(lambda r, s: raw(r, s, 33), id="numbers with a leading zero"),
        pytest.param(lambda r, s: raw(r, s, 48), id="numbers as long as those of P-384"),
        pytest.param(lambda r, s: raw(r + ORDER, s, 33), id="r beyond the order of the curve"),
        pytest.param(lambda r, s: bytes(64), id="only zeros"),
        pytest.param(lambda r, s: bytes(1), id="one zero"),
        pytest.param(lambda r, s: bytes(10_000), id="ten thousand zeros"),
    ],
)
def test_a_spoilt_ecdsa_signature_is_refused(spoil: Callable[[int, int], bytes]) -> None:
    assert refusal(with_signature(ES256, spoil(*ecdsa())), pin(ec_key())) is Reason.BAD_SIGNATURE


def test_a_signature_in_der_is_no_signature_of_this_envelope() -> None:
    der = ec_key().sign(ES256, ec.ECDSA(hashes.SHA256()))
    assert refusal(with_signature(ES256, der), pin(ec_key())) is Reason.BAD_SIGNATURE


def test_a_signature_over_another_hash_is_refused() -> None:
    r, s = decode_dss_signature(ec_key().sign(ES256, ec.ECDSA(hashes.SHA384())))
    assert refusal(with_signature(ES256, raw(r, s)), pin(ec_key())) is Reason.BAD_SIGNATURE


@pytest.mark.parametrize("curve", [ec.SECP256K1(), ec.SECP384R1(), ec.SECP521R1(), ec.BrainpoolP256R1()])
def test_a_signature_on_another_curve_is_refused(curve: ec.EllipticCurve) -> None:
    other = ec.derive_private_key(7, curve)
    r, s = decode_dss_signature(other.sign(ES256, ec.ECDSA(hashes.SHA256())))
    size = (curve.key_size + 7) // 8
    assert refusal(with_signature(ES256, raw(r, s, size)), pin(ec_key())) is Reason.BAD_SIGNATURE


@pytest.mark.parametrize("curve", ["P-384", "P-521", "secp256k1", "p-256", "", "Ed25519"])
def test_a_pinned_key_that_names_another_curve_is_no_key(curve: str) -> None:
    raw_envelope = with_signature(ES256, raw(*ecdsa()))
    assert refusal(raw_envelope, pin(ec_key(), crv=curve)) is Reason.MALFORMED


def test_a_pinned_point_that_is_not_on_the_curve_is_no_key() -> None:
    off = pin(ec_key(), y=b64(bytes(32)).decode())
    assert refusal(with_signature(ES256, raw(*ecdsa())), off) is Reason.MALFORMED


# --- malformed EdDSA --------------------------------------------------------------------------------------------------

ED_ORDER = 2**252 + 27742317777372353535851937790883648493


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda good: bytes(64), id="only zeros"),
        pytest.param(lambda good: good[:32] + bytes(32), id="s is zero"),
        pytest.param(lambda good: bytes(32) + good[32:], id="r is zero"),
        pytest.param(lambda good: b"\1" + bytes(31) + good[32:], id="r is the neutral point"),
        pytest.param(
            lambda good: good[:32] + (int.from_bytes(good[32:], "little") + ED_ORDER).to_bytes(32, "little"),
            id="s beyond the order, which some libraries take",
        ),
        pytest.param(lambda good: good[:32] + b"\xff" * 32, id="s is as large as can be"),
        pytest.param(lambda good: good[32:] + good[:32], id="r and s are swapped"),
        pytest.param(lambda good: good[:-1], id="a byte is missing"),
        pytest.param(lambda good: good + b"\0", id="a zero behind it"),
        pytest.param(lambda good: good * 2, id="twice"),
        pytest.param(lambda good: good[::-1], id="backwards"),
    ],
)
def test_a_spoilt_eddsa_signature_is_refused(spoil: Callable[[bytes], bytes]) -> None:
    spoilt = spoil(ed_key().sign(EDDSA))
    assert refusal(with_signature(EDDSA, spoilt), pin(ed_key())) is Reason.BAD_SIGNATURE


# --- malformed RSA ----------------------------------------------------------------------------------------------------

RS256 = b64(b'{"alg":"RS256"}') + b"." + b64(PAYLOAD)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda good: bytes(len(good)), id="zero"),
        pytest.param(lambda good: bytes(len(good) - 1) + b"\1", id="one"),
        pytest.param(lambda good: rsa_key().public_key().public_numbers().n.to_bytes(len(good)), id="the modulus"),
        pytest.param(lambda good: b"\0" + good, id="a zero before it"),
        pytest.param(lambda good: good + b"\0", id="a zero behind it"),
        pytest.param(lambda good: good[:-1], id="a byte is missing"),
        pytest.param(lambda good: good[::-1], id="backwards"),
    ],
)
def test_a_spoilt_rsa_signature_is_refused(spoil: Callable[[bytes], bytes]) -> None:
    spoilt = spoil(rsa_key().sign(RS256, padding.PKCS1v15(), hashes.SHA256()))
    assert refusal(with_signature(RS256, spoilt), pin(rsa_key())) is Reason.BAD_SIGNATURE


def test_an_rsa_signature_over_another_hash_is_refused() -> None:
    other = rsa_key().sign(RS256, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303
    assert refusal(with_signature(RS256, other), pin(rsa_key())) is Reason.BAD_SIGNATURE


def test_a_pss_signature_under_the_name_of_the_other_padding_is_refused() -> None:
    pss = rsa_key().sign(RS256, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    assert refusal(with_signature(RS256, pss), pin(rsa_key())) is Reason.BAD_SIGNATURE


# --- confusion of kinds -----------------------------------------------------------------------------------------------


def spellings(key: Private) -> list[bytes]:
    """Return the public key in every form in which a library could take it for a shared secret."""
    public, info = key.public_key(), serialization.PublicFormat.SubjectPublicKeyInfo
    pem = public.public_bytes(serialization.Encoding.PEM, info)
    return [pem, pem.strip(), public.public_bytes(serialization.Encoding.DER, info), pin(key).encode(), b""]


@pytest.mark.parametrize("key", [ec_key, ed_key, rsa_key])
@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_the_public_key_is_no_shared_secret(key: Callable[[], Private], algorithm: str) -> None:
    signed = b64(json.dumps({"alg": algorithm}).encode()) + b"." + b64(PAYLOAD)
    hashing = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}[algorithm]
    forged = [with_signature(signed, hmac.new(secret, signed, hashing).digest()) for secret in spellings(key())]
    assert {refusal(envelope, pin(key())) for envelope in forged} == {Reason.BAD_SIGNATURE}


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE"])
def test_a_good_signature_under_the_name_none_is_no_signature(name: str) -> None:
    signed = b64(json.dumps({"alg": name}).encode()) + b"." + b64(PAYLOAD)
    good = ed_key().sign(signed)
    assert refusal(with_signature(signed, good), pin(ed_key())) is Reason.UNSIGNED


def test_an_empty_signature_is_no_signature() -> None:
    assert refusal(ES256 + b".", pin(ec_key())) is Reason.UNSIGNED


def test_a_signature_of_another_payload_is_refused() -> None:
    signature = sign(ec_key(), b"{}", "ES256").rpartition(b".")[2]
    assert refusal(ES256 + b"." + signature, pin(ec_key())) is Reason.BAD_SIGNATURE
