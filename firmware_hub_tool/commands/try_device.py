r"""Try a real device on a real broker against the open device protocol, and say what it gets wrong.

Without --image nothing is installed: the device is only asked who it is. With an image, of another version than the one
that runs, the script sends orders that the device must refuse (wrong digest, too long, broken off, too late, ...), and
then installs the image: with two slots three times (left without a commit, ordered back, kept), so that it ends on the
version on which it began; with one slot once. The image is served over plain HTTP from this machine.

Stop the hub before, or take the device out of it: two masters confuse the script. Give only images that may run on the
device: what it must refuse is made of this one, so that a device that is fooled is not lost.

Examples:
  firmware-hub try-device plug-0a1b --broker 192.168.1.2
  firmware-hub try-device plug-0a1b --broker 192.168.1.2 --image plug-1.2.0.bin --release 1.2.0
  firmware-hub try-device plug-0a1b --broker mqtt.lan:8883 --tls --username lab --password-file pw \
      --image plug-1.2.0.bin --release 1.2.0 --bad-image plug-0.9.0.bin --bad-image lamp.bin
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import socket
import ssl
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path

import aiomqtt

from ..conformance.bench import BadImage, Bench, Plan
from ..conformance.image_server import ImageServer
from ..conformance.script import run as run_script
from ..conformance.talk import Talk
from ..core import limits
from ..faults import Code, Exit, Fault
from ..files import read_file
from ..report import Report

NAME, HELP = "try-device", "try a real device against the open device protocol"
_DEVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}", re.ASCII)
_QUICK = 0.0
_PORT, _TLS_PORT = 1883, 8883
# A name or an IPv4 address, perhaps with a port; an IPv6 address alone, or in brackets and perhaps with a port.
_BROKER = re.compile(
    r"(?:(?P<bare>[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*)"
    r"|(?:\[(?P<bracketed>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s:/\[\]]+))(?::(?P<port>[0-9]{1,5}))?)"
)


def add_arguments(parser: ArgumentParser) -> None:
    """Say what may stand on the command line."""
    parser.add_argument("device", metavar="ID", type=_device, help="its id in its topics: fwhub/device/ID/info")
    parser.add_argument("--broker", metavar="HOST[:PORT]", required=True, help="default port 1883, with --tls 8883")
    parser.add_argument("--username")
    parser.add_argument("--password-file", metavar="FILE", type=Path, help="the password, in the first line")
    parser.add_argument("--tls", action="store_true", help="speak TLS to the broker")
    parser.add_argument("--ca", metavar="FILE", type=Path, help="the authority that the broker's certificate is of")
    parser.add_argument("--image", metavar="FILE", type=Path, help="an image of another version that fits the device")
    parser.add_argument("--release", metavar="VERSION", help="the version that the device names when it runs the image")
    parser.add_argument(
        "--bad-image",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="an image that it must refuse: for other hardware, or with a lower counter; may be repeated",
    )
    parser.add_argument(
        "--address",
        metavar="IP",
        type=_ip,
        help="this machine's address as the device sees it; default: as the broker does",
    )
    parser.add_argument("--quick", action="store_true", help="leave out the trial without a commit: it takes minutes")
    parser.add_argument("--answer-seconds", metavar="N", type=_seconds, default=30.0, help="default %(default).0f")
    parser.add_argument("--install-seconds", metavar="N", type=_seconds, default=600.0, help="default %(default).0f")
    parser.add_argument("--trial-seconds", metavar="N", type=_seconds, default=360.0, help="default %(default).0f")


def run(args: Namespace, report: Report) -> Exit:
    """Do it."""
    if (args.image is None) != (args.release is None):
        raise Fault(Exit.USAGE, Code.USAGE, "--image and --release go together")
    host, port = broker_of(args)
    plan = Plan(
        image=read_file(args.image, limits.MAX_ARTIFACT_BYTES) if args.image else b"",
        version=args.release or "",
        bad_images=tuple(BadImage(path.name, read_file(path, limits.MAX_ARTIFACT_BYTES)) for path in args.bad_image),
        answer=args.answer_seconds,
        install=args.install_seconds,
        trial=_QUICK if args.quick else args.trial_seconds,
        flash=args.image is not None,
    )
    try:
        _run_loop(args, report, plan, host, port)
    except (aiomqtt.MqttError, OSError) as error:
        raise Fault(Exit.OUTSIDE, Code.BROKER_FAILED, str(error), path=f"{host}:{port}") from error
    wrong = sum(check.outcome == "failed" for check in report.checks)
    report.give(device=args.device, wrong=wrong)
    report.say()
    report.say(f"{wrong} thing{'' if wrong == 1 else 's'} wrong" if wrong else "nothing wrong was found")
    return report.end(Exit.NOT_GOOD if wrong else Exit.GOOD)


def _run_loop(args: Namespace, report: Report, plan: Plan, host: str, port: int) -> None:
    """Run the script; on Windows the client library needs the loop that can wait for sockets."""
    loop_factory = asyncio.SelectorEventLoop if sys.platform == "win32" else None
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(_try(args, report, plan, host, port))


async def _try(args: Namespace, report: Report, plan: Plan, host: str, port: int) -> None:
    password = None
    if args.password_file:
        password = read_file(args.password_file, limits.MAX_KEY_TEXT).split(b"\n", 1)[0].decode(errors="replace")
    address = args.address or _own_address(host, port)
    if plan.flash and ipaddress.ip_address(address).is_loopback:
        report.warn(f"the image is served on {address}: a device elsewhere needs --address")
    async with aiomqtt.Client(host, port, username=args.username, password=password, tls_context=_tls(args)) as client:
        talk = Talk(client, args.device)
        async with ImageServer(address, talk.stir) as server:
            listening = asyncio.create_task(talk.listen())
            try:
                await run_script(Bench(plan, talk, server, report, args.now))
            finally:
                listening.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await listening


def _tls(args: Namespace) -> ssl.SSLContext | None:
    if not args.tls:
        return None
    if args.ca is None:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cadata=read_file(args.ca, limits.MAX_KEY_TEXT).decode())
    except (ssl.SSLError, UnicodeDecodeError, ValueError) as error:
        raise Fault(Exit.BAD_INPUT, Code.NO_CERTIFICATE, str(error), path=str(args.ca)) from error


def broker_of(args: Namespace) -> tuple[str, int]:
    """Return host and port of the broker.

    Raises:
        Fault: the text names none.
    """
    found = _BROKER.fullmatch(args.broker)
    if found is None:
        raise Fault(Exit.USAGE, Code.USAGE, "no host with or without a port", path=args.broker)
    default = _TLS_PORT if args.tls else _PORT
    return found["bracketed"] or found["bare"] or found["host"], int(found["port"] or default)


def _own_address(host: str, port: int) -> str:
    """Return the address of this machine on the way to the broker; nothing is sent."""
    family = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0][0]
    with socket.socket(family, socket.SOCK_DGRAM) as way:
        way.connect((host, port))
        address: str = way.getsockname()[0]
        return address


def _ip(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as error:
        raise ArgumentTypeError("no IP address") from error


def _device(text: str) -> str:
    if not _DEVICE.fullmatch(text):
        raise ArgumentTypeError("no id of a device: 1 to 64 of A-Z a-z 0-9 _ . : -, beginning with a letter or digit")
    return text


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError as error:
        raise ArgumentTypeError("no number of seconds") from error
    if not 0 < seconds <= 86_400:
        raise ArgumentTypeError("not between 0 and 86400")
    return seconds
