"""Reads docstrings as they are written here for mkdocstrings: roles become links, ``::`` the start of a code block."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, GriffeLoader, NameResolutionError, Object

__all__ = ["Docstrings"]

_ROLE = re.compile(r":(?:class|func|meth|mod|data|attr|exc):`(?P<short>~?)(?P<target>[\w.]+)`")
_LITERAL = re.compile(r"^(?P<text>.*?)::$", re.MULTILINE)


class Docstrings(Extension):
    """Rewrites every docstring before it is rendered."""

    def on_object(self, *, obj: Object, loader: GriffeLoader, **kwargs: Any) -> None:
        """Called by griffe for each module, class, function and attribute."""
        if obj.docstring is not None:
            value = _LITERAL.sub(lambda match: f"{match['text']}:" if match["text"] else "", obj.docstring.value)
            obj.docstring.value = _ROLE.sub(lambda match: _link(obj, match["target"], bool(match["short"])), value)


def _link(obj: Object, target: str, short: bool) -> str:
    try:
        path = target if "." in target else obj.resolve(target)
    except NameResolutionError:
        path = target
    shown = target.rpartition(".")[2] if short else target
    # Optional: what has no place in the reference (a private module, another library) stays plain.
    return f'<autoref identifier="{path}" optional><code>{shown}</code></autoref>'
