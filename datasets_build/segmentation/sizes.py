"""Token counts by the target model's tokenizer: exact ones of whole texts, and near ones of any part of a chain.

The near ones decide where to cut, the exact ones whether a segment stands. Near ones come from a table of words whose
tokens were counted once, which is several times faster than a tokenizer pass with offsets. Tokenizers whose words don't
add up (those that put a mark before every text) get that pass instead.
"""

# ruff: noqa: RUF001 - the marks of many scripts are what this module is about

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["Scale", "Sizer", "sizer_of"]

# Words with the space before and the line breaks after them: no tokenizer in use merges beyond these.
_PIECE = re.compile(r" ?[^\s，、；：。！？]{1,64}[，、；：。！？]{0,8}\n{0,8}|\s{1,64}(?!\S)|[\s，、；：。！？]")
_PROBE = (
    "So, the answer isn't 3.14 (see above).\n\nWait, let me check: $x^2 + 1 = \\frac{a}{b}$ for all x.\n"
    '- First, I\'ll add 12 and 345; then I divide by 7.\n\nTherefore \\(f(x)=2\\), as "expected".\n因此，我们得到 5。\n'
)
_TOLERANCE = 0.03
_LONGEST_KEPT, _MOST_KEPT = 32, 200_000
_JOINERS = frozenset("\u200d\ufe0e\ufe0f")


@dataclass(frozen=True, slots=True)
class Scale:
    """How many tokens lie before each place of a chain.

    Attributes:
        starts: first characters of the chain's pieces (words or tokens), ascending.
        ends: the characters after their last ones, ascending.
        tokens: tokens of the first 0, 1, 2, ... pieces.
    """

    starts: Sequence[int]
    ends: Sequence[int]
    tokens: Sequence[int]

    def left(self, place: int) -> int:
        """Tokens that end at or before ``place``."""
        return self.tokens[bisect_right(self.ends, place)]

    def right(self, place: int) -> int:
        """Tokens that begin before ``place``."""
        return self.tokens[bisect_left(self.starts, place)]

    def size(self, start: int, end: int) -> int:
        """Tokens of a part of the chain, those that reach over its ends included."""
        return self.right(end) - self.left(start)

    def token_places(self, text: str, start: int, end: int) -> list[int]:
        """Where one token ends and another begins in ``text[start:end]``, never before a combining character.

        Only for the scale of :meth:`Sizer.by_tokens`.
        """
        places: list[int] = []
        first, last = bisect_right(self.ends, start), bisect_left(self.starts, end)
        reached = start
        for index in range(first, last):
            place = self.starts[index]
            if place > start and place >= reached and place != (places or [start])[-1] and not _joined(text, place):
                places.append(place)
            reached = max(reached, self.ends[index])
        return places


def _joined(text: str, place: int) -> bool:
    """Whether the character at ``place`` belongs to the one before it."""
    char = text[place]
    return char in _JOINERS or text[place - 1] == "\u200d" or unicodedata.category(char)[0] == "M"


class Sizer:
    """Counts tokens as ``tokenizer(text, add_special_tokens=False)`` does.

    Args:
        tokenizer: a fast tokenizer (of the ``tokenizers`` library).

    Raises:
        ValueError: a tokenizer without offsets.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise ValueError(
                f"{type(tokenizer).__name__} knows no offsets; allowed: fast tokenizers (with a tokenizer.json)"
            )
        self._backend: Any = tokenizer.backend_tokenizer
        self._state = _state(tokenizer)
        self.follow(tokenizer)
        self._words: dict[str, int] = {}
        exact = self.count([_PROBE])[0]
        self._words_add_up = abs(self._by_words(_PROBE).tokens[-1] - exact) <= _TOLERANCE * exact

    def follow(self, tokenizer: PreTrainedTokenizerBase) -> bool:
        """Undo what other calls have left set in the tokenizer: no text is cut, filled up or read otherwise here.

        Returns:
            Whether what was counted before still holds for this tokenizer.
        """
        self._backend.no_truncation()
        self._backend.no_padding()
        self._backend.encode_special_tokens = tokenizer.split_special_tokens
        return self._state == _state(tokenizer)

    def count(self, texts: Sequence[str]) -> list[int]:
        """Exact numbers of tokens."""
        return [len(encoding) for encoding in self._backend.encode_batch_fast(texts, add_special_tokens=False)]

    def scale(self, text: str) -> Scale:
        """The scale of a chain, by words where these add up, else by tokens."""
        return self._by_words(text) if self._words_add_up else self.by_tokens(text)

    def _by_words(self, text: str) -> Scale:
        pieces = _PIECE.findall(text)
        known = self._words
        new = [piece for piece in dict.fromkeys(pieces) if piece not in known]
        table = known
        if new:
            if len(known) > _MOST_KEPT:
                known.clear()
                return self._by_words(text)
            counts = dict(zip(new, self.count(new), strict=True))
            table = known | counts if any(len(piece) > _LONGEST_KEPT for piece in new) else known
            known.update((piece, size) for piece, size in counts.items() if len(piece) <= _LONGEST_KEPT)
        ends = list(accumulate(map(len, pieces)))
        return Scale([0, *ends[:-1]], ends, [0, *accumulate(map(table.__getitem__, pieces))])

    def by_tokens(self, text: str) -> Scale:
        """The scale of a chain by one tokenizer pass with offsets."""
        offsets = self._backend.encode(text, add_special_tokens=False).offsets
        # Tokens of one character's bytes share its offsets; both lists must ascend for the searches.
        starts = list(accumulate((start for start, _ in offsets), max))
        ends = list(accumulate((end for _, end in offsets), max))
        return Scale(starts, ends, range(len(offsets) + 1))


def _state(tokenizer: PreTrainedTokenizerBase) -> tuple[int, bool]:
    """What counts depend on and a user may change."""
    return len(tokenizer), tokenizer.split_special_tokens


_sizers: WeakKeyDictionary[Any, Sizer] = WeakKeyDictionary()


def sizer_of(tokenizer: PreTrainedTokenizerBase) -> Sizer:
    """The tokenizer's sizer, made once: its table of words serves every chain. Made anew when the vocabulary grows."""
    sizer = _sizers.get(tokenizer)
    if sizer is None or not sizer.follow(tokenizer):
        sizer = _sizers[tokenizer] = Sizer(tokenizer)
    return sizer
