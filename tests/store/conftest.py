"""A real database in a folder of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from custom_components.firmware_hub.store import Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "firmware_hub.abc.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    store = await Store.async_open(path)
    yield store
    await store.async_close()
