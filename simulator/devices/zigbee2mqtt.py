"""A Zigbee device behind a simulated Zigbee2MQTT: what it does by radio. What is said on MQTT, its bridge says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Protocol, override

from simulator.devices.base import DeviceState, Download, SimulatedDevice
from simulator.images import Image
from simulator.link import Incoming, Link, Publication, Speaker
from simulator.zigbee_images import BULB, IKEA, OtaFile, build_of

REBOOT_SECONDS = 2.0
AWAKE_SECONDS = 30.0


class ZigbeeMisbehaviour(StrEnum):
    """Ways in which an update of such a device can go wrong, or be different."""

    REFUSES_IMAGE = "refuses_image"
    """It takes the whole image, then says ``INVALID_IMAGE``."""
    GIVES_UP = "gives_up"
    """It ends the transfer in the middle with ``ABORT``."""
    SILENT = "silent"
    """It never answers the bridge's question, which gives up after a minute."""
    DEAF_TO_UPDATES = "deaf_to_updates"
    """It says what it runs, but does not answer when an update is to begin: the bridge gives up after a minute."""
    FILE_UNUSABLE = "file_unusable"
    """The bridge cannot use the file, whose digest is wrong for example, and only says that there is no image."""
    STALLS = "stalls"
    """It stops asking for blocks in the middle, and the bridge gives up after 150 seconds."""
    COMES_BACK_OLD = "comes_back_old"
    """It takes the image, restarts, and runs what it ran before; the bridge says that all went well."""
    NEVER_RETURNS = "never_returns"
    """It takes the image and is never heard of again; the bridge says that all went well."""
    NO_ANNOUNCE = "no_announce"
    """It comes back on the new version without announcing itself: the bridge waits two minutes, then says success."""
    KILLS_BRIDGE = "kills_bridge"
    """The bridge dies in the middle of the transfer, once, and is back after ten seconds."""
    BUSY = "busy"
    """Somebody else's check or update of it is always under way."""
    OVERTAKEN = "overtaken"
    """Somebody else's check of it always begins just before an update of it."""
    FLASHES_ANYTHING = "flashes_anything"
    """It does not look for whom an image is."""
    SLEEPS = "sleeps"
    """It runs on a battery and hears nothing but for half a minute after it woke."""
    SLOW = "slow"
    """Everything takes ten times as long."""


class Radio(Protocol):
    """The bridge, as a device sees it."""

    async def joined(self, device: ZigbeeDevice) -> None:
        """Hear that a device is there."""
        ...

    async def lost(self, device: ZigbeeDevice) -> None:
        """Hear no more of a device."""
        ...

    async def asked(self, device: ZigbeeDevice) -> None:
        """Be asked by a device whether there is a newer image."""
        ...

    async def publish(self, publication: Publication) -> None:
        """Publish something."""
        ...


class RadioLink:
    """A device's way to its bridge."""

    def __init__(self, radio: Radio) -> None:
        """Belong to a bridge."""
        self._radio = radio
        self._device: ZigbeeDevice | None = None

    async def open(self, speaker: Speaker) -> None:
        """See ``Link``."""
        if not isinstance(speaker, ZigbeeDevice):
            raise TypeError("a radio is for Zigbee devices")
        self._device = speaker
        await speaker.on_connected()
        speaker.on_announced()

    async def publish(self, publication: Publication) -> None:
        """See ``Link``."""
        await self._radio.publish(publication)

    async def close(self) -> None:
        """See ``Link``."""
        self._device = None

    async def drop(self) -> None:
        """See ``Link``."""
        device, self._device = self._device, None
        if device is not None:
            await self._radio.lost(device)


