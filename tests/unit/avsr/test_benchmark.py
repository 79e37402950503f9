"""The benchmark: both procedures read the same, stages add up, sizes are those published."""

import json
import time
from pathlib import Path

import pytest
import torch

from avsr.benchmark import comparison, sizes
from avsr.benchmark.clips import longest_encoded_s, noise_clips
from avsr.benchmark.comparison import compare
from avsr.benchmark.measurement import median_seconds, operations_of, peak_memory
from avsr.benchmark.plots import plot_latency, plot_throughput
from avsr.benchmark.report import comparison_row, comparison_table, stage_row, stage_table
from avsr.benchmark.stages import StageBench, all_readings
from avsr.cli import run
from avsr.decoding.options import SearchOptions
from avsr.errors import UsageError
from avsr.pretrained import LoadedModel, load_model
from avsr.route import Route

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def loaded(tiny_folder: Path) -> LoadedModel:
    return load_model(tiny_folder, "cpu")


def test_every_trained_modality_at_every_pair_of_rates(loaded: LoadedModel) -> None:
    everything = [str(reading) for reading in all_readings(loaded, None, [None], [None])]
    assert everything == [
        "audio A4", "audio A16", "video V2", "video V5",
        "av A4 V2", "av A4 V5", "av A16 V2", "av A16 V5",
    ]  # fmt: skip
    assert [str(r) for r in all_readings(loaded, ["av"], [16], [None])] == [
        "av A16 V2",
        "av A16 V5",
    ]
    with pytest.raises(UsageError, match="not trained at audio rate 3"):
        all_readings(loaded, None, [3], [None])


@pytest.mark.parametrize("num_beams", [1, 3])
def test_both_procedures_find_the_same_tokens(loaded: LoadedModel, num_beams: int) -> None:
    clips = [clip for s in (0.4, 1.0, 0.7) for clip in noise_clips(1, s, seed=round(10 * s))]
    readings = all_readings(loaded, None, [None], [None])
    found = compare(loaded, clips, readings, num_beams=num_beams, batch_size=2)
    assert (found.n_texts, found.n_same) == (24, 24)
    assert len(found.ours_s) == len(found.reference_s) == len(found.ratios) == 2
    row = comparison_row(found)
    assert row["n_pairs"] == 2
    assert "24/24" in comparison_table([row])


