"""How a run ends."""

from __future__ import annotations

from typing import Literal, TypeAlias

__all__ = ["Status"]

Status: TypeAlias = Literal["answered", "rejected", "exhausted", "stalled"]
"""How a run ended.

``answered``: with a conclusion that was accepted. ``rejected``: with a conclusion that the verifier turned down.
``exhausted``: out of epochs without an accepted conclusion. ``stalled``: the summaries stopped changing.
"""
