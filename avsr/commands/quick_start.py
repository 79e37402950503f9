"""What reading files needs nothing of, though the libraries that it needs import it."""

import gc
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from avsr_frontends.lazy_import import import_lazily


def import_sparingly() -> None:
    """Let these parts of libraries load when something of them is used; before transformers is.

    They are PyTorch's compiler (for kinds of attention and of weights that no model here has), its
    symbolic shapes with sympy, SciPy's optimizer (for losses of object detection), and all by which
    processes share a model.
    """
    torch = importlib.import_module("torch")  # what stands for parts of it comes after it

    if "transformers" not in sys.modules:
        # Libraries ask this before they import what processes share models by, and do without.
        torch.distributed.is_available = lambda: False

    import_lazily(
        "torch._dynamo", decorators=("allow_in_graph", "assume_constant_result", "disable")
    )
    import_lazily(
        "torch._dynamo._trace_wrapped_higher_order_op", functions=("TransformGetItemToIndex",)
    )
    import_lazily("torch.fx.experimental.symbolic_shapes", functions=("statically_known_true",))
    import_lazily("scipy.optimize", functions=("linear_sum_assignment",))


@contextmanager
def without_collection() -> Iterator[None]:
    """Load what stays to the end, with no look for garbage in it, neither now nor later."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
