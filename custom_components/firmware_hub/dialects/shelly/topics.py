"""Where a Shelly speaks: below a prefix that its owner chose, and on a topic of ours when it answers.

Rules, from the vendor's documentation of the MQTT component and of RPC channels (dialects.md 3.1):

- The prefix is the device's id (``shellyplus1-a8032abe1234``) until its owner sets another one, with slashes or
  without. Only ``<prefix>/online`` is retained, and only it shows that there is somebody.
- A question goes to ``<prefix>/rpc`` and names its sender, ``src``. The answer comes on ``<src>/rpc`` and names the
  device's id, but not the prefix that it was asked under.

So every prefix gets a sender of its own, ``fwhub/shelly/<prefix, encoded>``. One filter hears all answers, and the
topic of an answer says which prefix was asked: one look-up, and nothing to remember. In the encoded prefix letters,
digits and ``_ . -`` stand for themselves and every other byte is ``~`` with two hex digits: ``%`` would be the usual
sign, but the firmware forbids it in topics. There is one way to write a prefix, so a prefix has one address.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

NAME = "shelly"
ANSWERS = "fwhub/shelly/"
RPC = "rpc"
ONLINE = "online"
EVENTS = "events/rpc"
_MAX_LEVELS = 3
_MAX_PREFIX = 128  # characters; the firmware allows more, but who asks has to fit into its buffers three times as long
# What the firmware itself refuses in a prefix.
_NEVER_IN_A_PREFIX = re.compile(r"[+#%?]")
# Topics of Home Assistant, of other families and of the broker: nothing that appears there leads a question there.
_NOT_SHELLY = ("$", "fwhub/", "homeassistant/", "tasmota/", "zigbee2mqtt/")

FILTERS = (f"{ANSWERS}+/{RPC}", *(f"{'+/' * levels}{ONLINE}" for levels in range(1, _MAX_LEVELS + 1)))
"""What finds devices: the answers to our questions, and the sign that there is somebody to ask."""


def address_of(topic: str, ending: str) -> str | None:
    """Return the prefix, with its last slash, of a topic with this ending; ``None`` if none is there. Never raises."""
    address = topic.removesuffix(ending)
    return address if address != topic and is_address(address) else None


def is_address(address: str) -> bool:
    """Decide whether a prefix with its last slash can be a Shelly's. Never raises."""
    prefix = address.removesuffix("/")
    return (
        address.endswith("/")
        and len(prefix) <= _MAX_PREFIX
        and prefix.count("/") < _MAX_LEVELS
        and all(prefix.split("/"))
        and prefix.isprintable()
        and not _NEVER_IN_A_PREFIX.search(prefix)
        and not address.startswith(_NOT_SHELLY)
    )


def sender_for(address: str) -> str:
    """Return who asks at an address: the topic below which its answers come. Never raises."""
    return ANSWERS + quote(address.removesuffix("/"), safe="").replace("~", "%7E").replace("%", "~")


def asked_at(sender: str) -> str | None:
    """Return the address at which this sender asks; ``None`` if we never write it so. Never raises."""
    address = unquote(sender.removeprefix(ANSWERS).replace("~", "%")) + "/"
    return address if is_address(address) and sender_for(address) == sender else None


def filters_for(address: str) -> tuple[str, ...]:
    """Return the filters for what a device says by itself; devices whose prefixes are equally deep share them."""
    levels = "+/" * address.count("/")
    return (f"{levels}{ONLINE}", f"{levels}{EVENTS}")
