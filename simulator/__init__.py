"""A home to rehearse in: simulated devices, a simulated vendor and a real broker.

The demo, the tests and the benchmarks use the same ones. Nothing here needs Home Assistant. Devices speak real MQTT,
download over real HTTP and become what the flashed image says they are; the vendor signs with real keys.
"""
