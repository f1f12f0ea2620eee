"""What the hub costs, measured against named peers on the same machine. For script/bench; tests run the cheap rows."""
