"""The process that the demo and the other end-to-end tests stand on."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from simulator.broker import Broker
from simulator.demo.api import ApiError, ConnectionLost
from simulator.demo.home_assistant import HomeAssistant, zone_just_after_midnight


@pytest.mark.parametrize("hour", range(24))
def test_there_is_a_zone_just_after_midnight_at_every_hour(hour: int) -> None:
    now = datetime(2027, 3, 28, hour, 59, 59, tzinfo=UTC)
    local = now.astimezone(ZoneInfo(zone_just_after_midnight(now)))
    assert (local.hour, local.minute) == (0, 59)


def test_the_zone_does_not_depend_on_the_zone_of_the_question() -> None:
    now = datetime(2027, 3, 28, 13, 30, tzinfo=UTC)
    assert zone_just_after_midnight(now.astimezone(timezone(timedelta(hours=5)))) == zone_just_after_midnight(now)


async def test_integrations_survive_a_killed_process(home_assistant: HomeAssistant, broker: Broker) -> None:
    entry = await home_assistant.set_up_mqtt(broker)
    await home_assistant.set_up_tasmota()
    await home_assistant.restart()
    await home_assistant.kill()
    assert home_assistant.pid is None
    await home_assistant.start()
    entries = await home_assistant.api.command("config_entries/get")
    assert [found["state"] for found in entries if found["entry_id"] == entry["entry_id"]] == ["loaded"]


async def test_a_refused_command_says_why(home_assistant: HomeAssistant) -> None:
    with pytest.raises(ApiError, match="not_found"):
        await home_assistant.api.call("nothing", "at_all")


async def test_a_command_to_a_killed_process_does_not_wait_for_ever(home_assistant: HomeAssistant) -> None:
    api = home_assistant.api
    await home_assistant.kill()
    with pytest.raises(ConnectionLost):
        await api.command("get_states")
