"""Serves verified artifacts to devices, over plain HTTP, only while an install runs.

Contract: an address belongs to one install and is good for any number of GETs until that install ends, also across a
reload of the entry and a restart of Home Assistant. What is sent is the whole file that was verified when its address
was made, whatever the request asks for: no ranges, and never "not modified", which Tasmota takes for a success.
There is one server with one port for all entries; each entry may have its own address for its devices.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from aiohttp import hdrs, web
from homeassistant.components.network import async_get_source_ip
from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.storage import Store
from homeassistant.util.hass_dict import HassKey

from .artifact_file import VerifiedFile
from .artifact_listener import Access, Listener, base_address, every, is_ours as _is_ours
from .const import DOMAIN
from .core.errors import OutsideFailed, Reason, Refused

DEFAULT_PORT: Final = 8127
_TOKEN_LENGTH: Final = 20  # of 32 letters: 100 bits, and short: Tasmota keeps about 100 characters of an address
_STALL: Final = 60  # seconds in which a device must take one piece; an ESP8266 erases flash for some of them
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HEADERS: Final = {
    hdrs.CONTENT_TYPE: "application/octet-stream",
    hdrs.CACHE_CONTROL: "no-store",
    hdrs.ACCEPT_RANGES: "none",
    hdrs.SERVER: "firmware-hub",
}
_KEY: HassKey[ArtifactServer] = HassKey(f"{DOMAIN}_artifact_server")


@dataclass(frozen=True, slots=True)
class _Served:
    install_id: str
    owner: str
    token: str
    files: Mapping[str, VerifiedFile]


@callback
def async_get_server(hass: HomeAssistant) -> ArtifactServer:
    """Return the one server of this Home Assistant."""
    if _KEY not in hass.data:
        hass.data[_KEY] = ArtifactServer(hass)
    return hass.data[_KEY]


async def async_remove_server(hass: HomeAssistant) -> None:
    """Leave nothing behind: the last entry was removed."""
    if (server := hass.data.pop(_KEY, None)) is not None:
        await server.async_close()
    await _kept_secret(hass).async_remove()


def _kept_secret(hass: HomeAssistant) -> Store[dict[str, str]]:
    return Store(hass, 1, f"{DOMAIN}.artifact_server", private=True, atomic_writes=True)


class ArtifactServer:
    """Addresses for installs, and the listener behind them."""

    def __init__(self, hass: HomeAssistant) -> None:
        self._hass = hass
        self._ports: dict[str, int] = {}
        self._open_port = DEFAULT_PORT
        self._secret = b""
        self._served: dict[str, _Served] = {}
        self._listeners: set[Callable[[Access], None]] = set()
        self._changing = asyncio.Lock()
        self._open: dict[str, Listener] = {}
        hass.bus.async_listen_once(EVENT_HOMEASSISTANT_STOP, self._stopped)

    async def _stopped(self, _event: Event) -> None:
        await self.async_close()

    @property
    def _port(self) -> int:
        return next((port for port in self._ports.values() if port), DEFAULT_PORT)

    @callback
    def set_port(self, port: int, owner: str = "") -> None:
        """Set the port that a hub wishes, 0 for none; it counts as soon as nothing is served at the old one."""
        self._ports[owner] = port

    @callback
    def listen(self, told: Callable[[Access], None]) -> Callable[[], None]:
        """Be told of every GET that ended."""
        self._listeners.add(told)
        return lambda: self._listeners.discard(told)

    async def async_serve(
        self, install_id: str, files: Mapping[str, Path], given: str = "", owner: str = "", place: str = ""
    ) -> Mapping[str, str]:
        """Serve files of a hub, whose name is their SHA-256, under the given names; return their addresses.

        ``given`` is the IP address that the owner named; without one it is found out. The same install always gets
        the same addresses, unless the hub's own address changed; so does the same ``place``, in whichever install.
        Raises Refused: DIGEST_MISMATCH; OutsideFailed: DISK_FAILED, ADDRESS_UNREACHABLE.
        """
        if wrong := [name for name in files if not _NAME.fullmatch(name)]:
            raise RuntimeError(f"not a name to serve: {wrong}")
        async with self._changing:
            place = place or install_id
            before = self._served.get(place)
            served = _Served(install_id, owner, await self._token(place), await self._opened(files, before))
            try:
                base = await self._open_listener(given)
            except OutsideFailed:
                await self._let_go(served, before)
                raise
            self._served[place] = served
            if before is not None:
                await self._let_go(before, served)
        return {name: f"{base}/{served.token}/{name}" for name in files}

    async def async_address(self, place: str, name: str, given: str = "") -> str:
        """Return the address under which a file is served, or will be. Raises OutsideFailed: ADDRESS_UNREACHABLE."""
        address = await self._find_address(given)
        port = self._open_port if self._open else self._port
        return f"{base_address(address, port)}/{await self._token(place)}/{name}"

    async def async_stop_serving(self, install_id: str) -> None:
        """End the addresses of an install; the listener closes with the last one."""
        async with self._changing:
            for place in [place for place, served in self._served.items() if served.install_id == install_id]:
                await self._let_go(self._served.pop(place), None)
            if not self._served:
                await self._close_listeners()

    async def async_close(self) -> None:
        """End all addresses."""
        for served in tuple(self._served.values()):
            await self.async_stop_serving(served.install_id)

    async def async_forget(self, owner: str) -> None:
        """A hub was removed: end its addresses."""
        self._ports.pop(owner, None)
        for install_id in [served.install_id for served in self._served.values() if served.owner == owner]:
            await self.async_stop_serving(install_id)

    async def async_check_address(self, given: str = "") -> tuple[bool, str]:
        """Return whether devices can reach the address that they would be given, and the address.

        One that the owner gave is believed; one that was only found out is not, when it is of this machine or
        container alone. In both cases it must be possible to listen.
        """
        try:
            address = await self._find_address(given)
        except OutsideFailed:
            return False, given
        if not given and not self._is_plausible(address):
            return False, address
        host = _host(given, address)
        async with self._changing:
            if not self._is_open(host, address):
                try:
                    await (await Listener.async_open(self._answer, host, self._port)).async_close()
                except OSError:
                    return False, address
        return True, address

    def _is_plausible(self, address: str) -> bool:
        found = ip_address(address)
        if found.is_loopback or found.is_link_local or not _is_ours(address):
            return False
        # Home Assistant's own finding: a container without the host's network.
        return ir.async_get(self._hass).async_get_issue("network", "docker_host_network") is None

    async def _find_address(self, given: str) -> str:
        try:
            found = ip_address(given or await async_get_source_ip(self._hass))
        except (ValueError, HomeAssistantError) as error:
            raise OutsideFailed(Reason.ADDRESS_UNREACHABLE, str(error)) from error
        if found.is_unspecified or found.is_multicast:
            raise OutsideFailed(Reason.ADDRESS_UNREACHABLE, f"{found} is not the address of one machine")
        return str(found)

    async def _token(self, install_id: str) -> str:
        """Derive the token: after a restart a device that is still fetching finds its file again."""
        if not self._secret:
            kept = _kept_secret(self._hass)
            found = await kept.async_load() or {}
            if not re.fullmatch(r"[0-9a-f]{64}", found.get("secret", "")):
                found = {"secret": secrets.token_hex(32)}
                await kept.async_save(found)
            self._secret = bytes.fromhex(found["secret"])
        digest = hmac.digest(self._secret, install_id.encode(), "sha256")
        # Without "-", after which an ESP8266 cuts a file's name to make that of its helper image.
        return base64.b32encode(digest).decode().lower()[:_TOKEN_LENGTH]

    async def _opened(self, files: Mapping[str, Path], before: _Served | None) -> dict[str, VerifiedFile]:
        """Open and verify; what is served already stays open, because a device may be reading it."""
        known = {} if before is None else before.files
        opened: dict[str, VerifiedFile] = {}
        try:
            for name, path in files.items():
                same = known.get(name)
                keep = same is not None and same.sha256 == path.name
                opened[name] = same if same and keep else await self._hass.async_add_executor_job(VerifiedFile, path)
        except (OSError, Refused) as error:
            for name, file in opened.items():
                if known.get(name) is not file:
                    file.close()
            if isinstance(error, OSError):
                raise OutsideFailed(Reason.DISK_FAILED, str(error)) from error
            raise
        return opened

    async def _let_go(self, served: _Served, instead: _Served | None) -> None:
        kept = set() if instead is None else {id(file) for file in instead.files.values()}
        for file in served.files.values():
            if id(file) not in kept:
                await self._hass.async_add_executor_job(file.close)

    async def _open_listener(self, given: str) -> str:
        address = await self._find_address(given)
        host = _host(given, address)
        if not self._open:
            self._open_port = self._port
        if not self._is_open(host, address):
            try:
                self._open[host] = await Listener.async_open(self._answer, host, self._open_port)
            except OSError as error:
                raise OutsideFailed(Reason.ADDRESS_UNREACHABLE, str(error)) from error
        return base_address(address, self._open_port)

    def _is_open(self, host: str, address: str) -> bool:
        return not self._open.keys().isdisjoint({host, every(address)})

    async def _close_listeners(self) -> None:
        while self._open:
            await self._open.popitem()[1].async_close()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; nothing in it but the method and the path is looked at."""
        if request.method not in {hdrs.METH_GET, hdrs.METH_HEAD}:
            return web.Response(status=405, headers={**_HEADERS, hdrs.ALLOW: "GET, HEAD"})
        served, name = self._find(request.rel_url.raw_path)
        if served is None:
            return web.Response(status=404, headers=_HEADERS)
        file = served.files[name]
        response = web.StreamResponse(headers=_HEADERS)
        response.content_length = file.size
        response.force_close()
        await response.prepare(request)
        if request.method == hdrs.METH_GET:
            await self._send(request, response, served, name)
        return response

    def _find(self, path: str) -> tuple[_Served | None, str]:
        start, prefix, token, name = [*path.split("/", 3), "", "", ""][:4]
        given = token.encode()
        found = None
        for served in self._served.values():
            # Every one is compared, in constant time: an answer's delay tells nothing of the tokens.
            if hmac.compare_digest(given, served.token.encode()):
                found = served
        right = found is not None and (start, prefix) == ("", "f") and name in found.files
        return (found if right else None), name

    async def _send(self, request: web.BaseRequest, response: web.StreamResponse, served: _Served, name: str) -> None:
        file, sent = served.files[name], 0
        try:
            while sent < file.size and (piece := await self._hass.async_add_executor_job(file.read_at, sent)):
                async with asyncio.timeout(_STALL):
                    await response.write(piece)
                sent += len(piece)
        except ConnectionError, TimeoutError, OSError:
            pass
        if sent < file.size and request.transport is not None:
            # A short body must not look like a whole one.
            request.transport.abort()
        access = Access(served.install_id, name, file.size, sent, request.remote or "")
        for told in tuple(self._listeners):
            told(access)


def _host(given: str, address: str) -> str:
    """Return where to listen: an owner's address may be that of a router, or of a container's host."""
    return address if given and _is_ours(address) else every(address)
