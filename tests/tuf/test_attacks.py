"""Attacks on a TUF repository, by the names of its specification: what is refused, and as what."""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone, tzinfo
from pathlib import Path
from types import SimpleNamespace
from typing import override

import pytest
from aiohttp import web
from tuf.api.metadata import Key
from tuf.ngclient._internal import trusted_metadata_set

from custom_components.firmware_hub import tuf_client
from custom_components.firmware_hub.core.errors import BadInput, HubError, OutsideFailed, Reason, Refused

from .conftest import PLUG, Home, serving
from .repository import IMAGE, Repository, new_key, release


async def refusal(home: Home, repository: Repository, **changes: str) -> tuple[type[HubError], Reason, str]:
    with pytest.raises(HubError) as caught:
        await home.refresh(repository, **changes)
    return type(caught.value), caught.value.reason, caught.value.path


# --- arbitrary software -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
async def test_what_a_stranger_signed_is_refused(home: Home, repository: Repository, role: str) -> None:
    repository.hashes = False
    repository.signers[role] = [new_key()]
    repository.publish()
    assert await refusal(home, repository) == (Refused, Reason.BAD_SIGNATURE, role)


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
async def test_what_was_changed_behind_its_signature_is_refused(home: Home, repository: Repository, role: str) -> None:
    repository.hashes = False
    repository.publish()
    name = "timestamp.json" if role == "timestamp" else repository.name_of(role, 2)
    file = repository.files[name]
    assert isinstance(file, bytes)
    year = str(repository.timestamp.expires.year).encode()
    repository.files[name] = file.replace(b'"expires":"' + year, b'"expires":"2999')
    assert repository.files[name] != file
    assert await refusal(home, repository) == (Refused, Reason.BAD_SIGNATURE, role)


async def test_what_nobody_signed_is_refused(home: Home, repository: Repository) -> None:
    repository.files["timestamp.json"] = repository.sign("timestamp", repository.timestamp, signers=[])
    assert await refusal(home, repository) == (Refused, Reason.BAD_SIGNATURE, "timestamp")


async def test_one_signature_of_two_that_are_needed_is_too_few(home: Home, repository: Repository) -> None:
    second = new_key()
    repository.root.add_key(second.public_key, "targets")
    repository.root.roles["targets"].threshold = 2
    repository.root.version = 2
    repository.publish_root()
    repository.publish()
    assert await refusal(home, repository) == (Refused, Reason.BAD_SIGNATURE, "targets")
    repository.signers["targets"].append(second)
    repository.publish()
    assert (await home.refresh(repository)).releases


async def test_one_key_that_signs_twice_is_one_signature(home: Home, repository: Repository) -> None:
    repository.root.add_key(new_key().public_key, "targets")
    repository.root.roles["targets"].threshold = 2
    repository.root.version = 2
    repository.publish_root()
    repository.signers["targets"] *= 2
    repository.publish()
    assert await refusal(home, repository) == (Refused, Reason.BAD_SIGNATURE, "targets")


async def test_the_root_of_a_stranger_is_refused(home: Home, repository: Repository) -> None:
    stranger = Repository()
    stranger.root.version = 2
    stranger.publish_root()
    stranger.publish()
    repository.files = stranger.files
    assert await refusal(home, repository) == (Refused, Reason.BAD_SIGNATURE, "root")


@pytest.mark.parametrize(
    "file",
    [b"", b"{}", b"[]", b"\xff", b'{"signatures": [], "signed": {}}', b"[" * 10_000],
    ids=["empty", "an_object", "a_list", "no_text", "nothing_signed", "deep"],
)
@pytest.mark.parametrize("name", ["2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"])
async def test_what_is_no_metadata_is_refused(tmp_path: Path, name: str, file: bytes) -> None:
    repository = Repository(hashes=False)
    repository.publish()
    repository.files[name] = file
    async for home in serving(repository, tmp_path):
        kind, reason, path = await refusal(home, repository)
        assert (kind, reason) == (BadInput, Reason.MALFORMED)
        assert path == name.removesuffix(".json").rpartition(".")[2]


# --- wrong target -----------------------------------------------------------------------------------------------------


