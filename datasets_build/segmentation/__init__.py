"""Stage I of the paper's data construction: long chains cut into segments of at most eta tokens."""

from datasets_build.segmentation.pool import segment_chains
from datasets_build.segmentation.segment import Segment, segment_chain

__all__ = ["Segment", "segment_chain", "segment_chains"]
