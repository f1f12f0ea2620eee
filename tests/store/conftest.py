"""A real database in a folder of its own."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from custom_components.firmware_hub.store import Store


@pytest.fixture(autouse=True)
async def enable_event_loop_debug() -> None:
    """Find calls of the loop from a wrong thread: another thread works here."""
    asyncio.get_running_loop().set_debug(True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "firmware_hub.abc.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    store = await Store.async_open(path)
    yield store
    await store.async_close()
