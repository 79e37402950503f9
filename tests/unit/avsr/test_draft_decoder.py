"""Drafts by the audio encoder's own decoder: read as Whisper reads, and put into the prompt."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import GenerationConfig, WhisperConfig, WhisperForConditionalGeneration

from avsr.config import AvsrConfig
from avsr.decoding.options import SearchOptions
from avsr.model import AvsrForConditionalGeneration
from avsr.model_parts.draft_decoder import Draft, DraftDecoder
from avsr.model_parts.streams import EncodedStream
from avsr.text import spoken_form
from avsr_frontends.audio import log_mel
from avsr_frontends.whisper import WhisperAudioEncoder
from tests.tiny import draft_model, sound_inputs, tiny_config
from tests.unit.avsr.test_imports import modules_after


def whisper_config() -> WhisperConfig:
    return WhisperConfig(
        vocab_size=60, num_mel_bins=80, d_model=16, encoder_layers=1, decoder_layers=1,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=16,
        decoder_ffn_dim=16, max_source_positions=1500, max_target_positions=40,
        pad_token_id=50, bos_token_id=50, eos_token_id=50, decoder_start_token_id=51,
        begin_suppress_tokens=[7, 50],
    )  # fmt: skip


@pytest.fixture(scope="module")
def whisper() -> WhisperForConditionalGeneration:
    torch.manual_seed(3)
    model = WhisperForConditionalGeneration(whisper_config()).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(8.0)  # or every text would be one token over and over
    return model


@pytest.fixture(scope="module")
def reader(
    whisper: WhisperForConditionalGeneration,
) -> tuple[DraftDecoder, WhisperAudioEncoder]:
    decoder = DraftDecoder(whisper.config, [51, 52]).eval()
    decoder.decoder.load_state_dict(whisper.get_decoder().state_dict())
    encoder = WhisperAudioEncoder(whisper.config).eval()
    encoder.load_state_dict(whisper.get_encoder().state_dict())
    return decoder, encoder


def sound(rng: np.random.Generator, n_samples: int) -> np.ndarray:
    return rng.standard_normal(n_samples).astype(np.float32)


@torch.inference_mode()
def expected(
    whisper: WhisperForConditionalGeneration, features: torch.Tensor, n_tokens: int
) -> Draft:
    """Greedy search step by step without a cache."""
    ids, log_probs = [51, 52], []
    for step in range(n_tokens):
        hidden = whisper.model.decoder(
            input_ids=torch.tensor([ids]), encoder_hidden_states=features[None]
        ).last_hidden_state
        scores = whisper.proj_out(hidden[0, -1])
        scores[51:] = -torch.inf
        if step == 0:
            scores[[7, 50]] = -torch.inf
        token = int(scores.argmax())
        log_probs.append(float(scores.log_softmax(dim=-1)[token]))
        if token == 50:
            break
        ids.append(token)
    return Draft(token_ids=tuple(ids[2:]), log_probs=tuple(log_probs))


def same(draft: Draft, other: Draft) -> bool:
    return draft.token_ids == other.token_ids and draft.log_probs == pytest.approx(
        other.log_probs, abs=1e-4
    )


def test_a_draft_is_whispers_greedy_text_alone_and_in_a_batch(
    whisper: WhisperForConditionalGeneration,
    reader: tuple[DraftDecoder, WhisperAudioEncoder],
) -> None:
    decoder, encoder = reader
    rng = np.random.default_rng(0)
    with torch.inference_mode():
        silence = encoder(log_mel(np.zeros(1, np.float32), padded=True)[None])[0]
        clips = [encoder(log_mel(sound(rng, n))[None])[0] for n in (16_000, 32_000)]
    alone: list[Draft] = []
    for clip in clips:
        stream = EncodedStream(
            stream="audio", features=clip[None], lengths=torch.tensor([len(clip)])
        )
        (draft,) = decoder.read(encoder, stream)
        budget = 8 + len(clip) * 8 // 50
        assert same(draft, expected(whisper, torch.cat([clip, silence[len(clip) :]]), budget))
        alone.append(draft)
    assert len({draft.token_ids for draft in alone}) == 2  # the sound decides
    batch = torch.nn.utils.rnn.pad_sequence(clips, batch_first=True)
    lengths = torch.tensor([len(clip) for clip in clips])
    stream = EncodedStream(stream="audio", features=batch, lengths=lengths)
    for draft, own in zip(decoder.read(encoder, stream), alone, strict=True):
        n_tokens, n_judged = len(own.token_ids), len(own.log_probs)  # the longer clip's budget
        begun = replace(
            draft, token_ids=draft.token_ids[:n_tokens], log_probs=draft.log_probs[:n_judged]
        )
        assert same(begun, own)


def test_a_clip_that_is_there_twice_is_read_once(
    reader: tuple[DraftDecoder, WhisperAudioEncoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder, encoder = reader
    rng = np.random.default_rng(1)
    with torch.inference_mode():
        one, other = (encoder(log_mel(sound(rng, n))[None])[0] for n in (32_000, 16_000))
    sizes: list[int] = []
    forward = decoder.decoder.forward

    def counted(**inputs: Any) -> Any:
        sizes.append(len(inputs["input_ids"]))
        return forward(**inputs)

    monkeypatch.setattr(decoder.decoder, "forward", counted)
    rows = torch.nn.utils.rnn.pad_sequence([one, other, one], batch_first=True)
    lengths = torch.tensor([len(one), len(other), len(one)])
    drafts = decoder.read(encoder, EncodedStream(stream="audio", features=rows, lengths=lengths))
    assert set(sizes) == {2}
    assert drafts[0] == drafts[2] != drafts[1]


@pytest.fixture(scope="module")
def model() -> AvsrForConditionalGeneration:
    return draft_model()


@torch.inference_mode()
def test_each_clip_reads_its_own_draft_and_none_is_none(
    model: AvsrForConditionalGeneration,
) -> None:
    given = sound_inputs(3)
    drafts = [[9, 8, 4], None, [3]]
    logits = model(**given, drafts=drafts).logits[:, -1]
    for row, draft in enumerate(drafts):
        alone = {name: tensor[row : row + 1] for name, tensor in given.items()}
        own = model(**alone, drafts=None if draft is None else [draft]).logits[:, -1]
        torch.testing.assert_close(logits[row : row + 1], own, atol=2e-5, rtol=1e-4)
    without = model(**given).logits[:, -1]
    torch.testing.assert_close(without[1], logits[1], atol=2e-5, rtol=1e-4)
    assert not torch.allclose(without[0], logits[0], atol=1e-3)


def test_drafts_that_do_not_fit_are_refused(model: AvsrForConditionalGeneration) -> None:
    with pytest.raises(ValueError, match="2 drafts are given for 3 clips"):
        model(**sound_inputs(3), drafts=[None, [3]])
    plain = AvsrForConditionalGeneration(tiny_config()).eval()
    with pytest.raises(ValueError, match="this model was not made for drafts"):
        plain(**sound_inputs(1), drafts=[[3]])
    with pytest.raises(ValueError, match="drafts need an audio encoder and draft_prompt_ids"):
        AvsrConfig.from_dict({**tiny_config().to_dict(), "draft": "encoder_decoder"})


def test_no_draft_is_a_choice_of_the_search() -> None:
    heads = {"audio": False}
    defaults = GenerationConfig()
    assert SearchOptions(draft="none", num_beams=4).resolved(defaults, heads).num_beams == 4
    assert str(SearchOptions(draft="none", num_beams=1)) == "greedy"
    with pytest.raises(ValueError, match=r"draft must be one of ctc, none or None"):
        SearchOptions(draft="guess").resolved(defaults, heads)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Set blue in Q4, now!", "set blue in q four now"),
        ("1,250 people", "one thousand two hundred fifty people"),
        ("call 5550123", "call five five five zero one two three"),
        ("agent 007", "agent zero zero seven"),
        ("It’s 21", "it's twenty one"),
        ("", ""),
    ],
)
def test_written_numbers_become_words(written: str, said: str) -> None:
    assert spoken_form(written) == said


def test_a_text_without_numbers_needs_no_library() -> None:
    code = "from avsr.text import spoken_form; assert spoken_form('Good day.') == 'good day'"
    assert not {"transformers", "torch"} & modules_after(code)
