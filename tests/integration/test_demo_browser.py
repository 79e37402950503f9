"""The demo in a real browser: ``avsr demo`` with the bundled model, driven through Chromium."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests import demo_site
from tests.clips import write_clip
from tests.demo_site import SAMPLES, SENTENCE, Site, open_page, wait_until_read, words
from tests.signals import specks, tone

pytestmark = pytest.mark.skipif(
    bool(demo_site.LACKING), reason=f"needs {', '.join(demo_site.LACKING)}: .[test-demo], chromium"
)


def test_a_sample_is_read_three_ways(site: Site, browser: Any) -> None:
    page = open_page(browser, site)
    demo_site.upload(page, SAMPLES / "clean.mp4")
    page.fill("#reference textarea", SENTENCE)
    page.click("#read")
    wait_until_read(page)

    assert words(page, "av") == SENTENCE
    assert words(page, "audio").split()[:2] == SENTENCE.split()[:2]
    assert len(words(page, "video").split()) == 6
    assert "0%" in page.inner_text("#reading-av .score")
    rows = page.locator(".rates tbody tr")
    assert rows.count() == 4
    assert rows.nth(0).locator("td").all_inner_texts()[:4] == ["4", "2", SENTENCE, "74"]
    facts = page.inner_text(".facts")
    assert re.search(r"100% of 7\d frames", facts)
    assert "25 → 25 fps" in facts
    cues = page.evaluate(
        "[...document.getElementById('film-player').textTracks[0].cues].map((cue) => cue.text)"
    )
    assert cues[0] == "<b>set</b> blue with t one please"
    assert cues[-1].endswith("<b>please</b>")
    size = page.evaluate("[document.getElementById('mouth-loop').videoWidth]")
    assert size == [96]
    assert _shows_face_box(page)
    for link in page.locator("a.download").all():
        content = page.request.get(f"{site.url}/{link.get_attribute('href')}").text()
        assert "blue" in content
    assert demo_site.foreign(page, site) == []
    page.context.close()


def test_a_pressed_word_takes_the_film_there(site: Site, browser: Any) -> None:
    page = open_page(browser, site)
    page.click("#sample-clean")
    wait_until_read(page)
    first = page.locator("#reading-av button.word").first
    first.focus()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    page.wait_for_function("document.getElementById('film-player').currentTime > 1.5")

    page.wait_for_selector("#reading-av button.word.now >> text=please")
    page.context.close()


def test_babble_parts_the_readings(site: Site, browser: Any) -> None:
    page = open_page(browser, site)
    demo_site.set_babble(page, "-5")
    page.click("#sample-clean")
    wait_until_read(page)

    assert words(page, "audio") != SENTENCE
    assert words(page, "video") == SENTENCE
    assert page.locator("#reading-audio ins").count() > 0
    assert "SNR -5 dB" in page.inner_text(".facts")
    page.context.close()


def test_coarser_rates_take_fewer_tokens(site: Site, browser: Any) -> None:
    page = open_page(browser, site)
    demo_site.set_rate(page, "audio", 16)
    demo_site.set_rate(page, "video", 5)
    page.click("#sample-clean")
    wait_until_read(page)

    chosen = page.locator(".rates tr.chosen td").all_inner_texts()
    assert chosen[:2] == ["16", "5"]
    tokens = [int(text) for text in page.locator(".rates tbody td:nth-child(4)").all_inner_texts()]
    assert tokens == sorted(tokens, reverse=True)
    assert tokens[-1] == 24
    page.context.close()


def test_the_webcam_records_sound_and_picture(site: Site, browser: Any) -> None:
    page = open_page(browser, site, permissions=["camera", "microphone"])
    page.get_by_role("button", name="Capture from camera").click()
    page.click("#film button >> text=Access Webcam")
    page.click("#film button >> text=Record")
    page.wait_for_selector("#camera-note >> text=Recording 0:03 of 0:10")
    page.click("#film button >> text=Stop")
    page.wait_for_selector("#film video[src]")
    assert page.locator("#camera-note").text_content() == ""
    page.click("#read")
    wait_until_read(page)

    facts = page.inner_text(".facts")
    assert "kHz" in facts  # Gradio leaves the sound of webcams out unless told otherwise
    assert re.search(r"(9\d|100)% of \d+ frames", facts)
    assert set(words(page, "av").split()) & set(SENTENCE.split())
    page.context.close()


def test_what_cannot_be_read_is_told_plainly(site: Site, browser: Any, tmp_path: Path) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("These are notes and not a film.")
    write_clip(tmp_path / "faceless.mp4", specks(50), sound=tone(2.0), sound_codec="aac")
    write_clip(tmp_path / "long.mp4", [specks(1)[0]] * 300)
    page = open_page(browser, site)

    page.click("#read")
    assert "first" in page.inner_text("[role=alert]")
    assert "This file is not a media file" in _read_upload(page, text, "[role=alert]")
    assert "too long: 12 s" in _read_upload(page, tmp_path / "long.mp4", "[role=alert]")
    assert "No face was found in 50 frames" in _read_upload(
        page, tmp_path / "faceless.mp4", "#reading-video"
    )
    page.click("#sample-silent")
    page.wait_for_selector("#reading-audio >> text=This recording has no sound")
    wait_until_read(page)
    assert words(page, "video") == SENTENCE
    page.context.close()


def test_sessions_do_not_mix_and_leave_nothing(site: Site, browser: Any) -> None:
    one, two = open_page(browser, site), open_page(browser, site)
    demo_site.set_babble(one, "0")
    one.click("#sample-clean")
    two.click("#sample-silent")
    wait_until_read(one)
    wait_until_read(two)

    assert "babble added, SNR 0 dB" in one.inner_text(".facts")
    assert "no sound" in two.inner_text("#reading-audio")
    films = [page.get_attribute("#film-player", "src") for page in (one, two)]
    assert films[0] != films[1]
    assert two.request.get(f"{site.url}/{films[0]}").status == 200
    one.context.close()
    two.context.close()
    _wait_for(lambda: site.stored() == [], lambda: f"left: {site.stored()}")


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (390, "dark"), (1440, "dark")])
def test_the_page_fits(site: Site, browser: Any, width: int, scheme: str) -> None:
    page = open_page(browser, site, viewport={"width": width, "height": 844}, color_scheme=scheme)

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.body.classList.contains('dark')") == (scheme == "dark")
    assert page.evaluate(_LEAST_CONTRAST) >= 4.5
    page.context.close()


def test_keyboard_and_screen_reader(site: Site, browser: Any) -> None:
    page = open_page(browser, site)
    page.locator("#sample-clean").focus()
    page.keyboard.press("Enter")
    wait_until_read(page)

    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    roles = {"button", "slider", "textbox", "radio", "spinbutton", "link", "checkbox"}
    nameless = [
        node["role"]["value"]
        for node in nodes
        if not node.get("ignored")
        and node["role"]["value"] in roles
        and not node.get("name", {}).get("value")
    ]
    assert nameless == []
    assert any(node["role"]["value"] == "status" for node in nodes)
    page.context.close()


def test_programs_call_the_endpoint(site: Site) -> None:
    from gradio_client import Client, handle_file

    client = Client(site.url, verbose=False)
    api: Any = client.view_api(return_format="dict")
    described = api["named_endpoints"]["/transcribe"]
    clip = handle_file(str(SAMPLES / "clean.mp4"))
    plain = client.predict(video=clip, api_name="/transcribe")  # as the README has it
    result = client.predict(
        video=clip,
        reference=SENTENCE,
        snr_db=0,
        audio_rate=16,
        video_rate=5,
        api_name="/transcribe",
    )

    names = [parameter["parameter_name"] for parameter in described["parameters"]]
    assert names == ["video", "reference", "snr_db", "audio_rate", "video_rate"]
    assert "snr_db: mixes babble in" in described["description"]
    assert (plain["text"], plain["snr_db"]) == (SENTENCE, None)
    assert result["snr_db"] == 0
    assert 0 <= result["readings"]["av"]["segments"][0]["sound_share"] <= 1
    assert set(result["readings"]) == {"audio", "video", "av"}
    assert result["readings"]["av"]["audio_rate"] == 16
    assert result["readings"]["av"]["wer"] <= 0.34
    assert result["readings"]["av"]["segments"][0]["words"][0]["word"] == "set"
    assert len(result["rates"]) == 4
    with pytest.raises(Exception, match="not trained at audio rate 3"):
        client.predict(
            video=handle_file(str(SAMPLES / "clean.mp4")), audio_rate=3, api_name="/transcribe"
        )
    _wait_for(lambda: site.stored() == [], lambda: f"left: {site.stored()}")


def test_every_control_works_without_a_network(tmp_path: Path) -> None:
    script = Path(demo_site.__file__)
    isolated = ["unshare", "--net", *([] if os.getuid() == 0 else ["--map-root-user"])]
    if subprocess.run([*isolated, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("this system does not allow new network namespaces (unshare --net)")
    done = subprocess.run(
        [*isolated, sys.executable, str(script), str(tmp_path / "tour")],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)

    assert seen["foreign"] == []
    assert set(seen["contacts"]) <= {"127.0.0.1", "localhost"}
    assert seen["wer"] == 3
    assert len(seen["text"].split()) == 6
    assert "-->" in seen["download"]


def test_the_end_leaves_nothing(tmp_path: Path) -> None:
    with demo_site.running_site(tmp_path / "demo") as site:
        from gradio_client import Client

        Client(site.url, verbose=False)
        assert list(site.files.iterdir()) != []
        assert site.stop() == 0
        assert list(site.files.iterdir()) == []


# The smallest contrast between a text of ours and what lies behind it, as WCAG defines it.
_LEAST_CONTRAST = """(() => {
  const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b]
    .map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let node = element; node; node = node.parentElement) {
      const colour = parse(getComputedStyle(node).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const selector = ".masthead h1, .masthead p, .model-line, .model-line span, .consent, " +
    ".card h2, .card p, .legend, .legend .word, label span, #read, .samples button";
  return Math.min(...[...document.querySelectorAll(selector)]
    .filter((element) => element.offsetParent && element.textContent.trim())
    .map((element) => {
      const pair = [getComputedStyle(element).color, null];
      const [a, b] = [light(parse(pair[0])), light(behind(element))].sort((x, y) => y - x);
      return (a + 0.05) / (b + 0.05);
    }));
})()"""


def _read_upload(page: Any, path: Path, selector: str) -> str:
    """Upload a file, read it, and give the text of an element that then appears."""
    clear = page.locator("#film button[aria-label='Clear'], #film button[title='Clear']")
    if clear.count():
        clear.first.click()
    demo_site.upload(page, path)
    page.wait_for_selector(".status:empty", state="attached")  # nothing is left of an earlier one
    page.click("#read")
    page.wait_for_function(
        "document.querySelector('.status.problem') ||"
        " document.querySelector('.status')?.textContent.startsWith('Done in')"
    )
    return page.inner_text(selector)


def _shows_face_box(page: Any) -> bool:
    """Whether the film has pixels in the colour of the face's box."""
    return page.evaluate(
        """async () => {
            const film = document.getElementById("film-player");
            film.currentTime = 1.0;
            await new Promise((done) => film.addEventListener("seeked", done, { once: true }));
            const canvas = document.createElement("canvas");
            [canvas.width, canvas.height] = [film.videoWidth, film.videoHeight];
            const context = canvas.getContext("2d");
            context.drawImage(film, 0, 0);
            const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
            let n = 0;
            for (let i = 0; i < data.length; i += 4) {
                const near = [255, 122, 89].every((v, k) => Math.abs(data[i + k] - v) < 45);
                n += near;
            }
            return n > 50;
        }"""
    )


def _wait_for(condition: Any, complaint: Any) -> None:
    deadline = time.monotonic() + demo_site.PATIENCE_MS / 1000
    while not condition():
        assert time.monotonic() < deadline, complaint()
        time.sleep(0.2)
