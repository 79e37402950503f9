"""Speculative decoding: whatever is proposed, the tokens are those of greedy search."""

from pathlib import Path

import pytest
import torch

from avsr.cli import run
from avsr.decoding.ctc_scores import greedy_units
from avsr.decoding.draft import resume_at
from avsr.decoding.generation import generate_tokens, verify_drafts
from avsr.route import Route
from tests.tiny import EOS, tiny_config, tiny_model, tiny_streams

SAMPLES = Path(__file__).parents[3] / "demo" / "samples"
ASKED = {"modality": "av", "audio_rate": 4, "video_rate": 2}
FRAMES = [70, 13, 40, 25, 33, 8]


@pytest.fixture(scope="module")
def model():
    model = tiny_model(seed=3, max_tokens_per_second=4.0, audio_ctc=True, video_ctc=True)
    with torch.no_grad():
        model.language_model.lm_head.weight[EOS] *= 2.5
    return model


def texts_of(generation) -> list[list[int]]:
    rows = zip(generation.sequences.tolist(), generation.lengths.tolist(), strict=True)
    return [row[:length] for row, length in rows]


@pytest.mark.parametrize(
    "propose",
    [
        pytest.param(lambda text: text[:-1], id="all right"),
        pytest.param(lambda text: [], id="nothing"),
        pytest.param(lambda text: [9] * 12, id="all wrong"),
        pytest.param(lambda text: text[:4], id="too short"),
        pytest.param(lambda text: [*text[:2], 9, *text[3:-1]], id="one substituted"),
        pytest.param(lambda text: text[:2] + text[3:-1], id="one missing"),
        pytest.param(lambda text: [*text[:3], 9, *text[3:-1]], id="one too many"),
        pytest.param(lambda text: text[:-1] * 5, id="beyond the end"),
        pytest.param(lambda text: [EOS, *text], id="an end inside"),
    ],
)
def test_the_text_is_that_of_greedy_search(model, propose):
    prefix, settings = model.search_inputs(streams=tiny_streams(FRAMES), **ASKED)
    greedy = generate_tokens(model.language_model, prefix, settings)
    drafts = [propose(text) for text in texts_of(greedy)]
    found = verify_drafts(
        model.language_model, prefix, settings, drafts, model.get_input_embeddings()
    )
    assert torch.equal(found.sequences, greedy.sequences)
    torch.testing.assert_close(found.token_log_probs, greedy.token_log_probs, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found.sequence_scores, greedy.sequence_scores, atol=1e-4, rtol=1e-4)


def test_right_proposals_are_accepted_and_save_steps(model, monkeypatch):
    prefix, settings = model.search_inputs(streams=tiny_streams(FRAMES), **ASKED)
    greedy = generate_tokens(model.language_model, prefix, settings)
    n_read = []  # clips in each pass
    forward = model.language_model.forward

    def counted(**given):
        n_read.append(len(next(given[n] for n in ("inputs_embeds", "input_ids") if n in given)))
        return forward(**given)

    monkeypatch.setattr(model.language_model, "forward", counted)
    drafts = [text[:-1] for text in texts_of(greedy)]
    found = verify_drafts(
        model.language_model, prefix, settings, drafts, model.get_input_embeddings()
    )
    assert found.n_drafted is not None
    assert found.n_accepted is not None
    assert found.n_drafted.tolist() == found.n_accepted.tolist() == [len(d) for d in drafts]
    assert sum(n_read) == len(drafts)  # each clip was read in a single pass
    n_read.clear()
    one_wrong = [[*text[:2], 9, *text[3:-1]] for text in texts_of(greedy)]
    verify_drafts(model.language_model, prefix, settings, one_wrong, model.get_input_embeddings())
    assert len(drafts) < sum(n_read) <= 4 * len(drafts)


@pytest.mark.parametrize("modality", ["audio", "video", "av"])
def test_generate_with_a_ctc_draft(model, modality):
    for seed in range(4):
        batch = tiny_streams(FRAMES, seed=seed)
        plain = model.generate_with_scores(streams=batch, modality=modality)
        drafted = model.generate_with_scores(streams=batch, modality=modality, draft="ctc")
        assert torch.equal(drafted.sequences, plain.sequences)
        assert int(drafted.n_drafted.sum()) > 0
        assert plain.n_drafted is None


