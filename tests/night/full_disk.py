"""A disk that is full for SQLite: its own limit on the size of the database, which it answers with SQLITE_FULL."""

from dataclasses import dataclass

from homeassistant.util import dt as dt_util

from custom_components.firmware_hub.core.effects import AuditRow, Save
from custom_components.firmware_hub.core.errors import OutsideFailed
from custom_components.firmware_hub.store import Store


@dataclass
class FullDisk:
    """Fills and empties the disk under a store."""

    store: Store

    async def fill(self) -> None:
        """Let the database not grow any more, and use up what room its last pages have."""
        pages = await self._pragma("page_count")
        await self._pragma(f"max_page_count={pages}")
        try:
            while True:
                await self.store.async_save(Save(audit=(AuditRow(dt_util.utcnow(), "filler", ""),)))
        except OutsideFailed:
            return

    async def empty(self) -> None:
        """Let it grow again."""
        await self._pragma("max_page_count=1000000")

    async def _pragma(self, text: str) -> int:
        connection = self.store._worker._connection  # the limit is the connection's own
        row = await self.store._run(lambda: connection.execute(f"PRAGMA {text}").fetchone())
        return int(row[0])
