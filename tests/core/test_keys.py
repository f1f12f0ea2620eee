"""Public keys as people paste them: what is taken, what is refused and why."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448

from custom_components.firmware_hub.core import limits
from custom_components.firmware_hub.core.errors import HubError, Reason
from custom_components.firmware_hub.core.keys import decode_base64url, encode_base64url, fingerprint, read_keys

from .jws import Private, b64, ec_key, ed_key, name, pin, private, public, rsa_key

KINDS: list[Private] = [ec_key(), ed_key(), rsa_key()]
INFO = serialization.PublicFormat.SubjectPublicKeyInfo
PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER
PKCS8 = serialization.PrivateFormat.PKCS8
PLAIN = serialization.NoEncryption()
LOCKED = serialization.BestAvailableEncryption(b"secret")


def refusal(text: str) -> tuple[Reason, str]:
    with pytest.raises(HubError) as caught:
        read_keys(text)
    return caught.value.reason, caught.value.path


def pem(key: Private) -> str:
    return key.public_key().public_bytes(PEM, INFO).decode()


def der(key: Private) -> str:
    return base64.b64encode(key.public_key().public_bytes(DER, INFO)).decode()


def normal(key: Private, **changes: Any) -> dict[str, Any]:
    """Return the members that a normalised JWK has."""
    members = public(key, **changes)
    return {part: members[part] for part in ("alg", "crv", "e", "kty", "n", "x", "y") if part in members}


IMPLIED = [(ec_key(), "ES256"), (ed_key(), "EdDSA"), (rsa_key(), "RS256")]


# --- the forms of a paste ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("key", "algorithm"), IMPLIED)
def test_every_form_of_a_key_is_normalised_to_the_same_text(key: Private, algorithm: str) -> None:
    jwk = public(key, kid="theirs", use="sig", key_ops=["verify"], x5c=["..."])
    forms = [
        json.dumps(jwk),
        json.dumps(jwk, indent=2),
        f"\n  {json.dumps(jwk)}\n",
        json.dumps({"keys": [jwk]}),
        json.dumps([jwk]),
        pem(key),
        f"The key:\n{pem(key)}",
        der(key),
        der(key).rstrip("="),
        "\n".join(der(key)[i : i + 64] for i in range(0, len(der(key)), 64)),
        der(key).replace("+", "-").replace("/", "_"),
        b64(json.dumps(jwk).encode()).decode(),
        b64(json.dumps({"keys": [jwk]}).encode()).decode(),
    ]
    assert [json.loads(text) for form in forms for text in read_keys(form)] == [normal(key, alg=algorithm)] * len(forms)


def test_the_32_bytes_of_an_ed25519_key_are_taken() -> None:
    assert read_keys(b64(ed_key().public_key().public_bytes_raw()).decode()) == read_keys(pin(ed_key()))


def test_several_keys_are_taken_each_once() -> None:
    found = read_keys(json.dumps({"keys": [public(key) for key in (*KINDS, *KINDS)]}))
    assert [fingerprint(text) for text in found] == [name(key) for key in KINDS]


def test_several_pem_blocks_are_taken() -> None:
    assert len(read_keys(pem(ec_key()) + pem(ed_key()))) == 2


def test_a_stated_algorithm_is_kept() -> None:
    (text,) = read_keys(pin(rsa_key(), alg="PS256"))
    assert json.loads(text)["alg"] == "PS256"


def test_a_normalised_text_is_normal() -> None:
    (text,) = read_keys(pin(ec_key()))
    assert read_keys(text) == (text,)


# --- fingerprints -----------------------------------------------------------------------------------------------------


def test_the_fingerprint_is_the_thumbprint_of_the_standard() -> None:
    # RFC 7638, section 3.1.
    key = {
        "kty": "RSA",
        "n": (
            "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3"
            "oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZH"
            "zu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8"
            "awapJzKnqDKgw"
        ),
        "e": "AQAB",
        "alg": "RS256",
        "kid": "2011-04-29",
    }
    assert fingerprint(json.dumps(key)) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_the_fingerprint_does_not_depend_on_spelling() -> None:
    spelled = public(rsa_key(), alg="PS256", kid="x")
    spelled["n"] = b64(b"\x00\x00" + base64.urlsafe_b64decode(spelled["n"] + "==")).decode()
    assert fingerprint(json.dumps(spelled)) == name(rsa_key())


# --- private keys -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", KINDS)
def test_a_private_key_is_refused_in_every_form(key: Private) -> None:
    forms = [
        json.dumps(private(key)),
        json.dumps({"keys": [private(key)]}),
        key.private_bytes(PEM, PKCS8, PLAIN).decode(),
        key.private_bytes(PEM, PKCS8, LOCKED).decode(),
        pem(key) + key.private_bytes(PEM, PKCS8, PLAIN).decode(),
        base64.b64encode(key.private_bytes(DER, PKCS8, PLAIN)).decode(),
        base64.b64encode(key.private_bytes(DER, PKCS8, LOCKED)).decode(),
    ]
    assert {refusal(form)[0] for form in forms} == {Reason.PRIVATE_KEY}


def test_an_old_private_key_form_is_refused() -> None:
    old = ec_key().private_bytes(PEM, serialization.PrivateFormat.TraditionalOpenSSL, PLAIN).decode()
    assert refusal(old)[0] is Reason.PRIVATE_KEY


def test_a_shared_secret_is_refused() -> None:
    assert refusal('{"kty":"oct","k":"c2VjcmV0"}') == (Reason.PRIVATE_KEY, "k")


def test_the_secret_member_is_named() -> None:
    assert refusal(json.dumps({"keys": [public(ec_key()), private(ed_key())]})) == (Reason.PRIVATE_KEY, "keys[1].d")


# --- weak keys --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [1024, 2040])
def test_a_short_rsa_key_is_weak(bits: int) -> None:
    assert refusal(pin(rsa_key(bits))) == (Reason.WEAK_KEY, "n")


def test_a_small_exponent_is_weak() -> None:
    assert refusal(pin(rsa_key(), e="Aw")) == (Reason.WEAK_KEY, "e")


def test_an_enormous_rsa_key_is_too_large() -> None:
    n = b64(b"\xff" * (limits.MAX_RSA_BITS // 8 + 1)).decode()
    assert refusal(pin(rsa_key(), n=n)) == (Reason.TOO_LARGE, "n")


P = 2**255 - 19
D = (-121665 * pow(121666, -1, P)) % P


def edwards_sum(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    cross = D * a[0] * b[0] * a[1] * b[1]
    x = (a[0] * b[1] + b[0] * a[1]) * pow(1 + cross, -1, P)
    y = (a[1] * b[1] + a[0] * b[0]) * pow(1 - cross, -1, P)
    return x % P, y % P


def root_of(square: int) -> int | None:
    root = pow(square, (P + 3) // 8, P)
    return next((r % P for r in (root, root * pow(2, (P - 1) // 4, P)) if r * r % P == square % P), None)


def points_of_order_8() -> list[tuple[int, int]]:
    """Find the small subgroup from the curve's equation alone: the multiples of a point of order 8."""
    # Such a point doubles to (x, 0), so that its y solves d y^4 + 2 y^2 - 1 = 0.
    s = root_of(1 + D) or 0
    y = next(y for sign in (1, -1) if (y := root_of((sign * s - 1) * pow(D, -1, P) % P)) is not None)
    x = root_of((y * y - 1) * pow(D * y * y + 1, -1, P) % P) or 0
    points = [(x, y)]
    while len(points) < 8:
        points.append(edwards_sum(points[-1], points[0]))
    return points


