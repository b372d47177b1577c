"""How the ends of several paths become one result."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import reduce
from typing import Any

from langchain_core.messages import AIMessage

from inftythink_graph.events import RunEnded
from inftythink_graph.messages import usage_metadata
from inftythink_graph.path_state import PathEnd, VoteCount
from inftythink_graph.usage import Usage, add_usage, no_usage
from inftythink_graph.voting import CALLS, Equal, Group, Vote, equivalent, grouped

__all__ = ["asks_for_tools", "elect", "joined", "run_ended", "vote_of"]


def asks_for_tools(end: PathEnd) -> bool:
    """Whether a path ended by asking for tools instead of with an answer."""
    return end["message"] is not None and bool(end["message"].tool_calls)


def vote_of(end: PathEnd) -> Vote | None:
    """What a path votes for: its answer, or the tool calls that it asks for; None where it has neither."""
    record, message = end["record"], end["message"]
    text = record["answer"]
    if message is not None and message.tool_calls:
        calls = [[call["name"], call["args"]] for call in message.tool_calls]
        text = CALLS + json.dumps(calls, sort_keys=True, default=str)
    return None if text is None else Vote(record["path"], text, record["epochs"])


def elect(ends: Sequence[PathEnd], *, by_verifier: bool, equal: Equal = equivalent) -> tuple[PathEnd, list[Group]]:
    """The winning path and the groups of equivalent answers.

    What a path concluded with and was accepted comes before what was forced or rejected, which is only counted where
    there is nothing else. By majority, the quickest path of the largest group wins; by the verifier, the first path
    whose answer it accepted (tool calls, which it doesn't see, come after that). Without any answer, the first path
    that wasn't stopped stands for all.
    """
    concluded = [end for end in ends if end["record"]["status"] == "answered"]
    verified = [end for end in concluded if by_verifier and not asks_for_tools(end)]
    others = [end for end in ends if end["record"]["status"] != "stopped"]
    counted = verified or concluded or others
    groups = grouped([vote for end in counted if (vote := vote_of(end))], equal)
    if verified:
        keys = ("place", "epochs", "path")
        return min(verified, key=lambda end: tuple(end["record"][key] for key in keys)), groups  # type: ignore[literal-required]
    if not groups:
        return (counted or list(ends))[0], groups
    return next(end for end in ends if end["record"]["path"] == groups[0].best.path), groups


def _message(winner: PathEnd, usage: Usage) -> list[AIMessage]:
    message = winner["message"]
    return [] if message is None else [message.model_copy(update={"usage_metadata": usage_metadata(usage)})]


def joined(ends: Sequence[PathEnd], *, by_verifier: bool, equal: Equal = equivalent) -> dict[str, Any]:
    """The result of the run, as an update of its state. Compares answers: not for an event loop."""
    ordered = sorted(ends, key=lambda end: end["record"]["path"])
    winner, groups = elect(ordered, by_verifier=by_verifier, equal=equal)
    record, records = winner["record"], [end["record"] for end in ordered]
    size = {vote.path: group.size for group in groups for vote in group.votes}
    usage = reduce(add_usage, (each["usage"] for each in records), no_usage())
    update: dict[str, Any] = {
        "answer": record["answer"],
        "conclusion": record["conclusion"],
        "status": record["status"],
        "epochs": record["epochs"],
        "summary": record["summary"],
        "usage": usage,
        "messages": _message(winner, usage),
        "paths": [{**each, "votes": size.get(each["path"], 0)} for each in records],
        "votes": [
            VoteCount(answer=group.best.answer, votes=group.size, paths=sorted(vote.path for vote in group.votes))
            for group in groups
        ],
    }
    judging = [each["verifier_usage"] for each in records if "verifier_usage" in each]
    if judging:
        update["verifier_usage"] = reduce(add_usage, judging, no_usage())
    return update | ({"trace": record["trace"]} if "trace" in record else {})


def run_ended(update: dict[str, Any]) -> RunEnded:
    """The event that the run is over, of the result."""
    return RunEnded(
        event="run_ended",
        epoch=update["epochs"],
        status=update["status"],
        answer=update["answer"],
        conclusion=update["conclusion"],
        usage=update["usage"],
    )
