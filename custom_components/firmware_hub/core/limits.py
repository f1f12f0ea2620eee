"""Every number of the hub, with its unit and its reason.

A limit on foreign input is a bound on memory or time, never a judgement of good taste; a limit on behaviour names the
section or the measurement that it comes from.
"""

from __future__ import annotations

from datetime import timedelta

# --- foreign input ---------------------------------------------------------------------------------------------------
MAX_PAYLOAD_BYTES = 4_000_000  # one MQTT message; Zigbee2MQTT's list of 200 devices is about 700 kB, and it holds 1,000
MAX_JSON_DEPTH = 32  # the deepest known message (Zigbee2MQTT exposes) has 12 levels
MAX_JSON_CONTAINERS = 400_000  # objects and lists of one document; each costs about 100 bytes of memory
MAX_TEXT = 255  # characters of a name, model, version or topic that is kept; Home Assistant's own state limit
MAX_URL = 2048  # characters
MAX_NOTES = 16_384  # characters of release notes kept for one release
MAX_SUMMARY = 255  # characters, Home Assistant's own cut
MAX_MANIFEST_BYTES = 5_000_000  # python-tuf's bound for targets metadata
MAX_INDEX_BYTES = 16_000_000  # of a public index; GitHub's list of ten Tasmota releases is about 4 MB, mostly unread
MAX_RELEASES = 5_000  # in one manifest
MAX_ARTIFACTS = 8  # of one release
MAX_ARTIFACT_BYTES = 128 * 1024 * 1024  # the largest public device image known is 62 MB (a gateway)
MAX_JWS_HEADER = 8_192  # bytes; a header names an algorithm and a key
MAX_KEYS = 16  # pinned for one feed, or pasted at once
MAX_KEY_TEXT = 65_536  # characters of what a person pastes as keys
MAX_RSA_BITS = 8_192  # the work of a check grows with the square
MAX_MODELS = 100  # models, or hardware revisions, of one release
MAX_FILE_NAME = 100  # characters of an artifact's name, which stands in the address that a device fetches
MAX_INSTALL_MINUTES = 1_440
MAX_LEDGER_LINES = 20_000  # models and revisions, times their versions, that one manifest may speak of
MAX_LEDGER_TAIL = 2_000  # releases and models that a feed's ledger remembers beyond those of its present manifest
MAX_SKIPPED_NOTES = 20  # releases whose notes one offer carries, within MAX_NOTES characters together
MAX_LIST = 1_000  # entries of any other foreign list

# --- the fleet -------------------------------------------------------------------------------------------------------
MAX_DEVICES = 9_700  # Home Assistant allows 10,000 enabled entities per entry: docs/decisions/0008
NEW_DEVICES_BURST = MAX_DEVICES  # retained announcements at a start arrive all at once
NEW_DEVICES_PER_MINUTE = 20  # afterwards: a flood of invented devices is an attack
FLOOD_OVER = timedelta(hours=1)  # so long without a refused device, the repair goes away by itself
RIVAL_OVER = timedelta(days=1)  # so long not heard elsewhere, a device that speaks is not doubted any more
START_GRACE = timedelta(minutes=5)  # while this lasts after (re)connecting, the burst limit counts
MAX_LASTING_ORDERS = 1_000  # topics with an order that the broker keeps; a home has none
MAX_LASTING_ISSUES = 20  # of them at once, as repairs
CLEARED_WITHIN = timedelta(minutes=1)  # so soon the broker has said that a topic is clear, or it is not
STRANGER_ONCE_MORE = timedelta(seconds=10)  # subscriptions are in force within five, see transport/ha_mqtt.py
STRANGER_AGAIN = timedelta(minutes=10)  # between two questions to somebody who has not said who it is

# --- approval --------------------------------------------------------------------------------------------------------
APPROVAL_LIFETIME = timedelta(days=30)
MISSED_WINDOWS_BEFORE_ISSUE = 3

