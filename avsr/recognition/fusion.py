"""Whom to believe: a clip read by sound, by lips and by both, and the best supported text taken.

A model that was trained for both may be led astray by a ruined stream. Its encoders have run, so
reading by either stream too costs little. Every text that was read is scored by a linear model: the
mean log-probability of each reading that gave it, and by how much less probable it is to each CTC
head than the head's own best path, per token, each head counting as far as it is surer than the
other. Another person's lips leave both heads sure, and of different things: so what the lips say
and the lead of the reading of both count as far as both heads say the same at the same moments.
Lips that stand still (a photo, a call whose picture has frozen) say nothing: the sound is believed.
Where sound and both read the same, that stands, and the lips are not read by themselves.
The weights come with the model, in ``fusion.json`` of its folder:

    {"av": ..., "av_log_prob": ..., "audio_log_prob": ..., "video_log_prob": ...,
     "audio_gap": ..., "video_gap": ...}

``av`` is what the reading of both has over the others. A model without that file, without a CTC
head for either stream or without one of the three tasks reads by both alone.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from avsr.decoding.ctc_scores import ClipScores
from avsr.decoding.options import SearchOptions
from avsr.model_files.fusion import FUSION_NAMES, FusionWeights
from avsr.model_parts.ctc import ctc_heads, ctc_scores
from avsr.model_parts.streams import EncodedStream, EncodedStreams
from avsr.pretrained import LoadedModel
from avsr.recognition.hypotheses import Hypothesis
from avsr.recognition.joint_decoding import DecodingJob, decode_jobs
from avsr.recognition.sound_offset import in_step
from avsr.route import MODALITIES, Modality

__all__ = [
    "HeadOpinion",
    "Judgement",
    "can_fuse",
    "decode_fused",
    "fuse",
    "judgement_of",
    "signs_of",
]

_LEAST_LOG_PROB = -3.0  # per token: less counts no less
_MOST_ENTROPY = 5.0  # of a head that says nothing but blanks
_LEAST_CHANGE = (
    1 / 3
)  # of the power of the lips' features, through a clip: of less they stand still


@dataclass(frozen=True, kw_only=True)
class HeadOpinion:
    """What one CTC head makes of a clip and of texts for it.

    Attributes:
        sureness: 0 to 1, falls with the mean entropy of the steps that are no blanks.
        gaps: for each text, by how much it is less probable than the head's best path, per token.
    """

    sureness: float
    gaps: Mapping[tuple[int, ...], float]


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What the CTC heads make of a clip.

    Attributes:
        opinions: of the heads of "audio" and "video".
        in_step: 0 to 1, whether both say the same at the same moments.
        lips_move: whether the lips do anything at all.
    """

    opinions: Mapping[str, HeadOpinion]
    in_step: float
    lips_move: bool = True

    def support(self, stream: str, text: tuple[int, ...]) -> float:
        """How much one head speaks for a text: 0 or less, the less the surer it is of another."""
        total = sum(opinion.sureness for opinion in self.opinions.values())
        return -self.opinions[stream].gaps[text] * self.opinions[stream].sureness / total


def can_fuse(loaded: LoadedModel) -> bool:
    """Whether a model brings all that fusion needs."""
    has_tasks = set(loaded.modalities) == set(MODALITIES)
    return bool(loaded.fusion) and has_tasks and all(ctc_heads(loaded.model).values())


def decode_fused(
    loaded: LoadedModel,
    jobs: Sequence[DecodingJob],
    *,
    max_rows: int,
    search: SearchOptions | None = None,
) -> list[list[Hypothesis]]:
    """Let the language model read all jobs, those of sound and lips by either stream too.

    Takes and returns what :func:`avsr.recognition.joint_decoding.decode_jobs` does, which is also
    what it does where the model cannot fuse or ``search`` asks for the plain reading.
    """
    search = search or SearchOptions()
    if not search.fusion or not can_fuse(loaded):
        return decode_jobs(loaded, jobs, max_rows=max_rows, search=search)
    both = [number for number, job in enumerate(jobs) if job.route.modality == "av"]
    by_sound = [_part(jobs[number], "audio") for number in both]
    found = decode_jobs(loaded, [*jobs, *by_sound], max_rows=max_rows, search=search)
    heard = dict(zip(both, found[len(jobs) :], strict=True))
    differ = {number: _differing(found[number], heard[number]) for number in both}
    by_lips = [_part(jobs[number], "video", rows) for number, rows in differ.items() if rows]
    seen = iter(decode_jobs(loaded, by_lips, max_rows=max_rows, search=search))
    for number, rows in differ.items():
        readings: list[dict[Modality, Hypothesis]] = [
            {"audio": sound, "av": own}
            for sound, own in zip(heard[number], found[number], strict=True)
        ]
        for row, lips in zip(rows, next(seen) if rows else [], strict=True):
            readings[row]["video"] = lips
        found[number] = [
            _fused(loaded, jobs[number].streams.rows([row]), own)
            for row, own in enumerate(readings)
        ]
    return found[: len(jobs)]


