"""Tasmota (``docs/dialects/tasmota.md``): the dialect, its topics, and what its messages say."""

from __future__ import annotations

from .dialect import TasmotaDialect

__all__ = ["TasmotaDialect"]
