"""The Silero voice detector, run over many chunks of sound at once.

Its own loop gives one chunk of 32 ms after the other to a compiled network, in which all but a
recurrent cell looks at that chunk alone. Here these parts see half a minute of chunks at once and
only the cell goes step by step: the same values, eight times sooner, and without a state that
threads would have to keep apart. The parts are those of silero-vad 6.

Shapes: N audio samples at 16 kHz, C chunks.
"""

import functools
import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

CHUNK = 512  # samples that are judged at once
_CONTEXT = 64  # samples before a chunk that it is judged with
_WIDTH = 128  # of the recurrent cell
_BLOCK = 1024  # chunks that are in memory at once


@dataclass
class VoiceMemory:
    """What a detector keeps of the sound so far.

    Attributes:
        context: [64] the last samples.
        state: of the recurrent cell; None at the beginning.
    """

    context: Tensor = field(default_factory=lambda: torch.zeros(_CONTEXT))
    state: tuple[Tensor, Tensor] | None = None


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

    def __call__(self, samples: Tensor) -> Tensor:
        """How surely a voice is heard.

        Args:
            samples: [N] float in [-1, 1].

        Returns:
            [C] 0 to 1, one for each started chunk.
        """
        n_chunks = math.ceil(len(samples) / CHUNK)
        whole = nn.functional.pad(samples, (0, n_chunks * CHUNK - len(samples)))
        return self.hear_on(whole, VoiceMemory())

    @torch.inference_mode()
    def hear_on(self, samples: Tensor, memory: "VoiceMemory") -> Tensor:
        """The same for sound that comes bit by bit.

        Args:
            samples: [512 C] float in [-1, 1], whole chunks.
            memory: of what came before; brought up to date.

        Returns:
            [C] 0 to 1.
        """
        if len(samples) == 0:
            return samples
        known = torch.cat([memory.context, samples])
        memory.context = known[-_CONTEXT:]
        found: list[Tensor] = []
        for block in known.unfold(0, _CONTEXT + CHUNK, CHUNK).split(_BLOCK):  # [C, 576]
            features = self._encoder(self._spectrum(block))  # [C, 128, 1]
            inputs = features.squeeze(-1)[:, None]
            steps, memory.state = self._memory(inputs, memory.state)  # [C, 1, 128]
            found.append(self._output(steps.transpose(1, 2)).flatten(1).mean(dim=1))
        return torch.cat(found)


@functools.cache
def voice_detector() -> VoiceDetector:
    """The detector, loaded once."""
    return VoiceDetector()
