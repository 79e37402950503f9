"""The demo's tab *Live* in Chromium, with a camera and a microphone that play a sample."""

import re
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from avsr.live.sources import Picture, Sound
from avsr.live.wire import unpack
from tests import demo_site
from tests.demo_site import SENTENCE, Site, open_page

_LACKING = [name for name in ("gradio", "playwright") if find_spec(name) is None]
if demo_site.find_chromium() is None:
    _LACKING.append("chromium")
pytestmark = pytest.mark.skipif(
    bool(_LACKING), reason=f"needs {', '.join(_LACKING)}: pip install '.[test-demo]', chromium"
)

_DENIED = """navigator.mediaDevices.getUserMedia = () =>
  Promise.reject(new DOMException("Permission denied", "NotAllowedError"));"""
_NO_DEVICES = "Object.defineProperty(navigator, 'mediaDevices', { value: undefined });"


def _live_page(browser: Any, site: Site, script: str = "", **context: Any) -> Any:
    """The tab; what it sends is kept in ``page.sent``."""
    page = open_page(browser, site, permissions=["camera", "microphone"], **context)
    page.sent = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda sent: page.sent.append(sent)))
    if script:
        page.evaluate(f"() => {{ {script} }}")
    page.get_by_role("tab", name="Live").click()
    page.wait_for_selector("#live .toggle")
    return page


def _sent(page: Any) -> list[Picture | Sound]:
    return [unpack(message) for message in page.sent if isinstance(message, bytes)]


def _start(page: Any, way: str, noise: str = "") -> None:
    page.select_option("#live .way", way)
    page.select_option("#live .noise", noise)
    page.click("#live .toggle")


def _wait_until_told(page: Any, text: str) -> None:
    page.wait_for_selector(f"#live .told >> text={text}")


@pytest.fixture
def page(site: Site, browser: Any) -> Iterator[Any]:
    opened = _live_page(browser, site)
    yield opened
    opened.context.close()


def test_words_appear_while_one_speaks(site: Site, page: Any) -> None:
    _start(page, "av")
    page.wait_for_selector("#live .said li >> text=" + SENTENCE)
    assert page.inner_text("#live .toggle") == "Stop"  # it goes on
    items = _sent(page)
    assert site.stored() == []
    page.click("#live .toggle")
    _wait_until_told(page, "Stopped. Nothing was kept.")

    assert page.evaluate("document.querySelector('#live video').srcObject") is None
    lines = page.locator("#live .said li").all_inner_texts()
    assert all(re.match(r"\d:\d\d", line) for line in lines)
    for kind, least, shortest_s in ((Picture, 20, 0.0), (Sound, 20, 0.05)):
        times = [item.time_s for item in items if isinstance(item, kind)]
        assert len(times) > least
        assert all(b - a >= shortest_s for a, b in pairwise(times))
    pictures = [item.rgb for item in items if isinstance(item, Picture)]
    assert pictures[0].std() > 10
    assert max(pictures[0].shape) <= 640
    assert demo_site.foreign(page, site) == []
    assert site.stored() == []


def test_babble_is_mixed_in_at_once(page: Any) -> None:
    _start(page, "audio")
    _wait_until_told(page, "Speak")
    page.wait_for_timeout(4000)  # a sentence, and its pause
    n_clean = len(page.sent)
    page.select_option("#live .noise", "-10")
    page.wait_for_timeout(5000)
    items = _sent(page)
    assert {type(item) for item in items} == {Sound}
    levels = [np.sqrt(np.mean(item.samples**2)) for item in items if isinstance(item, Sound)]
    clean, noisy = levels[:n_clean], levels[n_clean + 10 :]
    assert np.median(noisy) > 2 * np.median(clean)


def test_three_readings_fill_the_room_until_their_visitor_leaves(site: Site, browser: Any) -> None:
    first, second = _live_page(browser, site), _live_page(browser, site)
    _start(first, "av,audio,video")
    first.wait_for_function(
        "[...document.querySelectorAll('#live .caption')].length === 3 &&"
        " [...document.querySelectorAll('#live .caption p')].filter((p) => p.innerText.trim())"
        ".length >= 2"
    )
    titles = first.locator("#live .caption h3").all_inner_texts()
    assert titles == ["Sound and lips", "Sound only", "Lips only"]
    _start(second, "audio")
    _wait_until_told(second, "no more are taken")
    first.context.close()
    second.wait_for_function(
        """async () => {
            const toggle = document.querySelector("#live .toggle");
            if (document.querySelector("#live .told").textContent.startsWith("Speak")) return true;
            if (!toggle.disabled && toggle.textContent === "Start") toggle.click();
            await new Promise((resolve) => setTimeout(resolve, 500));
            return false;
        }"""
    )
    second.context.close()


@pytest.mark.parametrize(
    ("script", "says"),
    [(_DENIED, "allow it in the address bar"), (_NO_DEVICES, "only to pages at https://")],
)
def test_what_the_browser_does_not_give_is_told(
    site: Site, browser: Any, script: str, says: str
) -> None:
    page = _live_page(browser, site, script)
    page.click("#live .toggle")
    _wait_until_told(page, says)
    assert "problem" in page.get_attribute("#live .told", "class")
    assert page.inner_text("#live .toggle") == "Start"
    page.context.close()


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (390, "dark"), (1440, "light")])
def test_the_tab_fits(site: Site, browser: Any, width: int, scheme: str) -> None:
    page = _live_page(browser, site, viewport={"width": width, "height": 844}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    box = page.locator("#live .toggle").bounding_box()
    assert box["height"] >= 44
    page.context.close()
