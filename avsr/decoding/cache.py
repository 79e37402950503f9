"""A key-value cache that grows in place.

Shapes: R rows, H key-value heads, S positions, D head size.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.nn import functional
from transformers import Cache, DynamicCache
from transformers.cache_utils import DynamicLayer

from avsr.decoding.rows import restore_rows

_GROWTH = 32  # positions added at a time where more are needed than were reserved


class ReservedLayer(DynamicLayer):
    """Keys and values of one layer, in buffers with room for the tokens to come.

    The library's own layer copies everything for each new token; here it is written into its place.

    Args:
        n_reserved: positions to make room for at a time.
    """

    def __init__(self, n_reserved: int) -> None:
        super().__init__()
        self._n_reserved = n_reserved
        self._length = 0

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        self.dtype, self.device = key_states.dtype, key_states.device
        self.keys, self.values = key_states, value_states
        self._length = key_states.shape[-2]
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Append [R, H, n, D] and return all keys and values so far."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            return key_states, value_states
        keys, values = self._buffers()
        end = self._length + key_states.shape[-2]
        if end > keys.shape[-2]:
            self._reserve(max(end - self._length, self._n_reserved, _GROWTH))
            keys, values = self._buffers()
        keys[:, :, self._length : end] = key_states
        values[:, :, self._length : end] = value_states
        self._length = end
        return keys[:, :, :end], values[:, :, :end]

    def get_seq_length(self) -> int:
        return self._length

    def forget_last(self, n_positions: int) -> None:
        """Let the next tokens take the places of the last ones."""
        self._length -= n_positions

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep some rows."""
        self.keys, self.values = (buffer.index_select(0, indices) for buffer in self._buffers())

    @classmethod
    def joined(cls, layers: Sequence["ReservedLayer"], order: Tensor | None) -> "ReservedLayer":
        """One layer with the rows of several, which end at the same position.

        Args:
            layers: of unlike lengths; what the shorter ones lack at the beginning means nothing.
            order: puts the rows in order, see :func:`avsr.decoding.rows.row_order`.
        """
        longest = max(layer.get_seq_length() for layer in layers)
        joined = cls(layers[0]._n_reserved)
        both = []
        for buffers in zip(*(layer._buffers() for layer in layers), strict=True):
            aligned = [
                functional.pad(buffer, (0, 0, longest - buffer.shape[-2], 0)) for buffer in buffers
            ]
            both.append(restore_rows(aligned, order))
        joined.lazy_initialization(*both)
        return joined

    def _buffers(self) -> tuple[Tensor, Tensor]:
        assert self.keys is not None
        assert self.values is not None
        return self.keys, self.values

    def _reserve(self, n_more: int) -> None:
        """Move into new buffers with room for ``n_more`` positions."""
        self.keys, self.values = (
            _enlarged(buffer[:, :, : self._length], n_more) for buffer in self._buffers()
        )


def reserve_cache(text_config: Any, n_reserved: int) -> Cache:
    """An empty cache for a language model, with room for ``n_reserved`` tokens after the prefix.

    Models whose layers do not all attend to everything keep the library's own cache.
    """
    library_cache = DynamicCache(config=text_config)
    if not attends_to_everything(library_cache):
        return library_cache
    n_layers = text_config.get_text_config(decoder=True).num_hidden_layers
    return Cache(layers=[ReservedLayer(n_reserved) for _ in range(n_layers)])


def join_caches(caches: Sequence[Cache], order: Tensor | None) -> Cache:
    """One cache with the rows of several that have just read their prefixes."""
    layers: list[Any] = [list(layer) for layer in zip(*(c.layers for c in caches), strict=True)]
    return Cache(layers=[ReservedLayer.joined(same, order) for same in layers])


def attends_to_everything(cache: Cache) -> bool:
    """Whether every layer keeps all positions, so that holes may be left in it."""
    return all(type(layer) in (DynamicLayer, ReservedLayer) for layer in cache.layers)


def _enlarged(states: Tensor, n_more: int) -> Tensor:
    rows, heads, length, width = states.shape
    buffer = states.new_empty(rows, heads, length + n_more, width)
    buffer[:, :, :length] = states
    return buffer
