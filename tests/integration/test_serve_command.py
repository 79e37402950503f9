"""``avsr serve`` as a process: what it refuses to begin with, and how it ends."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from avsr.cli import run
from tests.serving import SAMPLES

ROOT = Path(__file__).parents[2]


def test_a_process_ends_well(tmp_path: Path) -> None:
    files, log = tmp_path / "files", tmp_path / "log.txt"
    files.mkdir()
    packages = os.pathsep.join(str(ROOT / part) for part in ("", "frontends", "adapters"))
    environment = os.environ | {
        "TMPDIR": str(files), "PYTHONPATH": packages, "AVSR_API_KEYS": "one, two",
    }  # fmt: skip
    command = [sys.executable, "-m", "avsr", "serve", "-m", "grid-tiny", "--port", "0"]
    with log.open("w") as errors:
        process = subprocess.Popen([*command, "--workers", "1"], stderr=errors, env=environment)
    try:
        address = _address(process, log)
        headers = {"authorization": "Bearer two"}
        assert httpx.get(f"{address}/v1/models").status_code == 401
        assert httpx.get(f"{address}/v1/models", headers=headers).status_code == 200
        with (SAMPLES / "clean.mp4").open("rb") as file:
            answer = httpx.post(
                f"{address}/v1/audio/transcriptions",
                headers=headers,
                files={"file": file},
                data={"model": "grid-tiny", "response_format": "text"},
                timeout=120,
            )
        assert answer.text == "set blue with t one please\n"
        assert [path.name[:11] for path in files.iterdir()] == ["avsr-serve-"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
        assert list(files.iterdir()) == []
        assert "Traceback" not in log.read_text()
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_one_that_was_killed_starts_again_in_its_place(tmp_path: Path) -> None:
    """As a service manager does it: on the same port, in the same folder of temporary files."""
    packages = os.pathsep.join(str(ROOT / part) for part in ("", "frontends", "adapters"))
    environment = os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": packages}
    port = "0"
    for _ in range(2):
        command = [sys.executable, "-m", "avsr", "serve", "-m", "grid-tiny", "--port", port]
        with (log := tmp_path / "log.txt").open("w") as errors:
            process = subprocess.Popen(command, stderr=errors, env=environment)
        try:
            address = _address(process, log)
            port = address.rpartition(":")[2]
            with socket.create_connection(("127.0.0.1", int(port))) as half:
                half.sendall(b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: a\r\n")
                with (SAMPLES / "clean.mp4").open("rb") as file:
                    answer = httpx.post(
                        f"{address}/v1/audio/transcriptions",
                        files={"file": file},
                        data={"model": "grid-tiny", "response_format": "text"},
                        timeout=300,
                    )
                assert answer.text == "set blue with t one please\n"
                process.kill()
                process.wait()
        finally:
            process.kill()
            process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        if found := re.search(r"runs at (http://\S+)/v1", log.read_text()):
            return found.group(1)
        time.sleep(0.1)
    raise AssertionError(f"the server did not start: {log.read_text()}")


def test_other_machines_need_keys(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVSR_API_KEYS", " , ")
    for host in ("0.0.0.0", "::", "example.org"):
        assert run(["serve", "--host", host]) == 2
        assert "AVSR_API_KEYS, or give --without-keys" in capsys.readouterr().err


def test_a_missing_package_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("avsr.commands.serve.find_spec", lambda name: name != "fastapi" or None)
    assert run(["serve"]) == 2
    assert "needs fastapi: pip install 'avsr[serve]'" in capsys.readouterr().err


def test_an_address_that_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert run(["serve", "-m", "grid-tiny", "--port", port]) == 2
    assert "choose another port (--port)" in capsys.readouterr().err