# --- the install -----------------------------------------------------------------------------------------------------
PARALLEL_INSTALLS = 3  # per network, the default of the option
DEADLINE_MIN = timedelta(seconds=60)  # clamp(2 x install_minutes, this, the family's maximum)
FRESH_REPORT = timedelta(seconds=60)  # a device must have spoken this recently before a command is sent
PREFLIGHT_TIMEOUT = timedelta(seconds=20)  # how long a device may take to answer a query before it counts as silent
SILENT_RETRY = timedelta(minutes=10)  # a silent device is asked again after this, or when it speaks
FETCH_DEADLINE = timedelta(minutes=30)  # the hub's own download of one release
FETCH_RETRY = (timedelta(minutes=5), timedelta(minutes=30))  # then the attempt has failed
VERIFY_SETTLE = timedelta(seconds=10)  # a device must be online on the new version for this long
VERIFY_DEADLINE = timedelta(minutes=3)  # after its return a device must have proved itself within this
COMMIT_RESENDS = 3  # a commit is idempotent; a lost one may be repeated, unlike an install command
COMMIT_RETRY = timedelta(seconds=10)  # between two of them, and between two questions to a device on trial
ROLLBACK_DEADLINE = timedelta(minutes=5)  # within which a device is back on its old version, or lost
MAX_ATTEMPTS = 2  # a command that nobody reacted to may be tried once more, under a new id
RETRY_DELAY = timedelta(minutes=10)  # after an attempt without effect, before the next one
ASK_AGAIN = timedelta(seconds=30)  # a question on which a verdict waits may be lost; doubled each time
RESTART_GRACE = timedelta(seconds=60)  # after a restart or a lost connection a device gets this long to speak
PILOT_SETTLE = timedelta(minutes=10)  # default of the option: how long the first device must stay well
SETTLE_QUESTIONS = 3  # so many unanswered ones, and the first device is gone that was not heard since the connection
REFUSALS_BEFORE_HOLD = 2  # two devices refusing an image hold the version
WAKE_TIME = timedelta(hours=24)  # a bridge waits so long at most where no window ends it; most devices ask once a day
UNSCHEDULE_RETRY = timedelta(minutes=2)  # a bridge that has not said that it does not wait any more is told again
BATTERY_MAX_AGE = timedelta(hours=48)  # an older reading is no reading
MIN_BATTERY_PERCENT = 50  # for battery devices when the maker states nothing

# --- time ------------------------------------------------------------------------------------------------------------
TICK = timedelta(seconds=60)  # point timers are late after clock jumps (measured), so the hub also wakes by itself
CLOCK_TOLERANCE = timedelta(minutes=2)  # a clock this far behind the last time seen is not believed
CLOCK_JUMP = timedelta(hours=2)  # two ticks of one run this far apart are a jump
MISSED_TIME = timedelta(minutes=5)  # ticks come every minute: after this the machine slept, or its clock was set
CLOCK_SETTLE = timedelta(minutes=10)  # after a jump the clock is believed again when it ran this long
CLOCK_SAVE = timedelta(minutes=15)  # the mark is written this often: it spares flash memory
CLOCK_FORGIVE = timedelta(hours=24)  # a clock that stayed behind this long was right: the high-water mark was wrong

# --- sources ---------------------------------------------------------------------------------------------------------
FETCH_INTERVAL = timedelta(hours=6)
FETCH_BACKOFF = (timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2), timedelta(hours=6))
FETCH_JITTER = 0.2  # up to this part sooner: all homes lose a server at one moment, and must not come back at one
FETCHES_BEFORE_ISSUE = 4  # failures in a row: about nine hours of outage
MAX_MODEL_FEEDS = 200  # models that devices may name of which each has a page of its own; Shelly has about 150 apps
MAX_RETRY_AFTER = timedelta(days=1)  # a server may not silence a feed for longer
SUPPORT_NOTICE = timedelta(days=90)  # so long before a maker's support of a model ends, its owner is told
KEY_ROTATION_DELAY = timedelta(days=7)  # in which the owner can refuse a feed's next key (design section 5.1)
FEED_DEADLINE = timedelta(minutes=10)  # a fetch of which nothing was heard for this long is lost
QUERY_SPACING = timedelta(seconds=30)  # between two unasked queries to one device
QUERIES_PER_SECOND = 50  # unasked ones to all devices together: a start with 9,700 devices must not flood the broker
RESTORE_RETRY = timedelta(hours=1)  # settings that a device was not yet seen to have back are sent again

# --- work per turn of the loop ---------------------------------------------------------------------------------------
APPROVALS_PER_TURN = 50  # measured: 35 ms block, against 283 ms for 1,000 in one go
REFRESH_PER_TURN = 200
