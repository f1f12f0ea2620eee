"""The list of images that Zigbee-OTA publishes: the real one if it is at hand, else one with as much in it.

For whom each image is, in which version, is taken from what the real list says (``tests/sources``). What is not kept
there is made up in the length that it has on average: names, addresses, digests, notes.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

FACTS = Path(__file__).parents[1] / "sources" / "zigbee_ota_facts.tsv"
BASE = "https://raw.githubusercontent.com/Koenkk/zigbee-OTA/master/images/"
_NAME = 45  # characters of a file's name
_TEXTS = ("modelId", "manufacturerName")
_FACTS = (
    *("fileVersion", "modelId", "manufacturerName", "minFileVersion", "maxFileVersion"),
    *("hardwareVersionMin", "hardwareVersionMax"),
)


def listed() -> tuple[str, bytes]:
    """Return what the list is, and its text.

    The real one is ``index.json`` in the folder that FIRMWARE_HUB_ZIGBEE_INDEXES names, as for the tests.
    """
    folder = os.environ.get("FIRMWARE_HUB_ZIGBEE_INDEXES")
    if folder:
        return "the real list", Path(folder, "index.json").read_bytes()
    rows = [line.split("\t") for line in FACTS.read_text("utf-8").splitlines()]
    entries = [_entry(number, row[1:]) for number, row in enumerate(rows) if row[0] == "current"]
    return "made from the real list's facts", json.dumps(entries, indent=2).encode()


def _entry(number: int, row: list[str]) -> dict[str, Any]:
    maker, kind, *facts = row
    said = {name: value for name, value in zip(_FACTS, facts, strict=False) if value}
    digest = hashlib.sha512(str(number).encode()).hexdigest()
    name = f"{maker}-{kind}-{digest}"[:_NAME] + ".ota"
    entry: dict[str, Any] = {
        "fileName": name,
        "fileSize": 200_000 + number,
        "url": f"{BASE}Maker{maker}/{name}",
        "imageType": int(kind, 16),
        "manufacturerCode": int(maker, 16),
        "sha512": digest,
        "otaHeaderString": f"{digest[:30]:<32}",
    }
    if number % 9 < 4:
        entry["originalUrl"] = f"https://firmware.maker.example/files/{number}/{name}"
    if number % 9 < 2:
        entry["releaseNotes"] = f"https://firmware.maker.example/notes/{number}/release-notes.html"
    entry |= {key: value if key in _TEXTS else int(value) for key, value in said.items()}
    if "manufacturerName" in said:
        entry["manufacturerName"] = said["manufacturerName"].split("|")
    return entry
