"""Reads one document in a process of its own, and says how much memory that took at its peak.

Called with who reads it, the file, and the feed that it is from: the hub as its own code does, or ``json.loads``.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

from custom_components.firmware_hub.core.manifest import read_manifest
from custom_components.firmware_hub.core.model import Feed, Trust
from custom_components.firmware_hub.sources import BY_NAME
from custom_components.firmware_hub.sources.github_releases import TASMOTA_FEED
from custom_components.firmware_hub.sources.zigbee_ota_index import ZIGBEE_OTA_FEED
from tests.bench.apart import Peak
from tests.bench.messages import MAKER

PUBLIC_FEEDS = {"tasmota": TASMOTA_FEED, "zigbee": ZIGBEE_OTA_FEED}
"""Others are signed manifests, called by the key that signed them."""


def _feed(name: str) -> Feed:
    signed = Feed("bench", "signed_manifest", MAKER, "https://acme.example/", Trust.SIGNED, MAKER, keys=(name,))
    return PUBLIC_FEEDS.get(name, signed)


def _main(who: str, document: Path, name: str) -> int:
    raw, feed = document.read_bytes(), _feed(name)
    if who == "json" and name not in PUBLIC_FEEDS:
        raw = base64.urlsafe_b64decode(raw.split(b".")[1] + b"==")
    kept: object = None
    with Peak() as peak:
        kept = read_manifest(raw, feed, BY_NAME[feed.source]) if who == "hub" else json.loads(raw)
    if not kept:
        raise RuntimeError("nothing was read")
    return peak.bytes


if __name__ == "__main__":
    print(_main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
