"""What a visitor of the demo is shown in each state, on a desk and on a phone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from avsr_frontends.media import read_audio
from tests import demo_site
from tests.clips import write_clip
from tests.demo_site import SAMPLES, SENTENCE, Site, open_page, wait_until_read, words

pytestmark = pytest.mark.skipif(
    bool(demo_site.LACKING), reason=f"needs {', '.join(demo_site.LACKING)}: .[test-demo], chromium"
)
_DESK = {"width": 1440, "height": 900}
_PHONE = {"width": 390, "height": 844}


@pytest.fixture
def desk(site: Site, browser: Any) -> Iterator[Any]:
    """The page on a desk."""
    page = open_page(browser, site, viewport=_DESK)
    yield page
    page.context.close()


@pytest.fixture
def phone(site: Site, browser: Any) -> Iterator[Any]:
    """The page on a phone, in the dark."""
    page = open_page(browser, site, viewport=_PHONE, color_scheme="dark")
    yield page
    page.context.close()


def test_the_first_things_to_press_are_above_the_fold(desk: Any, phone: Any) -> None:
    assert all(_in_sight(desk, name) for name in ("#sample-clean", "#babble", "#read"))
    assert _in_sight(phone, "#sample-clean")
    assert phone.inner_text("#sample-clean").split("\n") == ["Clean", "grid-tiny"]
    assert phone.inner_text("#sample-english").split("\n") == ["Everyday English", "english"]


def test_on_a_phone_results_come_into_view_and_fit(phone: Any) -> None:
    phone.click("#sample-clean")
    phone.wait_for_selector(".status.busy")
    colour = "getComputedStyle(document.querySelector('.status progress')).color"
    assert phone.evaluate(colour) == "rgb(174, 163, 255)"  # of the theme, in the dark
    phone.wait_for_function(_IN_SIGHT, arg="#reading-audio")
    wait_until_read(phone)

    assert _in_sight_everywhere(phone, ".status")
    assert phone.evaluate("document.documentElement.scrollWidth") <= _PHONE["width"]
    wide = (
        "(at) => [...document.querySelectorAll(at)].map((it) => it.getBoundingClientRect().right)"
    )
    assert max(phone.evaluate(wide, ".rates td")) <= _PHONE["width"]
    names = phone.locator(".rates tr.chosen td[data-name]").evaluate_all(
        "(cells) => cells.map((cell) => getComputedStyle(cell, '::before').content)"
    )
    assert '"tokens "' in names


def test_what_was_changed_marks_the_readings_as_old(desk: Any) -> None:
    desk.click("#sample-clean")
    wait_until_read(desk)
    assert not desk.is_visible(".again")

    demo_site.set_babble(desk, "5")
    desk.wait_for_selector(".again")
    demo_site.set_babble(desk, "none")
    desk.wait_for_selector(".again", state="hidden")
    demo_site.set_rate(desk, "video", 5)
    desk.wait_for_selector(".again")
    demo_site.set_rate(desk, "video", 2)
    desk.wait_for_selector(".again", state="hidden")
    desk.fill("#reference textarea", "set blue with t one now")
    desk.wait_for_selector("#status-bar >> text=These readings are old")
    desk.click(".again")
    desk.wait_for_selector(".status.busy")
    wait_until_read(desk)

    assert not desk.is_visible(".again")
    assert "17%" in desk.inner_text("#reading-av .score")


def test_lips_help_where_babble_misleads_the_ear(desk: Any) -> None:
    demo_site.set_babble(desk, "5")
    desk.click("#sample-clean")
    wait_until_read(desk)

    assert words(desk, "audio") != SENTENCE
    assert words(desk, "video") == SENTENCE
    assert words(desk, "av") == SENTENCE
    assert "carried by sound" in desk.inner_text("#reading-av .share")


def test_a_sample_shows_the_babble_of_its_own(desk: Any) -> None:
    desk.click("#sample-babble_0db")
    desk.wait_for_selector("#babble-note >> text=has babble of its own, SNR 0 dB")
    wait_until_read(desk)
    assert "babble of its own, SNR 0 dB" in desk.inner_text(".facts")

    desk.click("#sample-english")
    desk.wait_for_selector("#babble-note p", state="detached")
    desk.wait_for_selector(".status.busy")
    wait_until_read(desk)
    assert "english reads this sample best" in desk.inner_text(".notes")


def test_sound_alone_is_uploaded_and_heard(desk: Any, tmp_path: Path) -> None:
    sound = tmp_path / "said.wav"
    write_clip(sound, sound=read_audio(SAMPLES / "clean.mp4"))
    demo_site.upload(desk, sound, "sound")
    desk.click("#read")
    wait_until_read(desk)

    assert words(desk, "audio") == SENTENCE
    assert "no picture" in desk.inner_text("#reading-video")
    assert desk.evaluate("document.getElementById('film-player').duration") > 2.5
    desk.click("#sample-silent")  # takes the place of the sound
    desk.wait_for_selector("#film video")
    desk.wait_for_selector(".status.busy")
    wait_until_read(desk)
    assert "no sound" in desk.inner_text("#reading-audio")


def test_long_texts_break_tell_times_and_are_copied(
    site: Site, browser: Any, tmp_path: Path
) -> None:
    long = _three_times(SAMPLES / "clean.mp4", tmp_path / "long.mp4")
    page = open_page(browser, site, permissions=["clipboard-read", "clipboard-write"])
    demo_site.upload(page, long)
    page.click("#read")
    wait_until_read(page)

    times = page.locator("#reading-av .when").all_inner_texts()
    assert len(times) == 3
    assert times == sorted(times)
    page.click("#reading-av .copy")
    page.wait_for_selector("#reading-av .copy >> text=Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.split() == words(page, "av").split()
    page.context.close()


def test_the_controls_leave_the_picture_free_and_the_status_stays(desk: Any) -> None:
    desk.click("#sample-clean")
    wait_until_read(desk)
    desk.wait_for_function("document.getElementById('film-player').videoWidth > 0")

    strip = """(() => {
        const film = document.getElementById("film-player");
        return film.clientHeight - film.clientWidth * film.videoHeight / film.videoWidth;
    })()"""
    assert desk.evaluate(strip) >= 70  # pixels under the picture, for the controls
    assert _in_sight_everywhere(desk, ".status")


def test_who_waits_sees_the_place_in_the_line(site: Site, browser: Any) -> None:
    pages = [open_page(browser, site) for _ in range(4)]  # there are two workers
    for page in pages:
        page.evaluate(_KEEP_STATUSES)
    for page in pages:
        page.click("#sample-clean")
    for page in pages:
        wait_until_read(page)

    seen = [text for page in pages for text in page.evaluate("statuses")]
    assert "Waiting: other recordings are being read. You are next …" in seen
    assert "Waiting: other recordings are being read. 1 before you …" in seen
    assert all(words(page, "av") == SENTENCE for page in pages)
    for page in pages:
        page.context.close()


def test_a_newer_wish_takes_the_place_of_an_older(desk: Any) -> None:
    desk.click("#sample-clean")
    desk.wait_for_selector(".status.busy")
    desk.click("#sample-silent")
    desk.wait_for_selector("#reading-audio >> text=no sound")
    wait_until_read(desk)

    assert "no sound" in desk.inner_text("#reading-audio")
    assert words(desk, "video") == SENTENCE


def test_a_camera_that_is_denied_is_told(site: Site, browser: Any) -> None:
    # The switches of the shared browser grant every page the camera.
    strict = demo_site.launch(browser.browser_type, "--use-fake-device-for-media-stream")
    page = open_page(strict, site)
    page.get_by_role("button", name="Capture from camera").click()
    page.click("#film button >> text=Access Webcam")

    page.wait_for_selector("#camera-note.problem >> text=The browser denies this page the camera")
    strict.close()


def _three_times(source: Path, target: Path) -> Path:
    """A clip that says the same three times."""
    with av.open(str(source)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    sound = np.tile(np.resize(read_audio(source), len(frames) * 640), 3)
    return write_clip(target, frames * 3, sound=sound, sound_codec="aac")


_IN_SIGHT = """(selector) => {
    const box = document.querySelector(selector).getBoundingClientRect();
    return box.height > 0 && box.top >= 0 && box.bottom <= innerHeight;
}"""


def _in_sight(page: Any, selector: str) -> bool:
    """Whether the whole of an element is in the window."""
    return page.evaluate(_IN_SIGHT, selector)


def _in_sight_everywhere(page: Any, selector: str) -> bool:
    """The same wherever the page is scrolled to."""
    places = ("0", "document.body.scrollHeight / 2", "document.body.scrollHeight")
    seen: list[bool] = []
    for place in places:
        page.evaluate(f"scrollTo({{ top: {place}, behavior: 'instant' }})")
        seen.append(_in_sight(page, selector))
    return all(seen)


# Keeps what the status said, in order.
_KEEP_STATUSES = """() => {
    window.statuses = [];
    new MutationObserver(() => {
        const text = document.querySelector("#status-bar .status")?.textContent ?? "";
        if (statuses.at(-1) !== text) statuses.push(text);
    }).observe(document.getElementById("status-bar"), { childList: true, subtree: true });
}"""
