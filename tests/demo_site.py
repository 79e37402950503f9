"""A running demo and a browser, for tests: helpers that start both and read the page.

Run as a script, it makes a tour of every control without a network: see ``test_demo_browser.py``.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "demo" / "samples"
SENTENCE = "set blue with t one please"
PATIENCE_MS = float(os.environ.get("AVSR_TEST_PATIENCE_S", "60")) * 1000
LACKING = [name for name in ("gradio", "playwright") if find_spec(name) is None]
LACKING += [] if shutil.which("chromium") or shutil.which("chromium-browser") else ["chromium"]
_PACKAGES = [str(ROOT / part) for part in ("", "frontends", "adapters", "demo")]

# Reports each address that the server's Python connects to or asks a name server for.
_WATCHED = """
import sys
def report(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        print("contact", arguments[1][0], file=sys.stderr, flush=True)
    if event == "socket.getaddrinfo":
        print("contact", arguments[0], file=sys.stderr, flush=True)
sys.addaudithook(report)
from avsr.cli import main
main()
"""


@dataclass
class Site:
    """A demo that runs in a process of its own.

    Attributes:
        url: its address.
        files: the folder in which it makes temporary files.
        process: the server.
        log: what it wrote to standard error.
    """

    url: str
    files: Path
    process: subprocess.Popen[str]
    log: Path

    def contacts(self) -> set[str]:
        """Hosts that the server connected to or looked up."""
        return set(re.findall(r"^contact (\S+)", self.log.read_text(), re.MULTILINE))

    def stored(self) -> list[str]:
        """Names of all files of visitors that the server keeps at present."""
        found: list[str] = []
        for folder, _, names in os.walk(self.files):  # passes over what vanishes meanwhile
            if any(part.startswith("avsr-demo-") for part in Path(folder).parts):
                found += names
        return sorted(found)

    def stop(self) -> int:
        """End the server as a service manager would; returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=PATIENCE_MS / 1000)


def find_chromium() -> str | None:
    """The installed Chromium, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def running_site(folder: Path, *options: str) -> Iterator[Site]:
    """Start ``avsr demo`` on a free port; ends it, if that has not been done, on leaving."""
    files, log = folder / "files", folder / "log.txt"
    files.mkdir(parents=True)
    environment = os.environ | {"TMPDIR": str(files), "PYTHONPATH": os.pathsep.join(_PACKAGES)}
    command = [sys.executable, "-c", _WATCHED, "demo", "--port", "0", *options]
    with log.open("w") as errors:
        process = subprocess.Popen(command, stderr=errors, env=environment, cwd=folder, text=True)
    try:
        yield Site(url=_address(process, log), files=files, process=process, log=log)
    finally:
        process.kill()
        process.wait()


def _address(process: subprocess.Popen[str], log: Path) -> str:
    deadline = time.monotonic() + 2 * PATIENCE_MS / 1000
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r"runs at (http://\S+)", log.read_text())
        if found:
            return found.group(1)
        time.sleep(0.1)
    raise AssertionError(f"the demo did not start: {log.read_text()}")


def open_page(browser: Any, site: Site, **context: Any) -> Any:
    """Open the page in a session of its own; every request it makes is kept in ``page.asked``."""
    page = browser.new_context(**context).new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.asked = []
    page.on("request", lambda request: page.asked.append(request.url))
    page.goto(site.url)
    page.wait_for_selector("#read")
    page.wait_for_selector("#babble input")
    page.wait_for_function("document.querySelector('#film input[type=file]')")
    return page


def foreign(page: Any, site: Site) -> list[str]:
    """Requests of a page to anything but the site."""
    own = (site.url, "data:", "blob:")
    return [url for url in page.asked if not url.startswith(own)]


def wait_until_read(page: Any) -> None:
    """Wait until all readings, films and the table are there."""
    page.wait_for_selector(".status >> text=Done in")


def words(page: Any, modality: str) -> str:
    """The words of a reading as shown, without marks."""
    return page.evaluate(
        """(id) => [...document.querySelectorAll(`#${id} button.word`)].map((word) => {
            const copy = word.cloneNode(true);
            for (const extra of copy.querySelectorAll("sup, .spoken-only")) extra.remove();
            return copy.textContent.trim();
        }).join(" ")""",
        f"reading-{modality}",
    )


def set_babble(page: Any, choice: str) -> None:
    """Press one of the ratios of voice to babble, or "none"."""
    radio = page.get_by_role("radio", name=choice, exact=True)
    page.locator("#babble label").filter(has=radio).click()


def set_rate(page: Any, stream: str, rate: int) -> None:
    """Press one of the rates of "audio" or "video"."""
    page.locator(f"#{stream}-rate").get_by_role("radio", name=str(rate), exact=True).check()


def upload(page: Any, path: Path, kind: str = "film") -> None:
    """Choose a file in one of the two tabs, and wait until it has arrived."""
    if kind == "sound":
        page.get_by_role("tab", name="Only sound").click()
        page.wait_for_selector("#sound input[type=file]", state="attached")
    page.set_input_files(f"#{kind} input[type=file]", path)
    page.wait_for_selector(f"#{kind} video" if kind == "film" else "#sound [data-testid*=waveform]")


@contextmanager
def running_browser(*arguments: str) -> Iterator[Any]:
    """Start Chromium without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = launch(playwright.chromium, *arguments)
        try:
            yield browser
        finally:
            browser.close()


