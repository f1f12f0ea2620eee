"""Runs a module of this package with an empty module in the place of the integration's root.

The real one imports Home Assistant, which takes seconds, and whatever lies below it would run it first.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from types import ModuleType

if __name__ == "__main__":
    root = "custom_components.firmware_hub"
    stub = ModuleType(root)
    stub.__path__ = [str(Path(__file__).parents[2] / root.replace(".", "/"))]
    sys.modules[root] = stub
    del sys.argv[0]
    runpy.run_module(f"tests.bench.{sys.argv[0]}", run_name="__main__")
