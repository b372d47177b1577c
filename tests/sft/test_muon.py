"""Muon: torch's own step for matrices, AdamW's for the rest, and a state that a run resumes from."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from sft.muon import Muon, MuonFactory, orthogonalize

SETTINGS: dict[str, Any] = {"lr": 2e-3, "betas": (0.9, 0.98), "eps": 1e-8, "weight_decay": 0.1}


class Small(nn.Module):
    """As much of a language model as the factory looks at."""

    def __init__(self, tied: bool = True) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(20, 8)
        self.up, self.down = nn.Linear(8, 24), nn.Linear(24, 8, bias=False)
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 20, bias=False)
        if tied:
            self.head.weight = self.table.weight

    def get_input_embeddings(self) -> nn.Module:
        return self.table

    def get_output_embeddings(self) -> nn.Module:
        return self.head

    def loss(self, seed: int) -> torch.Tensor:
        ids = torch.randint(20, (16,), generator=torch.Generator().manual_seed(seed))
        hidden = self.norm(self.table(ids))
        return nn.functional.cross_entropy(self.head(hidden + self.down(self.up(hidden).relu())), ids.roll(1))


def _step(model: Small, optimizer: torch.optim.Optimizer, seed: int) -> None:
    optimizer.zero_grad()
    model.loss(seed).backward()
    optimizer.step()


@pytest.mark.parametrize("shape", [(3, 16, 16), (2, 48, 16), (2, 16, 48)])
def test_what_comes_out_is_nearly_orthogonal(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalize(torch.randn(shape)))
    assert values.min() > 0.3
    assert values.max() < 1.3


def test_matrices_move_as_torchs_muon_moves_them() -> None:
    ours, theirs = Small(), Small()
    mine = MuonFactory()(ours, muon_lr=0.02, **SETTINGS)
    hidden = [theirs.up.weight, theirs.down.weight]
    torchs = torch.optim.Muon(hidden, lr=0.02, weight_decay=0.1)
    before = [weight.detach().clone() for weight in hidden]
    _step(ours, mine, 1)
    _step(theirs, torchs, 1)
    for start, one, other in zip(before, (ours.up.weight, ours.down.weight), hidden, strict=True):
        moved, expected = one - start, other - start
        # torch's is in bfloat16, which is coarse for the small singular values.
        assert torch.cosine_similarity(moved.flatten(), expected.flatten(), dim=0) > 0.98
        assert float(moved.norm() / expected.norm()) == pytest.approx(1, abs=0.05)


def test_the_rest_moves_as_adamw_moves_it() -> None:
    ours, theirs = Small(), Small()
    mine = MuonFactory()(ours, muon_lr=0.0, **SETTINGS)
    with_decay, without = [theirs.table.weight], [theirs.up.bias, theirs.norm.weight, theirs.norm.bias]
    adamw = torch.optim.AdamW([{"params": with_decay}, {"params": without, "weight_decay": 0.0}], **SETTINGS)
    for seed in range(4):
        _step(ours, mine, seed)
        _step(theirs, adamw, seed)
    for name, weight in theirs.named_parameters():
        assert torch.allclose(weight, dict(ours.named_parameters())[name], atol=1e-7), name
    assert not torch.allclose(theirs.table.weight, Small().table.weight)


@pytest.mark.parametrize("tied", [True, False])
def test_every_parameter_is_in_one_group(tied: bool) -> None:
    model = Small(tied)
    model.norm.bias.requires_grad_(False)
    optimizer = MuonFactory()(model, muon_lr=0.02, **SETTINGS)
    ids = [id(parameter) for group in optimizer.param_groups for parameter in group["params"]]
    assert sorted(ids) == sorted(id(parameter) for parameter in model.parameters() if parameter.requires_grad)
    muon = [parameter for group in optimizer.param_groups if group["muon"] for parameter in group["params"]]
    assert {id(parameter) for parameter in muon} == {id(model.up.weight), id(model.down.weight)}


def test_a_saved_state_goes_on_as_if_nothing_had_been() -> None:
    model = Small()
    optimizer = MuonFactory()(model, muon_lr=0.02, **SETTINGS)
    for seed in range(3):
        _step(model, optimizer, seed)
    again = copy.deepcopy(model)
    resumed = MuonFactory()(again, muon_lr=0.5, **SETTINGS)  # the saved learning rates are taken over
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for seed in range(3, 6):
        _step(model, optimizer, seed)
        _step(again, resumed, seed)
    for one, other in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


def test_vectors_are_refused_as_matrices() -> None:
    with pytest.raises(ValueError, match="matrices"):
        Muon([{"params": [nn.Parameter(torch.zeros(3))], "muon": True}], lr=0.1)
    convolution = nn.Conv1d(2, 2, 3)
    model = Small()
    model.up = convolution  # type: ignore[assignment]  # any layer with a weight of three dimensions
    with pytest.raises(ValueError, match="matrices and vectors"):
        MuonFactory()(model, muon_lr=0.1, **SETTINGS)
