"""Known answers, combinations, tools: what they accept, and how they behave in synchronous and asynchronous runs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.tools import StructuredTool, ToolException, tool
from langgraph.checkpoint.memory import InMemorySaver

import inftythink_graph
from inftythink_graph import (
    Candidate,
    InvalidInputError,
    Protocol,
    Verdict,
    all_of,
    any_of,
    create_inftythink_graph,
    exact_verifier,
    gold_verifier,
    tool_verifier,
)
from inftythink_graph.state import no_usage
from inftythink_graph.verdicts import DualVerifier, Verifier, averdict_of, verdict_of

Scripted = Callable[..., Any]
Judge = Callable[[Verifier, Candidate], Verdict]
NATIVE = Protocol()


def end(answer: str, segment: str = "done") -> str:
    return NATIVE.completion(segment, conclusion=f"It is \\boxed{{{answer}}}.")


def says(answer: str | None) -> Candidate:
    return Candidate("What is 3 + 4?", answer, f"It is {answer}.", 1)


@pytest.fixture(params=["sync", "async"])
def judge(request: pytest.FixtureRequest) -> Judge:
    """Asks a verifier as a synchronous or an asynchronous run does."""
    if request.param == "sync":
        return verdict_of
    return lambda verifier, candidate: asyncio.run(averdict_of(verifier, candidate))


def test_all_are_exported_lazily() -> None:
    for name in ("all_of", "any_of", "exact_verifier", "gold_verifier", "model_verifier", "tool_verifier"):
        assert callable(getattr(inftythink_graph, name))
        assert name in inftythink_graph.__all__


# --- known answers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "answer", "accepted"),
    [
        ("42", "42", True),
        ("42", " $42$ ", True),
        ("42", "042.0", True),
        ("1000", "1,000", True),
        ("1/2", "0.5", True),
        ("1/2", "2/4", True),
        ("42", "-42", False),
        ("42", "42 km", False),
        ("north  pole", "north pole", True),
        ("North", "north", False),
        ("\\frac{1}{2}", "0.5", False),
        ("12", "1,2", False),
        ("7", None, False),
        ("7", "7/0", False),
    ],
)
def test_exact_is_the_text_or_the_number(judge: Judge, known: str, answer: str | None, accepted: bool) -> None:
    assert judge(exact_verifier(known), says(answer)).accepted is accepted


def test_exact_takes_several_answers_and_tells_none(judge: Judge) -> None:
    verifier = exact_verifier("yes", 7)
    assert judge(verifier, says("7")).accepted
    assert judge(verifier, says("yes")).accepted
    verdict = judge(verifier, says("8" * 500))
    assert not verdict.accepted
    assert "8888... is not correct" in verdict.reason
    assert "7" not in verdict.reason
    assert judge(verifier, says(None)).reason == "The conclusion states no answer."


@pytest.mark.parametrize("known", [(), ("",), ("7", " ")])
def test_exact_needs_an_answer(known: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInputError, match="at least one known answer"):
        exact_verifier(*known)


def test_gold_takes_what_exact_does_not(judge: Judge) -> None:
    assert judge(gold_verifier("42 km"), says("42")).accepted
    assert not judge(exact_verifier("42 km"), says("42")).accepted
    assert judge(gold_verifier("42"), says("41")).reason == "The answer 41 is not correct."
    assert judge(gold_verifier("42"), says(None)).reason == "The conclusion states no answer."
    assert isinstance(gold_verifier("42"), DualVerifier)


# --- combinations ----------------------------------------------------------------------------------------------------


class Recorder:
    """Rejects everything but one answer, and remembers whom it was asked about."""

    def __init__(self, right: str | None, reason: str) -> None:
        self.right, self.reason, self.asked = right, reason, 0

    def __call__(self, candidate: Candidate) -> Verdict:
        self.asked += 1
        return Verdict(candidate.answer == self.right, self.reason, {**no_usage(), "requests": 1})


def test_all_of_stops_at_the_first_rejection(judge: Judge) -> None:
    first, second = Recorder("7", "not seven"), Recorder(None, "never")
    verdict = judge(all_of(first, second), says("8"))
    assert (verdict.accepted, verdict.reason, first.asked, second.asked) == (False, "not seven", 1, 0)
    assert not judge(all_of(first, second), says("7")).accepted
    verdict = judge(all_of(first, Recorder("7", "not seven")), says("7"))
    assert (verdict.accepted, verdict.reason) == (True, "")
    assert verdict.usage is not None
    assert verdict.usage["requests"] == 2


def test_any_of_stops_at_the_first_acceptance(judge: Judge) -> None:
    first, second = Recorder("7", "not seven"), Recorder("8", "not eight")
    assert judge(any_of(first, second), says("7")).accepted
    assert second.asked == 0
    assert judge(any_of(first, second), says("8")).accepted
    verdict = judge(any_of(first, second, first), says("9"))
    assert (verdict.accepted, verdict.reason) == (False, "not seven not eight")
    assert verdict.usage is not None
    assert verdict.usage["requests"] == 3


def test_combinations_nest_and_take_plain_functions(judge: Judge) -> None:
    verifier = all_of(lambda candidate: candidate.answer is not None, any_of(exact_verifier(7), exact_verifier(8)))
    assert judge(verifier, says("8")).accepted
    assert not judge(verifier, says("9")).accepted
    assert not judge(verifier, says(None)).accepted


async def test_combinations_await_coroutine_functions_and_say_so_in_synchronous_runs() -> None:
    async def later(candidate: Candidate) -> bool:
        await asyncio.sleep(0)
        return candidate.answer == "7"

    assert (await averdict_of(all_of(exact_verifier(7), later), says("7"))).accepted
    with pytest.raises(InvalidInputError, match="asynchronous: use ainvoke"):
        verdict_of(all_of(exact_verifier(7), later), says("7"))
    assert not verdict_of(all_of(exact_verifier(7), later), says("8")).accepted  # never got that far


@pytest.mark.parametrize("combine", [all_of, any_of])
def test_combinations_need_verifiers(combine: Callable[..., Any]) -> None:
    with pytest.raises(InvalidInputError, match="one at least"):
        combine()
    with pytest.raises(InvalidInputError, match="got GoldVerifier, str"):
        combine(gold_verifier("7"), "7")


# --- any verifier in the graph ---------------------------------------------------------------------------------------


class Both:
    """Knows how it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, candidate: Candidate) -> bool:
        self.asked.append("sync")
        return candidate.answer == "7"

    async def averify(self, candidate: Candidate) -> bool:
        self.asked.append("async")
        return candidate.answer == "7"


