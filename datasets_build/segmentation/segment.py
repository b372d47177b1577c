"""Cutting a long chain of thought into segments of at most eta tokens (Yan et al. 2025, arXiv 2503.06692, section 3.2).

A chain is a sequence of units (paragraphs, lines, sentences); consecutive units are packed into a segment as long as
the segment's own text, joints included, stays within eta. :func:`pack_units` takes units that are never broken up;
:func:`segment_chain` finds the units of any chain, and splits those that exceed eta.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from datasets_build.segmentation.packing import pack_greedily, pack_optimally
from datasets_build.segmentation.sizes import Sizer, sizer_of
from datasets_build.segmentation.thoughts import THOUGHT, thought_score
from datasets_build.segmentation.units import STAGES, Cut, Layout, Unit

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["Counter", "Mode", "Segment", "check_options", "pack_units", "segment_chain"]

Counter: TypeAlias = Callable[[Sequence[str]], list[int]]
"""The number of tokens of each of several texts, by the target model's tokenizer."""


def _exact(units: Sequence[str], start: int, eta: int, count: Counter, joint: str) -> int:
    """Where the segment from ``start`` must stop, measuring the joined text after every unit."""
    stop, text = start + 1, units[start]
    while stop < len(units) and count([text + joint + units[stop]])[0] <= eta:
        text += joint + units[stop]
        stop += 1
    return stop


def pack_units(units: Sequence[str], eta: int, count: Counter, *, joint: str = "\n") -> list[range]:
    """Pack units greedily into segments.

    Args:
        units: the chain's units, in order. ``joint.join(units)`` is the chain.
        eta: the most tokens that a segment may have; at least 1.
        count: token counts of several texts at once.
        joint: what stands between two units.

    Returns:
        For each segment the range of its units. The ranges follow one another and cover all units: segment i is
        ``joint.join(units[k] for k in ranges[i])``, of at most eta tokens as counted on that very text.

    Raises:
        ValueError: eta is below 1, or one unit alone has more than eta tokens.
    """
    if eta < 1:
        raise ValueError(f"eta must be at least 1, got {eta}")
    *sizes, joint_size = count([*units, joint])
    for unit, size in zip(units, sizes, strict=True):
        if size > eta:
            raise ValueError(f"one unit alone has {size} tokens, more than eta = {eta}: {unit[:80]!r}")
    # Sums of parts first: two tokenizer calls a chain. A tokenizer may split joined text differently from its parts,
    # so every segment is then measured as it stands, and packed exactly where the sum was too low.
    ranges: list[range] = []
    start, total = 0, 0
    for index, size in enumerate(sizes):
        grown = total + joint_size + size if index > start else size
        if index > start and grown > eta:
            ranges.append(range(start, index))
            start, grown = index, size
        total = grown
    if units:
        ranges.append(range(start, len(units)))
    measured = count([joint.join(units[i] for i in span) for span in ranges]) if ranges else []
    if all(size <= eta for size in measured):
        return ranges
    exact: list[range] = []
    start = 0
    while start < len(units):
        exact.append(range(start, _exact(units, start, eta, count, joint)))
        start = exact[-1].stop
    return exact


Mode: TypeAlias = Literal["greedy", "optimal"]

