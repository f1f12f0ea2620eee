"""One night in front of an audience: a real Home Assistant, a real broker, and a simulated home to keep current.

``home_assistant`` and ``api`` run and drive a Home Assistant process and are used by the end-to-end tests too; the rest
is the demo itself: who is in it (``cast``), how it is set up (``stage``), what happens (``night``), how it is shown.
"""
