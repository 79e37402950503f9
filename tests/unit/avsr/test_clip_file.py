"""Clip files: what comes back, what is refused; crops that are prepared by others."""

from pathlib import Path

import numpy as np
import pytest

from avsr.clips.cache import source_key
from avsr.clips.clip import Clip, load_clip, read_note, save_clip, save_failure
from avsr.clips.read import read_clip, read_utterance
from avsr.manifest import Utterance
from avsr.preparation.prepare import clip_path
from avsr_frontends.landmarks import TrackReport
from avsr_frontends.media import MediaError
from tests.clips import write_clip
from tests.signals import specks, tone


def _clip(n_frames: int = 30) -> Clip:
    generator = np.random.default_rng(0)
    return Clip(
        audio=tone(1.2),
        mouth=generator.integers(0, 255, (n_frames, 96, 96), dtype=np.uint8),
        face=TrackReport(n_frames=n_frames, coverage=0.9, face_width_px=80.0, gaps=[(0.1, 0.3)]),
        warnings=("1 corrupt picture frame(s) skipped",),
        undecodable=("sound",),
    )


def test_a_clip_comes_back(tmp_path: Path) -> None:
    clip, path = _clip(), tmp_path / "a.npz"
    assert clip.audio is not None
    assert clip.mouth is not None
    note = save_clip(path, clip, ["key", 1.5, None])
    assert read_note(path) == note
    assert (note.n_frames, note.n_samples, note.duration_s) == (30, 19_200, 1.2)
    again = read_clip(path)
    assert again.audio is not None
    assert again.mouth is not None
    np.testing.assert_array_equal(again.mouth, clip.mouth)
    assert np.abs(again.audio - clip.audio).max() <= 0.5 / 32767 + 1e-9
    assert (again.face, again.warnings, again.undecodable) == (
        clip.face,
        clip.warnings,
        clip.undecodable,
    )


def test_parts_and_single_streams(tmp_path: Path) -> None:
    clip, path = _clip(), tmp_path / "a.npz"
    assert clip.mouth is not None
    save_clip(path, clip, [])
    part = read_clip(path, 0.4, 0.8)
    assert part.mouth is not None
    np.testing.assert_array_equal(part.mouth, clip.mouth[10:20])
    assert part.audio is not None
    assert len(part.audio) == 6_400
    heard = read_clip(path, picture=False)
    assert heard.mouth is None
    assert heard.face is None
    assert read_clip(path, sound=False).audio is None


def test_failures_and_damage_are_media_errors(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with pytest.raises(MediaError, match="run avsr prepare"):
        load_clip(path)
    save_failure(path, "a.mp4: is truncated", [])
    with pytest.raises(MediaError, match=r"could not be prepared: a\.mp4: is truncated"):
        load_clip(path)
    save_clip(path, _clip(), [])
    path.write_bytes(path.read_bytes()[:-200])
    assert read_note(path) is None
    with pytest.raises(MediaError, match="damaged"):
        load_clip(path)
    np.savez(path, other=np.zeros(3))
    with pytest.raises(MediaError, match="is no clip file"):
        load_clip(path)


def test_ready_made_crops_with_their_sound_beside(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    crops = np.kron(generator.integers(0, 255, (30, 6, 6, 1)), np.ones((1, 16, 16, 3)))
    frames = list(crops.astype(np.uint8))
    video = write_clip(tmp_path / "a.mp4", frames, fps=30)  # a wrong rate, as some scripts write
    sound = write_clip(tmp_path / "a.wav", sound=tone(1.2))
    utterance = Utterance(id="a", path=video, text="x", audio_path=sound, cropped=True)
    clip = read_utterance(utterance)
    assert clip.mouth is not None
    assert clip.audio is not None
    assert clip.mouth.shape == (30, 96, 96)
    assert np.abs(clip.mouth[:, 8::16, 8::16] - crops[:, 8::16, 8::16, 0]).max() < 12
    assert len(clip.audio) == 19_200
    assert clip.face is not None
    assert clip.face.coverage == 1.0
    part = read_utterance(
        Utterance(id="a", path=video, text="x", start=0.2, end=0.6, cropped=True), sound=False
    )
    assert part.mouth is not None
    np.testing.assert_array_equal(part.mouth, clip.mouth[5:15])
    write_clip(tmp_path / "big.mp4", specks(5))
    with pytest.raises(MediaError, match=r"pictures of 128x96, expected mouth crops of 96x96"):
        read_utterance(Utterance(id="b", path=tmp_path / "big.mp4", text="x", cropped=True))


def test_keys_follow_the_files(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.wav", sound=tone(0.3))
    whole = Utterance(id="a", path=path, text="x")
    part = Utterance(id="a", path=path, text="x", start=0.1)
    first = source_key(whole)
    assert first == source_key(whole)
    assert first != source_key(part)
    write_clip(path, sound=tone(0.4))
    assert source_key(whole) not in (None, first)
    path.unlink()
    assert source_key(whole) is None


@pytest.mark.parametrize(
    ("clip_id", "path"),
    [
        ("test/abc/00001", "clips/test/abc/00001.npz"),
        ("odd: ?", "clips/odd%3A %3F.npz"),
        ("../../up", "clips/%2E./%2E./up.npz"),
        ("/root", "clips/%2E/root.npz"),
        (".hidden", "clips/%2Ehidden.npz"),
    ],
)
def test_paths_stay_in_the_folder(clip_id: str, path: str) -> None:
    assert clip_path(clip_id).as_posix() == path


def test_long_ids_keep_their_difference() -> None:
    one, two = (clip_path("x" * 300 + end) for end in "ab")
    assert one != two
    assert len(one.name) < 130