async def test_a_dual_verifier_is_called_in_invoke_and_awaited_in_ainvoke(scripted: Scripted) -> None:
    verifier = Both()
    assert isinstance(verifier, DualVerifier)
    graph = create_inftythink_graph(scripted(end("7")), protocol="native", verifier=verifier)
    assert graph.invoke({"question": "q"})["status"] == "answered"
    assert (await graph.ainvoke({"question": "q"}))["status"] == "answered"
    assert verifier.asked == ["sync", "async"]


async def test_a_plain_function_runs_off_the_event_loop(scripted: Scripted) -> None:
    threads: list[threading.Thread] = []

    def check(candidate: Candidate) -> bool:
        threads.append(threading.current_thread())
        return True

    graph = create_inftythink_graph(scripted(end("7")), protocol="native", verifier=check)
    await graph.ainvoke({"question": "q"})
    assert threads
    assert threads[0] is not threading.current_thread()


@pytest.mark.parametrize("returned", [None, "wrong", (False, "wrong"), {"accepted": False}])
def test_what_is_no_verdict_is_an_error_and_never_accepted(judge: Judge, returned: Any) -> None:
    def sloppy(candidate: Candidate) -> Any:
        return returned

    with pytest.raises(InvalidInputError, match=r"verifier sloppy returned .*allowed: a Verdict, or True or False"):
        judge(sloppy, says("7"))


async def test_an_error_in_a_verifier_comes_through_and_the_run_can_go_on(scripted: Scripted) -> None:
    broken = True

    def check(candidate: Candidate) -> bool:
        if broken:
            raise ZeroDivisionError("my own bug")
        return True

    model = scripted(end("7"))
    graph = create_inftythink_graph(model, protocol="native", verifier=check, checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "t"}}
    with pytest.raises(ZeroDivisionError, match="my own bug"):
        graph.invoke({"question": "q"}, config)
    with pytest.raises(ZeroDivisionError, match="my own bug"):
        await graph.ainvoke(None, config)
    broken = False
    assert graph.invoke(None, config)["status"] == "answered"
    assert len(model.calls) == 1  # the answer was judged again, not sampled again


def test_a_verifier_must_be_callable(scripted: Scripted) -> None:
    with pytest.raises(InvalidInputError, match="got ScriptedModel; tool_verifier takes a tool, model_verifier"):
        create_inftythink_graph(scripted(end("7")), verifier=scripted("yes"))


# --- tools -----------------------------------------------------------------------------------------------------------


@tool
def is_seven(value: int) -> bool:
    """Whether a value is seven."""
    return value == 7


