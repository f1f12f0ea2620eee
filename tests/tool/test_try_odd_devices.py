"""``try-device`` and devices with small faults: each of them is named, and only it."""

import json
from typing import Any, override

import pytest

from simulator.devices.open import OpenDevice
from simulator.link import Incoming
from tests.tool.trial import BRIEF, PATIENT, Make, Trial


class _OnlineFirst(OpenDevice):
    @override
    async def _announce(self) -> None:
        await self._say(self.topic("availability"), "online", retain=True)
        await self.say_info()
        await self.say_health()


class _NoWill(OpenDevice):
    @override
    async def _announce(self) -> None:
        await self._say(self.topic("availability"), "online")
        await self.say_info()
        await self.say_health()


class _Silent(OpenDevice):
    @override
    async def _announce(self) -> None:
        await self.say_info()


class _OddLink(OpenDevice):
    @override
    async def _announce(self) -> None:
        await self.say_info()
        await self._say(self.topic("availability"), "here", retain=True)


class _HealthFirst(OpenDevice):
    @override
    async def report(self) -> None:
        await self.say_health()
        await self.say_info()


class _NoHealth(OpenDevice):
    @override
    async def report(self) -> None:
        await self.say_info()


class _OddHealth(OpenDevice):
    @override
    def health(self) -> dict[str, object]:
        return super().health() | {"rssi_dbm": "loud"}


class _OtherFacts(OpenDevice):
    @override
    async def _announce(self) -> None:
        await self._say(self.topic("info"), json.dumps(self.info() | {"variant": "us"}), retain=True)
        await self._say(self.topic("availability"), "online", retain=True)


class _Deaf(OpenDevice):
    @override
    async def report(self) -> None:
        return


class _Talkative(OpenDevice):
    @override
    def _hear(self, message: Incoming) -> None:
        if b"sing" in message.payload:
            self._spawn(self._status("failed", reason="cannot sing", attempt="x"))
        super()._hear(message)


class _Fragile(OpenDevice):
    """Hears no more once it got something that is no JSON."""

    @override
    def _hear(self, message: Incoming) -> None:
        if message.payload == b"no JSON":
            self.deaf = True
        super()._hear(message)


@pytest.mark.parametrize(
    ("kind", "check", "words"),
    [
        (_NoWill, "availability", BRIEF),
        (_Silent, "availability", BRIEF),
        (_OddLink, "availability", PATIENT),
        (_HealthFirst, "report", PATIENT),
        (_NoHealth, "report", BRIEF),
        (_OddHealth, "health", PATIENT),
        (_OtherFacts, "report", PATIENT),
        (_Deaf, "report", BRIEF),
        (_Talkative, "unknown commands and keys", PATIENT),
        (_Fragile, "unknown commands and keys", BRIEF),
    ],
)
async def test_what_it_gets_wrong_without_an_install(
    trial: Trial, make: Make, kind: type[OpenDevice], check: str, words: tuple[str, ...]
) -> None:
    device = make(kind=kind)
    await device.start()
    verdict = await trial.bare(device, *words)
    assert verdict.code == 1
    assert verdict.names("failed") - {"every message makes sense"} == {check}


class _OtherOrderAfterBoot(OpenDevice):
    @override
    async def _announce(self) -> None:
        if self.record.boots == 1:
            await super()._announce()
            return
        await self._say(self.topic("availability"), "online", retain=True)
        await self.say_info()


class _NotOnlineAgain(OpenDevice):
    @override
    async def _announce(self) -> None:
        if self.record.boots == 1:
            await super()._announce()
        else:
            await self.say_info()


class _Hasty(OpenDevice):
    """Says other states than it should."""

    states: dict[str, str] = {}  # noqa: RUF012

    @override
    async def _status(self, state: str, *, percent: int | None = None, reason: str = "", attempt: str = "") -> None:
        said = self.states.get(state, state)
        if said:
            await super()._status(said, percent=percent, reason=reason, attempt=attempt)


class _NoTrial(_Hasty):
    states = {"trial": "committed"}  # noqa: RUF012


class _NoDownloading(_Hasty):
    states = {"downloading": ""}  # noqa: RUF012


class _CommitsOnce(OpenDevice):
    @override
    async def _commit(self, attempt: str) -> None:
        if self.last_status != "committed":
            await super()._commit(attempt)


class _AnswersCommits(OpenDevice):
    @override
    async def _commit(self, attempt: str) -> None:
        await self._status("committed", attempt=attempt)


class _StaysAfterRollback(OpenDevice):
    """Says that it went back, and did not."""

    @override
    async def _roll_back(self, attempt: str) -> None:
        await self._status("rolled_back", reason="ordered", attempt=attempt)


@pytest.mark.parametrize(
    ("kind", "check", "options"),
    [
        (_OtherOrderAfterBoot, "comes back in order", {"slots": 1}),
        (_NotOnlineAgain, "comes back in order", {"slots": 1}),
        (_NoTrial, "installs", {}),
        (_NoDownloading, "answers an order", {"slots": 1}),
        (_AnswersCommits, "passes over a commit", {"slots": 1}),
        (_StaysAfterRollback, "goes back when ordered", {}),
    ],
)
async def test_what_it_gets_wrong_around_an_install(
    trial: Trial, make: Make, kind: type[OpenDevice], check: str, options: dict[str, Any]
) -> None:
    verdict = await trial(make(kind=kind, **options), *PATIENT)
    assert (verdict.code, verdict.names("failed")) == (1, {check})


async def test_a_second_commit_must_be_answered(trial: Trial, make: Make) -> None:
    verdict = await trial(make(kind=_CommitsOnce), "--answer-seconds", "2", "--install-seconds", "40", "--quick")
    assert "a second commit" in verdict.names("failed")


class _FewWords(OpenDevice):
    @override
    async def _status(self, state: str, *, percent: int | None = None, reason: str = "", attempt: str = "") -> None:
        await super()._status(state, attempt=attempt)


class _NoSelfTest(OpenDevice):
    @override
    def health(self) -> dict[str, object]:
        return {"uptime_s": self.uptime_s}


@pytest.mark.parametrize(
    ("kind", "options", "checks"),
    [
        (_FewWords, {}, {"refuses a wrong digest", "progress"}),
        (_NoSelfTest, {}, {"self-test"}),
        (OpenDevice, {"knows_time": False}, {"refuses an order that is too late"}),
    ],
)
async def test_what_is_allowed_and_unwise_is_a_warning(
    trial: Trial, make: Make, kind: type[OpenDevice], options: dict[str, Any], checks: set[str]
) -> None:
    verdict = await trial(make(kind=kind, slots=1, **options), *PATIENT)
    assert (verdict.code, verdict.names("failed")) == (0, set())
    assert checks <= verdict.names("warning")
