"""Text of others (models, servers, data sets, file names) made safe to show: on a terminal, in Markdown, as JSON."""

from __future__ import annotations

import json
import re

__all__ = ["escaped", "one_line_text", "printable", "printable_json"]

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "~": "&#126;"}
_SPECIAL = re.compile(r"[\\`*\[\]&<>|~]|(?<![^\W_])_|_(?![^\W_])")


def printable(text: str, keep: str = "\n") -> str:
    """Text without control characters, escape sequences and whatever turns a line around or is invisible.

    Each such character becomes U+FFFD, so that it is seen that there was one.

    Args:
        text: any text.
        keep: characters that stay although they aren't printable.
    """
    return "".join(char if char.isprintable() or char in keep else "\ufffd" for char in text)


def one_line_text(text: str, most: int | None = None, keep: str = "") -> str:
    """The same in one line, cut at ``most`` characters: for a table, a picture, a message."""
    line = printable(" ".join(text.split()), keep)
    return line if most is None or len(line) <= most else line[: most - 1] + "…"


def escaped(text: str) -> str:
    """Text for a line or a table's cell of Markdown, shown as it is: in one line, without control characters.

    An underscore within a word stays as it is, because it has no meaning there and names are full of them.
    """
    return _SPECIAL.sub(lambda match: _ENTITIES.get(match[0], f"\\{match[0]}"), one_line_text(text))


def printable_json(value: object) -> str:
    """JSON in one line that says the same and does nothing to a terminal: what isn't printable is escaped."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)
