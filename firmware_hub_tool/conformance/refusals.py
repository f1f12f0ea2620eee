"""Orders that must not lead to an install. Section "What a device must check" of the protocol.

The bytes that are served are those of a good image wherever that is possible: a device that flashes what it must refuse
is found out and not harmed.
"""

from __future__ import annotations

from ..dialects.base import InstallOrder
from .bench import FLASHED, REFUSALS, Bench
from .image_server import Page

_DECIDED = REFUSALS | FLASHED


async def refuse(bench: Bench) -> None:
    """Send one bad order after the other.

    Raises:
        Stop: the device took one of them.
    """
    image = bench.plan.image
    other = bytes([image[0] ^ 0xFF]) + image[1:]
    half = len(image) // 2
    await _refused(bench, "refuses a wrong digest", bench.order(bench.attempt("digest"), other, Page(image)))
    order = bench.order(bench.attempt("long"), image, Page(image), size=half)
    await _refused(bench, "refuses more bytes than promised", order)
    order = bench.order(bench.attempt("short"), image, Page(image, ends_after=half))
    await _refused(bench, "refuses a download that breaks off", order)
    await _refused(bench, "says that there is no image", bench.order(bench.attempt("none"), image, None))
    for bad in bench.plan.bad_images:
        order = bench.order(bench.attempt("bad"), bad.body, Page(bad.body))
        await _refused(bench, f"refuses {bad.name}", order)
    await _late(bench, other)
    facts = await bench.ask()
    if facts is None:
        raise bench.stop("still there", "after the refused orders it answers no report")
    if facts.version != bench.before.version:
        raise bench.stop("still there", f"it runs {facts.version} now")
    bench.ok("still there", f"on {facts.version}")


async def _refused(bench: Bench, name: str, order: InstallOrder) -> None:
    mark = bench.mark()
    await bench.install(order)
    if await bench.reaction(mark, order.attempt_id) is None:
        raise bench.stop(name, f"no reaction to an install order within {bench.plan.answer:.0f} s")
    said = await bench.talk.until(lambda: bench.ending(mark, order.attempt_id, _DECIDED), bench.plan.install)
    if said is None:
        raise bench.stop(name, f"neither rejected nor failed within {bench.plan.install:.0f} s")
    state, reason = said.members["state"], said.members.get("reason")
    if state in FLASHED:
        raise bench.stop(name, f"it said {state}: it takes what it must refuse")
    if reason:
        bench.ok(name, f"{state}: {reason}")
    else:
        bench.doubt(name, f"{state}, without a reason")


async def _late(bench: Bench, body: bytes) -> None:
    """Send an order that is too late, for bytes that a device that does not know the time refuses all the same."""
    name = "refuses an order that is too late"
    order = bench.order(bench.attempt("late"), body, Page(bench.plan.image), late=True)
    mark = bench.mark()
    await bench.install(order)
    reaction = await bench.reaction(mark, order.attempt_id)
    if reaction is None:
        bench.ok(name, "it says nothing")
        return
    said = await bench.talk.until(lambda: bench.ending(mark, order.attempt_id, _DECIDED), bench.plan.install)
    if said is None or said.members["state"] in FLASHED:
        raise bench.stop(name, f"it said {said.members['state'] if said else 'nothing more'}")
    if bench.was_asked(order.attempt_id):
        bench.doubt(name, "it fetched the image: it does not know the time, or does not look")
    else:
        bench.ok(name, f"{said.members['state']}: {said.members.get('reason', 'no reason')}")
