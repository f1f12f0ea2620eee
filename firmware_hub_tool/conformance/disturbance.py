"""What happens around an install in a house: an order comes twice, another between, and an old one waits for ever."""

from __future__ import annotations

from .bench import REFUSALS, Bench
from .image_server import Page
from .installing import Run, begin, finish, returned_old
from .talk import Heard

# A device that is back sooner after "offline" may have got the retained order live: boot loaders take longer.
_SHORTEST_REBOOT = 0.1  # seconds


async def install_disturbed(bench: Bench) -> Run:
    """Install while all that happens.

    Raises:
        Stop: it does not work.
    """
    run = await begin(bench)
    body = bench.plan.image
    other = bench.order(bench.attempt("between"), bytes([body[0] ^ 0xFF]) + body[1:], Page(body))
    await bench.install(run.order)
    await bench.install(other)
    kept = bench.order(bench.attempt("kept"), body, None)
    try:
        away = await _wait_until_away(bench, run)
        if away is not None:
            await bench.install(kept, retain=True)
        await _passes_over(bench, run, kept.attempt_id)
        await finish(bench, run)
    finally:
        await bench.talk.say("", retain=True)
    _between(bench, run, other.attempt_id)
    return run


async def _wait_until_away(bench: Bench, run: Run) -> Heard | None:
    def look() -> Heard | None:
        return _offline(bench, run) or bench.ending(run.mark, run.attempt)

    await bench.talk.until(look, run.left)
    return _offline(bench, run)


def _offline(bench: Bench, run: Run) -> Heard | None:
    said = bench.talk.since(run.mark, "availability")
    return next((item for item in said if item.text == "offline"), None)


def _between(bench: Bench, run: Run, attempt: str) -> None:
    """Judge what became of the other order; one that came when the install was over was rightly taken."""
    name, talk = "another order while it is busy", bench.talk
    leaving = bench.ending(run.mark, run.attempt, frozenset({"rebooting"}))
    sent = _echo(bench, attempt)
    said = [item.members["state"] for item in talk.states(run.mark, attempt)]
    if leaving is None or sent is None or talk.heard.index(sent) > talk.heard.index(leaving):
        bench.skip(name, "the install was over too quickly")
    elif said and said[0] in REFUSALS:
        bench.ok(name, str(said[0]))
    elif said or bench.was_asked(attempt):
        bench.wrong(name, f"it said {said[0]}" if said else "it fetched the other image")
    else:
        bench.doubt(name, "it says nothing; the hub waits for nothing")


async def _passes_over(bench: Bench, run: Run, attempt: str) -> None:
    """Judge what becomes of the order that the broker keeps while the device is away.

    Raises:
        Stop: the device obeys, and what it then does is no answer to the good order.
    """
    name = "passes over a retained order"

    def look() -> object:
        over = bench.ending(run.mark, run.attempt) or returned_old(bench, run)
        return over or bench.talk.states(run.mark, attempt) or bench.was_asked(attempt) or None

    if await bench.talk.until(look, run.left) is not None:
        # The order was there before this question: once it is answered, the device has seen the order.
        await bench.ask()
    sent = _echo(bench, attempt)
    back = next((item for item in bench.talk.since(run.mark, "info") if sent and item.at > sent.at), None)
    if sent is None or back is None or back.at - sent.at < _SHORTEST_REBOOT:
        bench.skip(name, "it was not seen to be away for long enough")
        return
    if bench.was_asked(attempt) or bench.talk.states(run.mark, attempt):
        raise bench.stop(name, "it obeyed: it would install again at every connection")
    bench.ok(name)


def _echo(bench: Bench, attempt: str) -> Heard | None:
    """Return our own order as it came by on the broker."""
    orders = bench.talk.since(0, "command", live=False)
    return next((item for item in orders if item.members.get("id") == attempt), None)
