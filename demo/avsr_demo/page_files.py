"""The files that the page plays and offers for download."""

from pathlib import Path

from avsr import TranscriptionResult
from avsr.clips.clip import Clip
from avsr.rendering import render
from avsr_demo.captions import following_captions
from avsr_demo.film import marked_frames, write_film
from avsr_demo.findings import Films
from avsr_frontends.landmarks import FaceTrack
from avsr_frontends.media import MediaInfo, iter_video

DOWNLOADS = ("srt", "vtt", "json")


def write_page_files(
    folder: Path,
    info: MediaInfo,
    clip: Clip,
    track: FaceTrack | None,
    best: TranscriptionResult | None,
) -> Films:
    """Write everything for one recording.

    Args:
        folder: exists and is empty.
        info: of the recording.
        clip: its sound as it was recognised, and its mouth crops.
        track: where the face was, or None.
        best: the reading that captions and downloads show, or None where there is none.
    """
    player, mouth = folder / "film.mp4", folder / "mouth.mp4"
    decodable = info.has_video and "picture" not in clip.undecodable
    pictures = iter_video(info.path, end=clip.duration_s) if decodable else ()
    boxes, found = (None, None) if track is None else (track.boxes, track.found)
    size = write_film(player, marked_frames(pictures, boxes, found), clip.audio)
    if clip.mouth is not None:
        write_film(mouth, clip.mouth, None)
    downloads: dict[str, Path] = {}
    for name in DOWNLOADS if best is not None else ():
        assert best is not None
        downloads[name] = folder / f"{info.path.stem}.{name}"
        downloads[name].write_text(render(best, name), encoding="utf-8")
    return Films(
        player=player,
        size=size,
        captions=following_captions(best),
        mouth=mouth if clip.mouth is not None else None,
        downloads=downloads,
    )