async def test_another_file_in_the_place_of_a_target_is_refused(home: Home, repository: Repository) -> None:
    (item,) = (await home.refresh(repository)).releases
    for name, file in repository.files.items():
        if file == IMAGE:
            repository.files[name] = IMAGE[::-1]
    with pytest.raises(Refused) as caught:
        await home.downloader.async_artifact(item.main)
    assert caught.value.reason is Reason.DIGEST_MISMATCH


async def test_a_longer_file_in_the_place_of_a_target_is_refused(home: Home, repository: Repository) -> None:
    (item,) = (await home.refresh(repository)).releases
    for name, file in repository.files.items():
        if file == IMAGE:
            repository.files[name] = IMAGE + b"x"
    with pytest.raises(Refused) as caught:
        await home.downloader.async_artifact(item.main)
    assert caught.value.reason is Reason.SIZE_MISMATCH


async def test_a_role_cannot_put_files_outside_of_its_folder(home: Home, repository: Repository) -> None:
    repository.delegate("lights", ["light-co/*/*"])
    repository.add("acme/plug-s1/9.9.9/plug.bin", role="lights", custom=release(version="9.9.9"))
    repository.publish()
    assert [item.version for item in (await home.refresh(repository)).releases] == ["1.2.0"]


async def test_a_role_cannot_speak_for_another_maker(home: Home, repository: Repository) -> None:
    repository.delegate("lights", ["light-co/*/*"])
    repository.add("light-co/plug/plug.bin", role="lights", custom=release("Acme", "9.9.9"))
    repository.publish()
    kind, reason, path = await refusal(home, repository)
    assert (kind, reason) == (Refused, Reason.WRONG_VENDOR)
    assert path.endswith(".custom.match.manufacturer")


@pytest.mark.parametrize("name", ["root", "timestamp", "snapshot"])
async def test_a_role_cannot_take_the_name_of_a_top_level_one(home: Home, repository: Repository, name: str) -> None:
    keys = repository.signers[name]
    repository.delegate(name, ["light-co/*/*"])
    repository.signers[name] = keys
    del repository.targets[name]
    repository.publish()
    assert await refusal(home, repository) == (BadInput, Reason.MALFORMED, "targets")


async def test_a_role_that_leaves_its_folder_by_its_name_stays_in_it(home: Home, repository: Repository) -> None:
    repository.delegate("../../../escaped", ["light-co/*/*"])
    repository.publish()
    before = {path for path in home.folder.parent.rglob("*") if home.folder not in path.parents}
    await home.refresh(repository)
    assert [path.name for path in home.folder.rglob("*escaped*")] == ["..%2F..%2F..%2Fescaped.json"]
    assert {path for path in home.folder.parent.rglob("*") if home.folder not in path.parents} - before == {home.folder}


# --- rollback ---------------------------------------------------------------------------------------------------------


async def test_an_older_timestamp_is_refused(home: Home, repository: Repository) -> None:
    old = repository.seen()
    repository.publish()
    await home.refresh(repository)
    repository.play("timestamp.json", out_of=old)
    assert await refusal(home, repository) == (Refused, Reason.ROLLBACK_DETECTED, "timestamp")


async def test_all_that_was_once_true_is_refused(home: Home, repository: Repository) -> None:
    old = repository.seen()
    repository.publish()
    await home.refresh(repository)
    repository.files = old
    assert await refusal(home, repository) == (Refused, Reason.ROLLBACK_DETECTED, "timestamp")


async def test_an_older_snapshot_under_a_newer_timestamp_is_refused(home: Home, repository: Repository) -> None:
    repository.publish()
    await home.refresh(repository)
    repository.snapshot.version = 1
    repository.publish_timestamp()
    assert await refusal(home, repository) == (Refused, Reason.ROLLBACK_DETECTED, "timestamp")


async def test_older_targets_under_a_newer_snapshot_are_refused(home: Home, repository: Repository) -> None:
    repository.publish()
    await home.refresh(repository)
    repository.snapshot.meta["targets.json"].version = 1
    repository.publish_snapshot()
    assert await refusal(home, repository) == (Refused, Reason.ROLLBACK_DETECTED, "snapshot")


