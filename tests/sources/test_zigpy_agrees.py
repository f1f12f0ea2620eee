"""The hub's answers about Zigbee images against those of zigpy, for every image of the real indexes.

``zigbee_ota_facts.tsv`` is what the two indexes of Zigbee-OTA said for whom their images are (list, manufacturer code,
image type, version, model, makers, windows of the running version and of the hardware), without addresses and digests.
With FIRMWARE_HUB_ZIGBEE_INDEXES set to a folder that holds ``index.json`` and ``index1.json``, those are read as well.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from custom_components.firmware_hub.core.manifest import read_manifest
from custom_components.firmware_hub.core.matching import Catalogue
from custom_components.firmware_hub.core.model import FitKey
from custom_components.firmware_hub.sources.zigbee_ota_index import ZIGBEE_OTA_FEED, ZigbeeOtaIndexSource

zigpy: Any = pytest.importorskip("zigpy.ota")
providers: Any = pytest.importorskip("zigpy.ota.providers")
image: Any = pytest.importorskip("zigpy.ota.image")
general: Any = pytest.importorskip("zigpy.zcl.clusters.general")
attrs: Any = pytest.importorskip("attrs")

FACTS = Path(__file__).parent / "zigbee_ota_facts.tsv"
NAMES = ("fileVersion", "modelId", "manufacturerName", "minFileVersion", "maxFileVersion")
HARDWARE = ("hardwareVersionMin", "hardwareVersionMax")
BASE = "https://images.example/"


def entries(wanted: str) -> list[dict[str, Any]]:
    """Return one of the lists as its index has it; addresses and digests are made up."""
    found = []
    for number, line in enumerate(FACTS.read_text().splitlines()):
        name, maker, kind, *facts = line.split("\t")
        if name != wanted:
            continue
        said = {key: value for key, value in zip(NAMES + HARDWARE, facts, strict=False) if value}
        entry: dict[str, Any] = {key: int(value) for key, value in said.items() if key.lower().find("version") >= 0}
        if "modelId" in said:
            entry["modelId"] = said["modelId"]
        if "manufacturerName" in said:
            entry["manufacturerName"] = said["manufacturerName"].split("|")
        digest = hashlib.sha512(str(number).encode()).hexdigest()
        found.append(
            entry
            | {"manufacturerCode": int(maker, 16), "imageType": int(kind, 16), "fileSize": 1, "sha512": digest}
            | {"url": f"{BASE}{number}.ota"}
        )
    return found


@dataclass(frozen=True)
class Query:
    """What a device says: who it is, what it runs, what it is made of."""

    code: int
    kind: int
    maker: str
    model: str
    running: int
    hardware: int | None


def queries(listed: list[dict[str, Any]]) -> Iterator[Query]:
    """Return every kind of device of which the list speaks, and one of which it does not, at every turn of its path."""
    groups = defaultdict(list)
    for entry in listed:
        groups[entry["manufacturerCode"], entry["imageType"]].append(entry)
    for (code, kind), group in groups.items():
        makers = {"Nobody", *(name for entry in group for name in entry.get("manufacturerName", ()))}
        models = {"NOTHING", *(entry["modelId"] for entry in group if "modelId" in entry)}
        bounds = [entry[key] for entry in group for key in NAMES if key.lower().find("version") >= 0 and key in entry]
        running = {near for bound in bounds for near in (bound - 1, bound, bound + 1) if near >= 0} | {0}
        edges = [entry[key] for entry in group for key in HARDWARE if key in entry]
        hardware = {None, *(near for edge in edges for near in (edge - 1, edge, edge + 1) if near >= 0)}
        for maker, model, version, number in itertools.product(makers, models, running, hardware):
            yield Query(code, kind, maker, model, version, number)


# --- the two that answer ----------------------------------------------------------------------------------------------


class Hub:
    """The hub, told by a bridge of which image type each device is: a file of that type that is nobody's update."""

    def __init__(self, listed: list[dict[str, Any]]) -> None:
        self.catalogue = Catalogue()
        pairs = {(entry["manufacturerCode"], entry["imageType"]) for entry in listed}
        base = {"fileVersion": 0, "fileSize": 1, "sha512": "00" * 64, "modelId": "named by a bridge"}
        named = [base | {"manufacturerCode": c, "imageType": k, "url": f"{BASE}{c:x}-{k:x}"} for c, k in pairs]
        for feed_id, found in (("zigbee_ota", listed), ("named", named)):
            feed = replace(ZIGBEE_OTA_FEED, id=feed_id)
            self.catalogue.replace(read_manifest(json.dumps(found).encode(), feed, ZigbeeOtaIndexSource()))

    def answer(self, query: Query) -> str | None:
        hardware = "" if query.hardware is None else str(query.hardware)
        named = f"{BASE}{query.code:x}-{query.kind:x}"
        offer = self.catalogue.offer(
            FitKey("zigbee2mqtt", query.maker, query.model, hardware, "", str(query.running), None, named)
        )
        return offer.release.main.url if offer else None


class Device:
    """As much of a device as zigpy looks at."""

    def __init__(self, query: Query) -> None:
        self.manufacturer = query.maker
        self.model = query.model
        self.manufacturer_id = query.code


