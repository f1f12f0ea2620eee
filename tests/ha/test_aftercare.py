"""What a maker says of what runs already, as the owner reads it."""

from datetime import timedelta

import pytest
from homeassistant.helpers import issue_registry as ir
from homeassistant.util import dt as dt_util

from custom_components.firmware_hub.const import DOMAIN
from custom_components.firmware_hub.core.effects import IssueKind
from tests.ha.home import Home, until
from tests.ha.test_repairs import has, places, the_issue


async def test_a_withdrawn_version_that_runs_is_shown_until_it_does_not_run_any_more(home: Home) -> None:
    await home.find("plug-1")
    home.vendor.revoked = [{"model": "PLUG-S1", "version": "1.0.0", "reason": "it [may](http://x) catch fire"}]
    await home.publish("1.1.0")
    await until(lambda: has(home, IssueKind.RELEASE_REVOKED))
    shown = places(the_issue(home, IssueKind.RELEASE_REVOKED))
    assert (shown["manufacturer"], shown["model"], shown["version"], shown["devices"]) == (
        "Acme",
        "PLUG-S1",
        "1.0.0",
        "1",
    )
    assert "](" not in shown["detail"]
    assert shown["next_step"] == "Install version 1.1.0, which is offered."
    await home.announce("plug-1", retain=False, version="1.1.0")
    await home.reread()
    await until(lambda: not has(home, IssueKind.RELEASE_REVOKED))


@pytest.mark.parametrize(
    ("days", "kind"), [(30, IssueKind.SUPPORT_ENDING), (-30, IssueKind.SUPPORT_ENDED)], ids=["ending", "ended"]
)
async def test_the_end_of_support_is_shown_with_its_day_and_can_be_ignored(
    home: Home, days: int, kind: IssueKind
) -> None:
    await home.find("plug-1")
    day = (dt_util.utcnow() + timedelta(days=days)).date().isoformat()
    home.vendor.support = [{"model": "PLUG-S1", "until": day}]
    await home.reread()
    await until(lambda: has(home, kind))
    issue = the_issue(home, kind)
    assert (places(issue)["day"], issue.is_fixable) == (day, False)
    ir.async_ignore_issue(home.hass, DOMAIN, issue.issue_id, ignore=True)
    await home.reread()
    assert the_issue(home, kind).dismissed_version is not None
    home.vendor.support = []
    await home.reread()
    await until(lambda: not has(home, kind))
