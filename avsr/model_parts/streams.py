"""Sound and lips of a batch after their encoders: what goes into and comes out of the model.

Shapes: B clips, T encoder frames, W encoder width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from avsr.route import Route, Stream
from avsr_frontends.rates import AUDIO_ENCODER_FPS, VIDEO_FPS


@dataclass(frozen=True, kw_only=True)
class EncodedStream:
    """One stream of a batch after its encoder.

    Attributes:
        stream: "audio" or "video".
        features: [B, T, W].
        lengths: [B] real frames of each clip.
    """

    stream: Stream
    features: Tensor
    lengths: Tensor

    @property
    def fps(self) -> int:
        """Frames per second."""
        return AUDIO_ENCODER_FPS if self.stream == "audio" else VIDEO_FPS

    def rows(self, indices: Sequence[int]) -> "EncodedStream":
        """Some clips, in the given order."""
        chosen = torch.tensor(list(indices), device=self.features.device)
        return EncodedStream(
            stream=self.stream, features=self.features[chosen], lengths=self.lengths[chosen]
        )


@dataclass(frozen=True, kw_only=True)
class EncodedStreams:
    """Both streams of a batch after their encoders; None for one that is not there."""

    audio: EncodedStream | None = None
    video: EncodedStream | None = None

    @classmethod
    def whole(cls, audio: Tensor | None = None, video: Tensor | None = None) -> "EncodedStreams":
        """Streams all of whose frames are real, from their features [B, T, W]."""
        features: tuple[tuple[Stream, Tensor | None], ...] = (("audio", audio), ("video", video))
        return cls(
            **{
                stream: EncodedStream(
                    stream=stream,
                    features=values,
                    lengths=torch.full((len(values),), values.shape[1], device=values.device),
                )
                for stream, values in features
                if values is not None
            }
        )

    @property
    def present(self) -> tuple[EncodedStream, ...]:
        """The streams that are there, sound first."""
        return tuple(stream for stream in (self.audio, self.video) if stream is not None)

    @property
    def n_clips(self) -> int:
        """Number of clips.

        Raises:
            ValueError: there is no stream, or the two disagree.
        """
        return batch_size([len(stream.features) for stream in self.present])

    def of(self, route: Route) -> "EncodedStreams":
        """What a route uses of them."""
        return EncodedStreams(
            audio=self.audio if route.has_audio else None,
            video=self.video if route.has_video else None,
        )

    def rows(self, indices: Sequence[int]) -> "EncodedStreams":
        """Some clips, in the given order."""
        return EncodedStreams(
            audio=None if self.audio is None else self.audio.rows(indices),
            video=None if self.video is None else self.video.rows(indices),
        )

    def durations_s(self, routes: Sequence[Route]) -> list[float]:
        """Length of each clip in seconds, by the longer of the streams that its route uses."""
        seconds = {s.stream: (s.lengths / s.fps).tolist() for s in self.present}
        return [
            max(seconds[stream][row] for stream in route.streams)
            for row, route in enumerate(routes)
        ]


def join_streams(parts: Sequence[EncodedStreams]) -> EncodedStreams:
    """One batch of several; clips without a stream that others have get no frames of it."""
    if len(parts) == 1:
        return parts[0]
    return EncodedStreams(
        audio=_joined([part.audio for part in parts], parts),
        video=_joined([part.video for part in parts], parts),
    )


def batch_size(sizes: Sequence[int]) -> int:
    """The one size that all streams have.

    Raises:
        ValueError: there is none, or more than one.
    """
    if len(set(sizes)) != 1:
        raise ValueError(
            "neither audio nor video is given"
            if not sizes
            else f"audio and video have different batch sizes: {sorted(set(sizes))}"
        )
    return sizes[0]


def frame_mask(lengths: Tensor, n_frames: int) -> Tensor | None:
    """[B, n_frames] bool, true for real frames; None when all are."""
    if bool((lengths >= n_frames).all()):
        return None
    return torch.arange(n_frames, device=lengths.device) < lengths[:, None]


def _joined(
    streams: Sequence[EncodedStream | None], parts: Sequence[EncodedStreams]
) -> EncodedStream | None:
    first = next((stream for stream in streams if stream is not None), None)
    if first is None:
        return None
    n_frames = max(stream.features.shape[1] for stream in streams if stream is not None)
    features: list[Tensor] = []
    lengths: list[Tensor] = []
    for stream, part in zip(streams, parts, strict=True):
        if stream is None:
            width = first.features.shape[2]
            features.append(first.features.new_zeros(part.n_clips, n_frames, width))
            lengths.append(first.lengths.new_zeros(part.n_clips))
        else:
            missing = n_frames - stream.features.shape[1]
            features.append(functional.pad(stream.features, (0, 0, 0, missing)))
            lengths.append(stream.lengths)
    return EncodedStream(
        stream=first.stream, features=torch.cat(features), lengths=torch.cat(lengths)
    )
