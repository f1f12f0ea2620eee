"""Before anything is installed: does the device say who it is, and does it answer?

Sections "Topics" and "What the hub asks of the order of messages" of the protocol.
"""

from __future__ import annotations

import json

from ..core.model import DeviceFacts
from .bench import Bench
from .talk import ROOT, Heard

IDENTITY = ("manufacturer", "model", "hardware", "variant", "mac")


async def introduce(bench: Bench) -> None:
    """Check what the device says before anybody orders anything.

    Raises:
        Stop: it is not there, or nobody can understand it.
    """
    info = await _retained_info(bench)
    _look_at(bench, info)
    await _availability(bench)
    await _report(bench, info)
    _nothing_retained(bench)
    await _strange_commands(bench)


async def _retained_info(bench: Bench) -> DeviceFacts:
    talk = bench.talk
    name = "info"

    def look() -> Heard | None:
        return next((item for item in talk.since(0, "info", live=False) if item.retained), None)

    heard = await talk.until(look, bench.plan.answer)
    if heard is None:
        raise bench.stop(name, f"nothing is retained on {ROOT}{talk.name}/info")
    if heard.fault is not None:
        raise bench.stop(name, str(heard.fault))
    if heard.facts is None:
        raise bench.stop(name, "the retained message is empty: the device has taken itself back")
    facts = heard.facts
    bench.before = facts
    words = " ".join(word for word in (facts.manufacturer, facts.model, facts.hardware, facts.variant) if word)
    bench.ok(name, f"{words}, version {facts.version}, {facts.slots} slot{'s' if facts.slots != 1 else ''}")
    return facts


def _look_at(bench: Bench, facts: DeviceFacts) -> None:
    if not facts.mac:
        bench.doubt("info.mac", "absent, or not one device's own: a device with another id is another device")
    if not facts.hardware:
        bench.doubt("info.hardware", "absent: only releases that name no hardware fit")
    if facts.counter is None:
        bench.doubt("info.counter", "absent: nothing but the version keeps an older image away")
    if (facts.slots or 1) < 2:
        bench.doubt("info.slots", "one slot: no trial, and no way back")
    if bench.plan.flash and facts.version == bench.plan.version:
        raise bench.stop("info.version", f"it runs {facts.version} already: give an image of another version")


async def _availability(bench: Bench) -> None:
    talk = bench.talk

    def look() -> Heard | None:
        return next(iter(talk.since(0, "availability", live=False)), None)

    heard = await talk.until(look, bench.plan.answer)
    if heard is None:
        bench.wrong("availability", "nothing is retained; set a last will, and publish online after info")
    elif heard.fault is not None:
        bench.wrong("availability", str(heard.fault))
    elif heard.text != "online":
        raise bench.stop("availability", "it is off line: wake it, or switch it on")
    elif not heard.retained:
        bench.wrong("availability", "it is not retained")
    else:
        bench.ok("availability", "online, retained")


async def _report(bench: Bench, retained: DeviceFacts) -> None:
    """Ask, and look at what comes and in which order."""
    talk, mark = bench.talk, bench.mark()
    facts = await bench.ask()
    if facts is None:
        faults = [str(item.fault) for item in talk.since(mark, "info") if item.fault]
        raise bench.stop("report", next(iter(faults), f"no live info within {bench.plan.answer:.0f} s"))
    bench.before = facts
    if different := differences(retained, facts):
        bench.wrong("report", f"info says something else than the retained one: {different}")
    health = await talk.until(lambda: next(iter(talk.since(mark, "health")), None), bench.plan.answer)
    if health is None:
        bench.wrong("report", f"info, and no health within {bench.plan.answer:.0f} s")
    elif health.fault is not None:
        bench.wrong("health", str(health.fault))
    elif talk.heard.index(health) < talk.heard.index(talk.since(mark, "info")[0]):
        bench.wrong("report", "health came before info")
    else:
        bench.ok("report", "info, then health")


def _nothing_retained(bench: Bench) -> None:
    """Look for what no broker should keep: it was handed out when the script subscribed, before any answer."""
    for word in ("health", "status", "command"):
        kept = [item for item in bench.talk.since(0, word, live=False) if item.retained and item.payload]
        if kept:
            bench.wrong(f"{word} is not retained", f"the broker keeps {kept[0].text[:80]}")
        else:
            bench.ok(f"{word} is not retained")


async def _strange_commands(bench: Bench) -> None:
    """Send what the device does not know; it must pass over it and go on."""
    mark = bench.mark()
    for payload in ("", "no JSON", "[]", json.dumps({"command": "sing", "id": bench.attempt("sing")})):
        await bench.talk.say(payload)
    await bench.talk.say(json.dumps({"command": "report", "in_a_later_edition": {"loudly": True}}))
    facts = await bench.talk.until(lambda: bench.talk.facts(mark), bench.plan.answer)
    name = "unknown commands and keys"
    if facts is None:
        raise bench.stop(name, "after them it answers no report")
    if said := bench.talk.since(mark, "status"):
        bench.wrong(name, f"it said {said[0].text[:80]}")
    else:
        bench.ok(name, "are passed over")


def differences(left: DeviceFacts, right: DeviceFacts, names: tuple[str, ...] = (*IDENTITY, "version")) -> str:
    """Return in what two descriptions of a device differ; empty if in nothing."""
    found = [(name, getattr(left, name), getattr(right, name)) for name in names]
    return ", ".join(f"{name} {one} and {other}" for name, one, other in found if one != other)
