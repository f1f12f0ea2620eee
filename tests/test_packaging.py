"""What is shipped: the wheel of the maker's tool, and files in which a machine's own addresses must not turn up."""

import re
import subprocess
import sys
from pathlib import Path
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


def test_the_wheel_ships_each_file_once(wheel_names: list[str]) -> None:
    assert len(wheel_names) == len(set(wheel_names))


def test_the_wheel_ships_every_module_of_the_tool(wheel_names: list[str]) -> None:
    tool = ROOT / "firmware_hub_tool"
    assert {str(path.relative_to(ROOT)) for path in tool.rglob("*.py")} <= set(wheel_names)


@pytest.mark.parametrize("lock", sorted(ROOT.glob("requirements/*.txt")), ids=lambda path: path.name)
def test_a_lock_says_what_but_never_from_where(lock: Path) -> None:
    assert not re.search(r"://|--(extra-)?index|--find-links", lock.read_text("utf-8"))


@pytest.mark.parametrize("lock", sorted(ROOT.glob("requirements/*.txt")), ids=lambda path: path.name)
def test_everything_that_is_locked_has_a_digest(lock: Path) -> None:
    text = lock.read_text("utf-8").replace("\\\n", "")
    assert not [line for line in text.splitlines() if "==" in line and "--hash=sha256:" not in line]
