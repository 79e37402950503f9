"""Keeping the mouth crops that an input was read from, as videos to look at or to use again."""

import io
from pathlib import Path
from typing import Any

import av
import numpy as np

from avsr.atomic import atomic_file
from avsr.clips.clip import Clip
from avsr.errors import InputError
from avsr_frontends.rates import MOUTH_SIZE, VIDEO_FPS

_NOBODY = 1  # number under which lips without a person are kept


class SavedLips:
    """Writes ``STEM-face1.mp4`` and so on, one for each person, when all is read.

    The videos run from the start of what was read, black where the face was not seen; they can be
    read again as prepared mouth crops. In memory is only what is not encoded yet.
    """

    def __init__(self, stem: Path) -> None:
        """Name the files; nothing is written yet.

        Args:
            stem: their path without ``-face1.mp4``, in a folder that exists.
        """
        self._stem = stem
        self._people: dict[int, _MouthVideo] = {}
        self._n_frames = 0

    def add(self, clip: Clip) -> None:
        """Take the next stretch."""
        lips = {one.person: one.mouth for one in clip.faces}
        if not lips and clip.mouth is not None:
            lips = {_NOBODY: clip.mouth}
        n_frames = clip.face.n_frames if clip.face is not None else 0
        n_frames = max(n_frames, *(len(mouth) for mouth in lips.values()), 0)
        for person, mouth in lips.items():
            if person not in self._people:
                self._people[person] = _MouthVideo()
            video = self._people[person]
            video.add_black(self._n_frames - video.n_frames)
            video.add(mouth)
        self._n_frames += n_frames

    def write(self) -> list[Path]:
        """Write the files, each whole or not at all.

        Returns:
            Their paths; none where no face was seen.

        Raises:
            InputError: if one cannot be written.
        """
        try:
            return self._write()
        except OSError as error:
            raise InputError(
                f"{self._stem}: cannot save the lips ({error.strerror}); free space or change the "
                "folder"
            ) from error

    def _write(self) -> list[Path]:
        paths = []
        for person, video in sorted(self._people.items()):
            path = self._stem.with_name(f"{self._stem.name}-face{person}.mp4")
            video.add_black(self._n_frames - video.n_frames)
            content = video.finish()
            with atomic_file(path) as file:
                file.write(content)
            paths.append(path)
        return paths


class _MouthVideo:
    """One video in memory, about 10 kB a second."""

    def __init__(self) -> None:
        self.n_frames = 0
        self._content = io.BytesIO()
        self._container = av.open(self._content, "w", format="mp4")
        self._track: Any = self._container.add_stream(
            "libx264", rate=VIDEO_FPS, options={"crf": "10", "preset": "veryfast"}
        )
        self._track.height = self._track.width = MOUTH_SIZE
        self._track.pix_fmt = "yuv420p"

    def add(self, crops: np.ndarray) -> None:
        """Append crops, [T, 96, 96] uint8."""
        for crop in crops:
            picture = np.repeat(crop[..., None], 3, axis=-1)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            self._container.mux(self._track.encode(frame))
            self.n_frames += 1

    def add_black(self, n_frames: int) -> None:
        """Append pictures of nothing."""
        self.add(np.zeros((max(0, n_frames), MOUTH_SIZE, MOUTH_SIZE), dtype=np.uint8))

    def finish(self) -> bytes:
        """End the video; its content."""
        self._container.mux(self._track.encode())
        self._container.close()
        return self._content.getvalue()
