"""What each position of a language model's input stands for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from avsr.route import Route
from avsr_frontends.rates import AUDIO_ENCODER_FPS, VIDEO_FPS


@dataclass(frozen=True, kw_only=True)
class TokenLabel:
    """The name of one position.

    Attributes:
        kind: "bos", "marker", "audio", "video", "prompt", "draft", "text" or "token".
        name: what is shown, such as ``"audio 0.08-0.16 s"``.
    """

    kind: str
    name: str


def label_tokens(
    config: Any,
    route: Route,
    n_tokens: dict[str, int],
    prompt: Sequence[str] = (),
    draft: Sequence[str] = (),
    text: Sequence[str] = (),
    start_s: float = 0.0,
) -> tuple[TokenLabel, ...]:
    """Name every token that an :class:`~avsr.model.AvsrForConditionalGeneration` makes of a clip.

    Args:
        config: the model's.
        route: modality and rates.
        n_tokens: compressed tokens of "audio" and "video".
        prompt: the prompt's pieces.
        draft: the pieces of the draft that follows, and of the words around it.
        text: the text's pieces, EOS included.
        start_s: where the clip begins in its file.
    """
    labels = [] if config.bos_token_id is None else [TokenLabel(kind="bos", name="BOS")]
    streams = (
        ("audio", route.has_audio, route.audio_rate, AUDIO_ENCODER_FPS),
        ("video", route.has_video, route.video_rate, VIDEO_FPS),
    )
    for stream, used, rate, fps in streams:
        if not used or rate is None:
            continue
        labels.append(TokenLabel(kind="marker", name=f"<{stream}>"))
        for index in range(n_tokens[stream]):
            first, last = (start_s + edge * rate / fps for edge in (index, index + 1))
            labels.append(TokenLabel(kind=stream, name=f"{stream} {first:.2f}-{last:.2f} s"))
        labels.append(TokenLabel(kind="marker", name=f"</{stream}>"))
    for kind, pieces in (("prompt", prompt), ("draft", draft), ("text", text)):
        labels += label_pieces(kind, pieces)
    return tuple(labels)


def label_pieces(kind: str, pieces: Sequence[str]) -> tuple[TokenLabel, ...]:
    """Name the pieces of a text, as a tokenizer calls them."""
    return tuple(TokenLabel(kind=kind, name=f"{kind} {_shown(piece)}") for piece in pieces)


def _shown(piece: str) -> str:
    if piece == "Ċ":  # a line break in vocabularies of bytes
        return r'"\n"'
    return f'"{piece.replace("▁", " ").replace("Ġ", " ").strip() or piece}"'
