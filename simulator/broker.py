"""A real broker as a child process, on a free port of 127.0.0.1: Mosquitto, or amqtt where there is none.

``python -m simulator.broker --port N`` runs the embedded one by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from simulator.certificates import Certificate
from simulator.tap import BrokerTap

__all__ = ["Broker", "BrokerFailed", "BrokerTap", "SecondDoor", "find_mosquitto", "free_port"]

HOST = "127.0.0.1"
START_TIMEOUT = 20.0
STOP_TIMEOUT = 10.0
MORE_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin", "/usr/local/opt/mosquitto/sbin")

type Kind = Literal["mosquitto", "amqtt"]


class BrokerFailed(RuntimeError):
    """The broker could not be started; the text holds its own words."""


@dataclass(frozen=True, slots=True)
class SecondDoor:
    """A further way into the broker, beside the plain one: TLS into Mosquitto, a WebSocket into amqtt.

    Attributes:
        certificate: shown to clients; ``None`` for a WebSocket without encryption.
        clients_of: PEM of the authority whose client certificates are wanted; empty for anybody.
    """

    certificate: Certificate | None = None
    clients_of: str = ""


def find_mosquitto() -> str | None:
    """Return the path of Mosquitto, also from the folders that an ordinary user's PATH leaves out."""
    return shutil.which("mosquitto", path=os.pathsep.join([os.environ.get("PATH", ""), *MORE_FOLDERS]))


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


