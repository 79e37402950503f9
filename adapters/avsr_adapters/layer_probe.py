"""Follow the residual stream of any Hugging Face causal language model, layer by layer.

Every value is handed over as soon as it is computed, so that no more than one layer's is in memory.
Shapes: B batch, S positions, D hidden size.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from torch import Tensor, nn

Place = Literal["embeddings", "attention", "mlp", "output"]
LayerObserver = Callable[[int, Place, Tensor], Tensor | None]

_ATTENTION_NAMES = ("self_attn", "attn", "attention", "self_attention")
_MLP_NAMES = ("mlp", "feed_forward", "ffn", "block_sparse_moe")


def decoder_layers(language_model: nn.Module) -> list[nn.Module]:
    """The transformer layers of a language model, in order.

    Raises:
        ValueError: there is no list of as many modules as the configuration has layers.
    """
    n_layers = int(language_model.config.num_hidden_layers)  # pyright: ignore
    for module in language_model.modules():
        if isinstance(module, nn.ModuleList) and len(module) == n_layers:
            return list(module)
    kind = type(language_model).__name__
    raise ValueError(f"cannot find the {n_layers} layers of a {kind}")


@contextmanager
def observed_layers(language_model: nn.Module, observer: LayerObserver) -> Iterator[None]:
    """Call ``observer(layer, place, value)`` for every value [B, S, D] of the calls within.

    Layers count from 1; ``("embeddings", 0)`` is the input of the first. "attention" and "mlp" are
    what these parts *add* to the stream, "output" is the stream after the layer (before any final
    norm). A tensor returned for "embeddings" or "output" takes the value's place.

    Raises:
        ValueError: the model's layers do not have the parts of a pre-norm transformer.
    """
    layers = decoder_layers(language_model)

    def before_first(module: nn.Module, arguments: tuple, options: dict) -> Any:
        if not arguments:
            raise ValueError(f"a {type(module).__name__} gets its hidden states by name")
        changed = observer(0, "embeddings", arguments[0])
        return None if changed is None else ((changed, *arguments[1:]), options)

    def after(layer: int, place: Place) -> Callable:
        def hook(module: nn.Module, arguments: tuple, result: Any) -> Any:
            value = result[0] if isinstance(result, tuple) else result
            changed = observer(layer, place, value)
            if changed is None:
                return None
            return (changed, *result[1:]) if isinstance(result, tuple) else changed

        return hook

    handles = [layers[0].register_forward_pre_hook(before_first, with_kwargs=True)]
    try:
        for number, layer in enumerate(layers, start=1):
            attention, mlp = _part(layer, _ATTENTION_NAMES), _part(layer, _MLP_NAMES)
            handles.append(attention.register_forward_hook(after(number, "attention")))
            handles.append(mlp.register_forward_hook(after(number, "mlp")))
            handles.append(layer.register_forward_hook(after(number, "output")))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _part(layer: nn.Module, names: tuple[str, ...]) -> nn.Module:
    children = dict(layer.named_children())
    for name in names:
        if name in children:
            return children[name]
    raise ValueError(f"a {type(layer).__name__} has none of the parts {', '.join(names)}")