def test_mixed_rows_with_a_draft():
    model = tiny_model(lora_strategy="per_task", audio_ctc=True, video_ctc=True)
    routes = [Route(modality=modality) for modality in ("av", "video", "audio")]
    asked = {"route": routes, "max_new_tokens": 9}
    batch = tiny_streams([20, 14, 30])
    plain = model.generate(streams=batch, **asked)
    drafted = model.generate_with_scores(streams=batch, **asked, draft="ctc")
    assert torch.equal(drafted.sequences, plain)
    assert drafted.n_drafted.shape == (3,)


def test_what_a_draft_needs(model):
    batch = tiny_streams([20])
    with pytest.raises(ValueError, match="no CTC head"):
        tiny_model().generate(streams=batch, **ASKED, draft="ctc")
    only_sound = tiny_model(audio_ctc=True)  # lips alone are then read without a draft
    found = only_sound.generate_with_scores(streams=batch, modality="video", draft="ctc")
    assert torch.equal(found.sequences, only_sound.generate(streams=batch, modality="video"))
    assert found.n_drafted.tolist() == [0]
    with pytest.raises(ValueError, match="greedy search only, got 3 beams"):
        model.generate(streams=batch, **ASKED, draft="ctc", num_beams=3)
    with pytest.raises(ValueError, match='draft must be one of ctc, none or None, got "oracle"'):
        model.generate(streams=batch, **ASKED, draft="oracle")


def test_a_model_that_forgets_takes_no_draft_but_searches():
    text = tiny_config().text_config.to_dict()
    for unwanted in ("architectures", "model_type", "transformers_version"):
        text.pop(unwanted, None)
    sliding = {
        "model_type": "qwen2",
        "use_sliding_window": True,
        "sliding_window": 8,
        "max_window_layers": 1,
    }
    model = tiny_model(text_config=text | sliding, audio_ctc=True, lora_strategy=None)
    batch = tiny_streams([20, 30])
    with pytest.raises(ValueError, match="attend to everything"):
        model.generate(streams=batch, **ASKED, draft="ctc")
    assert model.generate(streams=batch, **ASKED, num_beams=2, max_new_tokens=4).shape == (2, 4)


@pytest.mark.parametrize(
    ("text", "draft", "rest"),
    [
        ([4, 5, 9], [4, 5, 6, 7, 8], [7, 8]),  # one changed
        ([4, 5, 7], [4, 5, 6, 7, 8], [8]),  # one too many in the draft
        ([4, 5, 9, 6], [4, 5, 6, 7, 8], [7, 8]),  # one missing in the draft
        ([9], [4, 5], [5]),
        ([4, 5], [], []),
        ([9, 9, 9], [4], []),
    ],
)
def test_the_rest_of_a_draft_follows_the_best_alignment(text, draft, rest):
    assert draft[resume_at(text, draft) :] == rest


def test_a_head_reads_with_repeats_merged_and_blanks_dropped():
    for frames, units in (([4, 4, 9, 4, 5, 5, 9, 9], [4, 4, 5]), ([9, 6, 6, 9, 9], [6]), ([], [])):
        steps = torch.tensor(frames, dtype=torch.long)
        assert greedy_units(torch.nn.functional.one_hot(steps, 10).float()) == units


@pytest.mark.parametrize("command", ["transcribe", "evaluate"])
def test_the_command_line_reads_the_same_with_a_draft(command, capsys):
    inputs = [str(path) for path in sorted(SAMPLES.glob("*.mp4"))]
    if command == "evaluate":
        inputs = ["--manifest", str(SAMPLES / "manifest.jsonl")]
    arguments = [command, "--modality", "audio", "--beam", "1", *inputs]
    assert run(arguments) in (0, 1)  # one of the samples has no sound
    plain = capsys.readouterr().out
    assert plain.strip()
    assert run([*arguments, "--draft", "ctc"]) in (0, 1)
    captured = capsys.readouterr()
    assert captured.out == plain
    assert ("proposed tokens were right" in captured.err) == (command == "evaluate")
    assert run([*arguments, "--draft", "ctc", "--beam", "2"]) == 2
    assert "a draft goes with greedy search only" in capsys.readouterr().err


def test_the_command_line_says_that_there_is_no_head(tiny_folder, media, capsys):
    arguments = ["transcribe", "--model", str(tiny_folder), str(media / "sound.wav")]
    assert run([*arguments, "--draft", "ctc"]) == 2
    assert "has no CTC head for audio or video" in capsys.readouterr().err
