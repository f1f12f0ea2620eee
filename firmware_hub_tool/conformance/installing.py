"""Installs that must work. Sections "Install, trial, commit" and "What the hub asks of the order of messages"."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass

from ..core.model import DeviceFacts
from ..dialects.base import InstallOrder
from .bench import REFUSALS, Bench
from .image_server import Page
from .introduction import IDENTITY, differences
from .talk import Heard

_COMMITS = 3  # as often as the hub repeats one


@dataclass(frozen=True, slots=True)
class Run:
    """One install: the order, how much had been heard before it, and until when (time of the loop) it may take."""

    order: InstallOrder
    mark: int
    deadline: float

    @property
    def attempt(self) -> str:
        """The id of the attempt."""
        return self.order.attempt_id

    @property
    def left(self) -> float:
        """How many seconds it may still take."""
        return max(0.0, self.deadline - asyncio.get_running_loop().time())


async def install(bench: Bench) -> Run:
    """Install, from the order until the new image runs and has tested itself.

    Raises:
        Stop: it does not.
    """
    run = await begin(bench)
    await finish(bench, run)
    return run


async def begin(bench: Bench) -> Run:
    """Send a good order and wait until the device has begun.

    Raises:
        Stop: it does not.
    """
    image = bench.plan.image
    deadline = asyncio.get_running_loop().time() + bench.plan.install
    run = Run(bench.order(bench.attempt("good"), image, Page(image)), bench.mark(), deadline)
    await bench.install(run.order)
    await _begins(bench, run)
    return run


async def finish(bench: Bench, run: Run) -> None:
    """Wait until the new image runs and has tested itself.

    Raises:
        Stop: it does not.
    """
    ended = await _ends(bench, run)
    _says_what_it_runs(bench, run, ended)
    _progress(bench, run)


async def _begins(bench: Bench, run: Run) -> None:
    name = "answers an order"
    reaction = await bench.reaction(run.mark, run.attempt)
    if reaction is None:
        raise bench.stop(name, f"no reaction within {bench.plan.answer:.0f} s")
    talk = bench.talk
    first = await talk.until(lambda: next(iter(talk.states(run.mark, run.attempt)), None), bench.plan.answer)
    if first is None:
        bench.wrong(name, "it fetches, and says nothing")
    elif first.members["state"] in REFUSALS:
        raise bench.stop(name, f"{first.members['state']}: {first.members.get('reason', 'no reason')}")
    elif first.members["state"] != "downloading":
        bench.wrong(name, f"with {first.members['state']}, not with downloading")
    else:
        bench.ok(name, "downloading")


async def _ends(bench: Bench, run: Run) -> Heard:
    """Wait until the device says how it ended; one that is back on another version gets a little time to say so."""
    name, talk = "installs", bench.talk

    def end() -> Heard | None:
        return bench.ending(run.mark, run.attempt)

    def end_or_return() -> Heard | None:
        return end() or returned_old(bench, run)

    found = await talk.until(end_or_return, run.left)
    if found is not None and found.word == "info":
        back, found = found, await talk.until(end, bench.plan.answer)
        if found is None:
            version = back.facts.version if back.facts else ""
            raise bench.stop(name, f"it came back on {version} without a word")
    if found is None:
        said = talk.states(run.mark, run.attempt)
        last = said[-1].text[:80] if said else "nothing"
        raise bench.stop(name, f"not done within {bench.plan.install:.0f} s; the last word was {last}")
    state = found.members["state"]
    if state not in {"trial", "committed"}:
        raise bench.stop(name, f"{state}: {found.members.get('reason', 'no reason')}")
    return found


def returned_old(bench: Bench, run: Run) -> Heard | None:
    """Return an ``info`` after the reboot that names another version than the new one."""
    leaving = bench.ending(run.mark, run.attempt, frozenset({"rebooting"}))
    if leaving is None:
        return None
    after = bench.talk.heard.index(leaving)
    infos = [item for item in bench.talk.since(after, "info") if item.facts is not None]
    return next((item for item in infos if item.facts and item.facts.version != bench.plan.version), None)


def _says_what_it_runs(bench: Bench, run: Run, ended: Heard) -> None:
    """Hold the device's word against its own ``info``: that is what the hub believes."""
    state = ended.members["state"]
    facts = bench.talk.facts(run.mark)
    if facts is None or facts.version != bench.plan.version:
        version = facts.version if facts else "nothing"
        raise bench.stop("installs", f"it says {state}, and info names {version} instead of {bench.plan.version}")
    if changed := differences(bench.before, facts, IDENTITY):
        raise bench.stop("stays who it is", f"after the install: {changed}")
    wanted = "trial" if (facts.slots or 1) > 1 else "committed"
    if state != wanted:
        bench.wrong("installs", f"it says {state}; with {facts.slots} slots it is {wanted}")
    else:
        bench.ok("installs", f"{facts.version} runs, {state}")
    _came_back_in_order(bench, run)