_COSTS: dict[str, float] = {"paragraph": 1.0, "line": 1.2, "sentence": 1.6, "clause": 3.0, "word": 4.0, "token": 6.0}
_WORTH_OF_THOUGHT = 0.9
_ROUNDS = 3
_SURE = 16
_TOKENS, _CHARACTERS = STAGES, STAGES + 1


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment of a chain. Texts and joints of all segments, one after another, are the chain.

    Attributes:
        text: what is trained on; no outer white space.
        joint: the white space between this segment and the next one; "" at the end and where no space stood.
        tokens: tokens of ``text`` by the target model's tokenizer, counted on exactly this text; at most eta.
        cut: what kind of place it ends at: ``end`` of the chain, end of a ``thought``, ``paragraph``, ``line``,
            ``sentence``, ``clause`` or ``word``, or between two ``token``s of a word.
    """

    text: str
    joint: str
    tokens: int
    cut: Cut


def check_options(eta: int, mode: str, min_share: float) -> None:
    """Refuse what :func:`segment_chain` can't work with.

    Raises:
        ValueError: as there.
    """
    if eta < 1:
        raise ValueError(f"eta must be at least 1, got {eta}")
    if mode not in get_args(Mode):
        raise ValueError(f"mode {mode!r} is unknown; allowed: {', '.join(map(repr, get_args(Mode)))}")
    if not 0 <= min_share <= 0.5:
        raise ValueError(f"min_share must be between 0 and 0.5, got {min_share}")


class _Cutter:
    """The work on one chain."""

    def __init__(self, text: str, eta: int, sizer: Sizer, mode: Mode, min_share: float) -> None:
        self.text, self.eta, self.sizer, self.mode = text, eta, sizer, mode
        self.tiny = int(min_share * eta)
        self.layout = Layout(text)
        self.scale = sizer.scale(text)
        self.by_tokens = False
        self.exact: dict[tuple[int, int], int] = {}

    def count(self, spans: Sequence[tuple[int, int]]) -> list[int]:
        """Exact numbers of tokens of parts of the chain; one batch, nothing counted twice."""
        new = [span for span in dict.fromkeys(spans) if span not in self.exact]
        if new:
            sizes = self.sizer.count([self.text[start:end] for start, end in new])
            self.exact.update(zip(new, sizes, strict=True))
        return [self.exact[span] for span in spans]

    def parts(self, unit: Unit) -> list[Unit]:
        """What a unit falls into where it exceeds eta: at least two."""
        if unit.stage < _TOKENS and (pieces := self.layout.split(unit)):
            return pieces
        places: list[int] = []
        if unit.stage < _TOKENS:
            if not self.by_tokens:  # words are too coarse from here on
                self.scale, self.by_tokens = self.sizer.by_tokens(self.text), True
            places = self.scale.token_places(self.text, unit.start, unit.end)
        stage = _TOKENS if places else _CHARACTERS
        places = places or list(range(unit.start + 1, unit.end))
        if not places:
            char, size = self.text[unit.start], self.count([(unit.start, unit.end)])[0]
            raise ValueError(
                f"the character {char!r} (U+{ord(char):04X}) at {unit.start} alone has {size} tokens,"
                f" more than eta = {self.eta}; eta must be at least {size} here"
            )
        bounds = [unit.start, *places, unit.end]
        pieces = [Unit(start, end, "token", stage) for start, end in pairwise(bounds)]
        return [*pieces[:-1], pieces[-1]._replace(cut=unit.cut)]

    def fitting(self, units: list[Unit], limit: int) -> list[Unit]:
        """The units, each one that exceeds eta split as coarsely as possible."""
        while True:
            sizes = [self.scale.size(unit.start, unit.end) for unit in units]
            # Only the exact number tells, but for units of so many tokens and characters that there is no doubt.
            doubtful = [
                unit[:2]
                for unit, size in zip(units, sizes, strict=True)
                if size > limit and (size <= 2 * self.eta or unit.end - unit.start <= _SURE * self.eta)
            ]
            self.count(doubtful)
            known = [self.exact.get(unit[:2]) for unit in units]
            over = [
                exact > self.eta if exact is not None else size > limit
                for exact, size in zip(known, sizes, strict=True)
            ]
            if not any(over):
                return units
            units = [
                part
                for unit, large in zip(units, over, strict=True)
                for part in (self.parts(unit) if large else [unit])
            ]

    def pack(self, units: Sequence[Unit], limit: int) -> tuple[list[list[Unit]], list[int]]:
        """Groups of units and the near sizes of each."""
        left = [self.scale.left(unit.start) for unit in units]
        right = [self.scale.right(unit.end) for unit in units]
        if self.mode == "greedy":
            stops = pack_greedily(left, right, limit)
        else:
            costs = [self.cost(before, after) for before, after in pairwise(units)]
            stops = pack_optimally(left, right, limit, costs=[*costs, 0.0], tiny=min(self.tiny, limit // 2))
        bounds = list(pairwise([0, *stops]))
        return [list(units[i:j]) for i, j in bounds], [right[j - 1] - left[i] for i, j in bounds]

    def score(self, before: Unit, after: Unit) -> float:
        """How well the gap between two units separates thoughts; 0 inside sentences."""
        if before.cut not in ("paragraph", "line", "sentence"):
            return 0.0
        return thought_score(self.text, before.start, before.end, after.start)

    def cost(self, before: Unit, after: Unit) -> float:
        """What a cut between two units costs."""
        return _COSTS[before.cut] - _WORTH_OF_THOUGHT * self.score(before, after)

    def groups(self) -> list[list[Unit]]:
        """The units of each segment."""
        units = self.layout.paragraphs() if self.mode == "greedy" else self.layout.sentences()
        limit = self.eta
        for _ in range(_ROUNDS):
            units = self.fitting(units, limit)
            groups, near = self.pack(units, limit)
            sizes = self.count([_span(group) for group in groups])
            if max(sizes) <= self.eta:
                return groups
            # A text of its own may have more tokens than as a part of the chain: that much room is left.
            limit = max(self.eta - max(size - guess for size, guess in zip(sizes, near, strict=True)), 1)
        return self.halved(groups)

    def halved(self, groups: list[list[Unit]]) -> list[list[Unit]]:
        """The groups, those still above eta split in two until none is."""
        while True:
            sizes = self.count([_span(group) for group in groups])
            if max(sizes) <= self.eta:
                return groups
            halves: list[list[Unit]] = []
            for group, size in zip(groups, sizes, strict=True):
                if size <= self.eta:
                    halves.append(group)
                elif len(group) == 1:
                    halves.append(self.parts(group[0]))
                else:
                    halves += [group[: len(group) // 2], group[len(group) // 2 :]]
            groups = halves

    def segments(self) -> list[Segment]:
        """The chain's segments."""
        groups = self.groups()
        sizes = self.count([_span(group) for group in groups])
        segments = []
        for index, (group, tokens) in enumerate(zip(groups, sizes, strict=True)):
            (start, end), cut, joint = _span(group), group[-1].cut, ""
            if index + 1 < len(groups):
                following = groups[index + 1][0]
                joint = self.text[end : following.start]
                cut = "thought" if self.score(group[-1], following) >= THOUGHT else cut
            segments.append(Segment(self.text[start:end], joint, tokens, cut))
        return segments


