"""Home Assistant as a process of its own that is told what to do line by line, and answers with figures.

Everything is real: its bootstrap, its event loop, its MQTT client, its registries and its storage. What is not there is
the recorder, which would take the same from the hub and from its peers.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from homeassistant import bootstrap, runner
from homeassistant.components.mqtt.models import DATA_MQTT
from homeassistant.const import EVENT_STATE_CHANGED
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import device_registry as dr

from custom_components.firmware_hub.const import DOMAIN, SUBENTRY_FEED

if TYPE_CHECKING:
    from custom_components.firmware_hub.coordinator import FirmwareHubCoordinator

PATIENCE = 300.0  # seconds; what takes longer is a failure, not a figure
LOOK_EVERY = 0.02  # seconds between two looks at whether all entities are there


class Session:
    """What can be asked of this Home Assistant. Times are of the monotonic clock, which all processes share."""

    def __init__(self, hass: HomeAssistant) -> None:
        self._hass = hass
        self._counted: asyncio.Future[float] | None = None
        self.verbs: dict[str, Callable[..., Awaitable[Any]]] = {
            "set_up": self.set_up,
            "set_options": self.set_options,
            "add_feed": self.add_feed,
            "no_delay": self.no_delay,
            "until_shown": self.until_shown,
            "until_offered": self.until_offered,
            "count_changes": self.count_changes,
            "counted": self.counted,
            "memory": self.memory,
            "cpu": self.cpu,
            "idle": self.idle,
            "install": self.install,
            "devices": self.devices,
            "zone": self.zone,
        }

    # --- setting up --------------------------------------------------------------------------------------------------

    async def set_up(self, domain: str, answer: dict[str, Any]) -> str:
        """Add an integration through its own config flow; return the entry's id."""
        flows = self._hass.config_entries.flow
        step = await flows.async_init(domain, context={"source": "user"})
        if step["type"] is FlowResultType.FORM:
            step = await flows.async_configure(step["flow_id"], answer)
        if step["type"] is not FlowResultType.CREATE_ENTRY:
            raise RuntimeError(f"{domain} was not set up: {step}")
        entry_id: str = step["result"].entry_id
        return entry_id

    async def set_options(self, entry_id: str, options: dict[str, Any]) -> None:
        """Change options as an options flow does at its end."""
        entry = self._hass.config_entries.async_get_known_entry(entry_id)
        self._hass.config_entries.async_update_entry(entry, options={**entry.options, **options})

    async def add_feed(self, entry_id: str, answer: dict[str, Any]) -> None:
        """Follow a vendor, through the feed's own flow."""
        flows = self._hass.config_entries.subentries
        step = await flows.async_init((entry_id, SUBENTRY_FEED), context={"source": "user"})
        for given in ({"next_step_id": "signed"}, answer, {}):
            step = await flows.async_configure(step["flow_id"], given)
        if step["type"] is not FlowResultType.CREATE_ENTRY:
            raise RuntimeError(f"the feed was not added: {step}")

    async def no_delay(self) -> None:
        """Let small packets to the broker not wait for company: what is measured is not TCP."""
        client = self._hass.data[DATA_MQTT].client
        async with asyncio.timeout(PATIENCE):
            while not client.connected:  # noqa: ASYNC110 - what is waited for has no event of its own
                await asyncio.sleep(LOOK_EVERY)
        wire = client._mqttc.socket()
        if not isinstance(wire, socket.socket):
            raise TypeError("Home Assistant speaks to the broker over something else than TCP")
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def zone(self, zone: str) -> None:
        """Say where the home is."""
        await self._hass.config.async_set_time_zone(zone)

    # --- waiting -----------------------------------------------------------------------------------------------------

    async def until_shown(self, count: int) -> float:
        """Return when so many update entities have a state that was not left over from before a restart."""
        states = self._hass.states

        def reached() -> bool:
            if states.async_entity_ids_count("update") < count:
                return False
            return not any(state.attributes.get("restored") for state in states.async_all("update"))

        return await self._until(reached)

    async def until_offered(self, count: int) -> float:
        """Return when so many update entities show an update."""
        return await self._until(
            lambda: sum(state.state == "on" for state in self._hass.states.async_all("update")) >= count
        )

    async def _until(self, reached: Callable[[], bool]) -> float:
        async with asyncio.timeout(PATIENCE):
            while not reached():  # noqa: ASYNC110 - an event for each entity would be part of what is measured
                await asyncio.sleep(LOOK_EVERY)
        return monotonic()

    async def count_changes(self, count: int) -> None:
        """Begin to count the changes of update entities, up to so many."""
        counted = self._counted = self._hass.loop.create_future()
        left = count

        @callback
        def changed(event: Event[EventStateChangedData]) -> None:
            nonlocal left
            if event.data["entity_id"].startswith("update."):
                left -= 1
                if left == 0:
                    counted.set_result(monotonic())
                    remove()

        remove = self._hass.bus.async_listen(EVENT_STATE_CHANGED, changed)

    async def counted(self) -> float:
        """Return when the last of them was made."""
        if self._counted is None:
            raise RuntimeError("nothing is counted")
        async with asyncio.timeout(PATIENCE):
            return await self._counted

    # --- figures -----------------------------------------------------------------------------------------------------

    async def memory(self) -> int:
        """Return the bytes of this process that lie in memory, without what only waits to be collected."""
        await self._hass.async_block_till_done()
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    async def cpu(self) -> dict[str, float]:
        """Return the processor time spent so far, in seconds: of the whole process, and of the loop's own thread."""
        return {"process": time.process_time(), "loop": time.thread_time()}

    async def devices(self) -> dict[str, int]:
        """Count what is there."""
        states = self._hass.states
        return {
            "devices": sum(1 for _ in dr.async_get(self._hass).devices),
            "updates": states.async_entity_ids_count("update"),
            "sensors": states.async_entity_ids_count("sensor"),
            "known": sum(len(list(hub.hub.device_ids())) for hub in self._hubs()),
        }

    async def idle(self) -> None:
        """Return when nothing is left to do."""
        await self._hass.async_block_till_done()

    async def install(self, first: int, count: int) -> dict[str, Any]:
        """Press "Update all" for so many entities, as one call, and watch how long the event loop stands still."""
        offered = [state.entity_id for state in self._hass.states.async_all("update") if state.state == "on"]
        wanted = offered[first : first + count]
        began = monotonic()
        with Watch(self._hass.loop) as watch:
            await self._hass.services.async_call("update", "install", {"entity_id": wanted}, blocking=True)
            done = monotonic()
            # What follows from the call belongs to it: the entities are shown anew.
            await self._hass.async_block_till_done()
        waiting = sum(hub.hub_view().waiting for hub in self._hubs())
        return {
            "longest_ms": watch.wall * 1000,
            "longest_cpu_ms": watch.processor * 1000,
            "longest_gc_ms": watch.collector * 1000,
            "seconds": done - began,
            "approved": waiting,
            "asked": len(wanted),
        }

    def _hubs(self) -> list[FirmwareHubCoordinator]:
        return [entry.runtime_data for entry in self._hass.config_entries.async_loaded_entries(DOMAIN)]


