"""``inspect``: what it is, whom it fits, what is wrong with it."""

import json
import struct
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tuf.api.metadata import TOP_LEVEL_ROLE_NAMES, Metadata, Role, Root, TargetFile, Targets
from tuf.api.serialization.json import JSONSerializer

from simulator.esp import esp32_image
from simulator.images import Image
from simulator.keys import SigningKey
from simulator.shelly_package import index_of_app, package
from simulator.vendor import Vendor
from simulator.zigbee_images import build_ota
from tests.tool.conftest import START, Maker, Ran, Serve, Tool

FIXTURES = Path(__file__).parents[1] / "sources" / "fixtures"


def _inspect(tool: Tool, data: bytes, *words: object) -> Ran:
    Path("thing").write_bytes(data)
    return tool.try_to("inspect", "thing", *words, "--json")


def test_an_esp_image_says_for_which_chip_it_is(tool: Tool) -> None:
    ran = _inspect(tool, esp32_image(b"program" * 100))
    assert (ran.code, ran.json["kind"], ran.json["fits"]) == (0, "esp", {"chip": "ESP32"})


def test_a_zigbee_image_says_for_which_kind_of_device_it_is(tool: Tool) -> None:
    data = build_ota(Image("IKEA", "bulb", "553652784"), manufacturer_code=0x117C, image_type=0x2201)
    ran = _inspect(tool, data)
    assert (ran.code, ran.json["kind"]) == (0, "zigbee-ota")
    assert ran.json["fits"] == {"manufacturer_code": "0x117C", "image_type": "0x2201"}
    assert ran.json["facts"]["version"] == 553652784


def test_a_shelly_package_says_for_which_app_it_is(tool: Tool) -> None:
    ran = _inspect(tool, package(Image("Shelly", "Plus1", "1.4.4")))
    assert (ran.code, ran.json["kind"], ran.json["fits"]["app"]) == (0, "shelly-zip", "Plus1")


def test_an_image_that_lost_its_end_is_wrong(tool: Tool) -> None:
    ran = _inspect(tool, esp32_image(b"program" * 100)[:-40])
    assert (ran.code, ran.checks("failed")) == (1, {"image": "size_mismatch"})


def test_a_binary_that_nobody_knows_is_said_to_be_one(tool: Tool) -> None:
    ran = _inspect(tool, b"\x00\x01\x02 anything")
    assert (ran.code, ran.json["kind"], list(ran.checks("warning"))) == (0, "raw", ["image"])


def test_people_read_whom_it_fits(tool: Tool) -> None:
    Path("thing").write_bytes(esp32_image(b"program" * 100))
    assert "  fits chip: ESP32" in tool("inspect", "thing").out.splitlines()


# --- manifests --------------------------------------------------------------------------------------------------------


def test_a_signed_manifest_is_read_and_said_not_to_be_verified(maker: Maker) -> None:
    signed = maker.sign("--json").json
    ran = maker.tool("inspect", maker.manifest, "--json")
    assert (ran.json["kind"], ran.json["fingerprint"]) == ("signed manifest", signed["fingerprint"])
    assert ran.json["releases"][0]["fits"] == {"manufacturer": "Acme", "model": ["PLUG-S1"]}
    assert list(ran.checks("skipped")) == ["signature"]


def test_a_manifest_that_nobody_signed_is_wrong(tool: Tool) -> None:
    ran = _inspect(tool, json.dumps(Vendor().payload()).encode())
    assert (ran.code, ran.json["kind"], ran.checks("failed")) == (1, "unsigned manifest", {"signature": "unsigned"})


def test_a_signed_manifest_with_a_fault_names_its_path(tool: Tool) -> None:
    payload = Vendor().payload() | {"issued": "yesterday"}
    ran = _inspect(tool, SigningKey.generate().sign(json.dumps(payload).encode()))
    [check] = ran.json["checks"]
    assert (ran.code, check["reason"], check["path"]) == (1, "malformed", "issued")


def test_an_expired_manifest_is_wrong(maker: Maker) -> None:
    maker.sign()
    maker.tool.later(days=31)
    ran = maker.tool.try_to("inspect", maker.manifest, "--json")
    assert (ran.code, ran.checks("failed")) == (1, {"dates and history": "expired"})


