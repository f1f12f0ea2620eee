"""The cache's folder, in which several downloads write and remove at the same time."""

from collections.abc import Iterator
from pathlib import Path
from typing import override

import pytest

from custom_components.firmware_hub.download_cache import ArtifactCache


class BusyFolder(type(Path())):  # type: ignore[misc]
    """A folder out of which a file vanishes after it was listed: another download took or gave up its part."""

    @override
    def iterdir(self) -> Iterator[Path]:
        listed = [*super().iterdir(), self / "0123456789abcdef.part"]
        return iter(sorted(listed))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return BusyFolder(tmp_path / "cache")


def test_a_part_that_vanishes_does_not_stop_the_shrinking(folder: Path) -> None:
    cache = ArtifactCache(folder, max_bytes=10)
    old, new = cache.put(b"123456"), cache.put(b"abcdef")
    cache.shrink({new.name})
    assert not old.exists()
    assert new.exists()
