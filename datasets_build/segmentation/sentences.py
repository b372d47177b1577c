"""Where sentences and clauses end, by rules: in Latin text, in Chinese and Japanese, and in other scripts.

Written for chains of thought: a wrong end inside a number, a label or an abbreviation costs more than a missed one, and
every pass is linear, whatever the text.
"""

# ruff: noqa: RUF001 - the marks of many scripts are what this module is about

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypeAlias

from datasets_build.segmentation.regions import FILLERS

__all__ = ["Gap", "clause_gaps", "sentence_gaps"]

Gap: TypeAlias = tuple[int, int]
"""Where a unit ends and where the next one starts; white space stands between."""

_CLOSING = "\"'”’»)\\]}*_"
_WIDE_CLOSING = "」』”’）》〉】\"'"
# One run of marks is tried once, at its start: long runs stay linear. Each way begins with a mark: the scan is fast.
_SENTENCE = re.compile(
    rf"(?P<latin>[.!?…](?<![.!?…][.!?…])[.!?…]*+)[{_CLOSING}]*+[^\S\n]++(?=\S)"
    rf"|[。！？｡]++(?:[{_WIDE_CLOSING}]++(?!と|って))?+[^\S\n]*+(?=[^\s。！？｡{_WIDE_CLOSING}])"
    rf"|．++(?!\d)[{_WIDE_CLOSING}]*+[^\S\n]*+(?=[^\s．])"
    r"|[؟۔।॥։።፧။។៕]++[^\S\n]*+(?=\S)"
)
_CLAUSE = re.compile(
    rf"[,;:][{_CLOSING}]*+[^\S\n]++(?=\S)|[，、；：]++[^\S\n]*+(?=\S)|[—–]++[^\S\n]++(?=\S)|\\\\[^\S\n]*+(?=\S)"
)
_BEFORE_NUMBER = frozenset(
    "no nos fig figs eq eqs eqn eqns sec ch p pp vol ex thm def prop lem cor art ref".split()  # noqa: SIM905 - a list of words, without a pair of quotes each
)
_ABBREVIATIONS = frozenset(
    "e.g i.e eg ie cf vs viz resp approx mr mrs ms dr prof st jr sr al w.r.t w.l.o.g".split()  # noqa: SIM905 - a list of words, without a pair of quotes each
)
_STARTERS = re.compile(
    r"(?:So|Then|Now|The|This|That|These|Those|But|And|Wait|Let|We|It|If|In|Since|Therefore|Thus|Hence|However|Next|For"
    r"|Alternatively|Hmm|Okay|I|Similarly|Also|First|Second|Finally|To|From|Given|Because|Suppose|Here|There)\b"
)
_LAST_WORD = 16


def _ends_sentence(text: str, unit: int, stop: int, following: int) -> bool:
    """Whether the single full stop at ``stop`` ends a sentence that the word at ``following`` comes after."""
    word = text[max(unit, stop - _LAST_WORD) : stop].rpartition(" ")[2].lstrip("([{\"'“*_")
    if "\n" in word:
        word = word.rpartition("\n")[2]
    lower, after = word.lower(), text[following]
    if lower in _ABBREVIATIONS:
        return False
    if lower in _BEFORE_NUMBER:
        return not (after.isdigit() or after in FILLERS or after == "(")
    if word.isdecimal() or (len(word) == 1 and word.isalpha()):
        start = stop - len(word)
        if start == unit or text[start - 1] == "\n":  # an enumerator: "2. Solve for x"
            return False
        if word.isupper():  # the initial of a name, or the label of a point
            return not after.isupper() or _STARTERS.match(text, following) is not None
    return True


def sentence_gaps(text: str, start: int, end: int) -> Iterator[Gap]:
    """The gaps between the sentences of ``text[start:end]``, line breaks aside."""
    for match in _SENTENCE.finditer(text, start, end):
        following = match.end()
        marks = match["latin"]
        if marks:
            after = text[following]
            # Lower case goes on with the sentence, and an operator with the factorial before it.
            if after.islower() or after in "=+-/<>,;:)^!.&|±×·" or text.startswith("* ", following):
                continue
            if marks == "." and not _ends_sentence(text, start, match.start(), following):
                continue
        yield match.start() + len(match.group().rstrip()), following


def clause_gaps(text: str, start: int, end: int) -> Iterator[Gap]:
    """The gaps after commas, colons, dashes and a formula's row breaks in ``text[start:end]``."""
    for match in _CLAUSE.finditer(text, start, end):
        yield match.start() + len(match.group().rstrip()), match.end()
