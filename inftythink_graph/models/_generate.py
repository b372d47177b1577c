"""Generation with a transformers checkpoint: one batch, every row with its own limit, sampling and seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
)
from transformers.generation.streamers import BaseStreamer
from transformers.utils import logging as transformers_logging

from inftythink_graph.errors import CheckpointError
from inftythink_graph.models._listening import Listener, TextPieces
from inftythink_graph.rendering import prompt_text

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["Completion", "Engine", "Request"]


@dataclass(frozen=True, slots=True)
class Request:
    """One row of a batch: prompt token ids, token limit, sampling (temperature 0 is greedy), and who listens."""

    prompt: tuple[int, ...]
    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    listener: Listener = field(default_factory=Listener, compare=False)


@dataclass(frozen=True, slots=True)
class Completion:
    """Generated text, its number of tokens (the end-of-sequence token included) and ``stop`` or ``length``."""

    text: str
    tokens: int
    finish_reason: str


class _RowSampling(LogitsProcessor):
    """Draws each row's next token with the row's own temperature, nucleus and random generator.

    ``generate`` then runs greedily: the drawn token's score is raised above all others. A row's draws thus depend on
    its seed alone, not on what it shares a batch with.
    """

    def __init__(self, requests: Sequence[Request]) -> None:
        self._rows = []
        for row, request in enumerate(requests):
            if request.temperature > 0:
                generator = torch.Generator()
                if request.seed is None:
                    generator.seed()
                else:
                    generator.manual_seed(request.seed)
                self._rows.append((row, request, generator))

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        for row, request, generator in self._rows:
            weights = torch.softmax(scores[row].float().cpu() / request.temperature, dim=-1)
            if request.top_p < 1:
                ordered, order = weights.sort(descending=True)
                outside = ordered.cumsum(0) - ordered >= request.top_p  # the first token always stays
                weights[order[outside]] = 0
            token = int(torch.multinomial(weights, 1, generator=generator))
            scores[row, token] = torch.inf
        return scores


class _RowLimits(StoppingCriteria):
    """Ends each row at its own token limit, or where nobody waits for it any more."""

    def __init__(self, prompt_length: int, limits: Sequence[int], listeners: Sequence[Listener]) -> None:
        self._prompt_length = prompt_length
        self._limits = torch.tensor(limits)
        self._listeners = listeners

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        ended = self._limits <= input_ids.shape[1] - self._prompt_length
        if any(listener.gone for listener in self._listeners):
            ended |= torch.tensor([listener.gone for listener in self._listeners])
        return ended.to(input_ids.device)


class _RowTexts(BaseStreamer):
    """Hands each row's text to its listener, token by token, up to where the row ends."""

    def __init__(
        self,
        listeners: Sequence[Listener],
        limits: Sequence[int],
        ends: set[int],
        decode: Callable[[Sequence[int]], str],
    ) -> None:
        self._ends = ends
        self._open = {row: TextPieces(decode) for row, listener in enumerate(listeners) if listener.streams}
        self._listeners, self._limits = listeners, limits
        self._steps = -1  # the prompts come first

    def put(self, value: torch.Tensor) -> None:
        """Take one token for each row."""
        self._steps += 1
        if self._steps == 0:
            return
        tokens = value.tolist()
        for row in list(self._open):
            listener = self._listeners[row]
            if listener.gone or tokens[row] in self._ends or self._steps > self._limits[row]:
                del self._open[row]
            else:
                listener.put(self._open[row].feed(tokens[row]))

    def end(self) -> None:
        """Nothing to do: what is held back is handed out with the whole text."""


