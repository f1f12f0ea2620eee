"""The vendor over real HTTP: what it signs, what its mirror says, and every way in which it can be wrong."""

import base64
import hashlib
import json
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import aiohttp
import jwt
import pytest

from simulator.images import Image, read_image
from simulator.keys import Algorithm, SigningKey
from simulator.tricks import Trick
from simulator.vendor import Vendor

PLUG = Image("Acme", "PLUG-S1", "1.2.0", hardware="rev2", variant="eu", counter=17)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def get(session: aiohttp.ClientSession, url: str, **headers: str) -> tuple[int, bytes]:
    async with session.get(url, allow_redirects=False, headers=headers) as response:
        return response.status, await response.read()


def opened(token: bytes, jwk: str) -> dict[str, Any]:
    key = jwt.PyJWK.from_json(jwk)
    payload: dict[str, Any] = json.loads(jwt.PyJWS().decode(token, key=key, algorithms=[key.algorithm_name]))
    return payload


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "PS256", "EdDSA"])
async def test_the_manifest_is_signed_with_the_published_key(
    session: aiohttp.ClientSession, algorithm: Algorithm
) -> None:
    async with Vendor(algorithm=algorithm) as vendor:
        vendor.add_release(PLUG)
        _, token = await get(session, vendor.manifest_url)

    assert opened(token, vendor.public_jwk)["releases"][0]["version"] == "1.2.0"
    assert json.loads(vendor.public_jwk)["alg"] == algorithm


async def test_a_release_says_for_whom_it_is_and_what_its_artifact_must_be(
    vendor: Vendor, session: aiohttp.ClientSession
) -> None:
    release = vendor.add_release(PLUG, min_version="1.0.0", kind="security", cves=["CVE-2026-0001"])
    [artifact] = release["artifacts"]

    _, body = await get(session, artifact["url"])

    assert release["match"] == {
        "manufacturer": "Acme",
        "model": ["PLUG-S1"],
        "hardware": ["rev2"],
        "variant": "eu",
        "min_version": "1.0.0",
    }
    assert (release["counter"], release["kind"], release["cves"]) == (17, "security", ["CVE-2026-0001"])
    assert (artifact["size"], artifact["sha256"]) == (len(body), hashlib.sha256(body).hexdigest())
    assert read_image(body) == PLUG


async def test_an_edited_manifest_is_served_at_the_next_request(vendor: Vendor, session: aiohttp.ClientSession) -> None:
    vendor.add_release(PLUG)
    _, before = await get(session, vendor.manifest_url)

    vendor.releases[0]["summary"] = "changed"
    vendor.publish_again()
    _, after = await get(session, vendor.manifest_url)

    assert [opened(token, vendor.public_jwk)["sequence"] for token in (before, after)] == [1, 2]
    assert opened(after, vendor.public_jwk)["releases"][0]["summary"] == "changed"


async def test_an_unchanged_manifest_is_not_sent_twice(vendor: Vendor, session: aiohttp.ClientSession) -> None:
    async with session.get(vendor.manifest_url) as response:
        etag = response.headers["ETag"]

    assert await get(session, vendor.manifest_url, **{"If-None-Match": etag}) == (304, b"")


async def test_every_request_is_remembered(vendor: Vendor, session: aiohttp.ClientSession) -> None:
    vendor.misbehave("/nothing", Trick.SERVER_ERROR)

    await get(session, f"{vendor.base}/nothing", Accept="x/y")

    [asked] = vendor.asked("/nothing")
    assert (asked.method, asked.status, asked.trick, asked.headers["Accept"]) == (
        "GET",
        500,
        Trick.SERVER_ERROR,
        "x/y",
    )


async def test_it_comes_back_at_the_same_address(vendor: Vendor, session: aiohttp.ClientSession) -> None:
    url = vendor.manifest_url
    await vendor.stop()
    with pytest.raises(aiohttp.ClientConnectionError):
        await get(session, url)

    await vendor.start()

    assert (await get(session, url))[0] == 200


async def test_tls_is_believed_with_its_authority_and_only_with_it(session: aiohttp.ClientSession) -> None:
    async with Vendor(tls=True) as vendor:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await get(session, vendor.manifest_url)
        context = ssl.create_default_context(cadata=vendor.ca_pem.decode())
        async with session.get(vendor.manifest_url, ssl=context) as response:
            assert response.status == 200


# --- forged manifests ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trick", [Trick.FORGED, Trick.TAMPERED, Trick.UNSIGNED])
async def test_a_forged_manifest_is_not_from_the_published_key(
    vendor: Vendor, session: aiohttp.ClientSession, trick: Trick
) -> None:
    vendor.misbehave(vendor.manifest_url, trick)

    status, token = await get(session, vendor.manifest_url)

    assert status == 200
    with pytest.raises(jwt.PyJWTError):
        opened(token, vendor.public_jwk)


