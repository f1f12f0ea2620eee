"""What is shipped: the wheel of the maker's tool, and files in which a machine's own addresses must not turn up."""

from pathlib import Path
import re
import subprocess
import sys
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names of all files in a freshly built wheel."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], cwd=ROOT, check=True)
    (wheel,) = folder.glob("*.whl")
    return ZipFile(wheel).namelist()


def test_the_wheel_never_ships_a_package_that_hides_other_integrations(wheel_names: list[str]) -> None:
    assert not [name for name in wheel_names if "custom_components" in name]


@pytest.mark.parametrize("part", ["core", "dialects", "sources"])
def test_the_wheel_ships_the_pure_zone_under_the_name_of_the_tool(wheel_names: list[str], part: str) -> None:
    assert f"firmware_hub_tool/{part}/__init__.py" in wheel_names


def test_the_wheel_ships_nothing_that_needs_home_assistant(wheel_names: list[str]) -> None:
    roots = {name.split("/")[1] for name in wheel_names if name.startswith("firmware_hub_tool/") and "/" in name}
    assert roots <= {"__init__.py", "cli.py", "py.typed", "core", "dialects", "sources"}


@pytest.mark.parametrize("lock", sorted(ROOT.glob("requirements/*.txt")), ids=lambda path: path.name)
def test_a_lock_says_what_but_never_from_where(lock: Path) -> None:
    assert not re.search(r"://|--(extra-)?index|--find-links", lock.read_text("utf-8"))


@pytest.mark.parametrize("lock", sorted(ROOT.glob("requirements/*.txt")), ids=lambda path: path.name)
def test_everything_that_is_locked_has_a_digest(lock: Path) -> None:
    text = lock.read_text("utf-8").replace("\\\n", "")
    assert not [line for line in text.splitlines() if "==" in line and "--hash=sha256:" not in line]
