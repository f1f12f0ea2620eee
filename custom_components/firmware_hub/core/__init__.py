"""The decisions of the firmware hub.

Contract: everything in this package is pure. It knows no clock (``now``, an aware UTC time, is the last argument),
does no input or output, starts no task and imports nothing of Home Assistant. It is told what happened (inputs) and
answers with what is to be done (effects).
"""
