"""Stage II of the paper's data construction: a summary of each segment by a model that sees all that came before."""

from datasets_build.summaries.extractive import create_extractive_summarizer
from datasets_build.summaries.summarize import create_summarizer_graph

__all__ = ["create_extractive_summarizer", "create_summarizer_graph"]
