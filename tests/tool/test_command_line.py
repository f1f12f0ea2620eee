"""The command line itself: help that suffices, exit codes, one JSON object."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from firmware_hub_tool.cli import parser
from firmware_hub_tool.commands import COMMANDS
from firmware_hub_tool.faults import Exit
from tests.tool.conftest import Maker, Tool

ROOT = Path(__file__).parents[2]
NAMES = [command.NAME for command in COMMANDS]


def _help(*words: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args([*words, "--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_the_commands_are_the_seven() -> None:
    assert NAMES == ["keygen", "sign", "verify", "inspect", "rotate", "revoke", "try-device"]


def test_help_names_every_command_and_every_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    said = _help(capsys=capsys)
    assert [name for name in NAMES if name not in said] == []
    assert [code for code in Exit if f"\n  {int(code)}  " not in said] == []


@pytest.mark.parametrize("name", NAMES)
def test_the_help_of_a_command_has_an_example_that_its_own_parser_takes(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = _help(name, capsys=capsys).replace("\\\n", " ")
    examples = [shlex.split(line) for line in said.splitlines() if line.startswith(f"  firmware-hub {name} ")]
    assert examples
    for example in examples:
        parser().parse_args(example[1:])


@pytest.mark.parametrize("name", NAMES)
def test_every_option_is_explained(name: str) -> None:
    commands = next(action for action in parser()._actions if action.dest == "command")
    assert isinstance(commands.choices, dict)
    actions = commands.choices[name]._actions
    assert [action.dest for action in actions if not (action.help or action.dest == "username")] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_command_speaks_json(name: str) -> None:
    commands = next(action for action in parser()._actions if action.dest == "command")
    assert isinstance(commands.choices, dict)
    assert "--json" in commands.choices[name].format_help()


def test_a_fault_is_one_line_on_standard_error(tool: Tool) -> None:
    ran = tool.try_to("inspect", "gone.bin")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err == "firmware-hub inspect: file_not_found: gone.bin: there is no such file\n"


def test_a_fault_is_one_json_object_for_machines(tool: Tool) -> None:
    ran = tool.try_to("inspect", "gone.bin", "--json")
    error = {"code": "file_not_found", "path": "gone.bin", "detail": "there is no such file"}
    assert (ran.json, ran.err) == ({"command": "inspect", "ok": False, "exit": 3, "error": error}, "")


def test_a_success_is_one_json_object_for_machines(maker: Maker) -> None:
    ran = maker.sign("--json")
    assert ran.json["ok"] is True
    assert ran.out.count("\n") == 1


@pytest.mark.parametrize("words", [[], ["sing"], ["sign"], ["sign", "x", "--key", "k", "--days", "0"]])
def test_a_command_line_that_makes_no_sense_ends_with_2(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(words)
    assert ended.value.code == 2


def _module(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "firmware_hub_tool", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_runs_as_a_module_and_ends_with_its_code(tmp_path: Path) -> None:
    good = _module("keygen", "k.pem", "--json", folder=tmp_path)
    again = _module("keygen", "k.pem", "--json", folder=tmp_path)
    assert (good.returncode, json.loads(good.stdout)["ok"]) == (0, True)
    assert (again.returncode, json.loads(again.stdout)["error"]["code"]) == (4, "file_exists")


def test_a_passphrase_may_come_on_standard_input(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "firmware_hub_tool", "keygen", "k.pem", "--passphrase-file", "-"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=tmp_path, env=environment, input=b"words\n", check=True, capture_output=True)
    assert b"ENCRYPTED" in (tmp_path / "k.pem").read_bytes()


def test_a_reader_that_goes_away_is_no_crash(tmp_path: Path) -> None:
    _module("keygen", "k.pem", folder=tmp_path)
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "firmware_hub_tool", "inspect", "k.pub.json"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ran = subprocess.run(command, cwd=tmp_path, env=environment, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (ran.returncode, ran.stderr) == (5, b"")
