"""Whatever stands in a file: a typed fault, or none, and never a crash."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from firmware_hub_tool.description import read_description
from firmware_hub_tool.faults import Fault
from firmware_hub_tool.yaml_text import read_mapping
from simulator.esp import esp32_image
from simulator.images import Image
from simulator.shelly_package import package
from simulator.zigbee_images import build_ota
from tests.tool.conftest import Tool

GOOD = """vendor: Acme
base_url: https://fw.example.com/
valid_days: 30
revoked: [{model: PLUG-S1, version: "1.0", reason: it burns}]
releases:
  - match: {manufacturer: Acme, model: [PLUG-S1], hardware: rev1}
    version: 1.10.0
    counter: 17
    artifacts: [{file: plug.bin, role: main}]
"""
WORDS = ["vendor: ", "releases:", "match: ", "file: ", "plug.bin", "!!python/object:os.system ", "1", "true", "null"]
SIGNS = [
    "\n",
    "  ",
    "- ",
    "{",
    "}",
    "[",
    "]",
    ": ",
    ",",
    "&a ",
    "*a",
    "<<: ",
    "|\n",
    "? ",
    "..",
    "/",
    "\t",
    "\ufeff",
    "'",
    '"',
]
PIECES = st.sampled_from(WORDS + SIGNS)
MANY = settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
IMAGES = [
    esp32_image(b"program" * 20),
    build_ota(Image("IKEA", "bulb", "553652784")),
    package(Image("Shelly", "Plus1", "1.4.4")),
]


@given(st.lists(PIECES, max_size=25).map("".join) | st.text(max_size=80))
@MANY
def test_any_text_is_a_mapping_or_a_fault(text: str) -> None:
    try:
        found = read_mapping(text.encode(errors="replace"), "x.yaml")
    except Fault as fault:
        assert fault.path.startswith("x.yaml")  # noqa: PT017
    else:
        assert all(isinstance(name, str) for name in found)


@given(at=st.integers(0, len(GOOD) - 1), cut=st.integers(0, 30), put=st.lists(PIECES, max_size=3))
@MANY
def test_a_description_with_a_fault_anywhere_is_read_or_refused(
    tmp_path: Path, at: int, cut: int, put: list[str]
) -> None:
    (tmp_path / "plug.bin").write_bytes(b"firmware")
    (tmp_path / "acme.yaml").write_text(GOOD[:at] + "".join(put) + GOOD[at + cut :], encoding="utf-8")
    try:
        read_description(tmp_path / "acme.yaml")
    except Fault as fault:
        assert fault.path  # noqa: PT017


@pytest.mark.parametrize("image", IMAGES, ids=["esp", "zigbee", "shelly"])
@given(at=st.integers(0, 200), put=st.binary(max_size=4), keep=st.integers(0, 3000))
@MANY
def test_an_image_with_a_fault_anywhere_is_looked_at(tool: Tool, image: bytes, at: int, put: bytes, keep: int) -> None:
    broken = (image[:at] + put + image[at + len(put) :])[:keep]
    Path("thing").write_bytes(broken)
    assert tool.try_to("inspect", "thing", "--json").code in {0, 1}
