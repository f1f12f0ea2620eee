"""The script from beginning to end, and what is looked at behind the device's back meanwhile."""

from __future__ import annotations

from .bench import Bench, Stop
from .disturbance import install_disturbed
from .installing import install, is_back, is_finished, keeps
from .introduction import introduce
from .refusals import refuse

_FLOOD = 60  # messages on one topic within ...
_FLOOD_SECONDS = 10.0  # ... this


async def run(bench: Bench) -> None:
    """Run all of it; what the device gets wrong is in the report."""
    try:
        await introduce(bench)
        if bench.plan.flash:
            await refuse(bench)
            await (_two_slots(bench) if (bench.before.slots or 1) > 1 else _one_slot(bench))
        else:
            bench.skip("installs", "no image was given")
    except Stop:
        bench.skip("the rest", "it makes no sense after this")
    _behind_its_back(bench)


async def _two_slots(bench: Bench) -> None:
    """Install three times: left alone, ordered back, and kept; at the end the device is as it was."""
    run = await install_disturbed(bench)
    if bench.plan.trial:
        name = "goes back without a commit"
        if not await is_back(bench, run, name, bench.plan.trial):
            raise Stop
        run = await install(bench)
    else:
        bench.skip("goes back without a commit", "it takes more than five minutes: not with --quick")
    await bench.rollback(run.attempt)
    if not await is_back(bench, run, "goes back when ordered", bench.plan.install):
        raise Stop
    run = await install(bench)
    await keeps(bench, run)
    await is_finished(bench, run)
    await bench.rollback(run.attempt)
    await is_back(bench, run, "goes back after a commit", bench.plan.install, wrong=False)


async def _one_slot(bench: Bench) -> None:
    run = await install_disturbed(bench)
    name, mark = "passes over a commit", bench.mark()
    await bench.commit(run.attempt)
    if await bench.ask() is None:
        raise bench.stop(name, "after it, it answers no report")
    if said := bench.talk.since(mark, "status"):
        bench.wrong(name, f"with one slot; it said {said[0].text[:80]}")
    else:
        bench.ok(name)
    await is_finished(bench, run)


def _behind_its_back(bench: Bench) -> None:
    """Look through everything that was said: messages that the hub drops, floods, and other names."""
    talk = bench.talk
    dropped = [item for item in talk.heard if item.fault is not None]
    for item in dropped[:5]:
        bench.wrong("every message makes sense", f"{item.word}: {item.fault}")
    if not dropped:
        bench.ok("every message makes sense")
    for word in ("info", "health"):
        times = [item.at for item in talk.since(0, word)]
        if any(b - a < _FLOOD_SECONDS for a, b in zip(times, times[_FLOOD:], strict=False)):
            bench.wrong("keeps quiet", f"more than {_FLOOD} {word} messages within {_FLOOD_SECONDS:.0f} s")
    mac = bench.before.mac
    others = {item.name for item in talk.others if item.facts and item.facts.mac == mac}
    if mac and others:
        bench.wrong("has one name", f"it is {', '.join(sorted(others)[:5])} as well")
