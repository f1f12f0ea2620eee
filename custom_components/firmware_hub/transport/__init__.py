"""Transport: MQTT and nothing else. It moves messages and says whether the broker is there; it decides nothing."""