class Watch:
    """The longest turn of the event loop: whatever arrives meanwhile has to wait so long.

    ``processor`` counts only the time in which the loop's thread itself worked, on a machine that others use as well;
    ``collector`` is the longest pause that Python's garbage collector made, which is part of both.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.wall = self.processor = self.collector = 0.0
        self._collecting = 0.0
        self._loop = loop
        self._last = (monotonic(), time.thread_time())
        self._going = True

    def __enter__(self) -> Self:
        """Begin to watch."""
        gc.callbacks.append(self._collects)
        self._loop.call_soon(self._tick)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Watch no longer."""
        self._going = False
        gc.callbacks.remove(self._collects)

    def _collects(self, phase: str, _info: dict[str, int]) -> None:
        if phase == "start":
            self._collecting = time.thread_time()
        else:
            self.collector = max(self.collector, time.thread_time() - self._collecting)

    def _tick(self) -> None:
        now = (monotonic(), time.thread_time())
        self.wall = max(self.wall, now[0] - self._last[0])
        self.processor = max(self.processor, now[1] - self._last[1])
        self._last = now
        if self._going:
            self._loop.call_soon(self._tick)


async def _answer(hass: HomeAssistant, answers: int) -> None:
    session = Session(hass)
    reader = asyncio.StreamReader()
    await hass.loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    os.write(answers, b'{"ready": true}\n')
    async for line in reader:
        order = json.loads(line)
        verb = order.pop("verb")
        try:
            answer = {"value": await session.verbs[verb](**order)}
        except Exception as error:  # noqa: BLE001 - whoever asked is told, whatever it is
            answer = {"error": f"{verb}: {error!r}"}
        os.write(answers, json.dumps(answer).encode() + b"\n")
    await hass.async_stop()


async def _run(folder: Path, answers: int) -> None:
    hass = await bootstrap.async_setup_hass(runner.RuntimeConfig(str(folder), skip_pip=True, log_no_color=True))
    if hass is None:
        raise RuntimeError("Home Assistant did not start")
    # Not one of Home Assistant's own tasks: those it ends before itself.
    answering = asyncio.ensure_future(_answer(hass, answers))
    await hass.async_run(attach_signals=True)
    await answering


def main() -> None:
    """Run until standard input ends."""
    answers = os.dup(1)
    os.dup2(2, 1)  # whatever is printed by somebody else is no answer
    loop = runner.create_event_loop()
    asyncio.set_event_loop(loop)
    with suppress(KeyboardInterrupt):
        loop.run_until_complete(_run(Path(sys.argv[1]), answers))
    os._exit(0)  # what is still there is only threads of the executor


if __name__ == "__main__":
    main()
