"""Shelly of the second generation and later (``docs/dialects/shelly.md``): the dialect, its topics, and its answers."""

from __future__ import annotations

from .dialect import ShellyDialect

__all__ = ["ShellyDialect"]