def zigpy_of(listed: list[dict[str, Any]]) -> Any:
    """Return zigpy's own manager, with a provider that has this list; files are made up from what the list says."""

    class Made(providers.RemoteOtaImageMetadata):  # type: ignore[misc]
        async def fetch(self) -> Any:
            header = image.OTAImageHeader(
                upgrade_file_id=image.OTAImageHeader.MAGIC_VALUE,
                header_version=256,
                header_length=56,
                field_control=image.FieldControl(0),
                manufacturer_id=self.manufacturer_id,
                image_type=self.image_type,
                file_version=self.file_version,
                stack_version=2,
                header_string=image.HeaderString("x"),
                image_size=62 + len(self.url),
            )
            part = image.SubElement(tag_id=image.ElementTagId.UPGRADE_IMAGE, data=self.url.encode())
            return image.OTAImage(header=header, subelements=[part])

    class Provider(providers.BaseOtaProvider):  # type: ignore[misc]
        NAME = "listed"

        def __init__(self) -> None:
            super().__init__(url="https://images.example/index.json")

        def compatible_with_device(self, device: Any) -> bool:
            return True

        async def _load_index(self, session: Any) -> Any:
            for found in providers.RemoteZ2MProvider._load_z2m_index(listed):
                yield Made(**attrs.asdict(found))

    manager = zigpy.OTA({zigpy.CONF_OTA_ENABLED: False}, None)
    manager.register_provider(Provider())
    return manager


async def zigpy_answers(manager: Any, query: Query) -> str | None:
    """Return the image that zigpy would install: the first of its upgrades."""
    stated = {} if query.hardware is None else {"hardware_version": query.hardware}
    command = general.QueryNextImageCommand(
        field_control=general.QueryNextImageCommand.FieldControl(len(stated)),
        manufacturer_code=query.code,
        image_type=query.kind,
        current_file_version=query.running,
        **stated,
    )
    found = await manager.get_ota_images(Device(query), command)
    return found.upgrades[0].metadata.url if found.upgrades else None


def differences(listed: list[dict[str, Any]]) -> tuple[int, int, list[tuple[Query, str | None, str | None]]]:
    """Ask both; return for how many devices, how many offers zigpy has, and what they disagree on."""
    hub, asked = Hub(listed), list(queries(listed))
    # zigpy looks through all it has for every device: it gets the images of one maker at a time.
    makers = {entry["manufacturerCode"] for entry in listed}
    managers = {code: zigpy_of([entry for entry in listed if entry["manufacturerCode"] == code]) for code in makers}

    async def answers() -> list[str | None]:
        return [await zigpy_answers(managers[query.code], query) for query in asked]

    theirs = asyncio.run(answers())
    both = zip(asked, map(hub.answer, asked), theirs, strict=True)
    offers = sum(answer is not None for answer in theirs)
    return len(asked), offers, [(query, ours, other) for query, ours, other in both if ours != other]


def indexes() -> Iterator[Any]:
    for name in ("current", "previous"):
        yield pytest.param(entries(name), id=name)
    folder = os.environ.get("FIRMWARE_HUB_ZIGBEE_INDEXES")
    for path in sorted(Path(folder).glob("*.json")) if folder else ():
        yield pytest.param(json.loads(path.read_text()), id=path.name)


@pytest.mark.parametrize("listed", indexes())
def test_the_hub_and_zigpy_agree_about_every_kind_of_device(listed: list[dict[str, Any]]) -> None:
    asked, offers, found = differences(listed)
    assert asked > 2_000
    assert offers > 800
    assert found == []


# --- where they differ, and should ------------------------------------------------------------------------------------

PLUG: dict[str, Any] = {
    "fileVersion": 18,
    "fileSize": 1,
    "url": f"{BASE}plug.ota",
    "imageType": 0x1001,
    "manufacturerCode": 0x117C,
    "sha512": "ab" * 64,
}


def disagreement(query: Query, *listed: dict[str, Any]) -> tuple[str | None, str | None]:
    return Hub(list(listed)).answer(query), asyncio.run(zigpy_answers(zigpy_of(list(listed)), query))


def test_the_hub_takes_names_that_differ_in_the_case_of_letters() -> None:
    query = Query(0x117C, 0x1001, "Acme", "plug-s1", 1, None)
    assert disagreement(query, PLUG | {"modelId": "PLUG-S1"}) == (PLUG["url"], None)


def test_the_hub_offers_nothing_where_two_images_have_one_version() -> None:
    query = Query(0x117C, 0x1001, "Acme", "PLUG-S1", 1, None)
    special = PLUG | {"modelId": "PLUG-S1", "url": f"{BASE}special.ota", "sha512": "cd" * 64}
    assert disagreement(query, PLUG, special) == (None, special["url"])


def test_the_hub_offers_nothing_below_two_images_that_have_one_version() -> None:
    query = Query(0x117C, 0x1001, "Acme", "PLUG-S1", 1, None)
    other = PLUG | {"url": f"{BASE}other.ota", "sha512": "cd" * 64}
    older = PLUG | {"fileVersion": 17, "url": f"{BASE}older.ota", "sha512": "ef" * 64}
    assert disagreement(query, PLUG, other, older) == (None, older["url"])
