"""The rows of the feeds: a signed manifest verified and read, and the public lists of Tasmota and of Zigbee-OTA."""

from __future__ import annotations

import json
from statistics import median
from time import perf_counter

import jwt

from custom_components.firmware_hub.core.manifest import read_manifest
from custom_components.firmware_hub.core.matching import Catalogue
from custom_components.firmware_hub.core.model import Feed, FitKey, Trust
from custom_components.firmware_hub.sources import BY_NAME
from custom_components.firmware_hub.sources.github_releases import TASMOTA_FEED
from custom_components.firmware_hub.sources.zigbee_ota_index import ZIGBEE_OTA_FEED
from simulator.github import API, TasmotaRelease, answer
from simulator.images import Image
from simulator.vendor import Vendor
from tests.bench.apart import apart, python_of_the_tests
from tests.bench.figures import Figure, Run, ratio
from tests.bench.homes import folder
from tests.bench.messages import MAKER, MODEL
from tests.bench.zigbee_list import listed

RELEASES = (50, 5_000)
TASMOTA_RELEASES = 10
ZIGBEE_DEVICES = 1_000
LANGUAGES = 100
"""Images per release beyond the usual ones: Tasmota publishes several hundred files with each."""


async def manifest(run: Run) -> list[Figure]:
    """Verify and read a signed manifest, against the bare check of its signature by the library below."""
    figures = []
    async with Vendor(MAKER) as vendor:
        template = vendor.add_release(Image(MAKER, MODEL, "1.0.0"), notes="- better", recovery={})
        feed = Feed(
            "acme", "signed_manifest", "Acme", vendor.manifest_url, Trust.SIGNED, MAKER, keys=(vendor.public_jwk,)
        )
        key = jwt.PyJWK.from_json(vendor.public_jwk)
        for count in RELEASES:
            vendor.releases = [
                template | {"match": {"manufacturer": MAKER, "model": [f"{MODEL}-{number}"]}} for number in range(count)
            ]
            raw = vendor.manifest()
            ours: list[float] = []
            theirs: list[float] = []
            for _ in run.rounds(7):
                began = perf_counter()
                read = read_manifest(raw, feed, BY_NAME[feed.source])
                ours.append(perf_counter() - began)
                began = perf_counter()
                jwt.PyJWS().decode(raw, key, algorithms=["ES256"])
                theirs.append(perf_counter() - began)
                if len(read.releases) != count:
                    raise RuntimeError("not all releases were read")
            what = f"verify and read {count:,} releases ({len(raw) / 1e6:.2g} MB), against the bare signature check"
            figures.append(ratio("manifest", what, None, ours, theirs))
            what = f"memory to verify and read {count:,} releases, beside json.loads"
            figures.append(await _memory(run, "manifest", what, raw, vendor.public_jwk))
    return figures


async def _memory(run: Run, row: str, what: str, raw: bytes, feed: str) -> Figure:
    """Return the memory that reading a document takes, beside that of ``json.loads``.

    Of a signed manifest, which is no JSON, the peer is given what stands in it, as the hub has it after its check.
    """
    taken: dict[str, list[float]] = {"hub": [], "json": []}
    with folder() as place:
        document = place / "document"
        document.write_bytes(raw)
        for _ in run.rounds(3):
            for who, done in taken.items():
                done.append(await apart("reading", who, str(document), feed) / 1e6)
    return Figure(row, what, None, "MB", tuple(taken["hub"]), medians={"json_mb": median(taken["json"])})


async def tasmota(run: Run) -> list[Figure]:
    """Read the list of Tasmota's releases and match devices, against parsing the same bytes as JSON."""
    raw = _list_of_releases()
    ours: list[float] = []
    theirs: list[float] = []
    match: list[float] = []
    files = 0
    for _ in run.rounds(7):
        began = perf_counter()
        read = read_manifest(raw, TASMOTA_FEED, BY_NAME[TASMOTA_FEED.source])
        ours.append(perf_counter() - began)
        began = perf_counter()
        json.loads(raw)
        theirs.append(perf_counter() - began)
        files = sum(len(release.artifacts) for release in read.releases)
        catalogue = Catalogue()
        began = perf_counter()
        catalogue.replace(read)
        for device in _KINDS:
            if catalogue.offer(device) is None:
                raise RuntimeError(f"nothing fits {device}")
        match.append((perf_counter() - began) * 1000)
    what = f"read {TASMOTA_RELEASES} releases ({len(raw) / 1e6:.2g} MB), against json.loads"
    figure = ratio("tasmota", what, None, ours, theirs)
    figure.medians["files"] = files
    return [
        figure,
        Figure("tasmota", f"match {len(_KINDS)} kinds of device", None, "ms", tuple(match)),
        await _memory(run, "tasmota", "memory to read them, beside json.loads", raw, "tasmota"),
    ]


async def zigbee(run: Run) -> list[Figure]:
    """Read Zigbee-OTA's list and match devices, against json.loads of the same text and zigpy's own matching."""
    where, raw = listed()
    ours: list[float] = []
    theirs: list[float] = []
    images = 0
    for _ in run.rounds(7):
        began = perf_counter()
        read = read_manifest(raw, ZIGBEE_OTA_FEED, BY_NAME[ZIGBEE_OTA_FEED.source])
        ours.append(perf_counter() - began)
        began = perf_counter()
        images = len(json.loads(raw))
        theirs.append(perf_counter() - began)
        if not read.releases:
            raise RuntimeError("the list was not read")
    what = f"read {images:,} images ({len(raw) / 1e6:.2g} MB, {where}), against json.loads"
    devices, rounds = (ZIGBEE_DEVICES // 20, 1) if run.quick else (ZIGBEE_DEVICES, 7)
    match = await apart("zigbee_match", str(devices), str(rounds), python=python_of_the_tests())
    figure = ratio("zigbee", "match them, against zigpy's own matching", devices, match["hub"], match["zigpy"])
    figure.medians["offers"] = match["offers"]
    return [
        ratio("zigbee", what, None, ours, theirs),
        figure,
        await _memory(run, "zigbee", "memory to read them, beside json.loads", raw, "zigbee"),
    ]


def _list_of_releases() -> bytes:
    releases = []
    for number in range(TASMOTA_RELEASES):
        release = TasmotaRelease.usual(f"14.{TASMOTA_RELEASES - number}.0")
        image = release.assets["tasmota.bin"]
        for language in range(LANGUAGES):
            for name in (f"tasmota-L{language}.bin", f"tasmota-L{language}.bin.gz", f"tasmota32-L{language}.bin"):
                release.assets[name] = image[:64]
        releases.append(release)
    found = answer(releases, f"{API}/releases", {"per_page": str(TASMOTA_RELEASES)}, "https://api.github.com")
    if found is None:
        raise RuntimeError("the list is empty")
    return found.body


_KINDS = tuple(
    FitKey(
        manufacturer="Tasmota",
        model=chip,
        hardware="",
        variant=variant,
        version="14.0.0",
        counter=None,
        dialect="tasmota",
    )
    for chip, variant in (("ESP8266", "tasmota"), ("ESP8266", "lite"), ("ESP8266", "sensors"), ("ESP32", "tasmota32"))
)
