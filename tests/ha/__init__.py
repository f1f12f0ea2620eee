"""The integration inside a real Home Assistant core."""
