"""Properties of the whole model, on tiny random weights."""

from typing import Any

import pytest
import torch
from transformers import Qwen2Config

from avsr.model import AvsrForConditionalGeneration
from avsr.model_parts.adapters import adapters_of
from avsr.model_parts.ctc import ctc_scores
from avsr.model_parts.streams import EncodedStreams
from avsr.route import Route
from avsr_adapters import STRATEGIES, decorrelation_loss
from tests.tiny import BOS, EOS, PAD, PROMPT_IDS, clip_of, tiny_config, tiny_model, tiny_streams

FRAMES = [40, 30, 13]  # video frames of the three clips of most batches
LABELS = torch.tensor([[8, 9, 10, EOS], [11, EOS, -100, -100], [12, 13, EOS, -100]])
ROUTES = [("audio", 4, None), ("audio", 16, None), ("video", None, 2), ("video", None, 5),
          ("av", 4, 2), ("av", 16, 5)]  # fmt: skip


def ask(modality, audio_rate, video_rate):
    return {"modality": modality, "audio_rate": audio_rate, "video_rate": video_rate}


def routes_of(rows):
    return {"route": [Route(**ask(*row)) for row in rows]}


@pytest.fixture(scope="module")
def model():
    return tiny_model(lora_strategy="shared+per_rate")


def test_prefix_is_made_of_the_published_parts(model):
    batch: Any = tiny_streams([20])
    embed = model.language_model.get_input_embeddings()
    seen = {}
    hook = model.language_model.register_forward_pre_hook(
        lambda _, __, kwargs: seen.update(kwargs), with_kwargs=True
    )
    model(streams=batch, **ask("av", 4, 5))
    hook.remove()
    embeds = seen["inputs_embeds"][0]
    assert embeds.shape[0] == 1 + 1 + 10 + 1 + 1 + 4 + 1 + len(PROMPT_IDS["av"])
    ids = {0: BOS, 1: 28, 12: 29, 13: 30, 18: 31}
    ids |= {19 + i: token for i, token in enumerate(PROMPT_IDS["av"])}
    for position, token in ids.items():
        assert torch.equal(embeds[position], embed(torch.tensor(token))), position
    audio = model.audio_projector(batch.audio.features.unflatten(1, (10, 4)).mean(2), 4)
    torch.testing.assert_close(embeds[2:12], audio[0])


@pytest.mark.parametrize(("modality", "audio_rate", "video_rate"), ROUTES)
def test_a_clip_of_a_batch_equals_the_clip_alone(model, modality, audio_rate, video_rate):
    batch, asked = tiny_streams(FRAMES), ask(modality, audio_rate, video_rate)
    with torch.no_grad():
        logits = model(streams=batch, **asked).logits
    texts = model.generate(streams=batch, **asked, max_new_tokens=6)
    for row in range(3):
        alone = clip_of(batch, row)
        with torch.no_grad():
            expected = model(streams=alone, **asked).logits[0]
        torch.testing.assert_close(logits[row, -len(expected) :], expected, atol=1e-5, rtol=1e-5)
        text = model.generate(streams=alone, **asked, max_new_tokens=6)[0]
        assert texts[row, : len(text)].tolist() == text.tolist()
        assert (texts[row, len(text) :] == PAD).all()


def test_loss_of_a_batch_is_the_token_mean_of_its_rows(model):
    batch, asked = tiny_streams(FRAMES), ask("av", 4, 2)
    with torch.no_grad():
        loss = model(streams=batch, labels=LABELS, **asked).loss
        total = count = 0.0
        for row in range(3):
            labels = LABELS[row : row + 1][:, LABELS[row] != -100]
            total += (
                model(streams=clip_of(batch, row), labels=labels, **asked).loss * labels.numel()
            )
            count += labels.numel()
    torch.testing.assert_close(loss, total / count, atol=1e-5, rtol=1e-5)


def test_loss_is_hugging_faces(model):
    batch, asked = tiny_streams([20]), ask("av", 4, 2)
    labels = LABELS[:1]
    with torch.no_grad():
        output = model(streams=batch, labels=labels, **asked)
    n_prefix = output.logits.shape[1] - labels.shape[1]
    full = torch.cat([torch.full((1, n_prefix), -100), labels], dim=1)
    expected = torch.nn.functional.cross_entropy(
        output.logits[:, :-1].flatten(0, 1), full[:, 1:].flatten()
    )
    torch.testing.assert_close(output.loss, expected)
    assert output.decorrelation_loss is None


