"""``keygen``: the secret for its owner alone, the public half as owners paste it."""

import json
import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from firmware_hub_tool.core.keys import pinned_key, read_keys
from tests.tool.conftest import Maker, Tool


def test_the_default_is_es256(tool: Tool) -> None:
    assert tool("keygen", "k.pem", "--json").json["algorithm"] == "ES256"


def test_only_the_owner_can_read_the_secret_whatever_the_umask(tool: Tool) -> None:
    before = os.umask(0)
    try:
        tool("keygen", "k.pem")
    finally:
        os.umask(before)
    assert stat.S_IMODE(Path("k.pem").stat().st_mode) == 0o600


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "PS256", "EdDSA"])
def test_the_public_half_is_what_a_hub_pins(tool: Tool, algorithm: str) -> None:
    said = tool("keygen", "k.pem", "--algorithm", algorithm, "--json").json

    [text] = read_keys(Path("k.pub.json").read_text())

    key = pinned_key(text)
    assert (key.algorithm, key.fingerprint, key.text) == (algorithm, said["fingerprint"], said["jwk"])


def test_people_are_shown_the_whole_public_key(tool: Tool) -> None:
    said = tool("keygen", "k.pem", "--algorithm", "RS256")
    assert Path("k.pub.json").read_text().strip() in said.out


@pytest.mark.parametrize("there", ["k.pem", "k.pub.json"])
def test_a_file_that_is_there_stays(tool: Tool, there: str) -> None:
    Path(there).write_text("precious")

    assert tool.refusal("keygen", "k.pem") == (4, "file_exists")

    assert Path(there).read_text() == "precious"
    assert [path.name for path in Path.cwd().iterdir()] == [there]


def test_a_passphrase_locks_the_file(tool: Tool) -> None:
    Path("words").write_text("correct horse\nsecond line\n")
    tool("keygen", "k.pem", "--passphrase-file", "words")

    data = Path("k.pem").read_bytes()

    assert b"BEGIN ENCRYPTED PRIVATE KEY" in data
    serialization.load_pem_private_key(data, b"correct horse")


def test_a_locked_key_signs_with_its_passphrase_only(maker: Maker) -> None:
    Path("right").write_text("correct horse\n")
    Path("wrong").write_text("battery staple\n")
    maker.tool("keygen", "locked.pem", "--passphrase-file", "right")
    sign = ("sign", maker.folder, "--key", "locked.pem")

    assert maker.tool.refusal(*sign, "--passphrase-file", "wrong") == (3, "wrong_passphrase")
    assert maker.tool.refusal(*sign) == (3, "passphrase_needed")
    assert not maker.manifest.exists()
    maker.tool(*sign, "--passphrase-file", "right")


def test_an_empty_passphrase_is_none(tool: Tool) -> None:
    Path("words").write_text("\n")
    assert tool.refusal("keygen", "k.pem", "--passphrase-file", "words") == (3, "passphrase_needed")
    assert not Path("k.pem").exists()


def test_a_folder_that_is_not_there_is_said(tool: Tool) -> None:
    assert tool.refusal("keygen", "nowhere/k.pem") == (5, "disk_failed")


def test_the_public_file_is_one_line_of_json(tool: Tool) -> None:
    tool("keygen", "k.pem")
    assert json.loads(Path("k.pub.json").read_text()).keys() == {"alg", "crv", "kty", "x", "y"}
