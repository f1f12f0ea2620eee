"""How a broker is spoken to in secret, with the certificates that its owner pasted."""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from ..core.errors import OutsideFailed, Reason

type RunBlocking = Callable[[Callable[[], ssl.SSLContext]], Awaitable[ssl.SSLContext]]


async def async_context(run_blocking: RunBlocking, authority: str, certificate: str, key: str) -> ssl.SSLContext:
    """Return what TLS needs; without an authority of its own the system's are believed. Raises OutsideFailed."""
    try:
        return await run_blocking(lambda: _context(authority, certificate, key))
    except (OSError, TypeError, ValueError) as error:
        # ssl.SSLError is an OSError; what is not ASCII is a TypeError.
        raise OutsideFailed(Reason.TLS_FAILED, str(error)) from error


def _context(authority: str, certificate: str, key: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=authority or None)
    if certificate:
        # The library reads a key from a file only.
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "client.pem"
            path.touch(mode=0o600)
            path.write_text(f"{certificate}\n{key}\n")
            # Without an answer ready, a key with a passphrase would be asked for on the terminal.
            context.load_cert_chain(path, password=lambda: "")
    return context
