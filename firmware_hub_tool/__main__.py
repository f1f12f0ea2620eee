"""``python -m firmware_hub_tool`` is the command ``firmware-hub``."""

import sys

from .cli import main

sys.exit(main())
