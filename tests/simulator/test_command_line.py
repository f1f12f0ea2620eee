"""The simulated home by hand."""

import argparse

import pytest

from simulator.__main__ import _fleet, _misbehaviour, main
from simulator.broker import Broker


def test_it_runs_a_fleet_and_says_where_the_vendor_is(broker: Broker, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "--broker",
        f"127.0.0.1:{broker.port}",
        "--fleet",
        "open=2,tasmota=1",
        "--seconds",
        "0.5",
        "--speed",
        "100",
    ]

    main([*words, "--misbehave", "open-1=asleep_at_first"])

    said = capsys.readouterr().out
    assert "signed manifest   http://127.0.0.1:" in said
    assert "open-1       1.0.0    asleep" in said
    assert "tasmota-1    14.6.0   online" in said


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="no family is called zigbee"):
        _fleet("zigbee=2")


def test_an_unknown_misbehaviour_is_refused() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="tasmota-1 does not know 'fails_self_test'"):
        _misbehaviour("tasmota-1=fails_self_test")
