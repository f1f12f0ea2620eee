"""Files: read within bounds, never overwritten by accident, replaced in one step."""

import http.server
import os
import subprocess
import sys
import threading
import urllib.request
from functools import partial
from pathlib import Path
from typing import override

import pytest

from firmware_hub_tool.faults import Fault
from firmware_hub_tool.files import alone, read_file, read_place, replace, write_new
from simulator.certificates import Authority
from tests.tool import wheelhouse
from tests.tool.conftest import Serve, Tool


def test_a_file_that_is_too_large_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(Fault, match="too_large"):
        read_file(path, 1000)


def test_a_file_of_exactly_the_bound_is_read(tmp_path: Path) -> None:
    (tmp_path / "exact").write_bytes(bytes(1000))
    assert len(read_file(tmp_path / "exact", 1000)) == 1000


def test_what_the_disk_does_not_give_is_the_outside(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(Fault, match="disk_failed"):
        read_file(tmp_path / "loop", 1000)


def test_a_dangling_link_is_a_file_that_stays(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Fault, match="file_exists"):
        write_new(tmp_path / "link", b"secret")
    assert not (tmp_path / "elsewhere").exists()


def test_a_failed_replacement_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "full").write_text("x")
    with pytest.raises(Fault, match="disk_failed"):
        replace(tmp_path / "folder", b"new")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["folder", "full"]


def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    with pytest.raises(Fault, match="disk_failed"):
        replace(tmp_path / "gone" / "file", b"new")
    with pytest.raises(Fault, match="disk_failed"), alone(tmp_path / "gone" / "lock"):
        pass


def test_a_lock_is_gone_after_a_failure(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), alone(tmp_path / "lock"):
        raise ZeroDivisionError
    assert not (tmp_path / "lock").exists()


def test_a_page_that_is_not_there_is_the_outside(tmp_path: Path, serve: Serve) -> None:
    with serve(tmp_path) as base, pytest.raises(Fault, match=r"fetch_failed.*404"):
        read_place(f"{base}/gone", 1000)


def test_a_page_that_never_ends_is_cut_off(tmp_path: Path) -> None:
    class Endless(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(bytes(65536))
            except OSError:
                return

        @override
        def log_message(self, format: str, *args: object) -> None:
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endless) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            with pytest.raises(Fault, match="too_large"):
                read_place(f"http://127.0.0.1:{server.server_port}/", 1_000_000)
        finally:
            server.shutdown()
            thread.join()


def test_a_server_of_ones_own_authority_is_read_when_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Authority()
    monkeypatch.setattr(urllib.request, "_opener", None)
    (tmp_path / "ca.pem").write_text(own.pem)
    (tmp_path / "manifest.jws").write_bytes(b"signed")
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        context = own.for_server("127.0.0.1").server_context()
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            place = f"https://127.0.0.1:{server.server_port}/manifest.jws"
            with pytest.raises(Fault, match=r"fetch_failed.*CERTIFICATE_VERIFY_FAILED"):
                read_place(place, 1000)
            monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
            # As in a run of its own: the library has read the environment once.
            monkeypatch.setattr(urllib.request, "_opener", None)
            assert read_place(place, 1000) == b"signed"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("place", ["file:///etc/hostname", "ftp://127.0.0.1/x", "http://user:secret@127.0.0.1/x"])
def test_no_other_kind_of_address_is_fetched(tool: Tool, place: str) -> None:
    assert tool.refusal("inspect", place) == (3, "file_not_found")


# --- passphrases at a terminal ----------------------------------------------------------------------------------------


def _keygen(folder: Path, typed: str) -> subprocess.CompletedProcess[str]:
    """Type at a process that has no terminal: it then asks on its standard input."""
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "firmware_hub_tool", "keygen", "k.pem", "--passphrase"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(wheelhouse.ROOT)},
        input=typed,
        capture_output=True,
        text=True,
        start_new_session=True,
        check=False,
    )


def test_a_passphrase_is_asked_for_twice(tmp_path: Path) -> None:
    ran = _keygen(tmp_path, "correct horse\ncorrect horse\n")
    assert ran.returncode == 0, ran
    assert b"ENCRYPTED" in (tmp_path / "k.pem").read_bytes()


@pytest.mark.parametrize("typed", ["correct horse\ncorrect house\n", "\n\n"])
def test_a_passphrase_that_is_not_twice_the_same_makes_no_key(tmp_path: Path, typed: str) -> None:
    assert _keygen(tmp_path, typed).returncode == 3
    assert not (tmp_path / "k.pem").exists()