def test_labels_may_begin_with_bos(model):
    batch, asked = tiny_streams(FRAMES), ask("video", None, 2)
    with_bos = torch.cat([torch.full((3, 1), BOS), LABELS], dim=1)
    with torch.no_grad():
        losses = [
            model(streams=batch, labels=labels, **asked).loss for labels in (LABELS, with_bos)
        ]
    assert torch.equal(*losses)


def test_logits_to_keep_gives_the_same_loss(model):
    batch, asked = tiny_streams(FRAMES), ask("av", 4, 2)
    with torch.no_grad():
        full = model(streams=batch, labels=LABELS, **asked)
        short = model(streams=batch, labels=LABELS, logits_to_keep=5, **asked)
    assert short.logits.shape[1] == 5
    torch.testing.assert_close(short.loss, full.loss)


@pytest.mark.parametrize("n_clips", [1, 3])
def test_scored_positions_have_strides_of_their_own(n_clips):
    model, seen = tiny_model(), []
    head = model.language_model.get_output_embeddings()
    head.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    with torch.no_grad():
        model(streams=tiny_streams(FRAMES[:n_clips]), logits_to_keep=1, **ask("av", 4, 2))
    (states,) = seen
    width = states.shape[2]
    assert states.shape[:2] == (n_clips, 1)
    assert states.stride() == (width, width, 1)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_mixed_batch_gives_what_single_calls_give(strategy):
    model = tiny_model(lora_strategy=strategy)
    batch = tiny_streams([24, 30, 13, 18, 21, 9])
    asked = routes_of(ROUTES)
    with torch.no_grad():
        logits = model(streams=batch, **asked).logits
    texts = model.generate_with_scores(streams=batch, **asked, max_new_tokens=5, num_beams=2)
    for row, route in enumerate(ROUTES):
        alone = clip_of(batch, row)
        with torch.no_grad():
            expected = model(streams=alone, **ask(*route)).logits[0]
        torch.testing.assert_close(logits[row, -len(expected) :], expected, atol=1e-5, rtol=1e-5)
        text = model.generate_with_scores(
            streams=alone, **ask(*route), max_new_tokens=5, num_beams=2
        )
        n_tokens = text.sequences.shape[1]
        assert texts.sequences[row, :n_tokens].tolist() == text.sequences[0].tolist()
        torch.testing.assert_close(
            texts.sequence_scores[row], text.sequence_scores[0], atol=1e-4, rtol=1e-4
        )


def test_mixed_batch_loss_equals_mean_over_tokens(model):
    batch = tiny_streams(FRAMES)
    routes = [ROUTES[0], ROUTES[3], ROUTES[4]]
    asked = routes_of(routes)
    with torch.no_grad():
        loss = model(streams=batch, labels=LABELS, **asked).loss
        total = sum(
            model(streams=clip_of(batch, row), labels=LABELS[row : row + 1], **ask(*route)).loss
            * (LABELS[row] != -100).sum()
            for row, route in enumerate(routes)
        )
    torch.testing.assert_close(loss, total / (LABELS != -100).sum(), atol=1e-5, rtol=1e-5)


def test_each_pair_of_rates_has_its_own_adapter():
    model = tiny_model(lora_strategy="per_rate")
    batch = tiny_streams([20])
    with torch.no_grad():
        before = model(streams=batch, **ask("av", 4, 2)).logits
        other = model(streams=batch, **ask("av", 4, 5)).logits
        for parameter in model.lora.parameters("a4_v2"):
            parameter.zero_()
        assert not torch.equal(model(streams=batch, **ask("av", 4, 2)).logits, before)
        assert torch.equal(model(streams=batch, **ask("av", 4, 5)).logits, other)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_active_adapters_follow_the_strategy(strategy):
    model = tiny_model(lora_strategy=strategy)
    batch = tiny_streams([20])
    active = []
    for route in ROUTES:
        model(streams=batch, **ask(*route))
        active.append(model.lora.active)
    shared = ("shared",) if strategy.startswith("shared") else ()
    own = {"rate": ["a4", "a16", "v2", "v5", "a4_v2", "a16_v5"],
           "task": ["asr", "asr", "vsr", "vsr", "avsr", "avsr"]}.get(strategy[-4:])  # fmt: skip
    assert active == [(*shared, name) for name in own] if own else [("shared",)] * len(ROUTES)


