"""The pieces of HTML that the page consists of. Whatever comes from outside goes through :func:`shown` or is packed."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from inftythink_graph.errors import InvalidInputError, one_line

__all__ = ["as_json", "attribute", "figures", "packed", "policy", "shown", "table"]

_PICTURES = {".svg": "image/svg+xml", ".png": "image/png"}
_HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # control, format (bidirectional, zero width), lone surrogate, separators
_NUMBER = re.compile(r"\W{0,3}(?:\d[\d.,]*\s*(?:%|[kMGs]|ms)?(?:\s*(?:±|\+/-|\().*)?\W{0,3})?")  # or nothing, or a dash


def shown(text: str) -> str:
    """Text as HTML: no markup in it counts, and no character in it is invisible or turns the line around."""
    return "".join(_escaped(char) if unicodedata.category(char) in _HIDDEN else html.escape(char) for char in text)


def attribute(text: str) -> str:
    """The same for the value of an attribute, where no element can stand."""
    return html.escape("".join("\ufffd" if unicodedata.category(char) in _HIDDEN else char for char in text))


def _escaped(char: str) -> str:
    return char if char in "\n\t" else f'<span class="esc">U+{ord(char):04X}</span>'


def as_json(value: Any) -> str:
    """JSON in ASCII: half of a surrogate pair, which no encoding of text takes, comes through as well."""
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def packed(name: str, content: str) -> str:
    """ASCII text as an element that a script reads by its id: gzip, then base64; nothing in it can end the element."""
    content = base64.b64encode(gzip.compress(content.encode("ascii"), mtime=0)).decode("ascii")
    return f'<script type="text/plain" id="{name}">{content}</script>\n'


def policy(style: str, script: str) -> str:
    """The content security policy under which nothing runs but this script, and nothing is loaded at all."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'sha256-{_digest(script)}'",
            f"style-src 'sha256-{_digest(style)}'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            # Whatever a script would make markup of is refused as well.
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def table(rows: Sequence[Sequence[str]]) -> str:
    """A table whose first row names the columns and whose first column names the rows.

    Raises:
        InvalidInputError: a row with more or fewer cells than the first.
    """
    head, *body = rows
    for number, row in enumerate(body, start=2):
        if len(row) != len(head):
            raise InvalidInputError(f"main_table: row {number} has {len(row)} cells, the first has {len(head)}")
    numeric = [bool(body) and all(_NUMBER.fullmatch(row[column]) for row in body) for column in range(len(head))]
    classes = [' class="number"' if each else "" for each in numeric]
    names = "".join(f'<th scope="col"{kind}>{shown(cell)}</th>' for cell, kind in zip(head, classes, strict=True))
    lines = []
    for name, *cells in body:
        values = "".join(
            f"<td{kind}><bdi>{shown(cell)}</bdi></td>" for cell, kind in zip(cells, classes[1:], strict=True)
        )
        lines.append(f'<tr><th scope="row"><bdi>{shown(name)}</bdi></th>{values}</tr>')
    return f"<table><thead><tr>{names}</tr></thead>\n<tbody>" + "\n".join(lines) + "</tbody></table>"


def figures(pictures: Sequence[tuple[str, Path]]) -> str:
    """Pictures with their captions, each within the page.

    Raises:
        InvalidInputError: a file that isn't there, or is neither SVG nor PNG.
    """
    return "\n".join(
        f'<figure><button type="button" class="zoom"><img alt="{attribute(title)}" src="{_inlined(path)}"></button>'
        f"<figcaption><bdi>{shown(title)}</bdi></figcaption></figure>"
        for title, path in pictures
    )


def _inlined(path: Path) -> str:
    kind = _PICTURES.get(path.suffix.lower())
    if kind is None:
        raise InvalidInputError(f"can't put {path} on the page: allowed are pictures that end in .svg, .png")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidInputError(f"can't put {path} on the page: {one_line(error)}") from error
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
