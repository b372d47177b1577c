"""The preview summarizer: no server, no model, no download. For a look at the whole pipeline, not for training.

TextRank over sentences (Mihalcea and Tarau 2004): TF-IDF from scikit-learn, PageRank from networkx, with a preference
for sentences that state a result and for later ones, since a summary must say where the reasoning stands.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from langchain_core.runnables import Runnable, RunnableLambda

from datasets_build.segmentation.segment import Counter
from datasets_build.summaries.nodes import SummarizerInput, SummarizerOutput, SummaryUsage, check_example
from datasets_build.summaries.rules import Judged, too_long
from inftythink_graph.errors import InftyThinkError, InvalidInputError
from inftythink_graph.protocol import neutralize
from inftythink_graph.state import no_usage

__all__ = ["create_extractive_summarizer", "extract", "rank_sentences", "split_sentences"]

# After a mark that closes a sentence: Chinese needs no space after it, Latin script does, or 3.14 would be two.
_SENTENCE_END = re.compile(r"(?<=[。！？；])|(?<=[.!?;])\s+|\n+")  # noqa: RUF001 - full-width marks are meant
_CLAUSE_END = re.compile(r"(?<=[,:，：、])\s*|\s+")  # noqa: RUF001 - full-width marks are meant
_TERM = r"(?u)[^\W\d_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+|\d+|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[=+*/^<>]"
_RESULT = re.compile(
    r"=|\\boxed|\b(?:therefore|thus|hence|so|conclude|found|answer|total|result|means|must)\b"
    r"|因此|所以|故|从而|得到|得出|可得|答案|结果|总共|于是",
    re.IGNORECASE,
)
_RESULT_WEIGHT = 2.0
_LAST_WEIGHT = 3.0  # of the last sentence, against 1 for the first


def split_sentences(text: str) -> list[str]:
    """The sentences of a text, or its lines where these are shorter, stripped; nothing that is empty."""
    return [part.strip() for part in _SENTENCE_END.split(text) if part and part.strip()]


def rank_sentences(sentences: Sequence[str]) -> list[int]:
    """The positions of the sentences, the most telling one first; the same for the same sentences, always.

    Raises:
        InftyThinkError: scikit-learn or networkx isn't installed.
    """
    try:
        import networkx
        from sklearn.feature_extraction.text import TfidfVectorizer
    except ImportError as error:
        raise InftyThinkError(
            f"the extractive summarizer needs scikit-learn and networkx: install inftythink-graph[preview] ({error})"
        ) from error

    weights = [
        (1 + (_LAST_WEIGHT - 1) * position / max(len(sentences) - 1, 1))
        * (_RESULT_WEIGHT if _RESULT.search(sentence) else 1)
        for position, sentence in enumerate(sentences)
    ]
    scores: dict[int, float] = {}
    if any(re.search(_TERM, sentence) for sentence in sentences):
        vectorizer = TfidfVectorizer(token_pattern=_TERM, ngram_range=(1, 2), sublinear_tf=True)
        vectors = vectorizer.fit_transform(sentences)
        likeness = vectors @ vectors.T
        likeness.setdiag(0)
        likeness.eliminate_zeros()
        graph = networkx.from_scipy_sparse_array(likeness)
        scores = networkx.pagerank(graph, personalization=dict(enumerate(weights)), max_iter=1000)
    # Rounded, so that the last bits of a sum don't decide; the later sentence first where two are alike.
    return sorted(range(len(sentences)), key=lambda i: (-round(scores.get(i, 0.0) * weights[i], 6), -i))


def _packed(parts: Sequence[str], order: Sequence[int], fits: Callable[[str], bool], joint: str) -> str:
    """The parts in their own order, as many as fit, taken in the given one."""
    chosen: list[int] = []
    for index in order:
        candidate = sorted([*chosen, index])
        if fits(joint.join(parts[i] for i in candidate)):
            chosen = candidate
    return joint.join(parts[i] for i in chosen)


def extract(segment: str, earlier: str, *, budget: int, count: Counter | None = None) -> Judged:
    """The summary of a segment: sentences of it and of the summary before it, each as it stands there.

    Where no sentence is short enough, it is the end of the best one, cut between words or, in the last resort, between
    characters.

    Args:
        segment: the segment's text.
        earlier: the summary before it, "" for the first.
        budget: the tokens that the summary may have.
        count: the target model's tokenizer; None estimates.
    """

    def fits(text: str) -> bool:
        return too_long(text, segment, budget=budget, tokens=None, count=count) is None

    sentences = list(dict.fromkeys(split_sentences(neutralize(earlier)) + split_sentences(neutralize(segment))))
    order = rank_sentences(sentences)
    if summary := _packed(sentences, order, fits, "\n"):
        return Judged(summary=summary)
    best = sentences[order[0]]
    for pieces, joint in (([part for part in _CLAUSE_END.split(best) if part], " "), (list(best), "")):
        size = _longest_tail(pieces, fits, joint)
        if size and (text := joint.join(pieces[-size:]).strip()) and fits(text):
            return Judged(summary=text)
    nothing = too_long(best[-1:], segment, budget=budget, tokens=None, count=count)
    return Judged(defect=nothing.defect if nothing else "empty", detail="no part of it is within budget and shorter")


def _longest_tail(pieces: Sequence[str], fits: Callable[[str], bool], joint: str) -> int:
    """How many of the last pieces fit together."""
    low, high = 0, len(pieces)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(joint.join(pieces[-middle:])) else (low, middle - 1)
    return low


def create_extractive_summarizer(
    *, summary_budget: int = 512, count: Counter | None = None
) -> Runnable[SummarizerInput, SummarizerOutput]:
    """A summarizer without a model, used as :func:`~datasets_build.summaries.summarize.create_summarizer_graph`.

    It is deterministic, and its summaries keep the limits of the real ones: within budget, shorter than the segment,
    free of tags.

    Args:
        summary_budget: most tokens of a summary.
        count: token counts by the target model's tokenizer; None estimates on the safe side.

    Raises:
        InvalidInputError: the budget is below 1.
    """
    if summary_budget < 1:
        raise InvalidInputError(f"summary_budget must be at least 1, got {summary_budget}")

    def run(example: SummarizerInput) -> SummarizerOutput:
        check_example(example)
        segments = example["segments"]
        output = SummarizerOutput(
            summaries=[],
            status="done",
            reason="",
            defect=None,
            usage=SummaryUsage(paid=no_usage(), reused=no_usage()),
            attempts=[],
        )
        summaries: list[str] = []
        for number, segment in enumerate(segments[:-1], 1):
            judged = extract(segment, summaries[-1] if summaries else "", budget=summary_budget, count=count)
            output["attempts"].append(1)
            if judged.defect is not None:
                reason = f"segment {number} of {len(segments)}: {judged.detail}"
                return {**output, "status": "failed", "defect": judged.defect, "reason": reason}
            summaries.append(judged.summary)
        return {**output, "summaries": summaries}

    return RunnableLambda(run, name="extractive-summarizer")
