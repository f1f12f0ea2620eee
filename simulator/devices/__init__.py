"""Simulated devices, one module per firmware family."""
