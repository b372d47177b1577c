"""Many questions at a time, on one or several servers, through whatever befalls them."""

from inftythink_graph.runner.faults import NoServerLeftError
from inftythink_graph.runner.log import RunLog
from inftythink_graph.runner.observers import Observer, RunProgress
from inftythink_graph.runner.run import arun_many, run_many
from inftythink_graph.runner.tally import Tally

__all__ = ["NoServerLeftError", "Observer", "RunLog", "RunProgress", "Tally", "arun_many", "run_many"]
