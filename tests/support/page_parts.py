"""A page of the report taken apart, without a browser."""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

__all__ = ["PageParts", "page_parts"]


@dataclass
class PageParts(HTMLParser):
    """What a parser of HTML sees of a page.

    Attributes:
        elements: name and attributes of each element, in order.
        packed: the data, unpacked, by the id of its element.
        scripts: the text of each script that is run.
        styles: the text of each style sheet.
        text: all other text.
    """

    elements: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    packed: dict[str, Any] = field(default_factory=dict)
    scripts: list[str] = field(default_factory=list)
    styles: list[str] = field(default_factory=list)
    text: str = ""

    def __post_init__(self) -> None:
        super().__init__()
        self._within: tuple[str, dict[str, str]] | None = None  # the script or style that is being read

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = (tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag in ("script", "style"):
            self._within = element

    def handle_endtag(self, tag: str) -> None:
        self._within = None

    def handle_data(self, data: str) -> None:
        tag, attributes = self._within or ("", {})
        if "id" in attributes:
            self.packed[attributes["id"]] = json.loads(gzip.decompress(base64.b64decode(data)))
        elif tag:
            (self.scripts if tag == "script" else self.styles).append(data)
        else:
            self.text += data

    def details(self) -> list[dict[str, Any]]:
        """The details of all trials, in the index's order."""
        return [
            each for number in range(len(self.packed["index"]["blocks"])) for each in self.packed[f"block-{number}"]
        ]


def page_parts(path: Path) -> PageParts:
    """The parts of a page on disk."""
    parts = PageParts()
    parts.feed(path.read_text(encoding="utf-8"))
    parts.close()
    return parts