def test_only_trained_parts_get_gradients():
    model = tiny_model(lora_strategy="shared", audio_ctc=True)
    model.train()
    model(streams=tiny_streams(FRAMES), labels=LABELS, **ask("av", 4, 2)).loss.backward()
    with_gradient = {n for n, p in model.named_parameters() if p.grad is not None}
    assert any("lora_B.shared" in name for name in with_gradient)
    assert "audio_projector.projectors.4.0.weight" in with_gradient
    allowed = ("audio_projector.projectors.4.", "video_projector.projectors.2.")
    assert all(name.startswith(allowed) or ".lora_" in name for name in with_gradient)
    trainable = {n for n, p in model.named_parameters() if p.requires_grad}
    assert not any(
        name.startswith(("audio_encoder", "video_encoder", "language_model"))
        and ".lora_" not in name
        for name in trainable
    )


def test_frozen_encoders_stay_in_evaluation():
    model = tiny_model().train()
    assert model.language_model.training
    assert not any(module.training for module in model.video_encoder.modules())
    model.video_encoder.requires_grad_(True)
    assert model.train().video_encoder.training


def test_loss_falls_over_twenty_steps():
    model = tiny_model().train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    losses = []
    for _ in range(20):
        total = torch.zeros(())
        for audio_rate, video_rate in ((4, 2), (16, 5)):
            output = model(
                streams=tiny_streams(FRAMES),
                labels=LABELS,
                decorrelation_layers="paper",
                **ask("av", audio_rate, video_rate),
            )
            total = total + output.loss + 0.1 * output.decorrelation_loss
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        losses.append(total.item())
    assert losses[-1] < 0.4 * losses[0]


