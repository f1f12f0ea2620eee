"""Prints what a release of Home Assistant would install by itself when it starts with our integrations.

Home Assistant fetches the requirements of an integration, of its dependencies and of its optional dependencies at the
first start. Locked and installed beforehand, it starts in seconds and without a network.
Usage: home_assistant_parts.py <folder that holds the package homeassistant>
"""

import json
import re
import sys
import tomllib
from pathlib import Path


def _manifest(package: Path, domain: str) -> dict[str, list[str]]:
    file = package / "components" / domain / "manifest.json"
    return json.loads(file.read_text("utf-8")) if file.is_file() else {}


def _entity_platforms(package: Path) -> list[str]:
    """Every kind of entity is set up at start, whether somebody uses it or not."""
    text = (package / "generated" / "entity_platforms.py").read_text("utf-8")
    return re.findall(r'^    [A-Z_]+ = "([a-z_]+)"$', text, re.MULTILINE)


def requirements(package: Path, domains: list[str]) -> list[str]:
    """The requirements of the named integrations and of all that they lead to."""
    found: set[str] = set()
    seen: set[str] = set()
    todo = domains + _entity_platforms(package)
    while todo:
        domain = todo.pop()
        if domain in seen:
            continue
        seen.add(domain)
        manifest = _manifest(package, domain)
        found.update(manifest.get("requirements", []))
        todo += manifest.get("dependencies", []) + manifest.get("after_dependencies", [])
    return sorted(found)


if __name__ == "__main__":
    settings = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))
    integrations = settings["tool"]["firmware_hub"]["home_assistant_integrations"]
    print("\n".join(requirements(Path(sys.argv[1]) / "homeassistant", integrations)))
