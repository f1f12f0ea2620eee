"""Everything that the demo starts, set up as a person would set it up, and stopped again in the reverse order."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from simulator.broker import HOST, Broker, Kind, free_port
from simulator.demo.cast import Part, Vendors, make_cast, make_fleet, make_vendors, publish
from simulator.demo.home_assistant import DOMAIN, ROOT, HomeAssistant, trusting, zone_just_after_midnight
from simulator.demo.shown import Shown
from simulator.tap import BrokerTap
from simulator.vendor import Vendor

type Say = Callable[[str], None]

LOG = ROOT / ".cache" / "log" / "demo-home-assistant.log"
SETTLE_MINUTES = 1
PARALLEL_INSTALLS = 5


@dataclass(frozen=True, slots=True)
class Stage:
    """What runs while the demo runs. ``zone`` is read back from Home Assistant."""

    broker: Broker
    tap: BrokerTap
    vendors: Vendors
    cast: tuple[Part, ...]
    home_assistant: HomeAssistant
    shown: Shown
    zone: str


@asynccontextmanager
async def stage(
    say: Say, *, kind: Kind | None = None, port: int | None = None, counts: Mapping[str, int] = MappingProxyType({})
) -> AsyncIterator[Stage]:
    """Start everything, and stop it all at the end, however that comes about."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="firmware-hub-demo-")))
        broker = await stack.enter_async_context(Broker(kind))
        say(f"broker: {broker.name} at {broker.host}:{broker.port}")
        tap = await stack.enter_async_context(broker.tap())
        vendors = make_vendors()
        for vendor in vendors:
            await stack.enter_async_context(vendor)
        publish(vendors)
        say(f"vendors: {', '.join(f'{vendor.name} at {vendor.base}' for vendor in vendors)}")
        cast = make_cast(broker)
        for part in cast:
            stack.push_async_callback(part.device.stop)
        await asyncio.gather(*(part.device.start() for part in cast))
        fleet, many = make_fleet(broker, vendors, counts)
        await stack.enter_async_context(fleet)
        cast += many
        say(f"devices: {len(cast)}")
        home_assistant = HomeAssistant(
            folder / "config", port=port, environment=trusting(folder, [vendor.ca_pem for vendor in vendors])
        )
        stack.callback(_keep_log, home_assistant)
        await stack.enter_async_context(home_assistant)
        say(f"Home Assistant {home_assistant.api.version} at {home_assistant.url}")
        shown = await stack.enter_async_context(Shown(home_assistant.api))
        zone = await _furnish(home_assistant, broker, vendors)
        say(f"Home Assistant's zone is {zone}: it is just after midnight there, and the window is open")
        yield Stage(broker, tap, vendors, cast, home_assistant, shown, zone)


def _keep_log(home_assistant: HomeAssistant) -> None:
    """Keep Home Assistant's words: its folder is about to go."""
    LOG.parent.mkdir(parents=True, exist_ok=True)
    LOG.write_text(home_assistant.output, "utf-8")


async def _furnish(home_assistant: HomeAssistant, broker: Broker, vendors: Vendors) -> str:
    """Set up what a home has, and the hub through its own flows; return the zone as Home Assistant has it."""
    api = home_assistant.api
    await home_assistant.set_zone(zone_just_after_midnight(datetime.now(UTC)))
    await home_assistant.set_up_mqtt(broker)
    await home_assistant.set_up_tasmota()
    entry = await api.set_up(DOMAIN, {})
    await api.set_options(
        entry["entry_id"],
        {
            "parallel_installs": PARALLEL_INSTALLS,
            "settle_minutes": SETTLE_MINUTES,
            "public_sources": {
                "tasmota_mirror": vendors.mirror.releases_url,
                "shelly_mirror": vendors.mirror.shelly_url,
                "shelly_gen1_mirror": vendors.mirror.shelly_gen1_url,
                "zigbee_ota_mirror": vendors.mirror.zigbee_url,
            },
            "serving": {"address": HOST, "port": free_port()},
        },
    )
    for vendor in (vendors.honest, vendors.forged):
        await api.add_subentry(entry["entry_id"], "feed", {"next_step_id": "signed"}, _feed(vendor), {})
    zone: str = (await api.command("get_config"))["time_zone"]
    return zone


def _feed(vendor: Vendor) -> dict[str, object]:
    """Return what a person types in to follow a vendor."""
    return {"title": vendor.name, "url": vendor.manifest_url, "vendor": vendor.name, "keys": vendor.public_jwk}
