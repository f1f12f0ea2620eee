"""What a feed's server is asked: only for what is new, and for all of it when what was kept is lost."""

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.test_utils import TestServer

from custom_components.firmware_hub.const import DOMAIN
from custom_components.firmware_hub.core.errors import Reason
from simulator.vendor import MANIFEST_PATH, Asked
from tests.ha.home import NOWHERE, Home, until


async def asked(home: Home, times: int) -> Asked:
    """Wait for so many requests for the manifest; return the last one when the hub knows the answer."""
    await until(lambda: len(home.vendor.asked(MANIFEST_PATH)) == times and home.vendor.asked(MANIFEST_PATH)[-1].status)
    await until(lambda: home.feed_sequence("feed1") == home.vendor.sequence)
    await home.hass.async_block_till_done()
    return home.vendor.asked(MANIFEST_PATH)[-1]


@dataclass
class Slow:
    """A server that takes its time to answer."""

    body: bytes
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    answered: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer when it is allowed to."""
        self.asked.set()
        await self.may_answer.wait()
        response = web.Response(body=self.body)
        await response.prepare(request)
        await response.write_eof()
        self.answered.set()
        return response


def move(home: Home, url: str) -> None:
    """Give the feed another address, as its owner does."""
    subentry = home.entry.subentries["feed1"]
    home.hass.config_entries.async_update_subentry(home.entry, subentry, data={**subentry.data, "url": url})


async def test_what_is_known_is_not_sent_again(home: Home) -> None:
    first = await asked(home, 1)
    assert (first.status, "If-None-Match" in first.headers) == (200, False)
    await home.act("check")
    second = await asked(home, 2)
    assert (second.status, "If-None-Match" in second.headers) == (304, True)


async def test_what_was_kept_over_a_restart_is_not_sent_again(home: Home) -> None:
    await asked(home, 1)
    await home.hass.config_entries.async_reload(home.entry.entry_id)
    again = await asked(home, 2)
    assert (again.status, "If-None-Match" in again.headers) == (304, True)


async def test_what_another_address_said_does_not_come_back_with_a_restart(home: Home) -> None:
    await asked(home, 1)
    move(home, NOWHERE)
    await until(lambda: home.hub.hub_view().feeds[-1].last_error is Reason.UNREACHABLE)
    await home.hass.config_entries.async_reload(home.entry.entry_id)
    await until(lambda: home.hub.hub_view().feeds[-1].last_error is Reason.UNREACHABLE)
    assert home.feed_sequence("feed1") is None


async def test_what_another_address_said_does_not_come_back_when_the_feed_moved_while_nobody_looked(home: Home) -> None:
    await asked(home, 1)
    assert await home.hass.config_entries.async_unload(home.entry.entry_id)
    move(home, NOWHERE)
    assert await home.hass.config_entries.async_setup(home.entry.entry_id)
    await until(lambda: home.hub.hub_view().feeds[-1].last_error is Reason.UNREACHABLE)
    assert home.feed_sequence("feed1") is None


async def test_what_another_address_still_had_to_say_counts_no_more(home: Home) -> None:
    await asked(home, 1)
    slow, application = Slow(home.vendor.manifest()), web.Application()
    application.router.add_get("/", slow.answer)
    async with TestServer(application) as server:
        move(home, str(server.make_url("/")))
        async with asyncio.timeout(10):
            await slow.asked.wait()
            move(home, NOWHERE)
            await until(lambda: home.hub.hub_view().feeds[-1].last_error is Reason.UNREACHABLE)
            slow.may_answer.set()
            await slow.answered.wait()
            await until(lambda: not any("fetch feed1" in task.get_name() for task in home.entry._background_tasks))
    assert home.feed_sequence("feed1") is None


async def test_what_was_lost_is_asked_for_without_a_condition(home: Home) -> None:
    await asked(home, 1)
    assert await home.hass.config_entries.async_unload(home.entry.entry_id)
    path = home.hass.config.path(".storage", f"{DOMAIN}.{home.entry.entry_id}.db")

    def lose() -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            assert connection.execute("DELETE FROM feeds").rowcount == 1

    await home.hass.async_add_executor_job(lose)
    assert await home.hass.config_entries.async_setup(home.entry.entry_id)
    again = await asked(home, 2)
    assert (again.status, "If-None-Match" in again.headers) == (200, False)
