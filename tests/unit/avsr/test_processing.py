import numpy as np
import pytest
import torch

from avsr.processing import AvsrProcessor
from avsr_frontends.audio import log_mel, normalise_waveform
from avsr_frontends.mouth import normalise_mouth
from tests.tiny import tiny_config

RANDOM = np.random.default_rng(0)
WAVES = [RANDOM.normal(size=n).astype(np.float32) for n in (33_500, 20_000)]
MOUTHS = [RANDOM.integers(0, 255, (n, 96, 96), dtype=np.uint8) for n in (53, 30)]


@pytest.fixture
def processor(tiny_folder) -> AvsrProcessor:
    return AvsrProcessor.from_pretrained(tiny_folder)


def test_audio_is_fitted_to_the_video_before_normalisation(processor):
    batch = processor(WAVES[0], MOUTHS[0], modality="av")
    assert batch["audio_lengths"].tolist() == [53 * 640]
    assert batch["video_lengths"].tolist() == [53]
    filled = np.pad(WAVES[0], (0, 53 * 640 - 33_500))
    torch.testing.assert_close(batch["input_features"][0], log_mel(normalise_waveform(filled)))
    cut = processor(WAVES[1], MOUTHS[1][:20], modality="av")
    expected = log_mel(normalise_waveform(WAVES[1][: 20 * 640]))
    torch.testing.assert_close(cut["input_features"][0], expected)


def test_audio_alone_keeps_its_length(processor):
    batch = processor(WAVES[0], MOUTHS[0], modality="audio")
    assert set(batch) == {"input_features", "audio_lengths"}
    assert batch["audio_lengths"].tolist() == [33_500]


def test_video_values(processor):
    batch = processor(video=MOUTHS[0])
    assert batch["video_values"].shape == (1, 53, 1, 88, 88)
    assert np.array_equal(batch["video_values"][0].numpy(), normalise_mouth(MOUTHS[0]))
    colour = np.repeat(MOUTHS[0][..., None], 3, axis=-1)
    assert processor(video=colour)["video_values"].shape == (1, 53, 1, 88, 88)


def test_a_batch_is_padded_rows(processor):
    batch = processor(WAVES, MOUTHS, ["bin blue at", "set"])
    n_mel = 0
    for row in range(2):
        alone = processor(WAVES[row], MOUTHS[row])
        n_mel = alone["input_features"].shape[-1]
        assert torch.equal(batch["input_features"][row, :, :n_mel], alone["input_features"][0])
        n_frames = len(MOUTHS[row])
        assert torch.equal(batch["video_values"][row, :n_frames], alone["video_values"][0])
    assert not batch["input_features"][1, :, n_mel:].any()


def test_labels_are_the_text_and_its_end(processor):
    labels = processor(WAVES, text=["bin blue at", "set"])["labels"]
    words = processor.tokenizer.convert_tokens_to_ids
    end = processor.tokenizer.eos_token_id
    assert labels.tolist() == [
        [words("bin"), words("blue"), words("at"), end],
        [words("set"), end, -100, -100],
    ]


def test_decoding_skips_special_tokens(processor):
    words = processor.tokenizer.convert_tokens_to_ids
    row = [words("bin"), words("blue"), processor.tokenizer.eos_token_id, words("<pad>")]
    assert processor.decode(torch.tensor(row)) == "bin blue"
    assert processor.batch_decode([row, row[:1]]) == ["bin blue", "bin"]


def test_saved_and_read_back(tmp_path, processor):
    padded = AvsrProcessor(
        processor.tokenizer, num_mel_bins=128, audio_context="padded", official_numerics=True
    )
    padded.save_pretrained(tmp_path)
    again = AvsrProcessor.from_pretrained(tmp_path)
    assert again(WAVES[0])["input_features"].shape == (1, 128, 3000)
    assert torch.equal(again(WAVES[0])["input_features"], padded(WAVES[0])["input_features"])
    assert again.official_numerics
    assert again.tokenizer.get_vocab() == processor.tokenizer.get_vocab()


def test_settings_follow_the_model(processor):
    config = tiny_config(audio_context="padded", official_numerics=True)
    made = AvsrProcessor.from_config(config, processor.tokenizer)
    assert (made.num_mel_bins, made.audio_context, made.official_numerics) == (80, "padded", True)
    assert AvsrProcessor.from_config(tiny_config(audio_config=None), processor.tokenizer)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"audio": WAVES[0], "modality": "av"}, '"av" needs video'),
        ({"video": MOUTHS[0], "modality": "audio"}, '"audio" needs audio'),
        ({"audio": WAVES[0], "modality": "both"}, "audio.*video.*av"),
        ({"audio": WAVES, "video": MOUTHS[:1]}, "2 audio clips but 1 video"),
        ({"audio": WAVES[0], "sampling_rate": 8000}, "16000 Hz, got 8000"),
        ({"audio": WAVES[0][None]}, "audio \\[N\\]"),
        ({"audio": WAVES[0][:0]}, "empty"),
        ({"audio": WAVES[0], "return_tensors": "np"}, "pt"),
    ],
)
def test_wrong_calls(processor, arguments, message):
    with pytest.raises(ValueError, match=message):
        processor(**arguments)


def test_no_model_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="no model folder"):
        AvsrProcessor.from_pretrained(tmp_path)
