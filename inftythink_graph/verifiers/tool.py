"""``tool_verifier``: a LangChain tool that is given the candidate and whose result decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias, get_args

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, ToolException
from langgraph.constants import TAG_NOSTREAM
from pydantic import BaseModel, ValidationError

from inftythink_graph.errors import InvalidInputError, one_line
from inftythink_graph.protocol import question_text
from inftythink_graph.verdicts import NO_ANSWER, Candidate, Verdict
from inftythink_graph.verifiers.reading import mapping_verdict, text_verdict

__all__ = ["OnToolError", "ToolVerifier", "tool_verifier"]

Arguments: TypeAlias = Callable[[Candidate], Mapping[str, Any]]
Read: TypeAlias = Callable[[Any, Candidate], Verdict | bool]
OnToolError: TypeAlias = Literal["raise", "reject"]

_FIELDS = ("question", "answer", "conclusion", "epoch")


@dataclass(frozen=True, slots=True)
class ToolVerifier:
    """A tool that judges. Made by :func:`tool_verifier`, whose arguments are its attributes."""

    tool: BaseTool
    arguments: Arguments
    takes_answer: bool
    read: Read | None
    on_tool_error: OnToolError

    def _before(self, candidate: Candidate) -> dict[str, Any] | Verdict:
        """The tool's arguments, or a rejection where the answer isn't what the tool takes."""
        if self.takes_answer and candidate.answer is None:
            return Verdict(False, NO_ANSWER)
        arguments = dict(self.arguments(candidate))
        schema = self.tool.args_schema
        if isinstance(schema, type) and issubclass(schema, BaseModel):
            try:
                schema.model_validate(arguments)
            except ValidationError as error:
                wrong = error.errors(include_url=False)[0]
                if self.takes_answer and wrong["type"] != "missing":
                    return Verdict(False, f"The answer {candidate.answer} can't be checked: {wrong['msg']}.")
                raise  # arguments of the caller's own making
        return arguments

    def _failed(self, error: ToolException) -> Verdict:
        if self.on_tool_error == "raise":
            raise error
        return Verdict(False, one_line(error))

    def _after(self, result: Any, candidate: Candidate) -> Verdict:
        if self.read is not None:
            result = self.read(result, candidate)
        verdict = _verdict(result)
        if verdict is None:
            raise InvalidInputError(
                f"the tool {self.tool.name!r} returned {result!r:.200}, which is no verdict; allowed: a Verdict, True,"
                " False, a mapping with 'accepted' and 'reason', or text with a line 'VERDICT: ACCEPT' or"
                " 'VERDICT: REJECT - reason'; give read= to turn anything else into one of them"
            )
        return verdict

    def __call__(self, candidate: Candidate) -> Verdict:
        """Judge a candidate. What the tool raises comes through, but for a ToolException that rejects."""
        arguments = self._before(candidate)
        if isinstance(arguments, Verdict):
            return arguments
        try:
            result = self.tool.invoke(arguments, _quietly())
        except ToolException as error:
            return self._failed(error)
        return self._after(result, candidate)

    async def averify(self, candidate: Candidate) -> Verdict:
        """As a call, without blocking the event loop."""
        arguments = self._before(candidate)
        if isinstance(arguments, Verdict):
            return arguments
        try:
            result = await self.tool.ainvoke(arguments, _quietly())
        except ToolException as error:
            return self._failed(error)
        return self._after(result, candidate)


def _quietly() -> RunnableConfig:
    """Keeps the tokens of a model that the tool may ask out of the ``messages`` stream of the graph around it."""
    return RunnableConfig(tags=[TAG_NOSTREAM])


def _verdict(result: Any) -> Verdict | None:
    if isinstance(result, Verdict):
        return result
    if isinstance(result, bool):
        return Verdict(result, "" if result else "the check failed")
    if isinstance(result, Mapping):
        return mapping_verdict(result)
    if isinstance(result, Sequence) and not isinstance(result, str):  # content blocks, as tools of MCP servers return
        blocks = all(isinstance(block, str | Mapping) for block in result)
        result = question_text(result) if blocks else None
    return text_verdict(result) if isinstance(result, str) else None


def _by_name(tool: BaseTool) -> tuple[Arguments, bool]:
    """Arguments for a tool that names the fields of a candidate, or takes one argument: the answer."""
    takes = tool.args
    required = [name for name, schema in takes.items() if "default" not in schema]
    known = [name for name in takes if name in _FIELDS]
    if known and set(required) <= set(known):
        return (lambda candidate: {name: asdict(candidate)[name] for name in known}), "answer" in known
    if not known and len(required or takes) == 1:
        (name,) = required or takes
        return (lambda candidate: {name: candidate.answer}), True
    raise InvalidInputError(
        f"the tool {tool.name!r} takes {', '.join(takes) or 'no arguments'}; without arguments= it must take one"
        f" argument (the answer), or some of {', '.join(_FIELDS)}"
    )


def tool_verifier(
    tool: BaseTool,
    *,
    arguments: Arguments | None = None,
    read: Read | None = None,
    on_tool_error: OnToolError = "raise",
) -> ToolVerifier:
    """A verifier that has a tool judge: a calculator, a program's test suite, a database, an MCP server's tool.

    The result decides: a :class:`~inftythink_graph.verdicts.Verdict`, True or False, a mapping (``accepted``,
    ``reason``), or text that states a verdict (see :mod:`inftythink_graph.verifiers.reading`). Synchronous runs call
    ``tool.invoke`` and asynchronous ones ``tool.ainvoke``, so a tool that has one of them only serves those only.

    Args:
        tool: any LangChain tool.
        arguments: the tool's arguments for a candidate. None: the fields of the candidate that the tool's arguments
            are named after (question, answer, conclusion, epoch); a tool with one argument of another name gets the
            answer. An answer that the tool's schema refuses is then rejected, and so is a missing one.
        read: turns result and candidate into a verdict, for tools that return something else.
        on_tool_error: what a ``ToolException`` does, with which tools say themselves that they failed: ``raise`` it,
            or ``reject`` the answer with its message as the reason. Any other exception is raised.

    Raises:
        InvalidInputError: this is no tool, an argument is outside what is allowed, or ``arguments`` is needed. In a
            run: the tool returned no verdict.
    """
    if not isinstance(tool, BaseTool):
        raise InvalidInputError(f"tool must be a LangChain tool, got {type(tool).__name__}; @tool makes one")
    if on_tool_error not in get_args(OnToolError):
        raise InvalidInputError(f"on_tool_error must be one of {get_args(OnToolError)}, got {on_tool_error!r}")
    if arguments is not None:
        return ToolVerifier(tool, arguments, False, read, on_tool_error)
    by_name, takes_answer = _by_name(tool)
    return ToolVerifier(tool, by_name, takes_answer, read, on_tool_error)