def test_decorrelation_is_reported_where_asked_for():
    model = tiny_model()
    batch, asked = tiny_streams(FRAMES), ask("av", 4, 2)
    plain = model(streams=batch, labels=LABELS, **asked)
    asked["decorrelation_layers"] = "paper"
    reported = model(streams=batch, labels=LABELS, **asked)
    assert torch.equal(reported.loss, plain.loss)
    alone = [
        model(
            streams=clip_of(batch, row), labels=LABELS[row : row + 1], **asked
        ).decorrelation_loss.item()
        for row in range(3)
    ]
    n_tokens = [2 * n // 4 + n // 2 + 4 + len(PROMPT_IDS["av"]) for n in FRAMES]
    expected = sum(a * n for a, n in zip(alone, n_tokens, strict=True)) / sum(n_tokens)
    assert reported.decorrelation_loss.item() == pytest.approx(expected, rel=1e-4)


def test_decorrelation_anchor_without_bos():
    model = tiny_model(bos_token_id=None)
    hidden = {}
    hook = model.language_model.register_forward_hook(
        lambda _, __, output: hidden.update(states=output.hidden_states)
    )
    asked = ask("av", 4, 5)
    output = model(
        streams=tiny_streams([20]), labels=LABELS[:1], decorrelation_layers="paper", **asked
    )
    hook.remove()
    n_prefix = 1 + 10 + 2 + 4 + 1 + len(PROMPT_IDS["av"])
    states = [state[:, :n_prefix] for state in hidden["states"]]
    expected = decorrelation_loss(states, torch.ones(1, n_prefix, dtype=torch.bool))
    torch.testing.assert_close(output.decorrelation_loss, expected)


def test_a_language_model_without_bos():
    text = Qwen2Config(
        vocab_size=32, hidden_size=24, intermediate_size=48, num_hidden_layers=3,
        num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=True,
        initializer_range=0.3, bos_token_id=20,
    )  # fmt: skip
    model = tiny_model(text_config=text, bos_token_id=None)
    batch = tiny_streams(FRAMES)
    with torch.no_grad():
        logits = model(streams=batch, **ask("audio", 4, None)).logits
    assert logits.shape[1] == 2 + 20 + len(PROMPT_IDS["audio"])
    text = model.generate(streams=batch, **ask("audio", 4, None), max_new_tokens=4)
    assert text.shape[0] == 3


def test_prompts_stored_as_embeddings():
    model = tiny_model(prompt_embeddings=True)
    embed = model.language_model.get_input_embeddings()
    plain = tiny_model()
    batch = tiny_streams([20])
    assert not torch.equal(
        model(streams=batch, **ask("av", 4, 2)).logits,
        plain(streams=batch, **ask("av", 4, 2)).logits,
    )
    for modality, ids in PROMPT_IDS.items():
        assert f"prompt_{modality}" in model.state_dict()
        setattr(model, f"prompt_{modality}", embed(torch.tensor([ids])).detach())
    assert torch.equal(
        model(streams=batch, **ask("av", 4, 2)).logits,
        plain(streams=batch, **ask("av", 4, 2)).logits,
    )


def test_untrained_rates_are_refused_unless_allowed(model):
    batch = tiny_streams([20])
    with pytest.raises(ValueError, match="not trained at audio rate 3; use 4 or 16"):
        model(streams=batch, **ask("av", 3, 2))
    with pytest.raises(ValueError, match="not trained at video rate 4; use 2 or 5"):
        model.generate(streams=batch, **ask("video", None, 4))
    with pytest.raises(ValueError, match="positive"):
        model(streams=batch, **ask("av", -1, 2))
    with torch.no_grad():
        logits = model(streams=batch, **ask("av", 8, 3), allow_untrained_rate=True).logits
    assert logits.shape[1] == 1 + 2 + 5 + 2 + 6 + len(PROMPT_IDS["av"])
    assert model.lora.active == ("shared", "a4_v2")  # nearest by ratio; 8 is as near 4 as 16
    stacked = tiny_model(compression="stack")
    with pytest.raises(ValueError, match="stack compression fixes them"):
        stacked(streams=batch, **ask("av", 8, 2), allow_untrained_rate=True)


def test_rates_that_a_modality_does_not_use_are_ignored(model):
    batch = tiny_streams([20])
    with torch.no_grad():
        logits = [model(streams=batch, **ask("audio", 4, rate)).logits for rate in (3, None)]
    assert torch.equal(*logits)


def test_missing_streams(model):
    batch = tiny_streams([20])
    audio = EncodedStreams(audio=batch.audio)
    with pytest.raises(ValueError, match='"av" needs video'):
        model(streams=audio, **ask("av", 4, 2))
    with pytest.raises(ValueError, match='"video" needs video'):
        model.generate(streams=audio, **ask("video", None, 2))
    with pytest.raises(ValueError, match="neither audio nor video"):
        model(modality="audio")
    with pytest.raises(ValueError, match="trained on"):
        tiny_model(modalities=["av"])(streams=batch, modality="audio")
    assert model(streams=audio).logits.shape == model(streams=audio, modality="audio").logits.shape


def test_a_stream_shorter_than_one_group_still_counts(model):
    batch = tiny_streams([1])
    with torch.no_grad():
        logits = model(streams=batch, **ask("av", 16, 5)).logits
    assert logits.shape[1] == 1 + 4 + 2 + len(PROMPT_IDS["av"])


def test_calls_for_other_adapters_and_training_unfold_lora():
    model, batch = tiny_model(lora_strategy="per_rate"), tiny_streams(FRAMES)
    with torch.no_grad():
        expected = model(streams=batch, **ask("av", 4, 5)).logits
        model.fold_lora(adapters_of(model.config, Route.parse("A16 V5")))
        assert torch.equal(model(streams=batch, **ask("av", 4, 5)).logits, expected)
    assert model.lora.folded is None
    model.fold_lora(adapters_of(model.config, Route.parse("A16 V5")))
    assert model.eval().lora.folded is not None
    assert model.train().lora.folded is None


def test_folded_lora_gives_the_same(model):
    batch, asked = tiny_streams(FRAMES), ask("av", 16, 5)
    with torch.no_grad():
        expected = model(streams=batch, **asked).logits
        model.fold_lora(adapters_of(model.config, Route.parse("A16 V5")))
        folded = model(streams=batch, **asked).logits
        model.unfold_lora()
        assert torch.equal(model(streams=batch, **asked).logits, expected)
    torch.testing.assert_close(folded, expected, atol=1e-4, rtol=1e-4)


def test_no_lora():
    model = tiny_model(lora_strategy=None)
    assert model.lora is None
    assert model(streams=tiny_streams([20]), **ask("av", 4, 2)).logits.shape[0] == 1


def test_video_is_trimmed_before_the_encoder_for_single_rate_models():
    video = torch.randn(2, 14, 1, 88, 88)
    lengths = torch.tensor([14, 4])
    trimmed = tiny_model(video_rates=[5], trim_video_to_rate=True)
    whole = tiny_model(video_rates=[5])
    with torch.no_grad():
        encoded = trimmed.encode(video_values=video, video_lengths=lengths).video
        assert encoded.lengths.tolist() == [10, 4]  # shorter than one group: kept
        expected = whole.encode(video_values=video[:1, :10]).video.features
        torch.testing.assert_close(encoded.features[:1, :10], expected, atol=1e-5, rtol=1e-5)
        untrimmed = whole.encode(video_values=video[:1]).video.features
        assert not torch.allclose(untrimmed[:, :10], expected, atol=1e-4)


@pytest.mark.parametrize("context", ["exact", "padded"])
def test_media_inputs_alone_and_in_a_batch(context):
    model = tiny_model(audio_context=context)
    n_mel = 3000 if context == "padded" else 2 * 60
    mel = torch.randn(2, 80, n_mel)
    samples, frames = torch.tensor([60 * 320, 40 * 320]), torch.tensor([30, 20])
    if context == "exact":
        mel[1, :, 80:] = 7.0  # padding must not matter
    video = torch.randn(2, 30, 1, 88, 88)
    asked = ask("av", 4, 2)
    media = {"input_features": mel, "audio_lengths": samples, "video_values": video,
             "video_lengths": frames}  # fmt: skip
    with torch.no_grad():
        logits = model(**media, **asked).logits
        for row in range(2):
            end = n_mel if context == "padded" else 2 * int(samples[row]) // 320
            alone = model(
                input_features=mel[row : row + 1, :, :end],
                audio_lengths=samples[row : row + 1],
                video_values=video[row : row + 1, : frames[row]],
                video_lengths=frames[row : row + 1],
                **asked,
            ).logits[0]
            torch.testing.assert_close(logits[row, -len(alone) :], alone, atol=1e-4, rtol=1e-4)
        shared = model(streams=model.encode(**media), **asked)
        assert torch.equal(shared.logits, logits)
        projected = model.get_audio_features(mel, samples, rate=4)
        assert projected.shape == (2, 15, 24)
        assert model.get_video_features(video, frames, rate=5).shape == (2, 6, 24)
        with pytest.raises(ValueError, match="not trained at audio rate 3"):
            model.get_audio_features(mel, samples, rate=3)


def test_trained_parts_may_be_wider_than_the_frozen_ones():
    model = tiny_model().to(torch.bfloat16)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    output = model.train()(streams=tiny_streams(FRAMES), labels=LABELS, **ask("av", 4, 2))
    output.loss.backward()
    assert output.logits.dtype == torch.bfloat16
    assert all(p.grad is None or p.grad.dtype == torch.float32 for p in model.parameters())


def test_ctc_heads():
    model = tiny_model(audio_ctc=True, video_ctc=True)
    batch = tiny_streams([20])
    heard, seen = (ctc_scores(model, encoded) for encoded in batch.present)
    assert heard.logits.shape == (1, 40, model.config.text_config.vocab_size + 1)
    assert (heard.steps_per_second, seen.steps_per_second) == (50, 25)
    assert seen.of_clip(0).logits.shape[0] == 20
    with pytest.raises(ValueError, match="no CTC head"):
        ctc_scores(tiny_model(), batch.present[0])


def test_official_numerics_rounds_rotary_frequencies():
    frequencies = {
        flag: tiny_model(official_numerics=flag).language_model.model.rotary_emb.inv_freq
        for flag in (False, True)
    }
    assert torch.equal(frequencies[True], frequencies[False].bfloat16().float())
    assert not torch.equal(frequencies[True], frequencies[False])


def test_base_generation_settings_are_ignored():
    model = AvsrForConditionalGeneration(tiny_config())
    assert model.language_model.generation_config.do_sample in (None, False)
    assert model.language_model.generation_config.temperature in (None, 1.0)
