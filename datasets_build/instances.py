"""From segments and summaries to training instances (Yan et al. 2025, arXiv 2503.06692, section 3.2, stage III).

A row has TRL's ``prompt`` (messages) and ``completion`` (one assistant message), rendered by the same
:class:`~inftythink_graph.protocol.Protocol` that the reasoner uses, and columns that say where it comes from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from inftythink_graph.protocol import PROTOCOL_VERSION, Message, Protocol

__all__ = ["Instance", "inftythink_instances", "rescue_instance", "vanilla_instance"]


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
    """

    prompt: list[Message]
    completion: list[Message]
    source: str
    uuid: str
    epoch: int
    epochs: int
    eta: int
    protocol: str


def _row(
    prompt: list[Message], completion: str, *, source: str, uuid: str, epoch: int, epochs: int, eta: int
) -> Instance:
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
) -> list[Instance]:
    """One row for each segment: (q -> r1, s1), (q, s_i-1 -> r_i, s_i), ..., (q, s_n-1 -> r_n, conclusion).

    Raises:
        ValueError: the summaries aren't one fewer than the segments, or one is empty.
    """
    if not segments or len(summaries) != len(segments) - 1:
        raise ValueError(f"{len(segments)} segments need {len(segments) - 1} summaries, got {len(summaries)}")
    if not all(summary.strip() for summary in summaries):
        raise ValueError("a summary is empty: an example without all its summaries can't be trained on")
    rows = []
    for index, segment in enumerate(segments):
        prompt = protocol.render(question, summaries[index - 1] if index else None)
        last = index == len(segments) - 1
        ending = {"conclusion": conclusion} if last else {"summary": summaries[index]}
        completion = protocol.completion(segment, **ending)
        rows.append(_row(prompt, completion, source=source, uuid=uuid, epoch=index + 1, epochs=len(segments), eta=eta))
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
) -> Instance:
    """A row that teaches what the reasoner asks after a cut: given an unfinished segment, write its summary.

    The segment stands in the prompt, as a prefill, so that the model isn't taught to stop in the middle of a step.
    """
    prompt = protocol.render_summarize(question, previous_summary, cut_segment, budget=0)
    completion = protocol.rest_of_summary(summary)
    return _row(prompt, completion, source=source, uuid=uuid, epoch=epoch, epochs=epochs, eta=eta)


def vanilla_instance(
    question: str, chain: str, conclusion: str, *, protocol: Protocol, source: str, uuid: str
) -> Instance:
    """The baseline's row: the same chain, not cut."""
    completion = protocol.completion(chain, conclusion=conclusion)
    return _row(protocol.render(question), completion, source=source, uuid=uuid, epoch=0, epochs=1, eta=0)