class Engine:
    """A loaded checkpoint.

    Attributes:
        window: the context window in tokens.
        tokenizer: the checkpoint's tokenizer, with a chat template.

    Raises:
        CheckpointError: the folder is none, or holds no causal language model with a chat template.
    """

    def __init__(self, path: str | Path, *, device: str, dtype: str) -> None:
        looks_local = Path(path).is_absolute() or str(path).startswith(".")
        if looks_local and not (Path(path) / "config.json").is_file():
            what = "has no config.json" if Path(path).is_dir() else "is no folder"
            raise CheckpointError(f"{path} {what}; allowed: a causal language model's folder, or a Hugging Face name")
        # A bar for loading weights would cut through a live view; a checkpoint this small loads at once.
        had_bars = transformers_logging.is_progress_bar_enabled()
        transformers_logging.disable_progress_bar()
        try:
            self.tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(str(path), trust_remote_code=False)
            self.model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
                str(path), dtype=dtype if dtype == "auto" else getattr(torch, dtype), trust_remote_code=False
            )
        except (OSError, ValueError, KeyError) as error:
            first_line = str(error).strip().splitlines()[0]
            raise CheckpointError(
                f"{path} holds no model that transformers can load ({first_line}); allowed: the folder of a causal"
                " language model with its tokenizer, or a Hugging Face name"
            ) from error
        finally:
            if had_bars:
                transformers_logging.enable_progress_bar()
        if self.tokenizer.chat_template is None:
            raise CheckpointError(f"the tokenizer of {path} has no chat template; save one with the model")
        self.tokenizer.padding_side = "left"
        self.model.to(device).eval()
        self._settle(no_grad=torch.inference_mode)

    @classmethod
    def around(cls, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Engine:
        """An engine of a model that is in use elsewhere, in training for example: it and its tokenizer stay as is.

        Raises:
            CheckpointError: the tokenizer has no chat template.
        """
        if tokenizer.chat_template is None:
            raise CheckpointError("the tokenizer has no chat template; set one first")
        engine = cls.__new__(cls)
        engine.model, engine.tokenizer = model, tokenizer
        # Not inference mode: what the model keeps of a run (rotary tables) must still serve in training.
        engine._settle(no_grad=torch.no_grad)
        engine._ends.add(tokenizer.eos_token_id)  # what it is being trained to stop with
        return engine

    def _settle(self, *, no_grad: Callable[[], AbstractContextManager[None]]) -> None:
        self.window = int(self.model.config.max_position_embeddings)
        self._no_grad = no_grad
        ends = self.model.generation_config.eos_token_id
        self._ends = {*(ends if isinstance(ends, list) else [ends])} - {None}

    def encode(self, messages: Sequence[dict[str, Any]]) -> tuple[int, ...]:
        """Token ids of a prompt. A last assistant message is a prefill: it is appended verbatim, template or not."""
        text = prompt_text(messages, self.tokenizer)
        return tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def run(self, requests: Sequence[Request]) -> list[Completion]:
        """Complete a batch of prompts, each of which must leave room for at least one token of its limit."""
        with self._no_grad():
            return self._run(requests)

    def _run(self, requests: Sequence[Request]) -> list[Completion]:
        longest = max(len(request.prompt) for request in requests)
        pad = self.tokenizer.pad_token_id if self.tokenizer.pad_token_id is not None else self.tokenizer.eos_token_id
        ids = torch.full((len(requests), longest), pad)
        mask = torch.zeros_like(ids)
        for row, request in enumerate(requests):
            ids[row, longest - len(request.prompt) :] = torch.tensor(request.prompt)
            mask[row, longest - len(request.prompt) :] = 1
        # The server's rule: a completion ends where the window does.
        limits = [min(r.max_tokens, self.window - len(r.prompt)) for r in requests]
        listeners = [request.listener for request in requests]
        streamed = any(listener.streams for listener in listeners)  # tokens leave the device for readers only
        output = self.model.generate(
            ids.to(self.model.device),
            attention_mask=mask.to(self.model.device),
            max_new_tokens=max(limits),
            do_sample=False,
            temperature=None,
            top_p=None,
            top_k=None,
            pad_token_id=pad,
            eos_token_id=sorted(self._ends) or None,
            logits_processor=LogitsProcessorList([_RowSampling(requests)]),
            stopping_criteria=StoppingCriteriaList([_RowLimits(longest, limits, listeners)]),
            streamer=_RowTexts(listeners, limits, self._ends, self._decode) if streamed else None,
        )
        return [self._read(row[longest:], limit) for row, limit in zip(output.tolist(), limits, strict=True)]

    def _decode(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True))

    def _read(self, ids: list[int], limit: int) -> Completion:
        stop = next((i for i, token in enumerate(ids[:limit]) if token in self._ends), None)
        kept = ids[: limit if stop is None else stop]
        return Completion(self._decode(kept), len(kept) + (stop is not None), "length" if stop is None else "stop")
