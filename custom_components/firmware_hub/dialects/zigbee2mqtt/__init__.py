"""Zigbee2MQTT (``docs/dialects/zigbee2mqtt.md``): the dialect, its topics, its list of devices, and its answers."""

from __future__ import annotations

from .dialect import Zigbee2MqttDialect

__all__ = ["Zigbee2MqttDialect"]
