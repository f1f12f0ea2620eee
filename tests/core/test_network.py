"""What a bridge says for all of its devices at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from custom_components.firmware_hub.core.effects import (
    ClearIssue,
    Effect,
    IssueKind,
    QueryDevice,
    RaiseIssue,
    SendInstall,
)
from custom_components.firmware_hub.core.errors import Reason
from custom_components.firmware_hub.core.hub import Hub
from custom_components.firmware_hub.core.inputs import (
    AddressChecked,
    ArtifactsReady,
    DeviceLinkChanged,
    DeviceReported,
    FeedsChanged,
    InstallReported,
    LinkChanged,
    ManifestRead,
    NetworkReported,
    Stage,
)
from custom_components.firmware_hub.core.model import (
    Approval,
    Artifact,
    ArtifactRole,
    Device,
    DeviceFacts,
    Feed,
    Identity,
    Install,
    InstallState,
    Manifest,
    Match,
    Offer,
    Release,
    Trust,
)
from custom_components.firmware_hub.core.ports import Capabilities
from custom_components.firmware_hub.core.records import Snapshot
from custom_components.firmware_hub.core.rollout import Rollout

NOW = datetime(2026, 11, 24, 0, 30, tzinfo=UTC)
SOON = NOW + timedelta(seconds=1)
MESH = Capabilities(
    chooses_artifact=True,
    reports_progress=True,
    reports_failure=True,
    echoes_attempt=False,
    rolls_back=False,
    wakes_by_itself=False,
    needs_plain_http=False,
    commits=False,
    announces_boot=False,
    default_minutes=20,
    max_deadline=timedelta(hours=1),
)
BULB, PLUG, FAR = "ieee:0x1", "ieee:0x2", "ieee:0x3"


def report(device_id: str, network: str = "z", name: str = "", version: str = "1") -> DeviceReported:
    addresses = (f"{network}/{name}/",)
    told = DeviceFacts(manufacturer="Acme", model="M", version=version, network=network, addresses=addresses)
    return DeviceReported(device_id, "mesh", told)


@pytest.fixture
def hub() -> Hub:
    """Two devices behind one bridge, one behind another, all of them on line."""
    hub = Hub({"mesh": MESH}, new_id=lambda: "new")
    hub.receive(LinkChanged(connected=True), NOW)
    for item in (report(BULB, name="bulb"), report(PLUG, name="plug"), report(FAR, "y", "far")):
        hub.receive(item, NOW)
    return hub


def online(hub: Hub) -> dict[str, bool | None]:
    return {name: presence.online for name, presence in hub.fleet.presence.items()}


def bridge(online: bool | None = None, *, retained: bool = False, ids: frozenset[str] | None = None) -> NetworkReported:
    return NetworkReported("mesh", "z", online, ids, "" if online is not False else "bridge_died", retained)


def installing(hub: Hub) -> Install:
    """The bulb's install, whose command was sent a minute ago."""
    artifact = Artifact(ArtifactRole.MAIN, "x.ota", "https://acme.example/x.ota", 1, "ab" * 32)
    offer = Offer(Release(Match("Acme", ("M",)), "2", (artifact,)), "feed", Trust.SIGNED, "Acme")
    device = hub.fleet.devices[BULB]
    install = Install(
        "i-1",
        BULB,
        offer,
        Approval("me", NOW, NOW + timedelta(days=30)),
        Identity("Acme", "M", "", ""),
        "1",
        state=InstallState.INSTALLING,
        attempt=1,
        attempt_id="a-1",
        command_at=NOW - timedelta(minutes=1),
        deadline=NOW + timedelta(minutes=39),
    )
    hub.restore(Snapshot((device,), (install,), (), (), {}), NOW)
    hub.fleet.link(BULB, online=True)
    return install


def state_of(hub: Hub) -> InstallState:
    current = hub.installer.current.get(BULB)
    return current.state if current is not None else hub.installer.last[BULB].state


def test_without_its_bridge_nobody_in_the_network_is_on_line(hub: Hub) -> None:
    hub.receive(bridge(online=False), SOON)
    assert online(hub) == {BULB: False, PLUG: False, FAR: True}


