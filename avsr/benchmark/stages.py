"""Where the time goes: seconds and operations of every stage from arrays to tokens."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from avsr.benchmark.clips import BenchClip, seconds_of
from avsr.benchmark.measurement import median_seconds, operations_of, peak_memory
from avsr.decoding.generation import AvsrGeneration, generate_tokens
from avsr.decoding.incremental import IncrementalReader
from avsr.decoding.options import SearchOptions
from avsr.model_parts.adapters import adapters_of
from avsr.model_parts.ctc import ctc_heads
from avsr.model_parts.streams import EncodedStreams
from avsr.pretrained import LoadedModel
from avsr.recognition.hypotheses import generate
from avsr.route import Route, Stream
from avsr_frontends.rates import SAMPLE_RATE

_FIRST_STAGE: dict[Stream, str] = {"audio": "mel", "video": "crops"}


@dataclass(kw_only=True)
class StageRow:
    """One measurement: a batch read in one way.

    Attributes:
        clip_s: length of each clip in seconds, on average.
        n_clips: clips in the batch.
        reading: modality and rates.
        search: how texts are searched for, resolved.
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
    search: SearchOptions
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
        self._streams = EncodedStreams()  # what is encoded so far

    @torch.inference_mode()
    def measure(self, reading: Route, search: SearchOptions) -> StageRow:
        """Measure all stages of one reading.

        Raises:
            ValueError: search options that the model cannot follow.
        """
        model = self._loaded.model
        search = search.resolved(model.generation_config, ctc_heads(model, reading.streams))
        row = StageRow(
            clip_s=seconds_of(self._clips) / len(self._clips),
            n_clips=len(self._clips),
            reading=reading,
            search=search,
        )
        self._encode(row)
        model.fold_lora(adapters_of(model.config, reading))
        asked: Any = {"streams": self._streams.of(reading), "route": reading, "search": search}
        prefix, settings = model.search_inputs(**asked)
        row.n_prefix = prefix.embeds.shape[1]
        self._time(row, "prefix", lambda: model.search_inputs(**asked))
        language_model = model.language_model
        n_reserved = max(settings.budgets)
        self._time(
            row,
            "prefill",
            lambda: IncrementalReader(language_model, n_reserved).read_prefix(prefix),
        )
        if search.draft != "ctc":
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
        for stream in row.reading.streams:
            if getattr(self._streams, stream) is None:
                self._measure_encoder(stream)
            self._share(row, _FIRST_STAGE[stream], f"{stream} encoder")

    def _measure_encoder(self, stream: Stream) -> None:
        loaded = self._loaded
        given: Any = {"video": [clip.mouth for clip in self._clips]}
        if stream == "audio":
            waveforms = [clip.waveform for clip in self._clips]
            given = {"audio": waveforms, "sampling_rate": SAMPLE_RATE}

        def prepare() -> Any:
            return loaded.processor(**given, modality=stream).to(loaded.device)

        batch = prepare()

        def run() -> EncodedStreams:
            return loaded.model.encode(**batch)

        done, found = self._streams, run()
        self._streams = EncodedStreams(
            audio=found.audio or done.audio, video=found.video or done.video
        )
        stages: tuple[tuple[str, Callable[[], Any]], ...] = (
            (_FIRST_STAGE[stream], prepare),
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
        streams = self._streams.of(row.reading)
        return generate(self._loaded, streams, row.reading, row.search)


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
        video_rates: (None,) for all trained ones.

    Raises:
        UsageError: something the model was not trained for.
    """
    heard = loaded.rates("audio") if list(audio_rates) == [None] else list(audio_rates)
    seen = loaded.rates("video") if list(video_rates) == [None] else list(video_rates)
    readings = []
    for modality in modalities or loaded.modalities:
        for audio_rate in heard if modality != "video" else (None,):
            for video_rate in seen if modality != "audio" else (None,):
                readings.append(loaded.route(modality, audio_rate, video_rate))
    return readings
