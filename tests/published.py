"""Tiny checkpoints laid out like the published ones, and what the published models make of them.

The reference computes each step by hand on plain Hugging Face modules: LoRA is folded into the
weights, streams are shortened and projected with plain tensor arithmetic. It shares the AV-HuBERT
module with the package (golden tensors pin that one) and nothing else.
"""

import json
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor
from torch.nn import functional
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperModel,
)

from avsr_frontends.avhubert import AvHubertConfig, AvHubertEncoder

HIDDEN, WIDTH, MIDDLE, DIVISOR, ALPHA = 24, 16, 20, 8, 4
LAYERS = 2  # of the language model
PROMPTS = {
    "audio": "Transcribe speech to text.",
    "video": "Transcribe video to text.",
    "audiovisual": "Transcribe speech and video to text.",
}
WORDS = ["Transcribe", "speech", "video", "to", "text", ".", "and", "hello", "world"]
ADDED = ["<pad>", "<audio>", "</audio>", "<video>", "</video>"]
AUDIO, VIDEO = np.random.default_rng(0).standard_normal(12_345).astype(np.float32), (
    np.random.default_rng(1).integers(0, 256, (19, 96, 96, 3), dtype=np.uint8)
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A kind of published model."""

    streams: tuple[str, ...] = ("audio", "video")
    rates: dict[str, tuple[int, ...]] = field(
        default_factory=lambda: {"audio": (4,), "video": (2,)}
    )
    stack: bool = False
    per_rate: bool = False
    layer_norm: bool = False
    lora: str | None = "shared"  # "shared", "task", "task+shared"
    prompts: bool = False
    avhubert_lora: bool = False
    norm_first: bool = True
    tied: bool = True
    family: str = "llama"
    lightning: bool = False
    hidden: int = HIDDEN  # of the language model
    layers: int = LAYERS
    seed: int = 0


class Published:
    """A checkpoint and its base models in a folder, and the reference results.

    Attributes:
        tensors: of the checkpoint, under published names.
        arguments: of ``avsr convert``, but for the output.
    """

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        torch.manual_seed(recipe.seed)
        self.folder, self.recipe = folder, recipe
        self.tensors: dict[str, Tensor] = OrderedDict()
        n_base = self._write_tokenizer()
        self.n_added = 4 if recipe.family == "qwen" else 5
        self.ids = {token: n_base + i for i, token in enumerate(ADDED[-self.n_added :])}
        self._make_language_model(n_base)
        self._make_encoders()
        self._make_projectors()
        self._make_prompts()
        self.save()
        self.arguments = ["convert", self.file, "--language-model", folder / "llm"]
        for stream, base in (("audio", "whisper"), ("video", "avhubert.pt")):
            if stream in recipe.streams:
                rates = ",".join(map(str, recipe.rates[stream]))
                self.arguments += [f"--{stream}-encoder", folder / base]
                self.arguments += [f"--{stream}-rates", rates]

    @property
    def file(self) -> Path:
        return self.folder / ("model.ckpt" if self.recipe.lightning else "checkpoint.pth")

    def save(self) -> None:
        """Write the checkpoint, again after a change of ``tensors``."""
        if self.recipe.lightning:
            state = {f"model.{name}": tensor for name, tensor in self.tensors.items()}
            torch.save({"state_dict": state, "epoch": 3, "callbacks": {}}, self.file)
        else:
            torch.save(self.tensors, self.file)

    def _write_tokenizer(self) -> int:
        special = ["<unk>", "<s>", "</s>"]
        vocabulary = {token: index for index, token in enumerate([*special, *WORDS])}
        tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        names = {"eos_token": "</s>", "unk_token": "<unk>"}
        names |= {"pad_token": "</s>"} if self.recipe.family == "qwen" else {"bos_token": "<s>"}
        self.tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)
        self.tokenizer.save_pretrained(self.folder / "llm")
        return len(vocabulary)

    def _make_language_model(self, n_base: int) -> None:
        qwen, hidden = self.recipe.family == "qwen", self.recipe.hidden
        rope = {"rope_type": "default", "rope_theta": 10_000.0}
        if not qwen:
            rope = {
                "rope_type": "llama3", "rope_theta": 500.0, "factor": 32.0, "low_freq_factor": 1.0,
                "high_freq_factor": 4.0, "original_max_position_embeddings": 64,
            }  # fmt: skip
        config: Any = (Qwen2Config if qwen else LlamaConfig)(
            vocab_size=n_base, hidden_size=hidden, intermediate_size=4 * hidden,
            num_hidden_layers=self.recipe.layers, num_attention_heads=4, num_key_value_heads=2,
            tie_word_embeddings=self.recipe.tied, rope_parameters=rope,
        )  # fmt: skip
        config.save_pretrained(self.folder / "llm")
        generation = {"do_sample": True, "temperature": 0.6, "top_p": 0.9, "eos_token_id": 2}
        (self.folder / "llm/generation_config.json").write_text(json.dumps(generation))
        config.vocab_size = n_base + self.n_added
        self.llm = (Qwen2ForCausalLM if qwen else LlamaForCausalLM)(config).eval()
        for parameter in self.llm.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        for name, tensor in self.llm.state_dict().items():
            self.tensors[f"llm.{name}"] = tensor.clone()
        if self.recipe.tied:
            self.tensors["llm.lm_head.weight"] = self.tensors["llm.model.embed_tokens.weight"]
        if self.recipe.lora is None:
            return
        bottleneck, kv_width = hidden // DIVISOR, hidden // 2
        tasks = {"shared": [""], "task": [f".{name}" for name in PROMPTS]}
        tasks["task+shared"] = [*tasks["task"], "_shared"]
        for layer in range(self.recipe.layers):
            prefix = f"llm.model.layers.{layer}.self_attn.lora_"
            for suffix in tasks[self.recipe.lora]:
                for letter, width in (("Q", hidden), ("V", kv_width)):
                    down = torch.randn(bottleneck, hidden) * 0.5
                    self.tensors[f"{prefix}down_{letter}{suffix}.weight"] = down
                    self.tensors[f"{prefix}up_{letter}{suffix}.weight"] = torch.randn(
                        width, bottleneck
                    )

    def _make_encoders(self) -> None:
        if "audio" in self.recipe.streams:
            config = WhisperConfig(
                d_model=WIDTH, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=32,
                decoder_layers=1, decoder_attention_heads=2, decoder_ffn_dim=32, vocab_size=16,
                pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
            )  # fmt: skip
            config.save_pretrained(self.folder / "whisper")
            self.whisper = WhisperModel(config).get_encoder().eval()
            _unsettle(self.whisper)
            for name, tensor in self.whisper.state_dict().items():
                self.tensors[f"audio_encoder.{name}"] = tensor.clone()
        if "video" in self.recipe.streams:
            config = AvHubertConfig(
                hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
                resnet_channels=(4, 4, 4, 8, 8), layer_norm_first=self.recipe.norm_first,
                positional_conv_groups=4, lora_bottleneck=2 if self.recipe.avhubert_lora else 0,
            )  # fmt: skip
            self.avhubert = AvHubertEncoder(config).eval()
            _unsettle(self.avhubert)
            for name, tensor in self.avhubert.state_dict().items():
                if name.endswith("running_mean") or ".lora_" in name:
                    tensor.normal_(std=0.5)
                self.tensors[f"video_encoder.{name}"] = tensor.clone()
            self._write_avhubert_file(config)
            for name in ("mask_emb", "label_embs_concat", "final_proj.weight", "final_proj.bias"):
                self.tensors[f"video_encoder.{name}"] = torch.randn(4)

    def _write_avhubert_file(self, config: AvHubertConfig) -> None:
        """The base encoder, before training moved its BatchNorm statistics."""
        state = {name: tensor.clone() for name, tensor in self.avhubert.state_dict().items()}
        state = {name: tensor for name, tensor in state.items() if ".lora_" not in name}
        for name, tensor in state.items():
            if name.endswith("running_mean"):
                tensor.zero_()
        state["mask_emb"] = torch.zeros(104)
        settings = {"encoder_attention_heads": 2, "layer_norm_first": config.layer_norm_first}
        contents = {"args": None, "cfg": {"model": settings}, "model": state, "task_state": {}}
        torch.save(contents, self.folder / "avhubert.pt")

    def _make_projectors(self) -> None:
        recipe = self.recipe
        for stream in recipe.streams:
            rates = recipe.rates[stream] if recipe.per_rate else recipe.rates[stream][:1]
            for index, rate in enumerate(rates):
                prefix = f"{stream}_proj.{index}." if recipe.per_rate else f"{stream}_proj."
                size = WIDTH * rate if recipe.stack else WIDTH
                for layer, shape in (("0", (MIDDLE, size)), ("2", (recipe.hidden, MIDDLE))):
                    self.tensors[f"{prefix}{layer}.weight"] = torch.randn(shape) * shape[1] ** -0.5
                    self.tensors[f"{prefix}{layer}.bias"] = torch.randn(shape[0])
                if recipe.layer_norm:
                    self.tensors[f"{prefix}3.weight"] = torch.rand(recipe.hidden)
                    self.tensors[f"{prefix}3.bias"] = torch.randn(recipe.hidden)

    def _make_prompts(self) -> None:
        if self.recipe.prompts:
            for name, text in PROMPTS.items():
                n_tokens = len(self.tokenizer(text).input_ids)
                self.tensors[f"prompt_{name}"] = torch.randn(1, n_tokens, self.recipe.hidden)

    @torch.no_grad()
    def logits(self, task: str, audio_rate: int | None, video_rate: int | None) -> Tensor:
        """What the published model makes of the one clip, [1, S, V]."""
        self._fold_lora(task)
        embed = self.tensors["llm.model.embed_tokens.weight"]
        parts = [] if self.recipe.family == "qwen" else [embed[[1]]]
        for stream, rate in (("audio", audio_rate), ("video", video_rate)):
            if rate is not None:
                features = self.audio_features(task) if stream == "audio" else self.video_features()
                tokens = self._project(stream, features, rate)
                parts += [embed[[self.ids[f"<{stream}>"]]], tokens]
                parts.append(embed[[self.ids[f"</{stream}>"]]])
        if self.recipe.prompts:
            parts.append(self.tensors[f"prompt_{task}"][0])
        else:
            parts.append(embed[self.tokenizer(PROMPTS[task]).input_ids])
        return self.llm(inputs_embeds=torch.cat(parts)[None]).logits

    def audio_features(self, task: str) -> Tensor:
        """Frames of the Whisper encoder, [T, W]."""
        wave = AUDIO
        if task == "audiovisual":
            wave = np.pad(wave[: 640 * len(VIDEO)], (0, max(0, 640 * len(VIDEO) - len(wave))))
        wave = (wave - wave.mean()) / np.sqrt(wave.var() + 1e-8)
        mel = WhisperFeatureExtractor()(wave, sampling_rate=16_000, return_tensors="pt")
        hidden = self.whisper(mel.input_features).last_hidden_state[0]
        return hidden[: max(int(torch.tensor(len(wave)) / 16_000 * 50), 25)]

    def video_features(self) -> Tensor:
        """Frames of AV-HuBERT, [T, D]; models of one rate drop trailing frames before it."""
        rates = self.recipe.rates["video"]
        video = VIDEO
        if not self.recipe.per_rate and len(rates) == 1:
            video = video[: len(video) // rates[0] * rates[0]]
        grey = video[:, 4:92, 4:92] / 255 @ np.array([0.2989, 0.587, 0.114])
        values = torch.from_numpy((grey - 0.421) / 0.165).float()
        return self.avhubert(values[None, :, None])[0]

    def _project(self, stream: str, features: Tensor, rate: int) -> Tensor:
        kept = features[: len(features) // rate * rate]
        if self.recipe.stack:
            tokens = kept.reshape(len(kept) // rate, -1)
        else:
            tokens = functional.avg_pool1d(kept.T[None], rate, rate)[0].T
        prefix = f"{stream}_proj."
        if self.recipe.per_rate:
            prefix += f"{self.recipe.rates[stream].index(rate)}."
        weights = {k.removeprefix(prefix): v for k, v in self.tensors.items() if prefix in k}
        hidden = functional.relu(functional.linear(tokens, weights["0.weight"], weights["0.bias"]))
        hidden = functional.linear(hidden, weights["2.weight"], weights["2.bias"])
        if self.recipe.layer_norm:
            hidden = functional.layer_norm(
                hidden, (HIDDEN,), weights["3.weight"], weights["3.bias"]
            )
        return hidden

    def _fold_lora(self, task: str) -> None:
        state: dict[str, Any] = {
            name.removeprefix("llm."): tensor.clone()
            for name, tensor in self.tensors.items()
            if name.startswith("llm.") and "lora_" not in name
        }
        suffixes = {None: [], "shared": [""], "task": [f".{task}"]}
        suffixes["task+shared"] = [f".{task}", "_shared"]
        for layer in range(self.recipe.layers):
            block = f"model.layers.{layer}.self_attn."
            for suffix in suffixes[self.recipe.lora]:
                for letter in "QV":
                    down = self.tensors[f"llm.{block}lora_down_{letter}{suffix}.weight"]
                    up = self.tensors[f"llm.{block}lora_up_{letter}{suffix}.weight"]
                    name = f"{block}{letter.lower()}_proj.weight"
                    state[name] = state[name] + ALPHA / DIVISOR * up @ down
        self.llm.load_state_dict(state)


@torch.no_grad()
def _unsettle(module: torch.nn.Module) -> None:
    """Move biases and norms away from the zeros and ones they begin with."""
    for parameter in module.parameters():
        if parameter.dim() == 1:
            parameter.add_(torch.randn_like(parameter) * 0.2)