async def test_a_forged_manifest_claims_the_published_key(vendor: Vendor) -> None:
    header = jwt.get_unverified_header(vendor.manifest(Trick.FORGED))

    assert header["kid"] == vendor.key.thumbprint


async def test_an_old_manifest_has_a_genuine_signature_and_a_smaller_number(vendor: Vendor) -> None:
    vendor.publish_again()

    assert opened(vendor.manifest(Trick.OLDER_SEQUENCE), vendor.public_jwk)["sequence"] == 1


async def test_an_expired_manifest_has_a_genuine_signature(vendor: Vendor) -> None:
    payload = opened(vendor.manifest(Trick.EXPIRED), vendor.public_jwk)

    assert datetime.fromisoformat(payload["expires"]) < datetime.now(UTC)


async def test_two_contents_under_one_number_are_both_genuine(vendor: Vendor) -> None:
    honest, other = (opened(vendor.manifest(trick), vendor.public_jwk) for trick in (None, Trick.EQUIVOCATION))

    assert honest["sequence"] == other["sequence"]
    assert honest != other


def test_a_weak_key_can_be_made() -> None:
    key = SigningKey.generate("RS256", rsa_bits=1024)

    modulus = json.loads(key.public_jwk)["n"]
    assert len(base64.urlsafe_b64decode(modulus + "==")) * 8 == 1024


# --- wrong answers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trick", "status"),
    [(Trick.NOT_FOUND, 404), (Trick.SERVER_ERROR, 500), (Trick.RATE_LIMITED, 429), (Trick.NOT_MODIFIED, 304)],
)
async def test_a_wrong_status(vendor: Vendor, session: aiohttp.ClientSession, trick: Trick, status: int) -> None:
    vendor.misbehave(vendor.manifest_url, trick)

    assert (await get(session, vendor.manifest_url))[0] == status


async def test_too_many_requests_say_when_to_come_again(vendor: Vendor, session: aiohttp.ClientSession) -> None:
    vendor.misbehave(vendor.manifest_url, Trick.RATE_LIMITED)

    async with session.get(vendor.manifest_url) as response:
        assert response.headers["Retry-After"] == "120"


async def test_a_login_page_looks_like_success(vendor: Vendor, session: aiohttp.ClientSession) -> None:
    vendor.misbehave(vendor.manifest_url, Trick.LOGIN_PAGE)

    async with session.get(vendor.manifest_url) as response:
        assert (response.status, response.content_type) == (200, "text/html")
        assert (await response.read()).startswith(b"<!DOCTYPE html>")


@pytest.mark.parametrize("trick", [Trick.WRONG_LENGTH, Trick.TRUNCATED])
async def test_a_body_that_ends_too_early(vendor: Vendor, session: aiohttp.ClientSession, trick: Trick) -> None:
    vendor.add_file("a.bin", bytes(50_000))
    vendor.misbehave("/files/a.bin", trick)

    with pytest.raises(aiohttp.ClientPayloadError):
        await get(session, vendor.file_url("a.bin"))


@pytest.mark.parametrize(
    ("trick", "length"), [(Trick.SHORT, 25_000), (Trick.LONG, 51_000), (Trick.WRONG_BYTES, 50_000)]
)
async def test_a_whole_answer_with_other_bytes(
    vendor: Vendor, session: aiohttp.ClientSession, trick: Trick, length: int
) -> None:
    vendor.add_file("a.bin", bytes(50_000))
    vendor.misbehave("/files/a.bin", trick)

    status, body = await get(session, vendor.file_url("a.bin"))

    assert (status, len(body), body == bytes(50_000)) == (200, length, False)


async def test_an_answer_without_a_length(vendor: Vendor, session: aiohttp.ClientSession) -> None:
    vendor.add_file("a.bin", bytes(50_000))
    vendor.misbehave("/files/a.bin", Trick.NO_LENGTH)

    async with session.get(vendor.file_url("a.bin")) as response:
        assert response.content_length is None
        assert await response.read() == bytes(50_000)


async def test_a_body_without_an_end(vendor: Vendor, session: aiohttp.ClientSession) -> None:
    vendor.misbehave(vendor.manifest_url, Trick.ENDLESS)

    async with session.get(vendor.manifest_url) as response:
        received = await response.content.readexactly(10_000_000)

    assert len(received) == 10_000_000


@pytest.mark.parametrize(("trick", "first"), [(Trick.STALLED, 25_000), (Trick.SLOW, 1)])
async def test_a_body_that_takes_for_ever_begins(
    vendor: Vendor, session: aiohttp.ClientSession, trick: Trick, first: int
) -> None:
    vendor.add_file("a.bin", bytes(50_000))
    vendor.misbehave("/files/a.bin", trick)

    async with session.get(vendor.file_url("a.bin")) as response:
        assert response.content_length == 50_000
        await response.content.readexactly(first)