def launch(chromium: Any, *arguments: str) -> Any:
    """Start one more browser of Playwright's type ``chromium``."""
    quiet = ("--disable-background-networking", "--disable-component-update", "--no-first-run")
    return chromium.launch(
        executable_path=find_chromium(),
        args=["--no-sandbox", "--disable-gpu", *quiet, *arguments],
        timeout=PATIENCE_MS,
    )


def tour(folder: Path) -> dict[str, Any]:
    """Use every control of the page once; returns what was seen."""
    camera = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
    with running_site(folder) as site, running_browser(*camera) as browser:
        page = open_page(browser, site)
        seen: dict[str, Any] = {}
        upload(page, SAMPLES / "clean.mp4")
        page.fill("#reference textarea, #reference input", SENTENCE)
        set_babble(page, "0")
        set_rate(page, "audio", 16)
        set_rate(page, "video", 5)
        page.click("#read")
        wait_until_read(page)
        seen["text"] = words(page, "av")
        seen["wer"] = page.locator(".score").count()
        page.locator("#reading-av button.word").first.click()
        page.click("#mouth-toggle")
        page.evaluate("document.getElementById('film-player').pause()")
        with page.expect_download() as download:
            page.click("a.download >> nth=0")
        seen["download"] = Path(download.value.path()).read_text()
        for sample in ("clean", "babble_0db", "silent"):
            page.click(f"#sample-{sample}")
            page.wait_for_selector(".status.busy")
            wait_until_read(page)
        page.get_by_role("button", name="Capture from camera").click()
        page.click("#film button >> text=Access Webcam")
        page.wait_for_selector("#film button >> text=Record")
        page.get_by_role("button", name=re.compile("API")).click()
        page.wait_for_timeout(1000)
        seen["foreign"] = foreign(page, site)
        seen["contacts"] = sorted(site.contacts())
    return seen


def _raise_loopback() -> None:
    """Switch the loopback interface of a new network namespace on."""
    import fcntl
    import socket
    import struct

    get_flags, set_flags, up = 0x8913, 0x8914, 0x1  # SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sH14s", b"lo", 0, b"")
        flags = struct.unpack("16sH14s", fcntl.ioctl(control, get_flags, request))[1]
        fcntl.ioctl(control, set_flags, struct.pack("16sH14s", b"lo", flags | up, b""))


if __name__ == "__main__":
    _raise_loopback()
    print(json.dumps(tour(Path(sys.argv[1]))))
