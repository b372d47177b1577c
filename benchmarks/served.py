"""What benchmarks on a server share: the server, the questions, and an epoch as one would ask for it by hand."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import openai

from datasets_build.synthetic import FAMILIES, generate
from inftythink_graph.models import bundled_path
from inftythink_graph.models.base import ModelCard
from inftythink_graph.nodes.reason import completion_limits
from inftythink_graph.protocol import Parsed, Protocol, parse
from inftythink_graph.serve import running_server
from inftythink_graph.state import Settings

__all__ = ["EpochLimit", "add_questions", "add_server", "epoch_limit", "plain_epoch", "questions_of", "served"]


def add_server(parser: argparse.ArgumentParser) -> None:
    """Options for :func:`served`, and the file for the figures."""
    parser.add_argument("--base-url", help="a server that runs, with a model trained on the bundled model's problems")
    parser.add_argument("--model", help="its name there, or a folder to serve")
    parser.add_argument("--json", type=Path, help="write the figures to this file")


def add_questions(parser: argparse.ArgumentParser, *, count: int, steps: Sequence[int]) -> None:
    """Options for :func:`questions_of`, with their defaults."""
    parser.add_argument("--family", choices=sorted(FAMILIES), default="gcd")
    parser.add_argument("--count", type=int, default=count, help="questions (default: %(default)s)")
    parser.add_argument("--steps", type=int, nargs=2, default=steps, help="least and most steps of their chains")


def questions_of(args: argparse.Namespace) -> list[str]:
    """The questions that the options choose, always the same ones."""
    least, most = args.steps
    problems = generate(args.family, args.count, seed=1, split="test", min_steps=least, max_steps=most)
    return [problem.question for problem in problems]


@contextmanager
def served(base_url: str | None, model: str | None) -> Iterator[tuple[str, str]]:
    """Address and name of the model, served as long as the context lasts.

    Args:
        base_url: a server that runs; None starts one.
        model: its name there, None for the first one; or else the folder to serve, None for the bundled model.
    """
    if base_url:
        yield base_url, model or openai.OpenAI(base_url=base_url, api_key="none").models.list().data[0].id
        return
    with running_server(model or str(bundled_path()), name="bundled", startup_timeout=900) as server:
        yield server.base_url, "bundled"


@dataclass(frozen=True)
class EpochLimit:
    """What a graph allows an epoch of a model, with its card's settings.

    Attributes:
        tokens: most tokens of the completion.
        thinking: most of them before the server closes the segment.
    """

    tokens: int
    thinking: int

    @property
    def extra_body(self) -> dict[str, int]:
        """The part of a request that only vLLM knows."""
        return {"thinking_token_budget": self.thinking}


def epoch_limit(model: str | None = None) -> EpochLimit:
    """The limits of a model's folder; the bundled model's where it is none, or has no card."""
    card = ModelCard.read(model or bundled_path()) or ModelCard.read(bundled_path())
    assert card is not None
    tokens, thinking = completion_limits(Settings().resolve(card))
    assert thinking is not None  # of a model that was trained for it
    return EpochLimit(tokens, thinking)


async def plain_epoch(
    client: openai.AsyncOpenAI, model: str, question: str, summary: str | None, limit: EpochLimit
) -> Parsed:
    """One epoch, greedy: a graph's request, without any of this package but its format."""
    reply = await client.chat.completions.create(
        model=model,
        messages=Protocol().render(question, summary),  # type: ignore[arg-type]  # plain dicts
        max_tokens=limit.tokens,
        temperature=0.0,
        extra_body=limit.extra_body,
    )
    return parse(reply.choices[0].message.content or "", reply.choices[0].finish_reason)