def _span(group: Sequence[Unit]) -> tuple[int, int]:
    return group[0].start, group[-1].end


def segment_chain(
    chain: str, eta: int, tokenizer: PreTrainedTokenizerBase, *, mode: Mode = "greedy", min_share: float = 0.25
) -> list[Segment]:
    """Cut a chain of thought into segments of at most ``eta`` tokens, losing nothing.

    Formulas, code, list items and table rows stay whole unless one alone exceeds eta. Paragraphs, lines, sentences,
    clauses, words and at last tokens are what it is cut at, each only where the one before doesn't suffice.

    Args:
        chain: the chain; its outer white space is left out.
        eta: the most tokens that a segment may have.
        tokenizer: the target model's tokenizer, a fast one. Tokens are counted without special tokens added.
        mode: ``greedy`` fills every segment with paragraphs. ``optimal`` cuts where a thought really ends, and avoids
            tiny segments, at the price of at most a quarter more segments than the fewest possible (or one more).
        min_share: share of eta below which ``optimal`` takes a segment for tiny.

    Raises:
        ValueError: the chain is empty, no text, or holds a character that needs more than eta tokens; an option is out
            of range; the tokenizer knows no offsets.
    """
    check_options(eta, mode, min_share)
    if not isinstance(chain, str):
        raise ValueError(f"a chain must be text, got {type(chain).__name__}")
    text = chain.strip()
    if not text:
        raise ValueError("the chain is empty")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"the chain holds half a character at {error.start} (a lone surrogate): not text") from error
    return _Cutter(text, eta, sizer_of(tokenizer), mode, min_share).segments()