class Broker:
    """One broker process. The port stays the same through ``stop`` and ``start``.

    Mosquitto keeps retained messages over a restart (``remembers=False`` for one that forgets them); amqtt forgets them
    and speaks MQTT 3.1.1 only. ``users`` closes Mosquitto to everybody else; ``rules`` is an access control file for
    them; a ``second_door`` is another listener on ``second_port``.
    """

    host = HOST

    def __init__(
        self,
        kind: Kind | None = None,
        *,
        port: int | None = None,
        remembers: bool = True,
        users: Mapping[str, str] | None = None,
        rules: Path | None = None,
        second_door: SecondDoor | None = None,
    ) -> None:
        """Choose the broker: ``kind`` by name, else Mosquitto if there is one."""
        self._mosquitto = find_mosquitto()
        self.kind: Kind = kind or ("mosquitto" if self._mosquitto else "amqtt")
        if self.kind == "mosquitto" and self._mosquitto is None:
            raise BrokerFailed("Mosquitto is not installed")
        self._wanted_port = port
        self._remembers = remembers
        self._users = dict(users or {})
        self._rules = rules
        self._second_door = second_door
        self._second_port = 0
        self._port = port or 0
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None

    @property
    def port(self) -> int:
        """The port it listens on; known from the first start on."""
        if not self._port:
            raise RuntimeError("the broker was never started")
        return self._port

    @property
    def second_port(self) -> int:
        """The port of the second door; known from the first start on."""
        return self._second_port

    @property
    def name(self) -> str:
        """Name and version, as people read it."""
        if self._mosquitto is None or self.kind == "amqtt":
            return f"amqtt {version('amqtt')}"
        words = subprocess.run([self._mosquitto, "-h"], capture_output=True, text=True, check=False).stdout
        found = re.search(r"mosquitto version (\S+)", words)
        return f"mosquitto {found.group(1)}" if found else "mosquitto"

    @property
    def speaks_mqtt5(self) -> bool:
        """Whether clients may use MQTT 5."""
        return self.kind == "mosquitto"

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process else None

    @property
    def log(self) -> str:
        """What the broker has said so far."""
        return self._log_path.read_text(errors="replace") if self._folder else ""

    def start(self) -> None:
        """Start it and return when it accepts connections.

        Raises:
            BrokerFailed: it ended by itself or did not accept in time.
        """
        if self._process is not None:
            return
        if self._port and self._answers():
            raise BrokerFailed(f"port {self._port} is in use by somebody else")
        for _ in range(5):
            self._port = self._port or free_port()
            if self._second_door is not None:
                self._second_port = self._second_port or free_port()
            if self._try_to_start():
                return
            if self._wanted_port or "in use" not in self.log:
                break
            self._port = 0
        raise BrokerFailed(f"{self.kind} on port {self._port} did not start: {self.log[-500:]}")

    def stop(self) -> None:
        """End the process; clients lose their connection and the port is free."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the process without a chance to save anything."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop and start again on the same port."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Stop and remove its files."""
        self.stop()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    async def async_start(self) -> None:
        """``start`` without holding up the event loop."""
        await asyncio.to_thread(self.start)

    async def async_stop(self) -> None:
        """``stop`` without holding up the event loop."""
        await asyncio.to_thread(self.stop)

    async def async_restart(self) -> None:
        """``restart`` without holding up the event loop."""
        await asyncio.to_thread(self.restart)

    def tap(self) -> BrokerTap:
        """Return a client, not yet connected, that records everything that passes through this broker."""
        username, password = next(iter(self._users.items()), (None, None))
        return BrokerTap(self.host, self.port, mqtt5=self.speaks_mqtt5, username=username, password=password)

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop and clean up."""
        self.close()

    async def __aenter__(self) -> Self:
        """Start."""
        await self.async_start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop and clean up."""
        await asyncio.to_thread(self.close)

    # --- the process -------------------------------------------------------------------------------------------------

    @property
    def _files(self) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="simulated-broker-"))
        return self._folder

    @property
    def _log_path(self) -> Path:
        return self._files / "broker.log"

    def _try_to_start(self) -> bool:
        with self._log_path.open("wb") as log:
            self._process = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=Path(__file__).parents[1]
            )
        deadline = time.monotonic() + START_TIMEOUT
        patience = threading.Event()
        while time.monotonic() < deadline and self._process.poll() is None:
            if self._accepts():
                return True
            patience.wait(0.01)
        self.stop()
        return False

    def _accepts(self) -> bool:
        return self._answers() and self._process is not None and self._process.poll() is None

    def _answers(self) -> bool:
        try:
            socket.create_connection((self.host, self._port), timeout=1).close()
        except OSError:
            return False
        return True

    def _command(self) -> list[str]:
        if self._mosquitto is None or self.kind == "amqtt":
            second = ["--websocket-port", str(self._second_port)] if self._second_door else []
            return [sys.executable, "-m", "simulator.broker", "--port", str(self._port), *second]
        return [self._mosquitto, "-c", str(self._write_config())]

    def _write_config(self) -> Path:
        lines = [
            f"listener {self._port} {self.host}",
            "log_dest stderr",
            "log_type error",
            "log_type warning",
            "log_type unsubscribe",
            "set_tcp_nodelay true",
            "max_queued_messages 0",
            "max_queued_bytes 0",
            f"allow_anonymous {'false' if self._users else 'true'}",
        ]
        if os.name == "posix" and os.geteuid() == 0:
            lines.append("user root")
        if self._remembers:
            lines += ["persistence true", f"persistence_location {self._files}/"]
        if self._users:
            lines.append(f"password_file {self._write_passwords()}")
        if self._rules is not None:
            lines.append(f"acl_file {self._rules}")
        if self._second_door is not None:
            lines += self._open(self._second_door)
        config = self._files / "mosquitto.conf"
        config.write_text("\n".join(lines) + "\n")
        return config

    def _open(self, door: SecondDoor) -> list[str]:
        lines = [f"listener {self._second_port} {self.host}"]
        if door.certificate is not None:
            lines.append(f"certfile {self._write('server.pem', door.certificate.certificate)}")
            lines.append(f"keyfile {self._write('server.key', door.certificate.key)}")
        if door.clients_of:
            lines.append(f"cafile {self._write('clients.pem', door.clients_of)}")
            lines.append("require_certificate true")
        return lines

    def _write(self, name: str, text: str) -> Path:
        path = self._files / name
        path.touch(mode=0o600)
        path.write_text(text)
        return path

    def _write_passwords(self) -> Path:
        path = self._files / "passwords"
        path.write_text("".join(f"{user}:{password}\n" for user, password in self._users.items()))
        path.chmod(0o600)
        tool = shutil.which("mosquitto_passwd") or "mosquitto_passwd"
        subprocess.run([tool, "-U", str(path)], check=True, capture_output=True)
        return path

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(how)
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def _run_embedded(port: int, websocket_port: int | None) -> None:
    """Run amqtt until the process is told to end."""
    from amqtt.broker import Broker as Amqtt  # noqa: PLC0415  only this process needs it

    listeners = {"default": {"type": "tcp", "bind": f"{HOST}:{port}", "max_connections": 0}}
    if websocket_port is not None:
        listeners["websocket"] = {"type": "ws", "bind": f"{HOST}:{websocket_port}", "max_connections": 0}
    broker = Amqtt(
        {
            "listeners": listeners,
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
    )
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    await broker.start()
    await ended.wait()
    await broker.shutdown()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Run the embedded broker")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--websocket-port", type=int)
    arguments = parser.parse_args()
    asyncio.run(_run_embedded(arguments.port, arguments.websocket_port))
