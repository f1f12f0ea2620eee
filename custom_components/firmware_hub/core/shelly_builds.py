"""How Shelly names its builds, and what a version among them is.

First generation: ``20230913-112003/v1.14.0-gcb84623`` (date, time, tag, commit; dialects.md 3.2), and the tag is the
version. Older builds separate the commit with ``@``, some tags have two numbers (``v1.12``), and some builds have no
tag at all (``20191217-140757/1047-long-id-for-shelly-devices@a0661583``). What is no plain version is kept whole: it
compares with nothing, so that nothing is offered for it (invariant 4).

Later generations name the version apart, as Semantic Versioning has it.
"""

from __future__ import annotations

import re

MANUFACTURER = "Shelly"
_TAGGED = re.compile(r"[0-9]{8}-[0-9]{6}/v(?P<version>[0-9]{1,5}(\.[0-9]{1,5}){1,3})([-@]g?[0-9a-f]{6,40})?", re.ASCII)


def version_of_build(build: str) -> str:
    """Return the version in the name of a first-generation build; the whole name if it has none. Never raises."""
    found = _TAGGED.fullmatch(build)
    return build if found is None else found["version"]
