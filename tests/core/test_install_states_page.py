"""The page about the states of an install says what the code does."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest

from custom_components.firmware_hub.core.install import TABLE, Happening
from custom_components.firmware_hub.core.model import InstallState

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def drawing() -> ModuleType:
    """The script that draws the page."""
    spec = importlib.util.spec_from_file_location("state_diagram", ROOT / "script" / "state_diagram.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_script_makes_of_the_state_table(drawing: ModuleType) -> None:
    page = (ROOT / "docs" / "install-states.md").read_text(encoding="utf-8")
    assert page == drawing.page(), "run script/state_diagram"


def test_the_script_tries_everything_that_can_happen(drawing: ModuleType) -> None:
    assert {type(item) for _, item in drawing.HAPPENINGS} == set(get_args(Happening))


def test_the_script_tries_every_state_that_the_table_names(drawing: ModuleType) -> None:
    explored = drawing.Explored([InstallState.DOWNLOADED, InstallState.SUCCEEDED])
    assert [bool(by) for by in explored.ways.values()] == [
        any(named is state for named, _ in TABLE) for state in explored.ways
    ]
