"""What a feed's server is asked: only for what is new, and for all of it when what was kept is lost."""

import sqlite3
from contextlib import closing

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
    subentry = home.entry.subentries["feed1"]
    home.hass.config_entries.async_update_subentry(home.entry, subentry, data={**subentry.data, "url": NOWHERE})
    await until(lambda: home.hub.hub_view().feeds[-1].last_error is Reason.UNREACHABLE)
    await home.hass.config_entries.async_reload(home.entry.entry_id)
    await until(lambda: home.hub.hub_view().feeds[-1].last_error is Reason.UNREACHABLE)
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