async def test_targets_that_vanish_from_the_snapshot_are_refused(home: Home, repository: Repository) -> None:
    repository.delegate("lights", ["light-co/*/*"])
    repository.publish()
    await home.refresh(repository)
    del repository.snapshot.meta["lights.json"]
    repository.publish_snapshot()
    assert (await refusal(home, repository))[2] == "snapshot"


async def test_an_older_root_in_the_place_of_the_next_one_is_refused(home: Home, repository: Repository) -> None:
    repository.files["2.root.json"] = repository.files["1.root.json"]
    assert await refusal(home, repository) == (Refused, Reason.ROLLBACK_DETECTED, "root")


async def test_a_refusal_keeps_what_was_known(home: Home, repository: Repository) -> None:
    old = repository.seen()
    repository.publish()
    before = await home.refresh(repository)
    repository.files = old
    await refusal(home, repository)
    assert await home.reload(repository) == before


# --- freeze -----------------------------------------------------------------------------------------------------------


@contextmanager
def later(days: int) -> Iterator[None]:
    """Let python-tuf's clock go ahead."""

    class Clock(datetime):
        @classmethod
        @override
        def now(cls, tz: tzinfo | None = None) -> Clock:
            there = datetime.now(tz) + timedelta(days=days)
            return cls.fromisoformat(there.isoformat())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trusted_metadata_set, "datetime", SimpleNamespace(datetime=Clock, timezone=timezone))
        yield


async def test_a_repository_that_stands_still_is_refused_when_it_expires(home: Home, repository: Repository) -> None:
    await home.refresh(repository)
    with later(31):
        kind, reason, _ = await refusal(home, repository)
    assert (kind, reason) == (Refused, Reason.FREEZE_SUSPECTED)


async def test_a_repository_that_expired_before_it_was_known_is_refused(home: Home, repository: Repository) -> None:
    with later(31):
        assert await refusal(home, repository) == (Refused, Reason.EXPIRED, "timestamp")


async def test_a_stored_statement_is_refused_when_it_expires(home: Home, repository: Repository) -> None:
    await home.refresh(repository)
    with later(31), pytest.raises(Refused) as caught:
        await home.reload(repository)
    assert caught.value.reason is Reason.FREEZE_SUSPECTED


async def test_targets_that_were_not_signed_again_expire_alone(home: Home, repository: Repository) -> None:
    repository.lifetime = timedelta(days=60)
    repository.root.version = 2
    repository.publish_root()
    repository.publish_snapshot()
    with later(31):
        assert await refusal(home, repository) == (Refused, Reason.EXPIRED, "targets")


async def test_a_root_that_expired_is_refused(home: Home, repository: Repository) -> None:
    repository.lifetime = timedelta(days=60)
    repository.publish()
    with later(31):
        kind, reason, _ = await refusal(home, repository)
    assert (kind, reason) == (Refused, Reason.EXPIRED)


# --- mix-and-match ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hashes", [True, False])
@pytest.mark.parametrize("role", ["snapshot", "targets"])
async def test_statements_of_different_times_are_refused(tmp_path: Path, role: str, hashes: bool) -> None:
    repository = Repository(hashes=hashes)
    repository.publish()
    repository.publish()
    repository.files[repository.name_of(role, 2)] = repository.files[repository.name_of(role, 1)]
    async for home in serving(repository, tmp_path):
        assert await refusal(home, repository) == (Refused, Reason.MIXED_METADATA, role)


# --- fast forward -----------------------------------------------------------------------------------------------------


async def test_versions_that_a_thief_drove_up_are_forgotten_with_his_keys(home: Home, repository: Repository) -> None:
    repository.timestamp.version = repository.snapshot.version = 2**31
    repository.publish_snapshot()
    await home.refresh(repository)
    repository.timestamp.version = repository.snapshot.version = 1
    repository.publish_snapshot()
    assert (await refusal(home, repository))[1] is Reason.ROLLBACK_DETECTED
    repository.rotate("timestamp", "snapshot")
    repository.publish_snapshot()
    assert (await home.refresh(repository)).releases


# --- endless data -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"])
async def test_metadata_without_an_end_is_cut_off(home: Home, repository: Repository, name: str) -> None:
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while sent < 100_000_000:
            await response.write(b" " * 65_536)
            sent += 65_536
        return response

    repository.files[name] = endless
    kind, reason, path = await refusal(home, repository)
    assert (kind, reason) == (BadInput, Reason.TOO_LARGE)
    assert path == name.removesuffix(".json").rpartition(".")[2]
    assert sent < 20_000_000


