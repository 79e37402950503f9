"""A demo and a browser for all tests of the page."""

from collections.abc import Iterator
from typing import Any

import av
import pytest

from tests import demo_site
from tests.demo_site import SAMPLES, Site


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A demo with the bundled model and two workers."""
    folder = tmp_path_factory.mktemp("site") / "demo"
    with demo_site.running_site(folder, "--workers", "2", "--max-seconds", "10") as running:
        yield running


@pytest.fixture(scope="session")
def camera(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Chromium's switches for a camera and a microphone that play the clean sample."""
    folder = tmp_path_factory.mktemp("camera")
    picture, sound = folder / "picture.y4m", folder / "sound.wav"
    with av.open(str(SAMPLES / "clean.mp4")) as source:
        with av.open(str(picture), "w", format="yuv4mpegpipe") as sink:
            track = sink.add_stream("wrapped_avframe", rate=25)
            track.width, track.height = (
                source.streams.video[0].width,
                source.streams.video[0].height,
            )
            track.pix_fmt = "yuv420p"
            for frame in source.decode(video=0):
                sink.mux(track.encode(frame))
        source.seek(0)
        with av.open(str(sound), "w") as sink:
            wave = sink.add_stream("pcm_s16le", rate=16_000)
            resampler = av.AudioResampler(format="s16", layout="mono", rate=16_000)
            for frame in source.decode(audio=0):
                for piece in resampler.resample(frame):
                    sink.mux(wave.encode(piece))
            sink.mux(wave.encode())
    return [
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={picture}",
        f"--use-file-for-fake-audio-capture={sound}",
    ]


@pytest.fixture(scope="session")
def browser(camera: list[str]) -> Iterator[Any]:
    """A browser for all tests; each opens sessions of its own."""
    with demo_site.running_browser(*camera) as running:
        yield running
