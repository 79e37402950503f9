import pytest
from transformers import LlamaConfig, Qwen2Config

from avsr.config import AvsrConfig
from avsr_adapters import STRATEGIES
from tests.tiny import tiny_config


def test_saved_and_read_back(tmp_path):
    config = tiny_config(
        audio_rates=(3, 7), lora_strategy="shared+per_task", base_models={"text": {"name": "x"}}
    )
    config.save_pretrained(tmp_path)
    again = AvsrConfig.from_pretrained(tmp_path)
    assert again.to_dict() == config.to_dict()
    assert again.audio_rates == [3, 7]
    assert isinstance(again.text_config, LlamaConfig)
    assert again.video_config.hidden_size == config.video_config.hidden_size


def test_any_language_model_configuration():
    text = Qwen2Config(vocab_size=32, hidden_size=24, num_hidden_layers=3, num_attention_heads=4)
    config = AvsrConfig.from_dict(tiny_config(text_config=text).to_dict())
    assert isinstance(config.text_config, Qwen2Config)


def test_modalities_follow_from_the_encoders():
    assert tiny_config().modalities == ["audio", "video", "av"]
    assert tiny_config(video_config=None).modalities == ["audio"]
    assert tiny_config(audio_config=None).tasks == ["vsr"]
    assert tiny_config(modalities=["av"]).tasks == ["avsr"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"video_config": None, "modalities": ["av"]}, "need an encoder"),
        ({"audio_config": None, "video_config": None}, "need an encoder"),
        ({"compression": "max"}, "average, stack"),
        ({"lora_strategy": "none"}, "shared\\+per_rate"),
        ({"audio_context": "long"}, "exact, padded"),
        ({"audio_rates": [0, 4]}, "positive integers"),
        ({"video_rates": [2, 2]}, "different positive"),
        ({"video_rates": []}, "positive integers"),
        ({"compression": "stack", "projector_per_rate": False}, "projector_per_rate"),
        ({"trim_video_to_rate": True}, "single video rate"),
    ],
)
def test_impossible_settings(changes, message):
    with pytest.raises(ValueError, match=message):
        tiny_config(**changes)


def test_misspelt_settings():
    with pytest.raises(ValueError, match='"lora_rnk", did you mean "lora_rank"'):
        tiny_config(lora_rnk=4)
    with pytest.raises(ValueError, match='did you mean "audio_rates"'):
        tiny_config(audio_rate=[4])


def test_strategies_are_those_of_the_adapters():
    for strategy in STRATEGIES:
        assert tiny_config(lora_strategy=strategy).lora_strategy == strategy