async def test_a_length_that_the_vendor_states_is_no_longer_than_ours(home: Home, repository: Repository) -> None:
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while sent < 100_000_000:
            await response.write(b" " * 65_536)
            sent += 65_536
        return response

    repository.snapshot.meta["targets.json"].length = 10**12
    repository.publish_snapshot()
    repository.files["1.targets.json"] = endless
    assert await refusal(home, repository) == (BadInput, Reason.TOO_LARGE, "targets")
    assert sent < 20_000_000


async def test_metadata_that_trickles_is_given_up(
    home: Home, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, enough = asyncio.Event(), asyncio.Event()

    async def never(request: web.Request) -> web.StreamResponse:
        asked.set()
        await enough.wait()
        return web.Response()

    repository.files["timestamp.json"] = never
    monkeypatch.setattr("custom_components.firmware_hub.tuf_client._DEADLINE", 0.5)
    with pytest.raises(OutsideFailed) as caught:
        await home.refresh(repository)
    enough.set()
    assert asked.is_set()
    assert caught.value.reason is Reason.FETCH_TIMEOUT


async def test_roots_without_an_end_are_given_up(home: Home, repository: Repository) -> None:
    for version in range(2, 80):
        repository.root.version = version
        repository.publish_root()
    repository.asked.clear()
    await home.refresh(repository)
    assert sum(name.endswith(".root.json") for name in repository.asked) == 64


async def test_roles_without_an_end_are_refused(
    home: Home, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("custom_components.firmware_hub.tuf_targets._MAX_ROLES", 3)
    for number in range(4):
        repository.delegate(f"maker-{number}", [f"maker-{number}/*/*"])
    repository.publish()
    assert (await refusal(home, repository))[:2] == (BadInput, Reason.TOO_LARGE)


async def test_patterns_without_an_end_are_refused(
    home: Home, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("custom_components.firmware_hub.tuf_targets._MAX_PATTERNS", 3)
    repository.delegate("maker", [f"maker/{number}/*" for number in range(4)])
    repository.publish()
    assert await refusal(home, repository) == (BadInput, Reason.TOO_LARGE, "targets")


async def test_patterns_of_all_roles_together_are_bounded(
    home: Home, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("custom_components.firmware_hub.tuf_targets._MAX_PATTERNS", 3)
    repository.delegate("maker", ["maker/*", "maker/*/*"])
    repository.delegate("lamps", ["maker/lamp*", "maker/lamp/*"], parent="maker")
    repository.publish()
    assert await refusal(home, repository) == (BadInput, Reason.TOO_LARGE, "maker")


async def test_a_pattern_of_any_length_is_refused_before_anything_is_matched_with_it(
    home: Home, repository: Repository
) -> None:
    repository.delegate("maker", ["maker/*"])
    repository.delegate("lamps", ["maker/" + "[" * 20_000], parent="maker")
    repository.publish()
    assert await refusal(home, repository) == (BadInput, Reason.TOO_LARGE, "maker")


async def test_a_walk_without_an_end_is_given_up(
    home: Home, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.delegate("maker", ["maker/*"])
    repository.publish()
    late = SimpleNamespace(monotonic=lambda: time.monotonic() + tuf_client._DEADLINE)
    monkeypatch.setattr("custom_components.firmware_hub.tuf_targets.time", late)
    assert (await refusal(home, repository))[:2] == (OutsideFailed, Reason.FETCH_TIMEOUT)


async def test_targets_without_an_end_are_refused(
    home: Home, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("custom_components.firmware_hub.core.limits.MAX_RELEASES", 3)
    for number in range(4):
        repository.add(f"acme/{number}.bin")
    repository.publish()
    assert await refusal(home, repository) == (BadInput, Reason.TOO_LARGE, "targets")


async def test_delegations_in_a_circle_end(home: Home, repository: Repository) -> None:
    repository.delegate("left", ["acme/*"], terminating=False)
    repository.delegate("right", ["acme/*"], parent="left", terminating=False)
    circle = copy.deepcopy(repository.targets["targets"].delegations)
    repository.targets["right"].delegations = circle
    repository.add("acme/lamp.bin", role="right", custom=release(version="7"))
    repository.publish()
    assert {item.version for item in (await home.refresh(repository)).releases} == {"1.2.0", "7"}


# --- stolen keys and their rotation -----------------------------------------------------------------------------------


async def test_rotated_keys_are_followed(home: Home, repository: Repository) -> None:
    await home.refresh(repository)
    repository.rotate("root", "timestamp", "snapshot", "targets")
    repository.publish()
    manifest = await home.refresh(repository)
    assert manifest.key_id == repository.signers["root"][0].public_key.keyid


async def test_many_rotations_are_followed_one_by_one(home: Home, repository: Repository) -> None:
    for _ in range(10):
        repository.rotate("root")
    repository.publish()
    assert (await home.refresh(repository)).releases


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
async def test_what_a_stolen_key_signs_after_its_rotation_is_refused(tmp_path: Path, role: str) -> None:
    repository = Repository(hashes=False)
    repository.publish()
    stolen = repository.signers[role]
    repository.rotate(role)
    repository.signers[role] = stolen
    repository.publish()
    async for home in serving(repository, tmp_path):
        assert await refusal(home, repository) == (Refused, Reason.BAD_SIGNATURE, role)


async def test_a_rotation_that_the_old_root_did_not_sign_is_refused(home: Home, repository: Repository) -> None:
    thief = Repository()
    repository.root.version = 2
    repository.root.roles["root"].keyids = [thief.signers["root"][0].public_key.keyid]
    repository.root.keys[thief.signers["root"][0].public_key.keyid] = thief.signers["root"][0].public_key
    repository.files["2.root.json"] = repository.sign("root", repository.root, signers=thief.signers["root"])
    assert await refusal(home, repository) == (Refused, Reason.BAD_SIGNATURE, "root")


async def test_a_rotation_that_the_new_root_did_not_sign_is_refused(home: Home, repository: Repository) -> None:
    new: Key = new_key().public_key
    repository.root.version = 2
    repository.root.keys[new.keyid] = new
    repository.root.roles["root"].keyids = [new.keyid]
    repository.files["2.root.json"] = repository.sign("root", repository.root)
    assert await refusal(home, repository) == (Refused, Reason.BAD_SIGNATURE, "root")


async def test_a_rotation_that_was_seen_once_cannot_be_hidden_again(home: Home, repository: Repository) -> None:
    stolen = repository.seen()
    repository.rotate("timestamp", "snapshot", "targets")
    repository.files["timestamp.json"] = b"{}"
    await refusal(home, repository)
    # The refresh failed, but its root was genuine: the keys that it revoked stay revoked.
    repository.files = stolen
    assert await refusal(home, repository) == (Refused, Reason.BAD_SIGNATURE, "timestamp")


async def test_a_stolen_key_of_a_maker_is_revoked_by_the_role_above(home: Home, repository: Repository) -> None:
    repository.delegate("lights", ["light-co/*/*"])
    repository.publish()
    await home.refresh(repository)
    stolen = repository.signers["lights"]
    repository.targets["targets"].revoke_key(stolen[0].public_key.keyid, "lights")
    repository.targets["targets"].add_key(new_key().public_key, "lights")
    repository.add("light-co/lamp/evil.bin", role="lights", custom=release("Light & Co", "9"))
    repository.publish()
    assert await refusal(home, repository) == (Refused, Reason.BAD_SIGNATURE, "lights")


# --- on the way -------------------------------------------------------------------------------------------------------


async def test_a_detour_to_an_insecure_place_is_refused(home: Home, repository: Repository) -> None:
    async def away(_request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("http://93.184.215.14/timestamp.json")

    repository.files["timestamp.json"] = away
    with pytest.raises(OutsideFailed) as caught:
        await home.refresh(repository)
    assert caught.value.reason is Reason.INSECURE_REDIRECT


async def test_a_target_is_named_by_its_maker_alone(home: Home, repository: Repository) -> None:
    repository.add("readme.txt", b"hello")
    repository.publish()
    assert [item.main.name for item in (await home.refresh(repository)).releases] == [PLUG.rpartition("/")[2]]
