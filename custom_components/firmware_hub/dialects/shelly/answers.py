"""What a Shelly's answers and notifications say: who it is, how it is, when it updates itself, how an update goes."""

from __future__ import annotations

import re
from dataclasses import fields

from ...core.errors import BadInput, Reason
from ...core.inputs import DeviceInput, DeviceReported, HealthReported, InstallReported, Stage
from ...core.model import OFFERED, Device, DeviceFacts, DeviceId
from ...core.shelly_builds import MANUFACTURER
from ...core.untrusted import Object, clean_label
from .topics import NAME, RPC

AUTO_UPDATE = "auto_update"
"""In the settings: the device's own schedule for updates, such as ``stable 0 0 0 * * *``, or ``off``."""
LOCKED = "locked"
"""In the settings: ``yes`` after the device refused a question for want of a password."""

_MAC = re.compile(r"[0-9A-F]{12}", re.ASCII)
_MAX_SECONDS = 2**40
_MAX_JOBS = 100
_MAX_EVENTS = 50
_MAX_GENERATION = 99
_UPDATE = "shelly.update"
# Wrong password, and locked out after too many of them (firmware 2.0).
_WANTS_PASSWORD = (401, 429)
# It has no room or no time for it now: it updates already.
_BUSY = -114
_STAGES = {
    "ota_begin": Stage.DOWNLOADING,
    "ota_progress": Stage.DOWNLOADING,
    "ota_success": Stage.CLAIMS_DONE,
    # Said half a second before; until then it answers with the old version.
    "scheduled_restart": Stage.REBOOTING,
    "ota_error": Stage.FAILED,
}
_COPIED = tuple(field.name for field in fields(DeviceFacts))


def identity(info: Object, address: str, known: Device | None) -> tuple[DeviceId, DeviceFacts]:
    """Read who a device is out of ``Shelly.GetDeviceInfo``.

    The app decides which firmware fits: it differs between the builds for Zigbee, for Matter and for add-ons, so that
    none of them is ever taken for another. The hardware code does not, since one app serves several revisions.

    Raises:
        BadInput: with the path of the fault; a device of the first generation does not speak like this.
    """
    info.integer("gen", 2, _MAX_GENERATION)
    mac = info.text("mac")
    if not _MAC.fullmatch(mac) or int(mac[1], 16) & 1 or mac == "0" * 12:
        raise BadInput(Reason.MALFORMED, "no MAC of one device", path=info.at("mac"))
    unlocked = known is not None and known.settings.get(LOCKED) == "yes" and not info.flag("auth_en", default=False)
    facts = DeviceFacts(
        name=info.label("name") or info.text("id"),
        manufacturer=MANUFACTURER,
        model=info.text("app"),
        hardware=info.text("model"),
        variant="",
        version=info.text("ver"),
        # The running one is in ``slot``; that the other one can be gone back to is not documented.
        slots=2,
        mac=mac,
        addresses=(address,),
        # From the topic on which it answered, never out of a payload.
        channel={"command": f"{address}{RPC}"},
        settings={LOCKED: "no"} if unlocked else None,
    )
    return f"mac:{mac}", facts


def status(found: Object, device: Device, *, whole: bool, retained: bool) -> tuple[DeviceInput, ...]:
    """Read how a device is. ``whole``: what a whole status does not mention is not there.

    Raises:
        BadInput: with the path of the fault.
    """
    system, power = found.optional_object("sys"), found.optional_object("devicepower:0")
    battery = power.optional_object("battery") if power is not None else None
    wifi = found.optional_object("wifi")
    facts = DeviceFacts(
        sleeps=_sleeps(system) if whole else None,
        battery_powered=_on_battery(power) if whole or power is not None else None,
        settings=_offered(system),
    )
    health = HealthReported(
        device.id,
        battery_percent=battery.optional_integer("percent", 0, 100) if battery is not None else None,
        rssi_dbm=wifi.optional_integer("rssi", -200, 50) if wifi is not None else None,
        uptime_s=system.optional_integer("uptime", 0, _MAX_SECONDS) if system is not None else None,
        retained=retained,
    )
    return (*_news(device, facts, retained=retained), health)