def test_other_tokens_are_noticed(loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    published = comparison.published_reading
    monkeypatch.setattr(comparison, "published_reading", lambda *a, **k: published(*a, **k)[:-1])
    reading = Route(modality="audio", audio_rate=4)
    found = compare(loaded, noise_clips(1, 0.5), [reading], num_beams=1, batch_size=1)
    assert (found.n_texts, found.n_same) == (1, 0)


@pytest.mark.parametrize(
    "search", [SearchOptions(num_beams=1), SearchOptions(num_beams=3, max_new_tokens=4)]
)
def test_stages(loaded: LoadedModel, search: SearchOptions) -> None:
    batch = StageBench(loaded, noise_clips(2, 0.6), repeats=1)
    row = batch.measure(Route(modality="av", audio_rate=4, video_rate=2), search)
    assert list(row.seconds) == [
        "mel", "audio encoder", "crops", "video encoder", "prefix", "prefill", "decode",
    ]  # fmt: skip
    assert row.n_prefix == 1 + 2 + 7 + 2 + 7 + 5  # BOS, markers, 30/4 and 15/2 tokens, prompt
    assert row.n_tokens > 0
    assert row.operations["video encoder"] > row.operations["prefix"] > 0
    assert row.total_s == pytest.approx(sum(row.seconds.values()))
    assert row.real_time_factor == pytest.approx(row.total_s / 1.2)
    assert str(search) in stage_table([stage_row(row)])
    lips = batch.measure(Route(modality="video", video_rate=5), search)
    assert lips.seconds["video encoder"] == row.seconds["video encoder"]  # measured once
    assert "audio encoder" not in lips.seconds


def test_measurements() -> None:
    a = torch.ones(8, 16)
    assert operations_of(lambda: a @ a.T) == 2 * 8 * 16 * 8
    assert median_seconds(lambda: time.sleep(0.002), CPU, 3) >= 0.002
    with peak_memory(CPU) as before:
        pass
    with peak_memory(CPU) as peak:
        held = torch.ones(30_000_000)
    assert peak.n_bytes - before.n_bytes > 0.8 * 4 * len(held)


@pytest.mark.parametrize("name", list(sizes.LANGUAGE_MODELS))
def test_language_model_sizes(name: str) -> None:
    published = {
        "llama-3.2-1b": 1.236e9, "llama-3.2-3b": 3.213e9, "llama-3.1-8b": 8.030e9,
        "qwen-2.5-0.5b": 0.494e9, "qwen-2.5-1.5b": 1.544e9, "qwen-2.5-3b": 3.086e9,
    }  # fmt: skip
    config = sizes.random_config(f"{name},whisper-tiny").text_config
    head_size = config.hidden_size // config.num_attention_heads
    attention = 2 * config.hidden_size * (config.num_attention_heads * head_size)
    attention += 2 * config.hidden_size * (config.num_key_value_heads * head_size)
    layer = attention + 3 * config.hidden_size * config.intermediate_size
    tables = 1 if config.tie_word_embeddings else 2
    n_vocabulary = config.vocab_size - sizes.N_MARKERS
    total = config.num_hidden_layers * layer + tables * n_vocabulary * config.hidden_size
    assert total == pytest.approx(published[name], rel=0.002)


def test_random_models_read_to_the_last_token() -> None:
    small = dict(sizes.LANGUAGE_MODELS["qwen-2.5-0.5b"], hidden_size=64, intermediate_size=64)
    small |= {"num_attention_heads": 4, "vocab_size": 50}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sizes.LANGUAGE_MODELS, "small", small)
        loaded = sizes.random_model("small,whisper-tiny,avhubert-base", layers=1, device="cpu")
    config = loaded.model.config
    assert config.video_config.num_hidden_layers == config.text_config.num_hidden_layers == 1
    assert "1 layers of each" in loaded.name
    assert longest_encoded_s(loaded) == 30
    search = SearchOptions(num_beams=2, max_new_tokens=3)
    row = StageBench(loaded, noise_clips(1, 0.4), 1).measure(Route(modality="av"), search)
    assert row.n_tokens == 3


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("gpt-9,whisper-tiny", "there is no size 'gpt-9'"),
        ("whisper-tiny,avhubert-base", "give a language model and an encoder"),
        ("llama-3.2-1b", "give a language model and an encoder"),
        ("llama-3.2-1b,llama-3.2-3b", "two sizes of one part"),
    ],
)
def test_wrong_sizes(names: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        sizes.random_config(names)


def test_the_command(tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["bench", "--model", str(tiny_folder), "--clips", "1,2", "--modality", "av"]
    arguments += ["--audio-rate", "4", "--repeats", "1", "--max-tokens", "3"]
    output = tmp_path / "out" / "bench.json"
    more = ["--seconds", "0.5,40", "--beam", "1,2", "-o", str(output), "--plots", str(tmp_path)]
    assert run([*arguments, *more]) == 0
    captured = capsys.readouterr()
    assert "40 s is left out" in captured.err
    assert captured.out.count("\n") == 1 + 2 * 2 * 2  # batches, rate pairs, searches
    results = json.loads(output.read_text())
    assert results["model"] == "tiny"
    assert results["rows"][0]["n_tokens"] > 0
    assert str(tmp_path) not in output.read_text()
    assert (tmp_path / "latency.png").stat().st_size > 5000
    assert (tmp_path / "throughput.png").stat().st_size > 5000
    assert run([*arguments, "--seconds", "0.5", "--beam", "2", "--reference"]) == 0
    assert "speed-up" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--layers", "2"], "go with --random"),
        (["--draft", "oracle"], "'oracle' is not one of 'ctc'"),
        (["--dtype", "float8"], "'float8' is not one of 'auto', 'float32', 'bfloat16'"),
        (["--beam", "0"], "give numbers above 0"),
        (["--seconds", "ten"], "give numbers above 0"),
    ],
)
def test_wrong_usage(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["bench", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_nothing_to_draw(tmp_path: Path) -> None:
    assert not plot_latency([], tmp_path / "a.png", "")
    assert not plot_throughput([], tmp_path / "b.png", "")
