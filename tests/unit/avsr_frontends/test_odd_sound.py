"""Sound whose form changes inside a file, whose channels cancel, or of which there are several."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition

from avsr_frontends.media import DecodeReport, MediaError, iter_audio, probe, read_audio
from tests.clips import write_clip
from tests.shared_inputs import shared_input

PITCH_HZ = 440


def hum(seconds: float, rate: int, pitch_hz: float = PITCH_HZ) -> np.ndarray:
    return 0.4 * np.sin(2 * np.pi * pitch_hz * np.arange(round(seconds * rate)) / rate)


def pitch(samples: np.ndarray) -> float:
    """Frequency of the strongest tone in 16 kHz sound, Hz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(spectrum.argmax()) * 16_000 / len(samples)


@pytest.mark.parametrize(
    ("suffix", "codec", "rates"),
    [
        ("aac", "aac", (16_000, 44_100)),
        ("aac", "aac", (48_000, 8_000)),
        ("mp3", "libmp3lame", (44_100, 16_000)),
        ("ac3", "ac3", (48_000, 32_000)),
        ("ts", "aac", (16_000, 48_000)),
        ("oga", "flac", (16_000, 44_100)),
        ("flac", "flac", (48_000, 16_000)),
    ],
)
def test_each_frame_is_resampled_by_its_own_rate(
    tmp_path: Path, suffix: str, codec: str, rates: tuple[int, int]
) -> None:
    content = b""
    for rate, n_channels in zip(rates, (1, 2), strict=True):
        sound = np.stack([hum(2.0, rate)] * n_channels, axis=1).squeeze()
        part = tmp_path / f"{rate}.{suffix}"
        write_clip(part, sound=sound, sample_rate=rate, sound_codec=codec)
        content += part.read_bytes()
    path = tmp_path / f"changes.{suffix}"
    path.write_bytes(content)
    heard = read_audio(path)
    assert len(heard) / 16_000 == pytest.approx(4, abs=0.35)
    for span in (slice(4_000, 24_000), slice(-24_000, -6_000)):
        assert pitch(heard[span]) == pytest.approx(PITCH_HZ, abs=3)
    quiet = np.abs(heard.reshape(-1)[: len(heard) // 800 * 800].reshape(-1, 800)).max(axis=1) < 0.1
    assert quiet.sum() <= 5  # of pieces of 50 ms: no holes


def test_a_rate_that_changes_in_a_file_that_people_sent() -> None:
    heard = read_audio(shared_input("ratechange.aac"))
    assert len(heard) / 16_000 == pytest.approx(6.1, abs=0.15)


def stereo(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.stack([left, right], axis=1)


@pytest.mark.parametrize(
    ("suffix", "codec"), [("mov", "pcm_s16le"), ("m4a", "aac"), ("opus", "libopus")]
)
def test_channels_that_cancel_are_not_averaged(tmp_path: Path, suffix: str, codec: str) -> None:
    rate = 48_000
    voice = hum(3.0, rate)
    path = tmp_path / f"clip.{suffix}"
    write_clip(path, sound=stereo(voice, -voice), sample_rate=rate, sound_codec=codec)
    report = DecodeReport()
    heard = read_audio(path, report=report)
    assert np.abs(heard[2_000:40_000]).max() == pytest.approx(0.4, abs=0.05)
    assert pitch(heard[2_000:40_000]) == pytest.approx(PITCH_HZ, abs=2)
    assert report.warnings == [
        "the sound's channels cancel each other out (out of phase): only one was heard"
    ]


@pytest.mark.parametrize("kind", ["same", "one_silent", "unlike", "late"])
def test_channels_that_do_not_cancel_are_averaged(tmp_path: Path, kind: str) -> None:
    noise = np.random.default_rng(0).uniform(-0.4, 0.4, (2, 32_000))
    left = noise[0]
    right = {"same": left, "one_silent": 0 * left, "unlike": noise[1], "late": np.roll(left, 40)}
    path = write_clip(tmp_path / "clip.wav", sound=stereo(left, right[kind]))
    report = DecodeReport()
    heard = read_audio(path, report=report)
    np.testing.assert_allclose(heard, (left + right[kind]) / 2, atol=1e-3)
    assert report.warnings == []


def test_a_phase_that_turns_in_the_middle_is_followed(tmp_path: Path) -> None:
    voice = hum(6.0, 16_000)
    turned = np.where(np.arange(len(voice)) < len(voice) // 2, voice, -voice)
    path = write_clip(tmp_path / "clip.wav", sound=stereo(voice, turned))
    heard = np.concatenate(list(iter_audio(path)))
    assert len(heard) == len(voice)
    loud = np.abs(heard).reshape(-1, 800).max(axis=1) > 0.3
    assert loud.mean() > 0.8  # but for the half seconds in which it is noticed


def test_an_antiphase_film_that_people_sent() -> None:
    report = DecodeReport()
    heard = read_audio(shared_input("antiphase.mov"), report=report)
    assert np.abs(heard).max() > 0.05
    assert "cancel" in report.warnings[0]


def write_tracks(path: Path, tracks: list[tuple[float, str, Disposition]]) -> Path:
    """Sound tracks of a pitch (0 is silence), language and disposition."""
    with av.open(str(path), "w") as container:
        streams: list[Any] = []
        for _, language, disposition in tracks:
            stream: Any = container.add_stream("aac", rate=16_000, layout="mono")
            stream.metadata["language"], stream.disposition = language, disposition
            streams.append(stream)
        for stream, (pitch_hz, _, _) in zip(streams, tracks, strict=True):
            values = hum(2.0, 16_000, pitch_hz)
            samples = np.rint(values * 32767).astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 16_000, 0, Fraction(1, 16_000)
            container.mux(stream.encode(frame))
            container.mux(stream.encode())
    return path


NONE, DEFAULT, COMMENT = Disposition(0), Disposition.default, Disposition.comment


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_the_default_track_is_read_unless_another_is_wanted(tmp_path: Path, suffix: str) -> None:
    tracks = [(300.0, "deu", NONE), (500.0, "eng", DEFAULT), (700.0, "fra", NONE)]
    path = write_tracks(tmp_path / f"clip.{suffix}", tracks)
    wishes = {None: 500, 1: 300, 2: 500, 3: 700, "deu": 300, "ger": 300, "de": 300, "FR": 700}
    for wish, pitch_hz in wishes.items():
        heard = read_audio(path, audio_track=wish)
        assert pitch(heard[4_000:28_000]) == pytest.approx(pitch_hz, abs=3), wish
    assert [str(track) for track in probe(path).sound_tracks] == ["2 (eng)", "1 (deu)", "3 (fra)"]
    for wish in (4, 0, "ja"):
        with pytest.raises(MediaError, match=f"no sound track {wish}; there are: 1 .deu., 2"):
            read_audio(path, audio_track=wish)


def test_a_comment_is_not_read_before_the_film(tmp_path: Path) -> None:
    tracks = [(300.0, "eng", COMMENT | DEFAULT), (500.0, "eng", NONE)]
    path = write_tracks(tmp_path / "clip.mkv", tracks)
    assert pitch(read_audio(path)[4_000:28_000]) == pytest.approx(500, abs=3)


def test_two_tracks_that_people_sent() -> None:
    tracks = probe(shared_input("twoaudio_default2.mkv")).sound_tracks
    assert [str(track) for track in tracks] == ["2 (eng)", "1 (deu)"]
