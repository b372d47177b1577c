"""Finding the final answer in a model's closing text. :mod:`inftythink_graph.answers` is the public face."""

from __future__ import annotations

import re
from collections import deque

__all__ = ["extract_answer"]

# Closing phrases stand at the end; looking no further back keeps the search linear on texts of any size.
_TAIL = 4000

# One or two backslashes: models that write JSON double them. No open-ended repetition, so no quadratic scan.
_BOX_TOKEN = re.compile(r"\\{1,2}(?:boxed|fbox)(?![A-Za-z])[ \t]{0,8}(\{)?|\\.|[{}]", re.DOTALL)
_BARE_BOX = re.compile(r"\\[A-Za-z]{1,20}(?:\{[^{}\n]{0,100}\}){0,2}|[^\s{}$\\]{1,100}")

_PHRASE = re.compile(
    r"\b(?:answer|option|choice|result|solution)\b(?:[ \t]+(?:to|for|of)\b[^\n.:]{0,80}?)?"
    r"[ \t*_]{0,6}(?:\b(?:is|are|was|equals|will be|must be|should be)\b|[:=\uff1a])[ \t*_:]{0,8}"
    r"|^[ \t]{0,4}####[ \t]+(?=[-+$\\(\[{.\d])",
    re.IGNORECASE | re.MULTILINE,
)
_JUDGED_LETTER = re.compile(
    r"(?:\b(?:[Oo]ption|[Cc]hoice|[Aa]nswer)[ \t*_]{1,4}\(?([A-J])\)?|\(([A-J])\))[ \t*_]{1,4}is[ \t]+(?:the[ \t]+)?"
    r"(?:correct|right|best)\b"
)
_LETTER = re.compile(
    r"(?:(?:option|choice|answer)\s{0,4})?"
    r"(?:[(\[{]\s{0,2}([A-J])\s{0,2}[)\]}](?!\s{0,2}[,^_/*+=<>-])"  # (C), with or without the option's text after it
    r"|([A-J])(?=\)|[.:;](?:\s|$)|\s{0,4}$|,?\s+(?:because|since|as|so)\b))",  # C, C), C. text
    re.IGNORECASE,
)
_WRAPPED_TEXT = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox|rm|bf)\s{0,2}\{([^{}]{0,40})\}")
_SENTENCE_END = re.compile(r"\.\s|,\s{1,4}(?:because|since|so|which|as)\b")
_LINE_MARK = re.compile(r"\s{0,8}(?:#{1,6}|>|[-*+\u2022])\s{1,8}")
_ENCLOSURES = (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ("**", "**"), ("__", "__"), ("`", "`"))


def extract_answer(conclusion: str) -> str | None:
    r"""The final answer that a conclusion states.

    In this order: the content of the last ``\boxed{...}`` (``\fbox{...}`` and ``\boxed 5`` count as well; of nested
    boxes the inner one; an empty or unclosed box only where there is no other); what the last closing phrase names
    ("the answer is (C)", "Answer: 42", "#### 42"), a multiple-choice letter (A to J) as the bare letter; the last line
    that says something, without markdown and its closing period.

    Returns:
        The answer, or None where the text is empty. Never raises, and takes time linear in the text's length.
    """
    text = conclusion.strip()
    if not text:
        return None
    return _boxed(text) or _named(text[-_TAIL:]) or _last_line(text)


def _boxed(text: str) -> str:
    """The content of the last box, or ""."""
    open_braces: list[int] = []  # where the content of each open brace starts; a box's is negated
    closed: list[tuple[int, int]] = []
    for token in _BOX_TOKEN.finditer(text):
        found = token.group()
        if found == "{":
            open_braces.append(token.end())
        elif found == "}":
            start = open_braces.pop() if open_braces else 0
            if start < 0:
                closed.append((-start, token.start()))
        elif token.group(1):
            open_braces.append(-token.end())
        elif len(found) > 2 and (bare := _BARE_BOX.match(text, token.end())):
            closed.append((token.end(), bare.end()))
    for start, end in sorted(closed, reverse=True):
        if content := text[start:end].strip().rstrip("."):
            return content
    unclosed = max((-start for start in open_braces if start < 0), default=None)
    return "" if unclosed is None else _plain(text[unclosed:].lstrip().partition("\n")[0]).rstrip("$ ")


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    found = deque(pattern.finditer(text), maxlen=1)
    return found[0] if found else None


def _named(tail: str) -> str:
    """What the last closing phrase of ``tail`` names, or ""."""
    phrase, judged = _last(_PHRASE, tail), _last(_JUDGED_LETTER, tail)
    if judged and (phrase is None or judged.start() >= phrase.start()):
        return str(judged.group(1) or judged.group(2))
    if phrase is None:
        return ""
    value = ""
    for line in tail[phrase.end() :].split("\n"):
        value = _plain(line)
        if value and not value.endswith(":"):
            break
    return _letter(value) or _plain(_SENTENCE_END.split(value, maxsplit=1)[0])


def _last_line(text: str) -> str:
    """The last line that holds more than markup; the stripped text where none does."""
    for line in reversed(text.splitlines()):
        value = _plain(line)
        if any(character.isalnum() for character in value) and not value.startswith("\\end{"):
            return _letter(value[:200]) if len(value) < 5 and _letter(value) else value
    return text


def _letter(value: str) -> str:
    """The multiple-choice letter that ``value`` starts with, or ""."""
    match = _LETTER.match(_WRAPPED_TEXT.sub(r"\1", value[:200]).replace("*", "").lstrip("$ \"'"))
    letter = (match.group(1) or match.group(2)) if match else ""
    return letter if letter.isupper() else ""


def _plain(line: str) -> str:
    """``line`` without markdown, math delimiters around it and a closing period."""
    line = line.strip()
    if mark := _LINE_MARK.match(line):
        line = line[mark.end() :]
    for _ in range(6):  # layers of markup; a bound keeps a line of nothing but markup linear
        before = line
        # A period goes, an ellipsis stays: it is part of what is said.
        line = line.rstrip(" \t,;")
        line = line[:-1] if line.endswith(".") and not line.endswith("..") else line
        for left, right in _ENCLOSURES:
            inner = line[len(left) : -len(right)]
            if inner and line.startswith(left) and line.endswith(right) and left not in inner:
                line = inner.strip()
                break
        else:
            for dangling in ("**", "__", "$$"):  # opened on this line, closed on another, or the reverse
                if line.count(dangling) == 1:
                    line = line.removeprefix(dangling).removesuffix(dangling).strip()
        if line == before:
            break
    return line.strip()
