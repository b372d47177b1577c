"""Measuring reasoners."""

from inftythink_graph.evaluation.vanilla import VanillaResult, avanilla, vanilla

__all__ = ["VanillaResult", "avanilla", "vanilla"]
