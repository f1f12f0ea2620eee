"""``sign``: what is written is what a hub accepts, and it never says what a hub must refuse."""

import hashlib
import json
import os
from datetime import timedelta
from pathlib import Path

import jsonschema
import pytest
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from firmware_hub_tool.core.errors import BadInput, Refused
from firmware_hub_tool.core.manifest import read_manifest
from firmware_hub_tool.history import READER, feed
from simulator.keys import SigningKey
from tests.tool.conftest import START, Maker, Tool
from tests.tool.payload import header_of, payload_of

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/schemas/firmware-manifest-1.schema.json").read_text())


def test_a_hub_that_pinned_the_key_reads_it(maker: Maker) -> None:
    maker.sign()

    manifest = read_manifest(maker.manifest.read_bytes(), feed([Path("acme.pub.json").read_text()], "Acme"), READER)

    [release] = manifest.releases
    assert (manifest.sequence, manifest.issued, manifest.expires) == (1, START, START + timedelta(days=30))
    assert (release.version, release.main.url) == ("1.2.0", "https://fw.example.com/acme/plug-s1/1.2.0/plug.bin")


def test_what_is_signed_is_what_the_schema_allows(maker: Maker) -> None:
    maker.describe(
        support=[{"model": "PLUG-S1", "until": "2029-01-01"}],
        revoked=[{"model": "PLUG-S1", "version": "1.1.0", "reason": "it forgets"}],
    )
    maker.release(kind="security", cves=["CVE-2026-0001"], counter=17, rollback_to=["1.1.0"], install_minutes=4)

    maker.sign()

    jsonschema.validate(payload_of(maker.manifest), SCHEMA)


def test_the_key_is_named_and_nothing_else_in_the_header(maker: Maker) -> None:
    fingerprint = maker.sign("--json").json["fingerprint"]
    assert header_of(maker.manifest) == {"alg": "ES256", "kid": fingerprint}


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "EdDSA"])
def test_every_algorithm_signs(maker: Maker, algorithm: str) -> None:
    maker.tool("keygen", "other.pem", "--algorithm", algorithm)
    maker.sign(key="other.pem")
    assert header_of(maker.manifest)["alg"] == algorithm
    maker.tool("verify", maker.manifest, "--key", "other.pub.json")


def test_a_key_made_elsewhere_signs_with_the_algorithm_that_is_said(maker: Maker) -> None:
    Path("rsa.pem").write_bytes(_pem(SigningKey.generate("RS256")))
    Path("rsa.pem").chmod(0o600)
    maker.sign("--algorithm", "PS256", key="rsa.pem")
    assert header_of(maker.manifest)["alg"] == "PS256"


def test_a_weak_key_signs_nothing(maker: Maker) -> None:
    Path("weak.pem").write_bytes(_pem(SigningKey.generate("RS256", rsa_bits=1024)))
    assert maker.tool.refusal("sign", maker.folder, "--key", "weak.pem") == (4, "weak_key")


def test_a_public_key_signs_nothing(maker: Maker) -> None:
    assert maker.tool.refusal("sign", maker.folder, "--key", "acme.pub.json") == (3, "no_private_key")


@pytest.mark.parametrize("curve", [ec.SECP384R1(), ec.SECP256K1()])
def test_a_key_on_another_curve_signs_nothing(maker: Maker, curve: ec.EllipticCurve) -> None:
    Path("other.pem").write_bytes(_private_pem(ec.generate_private_key(curve)))
    assert maker.tool.refusal("sign", maker.folder, "--key", "other.pem") == (3, "malformed")


def test_a_key_of_a_kind_that_signs_nothing_is_said(maker: Maker) -> None:
    Path("other.pem").write_bytes(_private_pem(x25519.X25519PrivateKey.generate()))
    assert maker.tool.refusal("sign", maker.folder, "--key", "other.pem") == (3, "no_private_key")


def test_an_algorithm_that_is_not_the_key_s_is_said(maker: Maker) -> None:
    assert maker.tool.refusal("sign", maker.folder, "--key", "acme.pem", "--algorithm", "EdDSA") == (3, "malformed")


