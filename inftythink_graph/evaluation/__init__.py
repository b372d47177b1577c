"""Measuring reasoners: tasks, methods, the harness that runs them, and what their trials come to."""

from inftythink_graph.evaluation.folder import find_runs, read_run
from inftythink_graph.evaluation.harness import aevaluate, evaluate
from inftythink_graph.evaluation.methods import InftyThink, Method, Outcome, Vanilla
from inftythink_graph.evaluation.tasks import Task, load_task
from inftythink_graph.evaluation.trials import Question, Run, Trial
from inftythink_graph.evaluation.vanilla import VanillaResult, avanilla, vanilla

__all__ = [
    "InftyThink",
    "Method",
    "Outcome",
    "Question",
    "Run",
    "Task",
    "Trial",
    "Vanilla",
    "VanillaResult",
    "aevaluate",
    "avanilla",
    "evaluate",
    "find_runs",
    "load_task",
    "read_run",
    "vanilla",
]
