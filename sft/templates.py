"""Which chat template a model is trained with: its own, the faithful one that comes with the package, or a file.

The template is saved with the model, so the served model renders what it was trained on.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sft.embeddings import wake_rows

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["REMEDY", "faithful_template", "set_template", "stop_at_end", "template_tokens", "turn_end", "turn_template"]

REMEDY = "set chat_template: inftythink (a faithful template, saved with the model) or the path of another template"
"""What to do about a template that fails."""

_CHATML = ("<|im_start|>", "<|im_end|>")
_LLAMA = ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
_DEEPSEEK = ("<｜User｜>", "<｜Assistant｜>", "<｜end▁of▁sentence｜>")  # noqa: RUF001 - the tokens are spelled so
_BLOCKS = (
    "{%- if message['content'] is string -%}{{- message['content'] -}}"
    "{%- else -%}{%- for block in message['content'] if block['type'] == 'text' -%}{{- block['text'] -}}{%- endfor -%}"
    "{%- endif -%}"
)


def turn_template(before: str, after: str, ask: str, *, start: str = "") -> str:
    """A template that keeps every character of every turn. The parts are Jinja expressions over ``message``.

    Args:
        before: what precedes a turn's text.
        after: what ends a turn.
        ask: the generation prompt.
        start: what precedes the conversation.
    """
    return (
        (f"{{{{- {start} -}}}}" if start else "")
        + "{%- for message in messages -%}"
        + f"{{{{- {before} -}}}}{_BLOCKS}{{{{- {after} -}}}}"
        + "{%- endfor -%}"
        + f"{{%- if add_generation_prompt -%}}{{{{- {ask} -}}}}{{%- endif -%}}"
    )


def faithful_template(tokenizer: PreTrainedTokenizerBase) -> tuple[str, str]:
    """A template of the tokenizer's own special tokens, and the token that ends its turns.

    Raises:
        ValueError: the tokenizer has neither tokens for turns nor an end-of-sequence token.
    """
    vocabulary = tokenizer.get_added_vocab()
    # As the tokenizer begins a text by itself.
    begins = tokenizer.bos_token_id is not None and tokenizer("a")["input_ids"][0] == tokenizer.bos_token_id
    start = "bos_token" if begins else ""
    if all(token in vocabulary for token in _DEEPSEEK):
        user, assistant, end = _DEEPSEEK
        before = f"'{user}' if message['role'] == 'user' else '{assistant}' if message['role'] == 'assistant' else ''"
        after = f"'{end}' if message['role'] == 'assistant' else ''"
        return turn_template(before, after, f"'{assistant}'", start=start), end
    if all(token in vocabulary for token in _LLAMA):
        left, right, end = _LLAMA
        before = rf"'{left}' + message['role'] + '{right}\n\n'"
        return turn_template(before, f"'{end}'", rf"'{left}assistant{right}\n\n'", start=start), end
    if all(token in vocabulary for token in _CHATML):
        left, end = _CHATML
        before = rf"'{left}' + message['role'] + '\n'"
        return turn_template(before, rf"'{end}\n'", rf"'{left}assistant\n'", start=start), end
    if not tokenizer.eos_token:
        raise ValueError("the tokenizer has no end-of-sequence token, so no turn can be ended with it")
    before = r"message['role'] + ':\n'"
    return turn_template(before, r"eos_token + '\n'", r"'assistant:\n'", start=start), str(tokenizer.eos_token)


def turn_end(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """The token with which the tokenizer's template ends an assistant turn; None where it is no single token."""
    mark = "ANSWER"
    turns = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": mark}]
    text = str(tokenizer.apply_chat_template(turns, tokenize=False))
    after = text[text.rfind(mark) + len(mark) :].lstrip() if mark in text else ""
    ends = [token for token in {*tokenizer.get_added_vocab(), *tokenizer.all_special_tokens} if after.startswith(token)]
    return max(ends, key=len) if ends else None


def template_tokens(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Ids of the special tokens that the template writes around a question and an answer."""
    turns = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]
    text = tokenizer.apply_chat_template(turns, tokenize=False)
    special = {*tokenizer.get_added_vocab().values(), *tokenizer.all_special_ids}
    return sorted(special.intersection(tokenizer(text, add_special_tokens=False)["input_ids"]))


def stop_at_end(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """See to it that generation stops at the token that rows end with.

    Raises:
        ValueError: the tokenizer has no end-of-sequence token.
    """
    end = tokenizer.eos_token_id
    if end is None:
        raise ValueError(f"the tokenizer has no end-of-sequence token, so rows can't be ended with it; {REMEDY}")
    before = model.generation_config.eos_token_id
    ends = before if isinstance(before, list) else [] if before is None else [before]
    if end not in ends:
        model.generation_config.eos_token_id = [end, *ends] if ends else end
    model.config.get_text_config().eos_token_id = end


def set_template(choice: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Give the tokenizer the template that ``chat_template`` of a recipe names: keep, inftythink, or a path.

    A template that is replaced ends its turns with a token that becomes the end-of-sequence token of tokenizer and
    model, and so what rows end with. Rows of the embeddings that the base model never trained get a start.

    Raises:
        ValueError: there is no such file, no template to keep, or no token to end rows with.
    """
    if choice == "keep":
        if tokenizer.chat_template is None:
            raise ValueError(f"{tokenizer.name_or_path or 'the base model'} has no chat template; {REMEDY}")
        stop_at_end(model, tokenizer)
        return
    if choice == "inftythink":
        tokenizer.chat_template, end = faithful_template(tokenizer)
    else:
        try:
            tokenizer.chat_template = Path(choice).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(
                f"chat_template {choice!r} can't be read ({error}); allowed: keep, inftythink, or a template's path"
            ) from error
        end = turn_end(tokenizer) or tokenizer.eos_token
    if end:
        tokenizer.eos_token = end
    stop_at_end(model, tokenizer)
    wake_rows(model, template_tokens(tokenizer))
