"""Random states that a look at the model leaves as they were, so that a run with it is the run without it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["kept_random_states"]


@contextmanager
def kept_random_states() -> Iterator[None]:
    """Put the random states of Python, numpy and torch (all devices) back when the block is left."""
    import numpy as np
    import torch

    python, array = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(array)
