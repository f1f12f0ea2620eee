"""What makers write: YAML as they mean it, files where they lie, and a word about each mistake."""

from pathlib import Path
from typing import Any

import pytest

from simulator.esp import esp32_image, esp8266_image
from simulator.images import Image
from simulator.shelly_package import package
from simulator.zigbee_images import build_ota
from tests.tool.conftest import Maker
from tests.tool.payload import payload_of

GOOD = """
vendor: Acme
base_url: https://fw.example.com/
releases:
  - match: {manufacturer: Acme, model: PLUG-S1, hardware: [rev1, rev2]}
    version: 1.10
    version_scheme: dotted
    file: plug.bin
    notes: |
      First line.

      - no: is not false here
"""


def _sign(maker: Maker, text: str) -> dict[str, Any]:
    """Sign one YAML file beside one binary, and return the payload."""
    Path("plug.bin").write_bytes(b"firmware")
    Path("acme.yaml").write_text(text)
    maker.tool("sign", "acme.yaml", "--key", "acme.pem")
    return payload_of(Path("manifest.jws"))


def _fault(maker: Maker, text: str) -> tuple[str, str]:
    """Fail to sign one YAML file; return the code and the path of the fault."""
    Path("plug.bin").write_bytes(b"firmware")
    Path("acme.yaml").write_text(text)
    ran = maker.tool.try_to("sign", "acme.yaml", "--key", "acme.pem", "--json")
    assert ran.code == 3
    assert not Path("manifest.jws").exists()
    return ran.json["error"]["code"], ran.json["error"]["path"]


def test_one_file_describes_everything(maker: Maker) -> None:
    [release] = _sign(maker, GOOD)["releases"]
    assert release["match"] == {"manufacturer": "Acme", "model": ["PLUG-S1"], "hardware": ["rev1", "rev2"]}
    assert release["artifacts"][0]["url"] == "https://fw.example.com/plug.bin"


def test_a_version_stays_what_was_typed(maker: Maker) -> None:
    assert _sign(maker, GOOD)["releases"][0]["version"] == "1.10"


def test_notes_stay_as_they_are(maker: Maker) -> None:
    assert _sign(maker, GOOD)["releases"][0]["notes"] == "First line.\n\n- no: is not false here\n"


def test_dates_and_words_stay_texts(maker: Maker) -> None:
    text = GOOD.replace("file: plug", "published: 2026-11-19T00:00:00Z\n    kind: no\n    channel: on\n    file: plug")
    [release] = _sign(maker, text)["releases"]
    assert (release["published"], release["kind"], release["channel"]) == ("2026-11-19T00:00:00Z", "no", "on")


def test_the_notes_of_a_folder_are_in_a_file(maker: Maker) -> None:
    (maker.release() / "notes.md").write_text("# New\n")
    maker.sign()
    assert payload_of(maker.manifest)["releases"][0]["notes"] == "# New\n"


def test_all_releases_below_a_folder_are_found_in_order(maker: Maker) -> None:
    maker.release("1.3.0")
    maker.release("2.0.0", model="LAMP")
    maker.sign()
    releases = payload_of(maker.manifest)["releases"]
    assert [(item["match"]["model"], item["version"]) for item in releases] == [
        (["LAMP"], "2.0.0"),
        (["PLUG-S1"], "1.2.0"),
        (["PLUG-S1"], "1.3.0"),
    ]


def test_the_address_on_the_command_line_wins(maker: Maker) -> None:
    maker.sign("--base-url", "https://cdn.example.net/fw/")
    [artifact] = payload_of(maker.manifest)["releases"][0]["artifacts"]
    assert artifact["url"] == "https://cdn.example.net/fw/plug-s1/1.2.0/plug.bin"


def test_names_that_an_address_cannot_hold_are_escaped(maker: Maker) -> None:
    maker.release(model="Plug Größe 1")
    maker.sign()
    urls = [release["artifacts"][0]["url"] for release in payload_of(maker.manifest)["releases"]]
    assert "https://fw.example.com/acme/plug%20gr%C3%B6%C3%9Fe%201/1.2.0/plug.bin" in urls


def test_a_release_without_a_file_here_states_everything(maker: Maker) -> None:
    artifact = {"url": "https://cdn.example.net/p.bin", "name": "p.bin", "size": 9, "sha256": "0" * 64}
    (maker.release(file=None, artifacts=[artifact]) / "plug.bin").unlink()
    maker.sign()
    assert payload_of(maker.manifest)["releases"][0]["artifacts"] == [{"role": "main", **artifact}]


