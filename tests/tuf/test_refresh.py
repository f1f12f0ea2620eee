"""An honest repository: what is found in it, and what stays known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import AsyncMock

import pytest
from tuf.api.metadata import Delegations, SuccinctRoles

from custom_components.firmware_hub import download
from custom_components.firmware_hub.core.errors import BadInput, HubError, OutsideFailed, Reason, Refused
from custom_components.firmware_hub.core.model import Manifest, Trust
from simulator.certificates import Authority

from .conftest import PLUG, Home, serving
from .repository import IMAGE, Repository, release


def found(manifest: Manifest) -> list[tuple[str, str, str]]:
    return [(item.match.manufacturer, item.version, item.main.name) for item in manifest.releases]


async def test_the_targets_of_a_repository_are_releases(home: Home, repository: Repository) -> None:
    manifest = await home.refresh(repository)
    assert found(manifest) == [("Acme", "1.2.0", "plug.bin")]
    assert manifest.trust is Trust.SIGNED
    assert manifest.key_id == repository.signers["root"][0].public_key.keyid


async def test_a_file_is_fetched_from_where_the_repository_has_it(home: Home, repository: Repository) -> None:
    (item,) = (await home.refresh(repository)).releases
    path = await home.downloader.async_artifact(item.main)
    assert path.read_bytes() == IMAGE


async def test_a_repository_of_this_house_may_name_files_of_this_house_though_its_name_leads_outside_too(
    home: Home, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "may_be_outside", AsyncMock(return_value=True))
    (item,) = (await home.refresh(repository)).releases
    path = await home.downloader.async_artifact(item.main, feed=home.feed(repository))
    assert path.read_bytes() == IMAGE


async def test_files_may_be_elsewhere_than_the_metadata(home: Home, repository: Repository) -> None:
    (item,) = (await home.refresh(repository, files_url="https://files.example/all")).releases
    assert item.main.url.startswith("https://files.example/all/acme/plug-s1/1.2.0/")


async def test_it_is_good_until_the_first_of_its_roles_expires(home: Home, repository: Repository) -> None:
    repository.delegate("acme", ["acme/*/*/*"])
    repository.publish()
    repository.lifetime = timedelta(days=2)
    repository.publish_timestamp()
    manifest = await home.refresh(repository)
    assert manifest.expires == repository.timestamp.expires


async def test_a_role_below_may_be_the_first_to_expire(home: Home, repository: Repository) -> None:
    repository.delegate("acme", ["acme/*/*/*"])
    repository.publish()
    targets = repository.targets["acme"]
    targets.expires = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0)
    targets.version += 1
    name = repository.name_of("acme", targets.version)
    repository.files[name] = repository.sign("acme", targets)
    repository.snapshot.meta["acme.json"] = repository._meta(
        repository.file_of("acme", targets.version), targets.version
    )
    repository.publish_snapshot()
    assert (await home.refresh(repository)).expires == targets.expires


async def test_a_role_of_a_maker_adds_its_releases(home: Home, repository: Repository) -> None:
    repository.delegate("lights", ["light-co/*/*"])
    repository.add("light-co/lamp/lamp.ota", role="lights", custom=release("Light & Co", "7"))
    repository.publish()
    assert found(await home.refresh(repository)) == [("Acme", "1.2.0", "plug.bin"), ("Light & Co", "7", "lamp.ota")]


async def test_a_role_may_delegate_further(home: Home, repository: Repository) -> None:
    repository.delegate("lights", ["light-co/*/*"])
    repository.delegate("lamps", ["light-co/lamp/*"], parent="lights")
    repository.add("light-co/lamp/lamp.ota", role="lamps", custom=release("Light & Co", "7"))
    repository.publish()
    assert ("Light & Co", "7", "lamp.ota") in found(await home.refresh(repository))


async def test_the_higher_role_wins_where_two_have_one_path(home: Home, repository: Repository) -> None:
    repository.delegate("acme", ["acme/*/*/*"])
    repository.add(PLUG, b"another", role="acme", custom=release(version="9.9.9"))
    repository.publish()
    assert found(await home.refresh(repository)) == [("Acme", "1.2.0", "plug.bin")]


async def test_what_is_new_is_found_later(home: Home, repository: Repository) -> None:
    await home.refresh(repository)
    repository.add("acme/plug-s1/1.3.0/plug.bin", b"new", custom=release(version="1.3.0"))
    repository.publish()
    assert ("Acme", "1.3.0", "plug.bin") in found(await home.refresh(repository))


async def test_a_second_refresh_fetches_little(home: Home, repository: Repository) -> None:
    await home.refresh(repository)
    repository.asked.clear()
    await home.refresh(repository)
    assert repository.asked == ["2.root.json", "timestamp.json"]


async def test_nothing_new_is_the_same_statement(home: Home, repository: Repository) -> None:
    first = await home.refresh(repository)
    assert await home.refresh(repository) == first


async def test_a_repository_without_consistent_names_is_read_as_well(tmp_path: Path) -> None:
    repository = Repository(consistent=False)
    repository.add(PLUG, custom=release())
    repository.publish()
    async for home in serving(repository, tmp_path):
        (item,) = (await home.refresh(repository)).releases
        assert (await home.downloader.async_artifact(item.main)).read_bytes() == IMAGE


async def test_several_root_keys_are_counted(home: Home, repository: Repository) -> None:
    repository.root.add_key(repository.signers["targets"][0].public_key, "root")
    repository.root.version = 2
    repository.publish_root()
    assert (await home.refresh(repository)).key_id.endswith(" +1")


# --- without a network ------------------------------------------------------------------------------------------------


async def test_what_was_fetched_can_be_verified_again_without_a_network(home: Home, repository: Repository) -> None:
    repository.delegate("lights", ["light-co/*/*"])
    repository.add("light-co/lamp/lamp.ota", role="lights", custom=release("Light & Co", "7"))
    repository.publish()
    before = await home.refresh(repository)
    repository.files.clear()
    assert await home.reload(repository) == before


async def test_what_was_never_fetched_cannot_be_verified_again(home: Home, repository: Repository) -> None:
    with pytest.raises(OutsideFailed) as caught:
        await home.reload(repository)
    assert caught.value.reason is Reason.UNREACHABLE


async def test_what_was_changed_on_the_disk_is_not_believed(home: Home, repository: Repository) -> None:
    await home.refresh(repository)
    (file,) = home.folder.glob("*/*/targets.json")
    file.write_bytes(file.read_bytes().replace(b"1.2.0", b"6.6.6"))
    with pytest.raises(HubError):
        await home.reload(repository)


async def test_what_was_changed_on_the_disk_is_fetched_again(home: Home, repository: Repository) -> None:
    before = await home.refresh(repository)
    (file,) = home.folder.glob("*/*/targets.json")
    file.write_bytes(b"{}")
    assert await home.refresh(repository) == before


async def test_another_root_is_another_trust_and_leaves_nothing_of_the_first(
    home: Home, repository: Repository
) -> None:
    await home.refresh(repository)
    other = Repository()
    other.publish()
    repository.files = other.files
    assert found(await home.refresh(other)) == []
    assert len(list(home.folder.glob("*/*"))) == 1


# --- outages ----------------------------------------------------------------------------------------------------------


async def test_an_outage_is_no_attack(home: Home, repository: Repository) -> None:
    with pytest.raises(OutsideFailed) as caught:
        await home.refresh(repository, url="http://127.0.0.1:1/tuf")
    assert caught.value.reason is Reason.UNREACHABLE


async def test_a_repository_that_is_not_there_is_said_to_be_missing(home: Home, repository: Repository) -> None:
    repository.files.clear()
    with pytest.raises(OutsideFailed) as caught:
        await home.refresh(repository)
    assert caught.value.reason is Reason.NOT_FOUND


async def test_a_log_in_page_is_no_repository(home: Home, repository: Repository) -> None:
    repository.files["2.root.json"] = b"<!doctype html><title>Log in</title>"
    with pytest.raises(OutsideFailed) as caught:
        await home.refresh(repository)
    assert caught.value.reason is Reason.NOT_FIRMWARE


async def test_a_disk_that_cannot_be_written_is_said_to_have_failed(home: Home, repository: Repository) -> None:
    home.folder.write_text("no folder")
    with pytest.raises(OutsideFailed) as caught:
        await home.refresh(repository)
    assert caught.value.reason is Reason.DISK_FAILED


# --- what is not understood -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("root", ["", "{}", "no JSON"])
async def test_a_root_that_is_none_is_refused(home: Home, repository: Repository, root: str) -> None:
    with pytest.raises(BadInput) as caught:
        await home.refresh(repository, root=root)
    assert (caught.value.reason, caught.value.path) == (Reason.MALFORMED, "root")


async def test_delegation_by_hashes_is_refused(home: Home, repository: Repository) -> None:
    repository.delegate("bins", None)
    repository.publish()
    with pytest.raises(Refused) as caught:
        await home.refresh(repository)
    assert (caught.value.reason, caught.value.path) == (Reason.UNSUPPORTED_SPEC, "bins")


async def test_a_pattern_of_which_no_path_is_known_is_refused(home: Home, repository: Repository) -> None:
    repository.delegate("odd", ["acme/[!a]*"])
    repository.publish()
    with pytest.raises(Refused) as caught:
        await home.refresh(repository)
    assert (caught.value.reason, caught.value.path) == (Reason.UNSUPPORTED_SPEC, "odd")


@pytest.mark.parametrize("pattern", ["acme/*", "acme/?", "acme/[abc]*", "acme/lamp.ota"])
async def test_patterns_are_understood(home: Home, repository: Repository, pattern: str) -> None:
    repository.delegate("acme", [pattern], terminating=False)
    path = {"acme/?": "acme/l", "acme/[abc]*": "acme/blamp.ota"}.get(pattern, "acme/lamp.ota")
    repository.add(path, role="acme", custom=release(version="7"))
    repository.publish()
    assert ("Acme", "7", path.rpartition("/")[2]) in found(await home.refresh(repository))


async def test_delegation_to_bins_is_refused(home: Home, repository: Repository) -> None:
    bins = SuccinctRoles([], 1, 2, "bin")
    repository.targets["targets"].delegations = Delegations({}, None, bins)
    repository.publish()
    with pytest.raises(Refused) as caught:
        await home.refresh(repository)
    assert (caught.value.reason, caught.value.path) == (Reason.UNSUPPORTED_SPEC, "targets")


async def test_a_role_behind_one_that_has_the_last_word_is_not_heard(home: Home, repository: Repository) -> None:
    repository.delegate("first", ["acme/*"])
    repository.delegate("second", ["acme/*"])
    repository.add("acme/lamp.bin", role="second", custom=release(version="7"))
    repository.publish()
    assert found(await home.refresh(repository)) == [("Acme", "1.2.0", "plug.bin")]


async def test_a_role_that_is_not_heard_any_more_leaves_nothing_behind(home: Home, repository: Repository) -> None:
    repository.delegate("first", ["acme/*"], terminating=False)
    repository.delegate("second", ["acme/*"])
    repository.add("acme/lamp.bin", role="second", custom=release(version="7"))
    repository.publish()
    assert ("Acme", "7", "lamp.bin") in found(await home.refresh(repository))
    delegations = repository.targets["targets"].delegations
    assert delegations is not None
    assert delegations.roles is not None
    delegations.roles["first"].terminating = True
    repository.publish()
    assert found(await home.refresh(repository)) == [("Acme", "1.2.0", "plug.bin")]


async def test_a_role_whose_file_is_missing_is_an_outage(home: Home, repository: Repository) -> None:
    repository.delegate("lights", ["light-co/*/*"])
    repository.publish()
    del repository.files["1.lights.json"]
    with pytest.raises(OutsideFailed) as caught:
        await home.refresh(repository)
    assert caught.value.reason is Reason.NOT_FOUND


async def test_a_keeper_may_have_a_certificate_authority_of_its_own(repository: Repository, tmp_path: Path) -> None:
    own = Authority("The keepers")
    async for home in serving(repository, tmp_path, tls=own.for_server("127.0.0.1").server_context()):
        for authority in ("", Authority("Somebody else").pem):
            with pytest.raises(OutsideFailed) as caught:
                await home.refresh(repository, authority=authority)
            assert caught.value.reason is Reason.TLS_FAILED
        assert repository.asked == []
        assert found(await home.refresh(repository, authority=own.pem)) == [("Acme", "1.2.0", "plug.bin")]
