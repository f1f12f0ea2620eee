"""How a command ends, and why it could not do what it was asked."""

from __future__ import annotations

from enum import IntEnum, StrEnum

from .core.errors import BadInput, HubError, OutsideFailed
from .core.untrusted import clean_label


class Exit(IntEnum):
    """Exit codes; documented in every ``--help`` and in docs/for-makers.md."""

    GOOD = 0
    NOT_GOOD = 1
    USAGE = 2
    BAD_INPUT = 3
    FORBIDDEN = 4
    OUTSIDE = 5


class Code(StrEnum):
    """Reasons of the tool's own; a manifest or an image is refused with the hub's (``core.errors.Reason``)."""

    # what was given makes no sense
    USAGE = "usage"
    FILE_NOT_FOUND = "file_not_found"
    TOO_LARGE = "too_large"
    NO_PRIVATE_KEY = "no_private_key"
    WRONG_PASSPHRASE = "wrong_passphrase"  # noqa: S105 - the name of a fault
    PASSPHRASE_NEEDED = "passphrase_needed"  # noqa: S105 - the name of a fault
    NO_CERTIFICATE = "no_certificate"
    NO_YAML = "no_yaml"
    UNKNOWN_NAME = "unknown_name"
    NEEDS_QUOTES = "needs_quotes"
    NO_ADDRESS = "no_address"
    OUTSIDE_THE_FOLDER = "outside_the_folder"
    BAD_STATE = "bad_state"
    # what was asked must not happen
    FILE_EXISTS = "file_exists"
    SEQUENCE_TOO_LOW = "sequence_too_low"
    UNKNOWN_HISTORY = "unknown_history"
    KEY_NOT_ANNOUNCED = "key_not_announced"
    KEY_TOO_NEW = "key_too_new"
    SAME_KEY = "same_key"
    NOTHING_TO_DO = "nothing_to_do"
    CLOCK_BEHIND = "clock_behind"
    OTHER_RUN = "other_run"
    # the outside failed
    DISK_FAILED = "disk_failed"
    FETCH_FAILED = "fetch_failed"
    BROKER_FAILED = "broker_failed"


class Fault(Exception):
    """A command cannot go on: a code, one line for people, and the path of what is at fault."""

    def __init__(self, exit_code: Exit, code: str, detail: str, *, path: str = "") -> None:
        """Keep all of it; foreign text is cleaned here, because a terminal obeys control characters."""
        self.exit_code = exit_code
        self.code = code
        self.detail = clean_label(detail, 400)
        self.path = clean_label(path, 400)
        super().__init__(": ".join(part for part in (code, self.path, self.detail) if part))


def as_fault(error: HubError, *, where: str = "") -> Fault:
    """Turn a refusal of the hub's own code into a fault; ``where`` is the file that it is about."""
    exit_code = Exit.FORBIDDEN
    if isinstance(error, BadInput):
        exit_code = Exit.BAD_INPUT
    elif isinstance(error, OutsideFailed):
        exit_code = Exit.OUTSIDE
    path = ": ".join(part for part in (where, error.path) if part)
    return Fault(exit_code, error.reason, error.detail, path=path)
