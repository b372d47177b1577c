"""Text of others in Markdown: it may say anything, and must not become markup."""

from __future__ import annotations

import re

from inftythink_graph.evaluation.report.names import one_line_text

__all__ = ["escaped"]

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "~": "&#126;"}
_SPECIAL = re.compile(r"[\\`*\[\]&<>|~]|(?<![^\W_])_|_(?![^\W_])")


def escaped(text: str) -> str:
    """Text for a line or a table's cell of Markdown, shown as it is: in one line, without control characters.

    An underscore within a word stays as it is, because it has no meaning there and names are full of them.
    """
    return _SPECIAL.sub(lambda match: _ENTITIES.get(match[0], f"\\{match[0]}"), one_line_text(text))
