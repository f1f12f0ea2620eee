"""What a device announces to Home Assistant, one component at a time or as a whole, and with all its abbreviations."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from ...core.errors import BadInput, Reason
from ...core.inputs import DeviceInput, DeviceReported, DeviceWithdrawn
from ...core.model import Device, DeviceFacts, DeviceId
from ...core.ports import AddressBook
from ...core.untrusted import Object, read_object
from ..base import Message
from .states import NAME

# Whose devices say all this better themselves; that they are bridged to Home Assistant as well is no news.
_NATIVE = ("/bridge/request/device/ota_update/update", "/commands/MQTTtoSYS/firmware_update")
# Where nobody but Home Assistant, this hub and the broker itself may speak.
_NOT_THEIRS = ("$", "fwhub/", "homeassistant/")
_LONG = {
    "avty": "availability",
    "avty_t": "availability_topic",
    "avty_tpl": "availability_template",
    "cmd_t": "command_topic",
    "cmps": "components",
    "cns": "connections",
    "dev": "device",
    "dev_cla": "device_class",
    "hw": "hw_version",
    "ids": "identifiers",
    "l_ver_t": "latest_version_topic",
    "l_ver_tpl": "latest_version_template",
    "mdl": "model",
    "mdl_id": "model_id",
    "mf": "manufacturer",
    "o": "origin",
    "p": "platform",
    "pl_avail": "payload_available",
    "pl_inst": "payload_install",
    "pl_not_avail": "payload_not_available",
    "stat_t": "state_topic",
    "t": "topic",
    "uniq_id": "unique_id",
    "val_tpl": "value_template",
}
_TOPICS = frozenset({"availability_topic", "command_topic", "latest_version_topic", "state_topic", "topic"})
_MAC = re.compile(r"(?:[0-9A-F]{2}[:-]?){5}[0-9A-F]{2}", re.ASCII | re.IGNORECASE)
_IEEE = re.compile(r"(?:.*_)?(0x[0-9a-f]{16})", re.ASCII | re.IGNORECASE)
_STEP = r"\.\w{1,64}|\['\w{1,64}'\]|\[\"\w{1,64}\"\]"
_TEMPLATE = re.compile(
    rf"\s*\{{\{{-?\s*(?:value|value_json(?P<path>(?:{_STEP}){{1,8}})|value_json)\s*(?:\|\s*to_?json\s*)?-?\}}\}}\s*",
    re.ASCII,
)


def read_config(kind: str, message: Message, before: Device | None, book: AddressBook) -> tuple[DeviceInput, ...]:
    """Read an announcement: of one component, or of a device with all its components.

    Raises:
        BadInput: with the path of the fault, its names spelled out.
    """
    gone = () if before is None else (DeviceWithdrawn(before.id),)
    if not message.payload:
        return gone
    config = _spelled_out(message.payload)
    update = config if kind == "update" else _the_update(config)
    if update is None:
        return gone
    if _says_nothing_new(update, config):
        return ()
    identity = _identity(config, update)
    known = book.get(identity)
    if not identity or (known is not None and known.dialect != NAME):
        return ()
    channel = _channel(config, update, book, identity)
    channel["component"] = update.text("unique_id", "") or message.topic
    if known is not None and known.channel.get("component", channel["component"]) != channel["component"]:
        raise BadInput(Reason.UNSUPPORTED_SPEC, "a second update of one device", path=update.at("unique_id"))
    return (_reported(config, update, message, identity, channel),)


def _says_nothing_new(update: Object, config: Object) -> bool:
    """Whether it cannot be told to install, or never says what it runs, or its own family says it better."""
    command, state = _topic(update, "command_topic", config), _topic(update, "state_topic", config)
    return not (command and state and update.text("payload_install", "")) or command.endswith(_NATIVE)


def _reported(
    config: Object, update: Object, message: Message, identity: DeviceId, channel: dict[str, str]
) -> DeviceReported:
    about = config.optional_object("device") or Object({})
    # What two devices would both take for their own order is sent to neither.
    order = order_address(channel["command"], channel["install"].encode())
    spoken = (message.topic, channel["state"], channel.get("latest"), channel.get("availability"))
    facts = DeviceFacts(
        name=about.label("name") or update.label("name") or identity.partition(":")[2],
        manufacturer=about.label("manufacturer"),
        model=about.label("model") or about.label("model_id") or about.label("name"),
        hardware=about.label("hw_version"),
        variant="",
        mac=identity.removeprefix("mac:") if identity.startswith("mac:") else "",
        addresses=tuple(dict.fromkeys([*(f"{topic}/" for topic in spoken if topic), order])),
        channel=channel,
    )
    return DeviceReported(identity, NAME, facts, retained=message.retained)


def order_address(command: str, order: bytes) -> str:
    """Return the address that stands for this very order on this topic. Never raises."""
    return f"{command}/{hashlib.sha256(order).hexdigest()[:16]}/"


def _the_update(config: Object) -> Object | None:
    """Return the one component that updates the device; ``None`` if there is none that can be told to install."""
    components = config.optional_object("components")
    if components is None:
        return None
    found = [component for key in components.keys() if (component := _update(components, key, config)) is not None]  # noqa: SIM118
    firmware = [component for component in found if component.label("device_class") == "firmware"]
    chosen = found if len(found) == 1 else firmware
    if len(chosen) > 1 or (found and not chosen):
        raise BadInput(Reason.UNSUPPORTED_SPEC, "several updates of one device", path=components.path)
    return chosen[0] if chosen else None


def _update(components: Object, key: str, config: Object) -> Object | None:
    component = components.object(key)
    if component.text("platform", "") != "update" or "unique_id" not in component:
        return None
    return component if _topic(component, "command_topic", config) else None


def _identity(config: Object, update: Object) -> DeviceId:
    """Return who it is: by MAC or IEEE address where one is said, so that its native family knows it again."""
    about = config.optional_object("device")
    names: tuple[str, ...] = ()
    if about is not None:
        names = about.texts("identifiers")
        macs = [pair.text("value") for pair in about.objects("connections") if pair.text("type") == "mac"]
        for name in (*macs, *names):
            digits = name.replace(":", "").replace("-", "").upper()
            if _MAC.fullmatch(name) and digits != "0" * 12 and not int(digits[1], 16) & 1:
                return f"mac:{digits}"
            if ieee := _IEEE.fullmatch(name):
                return f"ieee:{ieee[1].lower()}"
    name = names[0] if names else update.text("unique_id", "")
    return f"{NAME}:{name}" if name else ""


def _channel(config: Object, update: Object, book: AddressBook, identity: DeviceId) -> dict[str, str]:
    """Gather where the device speaks and listens, and how its messages are to be read."""
    said: dict[str, str | None] = {
        "command": _topic(update, "command_topic", config),
        "install": update.text("payload_install", ""),
        "state": _topic(update, "state_topic", config),
        "state_path": _path(update, "value_template"),
        "latest": _topic(update, "latest_version_topic", config),
        "latest_path": _path(update, "latest_version_template"),
    }
    if said["latest"] == said["state"]:
        said["latest"] = None
    said |= _availability(update if _speaks_of_availability(update) else config, book, identity)
    if said["command"] in (said["state"], said["latest"], said.get("availability")):
        raise BadInput(Reason.MALFORMED, "it speaks where it listens", path=update.at("command_topic"))
    return {name: value for name, value in said.items() if value}


def _speaks_of_availability(config: Object) -> bool:
    return "availability" in config or "availability_topic" in config


def _availability(config: Object, book: AddressBook, identity: DeviceId) -> dict[str, str | None]:
    """Return the device's own topic of availability: the last one that no other device has claimed.

    The topic of a bridge stands for all of its devices; it is left to the first one that names it.
    """
    items = [*config.objects("availability", max_items=8)]
    if "availability_topic" in config:
        items.append(config)
    for item in reversed(items):
        topic = _topic(item, "availability_topic" if item is config else "topic")
        holder = book.at(NAME, f"{topic}/")
        if not book.is_claimed(NAME, f"{topic}/") or (holder is not None and holder.id == identity):
            return {
                "availability": topic,
                "availability_path": _path(item, "availability_template" if item is config else "value_template"),
                "online": item.text("payload_available", "online"),
                "offline": item.text("payload_not_available", "offline"),
            }
    return {}


def _topic(config: Object, key: str, shared: Object | None = None) -> str | None:
    """Read a topic, out of what all components of a device share if it is not said."""
    source = shared if shared is not None and key not in config else config
    if key not in source:
        return None
    topic = source.text(key)
    if re.search(r"[+#]|//|^/|/$", topic) or topic.startswith(_NOT_THEIRS):
        raise BadInput(Reason.MALFORMED, "no topic of a device", path=source.at(key))
    return topic


def _path(config: Object, key: str) -> str:
    """Read a template as the path that it is: names between dots, empty for the whole message."""
    template = config.text(key, "")
    found = _TEMPLATE.fullmatch(template)
    if template and found is None:
        raise BadInput(Reason.UNSUPPORTED_SPEC, "a template that is more than a path", path=config.at(key))
    return ".".join(re.findall(r"\w+", found["path"] or "", re.ASCII)) if found else ""


def _spelled_out(payload: str | bytes) -> Object:
    """Read an announcement with all its abbreviations spelled out and its topics whole."""
    read_object(payload)  # bounds and shape; what follows cannot fail any more
    config = _long(json.loads(payload))
    base = config.get("~")
    device, components = config.get("device"), config.get("components")
    if isinstance(device, dict):
        config["device"] = _long(device) | _lists(_long(device))
    if isinstance(components, dict):
        config["components"] = {key: _whole(value, base) for key, value in components.items()}
    return Object(_whole(config, base))


def _long(members: dict[str, Any]) -> dict[str, Any]:
    return {_LONG.get(key, key): value for key, value in members.items()}


def _lists(device: dict[str, Any]) -> dict[str, Any]:
    """Bring identifiers and connections into one form each, whatever was said."""
    said, pairs = device.get("identifiers"), device.get("connections")
    found: dict[str, Any] = {"identifiers": [said]} if isinstance(said, str) else {}
    if isinstance(pairs, list):
        found["connections"] = [
            dict(zip(("type", "value"), pair, strict=True)) if isinstance(pair, list) and len(pair) == 2 else pair
            for pair in pairs
        ]
    return found


def _whole(config: Any, base: Any) -> Any:  # noqa: ANN401 - foreign by definition
    """Put the base topic where a tilde stands for it."""
    if not isinstance(config, dict):
        return config
    found = {key: _based(value, base) if key in _TOPICS else value for key, value in _long(config).items()}
    items = found.get("availability")
    if isinstance(items, dict | list):
        found["availability"] = [_whole(item, base) for item in (items if isinstance(items, list) else [items])]
    return found


def _based(topic: Any, base: Any) -> Any:  # noqa: ANN401 - foreign by definition
    if not isinstance(topic, str) or not isinstance(base, str):
        return topic
    if topic.startswith("~"):
        return base + topic[1:]
    return topic[:-1] + base if topic.endswith("~") else topic
