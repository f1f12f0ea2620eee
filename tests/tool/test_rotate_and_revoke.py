"""``rotate`` and ``revoke``: what every later manifest goes on saying, and who may say it."""

from datetime import datetime
from pathlib import Path

import pytest

from firmware_hub_tool.core import rotation
from firmware_hub_tool.core.errors import HubError
from firmware_hub_tool.core.manifest import read_manifest
from firmware_hub_tool.core.rotation import Rotation
from firmware_hub_tool.history import READER, feed
from tests.tool.conftest import Maker
from tests.tool.payload import payload_of


class Owner:
    """A hub that pinned the first key and fetches whatever is published."""

    def __init__(self, maker: Maker) -> None:
        self.maker = maker
        self.keys = (Path("acme.pub.json").read_text().strip(),)
        self.rotation = Rotation()

    def fetch(self) -> int:
        """Return the number of what was accepted."""
        now: datetime = self.maker.tool.now
        trusted = rotation.trusted(self.rotation, self.keys, now)
        manifest = read_manifest(self.maker.manifest.read_bytes(), feed(trusted), READER)
        self.rotation = rotation.observe(self.rotation, self.keys, manifest, now)
        return manifest.sequence or 0


@pytest.fixture
def rotating(maker: Maker) -> Maker:
    """A maker that has announced a new key."""
    maker.sign()
    maker.tool("keygen", "new.pem")
    maker.tool("rotate", maker.manifest, "--key", "acme.pem", "--next", "new.pub.json")
    return maker


def test_the_old_key_signs_the_new_one(rotating: Maker) -> None:
    payload = payload_of(rotating.manifest)
    assert (payload["sequence"], payload["next_keys"]) == (2, [Path("new.pub.json").read_text().strip()])


def test_a_hub_follows_the_whole_rotation(rotating: Maker) -> None:
    owner = Owner(rotating)
    owner.fetch()
    rotating.tool.later(days=8)

    rotating.sign(key="new.pem")

    assert owner.fetch() == 3


def test_a_hub_refuses_the_old_key_after_the_new_one(rotating: Maker) -> None:
    owner = Owner(rotating)
    owner.fetch()
    rotating.tool.later(days=8)
    rotating.sign(key="new.pem")
    owner.fetch()

    assert rotating.tool.refusal("sign", rotating.folder, "--key", "acme.pem") == (4, "key_not_announced")

    rotating.sign("--new-key")
    with pytest.raises(HubError, match="untrusted_key"):
        owner.fetch()


def test_the_new_key_has_to_wait_seven_days(rotating: Maker) -> None:
    rotating.tool.later(days=6, hours=23)
    assert rotating.tool.refusal("sign", rotating.folder, "--key", "new.pem") == (4, "key_too_new")
    rotating.tool.later(hours=1)
    rotating.sign(key="new.pem")


def test_the_announcement_stands_in_every_later_manifest_and_its_time_runs_on(rotating: Maker) -> None:
    rotating.tool.later(days=6)
    rotating.sign()
    assert len(payload_of(rotating.manifest)["next_keys"]) == 1
    rotating.tool.later(days=1)
    rotating.sign(key="new.pem")


def test_a_key_that_has_taken_over_follows_itself_no_more(rotating: Maker) -> None:
    rotating.tool.later(days=8)
    rotating.sign(key="new.pem")
    assert "next_keys" not in payload_of(rotating.manifest)


def test_a_key_may_be_taken_back(rotating: Maker) -> None:
    rotating.tool("rotate", rotating.manifest, "--key", "acme.pem", "--take-back")
    assert "next_keys" not in payload_of(rotating.manifest)
    rotating.tool.later(days=8)
    assert rotating.tool.refusal("sign", rotating.folder, "--key", "new.pem") == (4, "key_not_announced")


def test_a_stranger_cannot_sign(maker: Maker) -> None:
    maker.sign()
    maker.tool("keygen", "stranger.pem")
    assert maker.tool.refusal("sign", maker.folder, "--key", "stranger.pem") == (4, "key_not_announced")
    rotate = ("rotate", maker.manifest, "--key", "stranger.pem", "--next", "acme.pub.json")
    assert maker.tool.refusal(*rotate) == (4, "key_not_announced")


