"""From segments and summaries to training instances (Yan et al. 2025, arXiv 2503.06692, section 3.2, stage III).

A row has TRL's ``prompt`` (messages) and ``completion`` (one assistant message), rendered by the same
:class:`~inftythink_graph.protocol.Protocol` that the reasoner uses, and columns that say where it comes from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypeAlias, TypedDict, get_args

from datasets_build.row_tokens import row_length
from datasets_build.sources.losses import Loss, Reason
from inftythink_graph.errors import InvalidInputError
from inftythink_graph.protocol import PROTOCOL_VERSION, Message, Protocol

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = [
    "Fitted",
    "Instance",
    "Tokens",
    "TooLong",
    "fitting_rows",
    "inftythink_instances",
    "rescue_instance",
    "row_loss",
    "vanilla_instance",
]

TooLong: TypeAlias = Literal["example", "row"]
"""What is left out where a row doesn't fit: the whole ``example``, or the ``row`` alone."""


class Tokens(TypedDict):
    """Token counts of a row by the target model's tokenizer.

    The parts are counted on their own text, without tags and template; 0 for a part that the row hasn't got.

    Attributes:
        system: the system prompt.
        question: the question.
        summary_in: the summary that the segment goes on from.
        segment: the reasoning: a segment, or a whole chain.
        summary_out: the summary that is learned.
        conclusion: the conclusion that is learned.
        total: the whole row exactly as it is trained on, with tags, template and end.
    """

    system: int
    question: int
    summary_in: int
    segment: int
    summary_out: int
    conclusion: int
    total: int


class Instance(TypedDict):
    """One training row.

    Attributes:
        prompt: the messages that the model is given; a last assistant message is a prefill.
        completion: one assistant message: the text that the loss falls on.
        source: where the chain comes from.
        uuid: the example that the row was made from.
        epoch: 1-based number of the row's segment; 0 for a whole chain.
        epochs: number of segments of the example.
        eta: the bound that the chain was cut at; 0 for a whole chain.
        protocol: version of the text format.
        tokens: token counts, where a tokenizer was given.
    """

    prompt: list[Message]
    completion: list[Message]
    source: str
    uuid: str
    epoch: int
    epochs: int
    eta: int
    protocol: str
    tokens: NotRequired[Tokens]


def _row(
    prompt: list[Message], completion: str, *, source: str, uuid: str, epoch: int, epochs: int, eta: int, system: str
) -> Instance:
    if system:
        prompt = [{"role": "system", "content": system}, *prompt]
    return Instance(
        prompt=prompt,
        completion=[{"role": "assistant", "content": completion}],
        source=source,
        uuid=uuid,
        epoch=epoch,
        epochs=epochs,
        eta=eta,
        protocol=PROTOCOL_VERSION,
    )


def _counted(
    row: Instance, tokenizer: PreTrainedTokenizerBase | None, system: str, question: str, **parts: str | None
) -> Instance:
    """The row with its token counts, where there is a tokenizer. The parts are those of :class:`Tokens`."""
    if tokenizer is None:
        return row
    texts = {"system": system, "question": question, **{name: text for name, text in parts.items() if text}}
    ids = tokenizer(list(texts.values()), add_special_tokens=False)["input_ids"]
    sizes = dict(zip(texts, map(len, ids), strict=True))
    row["tokens"] = Tokens(
        system=sizes["system"],
        question=sizes["question"],
        summary_in=sizes.get("summary_in", 0),
        segment=sizes.get("segment", 0),
        summary_out=sizes.get("summary_out", 0),
        conclusion=sizes.get("conclusion", 0),
        total=row_length(row, tokenizer),
    )
    return row


def inftythink_instances(
    question: str,
    segments: Sequence[str],
    summaries: Sequence[str],
    conclusion: str,
    *,
    protocol: Protocol,
    eta: int,
    source: str,
    uuid: str,
    system: str = "",
    tokenizer: PreTrainedTokenizerBase | None = None,
) -> list[Instance]:
    """One row for each segment: (q -> r1, s1), (q, s_i-1 -> r_i, s_i), ..., (q, s_n-1 -> r_n, conclusion).

    Args:
        question, conclusion: of the example.
        segments: the chain's segments in their order.
        summaries: what is known after each segment but the last.
        protocol: the text format.
        eta: the bound that the chain was cut at, in tokens.
        source, uuid: provenance.
        system: the system prompt, first in every row; "" for none.
        tokenizer: the target model's, to count tokens; None leaves the counts out.

    Raises:
        ValueError: the summaries aren't one fewer than the segments, or one is empty.
    """
    if not segments or len(summaries) != len(segments) - 1:
        raise ValueError(f"{len(segments)} segments need {len(segments) - 1} summaries, got {len(summaries)}")
    if not all(summary.strip() for summary in summaries):
        raise ValueError("a summary is empty: an example without all its summaries can't be trained on")
    place: dict[str, Any] = {"source": source, "uuid": uuid, "epochs": len(segments), "eta": eta, "system": system}
    rows = []
    for index, segment in enumerate(segments):
        before = summaries[index - 1] if index else None
        summary = summaries[index] if index < len(summaries) else None
        ending = {"conclusion": conclusion} if summary is None else {"summary": summary}
        row = _row(protocol.render(question, before), protocol.completion(segment, **ending), epoch=index + 1, **place)
        learned = {"conclusion": conclusion} if summary is None else {"summary_out": summary}
        rows.append(_counted(row, tokenizer, system, question, summary_in=before, segment=segment, **learned))
    return rows


