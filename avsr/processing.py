"""From a waveform, mouth crops and a text to the model's inputs, and from token ids to text.

Shapes: B batch, M mel bands, F mel frames, T video frames, N audio samples, L text tokens.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import BatchFeature, PreTrainedTokenizerFast

from avsr.config import AvsrConfig
from avsr.decoding.sequence import IGNORED_LABEL
from avsr.tokenizer import plain_ids
from avsr_frontends.audio import log_mel, normalise_waveform
from avsr_frontends.mouth import normalise_mouth
from avsr_frontends.rates import SAMPLE_RATE, SAMPLES_PER_VIDEO_FRAME

__all__ = ["PROCESSOR_FILE", "AvsrProcessor", "fit_to_lips"]

PROCESSOR_FILE = "processor_config.json"


class AvsrProcessor:
    """Prepares inputs for :class:`~avsr.model.AvsrForConditionalGeneration`.

    Args:
        tokenizer: the model's tokenizer, marker tokens included.
        num_mel_bins: mel bands of the audio encoder.
        audio_context: "exact" or "padded", as in the model's configuration.
        official_numerics: round as the published bfloat16 runs did.
    """

    def __init__(
        self,
        tokenizer: Any,
        *,
        num_mel_bins: int = 80,
        audio_context: str = "exact",
        official_numerics: bool = False,
    ) -> None:
        if audio_context not in ("exact", "padded"):
            raise ValueError(f'audio_context must be "exact" or "padded", got "{audio_context}"')
        self.tokenizer = tokenizer
        self.num_mel_bins = num_mel_bins
        self.audio_context = audio_context
        self.official_numerics = official_numerics

    @classmethod
    def from_config(cls, config: AvsrConfig, tokenizer: Any) -> "AvsrProcessor":
        """The processor that fits a model."""
        audio = config.audio_config
        return cls(
            tokenizer,
            num_mel_bins=80 if audio is None else audio.num_mel_bins,
            audio_context=config.audio_context,
            official_numerics=config.official_numerics,
        )

    def __call__(
        self,
        audio: np.ndarray | Sequence[np.ndarray] | None = None,
        video: np.ndarray | Sequence[np.ndarray] | None = None,
        text: str | Sequence[str] | None = None,
        *,
        sampling_rate: int = SAMPLE_RATE,
        modality: str | None = None,
        return_tensors: str = "pt",
    ) -> BatchFeature:
        """Prepare one clip or a list of clips.

        With both streams, the audio is cut or filled with zeros to the length of the video before
        anything else is computed.

        Args:
            audio: [N] float waveform at 16 kHz, or a list of them.
            video: [T, 96, 96] or [T, 96, 96, 3] uint8 mouth crops at 25 fps, or a list of them.
            text: transcript, or a list of them, for training.
            sampling_rate: of the audio; must be 16000.
            modality: "audio", "video" or "av"; a stream it does not use is left out. None: what
                is given.
            return_tensors: "pt".

        Returns:
            ``input_features`` [B, M, F] and ``audio_lengths`` [B] (samples), ``video_values``
            [B, T, 1, 88, 88] and ``video_lengths`` [B] (frames), ``labels`` [B, L] (text and EOS,
            -100 for padding), each where it applies.

        Raises:
            ValueError: a stream that the modality needs is missing, lists differ in length, or
                the sampling rate is not 16 kHz.
        """
        if return_tensors != "pt":
            raise ValueError(f'return_tensors must be "pt", got "{return_tensors}"')
        waves = _clips(audio, n_dimensions=(1,))
        crops = _clips(video, n_dimensions=(3, 4))
        waves, crops = _choose_streams(waves, crops, modality)
        data: dict[str, Tensor] = {}
        if waves is not None:
            if sampling_rate != SAMPLE_RATE:
                raise ValueError(f"audio must be sampled at {SAMPLE_RATE} Hz, got {sampling_rate}")
            if crops is not None:
                waves = [fit_to_lips(w, c) for w, c in zip(waves, crops, strict=True)]
            data.update(self._audio_inputs(waves))
        if crops is not None:
            data.update(_video_inputs(crops))
        if text is not None:
            data["labels"] = self._labels([text] if isinstance(text, str) else text)
        return BatchFeature(data)

    def _audio_inputs(self, waves: Sequence[np.ndarray]) -> dict[str, Tensor]:
        features = [
            log_mel(
                normalise_waveform(wave),
                self.num_mel_bins,
                padded=self.audio_context == "padded",
                official_numerics=self.official_numerics,
            ).T
            for wave in waves
        ]
        return {
            "input_features": pad_sequence(features, batch_first=True).transpose(1, 2),
            "audio_lengths": torch.tensor([len(wave) for wave in waves]),
        }

    def _labels(self, texts: Sequence[str]) -> Tensor:
        end = self.tokenizer.eos_token_id
        rows = [torch.tensor([*plain_ids(self.tokenizer, text), end]) for text in texts]
        return pad_sequence(rows, batch_first=True, padding_value=IGNORED_LABEL)

    def decode(self, token_ids: Tensor | Sequence[int]) -> str:
        """Text of one row of generated ids, special tokens skipped."""
        return self.tokenizer.decode(token_ids, skip_special_tokens=True).strip()

    def batch_decode(self, sequences: Tensor | Sequence[Sequence[int]]) -> list[str]:
        """Text of every row of generated ids."""
        return [self.decode(row) for row in sequences]

    def save_pretrained(self, save_directory: str | Path) -> None:
        """Write the tokenizer and the settings into a model folder."""
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        self.tokenizer.save_pretrained(folder)
        settings = {
            "processor_class": type(self).__name__,
            "num_mel_bins": self.num_mel_bins,
            "audio_context": self.audio_context,
            "official_numerics": self.official_numerics,
        }
        (folder / PROCESSOR_FILE).write_text(json.dumps(settings, indent=2) + "\n")

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | Path, **options: Any
    ) -> "AvsrProcessor":
        """Read a model folder.

        Raises:
            FileNotFoundError: there is no such folder, or it holds no processor.
        """
        folder = Path(pretrained_model_name_or_path)
        file = folder / PROCESSOR_FILE
        if not file.is_file():
            raise FileNotFoundError(f"{folder} holds no {PROCESSOR_FILE}: it is no model folder")
        settings = json.loads(file.read_text())
        settings.pop("processor_class", None)
        return cls(PreTrainedTokenizerFast.from_pretrained(folder, **options), **settings)


def fit_to_lips(waveform: np.ndarray, mouth: np.ndarray) -> np.ndarray:
    """Cut or zero-fill a waveform to the length of the lips beside it, as models are trained.

    Args:
        waveform: [N] at 16 kHz.
        mouth: [T, ...] at 25 frames a second.

    Returns:
        [640 T].
    """
    n_samples = len(mouth) * SAMPLES_PER_VIDEO_FRAME
    return np.pad(waveform[:n_samples], (0, max(0, n_samples - len(waveform))))


def _clips(
    stream: np.ndarray | Sequence[np.ndarray] | None, n_dimensions: tuple[int, ...]
) -> list[np.ndarray] | None:
    """A list of clips, whether one or several are given."""
    if stream is None:
        return None
    if isinstance(stream, (np.ndarray, Tensor)):
        stream = [stream]  # pyright: ignore[reportAssignmentType]
    clips = [np.asarray(clip) for clip in stream]  # pyright: ignore[reportOptionalIterable]
    for clip in clips:
        if clip.ndim not in n_dimensions:
            kind = "audio [N]" if 1 in n_dimensions else "mouth crops [T, 96, 96] or [T, 96, 96, 3]"
            raise ValueError(f"each clip must be {kind}, got an array of shape {list(clip.shape)}")
        if len(clip) == 0:
            raise ValueError("a clip is empty")
    return clips


def _choose_streams(
    waves: list[np.ndarray] | None, crops: list[np.ndarray] | None, modality: str | None
) -> tuple[list[np.ndarray] | None, list[np.ndarray] | None]:
    """Keep what the modality needs."""
    if modality not in ("audio", "video", "av", None):
        raise ValueError(f'modality must be "audio", "video" or "av", got "{modality}"')
    if (waves is None and modality in ("audio", "av")) or (
        crops is None and modality in ("video", "av")
    ):
        missing = "audio" if waves is None else "video"
        raise ValueError(f'modality "{modality}" needs {missing}, which is not given')
    waves = None if modality == "video" else waves
    crops = None if modality == "audio" else crops
    if waves is not None and crops is not None and len(waves) != len(crops):
        raise ValueError(f"got {len(waves)} audio clips but {len(crops)} video clips")
    return waves, crops


def _video_inputs(crops: Sequence[np.ndarray]) -> dict[str, Tensor]:
    values = [torch.from_numpy(normalise_mouth(clip)) for clip in crops]
    return {
        "video_values": pad_sequence(values, batch_first=True),
        "video_lengths": torch.tensor([len(clip) for clip in crops]),
    }