def test_a_passphrase_for_a_key_that_has_none_does_no_harm(maker: Maker) -> None:
    Path("words").write_text("correct horse\n")
    maker.sign("--passphrase-file", "words")


def test_a_key_that_others_can_read_is_warned_about(maker: Maker) -> None:
    Path("acme.pem").chmod(0o644)
    assert "chmod 600" in maker.sign("--json").json["warnings"][0]


# --- the sequence number ----------------------------------------------------------------------------------------------


def test_the_number_rises_by_itself(maker: Maker) -> None:
    assert [maker.sign("--json").json["sequence"] for _ in range(3)] == [1, 2, 3]


def test_a_higher_number_may_be_said_and_goes_on_from_there(maker: Maker) -> None:
    assert maker.sign("--sequence", 2026, "--json").json["sequence"] == 2026
    assert maker.sign("--json").json["sequence"] == 2027


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_number_that_was_used_or_passed_is_refused_and_nothing_changes(maker: Maker, number: int) -> None:
    maker.sign()
    maker.sign()
    before = _files(maker)

    assert maker.tool.refusal("sign", maker.folder, "--key", "acme.pem", "--sequence", number) == (
        4,
        "sequence_too_low",
    )

    assert _files(maker) == before


def test_without_the_state_the_manifest_stands_in_for_it(maker: Maker) -> None:
    maker.sign("--sequence", 41)
    (maker.folder / "manifest.state.json").unlink()
    assert maker.sign("--json").json["sequence"] == 42


def test_without_the_state_an_expired_manifest_stands_in_for_it(maker: Maker) -> None:
    maker.sign("--sequence", 41)
    (maker.folder / "manifest.state.json").unlink()
    maker.tool.later(days=100)
    assert maker.sign("--json").json["sequence"] == 42


def test_a_state_that_is_behind_its_manifest_is_refused(maker: Maker) -> None:
    maker.sign()
    old = (maker.folder / "manifest.state.json").read_bytes()
    maker.sign()
    (maker.folder / "manifest.state.json").write_bytes(old)
    assert maker.tool.refusal("sign", maker.folder, "--key", "acme.pem") == (4, "unknown_history")


def test_a_manifest_of_somebody_else_is_not_written_over(maker: Maker) -> None:
    maker.sign()
    (maker.folder / "manifest.state.json").unlink()
    maker.tool("keygen", "other.pem")
    assert maker.tool.refusal("sign", maker.folder, "--key", "other.pem") == (4, "unknown_history")


@pytest.mark.parametrize(
    "state",
    [
        "",
        "{}",
        '{"spec": "firmware-hub-state/2"}',
        '{"spec": "firmware-hub-state/1"}',
        '{"spec": "firmware-hub-state/1", "ledger": {"feed_id": "maker", "sequence": "many"}}',
        '{"spec": "firmware-hub-state/1", "ledger": {"feed_id": "maker"}, "keys": ["none"]}',
        '{"spec": "firmware-hub-state/1", "ledger": {"feed_id": "maker"}, "revoked": [{}]}',
    ],
)
def test_a_state_that_makes_no_sense_is_refused(maker: Maker, state: str) -> None:
    maker.sign()
    (maker.folder / "manifest.state.json").write_text(state)
    assert maker.tool.refusal("sign", maker.folder, "--key", "acme.pem") == (3, "bad_state")


def test_two_runs_never_sign_at_once(maker: Maker) -> None:
    (maker.folder / "manifest.state.lock").write_text("4711\n")
    assert maker.tool.refusal("sign", maker.folder, "--key", "acme.pem") == (4, "other_run")
    assert not maker.manifest.exists()


def test_the_lock_is_gone_after_a_refusal(maker: Maker) -> None:
    maker.sign()
    maker.tool.refusal("sign", maker.folder, "--key", "acme.pem", "--sequence", 1)
    maker.sign()


def test_a_number_is_lost_rather_than_used_twice(maker: Maker) -> None:
    maker.sign()
    published = maker.manifest.read_bytes()
    maker.sign()
    maker.manifest.write_bytes(published)  # as if the power had failed between the two writes
    assert maker.sign("--json").json["sequence"] == 3


# --- dates ------------------------------------------------------------------------------------------------------------


