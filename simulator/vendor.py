"""A simulated vendor: a signed manifest, its artifacts, and a mirror of Tasmota's releases, over real HTTP.

Its whole state is public and may be edited at any time; the next request sees it. What goes wrong is switched on with
``misbehave``.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import ssl
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self, override

from aiohttp import web

from simulator import github, shelly_package as shelly
from simulator.certificates import Authority
from simulator.images import Format, Image
from simulator.keys import Algorithm, SigningKey, unsigned
from simulator.tricks import MANIFEST_TRICKS, Answer, Redirects, Trick, send
from simulator.watched import Watched
from simulator.zigbee_images import build_ota, index_entry

HOST = "127.0.0.1"
MANIFEST_PATH = "/manifest.jws"
FILES = "/files/"
SHELLY_GEN1_PATH = "/shelly-gen1"
ZIGBEE_PATH = "/zigbee/index.json"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, with the trick that it was answered with."""

    method: str
    path: str
    status: int
    headers: dict[str, str]
    trick: Trick | None
    at: datetime


class Vendor(Watched):
    """A vendor's web server on a free port of 127.0.0.1.

    Attributes:
        releases: the manifest's releases, as JSON objects; ``add_release`` makes one.
        files: artifacts by name.
        tasmota: the releases of the mirror, newest first.
        pages: other documents by path, served as JSON: the indexes of Shelly and of Zigbee images.
        sequence, issued, lifetime, next_keys, revoked, support, extra: the manifest's other members.
        requests: every request so far.
    """

    def __init__(
        self, name: str = "Acme", *, algorithm: Algorithm = "ES256", tls: bool = False, port: int | None = None
    ) -> None:
        """Make the keys; nothing is served yet. With ``tls`` clients need ``ca_pem`` to believe it."""
        super().__init__()
        self.name = name
        self.key = SigningKey.generate(algorithm)
        self.stranger = SigningKey.generate(algorithm)
        self.sequence = 1
        self.issued = datetime.now(UTC).replace(microsecond=0)
        self.lifetime = timedelta(days=30)
        self.releases: list[dict[str, Any]] = []
        self.next_keys: list[str] = []
        self.revoked: list[dict[str, Any]] = []
        self.support: list[dict[str, Any]] = []
        self.extra: dict[str, Any] = {}
        self.files: dict[str, bytes] = {}
        self.tasmota: list[github.TasmotaRelease] = []
        self.pages: dict[str, Any] = {}
        self.requests: list[Asked] = []
        self.ca_pem = b""
        self._tls: ssl.SSLContext | None = None
        if tls:
            authority = Authority()
            self.ca_pem = authority.pem.encode()
            self._tls = authority.for_server(HOST, "localhost").server_context()
        self._port = port or 0
        self._plain_port = 0
        self._tricks: dict[str, tuple[Trick, int | None]] = {}
        self._runner: web.AppRunner | None = None
        self._ended = asyncio.Event()
        self._signed: tuple[bytes, bytes] = (b"", b"")

    @override
    def __repr__(self) -> str:
        """Say what was asked of it last."""
        return f"<Vendor {self.name} {[(asked.path, asked.status) for asked in self.requests[-5:]]}>"

    # --- addresses ---------------------------------------------------------------------------------------------------

    @property
    def base(self) -> str:
        """Scheme, host and port."""
        return f"{'https' if self._tls else 'http'}://{HOST}:{self._port}"

    @property
    def manifest_url(self) -> str:
        """Where the signed manifest is."""
        return self.base + MANIFEST_PATH

    @property
    def releases_url(self) -> str:
        """Where the mirror of Tasmota's releases is, in the shape of GitHub's interface."""
        return f"{self.base}{github.API}/releases"

    @property
    def shelly_url(self) -> str:
        """Where the mirror of Shelly's pages is, one for each app."""
        return f"{self.base}/shelly/{{model}}"

    @property
    def shelly_gen1_url(self) -> str:
        """Where the mirror of Shelly's list for the first generation is."""
        return self.base + SHELLY_GEN1_PATH

    @property
    def zigbee_url(self) -> str:
        """Where the mirror of the index of Zigbee images is."""
        return self.base + ZIGBEE_PATH

    def file_url(self, name: str) -> str:
        """Where an artifact is."""
        return f"{self.base}{FILES}{name}"

    def plain_url(self, name: str) -> str:
        """Where an artifact is for who speaks no TLS."""
        return f"http://{HOST}:{self._plain_port}{FILES}{name}"

    @property
    def public_jwk(self) -> str:
        """The key that an owner pins."""
        return self.key.public_jwk

    # --- what it publishes -------------------------------------------------------------------------------------------

    def add_release(
        self, image: Image, *, form: Format = "raw", min_version: str = "", max_version: str = "", **fields: Any
    ) -> dict[str, Any]:
        """Publish an image as a new release: its binary, and its entry in ``releases``, which may be edited.

        ``fields`` override or add members of the release, such as ``kind="security"`` or ``dual_bank=True``.
        """
        self._need_an_address()
        name = f"{image.model}-{image.version}.bin{'.gz' if form == 'esp-gzip' else ''}".lower()
        match: dict[str, Any] = {"manufacturer": image.manufacturer, "model": [image.model]}
        filters: dict[str, Any] = {
            "hardware": [image.hardware] if image.hardware else None,
            "variant": image.variant,
            "min_version": min_version,
            "max_version": max_version,
        }
        match |= {key: value for key, value in filters.items() if value}
        release: dict[str, Any] = {
            "match": match,
            "version": image.version,
            "version_scheme": "semver",
            "channel": "stable",
            "published": _text(self.issued),
            "kind": "feature",
            "severity": "low",
            "summary": f"{image.model} {image.version}",
            "notes": f"What is new in {image.version}:\n\n- it is **better** than before",
            "notes_url": f"https://{self.name.lower()}.example/notes/{image.version}",
            "delivery": "ota",
            "install_minutes": 1,
            "recovery": {
                "notes": "Hold the button for ten seconds.",
                "url": f"https://{self.name.lower()}.example/help",
            },
            "artifacts": [self.add_file(name, image.build(form), form=form)],
        }
        if image.counter is not None:
            release["counter"] = image.counter
        release.update(fields)
        self.releases.append(release)
        return release

    def add_file(self, name: str, data: bytes, *, form: str = "raw", role: str = "main") -> dict[str, Any]:
        """Put a file on the server; returns its entry for a release's ``artifacts``."""
        self._need_an_address()
        self.files[name] = data
        return {
            "role": role,
            "name": name,
            "url": self.file_url(name),
            "size": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            "format": form,
        }

    def add_tasmota_release(self, version: str, **options: Any) -> github.TasmotaRelease:
        """Publish a release with Tasmota's usual binaries on the mirror; see ``github.TasmotaRelease.usual``."""
        release = github.TasmotaRelease.usual(version, **options)
        self.tasmota.insert(0, release)
        return release

    def add_shelly_release(self, image: Image, *, data: bytes = b"") -> str:
        """Publish a package on the page of its app, by default a right one; returns its address."""
        whole = data or shelly.package(image)
        page = shelly.index_of_app(image, whole, self.file_url("").rstrip("/"))
        url = str(page["stable"]["url"])
        self.add_file(url.removeprefix(self.file_url("")), whole)
        self.pages[f"/shelly/{image.model}"] = page
        return url

    def add_shelly_gen1_release(self, image: Image) -> str:
        """Publish a package on the list of the first generation; returns its address."""
        name = f"{image.model}.zip"
        self.add_file(name, shelly.package(image, first_generation=True))
        page = self.pages.setdefault(SHELLY_GEN1_PATH, {"isok": True, "data": {}})
        page["data"] |= shelly.index_of_models({self.file_url(name): image})["data"]
        return self.file_url(name)

    def add_zigbee_release(self, image: Image, **options: Any) -> dict[str, Any]:
        """Publish an image in the index of Zigbee images; ``options`` are those of ``build_ota``. Returns its entry."""
        data = build_ota(image, **options)
        name = f"{image.model}-{image.version}.ota".lower().replace(" ", "-")
        self.add_file(name, data)
        entry = index_entry(data, self.file_url(name))
        self.pages.setdefault(ZIGBEE_PATH, []).insert(0, entry)
        return entry

    def publish_again(self) -> None:
        """Count the sequence up after a change, as a vendor does."""
        self.sequence += 1
        self.issued = max(datetime.now(UTC).replace(microsecond=0), self.issued)

    def payload(self) -> dict[str, Any]:
        """Return the manifest as it would be signed now."""
        payload: dict[str, Any] = {
            "spec": "firmware-manifest/1",
            "vendor": self.name,
            "sequence": self.sequence,
            "issued": _text(self.issued),
            "expires": _text(self.issued + self.lifetime),
            "releases": self.releases,
        }
        lists = {"next_keys": self.next_keys, "revoked": self.revoked, "support": self.support}
        return payload | {key: value for key, value in lists.items() if value} | self.extra

    def manifest(self, trick: Trick | None = None) -> bytes:
        """Return the manifest as it is served: a compact JWS."""
        payload = self.payload()
        match trick:
            case Trick.OLDER_SEQUENCE:
                payload["sequence"] = self.sequence - 1
            case Trick.EXPIRED:
                issued = datetime.now(UTC) - timedelta(days=31)
                payload |= {"issued": _text(issued), "expires": _text(issued + timedelta(days=30))}
            case Trick.EQUIVOCATION:
                payload["support"] = [{"model": "OTHER", "until": "2099-01-01"}]
        raw = json.dumps(payload).encode()
        match trick:
            case Trick.FORGED:
                return self.stranger.sign(raw, kid=self.key.thumbprint)
            case Trick.UNSIGNED:
                return unsigned(raw)
            case Trick.TAMPERED:
                header, _, signature = self.key.sign(raw).split(b".")
                changed = unsigned(json.dumps(payload | {"vendor": f"{self.name} "}).encode()).split(b".")[1]
                return b".".join((header, changed, signature))
        if self._signed[0] != raw:
            self._signed = (raw, self.key.sign(raw))
        return self._signed[1]

    # --- what goes wrong ---------------------------------------------------------------------------------------------

    def misbehave(self, path: str, trick: Trick, *, times: int | None = None) -> None:
        """Answer requests for this path (or full address) with a trick, ``times`` times or until ``behave``."""
        self._tricks[self._path(path)] = (trick, times)

    def behave(self, path: str | None = None) -> None:
        """Be honest again, for one path or altogether."""
        if path is None:
            self._tricks.clear()
        else:
            self._tricks.pop(self._path(path), None)

    def asked(self, path: str) -> list[Asked]:
        """The requests for this path (or full address) so far."""
        path = self._path(path)
        return [asked for asked in self.requests if asked.path == path]

    # --- serving -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen."""
        self._ended.clear()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        self._port = await _listen(self._runner, self._port, self._tls)
        self._plain_port = await _listen(self._runner, 0, None) if self._tls else self._port

    async def stop(self) -> None:
        """Stop listening; the port stays reserved in mind, so that ``start`` opens the same one again."""
        self._ended.set()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        """Listen."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening."""
        await self.stop()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        trick = self._take_trick(request.path)
        answer = self._answer(request, trick)
        effective = None if trick in MANIFEST_TRICKS else trick
        redirects = Redirects(f"http://{HOST}:{self._plain_port}", self.base.replace(HOST, "localhost"))
        asked = Asked(request.method, request.path, answer.status, dict(request.headers), trick, datetime.now(UTC))
        self.requests.append(asked)
        self._changed()
        response = await send(request, answer, effective, redirects, self._ended)
        self.requests[self.requests.index(asked)] = replace(asked, status=response.status)
        return response

    def _answer(self, request: web.Request, trick: Trick | None) -> Answer:
        path = request.path
        if path == MANIFEST_PATH:
            answer = Answer(self.manifest(trick), content_type="application/jose")
        elif path in self.pages:
            answer = Answer(json.dumps(self.pages[path]).encode(), content_type="application/json")
        elif path.startswith(FILES) and path.removeprefix(FILES) in self.files:
            return Answer(self.files[path.removeprefix(FILES)])
        else:
            found = github.answer(self.tasmota, path, dict(request.query), self.base)
            if found is None or found.content_type != "application/json":
                return found or Answer(b"not found\n", 404, "text/plain")
            answer = found
        return _conditional(request, answer)

    def _take_trick(self, path: str) -> Trick | None:
        trick, times = self._tricks.get(path, (None, None))
        if trick is not None and times is not None:
            if times <= 1:
                del self._tricks[path]
            else:
                self._tricks[path] = (trick, times - 1)
        return trick

    def _path(self, path: str) -> str:
        return path.removeprefix(self.base)

    def _need_an_address(self) -> None:
        if not self._port:
            raise RuntimeError("start the vendor first: its manifest names addresses")


async def _listen(runner: web.AppRunner, port: int, tls: ssl.SSLContext | None) -> int:
    await web.TCPSite(runner, HOST, port, ssl_context=tls, reuse_address=True).start()
    return int(runner.addresses[-1][1])


def _conditional(request: web.Request, answer: Answer) -> Answer:
    etag = f'"{hashlib.sha256(answer.body).hexdigest()[:32]}"'
    if request.headers.get("If-None-Match") == etag:
        return Answer(b"", 304, headers={"ETag": etag})
    return replace(answer, headers={**answer.headers, "ETag": etag})


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
