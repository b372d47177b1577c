"""Where chains come from: data sets of any layout, row by row, each row that is left out counted by its reason."""

from datasets_build.sources.examples import Example
from datasets_build.sources.funnel import Funnel
from datasets_build.sources.load import SourceOptions, read_examples, read_rows

__all__ = ["Example", "Funnel", "SourceOptions", "read_examples", "read_rows"]
