"""The report of an evaluation: tables, pictures, and the numbers behind them."""

from inftythink_graph.evaluation.report.summary import RunSummary, summarize
from inftythink_graph.evaluation.report.write import summarize_all, write_report

__all__ = ["RunSummary", "summarize", "summarize_all", "write_report"]
