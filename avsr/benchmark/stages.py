"""Where the time goes: seconds and operations of every stage from arrays to tokens."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from avsr.benchmark.clips import BenchClip, seconds_of
from avsr.benchmark.measurement import median_seconds, operations_of, peak_memory
from avsr.decoding.incremental import IncrementalReader
from avsr.model_parts.generation import AvsrGeneration, generate_tokens
from avsr.model_parts.route import Route
from avsr.pretrained import LoadedModel
from avsr.recognition.hypotheses import Encoded, encode_audio, encode_video, generate
from avsr_frontends.rates import SAMPLE_RATE


@dataclass(frozen=True, kw_only=True)
class Search:
    """How texts are looked for.

    Attributes:
        num_beams: 1 is greedy.
        draft: "ctc" where a CTC head proposes the text; greedy only.
        max_new_tokens: bound on tokens; None: by each clip's duration.
    """

    num_beams: int = 1
    draft: str | None = None
    max_new_tokens: int | None = None

    def __str__(self) -> str:
        greedy = "greedy" if self.draft is None else f"{self.draft} draft"
        return greedy if self.num_beams == 1 else f"beam {self.num_beams}"


@dataclass(kw_only=True)
class StageRow:
    """One measurement: a batch read in one way.

    Attributes:
        clip_s: length of each clip in seconds, on average.
        n_clips: clips in the batch.
        reading: modality and rates.
        search: how texts are looked for.
        n_prefix: positions read before the text, of the longest clip.
        n_tokens: tokens generated, all clips together.
        seconds: median seconds of each stage.
        operations: floating-point operations of each stage.
        peak_bytes: memory while searching.
        accepted: share of drafted tokens that were right, where there is a draft.
    """

    clip_s: float
    n_clips: int
    reading: Route
    search: Search
    n_prefix: int = 0
    n_tokens: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    operations: dict[str, int] = field(default_factory=dict)
    peak_bytes: int = 0
    accepted: float | None = None

    @property
    def total_s(self) -> float:
        return sum(self.seconds.values())

    @property
    def real_time_factor(self) -> float:
        """Seconds of work for a second of input."""
        return self.total_s / (self.clip_s * self.n_clips)


class StageBench:
    """Measures one batch of clips; encoders are measured once for all readings.

    Args:
        loaded: the model.
        clips: the batch.
        repeats: runs whose median counts, after one that does not.
    """

    def __init__(self, loaded: LoadedModel, clips: Sequence[BenchClip], repeats: int) -> None:
        self._loaded = loaded
        self._clips = clips
        self._repeats = repeats
        self._seconds: dict[str, float] = {}
        self._operations: dict[str, int] = {}
        self._audio: Encoded | None = None
        self._video: Encoded | None = None

    @torch.inference_mode()
    def measure(self, reading: Route, search: Search) -> StageRow:
        """Measure all stages of one reading."""
        row = StageRow(
            clip_s=seconds_of(self._clips) / len(self._clips),
            n_clips=len(self._clips),
            reading=reading,
            search=search,
        )
        self._encode(row)
        streams: dict[str, Any] = {"modality": reading.modality}
        if reading.modality != "video" and self._audio is not None:
            streams["audio_features"] = self._audio.features
            streams["audio_frame_lengths"] = self._audio.frame_lengths
            streams["audio_rate"] = reading.audio_rate
        if reading.modality != "audio" and self._video is not None:
            streams["video_features"] = self._video.features
            streams["video_frame_lengths"] = self._video.frame_lengths
            streams["video_rate"] = reading.video_rate
        model = self._loaded.model
        adapters = model.adapters_of(reading.modality, reading.audio_rate, reading.video_rate)
        model.fold_lora(adapters)
        options = {"num_beams": search.num_beams, "max_new_tokens": search.max_new_tokens}
        prefix, settings = model.search_inputs(**streams, **options)
        row.n_prefix = prefix.embeds.shape[1]
        self._time(row, "prefix", lambda: model.search_inputs(**streams, **options))
        language_model = model.language_model
        n_reserved = max(settings.budgets)
        self._time(
            row,
            "prefill",
            lambda: IncrementalReader(language_model, n_reserved).read_prefix(prefix),
        )
        if search.draft is None:
            self._time(
                row, "decode", lambda: generate_tokens(language_model, prefix, settings), "prefill"
            )
        else:
            self._time(row, "decode", lambda: self._generate(row), "prefix", "prefill")
        with peak_memory(self._loaded.device) as peak:
            found = self._generate(row)
        row.peak_bytes = peak.n_bytes
        row.n_tokens = int(found.lengths.sum())
        if found.n_drafted is not None and found.n_accepted is not None:
            row.accepted = float(found.n_accepted.sum() / found.n_drafted.sum().clamp(min=1))
        return row

    def _encode(self, row: StageRow) -> None:
        """Measure the front stages that the reading needs, unless that is done."""
        waveforms = [clip.waveform for clip in self._clips]
        mouths = [clip.mouth for clip in self._clips]
        loaded, modality = self._loaded, row.reading.modality
        if modality != "video":
            if self._audio is None:
                self._audio = encode_audio(loaded, waveforms)
                self._measure_encoder("audio", {"audio": waveforms, "sampling_rate": SAMPLE_RATE})
            self._share(row, "mel", "audio encoder")
        if modality != "audio":
            if self._video is None:
                self._video = encode_video(loaded, mouths)
                self._measure_encoder("video", {"video": mouths})
            self._share(row, "crops", "video encoder")

    def _measure_encoder(self, stream: str, given: dict[str, Any]) -> None:
        loaded = self._loaded

        def prepare() -> Any:
            return loaded.processor(**given, modality=stream).to(loaded.device)

        batch = prepare()
        names = ("input_features", "audio_lengths")
        if stream == "video":
            names = ("video_values", "video_lengths")
        encode = getattr(loaded.model, f"encode_{stream}")

        def run() -> Any:
            return encode(*(batch[name] for name in names))

        stages: tuple[tuple[str, Callable[[], Any]], ...] = (
            ("mel" if stream == "audio" else "crops", prepare),
            (f"{stream} encoder", run),
        )
        for name, work in stages:
            self._seconds[name] = median_seconds(work, loaded.device, self._repeats)
            self._operations[name] = operations_of(work)

    def _share(self, row: StageRow, *names: str) -> None:
        for name in names:
            row.seconds[name] = self._seconds[name]
            row.operations[name] = self._operations[name]

    def _time(self, row: StageRow, name: str, work: Callable[[], Any], *contained: str) -> None:
        """Measure a stage, less those that its work contains."""
        seconds = median_seconds(work, self._loaded.device, self._repeats)
        operations = operations_of(work)
        row.seconds[name] = max(0.0, seconds - sum(row.seconds[part] for part in contained))
        row.operations[name] = operations - sum(row.operations[part] for part in contained)

    def _generate(self, row: StageRow) -> AvsrGeneration:
        return generate(
            self._loaded,
            row.reading.modality,
            audio=self._audio,
            video=self._video,
            audio_rate=row.reading.audio_rate,
            video_rate=row.reading.video_rate,
            num_beams=row.search.num_beams,
            ctc_weight=0.0,
            draft=row.search.draft,
            max_new_tokens=row.search.max_new_tokens,
        )


def all_readings(
    loaded: LoadedModel,
    modalities: Sequence[str] | None,
    audio_rates: Sequence[int | None],
    video_rates: Sequence[int | None],
) -> list[Route]:
    """Every trained modality at every pair of its rates, or those asked for.

    Args:
        loaded: the model.
        modalities: None for all trained ones.
        audio_rates: (None,) for all trained ones.
        video_rates: likewise.

    Raises:
        UsageError: something the model was not trained for.
    """
    heard = loaded.rates("audio") if list(audio_rates) == [None] else list(audio_rates)
    seen = loaded.rates("video") if list(video_rates) == [None] else list(video_rates)
    readings = []
    for modality in modalities or loaded.modalities:
        for audio_rate in heard if modality != "video" else (None,):
            for video_rate in seen if modality != "audio" else (None,):
                loaded.check_request(modality, audio_rate, video_rate)
                readings.append(
                    Route(
                        modality=modality,  # pyright: ignore[reportArgumentType]
                        audio_rate=audio_rate,
                        video_rate=video_rate,
                    )
                )
    return readings
