"""The rows for which a whole Home Assistant runs: once with the hub, once with the same devices in MQTT discovery."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import monotonic

from custom_components.firmware_hub.dialects.base import Message
from simulator.broker import Broker
from simulator.demo.home_assistant import ROOT
from simulator.images import Image
from simulator.link import Publication
from simulator.vendor import Vendor
from tests.bench.conversations import Conversation, conversations
from tests.bench.families import Mixed
from tests.bench.figures import Figure, Run, ratio, speed
from tests.bench.home import Home, Link, publications
from tests.bench.messages import LATEST, MAKER, MODEL, Hub, Peer

MESSAGES = 10_000
APPROVALS = 1_000
WORK = ROOT / ".cache" / "bench"
"""On a real disk: what is durable in memory costs nothing."""


@contextmanager
def folder() -> Iterator[Path]:
    """Return a folder that is gone afterwards."""
    WORK.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=WORK) as name:
        yield Path(name)


@dataclass(slots=True)
class Side:
    """One Home Assistant with a broker of its own."""

    home: Home
    link: Link


@asynccontextmanager
async def _broker() -> AsyncIterator[tuple[Broker, Link]]:
    async with Broker() as broker:
        with Link(broker) as link:
            yield broker, link


@asynccontextmanager
async def hub_home(devices: int) -> AsyncIterator[Side]:
    """Run a Home Assistant whose hub knows so many devices, all with an update offered."""
    async with AsyncExitStack() as stack:
        place = stack.enter_context(folder())
        vendor = await stack.enter_async_context(Vendor(MAKER))
        vendor.add_release(Image(MAKER, MODEL, LATEST, hardware="rev2"))
        broker, link = await stack.enter_async_context(_broker())
        link.send(publications(Hub.announcements(devices), retain=True))
        home = await stack.enter_async_context(Home(place / "config", broker))
        await home.set_up_mqtt()
        await home.set_up_hub(vendor)
        await home.tell("until_offered", count=devices)
        yield Side(home, link)


@asynccontextmanager
async def peer_home(devices: int) -> AsyncIterator[Side]:
    """Run a Home Assistant that found so many update entities through its MQTT discovery, each with an update."""
    async with AsyncExitStack() as stack:
        place = stack.enter_context(folder())
        broker, link = await stack.enter_async_context(_broker())
        link.send(publications(Peer.announcements(devices), retain=True))
        home = await stack.enter_async_context(Home(place / "config", broker))
        await home.set_up_mqtt()
        await home.tell("until_shown", count=devices)
        link.send(publications(Peer.changes(devices, devices, "1.0."), retain=True))
        await home.tell("until_offered", count=devices)
        yield Side(home, link)


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds that passed, and seconds in which a processor worked for it: a busy machine stretches only the first."""

    seconds: float
    cpu: float

    def less(self, empty: Spent) -> Spent:
        """Return what it took beyond something else."""
        return Spent(self.seconds - empty.seconds, self.cpu - empty.cpu)


# --- announcements ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Found:
    seconds: float
    cpu: float
    bytes: int


async def announce(run: Run) -> list[Figure]:
    """Announcements until every device has its update entity: of the open protocol, and of all families at once."""
    figures = []
    for devices in run.devices:
        found: dict[str, list[_Found]] = {"peer": [], "": [], " of nine families": []}
        mixed = await conversations(devices)
        for number in run.rounds(3):
            run.say(f"announce: {devices} devices, round {number + 1}")
            found["peer"].append(await _find(devices, with_hub=False))
            found[""].append(await _find(devices, with_hub=True))
            found[" of nine families"].append(await _find_mixed(mixed, devices))
        peer = found.pop("peer")
        for which, hub in found.items():
            figures += _announced(devices, which, hub, peer)
    return figures


def _announced(devices: int, which: str, hub: list[_Found], peer: list[_Found]) -> list[Figure]:
    return [
        ratio(
            "announce",
            f"time to all update entities{which}, against MQTT discovery",
            devices,
            [found.seconds for found in hub],
            [found.seconds for found in peer],
            budget=0.4,
        ),
        ratio(
            "announce",
            f"the same{which} in processor time",
            devices,
            [found.cpu for found in hub],
            [found.cpu for found in peer],
        ),
        Figure(
            "announce",
            f"memory{which}, against MQTT discovery",
            devices,
            "x",
            tuple(a.bytes / b.bytes for a, b in zip(hub, peer, strict=True)),
            budget=0.6,
            medians={
                "hub_kb_per_device": median(found.bytes for found in hub) / devices / 1000,
                "peer_kb_per_device": median(found.bytes for found in peer) / devices / 1000,
            },
        ),
    ]


