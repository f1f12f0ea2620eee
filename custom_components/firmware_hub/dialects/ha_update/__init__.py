"""Any device that announces an ``update`` to Home Assistant over MQTT."""

from __future__ import annotations

from .dialect import HaUpdateDialect

__all__ = ["HaUpdateDialect"]
