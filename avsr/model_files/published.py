"""Models that others published and this package runs: where they are, what they need, their WER."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["checkpoint", "video encoder", "audio encoder", "language model"]

_NO_LICENCE = (
    "none given by the authors (all rights reserved); it holds AV-HuBERT weights (non-commercial "
    "research only) and Llama weights (Llama Community License)"
)
_NO_LICENCE_AUDIO = (
    "none given by the authors (all rights reserved); it holds Whisper weights (Apache-2.0) and "
    "Llama weights (Llama Community License)"
)
_DRIVE = "https://drive.google.com/file/d/{}/view"
_LLAMA_AVSR = "https://github.com/umbertocappellazzo/Llama-AVSR"
_OMNI_PAGE = "https://www.doc.ic.ac.uk/~ucappell/"
_LLAMA_AVSR_WER = "README of the Llama-AVSR repository; paper: arXiv 2409.12319"
_SINK_WER = "README of the Llama-AVSR repository; paper: arXiv 2510.22603"
_OMNI_WER = "arXiv 2511.07253, Table 1"
_RATE_PAIRS = ("ASR 4", "ASR 16", "VSR 2", "VSR 5", "4,2", "4,5", "16,2", "16,5")


@dataclass(frozen=True, kw_only=True)
class ExpectedWer:
    """A published word error rate.

    Attributes:
        test_set: such as "LRS3".
        setting: task and compression rates.
        percent: of the words.
    """

    test_set: str
    setting: str
    percent: float


@dataclass(frozen=True, kw_only=True)
class PublishedModel:
    """A model of others.

    Attributes:
        name: what this package calls it.
        kind: a checkpoint to convert, or a base model that checkpoints need.
        summary: one line.
        licence: of the weights.
        file: its file name; empty for a model of the Hugging Face hub.
        url: direct address of the file; empty where none is known.
        page: where to fetch the file by hand.
        hub_id: ``owner/name`` on the Hugging Face hub.
        gated: the hub asks for an agreement first.
        size: about, such as "3.8 GB".
        n_bytes: exact size, where it is known.
        sha256: checksum, where one is published.
        base_models: names of the base models, for ``avsr convert``.
        wer: published error rates.
        citation: where they come from.
    """

    name: str
    kind: Kind
    summary: str
    licence: str
    size: str
    file: str = ""
    url: str = ""
    page: str = ""
    hub_id: str = ""
    gated: bool = False
    n_bytes: int | None = None
    sha256: str = ""
    base_models: tuple[str, ...] = ()
    wer: tuple[ExpectedWer, ...] = ()
    citation: str = ""


def _wer(test_set: str, *values: float) -> tuple[ExpectedWer, ...]:
    """The eight settings of the Omni-AVSR tables."""
    settings = [name if " " in name else f"AVSR {name}" for name in _RATE_PAIRS]
    return tuple(
        ExpectedWer(test_set=test_set, setting=setting, percent=value)
        for setting, value in zip(settings, values, strict=True)
    )


def _llama_avsr_8b(
    task: str, file: str, drive_id: str, rates: str, percent: float
) -> PublishedModel:
    bases = {"ASR": ("whisper-medium.en",), "VSR": ("avhubert-large",)}
    return PublishedModel(
        name=f"llama-avsr-{task.lower()}-8b",
        kind="checkpoint",
        summary=f"Llama-AVSR, {task}, 1756 hours, stacked frames, {rates}",
        licence=_NO_LICENCE_AUDIO if task == "ASR" else _NO_LICENCE,
        file=file,
        page=_DRIVE.format(drive_id),
        size="17 GB",
        base_models=(*bases.get(task, ("whisper-medium.en", "avhubert-large")), "llama-3.1-8b"),
        wer=(ExpectedWer(test_set="LRS3", setting=task, percent=percent),),
        citation=_LLAMA_AVSR_WER,
    )


def _llama_avsr_3b(
    task: str, corpus: str, rate: int, sink_loss: bool, percent: float
) -> PublishedModel:
    letter = "A" if task == "ASR" else "V"
    suffix = "_sink_loss" if sink_loss else ""
    loss = ", decorrelation loss" if sink_loss else ""
    encoder = "whisper-medium.en" if task == "ASR" else "avhubert-large"
    return PublishedModel(
        name=f"llama-avsr-{task.lower()}-3b{'-sink' if sink_loss else ''}",
        kind="checkpoint",
        summary=f"Llama-AVSR, {task}, {corpus}, average pooling, rate {rate}{loss}",
        licence=_NO_LICENCE_AUDIO if task == "ASR" else _NO_LICENCE,
        # The published names of the audio models say AVH-Large too.
        file=(
            f"{task}_{corpus}_avg-pooling_AVH-Large_LoRA_Llama3.2-3B_{letter}down{rate}{suffix}.pth"
        ),
        page=_LLAMA_AVSR,
        size="about 7 GB",
        base_models=(encoder, "llama-3.2-3b"),
        wer=(ExpectedWer(test_set=corpus, setting=f"{task} {rate}", percent=percent),),
        citation=_SINK_WER,
    )


def _omni(variant: str, adapters: str, lora: str, wer: tuple[ExpectedWer, ...]) -> PublishedModel:
    return PublishedModel(
        name=f"omni-avsr-{variant.lower()}",
        kind="checkpoint",
        summary=f"Omni-AVSR-{variant}: ASR, VSR, AVSR; audio rates 4,16, video 2,5; {adapters}",
        licence=_NO_LICENCE,
        file=(
            "LRS3_OmniAVSR_Matry_weights_1-15-1_avg-pooling_Whisper-M_Llama3.2-1B_"
            f"{lora}_pool-audio4-16_video2-5_LN_seed7"
        ),
        page=_OMNI_PAGE,
        size="3.8 GB",
        base_models=("whisper-medium.en", "avhubert-large", "llama-3.2-1b"),
        wer=wer,
        citation=_OMNI_WER,
    )


_MODELS = (
    _omni("S", "one adapter", "LoRA", _wer("LRS3", 1.1, 2.4, 26.6, 27.4, 1.1, 1.0, 1.9, 2.0)),
    _omni(
        "T",
        "an adapter for each task",
        "LoRA_task-specific",
        _wer("LRS3", 1.2, 1.9, 26.7, 27.8, 1.2, 1.2, 2.0, 2.2),
    ),
    _omni(
        "ST",
        "a shared adapter and one for each task",
        "LoRA_task-specific_sharedLoRA",
        _wer("LRS3", 1.2, 2.0, 26.8, 27.1, 1.0, 1.1, 1.8, 1.9),
    ),
    _llama_avsr_8b(
        "ASR",
        "ASR_Whisper-M_Llama3.1-8B_lrs3vox_down3_seed42.pth",
        "1LwMKmG4x63M0J8jINRg9DwmEzvADeBWv",
        "rate 3",
        0.728,
    ),
    _llama_avsr_8b(
        "VSR",
        "VSR_AVH-L_Llama3.1-8B_lrs3vox_down3_seed42",
        "1GhKo47kBez8Uj_SJF91k43SWtf1CG3w8",
        "rate 3",
        23.68,
    ),
    _llama_avsr_8b(
        "AVSR",
        "AVSR_Whisper-M_AVH-L_Llama3.1-8B_lrs3vox_Adown4_Vdown2_seed42",
        "1h8dTWZdzaEJChv-bWX305NGJe2g8BaaA",
        "rates 4,2",
        0.748,
    ),
    _llama_avsr_3b("VSR", "LRS3", 5, False, 44.18),
    _llama_avsr_3b("VSR", "LRS3", 5, True, 34.16),
    _llama_avsr_3b("ASR", "LRS2", 32, False, 13.16),
    _llama_avsr_3b("ASR", "LRS2", 32, True, 11.38),
    PublishedModel(
        name="avhubert-large",
        kind="video encoder",
        summary="AV-HuBERT Large, self-supervised on LRS3 and VoxCeleb2 (large_vox_iter5)",
        licence="AV-HuBERT licence: non-commercial research only",
        file="large_vox_iter5.pt",
        url=(
            "https://dl.fbaipublicfiles.com/avhubert/model/lrs3_vox/clean-pretrain/"
            "large_vox_iter5.pt"
        ),
        size="1.3 GB or more",
        citation="arXiv 2201.02184",
    ),
    PublishedModel(
        name="whisper-medium.en",
        kind="audio encoder",
        summary="Whisper medium, English",
        licence="Apache-2.0",
        hub_id="openai/whisper-medium.en",
        size="3.1 GB",
        citation="arXiv 2212.04356",
    ),
    *(
        PublishedModel(
            name=name,
            kind="language model",
            summary=hub_id.partition("/")[2].replace("-", " "),
            licence=f"{licence} Community License",
            hub_id=hub_id,
            gated=True,
            size=size,
        )
        for name, hub_id, licence, size in (
            ("llama-3.2-1b", "meta-llama/Llama-3.2-1B", "Llama 3.2", "2.5 GB"),
            ("llama-3.2-3b", "meta-llama/Llama-3.2-3B", "Llama 3.2", "6.4 GB"),
            ("llama-3.1-8b", "meta-llama/Llama-3.1-8B", "Llama 3.1", "16 GB"),
        )
    ),
)

PUBLISHED: dict[str, PublishedModel] = {model.name: model for model in _MODELS}