def _came_back_in_order(bench: Bench, run: Run) -> None:
    talk = bench.talk
    infos = [item for item in talk.since(run.mark, "info") if item.facts and item.facts.version == bench.plan.version]
    start = talk.heard.index(infos[0])
    links = [item for item in talk.since(run.mark, "availability") if item.fault is None]
    online = [item for item in links if item.text == "online"]
    name = "comes back in order"
    if not online:
        bench.wrong(name, "it did not publish online after its info")
    elif talk.heard.index(online[-1]) < start:
        bench.wrong(name, "online came before info")
    else:
        bench.ok(name, "info, then online")
    if not any(item.text == "offline" for item in links):
        bench.wrong("says offline", "neither it nor its last will did when it rebooted")
    tests = [item.health.self_test for item in talk.since(start, "health") if item.health and item.health.self_test]
    if "failed" in tests:
        bench.wrong("self-test", "failed: the hub sends a rollback")
    elif not tests:
        bench.doubt("self-test", "no health with a self_test after the boot: the hub goes by the version alone")
    else:
        bench.ok("self-test", "passed")


def _progress(bench: Bench, run: Run) -> None:
    name = "progress"
    said = [item.members.get("progress_percent") for item in bench.talk.states(run.mark, run.attempt)]
    percents = [percent for percent in said if isinstance(percent, int)]
    fallen = [(a, b) for a, b in itertools.pairwise(percents) if b < a]
    if fallen:
        bench.wrong(name, f"it falls from {fallen[0][0]} to {fallen[0][1]} %")
    elif not percents:
        bench.doubt(name, "no per cents: owners see that something runs, and not how far it is")
    else:
        bench.ok(name, f"{len(percents)} times, it never falls")
    if (times := bench.was_asked(run.attempt)) > 1:
        bench.doubt("fetches once", f"it asked {times} times for the image")


async def is_back(bench: Bench, run: Run, name: str, seconds: float, *, wrong: bool = True) -> bool:
    """Wait until the device has gone back to the old image and said so; tell how that went."""
    talk = bench.talk
    rolled = frozenset({"rolled_back"})
    said = await talk.until(lambda: bench.ending(run.mark, run.attempt, rolled), seconds)
    if said is None:
        (bench.wrong if wrong else bench.doubt)(name, f"no rolled_back within {seconds:.0f} s")
        return False
    facts: DeviceFacts | None = await bench.ask()
    if facts is None or facts.version != bench.before.version:
        bench.wrong(name, f"rolled_back, and info names {facts.version if facts else 'nothing'}")
        return False
    bench.ok(name, f"{facts.version} runs again: {said.members.get('reason', 'no reason')}")
    return True


async def keeps(bench: Bench, run: Run) -> None:
    """Commit, twice.

    Raises:
        Stop: it never answers.
    """
    name = "keeps what is committed"
    for number in range(_COMMITS):
        if await _commit(bench, run):
            break
        bench.doubt(name, f"no answer to commit number {number + 1}; the hub sends it {_COMMITS} times")
    else:
        raise bench.stop(name, "no commit was answered")
    bench.ok(name, "committed")
    again = "a second commit"
    if await _commit(bench, run):
        bench.ok(again, "committed, once more")
    else:
        bench.wrong(again, "no answer: the hub repeats a commit whose answer was lost")


async def is_finished(bench: Bench, run: Run) -> None:
    """Send the order of an install that has ended once more: it must not begin again."""
    name, mark, fetched = "a finished order again", bench.mark(), bench.was_asked(run.attempt)
    await bench.install(run.order)
    facts = await bench.ask()
    begun = [item.members["state"] for item in bench.talk.states(mark, run.attempt)]
    if facts is None:
        raise bench.stop(name, "after it, it answers no report")
    if bench.was_asked(run.attempt) > fetched or begun:
        raise bench.stop(name, f"it began again: {begun[0] if begun else 'it fetched the image'}")
    bench.ok(name, "is passed over")


async def _commit(bench: Bench, run: Run) -> bool:
    mark = bench.mark()
    await bench.commit(run.attempt)
    committed = frozenset({"committed"})
    return await bench.talk.until(lambda: bench.ending(mark, run.attempt, committed), bench.plan.answer) is not None