async def _find(devices: int, *, with_hub: bool) -> _Found:
    messages = Hub.announcements(devices) if with_hub else Peer.announcements(devices)
    with folder() as place:
        async with _broker() as (broker, link):
            link.send(publications(messages, retain=True))
            async with Home(place / "config", broker) as home:
                before = await home.tell("memory")
                cpu = (await home.tell("cpu"))["process"]
                began = monotonic()
                await home.set_up_mqtt()
                if with_hub:
                    await home.set_up_hub()
                at = await home.tell("until_shown", count=devices)
                spent = (await home.tell("cpu"))["process"] - cpu
                return _Found(at - began, spent, await home.tell("memory") - before)


async def _find_mixed(said: list[Conversation], devices: int) -> _Found:
    """Find devices of all families. The broker keeps what announces most; the others speak when those are found.

    They would speak every few minutes, and nothing tells from outside when the hub hears all of them: its subscriptions
    go out while Home Assistant still works through what was kept.

    Home Assistant's own discovery is off: otherwise it would make entities of its own for four of the families, and the
    hub would be measured together with its peer.
    """
    everything = [(each.retain, (each.topic, _text(each))) for one in said for each in one.messages]
    kept, live = ([message for retained, message in everything if retained is which] for which in (True, False))
    reader = Mixed()
    reader.hear(Message(topic, payload, retained=True) for topic, payload in kept)
    first = sum(reader.hub.fleet.by_dialect.values())
    with folder() as place:
        async with _broker() as (broker, link), Home(place / "config", broker) as home:
            before = await home.tell("memory")
            cpu, began = (await home.tell("cpu"))["process"], monotonic()
            await home.set_up_mqtt()
            seconds, spent = monotonic() - began, (await home.tell("cpu"))["process"] - cpu
            await home.end_discovery()
            link.send(publications(kept, retain=True))
            cpu, began = (await home.tell("cpu"))["process"], monotonic()
            await home.set_up_hub()
            await home.tell("until_shown", count=first)
            await link.async_send(publications(live))
            at = await home.tell("until_shown", count=devices)
            spent += (await home.tell("cpu"))["process"] - cpu
            return _Found(seconds + at - began, spent, await home.tell("memory") - before)


def _text(said: Publication) -> str:
    return said.payload if isinstance(said.payload, str) else said.payload.decode()


# --- messages --------------------------------------------------------------------------------------------------------


async def messages(run: Run) -> list[Figure]:
    """Messages that change an entity and messages that change nothing, broker to state."""
    figures = []
    count = MESSAGES // 10 if run.quick else MESSAGES
    for devices in run.devices:
        async with hub_home(devices) as hub, peer_home(devices) as peer:
            loud: dict[str, list[Spent]] = {"hub": [], "peer": []}
            quiet: dict[str, list[Spent]] = {"hub": [], "peer": []}
            for number in run.rounds(7):
                run.say(f"messages: {devices} devices, round {number + 1}")
                base = f"2.{number}."
                loud["hub"].append(await _heard(hub, publications(Hub.changes(count, devices, base)), count))
                loud["peer"].append(await _heard(peer, publications(Peer.changes(count, devices, base)), count))
                await _heard(hub, publications(Hub.changes(devices, devices, f"3.{number}.")), devices)
                await _heard(peer, publications(Peer.changes(devices, devices, f"3.{number}.")), devices)
                # The last one of them changes something, so that it can be seen when all were read.
                last = f"4.{number}."
                noise = Hub.noise(count - 1, devices, f"3.{number}.0")
                quiet["hub"].append(await _heard(hub, publications([*noise, *Hub.changes(1, 1, last)]), 1))
                noise = Peer.noise(count - 1, devices, f"3.{number}.0")
                quiet["peer"].append(await _heard(peer, publications([*noise, *Peer.changes(1, 1, last)]), 1))
        for what, heard, budget in (("an entity", loud, 0.9), ("nothing", quiet, 3.0)):
            words = f"{count:,} messages that change {what}"
            walls = [[one.seconds for one in heard[side]] for side in ("hub", "peer")]
            costs = [[one.cpu for one in heard[side]] for side in ("hub", "peer")]
            figures += [
                speed("messages", f"{words}: speed", devices, *walls, budget=budget),
                speed("messages", f"{words}: speed by processor time", devices, *costs),
            ]
    return figures