def _part(job: DecodingJob, modality: Modality, rows: Sequence[int] | None = None) -> DecodingJob:
    """What a job reads by one of its streams; all of its clips or some."""
    route = job.route.by(modality)
    streams = job.streams.of(route)
    return DecodingJob(streams=streams if rows is None else streams.rows(rows), route=route)


def _differing(some: Sequence[Hypothesis], others: Sequence[Hypothesis]) -> list[int]:
    """The clips of which two readings have unlike texts."""
    pairs = enumerate(zip(some, others, strict=True))
    return [row for row, (one, other) in pairs if one.token_ids != other.token_ids]


def _fused(
    loaded: LoadedModel, streams: EncodedStreams, readings: Mapping[Modality, Hypothesis]
) -> Hypothesis:
    texts = list(dict.fromkeys(reading.token_ids for reading in readings.values()))
    return fuse(readings, judgement_of(loaded, streams, texts), loaded.fusion)


def fuse(
    readings: Mapping[Modality, Hypothesis], judgement: Judgement, weights: FusionWeights
) -> Hypothesis:
    """Choose among the readings of one clip.

    Args:
        readings: by sound and by both, and by lips unless the two have one text.
        judgement: of the clip and all their texts.
        weights: of the model.

    Returns:
        The reading of the best supported text, that of both where it gave it too, and that of the
        sound where the lips stand still; its ``sound_share`` tells which stream carried it (half
        and more of a text that the sound alone gives too). The draft and its counts are of the
        reading of both, if the lips move.
    """
    if not judgement.lips_move:
        return replace(readings["audio"], sound_share=1.0)
    both = readings["av"]
    if "video" not in readings:
        lead = max(0.0, -weights["video_gap"] * judgement.support("video", both.token_ids))
        return replace(both, sound_share=1 / (1 + math.exp(-lead)))
    scores = {
        text: sum(weights[name] * value for name, value in found.items())
        for text, found in signs_of(readings, judgement).items()
    }
    best = max(scores.values())
    ranked = sorted(readings.items(), key=lambda item: item[0] != "av")
    chosen = next(reading for _, reading in ranked if scores[reading.token_ids] == best)
    lead = scores[readings["audio"].token_ids] - scores[readings["video"].token_ids]
    return replace(
        chosen,
        sound_share=1 / (1 + math.exp(-lead)),
        n_drafted=both.n_drafted,
        n_accepted=both.n_accepted,
        draft=both.draft,
    )


def signs_of(
    readings: Mapping[Modality, Hypothesis], judgement: Judgement
) -> dict[tuple[int, ...], dict[str, float]]:
    """What speaks for each text that was read, by the names of the weights."""
    signs: dict[tuple[int, ...], dict[str, float]] = {}
    for modality, reading in readings.items():
        found = signs.setdefault(reading.token_ids, dict.fromkeys(FUSION_NAMES, 0.0))
        found[f"{modality}_log_prob"] = max(reading.avg_logprob, _LEAST_LOG_PROB)
        if modality == "av":
            found["av"] = judgement.in_step
    for text, found in signs.items():
        for stream in judgement.opinions:
            found[f"{stream}_gap"] = judgement.support(stream, text)
        found["video_gap"] *= judgement.in_step
    return signs


@torch.inference_mode()
def judgement_of(
    loaded: LoadedModel, streams: EncodedStreams, texts: Sequence[tuple[int, ...]]
) -> Judgement:
    """Ask the heads about sound and lips of one clip, a batch of one, and about texts for it."""
    assert streams.video is not None
    scores = {one.stream: ctc_scores(loaded.model, one) for one in streams.present}
    return Judgement(
        opinions={name: _opinion(head.of_clip(0), texts) for name, head in scores.items()},
        in_step=in_step(scores["audio"], scores["video"]),
        lips_move=_changes(streams.video),
    )


def _changes(lips: EncodedStream) -> bool:
    """Whether the encoded lips of one clip, a batch of one, change as those that speak do.

    The encoder's features of a still picture differ by their place in time alone.
    """
    features = lips.features[0, : int(lips.lengths[0])].float()
    change = (features - features.mean(dim=0)).square().sum()
    return float(change) >= _LEAST_CHANGE * float(features.square().sum())


def _opinion(head: ClipScores, texts: Sequence[tuple[int, ...]]) -> HeadOpinion:
    gaps = {
        text: gap / max(1, len(text)) for text, gap in zip(texts, head.gaps(texts), strict=True)
    }
    return HeadOpinion(sureness=math.exp(-_entropy(head.log_probs)), gaps=gaps)


def _entropy(log_probs: Tensor) -> float:
    """Mean entropy of the steps [T, U + 1] whose best unit is no blank, in nats."""
    spoken = log_probs[log_probs.argmax(dim=-1) != log_probs.shape[-1] - 1]
    if len(spoken) == 0:
        return _MOST_ENTROPY
    return float(-(spoken.exp() * spoken).sum(dim=-1).mean())