class ZigbeeDevice(SimulatedDevice):
    """A lamp, a plug, or with ``battery_percent`` a sensor; ``image.version`` is a whole number.

    ``transfer_seconds`` is how long an image takes by radio; by default what Zigbee2MQTT estimates.
    """

    dialect = "zigbee2mqtt"

    def __init__(  # noqa: PLR0913  every option is named at the call
        self,
        *,
        name: str,
        ieee: str,
        image: Image,
        radio: Radio,
        speed: float = 1.0,
        misbehaviours: Iterable[ZigbeeMisbehaviour | str] = (),
        manufacturer_code: int = IKEA,
        image_type: int = BULB,
        battery_percent: int | None = None,
        transfer_seconds: float | None = None,
    ) -> None:
        """Lie on the shelf; ``name`` is the friendly name."""
        link: Link = RadioLink(radio)
        super().__init__(name=name, mac="", image=image, link=link, speed=speed)
        self.misbehaviours = {ZigbeeMisbehaviour(word) for word in misbehaviours}
        self.ieee = ieee
        self.radio = radio
        self.build = build_of(image.version)
        self.manufacturer_code = manufacturer_code
        self.image_type = image_type
        self.sleeps = self.does(ZigbeeMisbehaviour.SLEEPS)
        self.battery_percent = 81 if self.sleeps and battery_percent is None else battery_percent
        self.transfer_seconds = transfer_seconds
        self.awake = not self.sleeps
        self._wakes = 0
        if self.does(ZigbeeMisbehaviour.SLOW):
            self.speed /= 10

    def does(self, what: ZigbeeMisbehaviour) -> bool:
        """Say whether it misbehaves in this way."""
        return what in self.misbehaviours

    @property
    def hears(self) -> bool:
        """Whether a question reaches it and is answered."""
        return self.online and self.awake and not self.does(ZigbeeMisbehaviour.SILENT)

    @override
    def will(self) -> Publication | None:
        return None

    @override
    def filters(self) -> Sequence[str]:
        return ()

    @override
    async def _announce(self) -> None:
        await self.radio.joined(self)

    @override
    def _hear(self, message: Incoming) -> None:
        raise RuntimeError(f"a Zigbee device hears no MQTT: {message}")

    async def wake(self) -> None:
        """Wake up for a while and ask whether there is a newer image, as a sleeping device does now and then."""
        self._stay_awake()
        await self.radio.asked(self)

    def _stay_awake(self) -> None:
        """Be awake for a while from now on, and for as long as an image comes in."""
        self.awake = True
        self._changed()
        if self.sleeps:
            self._wakes += 1
            self._spawn(self._fall_asleep(self._wakes))

    async def _fall_asleep(self, wakes: int) -> None:
        await self._pause(AWAKE_SECONDS)
        await self.wait_for(lambda device: device.state is not DeviceState.DOWNLOADING, 600)
        if wakes == self._wakes:
            self.awake = False
            self._changed()

    # --- what its bridge makes it do ---------------------------------------------------------------------------------

    def command(self, attempt: str, *, retain: bool) -> None:
        """Note an install command that was sent to the bridge for it."""
        self._note_command(attempt, retain=retain)

    def set_state(self, state: DeviceState) -> None:
        """Be in the middle of something."""
        self._set(state)

    def judge(self, file: OtaFile) -> str:
        """Return the status with which it ends a transfer; empty if it takes the image."""
        if self.does(ZigbeeMisbehaviour.REFUSES_IMAGE):
            return "INVALID_IMAGE"
        fits = (file.manufacturer_code, file.image_type) == (self.manufacturer_code, self.image_type)
        return "" if fits or self.does(ZigbeeMisbehaviour.FLASHES_ANYTHING) else "INVALID_IMAGE"

    async def download(self, url: str, limit: int) -> Download:
        """Let the bridge fetch something on the device's behalf, and keep the record of it here."""
        return await self._download(url, limit=limit)

    def restart_into(self, file: OtaFile) -> None:
        """Write the image and restart, whatever becomes of the bridge meanwhile."""
        self._set(DeviceState.REBOOTING)
        self._spawn(self._flash(file))

    async def _flash(self, file: OtaFile) -> None:
        await self._pause(REBOOT_SECONDS)
        image = file.image
        if self.does(ZigbeeMisbehaviour.NEVER_RETURNS) or image is None:
            self._set(DeviceState.DEAD)
            return
        if not self.does(ZigbeeMisbehaviour.COMES_BACK_OLD):
            self.image, self.build = image, file.build
        self._stay_awake()  # whoever has just started is busy finding its way into the mesh
        await self._boot()

    async def become(self, image: Image) -> None:
        """Be changed by somebody else than the hub, through another bridge for example: restart into this image."""
        self._set(DeviceState.REBOOTING)
        await self._pause(REBOOT_SECONDS)
        self.image, self.build = image, build_of(image.version)
        await self._boot()
