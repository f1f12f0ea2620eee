"""The open device protocol's conformance script: does to a real device what a hub does, and what must not work."""
