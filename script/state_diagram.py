"""Draws the states of an install: what `core/install` does, found out by trying everything on it.

Each state of the table meets everything that can happen, in every circumstance that makes a difference (what the device
did, what was heard, which family it is of), and where that leads is written down. So the page cannot say anything else
than the code does.
"""

import io
import itertools
import sys
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from custom_components.firmware_hub.core import limits
from custom_components.firmware_hub.core.errors import Reason
from custom_components.firmware_hub.core.inputs import Stage
from custom_components.firmware_hub.core.install import (
    TABLE,
    Approve,
    Booted,
    Cancel,
    Command,
    Context,
    DeadlinePassed,
    Fetched,
    FetchFailed,
    Freed,
    Happening,
    Health,
    Hold,
    Linked,
    NotSent,
    Resumed,
    Sighted,
    Sighting,
    Staged,
    Start,
    TimeJumped,
    step,
)
from custom_components.firmware_hub.core.model import (
    Approval,
    Artifact,
    ArtifactRole,
    Identity,
    Install,
    InstallState as S,
    Match,
    Offer,
    Release,
    Trust,
)
from custom_components.firmware_hub.core.ports import Capabilities

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LONG = timedelta(hours=1)
BEFORE = (S.AWAITING_APPROVAL, S.APPROVED, S.DEFERRED, S.DOWNLOADING, S.DOWNLOADED)
"""The states in which no command was written down, unless by an earlier attempt."""
COMMANDED = (S.INSTALLING, S.REBOOTING)
HANDED_OVER = (S.SCHEDULED, S.UNSCHEDULING)
TAKEN_BACK = ("it is not wanted any more", "its device is removed")
TIME_OVER = "the time is over"

HAPPENINGS: tuple[tuple[str, Happening], ...] = (
    ("somebody says yes", Approve()),
    ("its turn comes", Start()),
    ("something holds it up", Hold(Reason.LOW_BATTERY)),
    ("what held it up may be gone", Freed()),
    ("its files are there, verified", Fetched()),
    ("a file cannot be had", FetchFailed(Reason.UNREACHABLE)),
    ("a file is not what was signed", FetchFailed(Reason.DIGEST_MISMATCH, final=True)),
    ("the gate opens: **the command**", Command("a", NOW)),
    ("the gate opens and the device sleeps: **the command** to its bridge", Command("a", NOW, when_awake=True)),
    ("the command was written down but not published", NotSent(Reason.BROKER_DISCONNECTED)),
    ("the command could not be written down", NotSent(Reason.DISK_FULL, written=False)),
    ("the device runs the old version", Sighted(Sighting.OLD)),
    ("the device restarted and runs the old version", Sighted(Sighting.OLD, rebooted=True)),
    ("the device runs the new version", Sighted(Sighting.NEW)),
    ("the device runs a helper image", Sighted(Sighting.HELPER)),
    ("the device runs a third version", Sighted(Sighting.OTHER)),
    ("the device says that it is another model", Sighted(Sighting.WRONG_IDENTITY)),
    ("the device restarted and speaks elsewhere", Sighted(Sighting.MOVED)),
    ("the device comes on line", Linked(online=True)),
    ("the device goes off line", Linked(online=False)),
    ("the device's uptime is short", Booted()),
    ("its self-test passes", Health(passed=True)),
    ("its self-test fails", Health(passed=False)),
    ("the broker is back", Resumed()),
    ("the hub was restarted", Resumed(restarted=True)),
    ("the clock is set", TimeJumped(LONG)),
    (TIME_OVER, DeadlinePassed()),
    (TAKEN_BACK[0], Cancel(S.CANCELED)),
    (TAKEN_BACK[1], Cancel(S.REMOVED)),
    *((f"the device says `{stage.value}`", Staged(stage)) for stage in Stage),
)


# --- every circumstance -----------------------------------------------------------------------------------------------


def families() -> list[Context]:
    """The kinds of device between which the table tells a difference."""
    plain = Capabilities(
        chooses_artifact=True,
        reports_progress=True,
        reports_failure=True,
        echoes_attempt=False,
        rolls_back=False,
        wakes_by_itself=False,
        needs_plain_http=False,
        commits=False,
        announces_boot=False,
        default_minutes=5,
        max_deadline=LONG,
    )
    return [
        Context(plain),
        Context(replace(plain, announces_boot=True)),
        Context(replace(plain, rolls_back=True), slots=2),
        Context(replace(plain, rolls_back=True, commits=True), slots=2),
        Context(plain, connected=False),
    ]


