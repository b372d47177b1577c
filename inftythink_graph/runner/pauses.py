"""How long a trajectory waits before it asks again."""

from __future__ import annotations

import asyncio
import random

__all__ = ["pause_before"]

_FIRST, _LONGEST = 0.1, 20.0


async def pause_before(tries: int, asked_for: float | None) -> None:
    """Wait before a further try: longer each time, at random, so that not all come back at once (full jitter).

    Args:
        tries: that were made in vain.
        asked_for: seconds that the server asked for; its gate is closed as long, so there is no need to wait here.
    """
    if not asked_for:
        await asyncio.sleep(random.uniform(0, min(_FIRST * 2**tries, _LONGEST)))
