"""Random states that a look at the model leaves as they were, so that a run with it is the run without it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["kept_random_states"]


@contextmanager
def kept_random_states() -> Iterator[None]:
    """Put the random states of Python, numpy and torch (this process's device too) back when the block is left."""
    import numpy as np
    import torch

    python, array = random.getstate(), np.random.get_state()
    try:
        # Only the device in use: asking the others for their state would take memory on each.
        devices = [torch.cuda.current_device()] if torch.cuda.is_initialized() else []
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(array)
