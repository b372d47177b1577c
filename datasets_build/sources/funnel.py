"""The funnel of a build: what entered each stage, what was left out there, and why.

Counts of parts (processes, sessions) add up by :meth:`Funnel.merge`, in any order, to the counts of the whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from inftythink_graph.plain_text import escaped, one_line_text

__all__ = ["STAGES", "Funnel"]

STAGES = ("rows", "generations", "examples", "segments", "instances")
"""The stages in their order; others may be added and follow these."""

_KEPT_DETAILS = 5
_LONGEST_DETAIL = 200


def _kept(details: set[str]) -> list[str]:
    """The details that are kept: the shortest, then the first of the alphabet, whatever order they came in."""
    return sorted(details, key=lambda detail: (len(detail), detail))[:_KEPT_DETAILS]


class Funnel:
    """Counts by stage: what entered, and every loss by its reason, with a few details of each."""

    def __init__(self) -> None:
        self._entered: Counter[str] = Counter()
        self._lost: dict[str, Counter[str]] = {}
        self._details: dict[tuple[str, str], list[str]] = {}

    def enter(self, stage: str, number: int = 1) -> None:
        """Count ``number`` things into a stage."""
        self._entered[stage] += number

    def lose(self, stage: str, reason: str, number: int = 1, *, detail: str = "") -> None:
        """Count ``number`` things, which entered the stage before, as left out there."""
        self._lost.setdefault(stage, Counter())[str(reason)] += number
        if detail:
            key = (stage, str(reason))
            self._details[key] = _kept({*self._details.get(key, ()), detail[:_LONGEST_DETAIL]})

    def entered(self, stage: str) -> int:
        """How many things entered a stage."""
        return self._entered[stage]

    def lost(self, stage: str, reason: str | None = None) -> int:
        """How many things were left out in a stage, in all or for one reason."""
        counts = self._lost.get(stage, Counter[str]())
        return counts.total() if reason is None else counts[str(reason)]

    def passed(self, stage: str) -> int:
        """How many things came out of a stage."""
        return self.entered(stage) - self.lost(stage)

    def losses(self, stage: str) -> dict[str, int]:
        """The losses of a stage by reason, the most frequent first."""
        counts = self._lost.get(stage, Counter[str]())
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    def details(self, stage: str, reason: str) -> list[str]:
        """A few details of the losses for one reason, such as the line that was torn."""
        return list(self._details.get((stage, str(reason)), ()))

    def stages(self) -> list[str]:
        """The stages that anything entered or was left out in, in their order."""
        seen = {stage for stage, number in self._entered.items() if number} | set(self._lost)
        return [stage for stage in STAGES if stage in seen] + sorted(seen - set(STAGES))

    def merge(self, other: Funnel) -> None:
        """Add the counts of another part of the same build."""
        self._entered.update(other._entered)
        for stage, counts in other._lost.items():
            self._lost.setdefault(stage, Counter()).update(counts)
        for key, details in other._details.items():
            self._details[key] = _kept({*self._details.get(key, ()), *details})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Funnel) and self.as_json() == other.as_json()

    __hash__ = None  # type: ignore[assignment]  # it changes

    def as_json(self) -> dict[str, Any]:
        """The funnel as plain dictionaries; :meth:`from_json` reads it back."""
        return {
            stage: {
                "entered": self.entered(stage),
                "passed": self.passed(stage),
                "lost": self.losses(stage),
                "details": {reason: found for reason in self.losses(stage) if (found := self.details(stage, reason))},
            }
            for stage in self.stages()
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Funnel:
        """The funnel that :meth:`as_json` wrote.

        Raises:
            ValueError: it is something else, or its counts don't add up.
        """
        funnel = cls()
        try:
            for stage, part in data.items():
                funnel.enter(stage, part["entered"])
                for reason, number in part["lost"].items():
                    funnel.lose(stage, reason, number)
                for reason, details in part["details"].items():
                    funnel._details[(stage, reason)] = _kept(set(details))
                if funnel.passed(stage) != part["passed"]:
                    raise ValueError(f"{part['entered']} in less the losses aren't {part['passed']}")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"this is no funnel as Funnel.as_json() writes it: {error}") from error
        return funnel

    def _lines(self) -> Iterator[tuple[str, str, int, str, list[str]]]:
        """(stage, what, number, share of the stage, details) for each line of a rendering."""
        for stage in self.stages():
            entered = self.entered(stage)

            def share(number: int, whole: int = entered) -> str:
                return f"{100 * number / whole:.1f}%" if whole else "-"

            yield stage, "in", entered, "", []
            for reason, number in self.losses(stage).items():
                yield "", reason, -number, share(number), self.details(stage, reason)
            yield "", "out", self.passed(stage), share(self.passed(stage)), []

    def table(self, *, details: bool = True) -> Table:
        """The funnel for a terminal."""
        table = Table(box=None, pad_edge=False)
        table.add_column("stage")
        table.add_column("")
        table.add_column("number", justify="right")
        table.add_column("share", justify="right")
        for stage, what, number, share, found in self._lines():
            style = "bold" if what in ("in", "out") else None
            table.add_row(stage, Text(one_line_text(what)), f"{number:,}", share, style=style)
            for detail in found if details else []:
                table.add_row("", Text(f"  {one_line_text(detail)}", style="dim"), "", "")
        return table

    def markdown(self) -> str:
        """The funnel as a Markdown table, for a data set's card."""
        lines = ["| stage | | number | share |", "|---|---|---:|---:|"]
        for stage, what, number, share, _ in self._lines():
            lines.append(f"| {stage} | {escaped(what)} | {number:,} | {share} |")
        return "\n".join(lines)
