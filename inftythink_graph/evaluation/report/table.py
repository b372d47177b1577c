"""A table as Markdown, for reading, and as CSV, for computing."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from inftythink_graph.evaluation.metrics import Estimate, Share
from inftythink_graph.plain_text import escaped

__all__ = ["UNKNOWN", "Cell", "Column", "Kind", "Table", "shown"]

UNKNOWN = "-"
"""Stands for what isn't known."""

Kind: TypeAlias = Literal["text", "count", "number", "percent", "points", "mean", "share", "interval", "p"]
"""How a column is shown.

``text``; ``count``: a whole number; ``number``: one with a sensible number of places; ``percent``: an estimate of a
share, in percent; ``points``: one of a difference of shares, in percentage points; ``mean``: one of a measure;
``share``: some of all, in percent; ``interval``: two ends, in percentage points; ``p``: a p-value.
"""
Cell: TypeAlias = str | int | float | Estimate | Share | tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, and how its values are shown."""

    name: str
    kind: Kind = "text"

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of its columns in CSV: an estimate has a standard error beside it."""
        parts = {"percent": ("", " SE"), "points": ("", " SE"), "mean": ("", " SE"), "share": (" trials", " percent")}
        return tuple(self.name + part for part in {**parts, "interval": (" low", " high")}.get(self.kind, ("",)))


def _number(value: float) -> str:
    """Three digits at least, but no places that say nothing: 0.123, 12.3, 1,234."""
    places = 0 if abs(value) >= 1000 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{places}f}"


def _with_error(estimate: Estimate, scale: float, form: str) -> str:
    if estimate.value is None:
        return UNKNOWN
    value = format(scale * estimate.value, form)
    return value if estimate.error is None else f"{value} ± {scale * estimate.error:.1f}"


def shown(cell: Cell, kind: Kind) -> str:
    """A cell as it is read."""
    match cell:
        case None:
            return UNKNOWN
        case Estimate():
            if kind == "mean":
                return (
                    UNKNOWN
                    if cell.value is None
                    else _number(cell.value) + ("" if cell.error is None else f" ± {_number(cell.error)}")
                )
            return _with_error(cell, 100, "+.1f" if kind == "points" else ".1f")
        case Share():
            return UNKNOWN if cell.value is None else f"{100 * cell.value:.1f} ({cell.count:,})"
        case tuple():
            return f"{100 * cell[0]:+.1f} to {100 * cell[1]:+.1f}"
        case str():
            return escaped(cell)
        case _ if kind == "p":
            return f"{cell:.3f}" if cell >= 0.001 else "< 0.001"
        case _:
            return f"{cell:,}" if isinstance(cell, int) else _number(cell)


def _values(cell: Cell, kind: Kind) -> Sequence[str | float | None]:
    """A cell's values in CSV, in the units of its column and not rounded to be read."""
    scale = 100 if kind in ("percent", "points") else 1
    match cell:
        case None:
            return [None] * len(Column("", kind).fields)
        case Estimate():
            return [None if each is None else round(scale * each, 6) for each in (cell.value, cell.error)]
        case Share():
            return [cell.count, None if cell.value is None else round(100 * cell.value, 6)]
        case tuple():
            return [round(100 * each, 6) for each in cell]
        case float():
            return [cell if kind == "p" else round(cell, 6)]
        case _:
            return [cell]


@dataclass(frozen=True, slots=True)
class Table:
    """Columns, and rows of as many cells."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]

    def markdown(self) -> str:
        """The table in Markdown; columns of text stand left, all others right."""
        lines = [[escaped(column.name) for column in self.columns]]
        lines += [["---" if column.kind == "text" else "---:" for column in self.columns]]
        lines += [[shown(cell, col.kind) for cell, col in zip(row, self.columns, strict=True)] for row in self.rows]
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)

    def texts(self) -> list[list[str]]:
        """The cells as they are read, the columns' names first; nothing is escaped."""
        rows = [
            [
                cell if isinstance(cell, str) else shown(cell, column.kind)
                for cell, column in zip(row, self.columns, strict=True)
            ]
            for row in self.rows
        ]
        return [[column.name for column in self.columns], *rows]

    def csv(self) -> str:
        """The table as CSV: percentages and points as in Markdown, standard errors in columns of their own."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([name for column in self.columns for name in column.fields])
        for row in self.rows:
            cells = zip(row, self.columns, strict=True)
            writer.writerow([value for cell, column in cells for value in _values(cell, column.kind)])
        return out.getvalue()
