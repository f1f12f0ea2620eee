"""The store's JSON: every value comes back as it was, and nothing else comes back at all."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from custom_components.firmware_hub.core.effects import AuditRow, LedgerRow
from custom_components.firmware_hub.core.errors import BadInput, Reason
from custom_components.firmware_hub.core.model import (
    Approval,
    Artifact,
    ArtifactFormat,
    ArtifactRole,
    Delivery,
    Device,
    Identity,
    Install,
    InstallState,
    Match,
    Offer,
    Recovery,
    Release,
    Trust,
    VersionScheme,
)
from custom_components.firmware_hub.core.records import Record, Snapshot, from_json, to_json

NOW = datetime(2026, 11, 23, 2, 30, tzinfo=UTC)
MAIN = Artifact(ArtifactRole.MAIN, "plug.bin", "https://acme.example/plug.bin", 812345, "ab" * 32, ArtifactFormat.ESP)
HELPER = Artifact(ArtifactRole.HELPER, "plug-minimal.bin", "https://acme.example/m.bin", 1, "cd" * 32)
RELEASE = Release(
    match=Match("Acme", ("PLUG-S1", "PLUG-S2"), ("rev2",), "eu", "1.0.0", "1.1.9"),
    version="1.2.0",
    artifacts=(MAIN, HELPER),
    version_scheme=VersionScheme.DOTTED,
    counter=17,
    published=NOW,
    cves=("CVE-2026-0001",),
    delivery=Delivery.MANUAL,
    rollback_to=("1.1.0",),
    install_minutes=4,
    recovery=Recovery("hold the button", "https://acme.example/help"),
)
OFFER = Offer(RELEASE, "acme", Trust.SIGNED, "Acme", "key", NOW, NOW + timedelta(days=30), (("1.2.0", "notes"),))
DEVICE = Device(
    id="mac:8CAAB5A1B2C3",
    dialect="tasmota",
    name="Boiler \ud83d\udd25".encode("utf-16", "surrogatepass").decode("utf-16"),
    version="14.5.0",
    counter=3,
    addresses=("cmnd/boiler/", "stat/boiler/"),
    channel={"cmnd": "cmnd/boiler/"},
    first_seen=NOW,
)
INSTALL = Install(
    id="i1",
    device_id=DEVICE.id,
    offer=OFFER,
    approval=Approval("user:1", NOW, NOW + timedelta(days=30), at_once=True),
    identity=Identity("Acme", "PLUG-S1", "rev2", "eu"),
    from_version="1.1.0",
    state=InstallState.DEFERRED,
    reason=Reason.LOW_BATTERY,
    reason_values={"percent": "31"},
    deadline=NOW,
)
LEDGER = LedgerRow("acme", 42, "ef" * 32, NOW, {"k": "ab" * 32}, {"m": 17})
AUDIT = AuditRow(NOW, "approved", DEVICE.id, {"by": "user:1"})


@pytest.mark.parametrize("value", [DEVICE, INSTALL, LEDGER, AUDIT, Device("d", "open"), LedgerRow("f")])
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    assert from_json(type(value), to_json(value)) == value


def test_installs_of_one_release_and_of_others_keep_their_own_offers() -> None:
    older = replace(OFFER, release=replace(RELEASE, version="1.1.5"))
    installs = [replace(INSTALL, id=f"i{number}", offer=offer) for number, offer in enumerate((OFFER, older) * 2)]
    assert [from_json(Install, to_json(install)) for install in installs] == installs


@pytest.mark.parametrize("text", ['"offer":null', ',"offer":null,', '\\"offer":null', '","offer":null,"'])
def test_foreign_text_never_takes_the_place_of_an_offer(text: str) -> None:
    offer = replace(OFFER, release=replace(RELEASE, notes=text), vendor=text)
    install = replace(
        INSTALL, device_id=text, from_version=text, failure_detail=text, reason_values={text: text}, offer=offer
    )
    assert from_json(Install, to_json(install)) == install


def test_the_text_is_one_line_of_ascii() -> None:
    text = to_json(DEVICE)
    assert text.isascii()
    assert "\n" not in text


def test_a_mapping_keeps_its_order() -> None:
    row = LedgerRow("f", digests={"b": "1", "a": "2"})
    assert list(from_json(LedgerRow, to_json(row)).digests) == ["b", "a"]


def test_a_time_of_another_zone_is_kept_as_utc() -> None:
    east = NOW.astimezone(timezone(timedelta(hours=9)))
    read = from_json(Device, to_json(Device("d", "open", first_seen=east)))
    assert (read.first_seen, read.first_seen and read.first_seen.tzinfo) == (NOW, UTC)


def test_a_time_without_a_zone_is_not_written() -> None:
    with pytest.raises(RuntimeError):
        to_json(Device("d", "open", first_seen=datetime(2026, 1, 1)))  # noqa: DTZ001


def test_an_unknown_field_is_ignored_and_an_absent_one_takes_its_default() -> None:
    assert from_json(Device, '{"id":"d","dialect":"open","future":1}') == Device("d", "open")


@pytest.mark.parametrize(
    ("shape", "text", "path"),
    [
        (Device, "nonsense", ""),
        (Device, "null", ""),
        (Device, "[]", ""),
        (Device, '{"dialect":"open"}', "id"),
        (Device, '{"id":"d","dialect":"open","slots":"two"}', "slots"),
        (Device, '{"id":"d","dialect":"open","channel":[]}', "channel"),
        (Device, '{"id":"d","dialect":"open","first_seen":"2026-01-01T00:00:00"}', "first_seen"),
        (Device, '{"id":"d","dialect":"open","first_seen":7}', "first_seen"),
        (Install, to_json(INSTALL).replace('"deferred"', '"teleporting"'), "state"),
        (Install, to_json(INSTALL).replace('"role":"main"', '"role":"spare"'), "offer.release.artifacts.role"),
        (Install, to_json(INSTALL).replace('"signed"', '"divine"'), "offer.trust"),
        (Device, "[" * 200_000, ""),
    ],
    ids=lambda value: str(value)[:40],
)
def test_damage_is_named_with_its_path(shape: type[Any], text: str, path: str) -> None:
    with pytest.raises(BadInput) as caught:
        from_json(shape, text)
    assert (caught.value.reason, caught.value.path) == (Reason.MALFORMED, path)


def test_an_empty_snapshot_holds_nothing() -> None:
    assert Snapshot() == Snapshot((), (), (), (), {})


def test_every_record_kind_is_covered_here() -> None:
    assert {type(value) for value in (DEVICE, INSTALL, LEDGER, AUDIT)} == set(Record.__args__)
