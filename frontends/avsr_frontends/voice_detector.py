"""The Silero voice detector, run over many chunks of sound at once.

Its own loop gives one chunk of 32 ms after the other to a compiled network, in which all but a
recurrent cell looks at that chunk alone. Here these parts see half a minute of chunks at once and
only the cell goes step by step: the same values, eight times sooner, and without a state that
threads would have to keep apart. The parts are those of silero-vad 6.

Shapes: N audio samples at 16 kHz, C chunks.
"""

import functools
import math
from typing import Any

import torch
from torch import Tensor, nn

CHUNK = 512  # samples that are judged at once
_CONTEXT = 64  # samples before a chunk that it is judged with
_WIDTH = 128  # of the recurrent cell
_BLOCK = 1024  # chunks that are in memory at once


class VoiceDetector:
    """Judges sound; may be shared by threads."""

    def __init__(self) -> None:
        n_threads = torch.get_num_threads()
        from silero_vad import load_silero_vad

        torch.set_num_threads(n_threads)  # importing silero_vad sets it to one for the process
        models: Any = load_silero_vad()
        network = models._model  # the one for 16 kHz
        self._spectrum, self._encoder = network.stft, network.encoder
        self._output = network.decoder.decoder
        self._memory = nn.LSTM(_WIDTH, _WIDTH)
        weights = {f"{name}_l0": value for name, value in network.decoder.rnn.named_parameters()}
        self._memory.load_state_dict(weights)
        self._memory.eval()

    @torch.inference_mode()
    def __call__(self, samples: Tensor) -> Tensor:
        """How surely a voice is heard.

        Args:
            samples: [N] float in [-1, 1].

        Returns:
            [C] 0 to 1, one for each started chunk.
        """
        n_chunks = math.ceil(len(samples) / CHUNK)
        padded = nn.functional.pad(samples, (_CONTEXT, n_chunks * CHUNK - len(samples)))
        chunks = padded.unfold(0, _CONTEXT + CHUNK, CHUNK)  # [C, 576]
        found: list[Tensor] = []
        state = None
        for block in chunks.split(_BLOCK):
            features = self._encoder(self._spectrum(block))  # [C, 128, 1]
            steps, state = self._memory(features.squeeze(-1)[:, None], state)  # [C, 1, 128]
            found.append(self._output(steps.transpose(1, 2)).flatten(1).mean(dim=1))
        return torch.cat(found)


@functools.cache
def voice_detector() -> VoiceDetector:
    """The detector, loaded once."""
    return VoiceDetector()
