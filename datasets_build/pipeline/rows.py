"""The training rows of one finished example, with what was left out of them. Pure: any engine can map it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from datasets_build.instances import Fitted, fitting_rows, inftythink_instances, vanilla_instance
from datasets_build.pipeline.options import BuildOptions
from datasets_build.pipeline.records import Built, Overlong, read_outcome
from datasets_build.sources.examples import Example
from datasets_build.sources.losses import Loss, Reason
from inftythink_graph.errors import InvalidInputError, one_line

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["Rows", "built_rows", "load_tokenizer", "overlong_rows", "row_maker"]


@dataclass(frozen=True, slots=True)
class Rows:
    """What one example brings.

    Attributes:
        inftythink: its InftyThink rows, and a loss for each one left out.
        vanilla: its vanilla row or the loss; empty where none is asked for.
        cuts: what kind of place each segment ends at; this and the rest only where it has its summaries.
        segments: tokens of each segment.
        summaries: tokens of each summary.
    """

    inftythink: Fitted
    vanilla: Fitted
    cuts: list[str] = field(default_factory=list)
    segments: list[int] = field(default_factory=list)
    summaries: list[int] = field(default_factory=list)


def _shared(example: Example, options: BuildOptions, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    return {
        "protocol": options.protocol(),
        "source": example.source,
        "uuid": example.uuid,
        "system": example.system,
        "tokenizer": tokenizer,
    }


def _vanilla(example: Example, options: BuildOptions, tokenizer: PreTrainedTokenizerBase) -> Fitted:
    if not options.vanilla:
        return Fitted((), ())
    shared = _shared(example, options, tokenizer)
    whole = vanilla_instance(example.question, example.chain, example.conclusion, **shared)
    return fitting_rows([whole], tokenizer, options.max_length)


def overlong_rows(overlong: Overlong, options: BuildOptions, tokenizer: PreTrainedTokenizerBase) -> Rows:
    """What an example brings that was left out for its length: a loss for each row, and its vanilla row."""
    failed = overlong.as_failed()
    loss = Loss(Reason.UNSUMMARIZED, f"{failed.uuid}, {failed.detail}, max_length {options.max_length}")
    lost = Fitted((), (loss,) * failed.segments)
    return Rows(inftythink=lost, vanilla=_vanilla(overlong.example, options, tokenizer))


def built_rows(built: Built, options: BuildOptions, tokenizer: PreTrainedTokenizerBase) -> Rows:
    """The rows of an example.

    Args:
        built: the example with segments and summaries.
        options: eta, format, and what is too long.
        tokenizer: the target model's.
    """
    example, shared = built.example, _shared(built.example, options, tokenizer)
    texts = [segment.text for segment in built.segments]
    rows = inftythink_instances(example.question, texts, built.summaries, example.conclusion, eta=options.eta, **shared)
    fitted = fitting_rows(rows, tokenizer, options.max_length, too_long=options.too_long)
    return Rows(
        inftythink=fitted,
        vanilla=_vanilla(example, options, tokenizer),
        cuts=[segment.cut for segment in built.segments],
        segments=[segment.tokens for segment in built.segments],
        summaries=[row["tokens"]["summary_out"] for row in rows[:-1]],
    )


def load_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """The target model's tokenizer.

    Raises:
        InvalidInputError: there is none of that name, or it lacks what rows are made with: a chat template, an end of
            text, offsets.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise InvalidInputError(f"the tokenizer {name!r} can't be loaded: {one_line(error, 300)}") from error
    lacks = {
        "chat template": tokenizer.chat_template is None,
        "end-of-text token": not tokenizer.eos_token,
        "fast form (tokenizer.json)": not getattr(tokenizer, "is_fast", False),
    }
    if missing := [what for what, absent in lacks.items() if absent]:
        raise InvalidInputError(f"the tokenizer {name!r} has no {' and no '.join(missing)}: rows can't be made with it")
    tokenizer.model_max_length = 1 << 40  # lengths are checked here: no warning about long texts
    return tokenizer


def row_maker(options: BuildOptions, tokenizer: PreTrainedTokenizerBase | None = None) -> Callable[[Any], Rows]:
    """A function from a journal's record to :class:`Rows`. For worker processes: None loads a tokenizer of its own."""
    tokenizer = tokenizer or load_tokenizer(options.tokenizer)

    def make(value: Any) -> Rows:
        outcome = read_outcome(value)
        if isinstance(outcome, Overlong):
            return overlong_rows(outcome, options, tokenizer)
        assert isinstance(outcome, Built)
        return built_rows(outcome, options, tokenizer)

    return make
