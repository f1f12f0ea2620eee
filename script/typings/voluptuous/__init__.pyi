# Home Assistant answers this import with probatio; see homeassistant/__init__.py.
from probatio import *
from probatio import humanize as humanize, util as util, validators as validators