@pytest.mark.parametrize(
    ("body", "form"),
    [
        (esp32_image(b"program" * 100), "esp"),
        (esp8266_image(b"program" * 100), "esp"),
        (build_ota(Image("IKEA", "bulb", "553652784")), "zigbee-ota"),
        (package(Image("Shelly", "Plus1", "1.4.4")), "shelly-zip"),
        (b"anything else", "raw"),
    ],
)
def test_the_format_is_seen_from_the_first_bytes(maker: Maker, body: bytes, form: str) -> None:
    maker.release(body=body)
    maker.sign()
    assert payload_of(maker.manifest)["releases"][0]["artifacts"][0]["format"] == form


def test_a_broken_image_is_not_signed(maker: Maker) -> None:
    maker.release(body=esp32_image(b"program" * 100)[:-40])
    assert maker.tool.refusal("sign", maker.folder, "--key", "acme.pem") == (3, "size_mismatch")


def test_what_only_looks_like_an_image_is_signed_when_its_maker_says_so(maker: Maker) -> None:
    body = esp32_image(b"program" * 100)[:-40]
    maker.release(body=body, file=None, artifacts=[{"file": "plug.bin", "format": "raw"}])
    maker.sign()


@pytest.mark.parametrize(
    ("old", "new", "code", "where"),
    [
        ("vendor: Acme", "vendor: Acme\nvendr: Acme", "unknown_name", "acme.yaml: vendr"),
        ("vendor: Acme", "vendor: Acme\nsequence: 4", "unknown_name", "acme.yaml: sequence"),
        ("vendor: Acme", "vendor: Acme\nvendor: Other", "no_yaml", "acme.yaml:3"),
        ("vendor: Acme", "vendor: [Acme", "no_yaml", "acme.yaml:3"),
        ("vendor: Acme", "vendor: &a Acme\nsupport: *a", "no_yaml", "acme.yaml:3"),
        ("vendor: Acme", "vendor: Acme\n1: x", "needs_quotes", "acme.yaml"),
        ("vendor: Acme", "", "malformed", "vendor"),
        ("vendor: Acme", "vendor: Acme\nvalid_days: 0", "malformed", "acme.yaml: valid_days"),
        ("vendor: Acme", "vendor: Acme\nrevoked: [{model: PLUG-S1}]", "malformed", "acme.yaml: revoked[0].version"),
        ("version: 1.10", "version: 12", "needs_quotes", "acme.yaml: releases[0].version"),
        ("version: 1.10", "verison: 1.10", "unknown_name", "acme.yaml: releases[0].verison"),
        ("hardware: [rev1, rev2]", "hardwre: rev1", "unknown_name", "acme.yaml: releases[0].match.hardwre"),
        ("hardware: [rev1, rev2]", "hardware: []", "malformed", "acme.yaml: releases[0].match.hardware"),
        ("file: plug.bin", "file: gone.bin", "file_not_found", "gone.bin"),
        ("file: plug.bin", "file: ../plug.bin", "outside_the_folder", "acme.yaml: releases[0].artifacts[0].file"),
        ("file: plug.bin", "file: /etc/hostname", "outside_the_folder", "acme.yaml: releases[0].artifacts[0].file"),
        ("file: plug.bin", "artifacts: [{file: plug.bin, size: 9}]", "size_mismatch", "artifacts[0].size"),
        ("base_url: https://fw.example.com/", "", "no_address", "acme.yaml: releases[0].artifacts[0].url"),
    ],
)
def test_a_mistake_is_named_with_its_place(maker: Maker, old: str, new: str, code: str, where: str) -> None:
    assert old in GOOD
    found, path = _fault(maker, GOOD.replace(old, new))
    assert (found, path[-len(where) :]) == (code, where)


def test_a_misspelt_name_gets_the_right_one(maker: Maker) -> None:
    Path("acme.yaml").write_text("vendr: Acme\n")
    assert "did you mean vendor?" in maker.tool.try_to("sign", "acme.yaml", "--key", "acme.pem").err


@pytest.mark.parametrize("text", ["- a\n", "just words\n", "\x00", "a: " + "[" * 100])
def test_what_is_no_description_is_refused(maker: Maker, text: str) -> None:
    assert _fault(maker, text)[0] == "no_yaml"


def test_a_folder_without_a_description_is_refused(maker: Maker) -> None:
    Path("empty").mkdir()
    assert maker.tool.refusal("sign", "empty", "--key", "acme.pem") == (3, "file_not_found")
