"""A home by day for the tests in a browser, as a process of its own: ``python -m tests.e2e.home``.

Its first line says where everything is; each line that it reads is a deed, answered with a line when it is done. It
ends with its input. It is a process of its own because one Home Assistant serves many tests, and the test harness has
no room for what lives longer than a test.
"""

import asyncio
import json
import shutil
import signal
import sys
import tempfile
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from simulator.broker import HOST, Broker, free_port
from simulator.demo.home_assistant import OWNER, PASSWORD, ROOT, HomeAssistant, trusting, zone_just_after_midnight
from simulator.devices.open import OpenDevice, OpenMisbehaviour
from simulator.images import Image
from simulator.link import OwnLink
from simulator.tricks import Trick
from simulator.vendor import MANIFEST_PATH, Vendor

OLD, NEW = "1.0.0", "1.1.0"
BY_DAY = timedelta(hours=12)
BLUEPRINTS = "blueprints/automation/firmware_hub"
NOTES = "- The plug finds its way back to the Wi-Fi after a power cut.\n- Power is measured more exactly."


def devices(broker: Broker) -> list[OpenDevice]:
    """Return who lives here, not yet switched on."""
    old = [OpenMisbehaviour.COMES_BACK_OLD]

    def device(number: int, title: str, maker: str, model: str, **options: Any) -> OpenDevice:
        return OpenDevice(
            name=title.lower().replace(" ", "-"),
            title=title,
            mac=f"02:00:00:00:00:{number:02X}",
            image=Image(maker, model, OLD, hardware="rev2"),
            link=OwnLink(broker.host, broker.port),
            speed=40.0,
            **options,
        )

    return [
        device(1, "Kitchen plug", "Acme", "PLUG-S1"),
        device(2, "Stairs light", "Acme", "LIGHT-D2", slots=2),
        device(3, "Attic switch", "Acme", "SWITCH-C3", misbehaviours=old),
        device(4, "Front door lock", "Northwind", "LOCK-F6"),
        device(5, "Hall lamp", "Acme", "LAMP-E7"),
    ]


def publish(honest: Vendor, forged: Vendor) -> None:
    """Let the vendors publish; one of them is forged on the way."""
    releases: dict[str, dict[str, Any]] = {
        "PLUG-S1": {"kind": "security", "severity": "high", "cves": ["CVE-2026-0001"], "notes": NOTES},
        "LIGHT-D2": {"dual_bank": True, "revertible": True},
        "SWITCH-C3": {},
        "LAMP-E7": {},
    }
    for model, options in releases.items():
        honest.add_release(Image("Acme", model, NEW, hardware="rev2"), **options)
    forged.add_release(Image("Northwind", "LOCK-F6", NEW, hardware="rev2"))
    forged.misbehave(MANIFEST_PATH, Trick.FORGED)


async def main() -> None:
    """Run until the input ends."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="firmware-hub-browser-")))
        broker = await stack.enter_async_context(Broker())
        honest = await stack.enter_async_context(Vendor("Acme", tls=True))
        forged = await stack.enter_async_context(Vendor("Northwind", tls=True))
        publish(honest, forged)
        shutil.copytree(ROOT / BLUEPRINTS, folder / "config" / BLUEPRINTS)
        home_assistant = await stack.enter_async_context(
            HomeAssistant(folder / "config", environment=trusting(folder, [honest.ca_pem, forged.ca_pem]))
        )
        await home_assistant.set_zone(zone_just_after_midnight(datetime.now(UTC) - BY_DAY))
        await home_assistant.set_up_mqtt(broker)
        for device in devices(broker):
            stack.push_async_callback(device.stop)
            await device.start()
        facts = {
            "url": home_assistant.url,
            "username": OWNER,
            "password": PASSWORD,
            "address": HOST,
            "port": free_port(),
            "feeds": {vendor.name: [vendor.manifest_url, vendor.public_jwk] for vendor in (honest, forged)},
        }
        answer(facts)
        while deed := (await asyncio.to_thread(sys.stdin.readline)).strip():
            if deed == "northwind_is_honest":
                forged.behave(MANIFEST_PATH)
            elif deed == "attic_switch_is_updated_now":
                target = {"entity_id": ["update.attic_switch_firmware"]}
                await home_assistant.api.call("firmware_hub", "install_now", target)
            else:
                raise ValueError(deed)
            answer({})


def answer(facts: dict[str, Any]) -> None:
    """Say something to the tests."""
    sys.stdout.write(f"{json.dumps(facts)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    # Whoever ends the tests ends this too, and Home Assistant must not stay behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    asyncio.run(main())
