"""docs/for-makers.md: its ten commands, as they stand there, in a real shell, against a real web server."""

import re
import subprocess
from pathlib import Path

import pytest

from firmware_hub_tool.cli import EXIT_CODES, parser
from simulator.esp import esp32_image
from tests.tool import wheelhouse
from tests.tool.conftest import Serve

PAGE = (wheelhouse.ROOT / "docs" / "for-makers.md").read_text("utf-8")
COMMANDS = re.findall(r"^```bash\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tool_wheel: Path, tmp_path: Path) -> Path:
    """What a maker has at the beginning: the wheel and an image."""
    (tmp_path / tool_wheel.name).write_bytes(tool_wheel.read_bytes())
    (tmp_path / "plug.bin").write_bytes(esp32_image(b"program" * 100))
    return tmp_path


def _environment(tool_wheel: Path, folder: Path, base_url: str) -> dict[str, str]:
    """Put everything that uv writes below the folder, and the tool on the path."""
    offline = wheelhouse.offline(tool_wheel.parent, folder / "uv" / "cache")
    programs = folder / "uv" / "bin"
    return offline | {
        "UV_TOOL_DIR": str(folder / "uv" / "tools"),
        "UV_TOOL_BIN_DIR": str(programs),
        "PATH": f"{wheelhouse.UV.parent}:{programs}:{offline['PATH']}",
        "BASE_URL": base_url,
        "WEB_ROOT": str(folder / "web"),
    }


def test_there_are_ten_commands() -> None:
    assert len(COMMANDS) == 10


def test_the_ten_commands_lead_to_a_release_that_a_hub_takes(tool_wheel: Path, folder: Path, serve: Serve) -> None:
    web = folder / "web"
    web.mkdir()
    with serve(web) as base_url:
        environment = _environment(tool_wheel, folder, base_url)
        ran = [
            subprocess.run(
                ["bash", "-euo", "pipefail", "-c", command],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            for command in COMMANDS
        ]
    assert [(one.returncode, one.stderr) for one in ran[1:]] == [(0, "")] * 9, ran
    assert ran[0].returncode == 0, ran[0]
    assert ran[-1].stdout.splitlines()[-1] == "a hub takes this"
    assert (web / "manifest.jws").is_file()


def test_every_other_command_on_the_page_is_one() -> None:
    lines = re.findall(r"^firmware-hub (.*)$", PAGE, re.MULTILINE)
    for line in lines:
        parser().parse_args(line.replace('"', "").split())
    assert len(lines) >= 6


def test_the_exit_codes_are_those_of_the_help() -> None:
    table = dict(re.findall(r"^\| (\d) \| (.*) \|$", PAGE, re.MULTILINE))
    assert table == dict(re.findall(r"^  (\d)  (.*)$", EXIT_CODES, re.MULTILINE))
