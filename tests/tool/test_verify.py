"""``verify``: the hub's checks, one by one, on another machine than the hub."""

from pathlib import Path

import pytest

from simulator.esp import esp32_image
from simulator.keys import SigningKey, unsigned
from simulator.tricks import Trick
from simulator.vendor import Vendor
from tests.tool.conftest import Maker, Ran, Serve


def _verify(maker: Maker, *words: object) -> Ran:
    return maker.tool.try_to("verify", maker.manifest, "--key", "acme.pub.json", *words, "--json")


def test_a_good_manifest_passes_every_check(maker: Maker) -> None:
    maker.sign()
    ran = _verify(maker)
    assert (ran.code, ran.json["vendor"], ran.json["sequence"]) == (0, "Acme", 1)
    assert list(ran.checks("ok")) == ["signature", "document", "dates and history"]


def test_people_read_one_line_for_each_check(maker: Maker) -> None:
    maker.sign()
    ran = maker.tool("verify", maker.manifest, "--key", "acme.pub.json")
    assert ran.out.splitlines()[1] == "ok      document  Acme, number 1, 1 release"
    assert ran.out.splitlines()[-1] == "a hub takes this"


def test_a_stranger_s_signature_fails(maker: Maker) -> None:
    maker.sign()
    maker.tool("keygen", "other.pem")
    ran = maker.tool.try_to("verify", maker.manifest, "--key", "other.pub.json", "--json")
    assert (ran.code, ran.checks("failed")) == (1, {"signature": "untrusted_key"})


def test_one_of_several_keys_is_enough(maker: Maker) -> None:
    maker.sign()
    maker.tool("keygen", "other.pem")
    maker.tool("verify", maker.manifest, "--key", "other.pub.json", "--key", "acme.pub.json")


def test_a_changed_byte_fails(maker: Maker) -> None:
    maker.sign()
    header, payload, signature = maker.manifest.read_text().split(".")
    maker.manifest.write_text(f"{header}.{payload[:-4]}AAAA.{signature}")
    assert _verify(maker).checks("failed") == {"signature": "bad_signature"}


def test_no_signature_fails(maker: Maker) -> None:
    maker.sign()
    maker.manifest.write_bytes(unsigned(b"{}"))
    assert _verify(maker).checks("failed") == {"signature": "unsigned"}


def test_another_vendor_fails(maker: Maker) -> None:
    maker.sign()
    assert _verify(maker, "--vendor", "Bolt").checks("failed") == {"document": "wrong_vendor"}


def test_an_expired_manifest_fails(maker: Maker) -> None:
    maker.sign()
    maker.tool.later(days=31)
    assert _verify(maker).checks("failed") == {"dates and history": "expired"}


def test_one_that_expires_soon_is_a_warning(maker: Maker) -> None:
    maker.sign()
    maker.tool.later(days=24)
    ran = _verify(maker)
    assert (ran.code, list(ran.checks("warning"))) == (0, ["dates and history"])


def test_one_that_is_older_than_what_was_accepted_fails(maker: Maker) -> None:
    maker.sign()
    Path("first.jws").write_bytes(maker.manifest.read_bytes())
    maker.sign()
    maker.manifest.rename("second.jws")
    words = ("--key", "acme.pub.json", "--json")
    assert maker.tool.try_to("verify", "second.jws", "--after", "first.jws", *words).code == 0
    ran = maker.tool.try_to("verify", "first.jws", "--after", "second.jws", *words)
    assert (ran.code, ran.checks("failed")) == (1, {"dates and history": "rollback_detected"})


def test_what_was_accepted_may_have_expired_by_now(maker: Maker) -> None:
    maker.sign("--days", 1)
    Path("first.jws").write_bytes(maker.manifest.read_bytes())
    maker.tool.later(days=2)
    maker.sign()
    assert _verify(maker, "--after", "first.jws").code == 0


def test_a_release_that_no_hub_will_ever_offer_fails(maker: Maker) -> None:
    maker.release("v1")
    maker.tool.try_to("sign", maker.folder, "--key", "acme.pem")
    assert _verify(maker).checks("failed") == {"Acme PLUG-S1 v1": "version_unknown"}


# --- artifacts --------------------------------------------------------------------------------------------------------


def test_the_files_of_the_folder_are_checked(maker: Maker) -> None:
    maker.release(body=esp32_image(b"program" * 100))
    maker.sign()
    ran = _verify(maker, "--files", maker.folder)
    assert (ran.code, len(ran.checks("ok"))) == (0, 5)


def test_a_file_that_was_changed_fails(maker: Maker) -> None:
    folder = maker.release(body=b"0123456789")
    maker.sign()
    (folder / "plug.bin").write_bytes(b"0123456788")
    assert _verify(maker, "--files", maker.folder).checks("failed") == {str(folder / "plug.bin"): "digest_mismatch"}


def test_a_file_that_is_gone_fails(maker: Maker) -> None:
    folder = maker.release()
    maker.sign()
    (folder / "plug.bin").unlink()
    assert _verify(maker, "--files", maker.folder).checks("failed") == {"plug.bin": "not_found"}


