"""The maker's tool as its users meet it: real files, real keys, a real web server, a real broker."""

import functools
import http.server
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, override

import pytest

from firmware_hub_tool.cli import main
from simulator.broker import Broker
from simulator.devices.open import OpenDevice, OpenMisbehaviour
from simulator.link import OwnLink
from tests.tool import wheelhouse
from tests.tool.trial import OLD, SPEED, Make, Trial

START = datetime(2026, 11, 23, 12, tzinfo=UTC)

type Serve = Callable[[Path], AbstractContextManager[str]]


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.out)
        return answer

    def checks(self, outcome: str) -> dict[str, str]:
        """Name and reason of the checks that ended so."""
        return {check["name"]: check["reason"] for check in self.json["checks"] if check["outcome"] == outcome}


class Tool:
    """Runs commands; the time of day is the test's."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.now = START

    def later(self, **time: float) -> None:
        self.now += timedelta(**time)

    def try_to(self, *words: object) -> Ran:
        """Run a command that may fail."""
        self._capsys.readouterr()
        code = main([str(word) for word in words], lambda: self.now)
        said = self._capsys.readouterr()
        return Ran(code, said.out, said.err)

    def __call__(self, *words: object) -> Ran:
        """Run a command that must not fail."""
        ran = self.try_to(*words)
        assert ran.code == 0, ran
        return ran

    def refusal(self, *words: object) -> tuple[int, str]:
        """Run a command that must not work; return its exit code and the code of its error."""
        ran = self.try_to(*words, "--json")
        return ran.code, ran.json["error"]["code"]


@pytest.fixture(scope="session")
def tool_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tool's wheel, freshly built, in a folder with all that it needs."""
    return wheelhouse.build(tmp_path_factory.mktemp("wheels"))


@pytest.fixture(autouse=True)
def _sockets(request: pytest.FixtureRequest) -> None:
    """Let these tests use sockets where Home Assistant's harness forbids them."""
    if request.config.pluginmanager.has_plugin("socket"):
        request.getfixturevalue("socket_enabled")


@pytest.fixture
def tool(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tool:
    """The tool, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return Tool(capsys)


@dataclass(frozen=True)
class Maker:
    """A maker with a key and a folder of releases."""

    tool: Tool
    folder: Path

    def describe(self, **members: Any) -> None:
        """Write the folder's manifest.yaml."""
        described = {"vendor": "Acme", "base_url": "https://fw.example.com/acme"} | members
        (self.folder / "manifest.yaml").write_text(json.dumps(described))

    def release(self, version: str = "1.2.0", *, model: str = "PLUG-S1", body: bytes = b"", **members: Any) -> Path:
        """Write a release with its binary; return its folder."""
        folder = self.folder / model.lower() / version
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "plug.bin").write_bytes(body or f"firmware {version} of {model}".encode())
        release = {"match": {"manufacturer": "Acme", "model": model}, "version": version, "file": "plug.bin"}
        (folder / "release.yaml").write_text(json.dumps(release | members))
        return folder

    def sign(self, *more: object, key: str = "acme.pem") -> Ran:
        return self.tool("sign", self.folder, "--key", key, *more)

    @property
    def manifest(self) -> Path:
        return self.folder / "manifest.jws"


@pytest.fixture
def maker(tool: Tool, tmp_path: Path) -> Maker:
    """A maker with one release, nothing signed yet."""
    folder = tmp_path / "releases"
    folder.mkdir()
    tool("keygen", "acme.pem")
    maker = Maker(tool, folder)
    maker.describe()
    maker.release()
    return maker


class _Quiet(http.server.SimpleHTTPRequestHandler):
    @override
    def log_message(self, format: str, *args: Any) -> None:
        return


@contextmanager
def _serving(folder: Path) -> Iterator[str]:
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def serve() -> Serve:
    """A web server for a folder, while it is needed."""
    return _serving


@pytest.fixture
def broker(_sockets: None) -> Iterator[Broker]:
    """A real Mosquitto."""
    with Broker() as broker:
        yield broker


@pytest.fixture
def trial(tool: Tool, broker: Broker, capsys: pytest.CaptureFixture[str]) -> Trial:
    """In an empty folder."""
    return Trial(broker, capsys)


@pytest.fixture
async def make(broker: Broker) -> AsyncIterator[Make]:
    """Make devices that are stopped at the end."""
    made: list[OpenDevice] = []

    def make(*misbehaviours: OpenMisbehaviour, kind: type[OpenDevice] = OpenDevice, **options: Any) -> OpenDevice:
        defaults: dict[str, Any] = {"name": "plug", "image": OLD, "mac": "02:00:00:00:00:01", "speed": SPEED}
        defaults |= {"slots": 2, "trial_seconds": 60.0, "misbehaviours": misbehaviours}
        made.append(kind(link=OwnLink(broker.host, broker.port), **defaults | options))
        return made[-1]

    yield make
    for device in made:
        await device.stop()
