"""One turn: what changed is written in one transaction, and that comes first."""

from __future__ import annotations

from custom_components.firmware_hub.core.effects import (
    Announce,
    AuditRow,
    FeedRow,
    LedgerRow,
    LifecycleKind,
    QueryDevice,
    RefreshDevices,
    RefreshHub,
    Save,
)
from custom_components.firmware_hub.core.turn import Turn

from .builders import LAMP, MINUTE, NIGHT, PLUG, device, install


def test_a_turn_in_which_nothing_happened_orders_nothing() -> None:
    turn = Turn(NIGHT)
    assert turn.unsaved() is None
    assert turn.close() == []


def test_it_writes_first_then_acts_and_then_shows() -> None:
    turn = Turn(NIGHT)
    turn.refresh_hub = True
    turn.refresh([PLUG, LAMP])
    turn.refresh([PLUG])
    turn.do(QueryDevice(PLUG))
    turn.announce(LifecycleKind.APPROVED, PLUG, by="anna")
    turn.save_meta("clock", "x")
    assert turn.close() == [
        Save(meta={"clock": "x"}),
        QueryDevice(PLUG),
        Announce(LifecycleKind.APPROVED, PLUG, {"by": "anna"}),
        RefreshDevices((PLUG, LAMP)),
        RefreshHub(),
    ]


def test_of_one_thing_only_its_last_state_is_written() -> None:
    turn = Turn(NIGHT)
    for version in ("1", "2"):
        turn.save_device(device(version=version))
        turn.save_install(install(from_version=version))
        turn.save_ledger(LedgerRow("acme", sequence=int(version)))
        turn.save_feed(FeedRow("acme", version.encode()))
    save = turn.unsaved()
    assert save == Save(
        devices=(device(version="2"),),
        installs=(install(from_version="2"),),
        ledger=(LedgerRow("acme", sequence=2),),
        feeds=(FeedRow("acme", b"2"),),
    )


def test_a_forgotten_device_is_not_written_and_one_that_is_back_is_not_forgotten() -> None:
    turn = Turn(NIGHT)
    turn.save_device(device())
    turn.forget(PLUG)
    assert turn.unsaved() == Save(forget=(PLUG,))
    turn.save_device(device())
    assert turn.unsaved() == Save(devices=(device(),))


def test_rows_that_could_not_be_written_come_before_those_of_this_turn() -> None:
    turn = Turn(NIGHT)
    turn.audit("now", PLUG, by="anna")
    old = AuditRow(NIGHT - MINUTE, "then", PLUG)
    turn.audit_again([old])
    save = turn.unsaved()
    assert save is not None
    assert save.audit == (old, AuditRow(NIGHT, "now", PLUG, {"by": "anna"}))