def circumstances(state: S, *, late: bool) -> Iterator[dict[str, Any]]:
    """What may be known of an install in this state, as far as the table asks; ``late``: an earlier attempt as well."""
    if state in BEFORE:
        yield from product(attempt_id=("", "a") if late else ("",), fetch_failures=(0, len(limits.FETCH_RETRY)))
    elif state in COMMANDED:
        failures = (Reason.NOT_SENT, Reason.NOT_BEGUN, Reason.DEVICE_REPORTED_FAILURE, Reason.IMAGE_REFUSED)
        did: list[dict[str, Any]] = [
            {},
            {"reacted": True},
            {"restarted": True},
            *({"failure": why} for why in failures),
        ]
        heard: list[dict[str, Any]] = [{}, {"old_seen": True}, {"helper_seen": True}]
        rest = product(
            asked_last=(False, True),
            attempt=(1, limits.MAX_ATTEMPTS),
            healthy=(None, False),
            handed_over=(False, True),
        )
        yield from (one | two | three for one, two, three in itertools.product(did, heard, rest))
    elif state in HANDED_OVER:
        yield from product(
            handed_over=(True,),
            hand_back_at=(NOW, NOW + LONG),
            reacted=(False, True),
            attempt=(1, limits.MAX_ATTEMPTS),
            command_at=(None, NOW) if state is S.UNSCHEDULING else (None,),
            command_deadline=(NOW, NOW + LONG),
            failure=(None, Reason.NOT_BEGUN, Reason.DEVICE_REPORTED_FAILURE),
            ends_as=(None, S.CANCELED) if state is S.UNSCHEDULING else (None,),
        )
    elif state in {S.VERIFYING, S.ROLLING_BACK}:
        yield from product(
            returned_at=(None, NOW, NOW - LONG),
            verify_until=(NOW, NOW + LONG),
            healthy=(None, True, False),
            commits_sent=(0, 1),
            asked_last=(False, True),
        )
    else:
        yield from product(command_at=(None, NOW), reason=(None, Reason.UNHEALTHY))


def product(**choices: tuple[Any, ...]) -> Iterator[dict[str, Any]]:
    """Yield every combination of these values."""
    for values in itertools.product(*choices.values()):
        yield dict(zip(choices, values, strict=True))


def an_install(state: S) -> Install:
    """Return an install in this state, with nothing else to say about it."""
    artifact = Artifact(ArtifactRole.MAIN, "x.bin", "https://vendor.example/x.bin", 1, "ab" * 32)
    offer = Offer(Release(Match("Maker", ("M",)), "2", (artifact,)), "feed", Trust.SIGNED, "Maker")
    approval = Approval("owner", NOW, NOW + LONG)
    install = Install("i", "d", offer, approval, Identity("Maker", "M", "", ""), "1", state=state)
    if state.is_active or state.is_handed_over:
        install = replace(install, deadline=NOW)
    if state.is_commanded or state.is_end:
        install = replace(install, attempt=1, attempt_id="a", command_at=NOW)
    return install


type Ways = dict[S, dict[str, tuple[S, ...]]]


class Explored:
    """Where each state can go by what, and how much time each state is given."""

    def __init__(self, states: Iterable[S], *, late: bool = True) -> None:
        """Try everything on these states."""
        self.ways: Ways = {state: {} for state in states}
        self.times: dict[S, set[timedelta]] = {state: set() for state in S}
        for state in self.ways:
            base = an_install(state)
            installs = [replace(base, **known) for known in circumstances(state, late=late)]
            for words, item in HAPPENINGS:
                if (state, type(item)) in TABLE:
                    self.ways[state][words] = self._try(installs, item)

    def _try(self, installs: Iterable[Install], item: Happening) -> tuple[S, ...]:
        goes: set[S] = set()
        for install, context in itertools.product(installs, families()):
            after = step(install, item, context, NOW).install
            goes.add(after.state)
            if after.deadline is not None and after.deadline > NOW and not isinstance(item, TimeJumped):
                self.times[after.state].add(after.deadline - NOW)
        return tuple(state for state in S if state in goes)


# --- the page ---------------------------------------------------------------------------------------------------------


def diagram(ways: Ways) -> Iterator[str]:
    """Draw what leads from these states to others, whatever leads there; what people take back is not drawn."""
    yield "```mermaid"
    yield "stateDiagram-v2"
    for state, by in ways.items():
        targets = {target for words, goes in by.items() if words not in TAKEN_BACK for target in goes} - {state}
        yield from (f"  {state} --> {target}" for target in S if target in targets)
    yield "```"


