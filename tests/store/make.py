"""Values worth storing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from custom_components.firmware_hub.core.effects import AuditRow, FeedRow, LedgerRow, Save
from custom_components.firmware_hub.core.model import (
    Approval,
    Artifact,
    ArtifactRole,
    Device,
    Install,
    InstallState,
    Match,
    Offer,
    Release,
    Trust,
)

NOW = datetime(2026, 11, 23, 1, 30, tzinfo=UTC)


def device(name: str = "one", *, version: str = "1.0.0") -> Device:
    return Device(
        id=f"open:{name}",
        dialect="open",
        name=f"Plug {name}",
        manufacturer="Acme",
        model="PLUG-S1",
        version=version,
        addresses=(f"fwhub/device/{name}/",),
        channel={"topic": f"fwhub/device/{name}"},
        first_seen=NOW,
    )


def install(number: int = 1, *, of: str = "one", state: InstallState = InstallState.INSTALLING) -> Install:
    artifact = Artifact(ArtifactRole.MAIN, "plug.bin", "https://vendor.example/plug.bin", 4, "ab" * 32)
    release = Release(Match("Acme", ("PLUG-S1",)), "1.1.0", (artifact,), notes="# Notes\n\nBetter: größer")
    return Install(
        id=f"install-{of}-{number}",
        device_id=f"open:{of}",
        offer=Offer(release, "acme", Trust.SIGNED, "Acme", key_id="k"),
        approval=Approval("user", NOW, NOW + timedelta(days=30)),
        identity=device(of).identity,
        from_version="1.0.0",
        state=state,
        deadline=NOW + timedelta(minutes=3),
    )


def audit(kind: str = "approved", subject: str = "open:one", **values: str) -> AuditRow:
    return AuditRow(NOW, kind, subject, values)


def everything() -> Save:
    return Save(
        devices=(device(),),
        installs=(install(),),
        ledger=(LedgerRow("acme", 42, "cd" * 32, NOW, {"PLUG-S1/1.1.0": "ab" * 32}, {"PLUG-S1": 17}),),
        feeds=(FeedRow("acme", b"\x00raw\xff", '"etag"', NOW, "origin"),),
        meta={"last_seen": NOW.isoformat()},
        audit=(audit(version="1.1.0"),),
    )


def ended(one: Install) -> Install:
    return replace(one, state=InstallState.SUCCEEDED, ended_at=NOW)
