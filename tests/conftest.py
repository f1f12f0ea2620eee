"""What all tests share: where the integration is found, and how the pure zone is imported without Home Assistant."""

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

# The same examples on every run and no limit in milliseconds: a property that fails here fails everywhere.
settings.register_profile("firmware_hub", derandomize=True, deadline=None, database=None)
settings.load_profile("firmware_hub")


def _stub_the_integration() -> None:
    """Put an empty module in the place of the integration's root, whose real one imports Home Assistant.

    The pure zone lies below that root, and importing ``custom_components.firmware_hub.core`` runs the root first.
    """
    import custom_components

    name = "custom_components.firmware_hub"
    stub = ModuleType(name)
    stub.__path__ = [str(ROOT / "custom_components" / "firmware_hub")]
    sys.modules[name] = stub
    custom_components.firmware_hub = stub  # type: ignore[attr-defined]


if os.environ.get("FIRMWARE_HUB_PURE_ZONE_ONLY") or importlib.util.find_spec("homeassistant") is None:
    # None makes an import fail, so that a pure module that reaches for Home Assistant is found out where it is there.
    sys.modules["homeassistant"] = None  # type: ignore[assignment]
    _stub_the_integration()
else:
    # Before the harness mounts a configuration folder of its own, in which it would look for the integration.
    import custom_components  # noqa: F401


# These take minutes: whoever gets one of them last would work alone at the end.
LONGEST_FIRST = ("e2e/test_demo.py", "e2e/test_killed.py", "e2e/", "night/")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest, keep the order otherwise, and give one to what a set lists: workers have to agree."""
    functions = {item.nodeid.partition("[")[0]: None for item in items}
    order = {function: number for number, function in enumerate(functions)}

    def place(item: pytest.Item) -> tuple[int, int, str]:
        name = item.path.relative_to(ROOT / "tests").as_posix()
        rank = next((rank for rank, start in enumerate(LONGEST_FIRST) if name.startswith(start)), len(LONGEST_FIRST))
        return rank, order[item.nodeid.partition("[")[0]], item.nodeid

    items.sort(key=place)


@pytest.fixture
def hass_config_dir(hass_tmp_config_dir: str) -> str:
    """Every test gets a configuration folder of its own: databases of two tests never meet, not even in parallel."""
    return hass_tmp_config_dir


@pytest.fixture(autouse=True)
def enable_event_loop_debug() -> None:
    """Leave asyncio's debugging off, which the harness switches on.

    With it every future notes the whole stack it was made on, source lines included: that was most of the time.
    Where threads meet the loop, the tests switch it on themselves.
    """