def transitions(explored: Explored) -> Iterator[str]:
    """Say what leads where; what leads nowhere and changes no state is left out."""
    yield "| state | what happens | next |"
    yield "| --- | --- | --- |"
    for state, by in explored.ways.items():
        by_target: dict[tuple[S, ...], list[str]] = {}
        for words, goes in by.items():
            by_target.setdefault(goes, []).append(words)
        for goes, happenings in by_target.items():
            if goes != (state,):
                yield f"| `{state}` | {'<br>'.join(happenings)} | {names(goes, state, '(stays)')} |"


def deadlines(explored: Explored) -> Iterator[str]:
    """Say how long each state may last, and what then."""
    yield "| state | time that it is given | when that is over |"
    yield "| --- | --- | --- |"
    for state, by in explored.ways.items():
        if TIME_OVER in by:
            given = ", ".join(in_words(time) for time in sorted(explored.times[state]))
            again = "its bridge is told once more" if state is S.UNSCHEDULING else "the device is asked once more"
            yield f"| `{state}` | {given} | {names(by[TIME_OVER], state, again)} |"


def names(goes: Iterable[S], state: S, stays: str) -> str:
    """Return the names of states, ``stays`` for the one that it is in."""
    return ", ".join(stays if target is state else f"`{target}`" for target in goes)


def numbers() -> Iterator[str]:
    """Say every number of the install, with its reason, as `limits.py` states them."""
    yield "| limit | value | why |"
    yield "| --- | --- | --- |"
    for name, why in _stated("the install"):
        value = getattr(limits, name)
        values = value if isinstance(value, tuple) else (value,)
        texts = [in_words(item) if isinstance(item, timedelta) else str(item) for item in values]
        yield f"| `{name}` | {', then '.join(texts)} | {why} |"


def _stated(section: str) -> Iterator[tuple[str, str]]:
    """Yield the names of one section of `limits.py` with the comment beside each."""
    source = Path(str(limits.__file__)).read_text(encoding="utf-8")
    inside, name = False, ""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        comment = token.string.removeprefix("#").strip()
        if token.type == tokenize.COMMENT and comment.startswith("---"):
            inside = comment.strip("- ") == section
        elif token.type == tokenize.NAME and token.start[1] == 0:
            name = token.string
        elif token.type == tokenize.COMMENT and inside:
            yield name, comment
            name = ""
        elif token.type == tokenize.NEWLINE and inside and name and token.line.find("#") < 0:
            yield name, ""


def in_words(time: timedelta) -> str:
    """Return a duration as a person says it."""
    for unit, name in ((timedelta(hours=1), "h"), (timedelta(minutes=1), "min")):
        if time and time % unit == timedelta():
            return f"{time // unit} {name}"
    return f"{time.total_seconds():g} s"


PAGE = """\
# The states of an install

Drawn by `script/state_diagram` from the state table in `custom_components/firmware_hub/core/install`: every state met
everything that can happen, in every circumstance that makes a difference. Not to be edited by hand.

A first attempt, without what people take back: until the command is written down an install can be canceled or skipped
in every state, and a removed device ends it in every state.

{first}

What a device says after it was given up corrects the record:

{corrected}

## What leads where

Several targets in a row mean that it depends: on what the device did before, on its family, on the attempt. A device
that speaks of its install while that waits again is at work on an earlier attempt, which then goes on. What is not in
the table changes no state.

{transitions}

## How long a state may last

The times are those of a family whose installs take five minutes: `installing` and `rebooting` are given twice the
expected time, within bounds, and some time more for an answer, after a restart, or while the broker is away; a device
that woke by itself is given all that its family allows. `scheduled` lasts until the install could not end inside the
window any more.

{deadlines}

## The numbers

{numbers}
"""


def page() -> str:
    """Return the whole page."""
    explored = Explored(S)
    ends = {state: by for state, by in explored.ways.items() if state.is_end}
    commanded = {state: by for state, by in explored.ways.items() if state.is_commanded}
    return PAGE.format(
        first="\n".join(diagram(Explored(BEFORE, late=False).ways | commanded)),
        corrected="\n".join(diagram(ends)),
        transitions="\n".join(transitions(explored)),
        deadlines="\n".join(deadlines(explored)),
        numbers="\n".join(numbers()),
    )


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
