"""Firmware Hub's pure zone for vendors and makers: sign and check manifests without Home Assistant.

In the wheel this package also holds ``core``, ``dialects`` and ``sources``, the same files that the integration runs.
"""