def test_with_its_bridge_everybody_is_back(hub: Hub) -> None:
    hub.receive(bridge(online=False), SOON)
    hub.receive(bridge(online=True), SOON)
    assert online(hub) == {BULB: True, PLUG: True, FAR: True}


def test_a_device_is_not_on_line_while_its_bridge_is_away(hub: Hub) -> None:
    hub.receive(bridge(online=False, retained=True), SOON)
    hub.receive(DeviceLinkChanged(BULB, online=True, retained=True), SOON)
    assert online(hub)[BULB] is False


def test_a_bridge_that_was_there_all_the_time_says_nothing_of_its_devices(hub: Hub) -> None:
    hub.receive(DeviceLinkChanged(BULB, online=False), SOON)
    hub.receive(bridge(online=True, retained=True), SOON)
    assert online(hub)[BULB] is False


def test_a_lost_broker_leaves_no_bridge_away(hub: Hub) -> None:
    hub.receive(bridge(online=False), SOON)
    hub.receive(LinkChanged(connected=False), SOON)
    hub.receive(DeviceLinkChanged(BULB, online=True, retained=True), SOON)
    assert online(hub)[BULB] is True


def test_a_bridge_of_nobody_is_not_remembered(hub: Hub) -> None:
    hub.receive(NetworkReported("mesh", "nowhere", online=False), SOON)
    hub.receive(report("ieee:0x4", "nowhere", "new"), SOON)
    hub.receive(DeviceLinkChanged("ieee:0x4", online=True), SOON)
    assert online(hub)["ieee:0x4"] is True


def test_who_is_not_listed_is_not_there_any_more(hub: Hub) -> None:
    hub.receive(bridge(ids=frozenset({PLUG})), SOON)
    assert online(hub) == {BULB: False, PLUG: True, FAR: True}


def test_the_address_of_one_who_is_gone_belongs_to_its_successor(hub: Hub) -> None:
    hub.receive(bridge(ids=frozenset({PLUG, "ieee:0x5"})), SOON)
    effects = hub.receive(report("ieee:0x5", name="bulb"), SOON)
    assert not any(isinstance(effect, RaiseIssue) for effect in effects)
    assert hub.at("mesh", "z/bulb/") is hub.get("ieee:0x5")


def test_a_conflict_ends_when_one_of_the_two_is_gone(hub: Hub) -> None:
    hub.receive(report("ieee:0x5", name="bulb"), SOON)
    effects = hub.receive(bridge(ids=frozenset({PLUG, "ieee:0x5"})), SOON)
    assert ClearIssue(IssueKind.TOPIC_CONFLICT, "ieee:0x5") in effects


def test_one_who_is_gone_is_not_asked_for_its_version(hub: Hub) -> None:
    hub.receive(report(BULB, name="bulb", version=""), SOON)
    hub.receive(bridge(ids=frozenset()), SOON + timedelta(minutes=5))
    effects = hub.receive(bridge(ids=frozenset()), SOON + timedelta(minutes=10))
    assert not any(isinstance(effect, QueryDevice) for effect in effects)


def asked(effects: list[Effect]) -> bool:
    return QueryDevice(BULB) in effects


def unlisted(hub: Hub) -> None:
    hub.receive(bridge(ids=frozenset({BULB})), NOW)
    assert online(hub)[PLUG] is False


def test_one_who_is_listed_again_may_be_there_and_is_asked(hub: Hub) -> None:
    unlisted(hub)
    told = report(PLUG, name="plug")
    effects = hub.receive(replace(told, facts=replace(told.facts, version=None)), SOON)
    assert online(hub)[PLUG] is None
    assert QueryDevice(PLUG) in effects


def test_one_who_says_itself_that_it_is_back_is_there(hub: Hub) -> None:
    unlisted(hub)
    hub.receive(report(PLUG, name="plug"), SOON)
    assert online(hub)[PLUG] is True


def test_a_dead_bridge_ends_its_installs_when_the_device_says_that_it_is_unchanged(hub: Hub) -> None:
    installing(hub)
    hub.receive(bridge(online=False), SOON)
    assert state_of(hub).is_commanded
    assert asked(hub.receive(bridge(online=True), SOON))
    hub.receive(report(BULB, name="bulb"), SOON)
    last = hub.installer.last[BULB]
    assert (last.state, last.failure_detail) == (InstallState.FAILED, "bridge_died")


