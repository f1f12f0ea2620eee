"""Programs that run as a process of their own: to be killed, or to have a small disk."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# The root of the integration imports all of it; these programs need a few modules below it.
_ALONE = """
import sys, types
import custom_components
root = types.ModuleType("custom_components.firmware_hub")
root.__path__ = [custom_components.__path__[0] + "/firmware_hub"]
sys.modules[root.__name__] = root
"""

SMALL_DISK = """
import os, subprocess
from pathlib import Path

def own_disk(folder, size):
    ids = os.getuid(), os.getgid()
    os.unshare(os.CLONE_NEWNS if ids[0] == 0 else os.CLONE_NEWNS | os.CLONE_NEWUSER)
    if ids[0]:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {ids[0]} 1")
        Path("/proc/self/gid_map").write_text(f"0 {ids[1]} 1")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)], check=True)

def small_disk(folder, size):
    try:
        own_disk(folder, size)
    except (OSError, subprocess.CalledProcessError) as error:
        print("no-own-disk", type(error).__name__)
        raise SystemExit
"""


def command(program: str, *arguments: object) -> list[str]:
    """The command line of a program."""
    return [sys.executable, "-c", _ALONE + program, *map(str, arguments)]


def run_child(program: str, *arguments: object) -> list[str]:
    """Run a program to its end and return the words that it printed."""
    done = subprocess.run(
        command(program, *arguments), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()