def test_a_key_does_not_follow_itself(maker: Maker) -> None:
    maker.sign()
    rotate = ("rotate", maker.manifest, "--key", "acme.pem", "--next", "acme.pub.json")
    assert maker.tool.refusal(*rotate) == (4, "same_key")


@pytest.mark.parametrize("words", [("--next", "new.pub.json"), ("--take-back",)])
def test_what_is_said_already_is_not_said_again(rotating: Maker, words: tuple[str, ...]) -> None:
    if words == ("--take-back",):
        rotating.tool("rotate", rotating.manifest, "--key", "acme.pem", *words)
    rotate = ("rotate", rotating.manifest, "--key", "acme.pem", *words)
    assert rotating.tool.refusal(*rotate) == (4, "nothing_to_do")


def test_a_secret_key_is_never_announced(maker: Maker) -> None:
    maker.sign()
    maker.tool("keygen", "new.pem")
    rotate = ("rotate", maker.manifest, "--key", "acme.pem", "--next", "new.pem")
    assert maker.tool.refusal(*rotate) == (4, "private_key")


def test_nothing_else_changes_when_a_manifest_is_signed_again(maker: Maker) -> None:
    maker.describe(valid_days=60)
    maker.sign()
    before = payload_of(maker.manifest)
    maker.tool("keygen", "new.pem")
    maker.tool("rotate", maker.manifest, "--key", "acme.pem", "--next", "new.pub.json")
    after = payload_of(maker.manifest)
    assert after == before | {"sequence": 2, "next_keys": after["next_keys"]}


# --- revoke -----------------------------------------------------------------------------------------------------------

BAD = ("--model", "PLUG-S1", "--release", "1.2.0")


def test_a_release_is_withdrawn_and_stays_so(maker: Maker) -> None:
    maker.sign()
    maker.tool("revoke", maker.manifest, "--key", "acme.pem", *BAD, "--reason", "it forgets")
    maker.release("1.3.0")
    maker.sign()
    assert payload_of(maker.manifest)["revoked"] == [{"model": "PLUG-S1", "version": "1.2.0", "reason": "it forgets"}]


def test_what_is_withdrawn_is_known_without_the_state(maker: Maker) -> None:
    maker.sign()
    maker.tool("revoke", maker.manifest, "--key", "acme.pem", *BAD, "--reason", "it forgets")
    (maker.folder / "manifest.state.json").unlink()
    maker.sign()
    assert len(payload_of(maker.manifest)["revoked"]) == 1


def test_the_last_reason_counts(maker: Maker) -> None:
    maker.sign()
    for reason in ("it forgets", "it burns"):
        maker.tool("revoke", maker.manifest, "--key", "acme.pem", *BAD, "--reason", reason)
    assert [item["reason"] for item in payload_of(maker.manifest)["revoked"]] == ["it burns"]


def test_a_withdrawal_can_be_undone(maker: Maker) -> None:
    maker.sign()
    maker.tool("revoke", maker.manifest, "--key", "acme.pem", *BAD, "--reason", "it forgets")
    maker.tool("revoke", maker.manifest, "--key", "acme.pem", *BAD, "--undo")
    maker.sign()
    assert "revoked" not in payload_of(maker.manifest)


def test_only_what_is_withdrawn_can_be_undone(maker: Maker) -> None:
    maker.sign()
    assert maker.tool.refusal("revoke", maker.manifest, "--key", "acme.pem", *BAD, "--undo") == (4, "nothing_to_do")


def test_a_release_that_nobody_knows_is_withdrawn_with_a_warning(maker: Maker) -> None:
    maker.sign()
    words = ("--model", "PLUG-S1", "--release", "9.9.9", "--reason", "it burns", "--json")
    ran = maker.tool("revoke", maker.manifest, "--key", "acme.pem", *words)
    assert (ran.json["revoked"], ran.json["warnings"]) == (1, ["no release of the last manifest is PLUG-S1 9.9.9"])


@pytest.mark.parametrize("command", [("rotate", "--take-back"), ("revoke", *BAD, "--undo")])
def test_without_a_manifest_there_is_nothing_to_sign_again(maker: Maker, command: tuple[str, ...]) -> None:
    name, *words = command
    assert maker.tool.refusal(name, "gone.jws", "--key", "acme.pem", *words) == (3, "file_not_found")
