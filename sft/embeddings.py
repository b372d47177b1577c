"""Rows of a model's embeddings: growing them, and starting rows that were never trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["embedding_names", "grow", "start_rows", "wake_rows"]

_UNTRAINED = 1e-16  # rows of tokens that a base model never saw are zero, or all but zero


def _matrices(model: PreTrainedModel) -> list[Any]:
    """The input embedding and, where it isn't tied to it, the output one: weights and biases with a row per token.

    Raises:
        ValueError: the weights are partitioned, so that no process holds whole rows.
    """
    inputs, outputs = model.get_input_embeddings(), model.get_output_embeddings()
    found = [inputs.weight]
    if outputs is not None and outputs.weight is not inputs.weight:
        found.append(outputs.weight)
    if outputs is not None and getattr(outputs, "bias", None) is not None:
        found.append(outputs.bias)
    if any(matrix.numel() == 0 for matrix in found):
        raise ValueError(
            "the model's weights are partitioned (DeepSpeed ZeRO-3), so tokens can't be added while it is trained;"
            " add them first: python -m sft.prepare BASE --to FOLDER --tags tokens, and train that folder"
        )
    return found


def embedding_names(model: PreTrainedModel) -> list[str]:
    """Names of the modules with a row per token, as peft wants them: the input embedding and an untied output one."""
    inputs, outputs = model.get_input_embeddings(), model.get_output_embeddings()
    wanted = [inputs] + ([outputs] if outputs is not None and outputs.weight is not inputs.weight else [])
    return [name.rpartition(".")[2] for name, module in model.named_modules() if any(module is each for each in wanted)]


def grow(model: PreTrainedModel, tokens: int, multiple: int = 1) -> None:
    """Make room for ``tokens`` tokens, never less than there is; the number of rows becomes a multiple of ``multiple``.

    New rows start at the mean of the old ones: their tokens score like an average one, so none is drawn by chance.
    """
    before = _matrices(model)[0].shape[0]
    wanted = -(-max(tokens, before) // multiple) * multiple
    if wanted > before:
        model.resize_token_embeddings(wanted, mean_resizing=False)
        start_rows(model, dict.fromkeys(range(before, wanted), range(before)))


def start_rows(model: PreTrainedModel, rows: Mapping[int, Sequence[int]]) -> None:
    """Set each row to the mean of other rows, in the input and in the output embedding."""
    import torch

    with torch.no_grad():
        for matrix in _matrices(model):
            means: dict[int, Any] = {}
            values = []
            for source in rows.values():  # the mean over a whole matrix is worth computing once only
                if id(source) not in means:
                    means[id(source)] = matrix[list(source)].float().mean(dim=0).to(matrix.dtype)
                values.append(means[id(source)])
            for row, value in zip(rows, values, strict=True):
                matrix[row] = value


def wake_rows(model: PreTrainedModel, tokens: Sequence[int]) -> list[int]:
    """Start the rows among ``tokens`` that are all but zero at the mean of all rows; returns those tokens.

    Base models come with special tokens that they never saw. Their output rows of zeros couldn't be learned by an
    adapter that leaves the embeddings alone, and an input row of zeros is no direction at all.
    """
    import torch

    woken: set[int] = set()
    with torch.no_grad():
        for matrix in _matrices(model):
            if matrix.dim() < 2:
                continue
            asleep = [token for token in tokens if float(matrix[token].abs().max()) <= _UNTRAINED]
            if asleep:
                matrix[asleep] = matrix.float().mean(dim=0).to(matrix.dtype)
                woken.update(asleep)
    return sorted(woken)