def test_the_lifetime_is_what_is_said_last(maker: Maker) -> None:
    maker.describe(valid_days=60)
    assert maker.sign("--json").json["expires"] == "2027-01-22T12:00:00Z"
    assert maker.sign("--days", 1, "--json").json["expires"] == "2026-11-24T12:00:00Z"


def test_a_clock_that_was_set_back_is_noticed(maker: Maker) -> None:
    maker.sign()
    maker.tool.later(hours=-1)
    assert maker.tool.refusal("sign", maker.folder, "--key", "acme.pem") == (4, "clock_behind")


# --- what a hub would refuse ------------------------------------------------------------------------------------------


def test_one_version_never_has_two_contents(maker: Maker) -> None:
    maker.sign()
    maker.release(body=b"other bytes")

    ran = maker.tool.try_to("sign", maker.folder, "--key", "acme.pem", "--json")

    assert (ran.code, ran.json["error"]["code"]) == (4, "digest_changed")
    assert ran.json["error"]["path"].startswith(str(maker.folder / "plug-s1/1.2.0/release.yaml"))


def test_a_newer_version_never_counts_lower(maker: Maker) -> None:
    maker.release("1.2.0", counter=17)
    maker.sign()
    maker.release("1.3.0", counter=16)
    assert maker.tool.refusal("sign", maker.folder, "--key", "acme.pem") == (4, "rollback_detected")


def test_a_release_that_is_gone_keeps_its_content(maker: Maker) -> None:
    maker.sign()
    (maker.release() / "release.yaml").unlink()
    maker.release("1.3.0")
    maker.sign()
    maker.release("1.2.0", body=b"other bytes")
    assert maker.tool.refusal("sign", maker.folder, "--key", "acme.pem") == (4, "digest_changed")


def test_a_refusal_names_the_place_that_was_written(maker: Maker) -> None:
    maker.release(install_minutes=0)
    ran = maker.tool.try_to("sign", maker.folder, "--key", "acme.pem")
    assert ran.code == 3
    assert "plug-s1/1.2.0/release.yaml: install_minutes: not within 1 and 1440" in ran.err


def test_a_release_that_no_hub_will_ever_offer_is_said(maker: Maker) -> None:
    maker.release("v1")
    ran = maker.tool.try_to("sign", maker.folder, "--key", "acme.pem", "--json")
    assert (ran.code, ran.checks("failed")) == (1, {"Acme PLUG-S1 v1": "version_unknown"})


# --- the disk ---------------------------------------------------------------------------------------------------------


def test_a_reader_never_sees_half_a_manifest(maker: Maker) -> None:
    maker.sign()
    with maker.manifest.open("rb") as reader:
        maker.sign()
        found = reader.read()
    assert read_manifest(found, feed([Path("acme.pub.json").read_text()]), READER).sequence == 1


def test_the_web_server_can_read_the_manifest(maker: Maker) -> None:
    before = os.umask(0o077)
    try:
        maker.sign()
    finally:
        os.umask(before)
    assert maker.manifest.stat().st_mode & 0o777 == 0o644


def test_a_manifest_that_is_signed_is_of_no_use_with_another_key(maker: Maker, tool: Tool) -> None:
    maker.sign()
    tool("keygen", "other.pem")
    with pytest.raises((BadInput, Refused), match="untrusted_key"):
        read_manifest(maker.manifest.read_bytes(), feed([Path("other.pub.json").read_text()]), READER)


def test_sizes_and_digests_are_those_of_the_file(maker: Maker) -> None:
    folder = maker.release(body=b"twelve bytes")
    maker.sign()
    [artifact] = payload_of(maker.manifest)["releases"][0]["artifacts"]
    digest = hashlib.sha256((folder / "plug.bin").read_bytes()).hexdigest()
    assert (artifact["size"], artifact["sha256"], artifact["role"], artifact["format"]) == (12, digest, "main", "raw")


def _files(maker: Maker) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in maker.folder.iterdir() if path.is_file()}


def _pem(key: SigningKey) -> bytes:
    return _private_pem(key.private)


def _private_pem(key: PrivateKeyTypes) -> bytes:
    return key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