def schedule(found: Object, device: Device, *, retained: bool) -> tuple[DeviceInput, ...]:
    """Read out of ``Schedule.List`` whether the device updates itself, which would come between an approval and us.

    Raises:
        BadInput: with the path of the fault.
    """
    jobs = [job for job in found.objects("jobs", max_items=_MAX_JOBS) if job.flag("enable", default=False)]
    plans = [_plan(job, call) for job in jobs for call in job.objects("calls") if _is_update(call)]
    facts = DeviceFacts(settings={AUTO_UPDATE: clean_label("; ".join(plans)) or "off"})
    return _news(device, facts, retained=retained)


def refusal(error: Object, device: Device, *, retained: bool) -> tuple[DeviceInput, ...]:
    """Read why a question was not answered; it matters only if asking again could lock everybody out.

    Raises:
        BadInput: the error has no code.
    """
    if _code(error) not in _WANTS_PASSWORD:
        return ()
    return _news(device, DeviceFacts(settings={LOCKED: "yes"}), retained=retained)


def install(frame: Object, device: Device, attempt_id: str, *, retained: bool) -> tuple[DeviceInput, ...]:
    """Read what a device answered to the install command of an attempt.

    An error says that this device does not begin, for a reason of its own: it updates already, which is over some time,
    or it wants a password. It says nothing against the image, so it is never a rejection.

    Raises:
        BadInput: the error has no code.
    """
    error = frame.optional_object("error")
    if error is None:
        return (InstallReported(device.id, Stage.ACCEPTED, attempt_id=attempt_id, retained=retained),)
    detail = clean_label(f"error {_code(error)}: {error.label('message')}")
    stage = Stage.NOT_BEGUN if _code(error) == _BUSY else Stage.FAILED
    return (InstallReported(device.id, stage, attempt_id=attempt_id, detail=detail, retained=retained),)


def events(params: Object, device: Device, *, retained: bool) -> tuple[DeviceInput, ...]:
    """Read what a device says about an update of its own firmware, and not of what is attached to it.

    Raises:
        BadInput: with the path of the fault.
    """
    found = params.objects("events", max_items=_MAX_EVENTS)
    told = (_event(event, device, retained=retained) for event in found if event.label("component") == "sys")
    return tuple(item for item in told if item is not None)


def _event(event: Object, device: Device, *, retained: bool) -> InstallReported | None:
    stage = _STAGES.get(event.label("event"))
    if stage is None:
        return None
    percent = event.optional_integer("progress_percent", 0, 100)
    return InstallReported(device.id, stage, percent, detail=event.label("msg"), retained=retained)


def _sleeps(system: Object | None) -> bool | None:
    """Power from outside does not keep a sensor from sleeping, so it does not count here."""
    return None if system is None else bool(system.optional_integer("wakeup_period", 0, _MAX_SECONDS))


def _on_battery(power: Object | None) -> bool:
    external = power.optional_object("external") if power is not None else None
    return power is not None and not (external is not None and external.flag("present", default=False))


def _offered(system: Object | None) -> dict[str, str] | None:
    """Return what the vendor offers; builds for other radios (``alt``) are no updates and not looked at."""
    updates = system.optional_object("available_updates") if system is not None else None
    if updates is None:
        return None
    stable = updates.optional_object("stable")
    return {OFFERED: stable.text("version") if stable is not None else ""}


def _plan(job: Object, call: Object) -> str:
    params = call.optional_object("params")
    stage = params.label("stage") if params is not None else ""
    return f"{stage or 'stable'} {job.label('timespec')}".rstrip()


def _is_update(call: Object) -> bool:
    return call.label("method").casefold() == _UPDATE


def _code(error: Object) -> int:
    return error.integer("code", -(2**31), 2**31)


def _news(device: Device, facts: DeviceFacts, *, retained: bool) -> tuple[DeviceReported, ...]:
    """Make a report out of what is not known yet: most answers repeat the ones before.

    What the vendor offers is always told: that it is still so is what a command waits for.
    """
    settings = facts.settings or {}
    changed = (
        OFFERED in settings
        or any(device.settings.get(name) != value for name, value in settings.items())
        or any(
            value is not None and name != "settings" and value != getattr(device, name)
            for name in _COPIED
            for value in (getattr(facts, name),)
        )
    )
    return (DeviceReported(device.id, NAME, facts, retained=retained),) if changed else ()