def rescue_instance(
    question: str,
    previous_summary: str | None,
    cut_segment: str,
    summary: str,
    *,
    protocol: Protocol,
    epoch: int,
    epochs: int,
    eta: int,
    source: str,
    uuid: str,
    system: str = "",
    tokenizer: PreTrainedTokenizerBase | None = None,
) -> Instance:
    """A row that teaches what the reasoner asks after a cut: given an unfinished segment, write its summary.

    The segment stands in the prompt, as a prefill, so that the model isn't taught to stop in the middle of a step.
    """
    prompt = protocol.render_summarize(question, previous_summary, cut_segment, budget=0)
    completion = protocol.rest_of_summary(summary)
    row = _row(prompt, completion, source=source, uuid=uuid, epoch=epoch, epochs=epochs, eta=eta, system=system)
    parts = {"summary_in": previous_summary, "segment": cut_segment, "summary_out": summary}
    return _counted(row, tokenizer, system, question, **parts)


def vanilla_instance(
    question: str,
    chain: str,
    conclusion: str,
    *,
    protocol: Protocol,
    source: str,
    uuid: str,
    system: str = "",
    tokenizer: PreTrainedTokenizerBase | None = None,
) -> Instance:
    """The baseline's row: the same chain, not cut."""
    completion = protocol.completion(chain, conclusion=conclusion)
    prompt = protocol.render(question)
    row = _row(prompt, completion, source=source, uuid=uuid, epoch=0, epochs=1, eta=0, system=system)
    return _counted(row, tokenizer, system, question, segment=chain, conclusion=conclusion)


def row_loss(row: Instance, tokenizer: PreTrainedTokenizerBase, max_length: int) -> Loss | None:
    """Why a row can't be trained on; None where it can.

    It is longer than ``max_length`` tokens, counted on the very ids that the trainer makes of it, or its text holds the
    tokenizer's end-of-text token, which would teach the model to stop there.

    Raises:
        InvalidInputError: the tokenizer has no end-of-text token, so no row can be closed.
    """
    end = tokenizer.eos_token
    if not end:
        raise InvalidInputError("the tokenizer has no end-of-text token: rows can't be closed with it")
    if any(end in str(message["content"]) for message in (*row["prompt"], *row["completion"])):
        return Loss(Reason.END_TOKEN_INSIDE, f"{row['uuid']}, epoch {row['epoch']}: {end}")
    total = row["tokens"]["total"] if "tokens" in row else row_length(row, tokenizer)
    if total > max_length:
        return Loss(Reason.OVER_LENGTH, f"{row['uuid']}, epoch {row['epoch']}: {total} tokens, max_length {max_length}")
    return None


@dataclass(frozen=True, slots=True)
class Fitted:
    """The rows of one example that can be trained on, and one loss for each of the others."""

    rows: tuple[Instance, ...]
    losses: tuple[Loss, ...]


def fitting_rows(
    rows: Iterable[Instance], tokenizer: PreTrainedTokenizerBase, max_length: int, *, too_long: TooLong = "example"
) -> Fitted:
    """What of one example's rows can be trained on.

    Args:
        rows: all rows of one example.
        tokenizer: the target model's.
        max_length: most tokens of a row in training.
        too_long: ``example`` leaves out all rows of an example if one doesn't fit, so that every chain is learned from
            its first to its last segment. ``row`` leaves out only the rows that don't fit: more data, but long
            segments and summaries, and with them some of the epochs, become rarer than they are in the chains.

    Returns:
        The rows that are left and a loss for every row that isn't, so that both add up to what came in.

    Raises:
        InvalidInputError: ``max_length`` is below 1, or ``too_long`` is unknown.
    """
    if max_length < 1:
        raise InvalidInputError(f"max_length must be at least 1, got {max_length}")
    if too_long not in get_args(TooLong):
        raise InvalidInputError(f"too_long {too_long!r} is unknown; allowed: {', '.join(get_args(TooLong))}")
    judged = [(row, row_loss(row, tokenizer, max_length)) for row in rows]
    losses = [loss for _, loss in judged if loss]
    left = [row for row, loss in judged if not loss]
    if not losses or too_long == "row":
        return Fitted(tuple(left), tuple(losses))
    first = losses[0]
    sibling = Reason.SIBLING_OVER_LENGTH if first.reason is Reason.OVER_LENGTH else Reason.SIBLING_END_TOKEN
    return Fitted((), (*losses, *(Loss(sibling, first.detail) for _ in left)))
