"""A client of a running Home Assistant: REST for signing in and for flows, the websocket for everything else."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Mapping
from typing import Any, Self

import aiohttp

type Json = dict[str, Any]
"""An object of Home Assistant's API, whose shape is Home Assistant's business."""

ENTRIES = "/api/config/config_entries"


class ApiError(RuntimeError):
    """Home Assistant said no. ``code`` is its own word for the reason."""

    def __init__(self, what: str, code: str, text: str) -> None:
        """Keep what was asked and the answer."""
        self.code = code
        super().__init__(f"{what}: {code}: {text}")


class ConnectionLost(ConnectionError):
    """Home Assistant went away while an answer was due."""


class Api:
    """One signed-in user's connection."""

    def __init__(self, url: str) -> None:
        """Remember where Home Assistant is; nothing is connected yet."""
        self.url = url
        self.version = ""
        self._session: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._reader: asyncio.Task[None] | None = None
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._listeners: dict[int, Callable[[Json], None]] = {}
        self._token = ""

    async def __aenter__(self) -> Self:
        """Be ready to sign in."""
        self._session = aiohttp.ClientSession(self.url)
        return self

    async def __aexit__(self, *error: object) -> None:
        """Leave."""
        await self.close()

    async def close(self) -> None:
        """Leave; a connection that is gone already is no fault."""
        if self._reader is not None:
            self._reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reader
        if self._socket is not None:
            await self._socket.close()
        if self._session is not None:
            await self._session.close()
        self._session = self._socket = self._reader = None

    # --- signing in ---------------------------------------------------------------------------------------------------

    async def onboard(self, name: str, username: str, password: str) -> None:
        """Make the first user, who is the owner, and sign in as that user."""
        user = {"name": name, "username": username, "password": password, "language": "en"}
        answer = await self.post("/api/onboarding/users", user | {"client_id": self._client_id})
        await self._take_token(answer["auth_code"])

    async def sign_in(self, username: str, password: str) -> None:
        """Sign in as a person does, with name and password."""
        redirect = {"client_id": self._client_id, "redirect_uri": self._client_id}
        flow = await self.post("/auth/login_flow", redirect | {"handler": ["homeassistant", None]})
        answer = await self.post(
            f"/auth/login_flow/{flow['flow_id']}",
            {"client_id": self._client_id, "username": username, "password": password},
        )
        if answer["type"] != "create_entry":
            raise ApiError("sign in", str(answer.get("errors", answer["type"])), username)
        await self._take_token(answer["result"])

    @property
    def _client_id(self) -> str:
        return f"{self.url}/"

    async def _take_token(self, code: str) -> None:
        form = {"grant_type": "authorization_code", "code": code, "client_id": self._client_id}
        async with self._http.post("/auth/token", data=form) as response:
            answer = await response.json()
        if response.status != 200:
            raise ApiError("token", str(answer.get("error")), str(answer.get("error_description")))
        self._token = answer["access_token"]

    # --- REST ---------------------------------------------------------------------------------------------------------

    @property
    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("this client is closed")
        return self._session

    async def get(self, path: str) -> Any:  # noqa: ANN401  the shape is Home Assistant's business
        """Fetch a path of the REST API."""
        return await self._request("GET", path)

    async def post(self, path: str, data: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401
        """Post to a path of the REST API."""
        return await self._request("POST", path, data or {})

    async def delete(self, path: str) -> Any:  # noqa: ANN401
        """Delete a path of the REST API."""
        return await self._request("DELETE", path)

    async def _request(self, method: str, path: str, data: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        async with self._http.request(method, path, json=data, headers=headers) as response:
            text = await response.text()
            if response.status >= 400:
                raise ApiError(f"{method} {path}", str(response.status), text)
            return await response.json(content_type=None)

    async def flow(self, path: str, start: Mapping[str, Any], *answers: Mapping[str, Any]) -> Json:
        """Go through a flow, one answer per form, and return its end.

        Raises:
            ApiError: the flow ended otherwise than by making something, or asked again; the text holds what it said.
        """
        step: Json = await self.post(path, start)
        for answer in answers:
            if step["type"] == "abort":
                break
            step = await self.post(f"{path}/{step['flow_id']}", answer)
        if step["type"] != "create_entry" and step.get("reason") not in DONE:
            raise ApiError(f"{path} {start}", step["type"], str(step.get("errors") or step.get("reason") or step))
        return step

    async def set_up(self, domain: str, *answers: Mapping[str, Any]) -> Json:
        """Add an integration through its config flow and return the new entry."""
        step = await self.flow(f"{ENTRIES}/flow", {"handler": domain, "show_advanced_options": False}, *answers)
        entry: Json = step["result"]
        return entry

    async def set_options(self, entry_id: str, *answers: Mapping[str, Any]) -> None:
        """Change the options of an entry through its options flow."""
        await self.flow(f"{ENTRIES}/options/flow", {"handler": entry_id}, *answers)

    async def add_subentry(self, entry_id: str, kind: str, *answers: Mapping[str, Any]) -> None:
        """Add a subentry through its flow."""
        await self.flow(f"{ENTRIES}/subentries/flow", {"handler": [entry_id, kind]}, *answers)

    # --- the websocket ------------------------------------------------------------------------------------------------

    async def connect(self) -> None:
        """Open the websocket as the user who is signed in."""
        socket = self._socket = await self._http.ws_connect("/api/websocket", max_msg_size=0)
        await socket.receive_json()
        await socket.send_json({"type": "auth", "access_token": self._token})
        answer = await socket.receive_json()
        if answer["type"] != "auth_ok":
            raise ApiError("websocket", answer["type"], str(answer.get("message")))
        self.version = answer["ha_version"]
        self._reader = asyncio.create_task(self._read(socket))

    async def command(self, kind: str, **fields: Any) -> Any:  # noqa: ANN401
        """Ask one thing and return the answer.

        Raises:
            ApiError: Home Assistant refused.
            ConnectionLost: it went away before it answered.
        """
        _, answer = await self._ask(kind, fields)
        return answer

    async def subscribe(self, on_event: Callable[[Json], None], kind: str, **fields: Any) -> None:
        """Be told of everything that Home Assistant sends for one subscription."""
        number = next(self._numbers)
        self._listeners[number] = on_event
        await self._ask(kind, fields, number)

    async def call(
        self, domain: str, service: str, data: Mapping[str, Any] | None = None, *, entity_id: str | list[str] = ""
    ) -> None:
        """Call a service and return when it has ended."""
        fields: Json = {"domain": domain, "service": service, "service_data": dict(data or {})}
        if entity_id:
            fields["target"] = {"entity_id": entity_id}
        await self.command("call_service", **fields)

    async def ask_service(self, domain: str, service: str, data: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401
        """Call a service that answers, and return its answer."""
        answer = await self.command(
            "call_service", domain=domain, service=service, service_data=dict(data or {}), return_response=True
        )
        return answer["response"]

    async def wait_until_running(self) -> None:
        """Return when Home Assistant has started everything."""
        started = asyncio.Event()
        await self.subscribe(lambda _: started.set(), "subscribe_events", event_type="homeassistant_started")
        if (await self.command("get_config"))["state"] != "RUNNING":
            await started.wait()

    async def _ask(self, kind: str, fields: Mapping[str, Any], number: int = 0) -> tuple[int, Any]:
        if self._socket is None or self._reader is None or self._reader.done():
            raise ConnectionLost(kind)
        number = number or next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "type": kind, **fields})
        return number, await answer

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        try:
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._sort(message.json())
        finally:
            for answer in self._answers.values():
                if not answer.done():
                    answer.set_exception(ConnectionLost("Home Assistant went away"))
            self._answers.clear()

    def _sort(self, message: Json) -> None:
        if message["type"] == "event":
            if listener := self._listeners.get(message["id"]):
                listener(message["event"])
            return
        answer = self._answers.pop(message["id"], None)
        if answer is None or answer.done():
            return
        if message.get("success", True):
            answer.set_result(message.get("result"))
        else:
            error = message["error"]
            answer.set_exception(ApiError(message["type"], error["code"], error["message"]))


DONE = {"reconfigure_successful", "reauth_successful"}
"""Reasons with which a flow aborts although it did what was asked."""
