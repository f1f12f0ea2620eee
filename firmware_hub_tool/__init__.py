"""Firmware Hub's pure zone for vendors and makers: sign and check manifests without Home Assistant.

``core``, ``dialects`` and ``sources`` are the very files that the integration runs: links in a checkout, copies in the
wheel. So what the tool signs is what the hub accepts, and what the tool refuses is what the hub refuses.
"""