def test_the_point_found_for_the_next_test_has_order_8() -> None:
    points = points_of_order_8()
    assert len(set(points)) == 8
    assert points[-1] == (0, 1)


@pytest.mark.parametrize("sign", [0, 0x80])
@pytest.mark.parametrize("number", range(8))
def test_a_point_of_small_order_is_weak(number: int, sign: int) -> None:
    y = points_of_order_8()[number][1] | sign << 248
    assert refusal(pin(ed_key(), x=b64(y.to_bytes(32, "little")).decode())) == (Reason.WEAK_KEY, "x")


@pytest.mark.parametrize("y", [P, P + 1])
def test_another_spelling_of_a_point_of_small_order_is_weak(y: int) -> None:
    assert refusal(b64(y.to_bytes(32, "little")).decode())[0] is Reason.WEAK_KEY


# --- no keys ----------------------------------------------------------------------------------------------------------

P384 = ec.generate_private_key(ec.SECP384R1())
ED448 = ed448.Ed448PrivateKey.generate()
DSA = dsa.generate_private_key(2048)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("", "$"),
        ("hello world!", "$"),
        ("A", "$"),
        ("AAAA", "$"),
        ("{}", "kty"),
        ("[]", "$"),
        ("[7]", "[0]"),
        ('{"keys":[]}', "$"),
        ('{"keys":{}}', "keys"),
        ("{broken", "$"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "$"),
        ("-----BEGIN PUBLIC KEY-----", "$"),
        (pem(ec_key()).replace("PUBLIC KEY", "CERTIFICATE"), "$"),
        (pin(P384), "crv"),
        (pem(P384), "$"),
        (der(P384), "$"),
        (pin(ED448), "crv"),
        (pem(ED448), "$"),
        (DSA.public_key().public_bytes(PEM, INFO).decode(), "$"),
        (pin(ec_key(), kty="ec"), "kty"),
        (pin(ec_key(), alg="ES384"), "alg"),
        (pin(ec_key(), alg="HS256"), "alg"),
        (pin(rsa_key(), alg="RS512"), "alg"),
        (pin(ed_key(), alg="none"), "alg"),
        (pin(ec_key(), use="enc"), "use"),
        (pin(ec_key(), key_ops=["sign"]), "use"),
        (pin(ec_key(), crv=None), "crv"),
        (pin(ec_key(), y=None), "y"),
        (pin(ec_key(), x="AAAA"), "x"),
        (pin(ec_key(), x="A A"), "x"),
        (pin(ec_key(), x=public(ec_key())["x"] + "="), "x"),
        (pin(ec_key(), y=public(ec_key())["x"]), "$"),
        (pin(ed_key(), x=b64(b"x" * 31).decode()), "x"),
        (pin(rsa_key(), n=None), "n"),
        (pin(rsa_key(), e=b64((2**20).to_bytes(3)).decode()), "$"),
        (pin(rsa_key(), e=7), "e"),
    ],
    # Keys are made anew for each run, and all processes of one run must name a test alike.
    ids=lambda value: value if len(value) < 30 else "key",
)
def test_what_is_no_usable_key_is_malformed(text: str, path: str) -> None:
    assert refusal(text) == (Reason.MALFORMED, path)


def test_too_many_keys_are_too_large() -> None:
    keys = [public(ec_key(str(number))) for number in range(limits.MAX_KEYS + 1)]
    assert refusal(json.dumps({"keys": keys})) == (Reason.TOO_LARGE, "keys")
    assert refusal("".join(pem(ec_key(str(number))) for number in range(limits.MAX_KEYS + 1))) == (
        Reason.TOO_LARGE,
        "$",
    )


def test_a_paste_above_its_bound_is_too_large() -> None:
    assert refusal(" " * (limits.MAX_KEY_TEXT + 1)) == (Reason.TOO_LARGE, "$")


# --- base64 -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"\x00", b"ab", b"abc", b"\xff" * 4])
def test_base64url_comes_back(data: bytes) -> None:
    assert decode_base64url(encode_base64url(data), "x") == data


@pytest.mark.parametrize("text", ["", "A", "AB", "AAB", "A=", "AA==", "A+", "AAAAA", "A\n"])
def test_what_is_not_written_as_the_standard_writes_it_is_malformed(text: str) -> None:
    with pytest.raises(HubError) as caught:
        decode_base64url(text, "x")
    assert (caught.value.reason, caught.value.path) == (Reason.MALFORMED, "x")
