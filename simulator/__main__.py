"""Run a simulated home by hand, beside any broker.

``python -m simulator --broker 127.0.0.1:1883 --fleet open=3,tasmota=2 --misbehave open-1=comes_back_old``

Prints where the vendor publishes and which key it signs with, then every change of a device until it is interrupted.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
from collections.abc import Sequence
from dataclasses import replace

from simulator.devices.base import SimulatedDevice
from simulator.families import FAMILIES, family_of, parse, populate, publish_indexes
from simulator.fleet import PLUG, Fleet
from simulator.vendor import Vendor


def main(words: Sequence[str] | None = None) -> None:
    """Read the command line and run until interrupted, or for ``--seconds``."""
    options = _parser().parse_args(words)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_run(options))


def _parser() -> argparse.ArgumentParser:
    known = ", ".join(f"{name}: {' '.join(family.misbehaviours)}" for name, family in FAMILIES.items())
    parser = argparse.ArgumentParser(prog="python -m simulator", description="A simulated home and its vendor")
    parser.add_argument("--broker", type=_address, default=("127.0.0.1", 1883), metavar="HOST:PORT")
    parser.add_argument("--fleet", type=_fleet, default={"open": 2, "tasmota": 2}, metavar="open=3,shelly=2")
    parser.add_argument(
        "--misbehave",
        type=_misbehaviour,
        action="append",
        default=[],
        metavar="DEVICE=WORD",
        help=f"such as open-1=comes_back_old; {known}",
    )
    parser.add_argument("--speed", type=float, default=1.0, help="10: ten times as fast as real devices")
    parser.add_argument("--vendor-port", type=int, default=0)
    parser.add_argument("--seconds", type=float, help="end by itself after this time")
    parser.add_argument("--shared", action="store_true", help="all devices over one connection, for thousands of them")
    return parser


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host or "127.0.0.1", int(port)


def _fleet(text: str) -> dict[str, int]:
    try:
        return parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _misbehaviour(text: str) -> tuple[str, str]:
    device, _, word = text.partition("=")
    family = FAMILIES.get(family_of(device))
    if family is None or word not in [*family.misbehaviours]:
        raise argparse.ArgumentTypeError(f"{device} does not know {word!r}")
    return device, word


async def _run(options: argparse.Namespace) -> None:
    host, port = options.broker
    fleet = Fleet(host, port, speed=options.speed, shared=options.shared)
    ended = asyncio.Event()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signal_number, ended.set)
    async with Vendor(port=options.vendor_port or None) as vendor:
        vendor.add_release(replace(PLUG, version="1.1.0"))
        vendor.add_tasmota_release(FAMILIES["tasmota"].new)
        publish_indexes(vendor, vendor)
        print(f"signed manifest   {vendor.manifest_url}\nits key           {vendor.public_jwk}")
        print(f"Tasmota's mirror  {vendor.releases_url}")
        print(f"Shelly's mirrors  {vendor.shelly_url}  {vendor.shelly_gen1_url}")
        print(f"Zigbee's mirror   {vendor.zigbee_url}", flush=True)
        populate(fleet, vendor, options.fleet, _words(options))
        for device in fleet.devices.values():
            _tell_changes(device)
        async with fleet:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), options.seconds)


def _words(options: argparse.Namespace) -> dict[str, list[str]]:
    words: dict[str, list[str]] = {}
    for device, word in options.misbehave:
        words.setdefault(device, []).append(word)
    return words


def _tell_changes(device: SimulatedDevice) -> None:
    told = ""

    def tell() -> None:
        nonlocal told
        news = f"{device.name:<12} {device.version:<8} {device.state}"
        if news != told:
            told = news
            print(news, flush=True)

    device.on_change(tell)


if __name__ == "__main__":
    main()
