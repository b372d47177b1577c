"""Muon: matrices are moved by the orthogonal factor of their momentum, everything else by AdamW.

Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks". A small model from scratch learns
arithmetic in far fewer steps than with AdamW. ``torch.optim.Muon`` takes matrices only and works on one at a time in
bfloat16, which most CPUs only emulate; a training step of the bundled model would take half as long again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.optim.adamw import adamw

if TYPE_CHECKING:
    from trl import SFTConfig

__all__ = ["Muon", "MuonFactory", "muon_and_kwargs", "orthogonalize"]

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the published quintic iteration
_ITERATIONS = 5


def orthogonalize(matrices: Tensor) -> Tensor:
    """About the nearest orthogonal matrix of each matrix: its singular values come out between 0.7 and 1.2.

    Args:
        matrices: shape (count, rows, columns).

    Returns:
        A tensor of the same shape and type.
    """
    a, b, c = _COEFFICIENTS
    tall = matrices.size(-2) > matrices.size(-1)
    x = matrices.bfloat16() if matrices.is_cuda else matrices
    x = x.mT if tall else x
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).to(matrices.dtype)


class Muon(torch.optim.Optimizer):
    """Muon for the groups with ``muon=True``, AdamW for the others; one optimizer, as the Trainer wants it.

    Args:
        groups: parameter groups. A group with ``muon=True`` holds matrices only.
        lr: learning rate of groups that name none.
        betas: AdamW's.
        eps: AdamW's.
        weight_decay: decoupled, of groups that name none.
        momentum: Muon's, in Nesterov's form.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        *,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "momentum": momentum}
        super().__init__(groups, {**defaults, "muon": False})
        for group in self.param_groups:
            if group["muon"] and any(parameter.ndim != 2 for parameter in group["params"]):
                raise ValueError("Muon is for matrices; a group with muon=True holds something else")

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One step. ``closure`` recomputes the loss, as for any optimizer."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if parameters:
                (self._muon if group["muon"] else self._adamw)(group, parameters)
        return loss

    def _muon(self, group: dict[str, Any], parameters: list[Tensor]) -> None:
        # Matrices of one shape go through the iteration together: a few large products instead of many small ones.
        by_shape: dict[torch.Size, list[Tensor]] = {}
        for parameter in parameters:
            by_shape.setdefault(parameter.shape, []).append(parameter)
        for shape, alike in by_shape.items():
            directions = []
            for parameter in alike:
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                momentum = state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
                directions.append(torch.lerp(parameter.grad, momentum, group["momentum"]))
            updates = orthogonalize(torch.stack(directions))
            scale = group["lr"] * max(1.0, shape[0] / shape[1]) ** 0.5
            torch._foreach_mul_(alike, 1 - group["lr"] * group["weight_decay"])
            torch._foreach_add_(alike, list(updates.unbind()), alpha=-scale)

    def _adamw(self, group: dict[str, Any], parameters: list[Tensor]) -> None:
        for parameter in parameters:
            state = self.state[parameter]
            if not state:
                state["step"] = torch.tensor(0.0)
                state["exp_avg"] = torch.zeros_like(parameter)
                state["exp_avg_sq"] = torch.zeros_like(parameter)
        states = [self.state[parameter] for parameter in parameters]
        adamw(
            parameters,
            [parameter.grad for parameter in parameters],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )


class MuonFactory:
    """What the Trainer calls to make the optimizer, as its ``optimizer_cls_and_kwargs`` has it."""

    def __call__(
        self,
        model: torch.nn.Module,
        *,
        lr: float,
        muon_lr: float,
        betas: tuple[float, float],
        eps: float,
        weight_decay: float,
    ) -> Muon:
        """Muon for the hidden layers' matrices; embeddings, output layer, norms and biases by AdamW.

        Weight decay spares norms and biases.
        """
        ends = {id(weight) for module in _ends(model) for weight in module.parameters()}
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        hidden = [parameter for parameter in trained if parameter.ndim == 2 and id(parameter) not in ends]
        tables = [parameter for parameter in trained if parameter.ndim >= 2 and id(parameter) in ends]
        vectors = [parameter for parameter in trained if parameter.ndim < 2]
        if len(hidden) + len(tables) + len(vectors) != len(trained):
            raise ValueError("Muon needs a model whose weights are matrices and vectors")
        groups: list[dict[str, Any]] = [
            {"params": hidden, "muon": True, "lr": muon_lr},
            {"params": tables},
            {"params": vectors, "weight_decay": 0.0},
        ]
        filled = [group for group in groups if group["params"]]
        return Muon(filled, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)


def _ends(model: torch.nn.Module) -> list[torch.nn.Module]:
    """The embeddings and the output layer of a transformers model, which may be wrapped (DDP)."""
    inner: Any = getattr(model, "module", model)
    ends = (inner.get_input_embeddings(), inner.get_output_embeddings())
    return [module for module in ends if isinstance(module, torch.nn.Module)]


def muon_and_kwargs(learning_rate: float, config: SFTConfig) -> tuple[Any, dict[str, Any]]:
    """What ``SFTTrainer`` takes as ``optimizer_cls_and_kwargs``, with AdamW's share as the recipe has it."""
    kwargs = {
        "lr": config.learning_rate,
        "muon_lr": learning_rate,
        "betas": (config.adam_beta1, config.adam_beta2),
        "eps": config.adam_epsilon,
        "weight_decay": config.weight_decay,
    }
    return MuonFactory, kwargs
