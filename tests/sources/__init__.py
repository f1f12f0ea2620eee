"""Tests of the sources: pure, without Home Assistant."""