def test_what_is_published_is_fetched_and_checked(maker: Maker, serve: Serve) -> None:
    with serve(maker.folder) as base:
        maker.sign("--base-url", base)
        ran = maker.tool("verify", f"{base}/manifest.jws", "--key", "acme.pub.json", "--fetch", "--json")
    address = f"{base}/plug-s1/1.2.0/plug.bin"
    assert address in ran.checks("ok")
    assert ran.checks("warning") == {"Acme PLUG-S1 1.2.0": "insecure_url"}


def test_what_is_not_published_fails(maker: Maker, serve: Serve) -> None:
    with serve(maker.folder) as base:
        folder = maker.release()
        maker.sign("--base-url", base)
        (folder / "plug.bin").unlink()
        ran = _verify(maker, "--fetch")
    assert (ran.code, ran.checks("failed")) == (1, {f"{base}/plug-s1/1.2.0/plug.bin": "fetch_failed"})


def test_a_published_file_that_is_longer_than_stated_is_not_read_to_its_end(maker: Maker, serve: Serve) -> None:
    with serve(maker.folder) as base:
        folder = maker.release(body=b"0123456789")
        maker.sign("--base-url", base)
        (folder / "plug.bin").write_bytes(bytes(1_000_000))
        ran = _verify(maker, "--fetch")
    assert ran.checks("failed") == {f"{base}/plug-s1/1.2.0/plug.bin": "too_large"}


# --- a package --------------------------------------------------------------------------------------------------------


def _package(maker: Maker, package: Path) -> Ran:
    return maker.tool.try_to(
        "verify", package, "--manifest", maker.manifest, "--key", "acme.pub.json", "--vendor", "Acme", "--json"
    )


def test_a_package_is_looked_up_by_its_bytes(maker: Maker) -> None:
    Path("download.bin").write_bytes((maker.release() / "plug.bin").read_bytes())
    maker.sign()
    ran = _package(maker, Path("download.bin"))
    assert (ran.code, ran.json["version"], ran.json["release"]) == (0, "1.2.0", "Acme PLUG-S1 1.2.0")


def test_a_package_of_the_right_name_and_other_bytes_fails(maker: Maker) -> None:
    folder = maker.release(body=b"0123456789")
    maker.sign()
    (folder / "plug.bin").write_bytes(b"0123456788")
    assert _package(maker, folder / "plug.bin").checks("failed") == {"plug.bin": "digest_mismatch"}


def test_a_package_that_the_manifest_does_not_know_fails(maker: Maker) -> None:
    maker.sign()
    Path("other.bin").write_bytes(b"something")
    ran = _package(maker, Path("other.bin"))
    assert (ran.code, ran.checks("failed")) == (1, {"other.bin": "digest_mismatch"})


def test_a_package_that_was_withdrawn_fails(maker: Maker) -> None:
    folder = maker.release()
    maker.sign()
    words = ("--model", "PLUG-S1", "--release", "1.2.0", "--reason", "it burns")
    maker.tool("revoke", maker.manifest, "--key", "acme.pem", *words)
    assert _package(maker, folder / "plug.bin").checks("failed") == {"withdrawn": "offer_withdrawn"}


def test_a_package_is_never_looked_up_in_a_manifest_that_is_not_genuine(maker: Maker) -> None:
    folder = maker.release()
    maker.sign()
    maker.manifest.write_bytes(SigningKey.generate().sign(b"{}"))
    ran = _package(maker, folder / "plug.bin")
    assert (ran.code, list(ran.checks("failed")), ran.checks("ok")) == (1, ["signature"], {})


# --- bad input, and the outside ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "ending"),
    [
        (("gone.jws", "--key", "acme.pub.json"), (3, "file_not_found")),
        ((".", "--key", "acme.pub.json"), (3, "file_not_found")),
        (("releases/manifest.jws", "--key", "acme.pem"), (4, "private_key")),
        (("releases/manifest.jws", "--key", "releases/manifest.yaml"), (3, "malformed")),
        (("releases/manifest.jws", "--key", "acme.pub.json", "--after", "acme.pub.json"), (4, "unsigned")),
        (("http://127.0.0.1:9/manifest.jws", "--key", "acme.pub.json"), (5, "fetch_failed")),
    ],
)
def test_what_makes_no_sense_ends_with_its_code(maker: Maker, words: tuple[str, ...], ending: tuple[int, str]) -> None:
    maker.sign()
    assert maker.tool.refusal("verify", *words) == ending


@pytest.mark.parametrize(
    ("trick", "check", "reason"),
    [
        (Trick.FORGED, "signature", "bad_signature"),
        (Trick.TAMPERED, "signature", "bad_signature"),
        (Trick.UNSIGNED, "signature", "unsigned"),
        (Trick.OLDER_SEQUENCE, "dates and history", "rollback_detected"),
        (Trick.EXPIRED, "dates and history", "equivocation"),
        (Trick.EQUIVOCATION, "dates and history", "equivocation"),
    ],
)
def test_the_tricks_of_a_bad_server_are_told_apart(maker: Maker, trick: Trick, check: str, reason: str) -> None:
    vendor = Vendor()
    Path("vendor.json").write_text(vendor.public_jwk)
    Path("good.jws").write_bytes(vendor.manifest())
    Path("bad.jws").write_bytes(vendor.manifest(trick))
    maker.tool.now = vendor.issued
    ran = maker.tool.try_to("verify", "bad.jws", "--after", "good.jws", "--key", "vendor.json", "--json")
    assert (ran.code, ran.checks("failed")) == (1, {check: reason})