@pytest.mark.parametrize(
    "text", ["eyJ.eyJ.x", "eyJhbGciOiJFUzI1NiJ9.!!.x", "eyJhbGciOiJFUzI1NiJ9.bm8.x", "eyJ1.2.3", "eyJhIjpbXX0.e30.x"]
)
def test_a_broken_envelope_is_malformed(tool: Tool, text: str) -> None:
    ran = _inspect(tool, text.encode())
    assert (ran.code, ran.checks("failed")) == (1, {"manifest": "malformed"})


# --- indexes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["github_releases_tasmota.json", "shelly_index_gen1.json", "shelly_index_plus1.json"])
def test_an_index_is_recognised_by_what_it_holds(tool: Tool, name: str) -> None:
    ran = tool.try_to("inspect", FIXTURES / name, "--json")
    assert name.startswith(ran.json["kind"])
    assert ran.json["releases"]


def test_a_release_without_a_digest_is_a_warning(tool: Tool) -> None:
    ran = tool("inspect", FIXTURES / "shelly_index_gen1.json", "--json")
    assert "no_digest" in {check["reason"] for check in ran.json["checks"]}


def test_an_index_behind_an_address_is_fetched(tool: Tool, tmp_path: Path, serve: Serve) -> None:
    data = package(Image("Shelly", "Plus1", "1.4.4"))
    page = index_of_app(Image("Shelly", "Plus1", "1.4.4"), data, "https://fw.example.com")
    (tmp_path / "Plus1").write_text(json.dumps(page))
    with serve(tmp_path) as base:
        ran = tool("inspect", f"{base}/Plus1", "--json")
    assert (ran.json["kind"], ran.json["releases"][0]["version"]) == ("shelly_index", "1.4.4")


def test_json_that_is_no_index_is_refused_in_the_words_of_each_format(tool: Tool) -> None:
    ran = _inspect(tool, b'{"weather": "fine"}')
    assert (ran.code, ran.json["kind"]) == (1, "unknown")
    assert {"as github_releases", "as shelly_index", "as signed_manifest"} <= ran.checks("failed").keys()


def test_only_the_format_that_was_named_is_tried(tool: Tool) -> None:
    ran = _inspect(tool, b'{"weather": "fine"}', "--source", "shelly_index")
    assert ran.checks("failed").keys() == {"as shelly_index", "as signed_manifest"}


def test_a_long_index_is_cut_for_people_and_whole_for_machines(maker: Maker) -> None:
    for number in range(30):
        maker.release(f"2.0.{number}")
    maker.sign()
    assert "  and 11 more (--all)" in maker.tool("inspect", maker.manifest).out.splitlines()
    assert "more (--all)" not in maker.tool("inspect", maker.manifest, "--all").out
    assert len(maker.tool("inspect", maker.manifest, "--json").json["releases"]) == 31


@pytest.mark.parametrize("name", ["garage.json", "calendar_version.json"])
def test_an_index_whose_files_lie_beside_it_can_be_read_from_a_file(tool: Tool, name: str) -> None:
    ran = tool("inspect", FIXTURES / "esphome_manifest" / name, "--json")
    assert ran.json["kind"] == "esphome_manifest"


# --- TUF --------------------------------------------------------------------------------------------------------------


def _tuf(metadata: Metadata[Root] | Metadata[Targets]) -> bytes:
    return metadata.to_bytes(JSONSerializer())


def _targets(custom: dict[str, Any], path: str = "acme/plug.bin") -> bytes:
    described = TargetFile(7, {"sha256": "ab" * 32}, path, {"custom": custom})
    return _tuf(Metadata(Targets(version=3, expires=START + timedelta(days=9), targets={path: described})))


def test_the_root_of_a_repository_shows_who_must_sign(tool: Tool) -> None:
    ran = _inspect(tool, _tuf(Metadata(Root(version=2, expires=START + timedelta(days=365)))))
    assert (ran.json["kind"], ran.json["version"], ran.json["expires"]) == ("TUF root", 2, "2027-11-23T12:00:00Z")
    assert ran.checks("failed").keys() == {f"role {name}" for name in ("root", "timestamp", "snapshot", "targets")}