def test_what_a_bridge_lost_long_ago_fails_nothing(hub: Hub) -> None:
    installing(hub)
    hub.receive(bridge(online=False, retained=True), SOON)
    assert hub.installer.current[BULB].failure is None


def test_a_dead_bridge_takes_nothing_from_one_who_waits_for_another_attempt(hub: Hub) -> None:
    installing(hub)
    hub.receive(InstallReported(BULB, Stage.NOT_BEGUN, attempt_id="a-1"), SOON)
    hub.receive(report(BULB, name="bulb"), SOON)
    hub.receive(bridge(online=False), SOON)
    hub.receive(bridge(online=True), SOON)
    hub.receive(report(BULB, name="bulb"), SOON)
    waiting = hub.installer.current[BULB]
    assert (waiting.state, waiting.reason) == (InstallState.DEFERRED, Reason.WAITS_FOR_RETRY)


def test_a_stage_of_another_attempt_is_not_ours(hub: Hub) -> None:
    install = installing(hub)
    hub.receive(InstallReported(BULB, Stage.FAILED, attempt_id="a-0"), SOON)
    assert hub.installer.current[BULB].failure is install.failure


@pytest.mark.parametrize("attempt_id", ["a-1", None])
def test_a_stage_of_our_attempt_or_of_none_is_ours(hub: Hub, attempt_id: str | None) -> None:
    installing(hub)
    hub.receive(InstallReported(BULB, Stage.DOWNLOADING, 40, attempt_id), SOON)
    assert hub.installer.current[BULB].percent == 40


@pytest.mark.parametrize(("most", "running"), [(None, 3), (1, 1), (2, 2), (5, 3)])
def test_a_family_may_allow_fewer_installs_in_a_network_than_the_owner(most: int | None, running: int) -> None:
    rollout = Rollout()
    rollout.limit("z", most)
    for number in range(5):
        rollout.add(waiting(number), "z")
    for install in rollout.candidates(3):
        rollout.began(install, "z")
    assert rollout.running("z") == running
    assert not rollout.may_start(waiting(4), "z", 3)


def test_another_network_is_not_limited_by_it() -> None:
    rollout = Rollout()
    rollout.limit("z", 1)
    for number in range(2):
        rollout.add(waiting(number), "y")
    for install in rollout.candidates(3):
        rollout.began(install, "y")
    assert rollout.running("y") == 2


def waiting(number: int) -> Install:
    offer = Offer(Release(Match("Acme", ("M",)), "2", ()), "feed", Trust.SIGNED, "Acme")
    identity = Identity("Acme", f"M{number}", "", "")
    return Install(f"i-{number}", f"d-{number}", offer, Approval("me", NOW, NOW), identity, "1")


@pytest.mark.parametrize("state", [InstallState.APPROVED, InstallState.INSTALLING])
def test_the_limit_of_a_family_holds_from_the_first_install_on(state: InstallState) -> None:
    hub = Hub({"mesh": replace(MESH, parallel=1)}, new_id=lambda: "new")
    device = Device(BULB, "mesh", network="z")
    hub.restore(Snapshot((device,), (replace(waiting(1), device_id=BULB, state=state),), (), (), {}), NOW)
    assert hub.installer.rollout.has_place("z", 3) is (state is InstallState.APPROVED)


def test_a_device_that_has_just_spoken_is_not_asked_beside_its_command(hub: Hub) -> None:
    install = replace(installing(hub), state=InstallState.DOWNLOADING, attempt=0, attempt_id="", command_at=None)
    hub.receive(AddressChecked(reachable=True), NOW)
    hub.receive(FeedsChanged((Feed("feed", "signed_manifest", "Acme", "https://acme.example", Trust.SIGNED),)), NOW)
    hub.receive(ManifestRead("feed", Manifest("feed", "Acme", Trust.SIGNED, "d", (install.offer.release,))), NOW)
    hub.receive(report(BULB, name="bulb"), NOW)
    hub.installer.current[BULB] = install
    effects = hub.receive(ArtifactsReady("i-1"), SOON)
    assert any(isinstance(effect, SendInstall) for effect in effects)
    assert not asked(effects)
