"""The wheel in an environment that holds nothing but what the wheel asks for."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tool import wheelhouse

type Run = Callable[..., subprocess.CompletedProcess[str]]

EVERY_MODULE = """
import importlib, pkgutil, sys
import firmware_hub_tool
names = [module.name for module in pkgutil.walk_packages(firmware_hub_tool.__path__, "firmware_hub_tool.")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
print(len(names), *sorted({"homeassistant", "aiohttp", "custom_components", "simulator"} & set(sys.modules)))
"""


@pytest.fixture(scope="module")
def installed(tool_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the tool and what it declares; nothing comes over a network."""
    folder = tmp_path_factory.mktemp("installed")
    environment = folder / "environment"
    python = environment / "bin" / "python"
    for words in (("venv", environment), ("pip", "install", "--python", python, tool_wheel)):
        offline = wheelhouse.offline(tool_wheel.parent, folder / "cache")
        subprocess.run([wheelhouse.UV, *words], env=offline, check=True, capture_output=True)
    return environment


@pytest.fixture
def run(installed: Path, tmp_path: Path) -> Run:
    """Run a program of that environment in an empty folder."""

    def run(program: str, *words: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        command = [str(installed / "bin" / program), *map(str, words)]
        ran = subprocess.run(command, cwd=tmp_path, env=clean, capture_output=True, text=True, check=False)
        assert ran.returncode == code, ran
        return ran

    return run


def test_the_command_is_there(run: Run) -> None:
    assert run("firmware-hub", "--version").stdout.startswith("firmware-hub 0.")


def test_every_module_can_be_imported_and_none_needs_home_assistant(run: Run) -> None:
    count, *foreign = run("python", "-c", EVERY_MODULE).stdout.split()
    assert (int(count) > 60, foreign) == (True, [])


def test_home_assistant_is_not_in_that_environment(run: Run) -> None:
    run("python", "-c", "import homeassistant", code=1)


def test_it_signs_and_verifies(run: Run, tmp_path: Path) -> None:
    (tmp_path / "plug.bin").write_bytes(b"firmware")
    release = {"match": {"manufacturer": "Acme", "model": "PLUG-S1"}, "version": "1.2.0", "file": "plug.bin"}
    described = {"vendor": "Acme", "base_url": "https://fw.example.com", "releases": [release]}
    (tmp_path / "acme.yaml").write_text(json.dumps(described))
    run("firmware-hub", "keygen", "acme.pem")
    run("firmware-hub", "sign", "acme.yaml", "--key", "acme.pem")
    said = run("firmware-hub", "verify", "manifest.jws", "--key", "acme.pub.json", "--files", ".", "--json").stdout
    assert json.loads(said)["ok"] is True


def test_it_can_speak_to_a_broker(run: Run) -> None:
    words = ("try-device", "plug", "--broker", "127.0.0.1:9", "--json")
    assert json.loads(run("firmware-hub", *words, code=5).stdout)["error"]["code"] == "broker_failed"