def test_a_tool_with_one_argument_gets_the_answer(judge: Judge) -> None:
    verifier = tool_verifier(is_seven)
    assert judge(verifier, says("7")).accepted
    assert judge(verifier, says("8")) == Verdict(False, "the check failed")
    assert judge(verifier, says(None)).reason == "The conclusion states no answer."
    refused = judge(verifier, says("seven"))
    assert not refused.accepted
    assert refused.reason.startswith("The answer seven can't be checked: Input should be a valid integer")


def test_a_tool_gets_the_fields_that_its_arguments_are_named_after(judge: Judge) -> None:
    seen: list[Any] = []

    @tool
    def check(question: str, answer: str, epoch: int, strict: bool = True) -> dict[str, Any]:
        """Check."""
        seen.append((question, answer, epoch, strict))
        return {"accepted": False, "reason": "it must be odd"}

    assert judge(tool_verifier(check), says("8")) == Verdict(False, "it must be odd")
    assert seen == [("What is 3 + 4?", "8", 1, True)]


@pytest.mark.parametrize(
    ("result", "verdict"),
    [
        (True, Verdict(True)),
        (Verdict(False, "no"), Verdict(False, "no")),
        ({"ok": True}, Verdict(True)),
        ({"verdict": "reject", "explanation": "too big"}, Verdict(False, "too big")),
        ("VERDICT: REJECT - too big", Verdict(False, "too big")),
        ('{"passed": false, "message": "2 tests failed"}', Verdict(False, "2 tests failed")),
        ([{"type": "text", "text": "VERDICT: ACCEPT"}], Verdict(True)),
    ],
)
def test_what_a_tool_may_return(judge: Judge, result: Any, verdict: Verdict) -> None:
    @tool
    def check(answer: str) -> Any:
        """Check."""
        return result

    assert judge(tool_verifier(check), says("8")) == verdict


@pytest.mark.parametrize("result", ["49", "", 7, None, {"value": 3}, [1, 2]])
def test_a_result_that_is_no_verdict_is_an_error(judge: Judge, result: Any) -> None:
    @tool
    def check(answer: str) -> Any:
        """Check."""
        return result

    with pytest.raises(InvalidInputError, match=r"tool 'check' returned .*which is no verdict.*give read="):
        judge(tool_verifier(check), says("8"))


def test_arguments_and_read_fit_any_tool(judge: Judge) -> None:
    @tool
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    verifier = tool_verifier(
        add,
        arguments=lambda candidate: {"a": 3, "b": 4},
        read=lambda total, candidate: Verdict(str(total) == candidate.answer, "added up, it is something else"),
    )
    assert judge(verifier, says("7")).accepted
    assert judge(verifier, says("8")).reason == "added up, it is something else"
    with pytest.raises(InvalidInputError, match=r"'add' takes a, b; without arguments="):
        tool_verifier(add)
    with pytest.raises(ValueError, match="valid integer"):  # arguments of our own making: our own bug
        judge(tool_verifier(add, arguments=lambda candidate: {"a": "x", "b": 1}), says("7"))


def test_errors_of_a_tool_surface_unless_it_is_told_to_reject(judge: Judge) -> None:
    @tool
    def check(answer: str) -> bool:
        """Check."""
        if answer == "8":
            raise ToolException("8 of 9 tests failed")
        raise KeyError("a bug")

    with pytest.raises(ToolException, match="8 of 9"):
        judge(tool_verifier(check), says("8"))
    rejecting = tool_verifier(check, on_tool_error="reject")
    assert judge(rejecting, says("8")) == Verdict(False, "8 of 9 tests failed")
    with pytest.raises(KeyError, match="a bug"):
        judge(rejecting, says("9"))


async def test_a_tool_is_invoked_in_synchronous_runs_and_awaited_in_asynchronous_ones(scripted: Scripted) -> None:
    asked: list[str] = []

    def check(answer: str) -> bool:
        """Check."""
        asked.append("sync")
        return answer == "7"

    async def acheck(answer: str) -> bool:
        """Check."""
        asked.append("async")
        return answer == "7"

    verifier = tool_verifier(StructuredTool.from_function(check, coroutine=acheck))
    graph = create_inftythink_graph(scripted(end("7")), protocol="native", verifier=verifier)
    assert graph.invoke({"question": "q"})["answer"] == "7"
    assert (await graph.ainvoke({"question": "q"}))["answer"] == "7"
    assert asked == ["sync", "async"]


def test_bad_arguments_of_tool_verifier_name_what_is_allowed() -> None:
    with pytest.raises(InvalidInputError, match="must be a LangChain tool, got function"):
        tool_verifier(test_all_are_exported_lazily)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="on_tool_error must be one of"):
        tool_verifier(is_seven, on_tool_error="ignore")  # type: ignore[arg-type]