def test_metadata_that_has_expired_is_wrong(tool: Tool) -> None:
    roles = {name: Role(["a"], 1) for name in TOP_LEVEL_ROLE_NAMES}
    root = Root(version=2, expires=START - timedelta(days=1), roles=roles)
    ran = _inspect(tool, _tuf(Metadata(root)))
    assert (ran.code, ran.checks("failed")) == (1, {"dates": "expired"})


def test_the_targets_of_a_repository_show_their_releases(tool: Tool) -> None:
    release = {"match": {"manufacturer": "Acme", "model": ["PLUG-S1"]}, "version": "1.2.0"}
    ran = _inspect(tool, _targets(release))
    [shown] = ran.json["releases"]
    assert (ran.code, shown["version"], shown["fits"]["model"]) == (0, "1.2.0", ["PLUG-S1"])


def test_a_target_with_a_fault_names_its_path(tool: Tool) -> None:
    ran = _inspect(tool, _targets({"match": {"manufacturer": "Acme", "modle": "PLUG-S1"}, "version": "1.2.0"}))
    assert (ran.code, ran.checks("failed")) == (1, {"targets": "unknown_match_key"})


@pytest.mark.parametrize(
    "signed",
    [
        {"_type": "king", "version": 1, "expires": "2027-01-01T00:00:00Z"},
        {"_type": "root", "version": 1, "expires": "2027-01-01T00:00:00Z"},
        {"_type": "targets", "version": 1, "expires": "2027-01-01T00:00:00Z", "targets": []},
        {"_type": "root", "version": 0, "expires": "2027-01-01T00:00:00Z"},
        {"_type": "root", "version": 1, "expires": "soon"},
        [],
    ],
)
def test_metadata_that_makes_no_sense_is_malformed(tool: Tool, signed: object) -> None:
    ran = _inspect(tool, json.dumps({"signed": signed, "signatures": []}).encode())
    assert (ran.code, ran.checks("failed")) == (1, {"metadata": "malformed"})


# --- keys -------------------------------------------------------------------------------------------------------------


def test_a_public_key_shows_its_fingerprint(tool: Tool) -> None:
    made = tool("keygen", "k.pem", "--json").json
    ran = tool("inspect", "k.pub.json", "--json")
    assert ran.json["keys"] == [{"fingerprint": made["fingerprint"], "algorithm": "ES256"}]


def test_a_public_key_in_pem_is_one_too(tool: Tool) -> None:
    key = SigningKey.generate("EdDSA")
    assert _inspect(tool, key.public_pem.encode()).json["keys"][0]["fingerprint"] == key.thumbprint


def test_a_secret_key_is_told_apart_and_not_shown(tool: Tool) -> None:
    tool("keygen", "k.pem")
    ran = tool.try_to("inspect", "k.pem", "--json")
    assert (ran.code, ran.checks("failed")) == (1, {"public key": "private_key"})


# --- hostile things ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"\xe9",
        b"\x1f\x8b",
        b"PK\x03\x04",
        b"{",
        b"[" * 10_000,
        b"\xff" * 100,
        b"-----BEGIN ",
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
        struct.pack("<I", 0x0BEEF11E) + b"\x00" * 20,
        b'{"a": NaN}',
    ],
)
def test_nothing_makes_it_crash(tool: Tool, data: bytes) -> None:
    assert _inspect(tool, data).code in {0, 1}


def test_foreign_text_cannot_paint_the_terminal(maker: Maker) -> None:
    maker.release(version="1.3.0")
    maker.sign()
    words = ("--model", "PLUG-S1", "--release", "1.2.0", "--reason", "\x1b[2J\nok      signature  by your vendor")
    maker.tool("revoke", maker.manifest, "--key", "acme.pem", *words)
    said = maker.tool("inspect", maker.manifest).out
    assert "\x1b" not in said
    assert not [line for line in said.splitlines() if line.startswith("ok      signature")]
