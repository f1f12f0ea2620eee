"""Home Assistant as a process of its own, on a configuration folder of its own.

It listens on 127.0.0.1 only, asks nothing of the internet, and can be stopped, killed and started again on the same
folder. What it says goes into ``home-assistant.out`` in that folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from simulator.broker import HOST, Broker, free_port
from simulator.demo.api import Api, Json

ROOT = Path(__file__).resolve().parents[2]
INTEGRATION = ROOT / "custom_components" / "firmware_hub"
DOMAIN = "firmware_hub"

OWNER = "owner"
PASSWORD = "demo-only-password"  # noqa: S105  of a Home Assistant that listens on 127.0.0.1 and lives for minutes
START_TIMEOUT = 120.0
STOP_TIMEOUT = 60.0
READY = "Home Assistant initialized in"

CONFIGURATION = """\
homeassistant:
automation:
config:
frontend:
history:
logbook:
script:
system_health:
logger:
  default: warning
  logs:
    homeassistant.bootstrap: info
    custom_components.firmware_hub: info
"""


class HomeAssistantFailed(RuntimeError):
    """Home Assistant did not start; the text holds the last of its own words."""


def python_of_home_assistant() -> Path:
    """Return the interpreter whose environment holds Home Assistant for running."""
    named = os.environ.get("FIRMWARE_HUB_HA_PYTHON")
    return Path(named) if named else ROOT / ".venv-ha" / "bin" / "python"


def zone_just_after_midnight(now: datetime) -> str:
    """Return the zone in which it is now between 00:00 and 01:00. The names count westwards (POSIX)."""
    hour = now.astimezone(UTC).hour
    return f"Etc/GMT+{hour}" if hour <= 12 else f"Etc/GMT-{24 - hour}"


def trusting(folder: Path, authorities: Iterable[bytes]) -> dict[str, str]:
    """Return an environment in which exactly these certificate authorities (PEM) are believed."""
    bundle = folder / "authorities.pem"
    bundle.write_bytes(b"".join(authorities))
    return {"REQUESTS_CA_BUNDLE": str(bundle), "SSL_CERT_FILE": str(bundle)}


class HomeAssistant:
    """One Home Assistant. ``api`` is the owner's connection; it is a new one after each start."""

    api: Api

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        configuration: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Choose the configuration folder, made at the first start.

        ``configuration`` is added to the YAML, ``environment`` to the environment: ``trusting`` makes
        one in which it believes simulated vendors.
        """
        self.folder = folder
        self.port = port or free_port()
        self._configuration = configuration
        self._environment = dict(environment or {})
        self._process: asyncio.subprocess.Process | None = None
        self._listener: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()

    @property
    def url(self) -> str:
        """The address for a browser."""
        return f"http://{HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return None if self._process is None else self._process.pid

    @property
    def output(self) -> str:
        """What it has said since the folder was made."""
        return self._output.read_text("utf-8", "replace") if self._output.exists() else ""

    async def start(self, *, running: bool = True) -> None:
        """Start it, sign in as the owner and return when everything is set up.

        With ``running=False`` return as soon as the owner is signed in; entries may still be loading.

        Raises:
            HomeAssistantFailed: it ended by itself or was not ready in time.
        """
        first = not self.folder.joinpath("configuration.yaml").exists()
        if first:
            await asyncio.to_thread(self._make_folder)
        await self._launch()
        self.api = await Api(self.url).__aenter__()
        if first:
            await self.api.onboard("Owner", OWNER, PASSWORD)
        else:
            await self.api.sign_in(OWNER, PASSWORD)
        await self.api.connect()
        if running:
            await self.api.wait_until_running()

    async def stop(self) -> None:
        """Shut it down in good order."""
        await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """End it without a chance to save anything."""
        await self._end(signal.SIGKILL)

    async def restart(self) -> None:
        """Shut down and start again on the same folder."""
        await self.stop()
        await self.start()

    async def sign_in(self, username: str, password: str) -> Api:
        """Return a connection of another user; the caller closes it."""
        api = await Api(self.url).__aenter__()
        await api.sign_in(username, password)
        await api.connect()
        return api

    async def __aenter__(self) -> Self:
        """Start."""
        try:
            await self.start()
        except BaseException:
            await self.kill()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        """Stop."""
        await self.stop()

    # --- what a home needs --------------------------------------------------------------------------------------------

    async def set_zone(self, zone: str) -> None:
        """Say where the home is, as far as the clock is concerned."""
        await self.api.command(
            "config/core/update", time_zone=zone, location_name="Simulated home", country="NL", currency="EUR"
        )

    async def set_up_mqtt(self, broker: Broker) -> Json:
        """Add Home Assistant's own MQTT integration through its config flow."""
        settings: dict[str, Any] = {
            "broker": broker.host,
            "port": broker.port,
            "protocol": "5" if broker.speaks_mqtt5 else "3.1.1",
            "other_settings": {"set_client_cert": False, "set_ca_cert": "off", "transport": "tcp"},
        }
        settings["other_settings"]["tls_insecure"] = False
        return await self.api.set_up("mqtt", settings)

    async def set_up_tasmota(self) -> Json:
        """Add Home Assistant's own Tasmota integration through its config flow."""
        return await self.api.set_up("tasmota", {"discovery_prefix": "tasmota/discovery"})

    # --- the process --------------------------------------------------------------------------------------------------

    @property
    def _output(self) -> Path:
        return self.folder / "home-assistant.out"

    def _make_folder(self) -> None:
        """Write what cannot be said over the API: the address to listen on, and that no questions are to be asked."""
        storage = self.folder / ".storage"
        storage.mkdir(parents=True, exist_ok=True)
        components = self.folder / "custom_components"
        components.mkdir(exist_ok=True)
        (components / DOMAIN).symlink_to(INTEGRATION, target_is_directory=True)
        # The onboarding step "core_config" would also add a weather service and a radio, which ask the internet.
        _store(storage, "onboarding", 4, {"done": ["core_config", "analytics", "integration"]})
        stable = {
            "server_host": [HOST],
            "server_port": self.port,
            "cors_allowed_origins": [],
            "login_attempts_threshold": -1,
            "ip_ban_enabled": True,
            "ssl_profile": "intermediate_v6",
            "use_x_frame_options": True,
            "created_at": datetime.now(UTC).isoformat(),
            "error": None,
            "error_message": None,
        }
        _store(storage, "http", 3, {"stable": stable, "pending": None, "yaml_migration_done": True})
        self.folder.joinpath("configuration.yaml").write_text(CONFIGURATION + self._configuration, "utf-8")

    async def _launch(self) -> None:
        python = python_of_home_assistant()
        if not python.exists():
            raise HomeAssistantFailed(f"{python} is not there: run script/setup")
        self._ready.clear()
        # A group of its own: Ctrl-C in the terminal reaches only us, and we shut Home Assistant down in good order.
        self._process = await asyncio.create_subprocess_exec(
            python,
            *("-m", "homeassistant", "--config", self.folder, "--skip-pip", "--log-no-color"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=self.folder,
            env=_environment() | self._environment,
            start_new_session=sys.platform != "win32",
        )
        self._listener = asyncio.create_task(self._listen(self._process))
        ready = asyncio.create_task(self._ready.wait())
        await asyncio.wait({ready, self._listener}, timeout=START_TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            await self.kill()
            raise HomeAssistantFailed(f"Home Assistant did not start: {self.output[-2000:]}")

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        with self._output.open("ab") as file:
            async for line in _output_of(process):
                file.write(line)
                file.flush()
                if READY.encode() in line:
                    self._ready.set()

    async def _end(self, how: signal.Signals) -> None:
        if hasattr(self, "api"):
            await self.api.close()
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(how)
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        if self._listener is not None:
            await self._listener
            self._listener = None


def _output_of(process: asyncio.subprocess.Process) -> asyncio.StreamReader:
    if process.stdout is None:
        raise RuntimeError("the process was started without a pipe")
    return process.stdout


def _store(storage: Path, key: str, version: int, data: Json) -> None:
    """Write a file as Home Assistant's own ``Store`` does."""
    content = {"version": version, "minor_version": 1, "key": key, "data": data}
    (storage / key).write_text(json.dumps(content), "utf-8")


def _environment() -> dict[str, str]:
    """Keep what belongs to the calling program's own Python out of Home Assistant's."""
    private = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "SETUP_PORT", "SUPERVISOR", "SUPERVISOR_TOKEN"}
    return {name: value for name, value in os.environ.items() if name not in private}
