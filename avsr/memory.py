"""Keeping memory small: giving back what is free, and not keeping what hardly comes again."""

import ctypes
import gc
import os

_SHAPES = 32  # enough for the layers of a decoder's step, which come again


def keep_few_shapes() -> None:
    """Let PyTorch's oneDNN keep little of what it prepares; to be called before it computes.

    It would keep 1024 preparations, some for each length of input, and speech hardly has a length
    twice. They lie scattered, so that the allocator cannot give back what is free between them:
    hundreds of megabytes in an hour. A value that the user has set stays.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(_SHAPES))


def release_memory() -> None:
    """Return what nothing uses any more; where the C library cannot, do nothing.

    Decoders and the face tracker leave the allocator in fragments that it would keep: about a
    megabyte more with each film, although nothing leaks.
    """
    gc.collect()
    try:
        trim = ctypes.CDLL(None).malloc_trim  # of glibc
    except (AttributeError, OSError, TypeError):
        return
    trim(0)
