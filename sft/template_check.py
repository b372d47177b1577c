"""Before a run: is what is trained, token for token, what the graph sends and a server's template makes of it?

Chat templates delete thoughts from assistant turns, rewrite white space, add the date, or close a thought that the
model should have. A template that does so to a training row is refused with one line, before hours are spent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from datasets_build.instances import Instance, inftythink_instances, rescue_instance, vanilla_instance
from datasets_build.row_tokens import tokenize_row
from inftythink_graph.protocol import TAGS, Protocol
from inftythink_graph.rendering import generation_prompt, prompt_text, rest_of_completion
from sft.row_kinds import row_kind
from sft.served import served_prompt
from sft.templates import REMEDY

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["check_template", "checked_rows", "fault", "probe_rows"]

_THINK, _THINK_END, *_ = TAGS
_TOKENIZER = "(tokenizer) "  # marks a fault that another template wouldn't cure
_SHOWN = 12  # tokens on either side of the first difference


def probe_rows(protocol: Protocol) -> list[Instance]:
    """Small rows of every kind: what a run asks for, whether or not its data set holds it."""
    shared: dict[str, Any] = {"protocol": protocol, "source": "probe", "uuid": "probe"}
    question = "What is $2^3$?\n\n  Give a number, e.g. 7 < 8."
    rows = inftythink_instances(
        question, ["We double.\n\n2, 4", "4, 8", "So 8."], ["at 4", "at\n\n8"], "It is \\boxed{8}.", eta=9, **shared
    )
    rescue = rescue_instance(question, "at 4", "4, 8 is", "at 8", epoch=2, epochs=3, eta=9, **shared)
    return [*rows, rescue, vanilla_instance(question, "2, 4, 8", "It is \\boxed{8}.", **shared)]


def check_template(tokenizer: PreTrainedTokenizerBase, protocol: Protocol) -> None:
    """Try the tokenizer's chat template on probe rows of a protocol.

    Raises:
        ValueError: the template can't be trained on faithfully; the message names the fault and the remedy.
    """
    for row in probe_rows(protocol):
        _refuse(fault(row, tokenizer), tokenizer)


def checked_rows(
    rows: Iterable[Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase, *, each: int = 3
) -> Iterator[Mapping[str, Any]]:
    """Pass rows on, checking the first ones of every kind.

    Raises:
        ValueError: as :func:`check_template`.
    """
    seen: Counter[tuple[str, bool]] = Counter()
    for row in rows:
        kind = row_kind(row), row["prompt"][0]["role"] == "system"
        if seen[kind] < each:
            _refuse(fault(row, tokenizer), tokenizer)
        seen[kind] += 1
        yield row


def _refuse(found: str | None, tokenizer: PreTrainedTokenizerBase) -> None:
    if found:
        name = tokenizer.name_or_path or "the base model"
        if found.startswith(_TOKENIZER):
            raise ValueError(f"the tokenizer of {name} {found.removeprefix(_TOKENIZER)}; take another base model")
        raise ValueError(f"the chat template of {name} {found}; {REMEDY}")


def fault(row: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase) -> str | None:
    """What keeps a row from being trained on faithfully; None where nothing does.

    White space that a template trims around a whole user turn is no fault: a server trims it alike.
    """
    from jinja2 import TemplateError

    messages, completion = row["prompt"], str(row["completion"][-1]["content"])
    turns = messages[:-1] if messages[-1]["role"] == "assistant" else messages
    try:
        prompt = prompt_text(messages, tokenizer)
        _, opening = generation_prompt(turns, tokenizer)
        later = tokenizer.apply_chat_template(
            turns, add_generation_prompt=True, tokenize=False, strftime_now=lambda _: "another day"
        )
        today = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    except (TemplateError, TypeError, ValueError) as error:
        return f"refuses a prompt ({str(error).strip() or type(error).__name__})"
    if later != today:
        return "writes the day's date into the prompt: tomorrow's prompts would not be those that were trained"
    if found := _lost(messages, prompt) or _bad_opening(opening):
        return found
    written = rest_of_completion(prompt, completion)
    if prompt == prompt_text(turns, tokenizer) and opening.rstrip().endswith(_THINK) and written == completion:
        return f"opens {_THINK} by itself, but the completions don't begin with it"
    return _differing_text(row, prompt, written, tokenizer) or _differing_prompt(row, tokenizer)


def _lost(messages: Iterable[Mapping[str, Any]], prompt: str) -> str | None:
    for message in messages:
        text = str(message["content"])
        if text.strip() not in prompt:
            return f"deletes or rewrites the {message['role']} turn: {_short(text)} isn't in the rendered prompt"
    return None


def _bad_opening(opening: str) -> str | None:
    _, tag, after = opening.partition(_THINK)
    if _THINK_END in after:
        return f"closes an empty thought before the model writes (its generation prompt is {opening!r})"
    if tag and after.strip():
        return f"begins the thought with words of its own (its generation prompt is {opening!r})"
    return None


def _differing_text(
    row: Mapping[str, Any], prompt: str, written: str, tokenizer: PreTrainedTokenizerBase
) -> str | None:
    """Whether the row's tokens say what its text says, to the trainer and to who reads the model's replies."""
    ids = tokenize_row(row, tokenizer)
    text = prompt + written
    whole = _decode(tokenizer, ids["input_ids"][:-1])
    if whole not in (text, _normalized(tokenizer, text)):
        at = next((i for i, (one, two) in enumerate(zip(whole, text, strict=False)) if one != two), len(text))
        return f"{_TOKENIZER}doesn't give a text back as it was: {_short(text[at:])} became {_short(whole[at:])}"
    reply = tokenizer.decode([label for label in ids["labels"] if label != -100], skip_special_tokens=True)
    for tag in TAGS:
        if reply.count(tag) != written.count(tag):
            return f"{_TOKENIZER}marks {tag} as special, which servers leave out of their replies"
    return None


def _differing_prompt(row: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase) -> str | None:
    item = tokenize_row(row, tokenizer)
    trained = [token for token, label in zip(item["input_ids"], item["labels"], strict=True) if label == -100]
    try:
        served = served_prompt(row["prompt"], tokenizer)
    except ValueError as error:
        return f"is refused by a server ({error})"
    if served == trained:
        return None
    at = next(
        (i for i, (one, two) in enumerate(zip(served, trained, strict=False)) if one != two),
        min(len(served), len(trained)),
    )
    start = max(at - _SHOWN, 0)
    one, two = (_decode(tokenizer, ids[start : at + _SHOWN]) for ids in (served, trained))
    return f"makes a server read {one!r} where {two!r} is trained"


def _decode(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> str:
    return str(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))


def _normalized(tokenizer: PreTrainedTokenizerBase, text: str) -> str:
    """``text`` in the form that the tokenizer brings every text to, as Qwen's does with composed characters."""
    normalizer = getattr(getattr(tokenizer, "backend_tokenizer", None), "normalizer", None)
    return str(normalizer.normalize_str(text)) if normalizer is not None else text


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:60] + "...")