@pytest.mark.parametrize(
    ("trick", "start"),
    [(Trick.REDIRECT_TO_PLAIN, "http://127.0.0.1:"), (Trick.REDIRECT_ELSEWHERE, "https://localhost:")],
)
async def test_a_redirect_to_where_it_should_not_lead(session: aiohttp.ClientSession, trick: Trick, start: str) -> None:
    async with Vendor(tls=True) as vendor:
        vendor.misbehave(vendor.manifest_url, trick)
        context = ssl.create_default_context(cadata=vendor.ca_pem.decode())
        async with session.get(vendor.manifest_url, ssl=context, allow_redirects=False) as response:
            assert response.status == 302
            assert response.headers["Location"].startswith(start)
            assert response.headers["Location"].endswith("/manifest.jws")


async def test_the_plain_side_of_a_redirect_answers(session: aiohttp.ClientSession) -> None:
    async with Vendor(tls=True) as vendor:
        vendor.misbehave(vendor.manifest_url, Trick.REDIRECT_TO_PLAIN, times=1)
        context = ssl.create_default_context(cadata=vendor.ca_pem.decode())
        async with session.get(vendor.manifest_url, ssl=context) as response:
            assert (response.status, response.url.scheme) == (200, "http")


async def test_a_trick_can_be_played_a_few_times_only(vendor: Vendor, session: aiohttp.ClientSession) -> None:
    vendor.misbehave(vendor.manifest_url, Trick.SERVER_ERROR, times=2)

    assert [(await get(session, vendor.manifest_url))[0] for _ in range(3)] == [500, 500, 200]


async def test_it_can_be_honest_again(vendor: Vendor, session: aiohttp.ClientSession) -> None:
    vendor.misbehave(vendor.manifest_url, Trick.SERVER_ERROR)
    vendor.behave()

    assert (await get(session, vendor.manifest_url))[0] == 200


# --- the mirror of Tasmota's releases --------------------------------------------------------------------------------


async def release_json(session: aiohttp.ClientSession, url: str) -> Any:
    async with session.get(url) as response:
        assert response.content_type == "application/json"
        return await response.json()


async def test_the_mirror_lists_releases_newest_first(vendor: Vendor, session: aiohttp.ClientSession) -> None:
    vendor.add_tasmota_release("15.0.0")
    vendor.add_tasmota_release("15.1.0")
    vendor.add_tasmota_release("15.2.0", draft=True)

    releases = await release_json(session, vendor.releases_url)

    assert [release["tag_name"] for release in releases] == ["v15.1.0", "v15.0.0"]
    assert len(await release_json(session, f"{vendor.releases_url}?per_page=1")) == 1


async def test_the_latest_release_is_no_prerelease(vendor: Vendor, session: aiohttp.ClientSession) -> None:
    vendor.add_tasmota_release("15.1.0")
    vendor.add_tasmota_release("15.2.0", prerelease=True)

    assert (await release_json(session, f"{vendor.releases_url}/latest"))["tag_name"] == "v15.1.0"
    assert (await release_json(session, f"{vendor.releases_url}/tags/v15.2.0"))["prerelease"] is True
    assert (await get(session, f"{vendor.releases_url}/tags/v1.0.0"))[0] == 404


async def test_the_digest_of_an_asset_is_the_one_of_its_download(
    vendor: Vendor, session: aiohttp.ClientSession
) -> None:
    vendor.add_tasmota_release("15.1.0")
    latest = await release_json(session, f"{vendor.releases_url}/latest")
    asset = next(asset for asset in latest["assets"] if asset["name"] == "tasmota.bin.gz")

    _, body = await get(session, asset["browser_download_url"])

    assert asset["digest"] == f"sha256:{hashlib.sha256(body).hexdigest()}"
    assert (asset["size"], asset["state"]) == (len(body), "uploaded")
    assert read_image(body).variant == "tasmota"


async def test_an_old_upload_has_no_digest(vendor: Vendor, session: aiohttp.ClientSession) -> None:
    vendor.add_tasmota_release("15.1.0", only=["tasmota"], digests={"tasmota.bin": None})

    latest = await release_json(session, f"{vendor.releases_url}/latest")

    digests = {asset["name"]: asset["digest"] for asset in latest["assets"]}
    assert digests["tasmota.bin"] is None
    assert digests["tasmota.bin.gz"].startswith("sha256:")


async def test_a_missing_asset_is_not_found(vendor: Vendor, session: aiohttp.ClientSession) -> None:
    vendor.add_tasmota_release("15.1.0", only=["tasmota"])

    assert (await get(session, f"{vendor.base}/arendst/Tasmota/releases/download/v15.1.0/none.bin"))[0] == 404
