"""Which units go together into a segment: as many as fit, or the cuts that cost least.

Units are known here by their places in a count of tokens only: unit i takes the tokens ``left[i]`` to ``right[i]``, and
units i to j - 1 together ``right[j - 1] - left[i]``. A unit above the limit is a segment of its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

__all__ = ["pack_greedily", "pack_optimally"]

_SEGMENT = 2.0
_TINY = 4.0


def pack_greedily(left: Sequence[int], right: Sequence[int], limit: int) -> list[int]:
    """Fill every segment as far as it goes.

    Returns:
        Where segments end: ascending numbers of units, the last one being the number of all units.
    """
    stops: list[int] = []
    first = 0
    for index in range(1, len(left)):
        if right[index] - left[first] > limit:
            stops.append(index)
            first = index
    return [*stops, len(left)]


def _cheapest(
    left: Sequence[int], right: Sequence[int], limit: int, tiny: int, costs: Sequence[float], segment: float
) -> list[int]:
    """Cuts of least total cost, by dynamic programming over the place of the last cut.

    A segment costs ``segment``, its end ``costs[i]``; one below ``tiny`` tokens costs between one and two ``_TINY``
    more, the more the shorter. Both kinds of segments are minima over a window that only moves forward, the price being
    a sum of a part for the segment's start and a part for its end: so a queue for each makes this linear.
    """
    total = [0.0] * (len(left) + 1)
    previous = [0] * (len(left) + 1)
    long: deque[int] = deque()  # starts that make the segment long enough, cheapest first
    short: deque[int] = deque()
    slope = _TINY / max(tiny, 1)
    entering = lowest = 0
    for stop in range(1, len(left) + 1):
        here = right[stop - 1]
        start = stop - 1
        key = total[start] + slope * left[start]
        while short and total[short[-1]] + slope * left[short[-1]] > key:
            short.pop()
        short.append(start)
        while entering < stop and here - left[entering] >= tiny:
            while long and total[long[-1]] > total[entering]:
                long.pop()
            long.append(entering)
            entering += 1
        while lowest < start and here - left[lowest] > limit:
            lowest += 1
        while long and long[0] < lowest:
            long.popleft()
        while short and short[0] < max(entering, lowest):
            short.popleft()
        best = float("inf")
        if long:
            best, previous[stop] = total[long[0]], long[0]
        if short:
            price = total[short[0]] + _TINY + slope * (tiny - (here - left[short[0]]))
            if price < best:
                best, previous[stop] = price, short[0]
        total[stop] = best + segment + costs[stop - 1]
    stops = [len(left)]
    while previous[stops[-1]]:
        stops.append(previous[stops[-1]])
    return stops[::-1]


def pack_optimally(
    left: Sequence[int], right: Sequence[int], limit: int, *, costs: Sequence[float], tiny: int
) -> list[int]:
    """Cut where it costs least, without tiny segments and with few more segments than needed.

    Args:
        left: first token of each unit.
        right: token after the last one of each unit.
        limit: the most tokens of a segment.
        costs: what a cut after each unit costs; between 0 and a few units, 0 after the last one.
        tiny: segments below this number of tokens are avoided before anything else.

    Returns:
        As :func:`pack_greedily`: at most a quarter more segments than the fewest possible, or one more.
    """
    fewest = len(pack_greedily(left, right, limit))
    most = fewest + max(1, fewest // 4)
    segment = _SEGMENT
    while len(stops := _cheapest(left, right, limit, tiny, costs, segment)) > most:
        segment *= 2
    return stops
