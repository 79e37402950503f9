"""The noises that an evaluation names: babble of voices, or recordings, with their digests."""

import hashlib
from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from avsr.clips.read import read_utterance
from avsr.errors import UsageError
from avsr.manifest import Utterance
from avsr.noise import BABBLE_VOICES, Babble, NoiseSource, Recording
from avsr_frontends.media import MediaError, read_audio
from avsr_frontends.rates import SAMPLE_RATE

__all__ = ["BABBLE", "VoiceReader", "build_noises"]

BABBLE = "babble"
_KEPT_VOICES = 4000  # clips of babble voices held in memory, 0.2 MB each for three seconds


class VoiceReader:
    """Reads the sound of utterances and keeps the last ones; can be sent to other processes."""

    def __call__(self, utterance: Utterance) -> np.ndarray | None:
        """The sound, [N] float32 at 16 kHz; None where there is none or it cannot be read."""
        return self._read(utterance)

    @cached_property
    def _read(self) -> Any:
        @lru_cache(maxsize=_KEPT_VOICES)
        def read(utterance: Utterance) -> np.ndarray | None:
            try:
                return read_utterance(utterance, picture=False).audio
            except MediaError:  # another voice takes its place
                return None

        return read

    def __reduce__(self) -> tuple[type["VoiceReader"], tuple[()]]:
        return VoiceReader, ()  # what is kept stays behind


def build_noises(
    names: Sequence[str], voices: Sequence[Utterance], seed: int
) -> tuple[dict[str, NoiseSource], dict[str, dict[str, Any]]]:
    """Make a source for each noise.

    Args:
        names: ``"babble"`` or sound files.
        voices: the utterances that babble is taken from.
        seed: changes where noise is taken from.

    Returns:
        The sources by name, and what results say about each: the digest of the sound file, or of
        the ids and texts of the voices.

    Raises:
        UsageError: if a noise file cannot be read or is silent.
    """
    sources: dict[str, NoiseSource] = {}
    described: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys(names):
        if name == BABBLE:
            sources[name] = Babble(others=tuple(voices), read=VoiceReader(), seed=seed)
            listed = "\n".join(f"{voice.id}\t{voice.text}" for voice in voices)
            described[name] = {
                "voices": BABBLE_VOICES,
                "clips_to_choose_from": len(voices),
                "clips_sha256": hashlib.sha256(listed.encode()).hexdigest(),
            }
            continue
        try:
            audio = read_audio(name)
        except MediaError as error:
            message = f"noise {error}; give another sound file, or babble"
            raise UsageError(message, settings=("noises",)) from None
        if not audio.any():
            message = f"noise {name}: this recording is silent; give another"
            raise UsageError(message, settings=("noises",))
        sources[name] = Recording(audio=audio, seed=seed)
        described[name] = {
            "sha256": hashlib.sha256(Path(name).read_bytes()).hexdigest(),
            "duration": round(len(audio) / SAMPLE_RATE, 3),
        }
    return sources, described
