"""What the Tasmota device announces is what Home Assistant's own library for Tasmota understands."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest

from simulator.broker import Broker, BrokerTap
from simulator.devices.tasmota import DeepSleep, TasmotaDevice
from simulator.images import Image
from simulator.link import OwnLink
from simulator.tap import Seen

discovery = pytest.importorskip("hatasmota.discovery")
models = pytest.importorskip("hatasmota.models")
mqtt = pytest.importorskip("hatasmota.mqtt")


class Library:
    """Home Assistant's library on the messages that a tap recorded, and commands sent through the tap."""

    def __init__(self, tap: BrokerTap) -> None:
        self.tap = tap
        self.devices: dict[str, dict[str, Any]] = {}
        self.sensors: dict[str, list[Any]] = {}
        self._callbacks: dict[str, Callable[[Any], Awaitable[None] | None]] = {}
        self.client = mqtt.TasmotaMQTTClient(self._publish, self._subscribe, self._unsubscribe)

    async def _publish(self, topic: str, payload: Any, _qos: int | None, _retain: bool | None) -> None:
        await self.tap.publish(topic, payload)

    async def _subscribe(self, _state: dict[str, Any] | None, topics: dict[str, Any]) -> dict[str, Any]:
        self._callbacks |= {entry["topic"].rstrip("#"): entry["msg_callback"] for entry in topics.values()}
        return topics

    async def _unsubscribe(self, _state: dict[str, Any] | None) -> dict[str, Any]:
        return {}

    async def discover(self) -> None:
        async def on_device(payload: dict[str, Any], mac: str) -> None:
            self.devices[mac] = payload

        async def on_sensors(sensors: list[Any], mac: str) -> None:
            self.sensors[mac] = sensors

        await discovery.TasmotaDiscovery("tasmota/discovery", self.client).start_discovery(on_device, on_sensors)
        await self.hear(self.tap.messages)

    async def hear(self, messages: Iterable[Seen]) -> None:
        for seen in messages:
            for topic, callback in list(self._callbacks.items()):
                if seen.topic.startswith(topic):
                    done = callback(mqtt.ReceiveMessage(seen.topic, seen.text, seen.qos, seen.retain))
                    if done is not None:
                        await done

    def entities(self, mac: str, platform: str) -> list[Any]:
        found = discovery.get_entities_for_platform(self.devices[mac], platform)
        return [config for config, _ in found if config is not None]


@pytest.fixture
def library(tap: BrokerTap) -> Library:
    return Library(tap)


async def announced(device: TasmotaDevice, tap: BrokerTap) -> None:
    await device.start()
    await device.wait_for(lambda d: d.announced)
    await tap.settle()


def make(broker: Broker, image: Image, **options: Any) -> TasmotaDevice:
    link = OwnLink(broker.host, broker.port)
    return TasmotaDevice(name="lamp", mac="8CAAB5A1B2C3", image=image, link=link, speed=1000, **options)


ESP8266 = Image("Tasmota", "ESP8266", "14.5.0", variant="tasmota")
ESP32 = Image("Tasmota", "ESP32", "14.5.0", variant="tasmota32")


@pytest.mark.parametrize("image", [ESP8266, ESP32], ids=["ESP8266", "ESP32"])
async def test_the_library_accepts_the_announcement(
    broker: Broker, tap: BrokerTap, library: Library, image: Image
) -> None:
    device = make(broker, image)
    await announced(device, tap)

    await library.discover()
    await device.stop()

    config = discovery.get_device_config(library.devices["8CAAB5A1B2C3"])
    assert (config["mac"], config["name"], config["sw"], config["manufacturer"]) == (
        "8CAAB5A1B2C3",
        "lamp",
        "14.5.0",
        "Tasmota",
    )


async def test_the_library_finds_a_switch_and_status_sensors(broker: Broker, tap: BrokerTap, library: Library) -> None:
    device = make(broker, ESP8266)
    await announced(device, tap)

    await library.discover()
    await device.stop()

    assert len(library.entities("8CAAB5A1B2C3", "switch")) == 1
    assert "status_sensor" in {config.endpoint for config, _ in library.sensors["8CAAB5A1B2C3"]}


async def test_the_switch_of_the_library_switches_the_device(broker: Broker, tap: BrokerTap, library: Library) -> None:
    device = make(broker, ESP8266)
    await announced(device, tap)
    await library.discover()
    [config] = library.entities("8CAAB5A1B2C3", "switch")
    switch = discovery.get_entity(config, library.client)
    states: list[bool] = []
    switch.set_on_state_callback(states.append)
    await switch.subscribe_topics()

    await switch.set_state(True)
    await device.wait_for(lambda d: d.power == ["ON"])
    await tap.settle()
    await library.hear(tap.on("stat/lamp/RESULT"))
    await device.stop()

    assert states[-1] is True


async def test_the_library_sees_a_deep_sleeper_as_one(broker: Broker, tap: BrokerTap, library: Library) -> None:
    device = make(broker, ESP8266, deep_sleep=DeepSleep(asleep=10, awake=1000), battery_percent=80)
    await announced(device, tap)

    await library.discover()
    await device.stop()

    found = library.devices["8CAAB5A1B2C3"]
    assert (found["dslp"], found["bat"]) == (1, 1)


async def test_a_cleared_announcement_removes_the_device(broker: Broker, tap: BrokerTap, library: Library) -> None:
    device = make(broker, ESP8266)
    await announced(device, tap)
    await tap.publish(device.command_topic("SetOption19"), "1")
    await tap.wait_for_message(lambda seen: seen.topic.endswith("/config") and not seen.payload)

    await library.discover()
    await device.stop()

    assert library.devices["8CAAB5A1B2C3"] == {}
