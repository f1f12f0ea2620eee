"""Dialects: one file per firmware family, pure translation between MQTT messages and the words of the core.

Contract: a dialect keeps no state, knows no clock and no other dialect, and never decides. It reads a message into
inputs and writes messages for orders. A message that it cannot read is ``BadInput``; one that is not its own is an
empty tuple.
"""

from __future__ import annotations

from .base import Announcer, Dialect, Prober
from .esphome import EsphomeDialect
from .ha_update import HaUpdateDialect
from .open import OpenDialect
from .openbeken import OpenBekenDialect
from .openmqttgateway import OpenMqttGatewayDialect
from .shelly import ShellyDialect
from .shelly_gen1 import ShellyGen1Dialect
from .tasmota import TasmotaDialect
from .zigbee2mqtt import Zigbee2MqttDialect

DIALECTS: tuple[Dialect, ...] = (
    OpenDialect(),
    TasmotaDialect(),
    ShellyDialect(),
    ShellyGen1Dialect(),
    Zigbee2MqttDialect(),
    EsphomeDialect(),
    OpenBekenDialect(),
    OpenMqttGatewayDialect(),
    HaUpdateDialect(),
)
"""All known dialects, in the order in which they are asked: native families before generic ones."""

PROBERS = {dialect.name: dialect for dialect in DIALECTS if isinstance(dialect, Prober)}
"""Those whose strangers have to be asked who they are."""

ANNOUNCERS = {dialect.name: dialect for dialect in DIALECTS if isinstance(dialect, Announcer)}
"""Those whose devices look up what to install at an address of the hub."""

BY_NAME = {dialect.name: dialect for dialect in DIALECTS}
