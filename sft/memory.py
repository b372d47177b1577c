"""Memory of a GPU and operations of a run, worked out from a model's sizes. Pure arithmetic, nothing is measured here.

What autograd keeps of a layer is counted for decoders with gated feed-forward parts (Qwen, Llama) and attention that
keeps no scores (sdpa, flash); a test compares it with what torch really keeps.
"""

from __future__ import annotations

from dataclasses import dataclass

from sft.shapes import ModelShape

__all__ = ["Memory", "Setup", "layer_bytes", "memory", "operations"]

# TRL's output layer goes over at most this many tokens x words at a time: the logits of a whole row never exist.
_TILE = 4096 * 32768
_COMPUTE = 2  # bytes of bf16


@dataclass(frozen=True, slots=True)
class Setup:
    """How a model is trained.

    Attributes:
        tokens: tokens of one micro-batch on one GPU.
        weight_bytes: bytes of a weight as it is stored (4 for float32, 2 for bfloat16).
        processes: GPUs.
        sharded: weights, gradients and optimizer state are spread over the GPUs (FSDP, ZeRO-3).
        checkpointing: activations are computed again in the backward pass instead of being kept.
        masked: attention builds a mask of tokens x tokens (packing with sdpa or eager).
    """

    tokens: int
    weight_bytes: int = 4
    processes: int = 1
    sharded: bool = False
    checkpointing: bool = True
    masked: bool = False


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes on one GPU.

    Attributes:
        weights: the stored weights, frozen ones included.
        gradients: of the trained weights.
        optimizer: AdamW's two numbers for each trained weight.
        activations: what is kept from the forward to the backward pass.
        working: the most that exists for a moment: copies of weights in bf16 or gathered from other GPUs, a layer that
            is computed again, the output layer.
    """

    weights: float
    gradients: float
    optimizer: float
    activations: float
    working: float

    @property
    def total(self) -> float:
        """Bytes in all, without CUDA's own and what its allocator wastes."""
        return self.weights + self.gradients + self.optimizer + self.activations + self.working


def layer_bytes(shape: ModelShape, *, wide: bool) -> int:
    """What autograd keeps of one layer for one token, in bytes.

    Args:
        shape: the model.
        wide: the stream between the layers is float32, as with float32 weights under bf16 autocast; else bf16.
    """
    norms = 26 if wide else 16
    return norms * shape.hidden + 4 * shape.queries + 4 * shape.keys + 8 * shape.inner


def memory(shape: ModelShape, setup: Setup) -> Memory:
    """The memory that one GPU needs."""
    shards = setup.processes if setup.sharded else 1
    adapters = shape.trained < shape.parameters
    # Adapters, their gradients and their optimizer state are float32 beside frozen weights of any type.
    trained_bytes = 4 if adapters else setup.weight_bytes
    weights = shape.parameters * setup.weight_bytes + (shape.trained * 4 if adapters else 0)
    # Sharded weights are gathered in bf16, and so is the stream; otherwise float32 weights make it float32.
    wide = setup.weight_bytes == 4 and not setup.sharded
    layer = layer_bytes(shape, wide=wide) * setup.tokens
    boundary = shape.hidden * setup.tokens * (4 if wide else 2)
    per_layer = (shape.multiplied - shape.head) / shape.layers
    if setup.sharded:
        copies = 2 * per_layer * _COMPUTE + shape.head * _COMPUTE  # this layer, the next one, and the output layer
    else:
        copies = shape.multiplied * _COMPUTE if wide else 0
    again = layer + 3 * shape.inner * setup.tokens * _COMPUTE  # and three gradients of the widest part
    head = _TILE * _COMPUTE + setup.tokens * shape.hidden * 4 + (0 if adapters else shape.head * 4)
    mask = setup.tokens**2 if setup.masked else 0
    if setup.checkpointing:
        kept, backward = boundary * shape.layers, max(again, head)
    else:
        kept, backward = layer * shape.layers, max(again - layer, head)
    return Memory(
        weights=weights / shards,
        gradients=shape.trained * trained_bytes / shards,
        optimizer=2 * shape.trained * trained_bytes / shards,
        activations=kept + mask,
        working=copies + backward if setup.sharded else max(copies, backward),
    )


def operations(shape: ModelShape, sample: float, *, checkpointing: bool = True) -> float:
    """Floating-point operations that one token costs in training.

    Two for each weight that it is multiplied with, and the attention to half of its own sample (packed samples don't
    see each other): once forward, once for the gradients of the activations, once for those of the weights, and once
    more where activations are computed again. Frozen weights need no gradients of their own.

    Args:
        shape: the model.
        sample: average tokens of a sample.
        checkpointing: activations are computed again.
    """
    attention = 4 * shape.layers * shape.queries * sample / 2
    weights = 2 * shape.multiplied
    share = shape.trained / shape.parameters if shape.trained < shape.parameters else 1.0
    return weights * (2 + share + checkpointing) + attention * (3 + checkpointing)