async def _heard(side: Side, messages: bytes, changes: int) -> Spent:
    """Publish messages; return after how many seconds their last change was made, and what all of them cost."""
    await side.home.tell("count_changes", count=changes)
    cpu = (await side.home.tell("cpu"))["process"]
    began = monotonic()
    await side.link.async_send(messages)
    at: float = await side.home.tell("counted")
    await side.home.tell("idle")
    return Spent(at - began, (await side.home.tell("cpu"))["process"] - cpu)


# --- people ----------------------------------------------------------------------------------------------------------


async def approve(run: Run) -> list[Figure]:
    """One call that approves a thousand devices: how long Home Assistant's event loop stands still at most."""
    figures = []
    for devices in run.devices:
        hub: list[dict[str, float]] = []
        peer: list[dict[str, float]] = []
        rounds = len(run.rounds(3))
        while len(hub) < rounds:
            run.say(f"approve: {devices} devices")
            async with hub_home(devices) as side:
                for number in range(min(devices // APPROVALS, rounds - len(hub))):
                    hub.append(await side.home.tell("install", first=number * APPROVALS, count=APPROVALS))
                    if hub[-1]["approved"] != (number + 1) * APPROVALS:
                        raise RuntimeError(f"not all were approved: {hub[-1]}")
        async with peer_home(devices) as side:
            for number in range(rounds):
                first = number * APPROVALS % devices
                peer.append(await side.home.tell("install", first=first, count=APPROVALS))
        what = f"longest block of the event loop, {APPROVALS:,} approvals in one call"
        medians = {
            "hub_cpu_ms": median(done["longest_cpu_ms"] for done in hub),
            "hub_gc_ms": median(done["longest_gc_ms"] for done in hub),
            "peer_ms": median(done["longest_ms"] for done in peer),
            "peer_cpu_ms": median(done["longest_cpu_ms"] for done in peer),
            "all_saved_s": median(done["seconds"] for done in hub),
        }
        samples = tuple(done["longest_ms"] for done in hub)
        figures.append(Figure("approve", what, devices, "ms", samples, budget=100, medians=medians))
    return figures


# --- starts ----------------------------------------------------------------------------------------------------------


async def cold_start(run: Run) -> list[Figure]:
    """A start of Home Assistant with everything known from before, less the same start with nothing known."""
    figures = []
    for devices in run.devices:
        hub: list[Spent] = []
        peer: list[Spent] = []
        async with AsyncExitStack() as stack:
            homes = [await stack.enter_async_context(_known(devices, kind)) for kind in ("none", "peer", "hub")]
            for number in run.rounds(3):
                run.say(f"cold_start: {devices} devices, round {number + 1}")
                empty, with_peer, with_hub = [await _start(home, count) for home, count in homes]
                peer.append(with_peer.less(empty))
                hub.append(with_hub.less(empty))
        what = "start with a full store, against MQTT discovery's, in processor time"
        figure = ratio("cold_start", what, devices, [one.cpu for one in hub], [one.cpu for one in peer])
        figure.medians["hub_wall_s"] = median(one.seconds for one in hub)
        figure.medians["peer_wall_s"] = median(one.seconds for one in peer)
        figures.append(figure)
    return figures


@asynccontextmanager
async def _known(devices: int, kind: str) -> AsyncIterator[tuple[Home, int]]:
    """Return a Home Assistant that does not run and has known its devices for a while."""
    with folder() as place:
        async with _broker() as (broker, link):
            if kind != "none":
                announcements = Hub.announcements(devices) if kind == "hub" else Peer.announcements(devices)
                link.send(publications(announcements, retain=True))
            home = Home(place / "config", broker)
            async with home:
                await home.set_up_mqtt()
                if kind == "hub":
                    await home.set_up_hub()
                await home.tell("until_shown", count=devices if kind != "none" else 0)
            yield home, devices if kind != "none" else 0


async def _start(home: Home, count: int) -> Spent:
    async with home:
        at: float = await home.tell("until_shown", count=count)
        return Spent(at - home.began, (await home.tell("cpu"))["process"])
